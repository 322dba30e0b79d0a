import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { CoreEngine } from "../../src/engine/core_engine.ts";
import {
  ConfigError,
  ConnectError,
  ConnectionLostError,
  EngineDisposedError,
  NestedCheckoutError,
  PoolTimeoutError,
  StatementTimeoutError,
} from "../../src/errors.ts";
import { sql } from "../../src/sql/raw.ts";
import { eachEngine } from "../support/each_engine.ts";
import { FaultyProxy } from "../support/faulty_proxy.ts";
import { runSql, startPostgres } from "../support/postgres_server.ts";

const one = sql<{ n: number }>`select 1 as n`;

eachEngine("CoreEngine.execute() borrows a connection for one statement", async ({ target }) => {
  await using engine = new CoreEngine(target);
  assertEquals((await engine.execute(one)).one(), { n: 1 });
  const results = await Promise.all(Array.from({ length: 50 }, () => engine.execute(one)));
  assert(results.every((result) => Number(result.scalar()) === 1));
  const { checkedOut, waiting, checkouts } = engine.pool.status();
  assertEquals([checkedOut, waiting, checkouts], [0, 0, 51]);
});

eachEngine("CoreEngine makes nothing before it is used", async ({ target }) => {
  await using engine = new CoreEngine(target);
  assertEquals(engine.pool.status().size, 0);
  assertEquals(engine.dialect.name, engine.target.startsWith("sqlite") ? "sqlite" : "postgres");
});

eachEngine("A nested checkout that could never be served fails at once", async ({ target }) => {
  await using engine = new CoreEngine(target, { poolSize: 1, maxOverflow: 0 });
  const error = await assertRejects(
    () => engine.begin(async () => await engine.execute(one)),
    NestedCheckoutError,
  );
  assertStringIncludes(error.message, "inside a block that holds the only one");
  const nested = () => engine.begin(async () => await engine.begin(() => {}));
  await assertRejects(nested, NestedCheckoutError);
  assertEquals(engine.pool.status().checkedOut, 0);
  // What is outside of the block waits, and is served.
  const gate = Promise.withResolvers<void>();
  const holding = engine.begin(() => gate.promise);
  const waiting = engine.execute(one);
  gate.resolve();
  await holding;
  assertEquals(Number((await waiting).scalar()), 1);
});

eachEngine("CoreEngine.connect() times out and says who holds what", async ({ target }) => {
  await using engine = new CoreEngine(target, { poolSize: 1, maxOverflow: 0, poolTimeout: 20 });
  await using connection = await engine.connect({ timeout: 10_000 });
  await connection.execute(sql`select 'the culprit'`);
  const error = await assertRejects(() => engine.connect(), PoolTimeoutError);
  assertStringIncludes(error.message, "Cannot get a connection within 20 ms: the only place");
  assertStringIncludes(error.message, "last: select 'the culprit'");
  const impatient = assertRejects(() => engine.execute(one, { timeout: 5 }), PoolTimeoutError);
  assertStringIncludes((await impatient).message, "within 5 ms");
  const reason = new Error("gone");
  const controller = new AbortController();
  const aborted = assertRejects(() => engine.connect({ signal: controller.signal }));
  controller.abort(reason);
  assertStrictEquals(await aborted, reason);
  assertStrictEquals(
    await assertRejects(() => engine.execute(one, { signal: controller.signal })),
    reason,
  );
});

eachEngine("dispose() lets lent connections finish, and refuses the rest", async ({ target }) => {
  const engine = new CoreEngine(target, { poolSize: 1, maxOverflow: 0 });
  const connection = await engine.connect();
  const waiting = assertRejects(() => engine.connect(), EngineDisposedError);
  const ends = [engine.dispose(), engine.dispose(), engine[Symbol.asyncDispose]()];
  assert(ends.every((end) => end === ends[0]));
  await waiting;
  await assertRejects(() => engine.execute(one), EngineDisposedError);
  assertEquals(Number((await connection.execute(one)).scalar()), 1);
  await connection.release();
  await Promise.all(ends);
  assertEquals(engine.pool.status().size, 0);
});

eachEngine("dispose() ends what is lent beyond its limit", async ({ target }) => {
  const engine = new CoreEngine(target, { disposeTimeout: 10 });
  const connection = await engine.connect();
  const tx = await connection.begin();
  await engine.dispose();
  assertEquals(connection.status, "closed");
  await assertRejects(() => tx.execute(one));
  await tx[Symbol.asyncDispose]();
  await connection.release();
});

Deno.test("CoreEngine refuses what is no database, and options that do not fit it", () => {
  for (const bad of [undefined, null, 5, {}, { connect: true }]) {
    assertThrows(() => new CoreEngine(bad as never), ConfigError, "URL of a database, or a driver");
  }
  assertThrows(
    () => new CoreEngine("sqlite::memory:", { pool: "queue" }),
    ConfigError,
    "one connection",
  );
  assertThrows(() => new CoreEngine("sqlite::memory:", { poolsize: 1 } as never), ConfigError);
});

Deno.test("begin() without a function says where one begins without", async () => {
  await using engine = new CoreEngine("sqlite::memory:");
  await assertRejects(() => engine.begin(undefined as never), ConfigError, "connection.begin()");
});

Deno.test("A process that disposes its engine ends by itself", async () => {
  const program = `
    import { CoreEngine } from "${import.meta.resolve("../../src/engine/core_engine.ts")}";
    import { sql } from "${import.meta.resolve("../../src/sql/raw.ts")}";
    const engine = new CoreEngine("sqlite::memory:");
    console.log((await engine.execute(sql\`select 1 as n\`)).rows);
    await engine.dispose();`;
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", program],
    env: { NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder();
  assertEquals(text.decode(stdout), "[ { n: 1 } ]\n", text.decode(stderr));
  assertEquals(code, 0);
});

eachEngine(
  "A statement over its limit is cancelled, the connection goes on",
  async ({ target }) => {
    await using engine = new CoreEngine(target, { statementTimeout: 50 });
    await using connection = await engine.connect();
    const { id } = connection;
    await assertRejects(() => connection.execute(sql`select pg_sleep(10)`), StatementTimeoutError);
    await connection.execute(sql`select pg_sleep(0.1)`, { timeout: 5_000 });
    const controller = new AbortController();
    const reason = new Error("enough");
    const call = { signal: controller.signal, timeout: 0 };
    const running = assertRejects(() => connection.execute(sql`select pg_sleep(10)`, call));
    setTimeout(() => controller.abort(reason), 20);
    assertStrictEquals(await running, reason);
    assertEquals([connection.status, connection.id], ["idle", id]);
    await connection.execute(one);
  },
  { only: ["postgres"] },
);

eachEngine("A link that stalls ends by the engine's own deadline", async ({ url }) => {
  await using proxy = new FaultyProxy(url);
  await using engine = new CoreEngine(proxy.through(url), { statementTimeout: 100, poolSize: 2 });
  await using connection = await engine.connect();
  proxy.mode = "stall";
  const error = await assertRejects(() => connection.execute(one));
  assert(error instanceof StatementTimeoutError || error instanceof ConnectionLostError);
  assertEquals(connection.status, "lost");
  proxy.mode = "pass";
  await connection.release();
  assertEquals(Number((await engine.execute(one)).scalar()), 1);
}, { only: ["postgres"] });

eachEngine("A server that cannot be reached is a ConnectError, at once", async ({ url }) => {
  await using proxy = new FaultyProxy(url);
  proxy.mode = "refuse";
  await using engine = new CoreEngine(proxy.through(url));
  const events: unknown[] = [];
  engine.on("connect", ({ connection, error }) => events.push([connection, error !== undefined]));
  await assertRejects(() => engine.execute(one), ConnectError);
  assertEquals(events, [[undefined, true], [undefined, true]]);
  assertEquals(proxy.accepted, 2);
  assertEquals(engine.pool.status().size, 0);
  proxy.mode = "pass";
  await engine.execute(one);
}, { only: ["postgres"] });

eachEngine("Idle connections that died are replaced unseen", async ({ target, url }) => {
  await using engine = new CoreEngine(target, { poolSize: 5, poolPrePing: true });
  await Promise.all(Array.from({ length: 5 }, () => engine.execute(sql`select pg_sleep(0.01)`)));
  assertEquals(engine.pool.status().size, 5);
  await runSql(
    url,
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and pid <> pg_backend_pid()`,
  );
  const results = await Promise.all(Array.from({ length: 20 }, () => engine.execute(one)));
  assert(results.every((result) => Number(result.scalar()) === 1));
}, { only: ["postgres"] });

Deno.test("Work goes on after the server's restart, with typed errors meanwhile", async () => {
  await using server = await startPostgres();
  await using engine = new CoreEngine(server.url, { poolSize: 4, maxOverflow: 0 });
  await engine.execute(sql`create table acks (n integer)`);
  const acknowledged: number[] = [];
  const failures: unknown[] = [];
  let stop = false;
  let next = 0;
  const worker = async () => {
    while (!stop) {
      const n = next++;
      try {
        await engine.begin(async (tx) =>
          void await tx.execute(sql`insert into acks values (${n})`)
        );
        acknowledged.push(n);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  const workers = Array.from({ length: 4 }, worker);
  await new Promise((resolve) => setTimeout(resolve, 50));
  await server.restart();
  const before = acknowledged.length;
  while (acknowledged.length < before + 20) await new Promise((resolve) => setTimeout(resolve, 5));
  stop = true;
  await Promise.all(workers);
  for (const failure of failures) {
    const typed = failure instanceof ConnectionLostError || failure instanceof ConnectError ||
      (failure as Error).name === "CommitUnknownError";
    assert(typed, String(failure));
  }
  const stored = new Set(
    (await engine.execute(sql<{ n: number }>`select n from acks`)).rows.map(({ n }) => n),
  );
  assertEquals(acknowledged.filter((n) => !stored.has(n)), []);
  assertEquals(engine.pool.status().checkedOut, 0);
});

eachEngine("A wrong password is refused without being tried twice", async ({ url }) => {
  const wrong = new URL(url);
  wrong.username = "needs_password";
  wrong.password = "not it";
  await using engine = new CoreEngine(wrong);
  const error = await assertRejects(() => engine.connect(), ConnectError);
  assertEquals(error.code, "AUTHENTICATION_FAILED");
  assertInstanceOf(error, ConnectError);
  assert(!Deno.inspect(error).includes("not it"));
  assertEquals(engine.pool.status().createFailed, 1);
}, { only: ["postgres"] });
