import { assert, assertEquals, assertInstanceOf, assertLess } from "@std/assert";
import { AsyncEngine, entity, integer, sql, text } from "../../mod.ts";
import {
  ConnectionLostError,
  EngineDisposedError,
  StatementError,
  StatementTimeoutError,
} from "../../src/errors.ts";
import type { DriverResult, DriverStatement } from "../../src/dialect/driver.ts";
import type { EngineOptions } from "../../src/engine/options.ts";
import {
  createDatabase,
  dropDatabase,
  runSql,
  sharedPostgres,
} from "../support/postgres_server.ts";
import { Random } from "../support/random.ts";

class Item extends entity("items", { id: integer().primaryKey(), name: text() }) {}

const url = await createDatabase(await sharedPostgres());
await runSql(
  url,
  "create table items as select n as id, 'item ' || n as name from generate_series(1, 500) n",
);
Deno.test.afterAll(() => dropDatabase(url));

function engineOf(options: EngineOptions = {}): AsyncEngine {
  return new AsyncEngine(url, {
    entities: [Item],
    poolSize: 8,
    shareConnections: true,
    ...options,
  });
}

const select = (text: string, ...params: string[]): DriverStatement => ({ text, params });

/** Shares a statement, from the second time on; one that is to have a connection to itself gets it. */
async function share(engine: AsyncEngine, statement: DriverStatement): Promise<DriverResult> {
  return await engine.share(statement) ?? await engine.run(statement);
}

/** After everything, nothing is lent, nobody waits, and the engine works. */
async function assertQuiet(engine: AsyncEngine): Promise<void> {
  const { checkedOut, waiting } = engine.pool.status();
  assertEquals({ checkedOut, waiting }, { checkedOut: 0, waiting: 0 });
  assertEquals((await share(engine, select("select 1"))).rows, [["1"]]);
}

Deno.test("Reads of many sessions travel together, and each gets its own answer", async () => {
  await using engine = engineOf();
  const work = async (_: unknown, i: number): Promise<void> => {
    await using session = engine.session();
    const item = await session.getOrFail(Item, i + 1);
    assertEquals(item.name, `item ${i + 1}`);
    const [same] = await session.query(Item).where((x) => x.id.eq(i + 1)).all();
    assert(same === item);
  };
  await Promise.all(Array.from({ length: 20 }, work)); // these show how long it takes
  const before = engine.pool.status().checkouts;
  await Promise.all(Array.from({ length: 300 }, work));
  // How many travel together depends on how fast the machine answers; that some do does not
  assertLess(engine.pool.status().checkouts - before, 600);
  await assertQuiet(engine);
});

Deno.test("A read that fails touches none of those that travel with it", async () => {
  await using engine = engineOf();
  const outcomes = await Promise.allSettled(
    Array.from(
      { length: 200 },
      (_, i) =>
        share(
          engine,
          select(i % 7 === 3 ? "select 1 / $1::int" : "select $1::int", i % 7 === 3 ? "0" : `${i}`),
        ),
    ),
  );
  outcomes.forEach((outcome, i) => {
    if (i % 7 === 3) assertEquals(outcome.status, "rejected");
    else assertEquals(outcome.status === "fulfilled" && outcome.value.rows, [[`${i}`]]);
  });
  const syntax = await Promise.allSettled([
    share(engine, select("selekt")),
    share(engine, select("select 2")),
  ]);
  assertInstanceOf((syntax[0] as PromiseRejectedResult).reason, StatementError);
  assertEquals(syntax[1].status, "fulfilled");
  await assertQuiet(engine);
});

Deno.test("Nothing is sent behind a slow read, and who waits for one goes elsewhere", async () => {
  await using engine = engineOf();
  let slow = true;
  const sleeping = Array.from({ length: 4 }, () => share(engine, select("select pg_sleep(0.7)")));
  await Promise.race([sleeping[0], new Promise((resolve) => setTimeout(resolve, 300))]);
  const quick = await Promise.all(
    Array.from(
      { length: 40 },
      (_, i) =>
        share(engine, select("select $1::int", `${i}`)).then((r) => {
          assert(slow, "a read waited for a slow one");
          return r.rows;
        }),
    ),
  );
  assertEquals(quick, Array.from({ length: 40 }, (_, i) => [[`${i}`]]));
  slow = false;
  await Promise.all(sleeping);
  await assertQuiet(engine);
});

Deno.test("A lost connection fails the reads on it, and no other", async () => {
  await using engine = engineOf();
  await share(engine, select("select 1"));
  const reads = Array.from(
    { length: 6 },
    () => share(engine, select("select pg_backend_pid(), pg_sleep(0.4)")),
  );
  const outcomes = Promise.allSettled(reads);
  await new Promise((resolve) => setTimeout(resolve, 150));
  await runSql(
    url,
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and query like '%pg_sleep%' and pid <> pg_backend_pid()`,
  );
  for (const outcome of await outcomes) {
    if (outcome.status === "rejected") assertInstanceOf(outcome.reason, ConnectionLostError);
  }
  assert((await outcomes).some(({ status }) => status === "rejected"));
  await assertQuiet(engine);
});

Deno.test("The engine's own limit cancels what is too slow, and nobody else", async () => {
  await using engine = engineOf({ statementTimeout: 300 });
  await share(engine, select("select 1"));
  const sleeping = Array.from({ length: 4 }, () => share(engine, select("select pg_sleep(5)")));
  const outcomes = Promise.allSettled(sleeping);
  await new Promise((resolve) => setTimeout(resolve, 60));
  for (let i = 0; i < 60; i++) {
    assertEquals((await share(engine, select("select $1::int", `${i}`))).rows, [[`${i}`]]);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  for (const outcome of await outcomes) {
    assertInstanceOf((outcome as PromiseRejectedResult).reason, StatementTimeoutError);
  }
  await assertQuiet(engine);
});

Deno.test("A thousand aborts at any moment cancel no read that travels with others", async () => {
  await using engine = engineOf();
  const random = new Random(7);
  let aborted = 0;
  const work = async (i: number): Promise<void> => {
    await using session = engine.session();
    if (i % 2 === 0) {
      assertEquals((await session.getOrFail(Item, 1 + i % 500)).id, 1 + i % 500);
      return;
    }
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), random.float() * 6);
    try {
      await session.query(Item).where((x) => x.id.gt(i % 500)).signal(abort.signal).all();
    } catch (error) {
      if (error !== abort.signal.reason) throw error;
      aborted++;
    } finally {
      clearTimeout(timer);
    }
  };
  let next = 0;
  await Promise.all(Array.from({ length: 24 }, async () => {
    while (next < 2_000) await work(next++);
  }));
  assert(aborted > 0);
  await assertQuiet(engine);
});

Deno.test("dispose() lets the reads that travel end, and refuses others", async () => {
  const engine = engineOf();
  await share(engine, select("select 1"));
  const reads = Array.from(
    { length: 10 },
    (_, i) => share(engine, select("select $1::int, pg_sleep(0.02)", `${i}`)),
  );
  await new Promise((resolve) => setTimeout(resolve, 30));
  const disposed = engine.dispose();
  const outcomes = await Promise.allSettled([...reads, share(engine, select("select 2"))]);
  await disposed;
  const refused = outcomes.pop() as PromiseRejectedResult;
  assertInstanceOf(refused.reason, EngineDisposedError);
  for (const outcome of outcomes) {
    if (outcome.status === "rejected") assertInstanceOf(outcome.reason, EngineDisposedError);
  }
  assertEquals(outcomes[0]!.status, "fulfilled");
});

Deno.test("Inside a transaction, and with a limit of its own, a read has its connection", async () => {
  await using engine = engineOf();
  await using session = engine.session();
  await session.begin(async () => {
    await session.execute(sql`insert into items values (1000, 'new')`);
    assertEquals((await session.get(Item, 1000))?.name, "new");
    const inside = session.query(Item).where((x) => x.id.eq(1000));
    assertEquals((await inside.all()).length, 1);
    await session.execute(sql`delete from items where id = 1000`);
  });
  const item = await session.query(Item).where((x) => x.id.eq(3)).timeout(5_000).one();
  assertEquals(item.name, "item 3");
  await assertQuiet(engine);
});

Deno.test("A pool with one connection shares none, and works", async () => {
  await using engine = engineOf({ poolSize: 1, maxOverflow: 0 });
  const rows = await Promise.all(
    Array.from({ length: 9 }, (_, i) => share(engine, select(`select ${i}`))),
  );
  assertEquals(rows.map(({ rows }) => rows[0]![0]), Array.from({ length: 9 }, (_, i) => `${i}`));
  await assertQuiet(engine);
});

Deno.test("A read that was slow when it ran last travels alone", async () => {
  await using engine = engineOf();
  const nap = (ms: number) => select("select pg_sleep($1::float8 / 1000)", `${ms}`);
  await share(engine, nap(1)); // quick, so it may travel
  await share(engine, nap(60)); // it did, and was slow
  const { checkouts } = engine.pool.status();
  await Promise.all([share(engine, nap(1)), share(engine, nap(1)), share(engine, nap(1))]);
  assertEquals(engine.pool.status().checkouts - checkouts, 3);
  await assertQuiet(engine);
});
