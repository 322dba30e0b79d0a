/**
 * The rows of the fault catalogue on connections, 21 to 40. What concerns the driver alone is in
 * `tests/dialect/postgres`: 32 and 33 also in `connect_test.ts`, 37 and 38 in `connection_test.ts`.
 */

import {
  assert,
  assertEquals,
  assertGreater,
  assertInstanceOf,
  assertLess,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import type { PostgresConnection } from "../../src/dialect/postgres/connection.ts";
import { openConnection } from "../../src/dialect/postgres/open.ts";
import { settingsOf } from "../../src/dialect/postgres/options.ts";
import { engineSettings } from "../../src/engine/options.ts";
import {
  CommitUnknownError,
  ConnectError,
  ConnectionLostError,
  DataError,
  DecodeError,
  LockTimeoutError,
  SluiceError,
  StalePlanError,
  StatementTimeoutError,
} from "../../src/errors.ts";
import { postgresDriver } from "../../src/dialect/postgres/driver.ts";
import { entity } from "../../src/mapper/define.ts";
import { integer, json } from "../../mod.ts";
import { AsyncEngine } from "../../src/session/async_engine.ts";
import { sql } from "../../src/sql/raw.ts";
import { FakeServer, wire } from "../dialect/postgres/support.ts";
import { startPostgres } from "../support/postgres_server.ts";
import { carryOut, scenario } from "./support.ts";
import { TransactionPooler } from "./transaction_pooler.ts";

const one = sql<{ n: number }>`select 1 as n`;
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

scenario(
  "21: a connection killed while idle is replaced, and its next user sees nothing",
  async (s) => {
    const engine = s.engine({ poolSize: 1, maxOverflow: 0 });
    for (let round = 0; round < 3; round++) {
      const pid = await engine.execute(sql<{ pid: number }>`select pg_backend_pid() as pid`);
      await s.kill(String(pid.scalar()));
    }
  },
);

scenario(
  "22: a statement whose backend is killed fails with the server's reason, and is not repeated",
  async (s) => {
    await s.sql("create table t (n int); create sequence seen");
    const engine = s.engine();
    await using connection = await engine.connect();
    const write = connection.execute(
      sql`insert into t select nextval('seen')::int from (select pg_sleep(30)) as wait`,
    );
    const failed = assertRejects(() => write, ConnectionLostError, "57P01");
    await s.until(
      `select count(*) = 1 from pg_stat_activity where pid = ${connection.id} and wait_event = 'PgSleep'`,
    );
    await s.kill(connection.id);
    assertEquals((await failed).sqlState, "57P01");
    await assertRejects(() => connection.execute(one), ConnectionLostError);
    assertEquals(await s.sql("select count(*)::int as n from t"), [{ n: 0 }]);
  },
);

scenario(
  "23: a transaction whose backend is killed between its statements stores nothing",
  async (s) => {
    await s.sql("create table t (n int)");
    const engine = s.engine();
    await using connection = await engine.connect();
    await using tx = await connection.begin();
    await tx.execute(sql`insert into t values (1)`);
    await s.kill(connection.id);
    for (let i = 0; i < 3; i++) {
      await assertRejects(() => tx.execute(sql`insert into t values (2)`), ConnectionLostError);
    }
    await assertRejects(() => tx.commit(), ConnectionLostError);
    assertEquals(await s.sql("select count(*)::int as n from t"), [{ n: 0 }]);
  },
);

Deno.test("24: a neighbour's crash costs every connection, and the pool is back within 2 s", async () => {
  await using server = await startPostgres();
  await carryOut(server.url, async (s) => {
    const engine = s.engine();
    await using victim = await engine.connect();
    const running = assertRejects(
      () => victim.execute(sql`select pg_sleep(30)`),
      ConnectionLostError,
    );
    await using neighbour = await engine.connect();
    await neighbour.execute(one);
    await s.until(
      `select count(*) = 1 from pg_stat_activity where pid = ${victim.id} and wait_event = 'PgSleep'`,
    );
    const start = performance.now();
    await new Deno.Command("kill", { args: ["-KILL", neighbour.id] }).output();
    const error = await running;
    assert(error.sqlState === "57P02" || error.sqlState === undefined, error.sqlState);
    await victim.release();
    await neighbour.release();
    for (;;) {
      try {
        await engine.execute(one);
        break;
      } catch (failure) {
        // While the server recovers it refuses, and says so
        assert(
          failure instanceof ConnectError || failure instanceof ConnectionLostError,
          String(failure),
        );
        await sleep(20);
      }
    }
    assertLess(performance.now() - start, 2_000);
  });
});

for (const mode of ["fast", "immediate"] as const) {
  Deno.test(`25: ${mode} restart under load: typed errors, no acknowledged commit is lost`, async () => {
    await using server = await startPostgres({ settings: { synchronous_commit: "on" } });
    await carryOut(server.url, async (s) => {
      const engine = s.engine({ poolSize: 4, maxOverflow: 0 });
      await engine.execute(sql`create table acks (n int primary key)`);
      const [acknowledged, unknown, failed]: number[][] = [[], [], []];
      let next = 0;
      let stop = false;
      const worker = async () => {
        while (!stop) {
          const n = next++;
          try {
            await engine.begin(async (tx) =>
              void await tx.execute(sql`insert into acks values (${n})`)
            );
            acknowledged!.push(n);
          } catch (error) {
            if (error instanceof CommitUnknownError) unknown!.push(n);
            else {
              const typed = error instanceof ConnectError || error instanceof ConnectionLostError;
              assert(typed, String(error));
              failed!.push(n);
              await sleep(5);
            }
          }
        }
      };
      // One worker's failure ends the wait below
      const workers = Array.from({ length: 4 }, () => worker().finally(() => stop = true));
      for (const each of workers) each.catch(() => {});
      await sleep(50);
      await server.restart(mode);
      const before = acknowledged!.length;
      while (!stop && acknowledged!.length < before + 20) await sleep(5);
      stop = true;
      await Promise.all(workers);
      const stored = new Set((await s.sql("select n from acks")).map((row) => row.n as number));
      assertEquals(acknowledged!.filter((n) => !stored.has(n)), [], "acknowledged and lost");
      assertEquals(failed!.filter((n) => stored.has(n)), [], "failed and stored");
      assertGreater(failed!.length + unknown!.length, 0);
    });
  });
}

scenario(
  "26: a statement on a link that stalls ends at its limit and the grace time",
  async (s) => {
    const engine = s.proxied({ statementTimeout: 50 }, { cancelGrace: 100 });
    await using connection = await engine.connect();
    s.proxy.mode = "stall";
    const start = performance.now();
    await assertRejects(() => connection.execute(one), StatementTimeoutError, "50 ms");
    assertLess(performance.now() - start, 1_000);
    assertEquals(connection.status, "lost");
    s.proxy.mode = "pass";
  },
);

scenario("26: a COMMIT on a link that stalls is unknown, never a timeout", async (s) => {
  await s.sql("create table t (n int)");
  const engine = s.proxied({ statementTimeout: 100 }, { cancelGrace: 100 });
  await using connection = await engine.connect();
  await using tx = await connection.begin();
  await tx.execute(sql`insert into t values (1)`);
  s.proxy.mode = "stallBack";
  await assertRejects(() => tx.commit(), CommitUnknownError);
  s.proxy.mode = "pass";
  assertEquals(await s.sql("select count(*)::int as n from t"), [{ n: 1 }]);
});

scenario(
  "27: without a limit of its own a statement has the engine's, which is never none",
  async (s) => {
    assertGreater(engineSettings({}).statementTimeout, 0);
    const engine = s.proxied({ statementTimeout: 40 }, { cancelGrace: 40 });
    s.proxy.mode = "pass";
    await engine.execute(one);
    s.proxy.mode = "stall";
    await assertRejects(() => engine.execute(one), SluiceError);
    s.proxy.mode = "pass";
  },
);

scenario("28: a line cut in the middle of a row delivers nothing of the result", async (s) => {
  const engine = s.proxied();
  const wide = sql<{ t: string }>`select repeat('x', 1000) as t from generate_series(1, 1000)`;
  await engine.execute(wide);
  for (const bytes of [1, 7, 500, 5_000, 500_500, 999_999]) {
    await using connection = await engine.connect();
    await connection.execute(one);
    s.proxy.cutAfter(bytes);
    await assertRejects(() => connection.execute(wide), ConnectionLostError);
    await assertRejects(() => connection.execute(one), ConnectionLostError);
  }
});

scenario("29: an answer is the same in pieces of one byte, and in one of 20 MB", async (s) => {
  const engine = s.proxied({ statementTimeout: 0 });
  await using connection = await engine.connect();
  const text = sql<
    { n: number; t: string }
  >`select g as n, 'näme ' || g as t from generate_series(1, 300) g`;
  const whole = (await connection.execute(text)).rows;
  for (const size of [1, 3, 5, 17]) {
    s.proxy.pieceSize = size;
    assertEquals((await connection.execute(text)).rows, whole);
    await assertRejects(() => connection.execute(sql`select 1 / 0`), DataError, "division by zero");
  }
  s.proxy.pieceSize = Infinity;
  const big = await connection.execute(sql<{ t: string }>`select repeat('ä', 10000000) as t`);
  assertEquals(big.scalar(), "ä".repeat(10_000_000));
});

Deno.test("30: a fatal error behind a complete answer leaves the result, and loses the connection", async () => {
  await using server = new FakeServer(async (client) => {
    await client.welcome();
    await client.read();
    await client.send(wire.answer("kept"), wire.ready(), wire.error("57P01", "bye", "FATAL"));
  });
  const connection = await openConnection(settingsOf(server.config()));
  assertEquals((await connection.run({ text: "select a", params: [] })).rows, [["kept"]]);
  assertInstanceOf(connection.lost, ConnectionLostError);
  await assertRejects(() => connection.ping(), ConnectionLostError, "57P01");
});

Deno.test("30: a fatal error before ReadyForQuery is a loss, since the commit was still to come", async () => {
  await using server = new FakeServer(async (client) => {
    await client.welcome();
    await client.read();
    await client.send(wire.answer("not sure"), wire.error("57P01", "bye", "FATAL"));
  });
  const connection = await openConnection(settingsOf(server.config()));
  await assertRejects(
    () => connection.run({ text: "insert", params: [] }),
    ConnectionLostError,
    "57P01",
  );
});

Deno.test("31: messages that nobody asked for are ignored, or lose the connection; no result is another's", async () => {
  const harmless = [
    wire.message("N", "SNOTICE\0VNOTICE\0C00000\0Mhello\0\0"),
    wire.message("S", "TimeZone\0Mars\0"),
    wire.message("A", "\0\0\0\x07channel\0payload\0"),
  ];
  const harmful = [
    wire.ready(),
    wire.answer("stray"),
    wire.row("stray"),
    wire.complete("SELECT 1"),
  ];
  const parts = (
    value: string,
  ) => [wire.described(), wire.row(value), wire.complete("SELECT 1"), wire.ready()];
  for (
    const [stray, isHarmless] of [
      ...harmless.map((message) => [message, true] as const),
      ...harmful.map((message) => [message, false] as const),
    ]
  ) {
    for (let place = 0; place <= 4; place++) {
      await using server = new FakeServer(async (client) => {
        await client.welcome();
        for (const value of ["first", "second"]) {
          await client.read();
          const answer = parts(value);
          if (value === "first") answer.splice(place, 0, stray);
          await client.send(...answer);
        }
      });
      const connection = await openConnection(settingsOf(server.config()));
      const ask = async (text: string) => (await connection.run({ text, params: [] })).rows;
      const [first, second] = await Promise.allSettled([ask("select 1"), ask("select 2")]);
      for (const [settled, expected] of [[first, "first"], [second, "second"]] as const) {
        if (isHarmless) assertEquals(settled, { status: "fulfilled", value: [[expected]] });
        else if (settled.status === "rejected") {
          assertInstanceOf(settled.reason, ConnectionLostError);
        } // A row slipped into the answer itself cannot be told from its own
        else if (place !== 1 && place !== 2) assertEquals(settled.value, [[expected]]);
      }
      connection.destroy();
    }
  }
});

scenario("32: an engine asks a server that refuses twice at most, and says why", async (s) => {
  const reasons: [(client: { conn: Deno.Conn }) => void, string][] = [
    [(client) => client.conn.close(), "CONNECT_FAILED"],
    [() => {}, "CONNECT_TIMEOUT"],
  ];
  for (const [serve, code] of reasons) {
    await using server = new FakeServer(serve);
    const { port } = server.config();
    const engine = s.engine({ connectTimeout: 100 }, { port: s.proxy.port });
    const refused = s.engine({ connectTimeout: 100 }, { port });
    const error = await assertRejects(() => refused.execute(one), ConnectError);
    assertEquals(error.code, code);
    assertLess(server.accepted, 3);
    s.forget(refused);
    await refused.dispose();
    await engine.execute(one);
  }
});

scenario("32: a full server is told as such, and the others go on", async (s) => {
  await s.sql("drop role if exists limited");
  await s.sql("create role limited login connection limit 1");
  const engine = s.engine({}, { user: "limited" });
  await using connection = await engine.connect();
  const error = await assertRejects(() => engine.execute(one), ConnectError);
  assertEquals([error.code, error.sqlState], ["TOO_MANY_CONNECTIONS", "53300"]);
  await connection.execute(one);
});

scenario(
  "34: the server's statement and lock timeouts are typed, and the connection goes on",
  async (s) => {
    await s.sql("create table t (n int); insert into t values (1)");
    const engine = s.engine({}, { parameters: { statement_timeout: "60", lock_timeout: "30" } });
    await using connection = await engine.connect();
    await assertRejects(() => connection.execute(sql`select pg_sleep(30)`), StatementTimeoutError);
    await connection.execute(one);
    await using holder = await s.engine().connect();
    await using tx = await holder.begin();
    await tx.execute(sql`update t set n = 2`);
    await assertRejects(() => connection.execute(sql`update t set n = 3`), LockTimeoutError);
    await connection.execute(one);
  },
);

scenario("34: the server's idle timeouts lose the connection, with their reason", async (s) => {
  const engine = s.engine({}, {
    parameters: { idle_in_transaction_session_timeout: "30", idle_session_timeout: "30" },
  });
  await using connection = await engine.connect();
  const tx = await connection.begin();
  while (connection.status !== "lost") await sleep(5);
  const error = await assertRejects(() => tx.execute(one), ConnectionLostError);
  assertEquals(error.sqlState, "25P03");
  const open = await openConnection(
    settingsOf(s.config({ parameters: { idle_session_timeout: "30" } })),
  );
  const lost = await new Promise<Error>((resolve) => open.onLost = resolve);
  assertEquals((lost as ConnectionLostError).sqlState, "57P05");
});

scenario(
  "35: hundreds of calls given up at any moment hit no statement but their own",
  async (s) => {
    const connections = await Promise.all(
      Array.from({ length: 4 }, () => openConnection(settingsOf(s.config()))),
    );
    let [aborted, answered] = [0, 0];
    const reason = new Error("given up");
    await Promise.all(connections.map(async (connection, lane) => {
      let seed = lane + 1;
      const random = () => (seed = seed * 48271 % 2147483647) / 2147483647;
      for (let i = 0; i < 100; i++) {
        const controller = new AbortController();
        const call = connection.run(
          {
            text: "select pg_sleep($1), generate_series(1, $2::int)",
            params: [`${random() < 0.5 ? 0 : random() * 0.01}`, `${Math.floor(random() * 1_000)}`],
          },
          { signal: controller.signal },
        ).then(() => answered++, (error) => {
          assert(error === reason, String(error));
          aborted++;
        });
        const innocent = connection.run({ text: "select $1::text", params: [`innocent ${i}`] });
        const moment = random();
        if (moment < 0.3) await Promise.resolve();
        else if (moment < 0.9) await sleep(0);
        else await sleep(random() * 3);
        controller.abort(reason);
        await call;
        assertEquals((await innocent).rows, [[`innocent ${i}`]]);
      }
    }));
    assertEquals(aborted + answered, 400);
    assertGreater(aborted, 40);
    await Promise.all(connections.map((connection) => connection.close()));
  },
);

scenario(
  "36: when the request to cancel is refused, the statement ends by its result or with its connection",
  async (s) => {
    const config = { cancelGrace: 150, port: s.proxy.port };
    const [quick, slow] = await Promise.all([
      openConnection(settingsOf(s.config(config))),
      openConnection(settingsOf(s.config(config))),
    ]);
    s.proxy.mode = "refuse";
    const run = (connection: PostgresConnection, seconds: number) =>
      connection.run({ text: "select pg_sleep($1), 'done'", params: [`${seconds}`] }, {
        timeout: 20,
      });
    const [finished, given] = await Promise.allSettled([run(quick, 0.08), run(slow, 30)]);
    assertEquals(finished.status === "fulfilled" && finished.value.rows[0]![1], "done");
    assertInstanceOf(given.status === "rejected" && given.reason, StatementTimeoutError);
    assertInstanceOf(slow.lost, ConnectionLostError);
    s.proxy.mode = "pass";
    await quick.ping();
    await quick.close();
    // The server goes on with what nobody could cancel
    await s.sql(
      "select pg_terminate_backend(pid) from pg_stat_activity where query like 'select pg_sleep%' and pid <> pg_backend_pid()",
    );
  },
);

scenario(
  "36: when the request to cancel stalls, the connection ends within the grace time",
  async (s) => {
    const connection = await openConnection(
      settingsOf(s.config({ cancelGrace: 100, port: s.proxy.port })),
    );
    s.proxy.mode = "stall";
    const start = performance.now();
    await assertRejects(
      () => connection.run({ text: "select 1", params: [] }, { signal: AbortSignal.timeout(10) }),
      DOMException,
    );
    assertLess(performance.now() - start, 1_000);
    assertInstanceOf(connection.lost, ConnectionLostError);
    s.proxy.mode = "pass";
  },
);

scenario("37: a statement that fails after rows leaves the next result exact", async (s) => {
  const engine = s.engine();
  await using connection = await engine.connect();
  for (let i = 0; i < 3; i++) {
    await assertRejects(
      () => connection.execute(sql`select 1 / (50 - g) from generate_series(1, 100) g`),
      DataError,
    );
    assertEquals((await connection.execute(one)).rows, [{ n: 1 }]);
  }
});

scenario(
  "38: a table altered under a prepared statement is no matter outside of a transaction",
  async (s) => {
    await s.sql("create table t as select 1 as a");
    const engine = s.engine({ poolSize: 1, maxOverflow: 0 });
    const all = sql`select * from t`;
    await engine.execute(all);
    await s.sql("alter table t add b int default 2");
    assertEquals((await engine.execute(all)).rows.length, 1);
  },
);

scenario(
  "38: a table altered under a prepared statement fails one transaction, not the next",
  async (s) => {
    await s.sql("create table t as select 1 as a");
    const engine = s.engine({ poolSize: 1, maxOverflow: 0 });
    const all = sql`select * from t`;
    await engine.execute(all);
    await s.sql("alter table t add b int default 2");
    await assertRejects(() => engine.begin((tx) => tx.execute(all)), StalePlanError);
    assertEquals(await engine.begin(async (tx) => (await tx.execute(all)).rows.length), 1);
  },
);

scenario(
  "39: behind a pooler in transaction mode everything works with `prepared: false`",
  async (s) => {
    const pooler = s.use(new TransactionPooler(s.url));
    const engine = s.engine({}, { port: pooler.port, prepared: false });
    for (let i = 0; i < 10; i++) {
      assertEquals((await engine.execute(sql`select ${i}::int as n`)).scalar(), i);
      await engine.begin(async (tx) => {
        assertEquals((await tx.execute(sql`select ${i}::int as n`)).scalar(), i);
        assertEquals((await tx.execute(sql`select ${i}::int + 1 as n`)).scalar(), i + 1);
      });
    }
    assertGreater(pooler.switches, 10);
  },
);

scenario(
  "39: behind a pooler in transaction mode a prepared statement fails with the hint",
  async (s) => {
    const pooler = s.use(new TransactionPooler(s.url));
    const engine = s.engine({ poolSize: 1, maxOverflow: 0 }, { port: pooler.port });
    const failures: unknown[] = [];
    for (let i = 0; i < 9; i++) {
      // Outside of a transaction it is mended unseen
      assertEquals((await engine.execute(sql`select ${i}::int as n`)).scalar(), i);
      for (let round = 0; round < i % 3; round++) {
        await engine.begin((tx) => tx.execute(sql`select ${i}::int as m`))
          .catch((error) => failures.push(error));
      }
    }
    assertGreater(failures.length, 0);
    for (const failure of failures) {
      assertInstanceOf(failure, StalePlanError);
      assertEquals(failure.sqlState, "26000");
      assertStringIncludes(failure.message, "`prepared: false`");
    }
  },
);

scenario(
  "40: a value that cannot be decoded names its column, and the connection goes on",
  async (s) => {
    class Event extends entity("events", {
      id: integer().primaryKey(),
      size: json<number>(),
    }) {}
    await s.sql("create table events (id int primary key, size text)");
    await s.sql("insert into events values (1, '10'), (2, 'a secret')");
    await using engine = new AsyncEngine(postgresDriver(s.config()), {
      entities: [Event],
      poolSize: 1,
      maxOverflow: 0,
    });
    await using session = engine.session();
    const error = await assertRejects(() => session.query(Event).all(), DecodeError);
    assertStringIncludes(error.message, "size");
    assertEquals(error.message.includes("secret"), false);
    assertEquals((await session.query(Event).where((e) => e.id.eq(1)).all()).length, 1);
  },
);
