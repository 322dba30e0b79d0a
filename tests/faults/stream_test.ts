/**
 * Rows 57 and 58 of the fault catalogue: streams that are cut, and streams that nobody reads on. The
 * others up to 61 are in `stream_test.ts` of `tests/engine` and `tests/session`, on every database.
 */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import {
  AsyncEngine,
  ClosedError,
  ConnectionLostError,
  entity,
  integer,
  type LeakReport,
  sql,
} from "@sluice/orm";
import { postgresDriver } from "../../src/dialect/postgres/driver.ts";
import { type Scenario, scenario } from "./support.ts";

class Step extends entity("steps", { id: integer().primaryKey() }) {}

async function filled(s: Scenario, leakAfter = 0): Promise<AsyncEngine> {
  await s.sql("create table steps as select n as id from generate_series(1, 50) n");
  const driver = postgresDriver(s.config());
  return s.watch(
    new AsyncEngine(driver, { entities: [Step], poolSize: 1, maxOverflow: 0, leakAfter }),
  );
}

const backends = `select pid from pg_stat_activity
  where datname = current_database() and pid <> pg_backend_pid()`;

scenario("57: a stream whose backend dies during a fetch is an error, never the end", async (s) => {
  const engine = await filled(s);
  await using session = engine.session();
  const seen: number[] = [];
  const error = await assertRejects(async () => {
    const slow = session.query(Step)
      .where((step) =>
        sql<boolean>`case when ${step.id} > 20 then pg_sleep(20) is not null end`.or(
          step.id.lte(20),
        )
      )
      .window(10);
    let killed: Promise<void> | undefined;
    for await (const step of slow) {
      seen.push(step.id);
      killed ??= s.until(`select exists (${backends} and wait_event = 'PgSleep')`)
        .then(async () => {
          for (const { pid } of await s.sql(backends)) await s.kill(String(pid));
        });
    }
  }, ConnectionLostError);
  assert(error instanceof ConnectionLostError);
  assertEquals(seen, Array.from({ length: 20 }, (_, i) => i + 1));
});

scenario(
  "58: a stream that nobody reads on is reported with its place, and ends with its session",
  async (s) => {
    const engine = await filled(s, 30);
    const reports: LeakReport[] = [];
    engine.on("leak", (report) => reports.push(report));
    const session = engine.session();
    const abandoned = session.query(Step).window(10)[Symbol.asyncIterator]();
    await abandoned.next();
    while (reports.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    assertMatch(reports[0]!.stack ?? "", /stream_test\.ts/);
    assertEquals(engine.pool.status().checkedOut, 1);
    await session.close();
    assertEquals(engine.pool.status().checkedOut, 0);
    const cursors = await engine.execute(
      sql<{ n: number }>`select count(*)::int as n from pg_cursors where name <> ''`,
    );
    assertEquals(cursors.scalar(), 0);
    assertEquals((await abandoned.next()).done, true);
  },
);

scenario("58: dispose() does not wait for ever for a stream that nobody reads on", async (s) => {
  const engine = await filled(s);
  s.forget(engine);
  const session = engine.session();
  const abandoned = session.query(Step).window(10)[Symbol.asyncIterator]();
  for (let i = 0; i < 10; i++) await abandoned.next();
  await engine.dispose({ timeout: 20 });
  await s.until(`select not exists (${backends})`);
  await assertRejects(async () => {
    while (!(await abandoned.next()).done);
  }, ClosedError);
  await session.close();
});
