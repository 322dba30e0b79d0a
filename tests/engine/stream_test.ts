import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { CoreEngine } from "../../src/engine/core_engine.ts";
import {
  ClosedError,
  ConnectionLostError,
  DataError,
  InputError,
  ReadOnlyError,
  UsageError,
} from "../../src/errors.ts";
import { type Sql, sql } from "../../src/sql/raw.ts";
import { eachEngine } from "../support/each_engine.ts";
import { runSql } from "../support/postgres_server.ts";

/** The numbers from 1 to `to`. */
function numbers(to: number): Sql<{ n: number }> {
  return sql`with recursive numbers(n) as
    (select 1 union all select n + 1 from numbers where n < ${to})
    select n from numbers`;
}

function upTo(to: number): number[] {
  return Array.from({ length: to }, (_, i) => i + 1);
}

eachEngine("stream() gives every row, whatever the window", async ({ target }) => {
  await using engine = new CoreEngine(target);
  await using connection = await engine.connect();
  for (const [rows, window] of [[10, 3], [10, 5], [10, 10], [10, 500], [1, 1]] as const) {
    const seen: number[] = [];
    for await (const { n } of connection.stream(numbers(rows), { window })) seen.push(n);
    assertEquals(seen, upTo(rows));
    assertEquals(connection.status, "idle");
  }
  const none = sql<{ n: number }>`select 1 as n where 1 = 0`;
  for await (const row of connection.stream(none)) throw new Error(`unexpected ${row.n}`);
});

eachEngine("stream() left early is closed, by break, throw and return", async ({ target }) => {
  await using engine = new CoreEngine(target);
  await using connection = await engine.connect();
  for await (const { n } of connection.stream(numbers(100), { window: 10 })) {
    if (n === 15) break;
  }
  assertEquals(connection.status, "idle");
  const failed = new Error("mine");
  const looped = async () => {
    for await (const _ of connection.stream(numbers(100), { window: 10 })) throw failed;
  };
  assertStrictEquals(await assertRejects(looped), failed);
  assertEquals(connection.status, "idle");

  const stream = connection.stream(numbers(100), { window: 10 });
  await stream.return();
  await stream.return();
  assertEquals(await stream.next(), { done: true, value: undefined });
  assertEquals((await connection.execute(sql<{ n: number }>`select 1 as n`)).scalar(), 1);
});

eachEngine("stream() carries out several next() one after the other", async ({ target }) => {
  await using engine = new CoreEngine(target);
  await using connection = await engine.connect();
  const stream = connection.stream(numbers(5), { window: 2 });
  const results = await Promise.all(Array.from({ length: 7 }, () => stream.next()));
  assertEquals(results.map(({ value }) => value?.n), [1, 2, 3, 4, 5, undefined, undefined]);
});

eachEngine("stream() lets other statements run between its windows", async ({ target }) => {
  await using engine = new CoreEngine(target);
  await using connection = await engine.connect();
  const pairs: number[][] = [];
  for await (const outer of connection.stream(numbers(3), { window: 1 })) {
    for await (const inner of connection.stream(numbers(2), { window: 1 })) {
      pairs.push([outer.n, inner.n]);
    }
    await connection.execute(sql`select 1`);
  }
  assertEquals(pairs, [[1, 1], [1, 2], [2, 1], [2, 2], [3, 1], [3, 2]]);
  assertEquals(connection.status, "idle");
});

eachEngine("stream() inside a transaction stays in it, and ends with it", async ({ target }) => {
  await using engine = new CoreEngine(target);
  await engine.execute(sql`create table seen (n integer)`);
  await engine.begin(async (tx) => {
    for await (const { n } of tx.stream(numbers(4), { window: 2 })) {
      await tx.execute(sql`insert into seen values (${n})`);
    }
  });
  const count = await engine.execute(sql<{ n: number }>`select count(*) as n from seen`);
  assertEquals(Number(count.scalar()), 4);

  await using connection = await engine.connect();
  const tx = await connection.begin();
  const stream = tx.stream(numbers(10), { window: 2 });
  await stream.next();
  await tx.commit();
  await stream.next();
  await assertRejects(() => stream.next(), ClosedError, "has ended");
});

eachEngine("stream() outside of a transaction reads only, and says so", async ({ target }) => {
  await using engine = new CoreEngine(target);
  await engine.execute(sql`create table seen (n integer)`);
  await using connection = await engine.connect();
  const writing = async () => {
    for await (const { n } of connection.stream(numbers(4), { window: 2 })) {
      await assertRejects(() => connection.begin(), UsageError, "A stream");
      await connection.execute(sql`insert into seen values (${n})`);
    }
  };
  await assertRejects(writing, ReadOnlyError);
  assertEquals(connection.status, "idle");
});

eachEngine(
  "stream() throws the error of a later window, never a normal end",
  async ({ target }) => {
    await using engine = new CoreEngine(target);
    await using connection = await engine.connect();
    const seen: number[] = [];
    const failing = sql<{ n: number }>`select 10 / (6 - n) as n from (${numbers(10)}) as numbers`;
    const loop = async () => {
      for await (const { n } of connection.stream(failing, { window: 2 })) seen.push(n);
    };
    await assertRejects(loop, DataError);
    assertEquals(seen.length, 4);
    await connection.execute(sql`select 1`);
  },
  { except: { sqlite: "it divides by zero and gives null" } },
);

eachEngine("stream() ends with the signal's reason", async ({ target }) => {
  await using engine = new CoreEngine(target);
  await using connection = await engine.connect();
  const controller = new AbortController();
  const reason = new Error("enough");
  const loop = async () => {
    const options = { window: 2, signal: controller.signal };
    for await (const { n } of connection.stream(numbers(10), options)) {
      if (n === 4) controller.abort(reason);
    }
  };
  assertStrictEquals(await assertRejects(loop), reason);
  assertEquals(connection.status, "idle");
  await connection.execute(sql`select 1`);
});

eachEngine("stream() refuses windows and statements that make no sense", async ({ target }) => {
  await using engine = new CoreEngine(target);
  await using connection = await engine.connect();
  for (const window of [0, -1, 1.5, NaN]) {
    await assertRejects(() => connection.stream(numbers(3), { window }).next(), InputError);
  }
  await assertRejects(() => connection.stream("select 1" as never).next(), InputError);
  assertEquals(connection.status, "idle");
});

eachEngine("stream() whose connection is lost throws, between windows too", async (context) => {
  await using engine = new CoreEngine(context.target);
  await using connection = await engine.connect();
  const seen: number[] = [];
  const loop = async () => {
    for await (const { n } of connection.stream(numbers(50), { window: 10 })) {
      seen.push(n);
      if (n === 15) await runSql(context.url, `select pg_terminate_backend(${connection.id})`);
    }
  };
  await assertRejects(loop, ConnectionLostError);
  assertEquals(seen, upTo(20));
}, { only: ["postgres"] });

eachEngine(
  "stream() left while the server is at the next window has it stop",
  async ({ target }) => {
    await using engine = new CoreEngine(target);
    await using connection = await engine.connect();
    const slow = sql<{ n: number }>`select n, case when n > 4 then pg_sleep(60) end as slept
    from generate_series(1, 10) n`;
    for await (const { n } of connection.stream(slow, { window: 2 })) if (n === 4) break;
    assertEquals(connection.status, "idle");
    const result = await connection.execute(sql<{ n: number }>`select 7 as n`);
    assertEquals(result.scalar(), 7);
  },
  { only: ["postgres"] },
);
