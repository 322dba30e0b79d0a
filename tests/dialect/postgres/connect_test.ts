import {
  assertEquals,
  assertInstanceOf,
  assertLess,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { ConfigError, ConnectError } from "../../../src/errors.ts";
import { postgresDriver } from "../../../src/dialect/postgres/driver.ts";
import type { PostgresConfig } from "../../../src/dialect/postgres/options.ts";
import { startPostgres, TLS_AUTHORITY } from "../../support/postgres_server.ts";
import { configOf, FakeServer, wire } from "./support.ts";

/** Fails to connect; gives the error. */
async function refusal(config: PostgresConfig, code: string): Promise<ConnectError> {
  const error = await assertRejects(() => postgresDriver(config).connect(), ConnectError);
  assertEquals(error.code, code, error.message);
  return error;
}

Deno.test("postgresDriver() refuses unknown options, and values that make no sense", () => {
  const refused = (more: object, message: string) =>
    assertThrows(() => postgresDriver({ user: "u", ...more }), ConfigError, message);
  refused({ pasword: "x" }, "pasword");
  refused({ port: 70_000 }, "`port`");
  refused({ user: "" }, "`user`");
  refused({ tls: "prefer" }, "prefer");
  refused({ tls: { mode: "allow" } }, "allow");
  refused({ connectTimeout: 0 }, "`connectTimeout`");
  refused({ parameters: { datestyle: "SQL" } }, "datestyle");
  refused({ database: "a\0b" }, "`database`");
});

Deno.test("Driver.target names the place and no password", () => {
  const target = (more: object) =>
    postgresDriver({ user: "u", password: "secret", ...more }).target;
  assertEquals(target({}), "postgres://u@localhost:5432/u");
  assertEquals(target({ host: "::1", port: 1, database: "d" }), "postgres://u@[::1]:1/d");
});

Deno.test("Driver.connect() proves a password by SCRAM", async () => {
  const config = configOf(undefined, { user: "needs_password" });
  const connection = await postgresDriver({ ...config, password: () => Promise.resolve("secret") })
    .connect();
  const { rows } = await connection.run({ text: "select current_user", params: [] });
  assertEquals(rows, [["needs_password"]]);
  await connection.close();
  const wrong = await refusal({ ...config, password: "a wrong one" }, "AUTHENTICATION_FAILED");
  assertEquals(wrong.sqlState, "28P01");
  assertEquals(wrong.message.includes("a wrong one"), false);
  await refusal(config, "AUTHENTICATION_FAILED");
  const failing = await refusal({
    ...config,
    password: () => Promise.reject(new Error("no token today")),
  }, "AUTHENTICATION_FAILED");
  assertStringIncludes(String(failing.cause), "no token today");
});

Deno.test("Driver.connect() tells an unknown database from an unknown role", async () => {
  const database = await refusal(
    configOf(undefined, { database: "nowhere" }),
    "DATABASE_NOT_FOUND",
  );
  assertEquals(database.sqlState, "3D000");
  await refusal(configOf(undefined, { user: "nobody_known" }), "AUTHENTICATION_FAILED");
});

Deno.test("Driver.connect() says where nothing listens", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const error = await refusal({ host: "127.0.0.1", port, user: "u" }, "CONNECT_FAILED");
  assertStringIncludes(error.message, `127.0.0.1:${port}`);
  assertStringIncludes(error.message, "Start the server");
  await refusal({ host: "/tmp/no/such/folder", user: "u" }, "CONNECT_FAILED");
});

Deno.test("Driver.connect() tells a server that is starting from one that is full", async () => {
  for (
    const [state, code] of [["57P03", "SERVER_STARTING"], [
      "53300",
      "TOO_MANY_CONNECTIONS",
    ]] as const
  ) {
    await using server = new FakeServer(async (client) => {
      await client.read();
      await client.send(wire.error(state, "the reason", "FATAL"));
    });
    const error = await refusal(server.config(), code);
    assertEquals([error.sqlState, server.accepted], [state, 1]);
  }
});

Deno.test("Driver.connect() makes one attempt with a server that accepts and closes", async () => {
  await using server = new FakeServer((client) => client.conn.close());
  await refusal(server.config(), "CONNECT_FAILED");
  assertEquals(server.accepted, 1);
});

Deno.test("Driver.connect() gives a silent server up at its limit", async () => {
  await using server = new FakeServer(() => {});
  const start = performance.now();
  await refusal(server.config({ connectTimeout: 30 }), "CONNECT_TIMEOUT");
  await refusal(server.config({ connectTimeout: 30, tls: "require" }), "CONNECT_TIMEOUT");
  const driver = postgresDriver(server.config());
  await assertRejects(() => driver.connect({ timeout: 30 }), ConnectError, "within 30 ms");
  await assertRejects(() => driver.connect({ signal: AbortSignal.timeout(30) }), DOMException);
  await assertRejects(
    () => driver.connect({ signal: AbortSignal.abort(new Error("no")) }),
    Error,
    "no",
  );
  assertLess(performance.now() - start, 2_000);
});

Deno.test("Driver.connect() survives answers that are not PostgreSQL's", async () => {
  const answers: Uint8Array[] = [
    new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n"),
    crypto.getRandomValues(new Uint8Array(1_000)),
    wire.message("R", [0, 0]),
    wire.message("R", [0, 0, 0, 99]),
    wire.message("R", [0, 0, 0, 11, 0x72]),
    wire.message("D", "something"),
    Uint8Array.of(0x52, 0xff, 0xff, 0xff, 0xff),
    Uint8Array.of(0x52, 0, 0, 0, 1),
  ];
  for (const answer of answers) {
    await using server = new FakeServer(async (client) => {
      await client.read();
      await client.send(answer);
    });
    for (const tls of ["disable", "require"] as const) {
      await assertRejects(
        () => postgresDriver(server.config({ tls, password: "x", connectTimeout: 500 })).connect(),
        ConnectError,
      );
    }
  }
});

Deno.test("Driver.connect() refuses a server that cannot prove that it knows the password", async () => {
  const sasl = [0, 0, 0, 10, ...new TextEncoder().encode("SCRAM-SHA-256\0\0")];
  const continued = (text: string) =>
    wire.message("R", [0, 0, 0, 11, ...new TextEncoder().encode(text)]);
  const attacks: ((first: string) => Uint8Array)[] = [
    () => wire.authenticationOk, // skips the proof
    () => continued("r=not ours,s=AAAA,i=4096"),
    (nonce) => continued(`r=${nonce}x,s=AAAA,i=2000000000`),
    (nonce) => continued(`r=${nonce}x,i=1`),
    () => wire.message("R", [0, 0, 0, 12, ...new TextEncoder().encode("v=AAAA")]),
  ];
  for (const attack of attacks) {
    await using server = new FakeServer(async (client) => {
      await client.read();
      await client.send(wire.message("R", sasl));
      const first = new TextDecoder().decode(await client.read());
      await client.send(attack(first.slice(first.indexOf("r=") + 2)));
    });
    await refusal(server.config({ password: "secret" }), "AUTHENTICATION_FAILED");
  }
});

Deno.test("Driver.connect() never falls back to plain text", async () => {
  for (const answer of ["N", "E", "SX", wire.error("28000", "no"), wire.authenticationOk]) {
    let said = 0;
    await using server = new FakeServer(async (client) => {
      said += (await client.read()).length;
      await client.send(answer);
      said += (await client.read()).length;
    });
    await refusal(server.config({ tls: "require" }), "TLS_FAILED");
    assertEquals(said, 8); // the request for TLS, and nothing else
  }
  const error = await refusal(configOf(undefined, { tls: "require" }), "TLS_FAILED");
  assertStringIncludes(error.message, "does not offer it");
});

Deno.test("Driver.connect() ends a TLS handshake that fails or stalls", async () => {
  await using stalled = new FakeServer(async (client) => {
    await client.read();
    await client.send("S");
  });
  await refusal(stalled.config({ tls: "require", connectTimeout: 50 }), "CONNECT_TIMEOUT");
  await using garbage = new FakeServer(async (client) => {
    await client.read();
    await client.send("S");
    await client.read();
    await client.send("no handshake at all, but long enough to be taken for one");
  });
  await refusal(garbage.config({ tls: "require" }), "TLS_FAILED");
});

Deno.test("Driver.connect() checks a certificate as far as it was asked to", async () => {
  await using server = await startPostgres({ tls: true });
  const config = configOf(server.url);
  const secured = async (tls: PostgresConfig["tls"], more: Partial<PostgresConfig> = {}) => {
    const connection = await postgresDriver({ ...config, ...more, tls }).connect();
    const { rows } = await connection.run({
      text: "select ssl from pg_stat_ssl where pid = pg_backend_pid()",
      params: [],
    });
    // A request to cancel goes through TLS too
    await assertRejects(() =>
      connection.run({ text: "select pg_sleep(30)", params: [] }, { timeout: 20 })
    );
    await connection.ping();
    await connection.close();
    return rows[0]![0];
  };
  const ca = TLS_AUTHORITY;
  assertEquals(await secured("require"), "t");
  assertEquals(await secured({ ca }), "t");
  assertEquals(await secured({ ca }, { host: "localhost" }), "t");
  assertEquals(await secured({ mode: "verify-ca", ca, servername: "another.example" }), "t");
  const wrong = await refusal(
    { ...config, tls: { ca, servername: "another.example" } },
    "TLS_FAILED",
  );
  assertInstanceOf(wrong.cause, Error);
  await refusal({ ...config, tls: "verify-full" }, "TLS_FAILED");
  await refusal({ ...config, tls: "verify-ca" }, "TLS_FAILED");
});

Deno.test("postgresDriver() needs permission for its address and nothing else, and lets its program end", async () => {
  const config = configOf();
  const at = (path: string) => new URL(`../../../${path}`, import.meta.url);
  const program = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(
    program,
    `import { postgresDriver } from ${JSON.stringify(at("src/dialect/postgres/mod.ts").href)};
    try {
      const connection = await postgresDriver(${JSON.stringify(config)}).connect();
      const statement = { text: "select 'served'", params: [] };
      console.log((await connection.run(statement, { timeout: 30000 })).rows[0][0]);
      await connection.close();
    } catch (error) {
      console.log(error.code, error.message);
    }`,
  );
  const run = async (...flags: string[]) => {
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", `--config=${at("deno.json").pathname}`, ...flags, program],
      env: {
        PGMAX_LIFETIME: "1",
        PGTARGETSESSIONATTRS: "standby",
        PGSSL: "require",
        NO_COLOR: "1",
      },
    }).output();
    return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  };
  try {
    assertEquals((await run(`--allow-net=${config.host}:${config.port}`)).trim(), "served");
    const refused = await run();
    assertStringIncludes(refused, "PERMISSION_DENIED");
    assertStringIncludes(refused, `--allow-net=${config.host}:${config.port}`);
  } finally {
    await Deno.remove(program);
  }
});
