/**
 * Throwaway PostgreSQL servers. `sharedPostgres()` gives the one that all tests of a process share,
 * `startPostgres()` one of your own to restart and to break.
 *
 * Everything of one process lies in one folder, and a small shell watches the process: when it is
 * gone, however it ended, the servers are stopped and the folder is removed. So no test file has to
 * tidy up, and since `pg_ctl` starts a server in the background, no child process is left in the
 * hands of a test.
 *
 * Every server trusts 127.0.0.1, except for the role `needs_password`, whose password is `secret`.
 */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import postgres from "postgres";
import { useWire, type WireProtocol } from "../../src/dialect/postgres/options.ts";
import { findPostgresBinaries } from "./postgres_binaries.ts";

// `SLUICE_TEST_WIRE=driver` runs a whole suite by the protocol that is not the default
const wire = Deno.env.get("SLUICE_TEST_WIRE");
if (wire !== undefined) useWire(wire as WireProtocol);

/** How a server is started. */
export interface PostgresServerOptions {
  /** Lines of `postgresql.conf`, over the defaults for tests. */
  settings?: Record<string, string>;
  /** Speak TLS, with a certificate for `localhost` and 127.0.0.1 signed by `TLS_AUTHORITY`. */
  tls?: boolean;
}

/** The certificate authority (PEM) that signed the certificate of the servers with `tls`. */
export const TLS_AUTHORITY: string = await Deno.readTextFile(
  new URL("./tls/ca.pem", import.meta.url),
);

/** Where test files of one process, each in an isolate of its own, find what another has made. */
const SHARED_VARIABLE = "SLUICE_TEST_SHARED_URL";
const STARTING = "starting";
const SCRATCH_VARIABLE = "SLUICE_TEST_SCRATCH";

const DEFAULT_SETTINGS: Record<string, string> = {
  listen_addresses: "127.0.0.1",
  max_connections: "60",
  fsync: "off",
  synchronous_commit: "off",
  full_page_writes: "off",
  shared_buffers: "64MB",
  max_wal_size: "4GB",
  log_min_messages: "warning",
  log_checkpoints: "off",
  log_line_prefix: "%m [%p] ",
  timezone: "UTC",
};

/** A server that can be stopped and started again; removed at the end of `await using`. */
export class PostgresServer implements AsyncDisposable {
  readonly host = "127.0.0.1";
  readonly user = "sluice";
  readonly database = "postgres";
  readonly port: number;
  /** The data folder; the server's log is `log` beside it, its unix socket there too. */
  readonly dataDir: string;
  readonly #programs: Programs;

  constructor(programs: Programs, folder: string, port: number) {
    this.#programs = programs;
    this.dataDir = join(folder, "data");
    this.port = port;
  }

  /** Of the database `postgres`. */
  get url(): string {
    return this.urlOf(this.database);
  }

  /** Of another database. */
  urlOf(database: string): string {
    return `postgres://${this.user}@${this.host}:${this.port}/${database}`;
  }

  /** Begins to answer; resolves when it does. */
  async start(): Promise<void> {
    await this.#programs.run("pg_ctl", ["start", "-w", "-t", "30", "-s", ...this.#target()]);
  }

  /** Ends the server: `fast` breaks off what is open, `immediate` is a crash. */
  async stop(mode: "smart" | "fast" | "immediate" = "fast"): Promise<void> {
    await this.#programs.run("pg_ctl", ["stop", "-w", "-s", "-m", mode, "-D", this.dataDir]);
  }

  /** Stops, and starts again on the same port with the same data. */
  async restart(mode: "fast" | "immediate" = "fast"): Promise<void> {
    await this.#programs.run("pg_ctl", ["restart", "-w", "-s", "-m", mode, ...this.#target()]);
  }

  /** Makes an empty database, and gives its URL. */
  createDatabase(name?: string): Promise<string> {
    return createDatabase(this.url, name);
  }

  /** Runs SQL over a connection of its own, as superuser; gives the rows. */
  sql(text: string): Promise<Record<string, unknown>[]> {
    return runSql(this.url, text);
  }

  /** What the server wrote to its log. */
  log(): Promise<string> {
    return Deno.readTextFile(join(this.dataDir, "..", "log"));
  }

  /** Stops the server and removes its data. */
  async [Symbol.asyncDispose](): Promise<void> {
    // It may have been stopped by its test; all that matters is that it is gone.
    await this.stop("immediate").catch(() => {});
    await Deno.remove(join(this.dataDir, ".."), { recursive: true });
  }

  #target(): string[] {
    return ["-D", this.dataDir, "-l", join(this.dataDir, "..", "log")];
  }
}

/** Starts a server of your own; take it with `await using`. Some 200 ms, the first one a second more. */
export async function startPostgres(options: PostgresServerOptions = {}): Promise<PostgresServer> {
  const programs = await Programs.find();
  const template = await makeTemplate(programs);
  // The port is free when it is picked; a neighbour can take it before the server does.
  for (let attempt = 1;; attempt++) {
    const folder = join(programs.scratch, crypto.randomUUID().slice(0, 8));
    const port = freePort();
    const server = new PostgresServer(programs, folder, port);
    await programs.makeFolder(folder);
    await programs.run("cp", ["-R", template, server.dataDir]);
    const settings = {
      ...DEFAULT_SETTINGS,
      port: String(port),
      unix_socket_directories: folder,
      ...(options.tls ? await tlsSettings(programs, server.dataDir) : {}),
      ...options.settings,
    };
    const lines = Object.entries(settings).map(([key, value]) =>
      `${key} = '${value.replaceAll("'", "''")}'\n`
    );
    await Deno.writeTextFile(join(server.dataDir, "postgresql.auto.conf"), lines.join(""));
    try {
      await server.start();
      return server;
    } catch (error) {
      const log = await server.log().catch(() => "");
      if (attempt < 3 && log.includes("could not bind")) continue;
      throw new Error(`The server did not start. Its log:\n${log}`, { cause: error });
    }
  }
}

/**
 * The URL of the server that the tests of this process share: `SLUICE_TEST_URL` if that is set,
 * else one started at the first call. Make a database of your own in it.
 */
export async function sharedPostgres(): Promise<string> {
  const named = Deno.env.get("SLUICE_TEST_URL");
  if (named) return named;
  // Each test file runs in an isolate of its own, two of them at a time; the environment is what
  // they have in common.
  let known = Deno.env.get(SHARED_VARIABLE);
  while (known === STARTING) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    known = Deno.env.get(SHARED_VARIABLE);
  }
  if (known) return known;
  Deno.env.set(SHARED_VARIABLE, STARTING);
  try {
    const { url } = await startPostgres();
    Deno.env.set(SHARED_VARIABLE, url);
    return url;
  } catch (error) {
    Deno.env.delete(SHARED_VARIABLE);
    throw error;
  }
}

/** Makes an empty database in a server, and gives its URL. */
export async function createDatabase(
  serverUrl: string,
  name: string = uniqueName(),
): Promise<string> {
  // Copying the template's files takes 20 ms, its log, the default since version 15, nine times that.
  const version = await runSql(serverUrl, "select current_setting('server_version_num')::int as n");
  const strategy = Number(version[0]?.n) >= 150000 ? " strategy file_copy" : "";
  await runSql(serverUrl, `create database "${name}"${strategy}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return url.href;
}

/** Removes a database made by `createDatabase`, whoever still uses it. */
export async function dropDatabase(url: string): Promise<void> {
  const server = new URL(url);
  const name = server.pathname.slice(1);
  server.pathname = "/postgres";
  await runSql(server.href, `drop database "${name}" with (force)`);
}

/** Runs SQL over a connection of its own; gives the rows of a single statement. */
export async function runSql(url: string, text: string): Promise<Record<string, unknown>[]> {
  const sql = postgres(url, { max: 1, fetch_types: false, onnotice: () => {} });
  try {
    const rows = [...await sql.unsafe(text)];
    await sql.end();
    return rows;
  } catch (error) {
    // Waiting for the goodbye of a connection that was lost would take for ever.
    await sql.end({ timeout: 0.05 });
    throw error;
  }
}

/** A name for a database or schema that nobody else uses. */
export function uniqueName(): string {
  return `t_${crypto.randomUUID().replaceAll("-", "").slice(0, 16)}`;
}

/** The programs of one PostgreSQL, run as a user that PostgreSQL accepts. */
class Programs {
  constructor(
    readonly folder: string,
    /** The process's own folder for everything that the servers write. */
    readonly scratch: string,
    readonly owner: Owner | undefined,
  ) {}

  static async find(): Promise<Programs> {
    const owner = await otherThanRoot();
    const scratch = await scratchFolder(owner);
    return new Programs(await findPostgresBinaries(scratch), scratch, owner);
  }

  async run(program: string, args: string[], input?: string): Promise<void> {
    const own = program === "cp" ? program : join(this.folder, program);
    // A server in the background keeps the output it inherits, and reading it would never end.
    const started = args[0] === "start" || args[0] === "restart";
    const child = new Deno.Command(own, {
      args,
      cwd: "/",
      env: { LC_ALL: "C", TZ: "UTC" },
      stdin: input === undefined ? "null" : "piped",
      stdout: "null",
      stderr: started ? "null" : "piped",
      ...this.owner,
    }).spawn();
    if (input !== undefined) {
      const writer = child.stdin.getWriter();
      await writer.write(new TextEncoder().encode(input));
      await writer.close();
    }
    if (started) {
      const { success } = await child.status;
      if (!success) throw new Error(`pg_ctl ${args[0]} failed`);
      return;
    }
    const { success, stderr } = await child.output();
    if (!success) throw new Error(`${program} failed: ${new TextDecoder().decode(stderr).trim()}`);
  }

  async makeFolder(path: string): Promise<void> {
    await Deno.mkdir(path, { mode: 0o700 });
    await this.give(path);
  }

  async give(path: string): Promise<void> {
    if (this.owner) await Deno.chown(path, this.owner.uid, this.owner.gid);
  }
}

interface Owner {
  uid: number;
  gid: number;
}

/** PostgreSQL refuses to run as root: then somebody else must do it. */
async function otherThanRoot(): Promise<Owner | undefined> {
  if (Deno.uid() !== 0) return undefined;
  const users = (await Deno.readTextFile("/etc/passwd")).split("\n").map((line) => line.split(":"));
  for (const name of ["postgres", "nobody"]) {
    const user = users.find((fields) => fields[0] === name);
    if (user) return { uid: Number(user[2]), gid: Number(user[3]) };
  }
  throw new Error(
    "PostgreSQL does not run as root, and neither a user postgres nor nobody exists",
  );
}

/** The folder of this process, made at the first call and watched from then on. */
async function scratchFolder(owner: Owner | undefined): Promise<string> {
  const known = Deno.env.get(SCRATCH_VARIABLE);
  if (known) return known;
  // Not TMPDIR: the path of a unix socket may have 107 bytes only, and root's own may be closed.
  const scratch = Deno.makeTempDirSync({ dir: "/tmp", prefix: "sluice-pg-" });
  Deno.env.set(SCRATCH_VARIABLE, scratch);
  if (owner) await Deno.chown(scratch, owner.uid, owner.gid);
  const watch = `(
    trap '' INT HUP
    while kill -0 ${Deno.pid} 2>/dev/null; do sleep 1; done
    for pid in "$0"/*/data/postmaster.pid; do [ -f "$pid" ] && kill -QUIT "$(head -n 1 "$pid")"; done
    sleep 1
    rm -rf "$0"
  ) </dev/null >/dev/null 2>&1 &`;
  await new Deno.Command("sh", { args: ["-c", watch, scratch], stdout: "null", stderr: "null" })
    .output();
  return scratch;
}

/** A data folder as initdb makes it. It takes most of a second, and copying it a twentieth. */
async function makeTemplate(programs: Programs): Promise<string> {
  const template = join(programs.scratch, "template");
  if (await Deno.stat(template).then(() => true, () => false)) return template;
  const half = `${template}-${crypto.randomUUID()}`;
  await programs.run("initdb", [
    ...["-D", half, "-U", "sluice", "-E", "UTF8", "--locale=C", "--no-sync"],
    ...["--auth=trust", "--no-instructions"],
  ]);
  await programs.run(
    "postgres",
    ["--single", "-D", half, "-c", "log_min_messages=warning", "postgres"],
    "create role needs_password login password 'secret'\n",
  );
  const access = [
    "local all all trust",
    "host all needs_password 127.0.0.1/32 scram-sha-256",
    "host all all 127.0.0.1/32 trust",
    "host replication all 127.0.0.1/32 trust",
  ];
  await Deno.writeTextFile(join(half, "pg_hba.conf"), access.join("\n") + "\n");
  // A neighbour that was quicker has made the same one.
  await Deno.rename(half, template).catch(() => Deno.remove(half, { recursive: true }));
  return template;
}

async function tlsSettings(programs: Programs, dataDir: string): Promise<Record<string, string>> {
  for (const name of ["server.pem", "server_key.pem"]) {
    const copy = join(dataDir, name);
    await Deno.copyFile(fileURLToPath(new URL(`./tls/${name}`, import.meta.url)), copy);
    // The server refuses a key that others could read.
    await Deno.chmod(copy, 0o600);
    await programs.give(copy);
  }
  return { ssl: "on", ssl_cert_file: "server.pem", ssl_key_file: "server_key.pem" };
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

// Run by itself: can the tests have a server? `.ci/run` asks before it begins.
if (import.meta.main) {
  const url = await sharedPostgres();
  const [row] = await runSql(url, "select version()");
  console.log(`PostgreSQL for the tests: ${row?.version}`);
}
