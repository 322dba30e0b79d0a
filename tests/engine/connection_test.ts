import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { CoreEngine } from "../../src/engine/core_engine.ts";
import { ClosedError, ConnectionLostError, InputError, UsageError } from "../../src/errors.ts";
import { sql } from "../../src/sql/raw.ts";
import { eachEngine } from "../support/each_engine.ts";
import { runSql } from "../support/postgres_server.ts";

eachEngine("Connection.execute() binds values and decodes rows", async ({ target }) => {
  await using engine = new CoreEngine(target);
  await using connection = await engine.connect();
  await connection.execute(sql`create table notes (id integer, note text)`);
  const evil = "'); drop table notes; --";
  const insert = await connection.execute(sql`insert into notes values (${1}, ${evil}), (2, null)`);
  assertEquals([insert.rowCount, insert.rows], [2, []]);
  const rows = await connection.execute(
    sql<{ id: number; note: string | null }>`select id, note from notes order by id`,
  );
  assertEquals(rows.rows, [{ id: 1, note: evil }, { id: 2, note: null }]);
});

eachEngine("Connection carries calls out in the order they were made", async ({ target }) => {
  await using engine = new CoreEngine(target);
  await using connection = await engine.connect();
  await connection.execute(sql`create table numbers (n integer)`);
  const calls = Array.from(
    { length: 20 },
    (_, n) => connection.execute(sql`insert into numbers select ${n} from (select 1) as one`),
  );
  const last = connection.execute(sql<{ n: number }>`select count(*) as n from numbers`);
  await Promise.all(calls);
  assertEquals(Number((await last).scalar()), 20);
});

eachEngine("Connection refuses what is no whole statement, before sending", async ({ target }) => {
  await using engine = new CoreEngine(target);
  await using connection = await engine.connect();
  for (const bad of ["select 1", undefined, { kind: "raw", parts: ["select 1"] }, sql.identifier]) {
    await assertRejects(() => connection.execute(bad as never), InputError);
  }
  await assertRejects(() => connection.execute(sql`select ${{}}`), InputError);
  assertEquals(connection.status, "idle");
});

eachEngine("Connection answers ClosedError after its release", async ({ target }) => {
  await using engine = new CoreEngine(target);
  const connection = await engine.connect();
  await connection.release();
  await connection.release();
  assertEquals(connection.status, "closed");
  await assertRejects(() => connection.execute(sql`select 1`), ClosedError);
  await assertRejects(() => connection.begin(), ClosedError);
  await assertRejects(() => connection.stream(sql`select 1`).next(), ClosedError);
  assertEquals(engine.pool.status().idle, 1);
});

eachEngine("Connection released in a transaction is clean for the next", async ({ target }) => {
  await using engine = new CoreEngine(target, { poolSize: 1, maxOverflow: 0 });
  await engine.execute(sql`create table notes (note text)`);
  const connection = await engine.connect();
  const { id } = connection;
  const tx = await connection.begin();
  const hooks: string[] = [];
  tx.onRollback(() => void hooks.push("rolled back"));
  await tx.execute(sql`insert into notes values ('lost')`);
  await connection.release();
  assertEquals(hooks, ["rolled back"]);
  await assertRejects(() => tx.execute(sql`select 1`), ClosedError);
  await using next = await engine.connect();
  assertEquals([next.id, next.status], [id, "idle"]);
  const count = await next.execute(sql<{ n: number }>`select count(*) as n from notes`);
  assertEquals(Number(count.scalar()), 0);
});

eachEngine("Connection released with a transaction by hand is rolled back", async ({ target }) => {
  await using engine = new CoreEngine(target, { poolSize: 1, maxOverflow: 0 });
  await engine.execute(sql`create table notes (note text)`);
  {
    await using connection = await engine.connect();
    await connection.execute(sql`begin`);
    await connection.execute(sql`insert into notes values ('lost')`);
  }
  const count = await engine.execute(sql<{ n: number }>`select count(*) as n from notes`);
  assertEquals(Number(count.scalar()), 0);
}, { except: { sqlite: "its driver refuses such a statement" } });

eachEngine("A statement that nobody awaits cannot end the process", async ({ target }) => {
  await using engine = new CoreEngine(target);
  await using connection = await engine.connect();
  connection.execute(sql`select nothing_of_the_kind`);
  await using tx = await connection.begin();
  tx.execute(sql`select nothing_of_the_kind`);
  await new Promise((resolve) => setTimeout(resolve, 20));
  await tx.rollback();
  assertEquals(Number((await connection.execute(sql<{ n: number }>`select 1 as n`)).scalar()), 1);
});

eachEngine("Connection.execute() with an aborted signal sends nothing", async ({ target }) => {
  await using engine = new CoreEngine(target);
  await using connection = await engine.connect();
  const reason = new Error("no longer");
  const call = { signal: AbortSignal.abort(reason) };
  assertStrictEquals(await assertRejects(() => connection.execute(sql`select 1`, call)), reason);
  await connection.execute(sql`select 1`);
});

eachEngine("Connection.openCursor() wants a transaction", async ({ target }) => {
  await using engine = new CoreEngine(target);
  await using connection = await engine.connect();
  const statement = { text: "select 1", params: [] };
  await assertRejects(() => connection.openCursor(statement), UsageError, "lives in a transaction");
  await connection.begin(async () => {
    const cursor = await connection.openCursor(statement);
    assertEquals((await cursor.fetch(10)).rows.length, 1);
    await cursor.close();
  });
});

eachEngine(
  "A lost connection answers ConnectionLostError from then on",
  async ({ target, url }) => {
    await using engine = new CoreEngine(target, { poolSize: 2 });
    const lost: string[] = [];
    engine.on("lost", ({ connection }) => void lost.push(connection));
    const connection = await engine.connect();
    await runSql(url, `select pg_terminate_backend(${connection.id})`);
    while (lost.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    for (let turn = 0; turn < 2; turn++) {
      await assertRejects(() => connection.execute(sql`select 1`), ConnectionLostError);
      await assertRejects(() => connection.begin(), ConnectionLostError);
    }
    assertEquals([connection.status, lost], ["lost", [connection.id]]);
    await connection.release();
    const { size, lost: count } = engine.pool.status();
    assertEquals([size, count], [0, 1]);
    await engine.execute(sql`select 1`);
  },
  { only: ["postgres"] },
);

eachEngine("A connection lost in a transaction fails it as a whole", async ({ target, url }) => {
  await using engine = new CoreEngine(target);
  await engine.execute(sql`create table notes (note text)`);
  const failed = new Error("in the callback");
  const error = await assertRejects(() =>
    engine.begin(async (tx) => {
      await tx.execute(sql`insert into notes values ('first half')`);
      const pid = await tx.execute(sql<{ pid: number }>`select pg_backend_pid() as pid`);
      await runSql(url, `select pg_terminate_backend(${pid.scalar()})`);
      const second = sql`insert into notes values ('second half')`;
      assertInstanceOf(await tx.execute(second).catch((e) => e), ConnectionLostError);
      assertInstanceOf(await tx.execute(second).catch((e) => e), ConnectionLostError);
      throw failed;
    })
  );
  assertStrictEquals(error, failed);
  assert((error as { suppressed?: unknown[] }).suppressed?.[0] instanceof ConnectionLostError);
  const swallowed = engine.begin(async (tx) => {
    const pid = await tx.execute(sql<{ pid: number }>`select pg_backend_pid() as pid`);
    await runSql(url, `select pg_terminate_backend(${pid.scalar()})`);
    await tx.execute(sql`insert into notes values ('x')`).catch(() => {});
  });
  await assertRejects(() => swallowed, ConnectionLostError);
  const count = await engine.execute(sql<{ n: number }>`select count(*) as n from notes`);
  assertEquals(Number(count.scalar()), 0);
}, { only: ["postgres"] });
