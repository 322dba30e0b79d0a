/** A database URL → a driver. Every key is known, nothing is taken from the environment. */

import { ConfigError, ConnectError } from "../errors.ts";
import type {
  CallOptions,
  DialectName,
  Driver,
  DriverConnection,
  PoolKind,
} from "../dialect/driver.ts";
import {
  type PostgresConfig,
  type PostgresTls,
  settingsOf,
  type TlsMode,
} from "../dialect/postgres/options.ts";
import { type SqliteConfig, sqliteSettings } from "../dialect/sqlite/config.ts";
import { didYouMean } from "../util/nearest.ts";

/** What a URL says. */
export type UrlTarget =
  | { readonly kind: "postgres"; readonly config: PostgresConfig; readonly caFile?: string }
  | { readonly kind: "sqlite"; readonly config: SqliteConfig }
  | { readonly kind: "pglite"; readonly config: { readonly directory?: string } };

const schemes = ["postgres:", "postgresql:", "sqlite:", "pglite:"];
const postgresKeys = [
  "sslmode",
  "sslrootcert",
  "application_name",
  "search_path",
  "prepared",
  "host",
];
const tlsModes: readonly TlsMode[] = ["disable", "require", "verify-ca", "verify-full"];
const loopback = new Set(["localhost", "127.0.0.1", "::1"]);

/**
 * Reads a URL.
 *
 * TLS: without `sslmode`, a server on this machine is spoken to in plain text and any other with
 * `verify-full`. There is no mode that falls back to plain text: `prefer` and `allow` are refused.
 *
 * @throws {ConfigError} `INVALID_CONFIG` for an unknown scheme or key, or a missing part. No part
 * that could be a password is shown.
 */
export function parseUrl(url: string | URL): UrlTarget {
  const text = typeof url === "string" ? url : url.href;
  const colon = text.indexOf(":");
  const scheme = text.slice(0, colon + 1).toLowerCase();
  switch (scheme) {
    case "postgres:":
    case "postgresql:":
      return postgresTarget(text);
    case "sqlite:":
      return sqliteTarget(text.slice(colon + 1));
    case "pglite:":
      return pgliteTarget(text.slice(colon + 1));
  }
  // A scheme holds letters, digits and "+-." only; anything else may be the start of a secret.
  const shown = /^[a-z][a-z0-9+.-]{0,19}:$/.test(scheme) ? ` "${scheme}"` : "";
  throw new ConfigError(
    shown ? `A database URL cannot start with${shown}` : "A database URL starts with its scheme",
    { hint: shown ? didYouMean(scheme, schemes) : `Known: ${schemes.join(", ")}` },
  );
}

function postgresTarget(text: string): UrlTarget {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new ConfigError("The PostgreSQL URL cannot be read", {
      hint: "Write postgres://user:password@host:5432/database, " +
        "with / ? # @ : % in user and password percent-encoded (encodeURIComponent)",
    });
  }
  if (url.hash !== "") {
    throw new ConfigError('The PostgreSQL URL contains a "#"', {
      hint: "Percent-encode it in the password as %23",
    });
  }
  if (url.username === "") {
    throw new ConfigError("The PostgreSQL URL names no user", {
      hint: "Write postgres://user:password@host/database; PGUSER is not read",
    });
  }
  const query = readQuery(url.searchParams, postgresKeys, "PostgreSQL");
  const named = decode(url.hostname.replace(/^\[|\]$/g, ""), "host");
  const host = query.get("host") ?? named;
  if (query.has("host") && (!host.startsWith("/") || named !== "localhost")) {
    throw new ConfigError('The key "host" of the PostgreSQL URL is for a Unix socket', {
      hint: "Write its directory there and localhost before, as in " +
        "postgres://me@localhost/db?host=/var/run/postgresql",
    });
  }
  if (host.includes(",")) {
    throw new ConfigError("The PostgreSQL URL names several hosts", { hint: "Name one" });
  }
  const database = decode(url.pathname.slice(1), "database");
  if (database.includes("/")) {
    throw new ConfigError("The PostgreSQL URL has more than one path segment", {
      hint: "Write one database name after the host",
    });
  }
  const caFile = query.get("sslrootcert");
  const tls = tlsOf(query.get("sslmode"), caFile, host);
  const searchPath = query.get("search_path");
  const prepared = query.get("prepared");
  if (prepared !== undefined && prepared !== "true" && prepared !== "false") {
    throw new ConfigError('The key "prepared" of the PostgreSQL URL must be true or false');
  }
  const config: PostgresConfig = {
    host: host === "" ? undefined : host,
    port: url.port === "" ? undefined : Number(url.port),
    user: decode(url.username, "user"),
    password: url.password === "" ? undefined : decode(url.password, "password"),
    database: database === "" ? undefined : database,
    tls,
    applicationName: query.get("application_name"),
    searchPath: searchPath?.split(",").map((name) => name.trim()),
    prepared: prepared === undefined ? undefined : prepared === "true",
  };
  return { kind: "postgres", config, ...(caFile === undefined ? {} : { caFile }) };
}

function tlsOf(mode: string | undefined, caFile: string | undefined, host: string): TlsMode {
  if (mode === undefined) {
    const here = host === "" || host.startsWith("/") || loopback.has(host.toLowerCase());
    return here && caFile === undefined ? "disable" : "verify-full";
  }
  if (mode === "prefer" || mode === "allow") {
    throw new ConfigError(`sslmode=${mode} could fall back to plain text unnoticed`, {
      hint: "Choose require, verify-ca or verify-full; or disable, where plain text is meant",
    });
  }
  if (!(tlsModes as readonly string[]).includes(mode)) {
    throw new ConfigError("The sslmode of the PostgreSQL URL is unknown", {
      hint: didYouMean(mode, tlsModes),
    });
  }
  return mode as TlsMode;
}

function sqliteTarget(rest: string): UrlTarget {
  const { path, query } = splitPath(rest, ["mode"], "SQLite");
  if (path === "") {
    throw new ConfigError("The SQLite URL names no file", {
      hint: "Write sqlite:./app.db, or sqlite::memory: for a database in memory",
    });
  }
  const mode = query.get("mode");
  const config = { path, mode: mode as NonNullable<SqliteConfig["mode"]> | undefined };
  sqliteSettings(config);
  return { kind: "sqlite", config };
}

function pgliteTarget(rest: string): UrlTarget {
  const { path } = splitPath(rest, [], "PGlite");
  return { kind: "pglite", config: path === "" ? {} : { directory: path } };
}

/** `./app.db?mode=ro`, `/abs/app.db`, `///abs/app.db`, `C:\app.db`, `///C:/app.db` → path and keys. */
function splitPath(
  rest: string,
  keys: readonly string[],
  what: string,
): { path: string; query: Map<string, string> } {
  const mark = rest.indexOf("?");
  const query = readQuery(
    new URLSearchParams(mark === -1 ? "" : rest.slice(mark + 1)),
    keys,
    what,
  );
  let path = mark === -1 ? rest : rest.slice(0, mark);
  if (path.startsWith("//")) {
    if (path.length > 2 && path[2] !== "/") {
      throw new ConfigError(`The ${what} URL names a host`, {
        hint: `Write ${what.toLowerCase()}:./relative/path or ${what.toLowerCase()}:/absolute/path`,
      });
    }
    path = path.slice(2);
    if (/^\/[a-z]:[\\/]/i.test(path)) path = path.slice(1);
  }
  return { path: decode(path, "path"), query };
}

function readQuery(
  params: URLSearchParams,
  known: readonly string[],
  what: string,
): Map<string, string> {
  const query = new Map<string, string>();
  for (const [key, value] of params) {
    if (!known.includes(key)) {
      throw new ConfigError(`The ${what} URL has an unknown key "${key.slice(0, 40)}"`, {
        hint: didYouMean(key, known),
      });
    }
    if (query.has(key)) throw new ConfigError(`The ${what} URL has the key "${key}" twice`);
    query.set(key, value);
  }
  return query;
}

function decode(text: string, part: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new ConfigError(`The ${part} in the URL has a "%" that is no percent-encoding`, {
      hint: "Write a percent sign as %25",
    });
  }
}

/** The driver of a URL. The code of the database is loaded by its first connection. */
export function driverOf(url: string | URL): Driver {
  const target = parseUrl(url);
  switch (target.kind) {
    case "postgres": {
      const { config, caFile } = target;
      const settings = settingsOf(config);
      return new LazyDriver("postgres", "postgres", "queue", settings.target, async () => {
        const { postgresDriver } = await import("../dialect/postgres/driver.ts");
        return postgresDriver(caFile === undefined ? config : await withAuthority(config, caFile));
      });
    }
    case "sqlite": {
      const path = target.config.path!;
      const pool = path === ":memory:" ? "static" : "queue";
      return new LazyDriver("sqlite", "sqlite", pool, `sqlite:${path}`, async () => {
        const { sqliteDriver } = await import("../dialect/sqlite/driver.ts");
        return sqliteDriver(target.config);
      });
    }
    case "pglite": {
      const where = `pglite:${target.config.directory ?? ""}`;
      return new LazyDriver("pglite", "postgres", "static", where, async () => {
        const { pgliteDriver } = await import("../dialect/pglite/driver.ts");
        return pgliteDriver(target.config);
      });
    }
  }
}

async function withAuthority(config: PostgresConfig, caFile: string): Promise<PostgresConfig> {
  let ca: string;
  try {
    // Only here: loading it takes longer than all of this package.
    const { readFile } = await import("node:fs/promises");
    ca = await readFile(caFile, "utf8");
  } catch (cause) {
    throw new ConnectError("The file named by sslrootcert cannot be read", { cause });
  }
  const tls: PostgresTls = { mode: config.tls as TlsMode, ca };
  return { ...config, tls };
}

/** Knows what a URL says, and loads the real driver when it is first needed. */
class LazyDriver implements Driver {
  readonly name: string;
  readonly dialect: DialectName;
  readonly defaultPool: PoolKind;
  readonly target: string;
  readonly #load: () => Promise<Driver>;
  #driver: Promise<Driver> | undefined;

  constructor(
    name: string,
    dialect: DialectName,
    defaultPool: PoolKind,
    target: string,
    load: () => Promise<Driver>,
  ) {
    this.name = name;
    this.dialect = dialect;
    this.defaultPool = defaultPool;
    this.target = target;
    this.#load = load;
  }

  async connect(options?: CallOptions): Promise<DriverConnection> {
    const loading = this.#driver ??= this.#load();
    let driver: Driver;
    try {
      driver = await loading;
    } catch (error) {
      // The next connection tries anew: a file can be put where it was missing.
      if (this.#driver === loading) this.#driver = undefined;
      throw error;
    }
    return await driver.connect(options);
  }

  async close(): Promise<void> {
    const driver = await this.#driver?.catch(() => undefined);
    await driver?.close();
  }
}
