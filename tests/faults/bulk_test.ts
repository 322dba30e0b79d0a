/** Rows 62, 63 and 65 of the fault catalogue: COPY and bulk writes on connections that fail. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  AsyncEngine,
  type AsyncEngineOptions,
  CheckViolationError,
  ConnectionLostError,
  createAll,
  entity,
  InputError,
  integer,
  sql,
  text,
} from "@sluice/orm";
import { postgresDriver } from "../../src/dialect/postgres/driver.ts";
import type { PostgresConfig } from "../../src/dialect/postgres/options.ts";
import { type Scenario, scenario } from "./support.ts";

class Line extends entity("lines", {
  id: integer().primaryKey(),
  text: text().nullable(),
  a: integer().nullable(),
  b: integer().nullable(),
}) {}

async function open(
  s: Scenario,
  options: AsyncEngineOptions = {},
  config: Partial<PostgresConfig> = {},
): Promise<AsyncEngine> {
  const engine = s.watch(
    new AsyncEngine(postgresDriver(s.config(config)), {
      entities: [Line],
      ...options,
    }),
  );
  await createAll(engine);
  return engine;
}

const stored = async (s: Scenario) => (await s.sql("select count(*)::int as n from lines"))[0]!.n;

scenario("62: COPY names the row, wherever it is and whatever is wrong with it", async (s) => {
  const engine = await open(s, { poolSize: 1, maxOverflow: 0 });
  await s.sql(`create domain quota as text check (length(value) < 1000)`);
  await s.sql(`alter table lines alter column text type quota`);
  for (const at of [0, 7, 99_999]) {
    const rows = function* () {
      for (let id = 0; id < 100_000; id++) {
        yield { id, text: id === at ? "x".repeat(2_000) : "fine" };
      }
    };
    const error = await assertRejects(() => engine.copyIn(Line, rows()), CheckViolationError);
    assertEquals([error.row, error.sqlState], [at, "23514"]);
  }
  const nul = [{ id: 1, text: "a" }, { id: 2, text: "a\0b" }];
  assertEquals((await assertRejects(() => engine.copyIn(Line, nul), InputError)).row, 1);
  assertEquals(await stored(s), 0);
  assertEquals(await engine.copyIn(Line, [{ id: 1, text: "good" }]), 1);
});

scenario("62: a COPY whose backend is killed is an error, and nothing is stored", async (s) => {
  const engine = await open(s);
  let closed = false;
  async function* rows() {
    try {
      for (let id = 0;; id++) {
        yield { id, text: "x".repeat(100) };
        if (id === 20_000) {
          await s.sql(`select pg_terminate_backend(pid, 5000) from pg_stat_activity
            where datname = current_database() and query ilike 'copy%'`);
        }
      }
    } finally {
      closed = true;
    }
  }
  await assertRejects(() => engine.copyIn(Line, rows()), ConnectionLostError);
  // The source itself still waited for its own statement then.
  while (!closed) await new Promise((resolve) => setTimeout(resolve, 2));
  assertEquals(await stored(s), 0);
  assertEquals(engine.pool.status().checkedOut, 0);
  assertEquals(await engine.copyIn(Line, [{ id: 1 }]), 1);
});

scenario("62: copyOut() whose backend is killed is an error, never a short file", async (s) => {
  const engine = await open(s);
  await s.sql("insert into lines select i, repeat('x', 500) from generate_series(1, 20000) i");
  await assertRejects(async () => {
    let first = true;
    for await (const _ of engine.copyOut(Line)) {
      if (!first) continue;
      first = false;
      await s.sql(`select pg_terminate_backend(pid, 5000) from pg_stat_activity
        where datname = current_database() and query ilike 'copy%'`);
    }
  }, ConnectionLostError);
  assertEquals(engine.pool.status().checkedOut, 0);
});

for (const method of ["insert", "copy"] as const) {
  scenario(`62: a bulkInsert() by ${method} whose backend is killed stores nothing`, async (s) => {
    const engine = await open(s);
    await using session = engine.session();
    async function* rows() {
      for (let id = 0; id < 20_000; id++) {
        yield { id };
        if (id !== 11_000) continue;
        await s.sql(`select pg_terminate_backend(pid, 5000) from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid()`);
      }
    }
    await assertRejects(() => session.bulkInsert(Line, rows(), { method }), ConnectionLostError);
    assertEquals(await stored(s), 0);
    assertEquals(await session.bulkInsert(Line, [{ id: 1 }], { method }), 1);
  });
}

scenario("63: a server that takes nothing more has the source wait", async (s) => {
  const engine = await open(s, {}, { port: s.proxy.port });
  let given = 0;
  async function* rows() {
    for (; given < 400_000; given++) {
      if (given === 1_000) s.proxy.mode = "stall";
      yield { id: given, text: "x".repeat(200) };
    }
  }
  const copying = engine.copyIn(Line, rows());
  copying.catch(() => {});
  let before = -1;
  // Until nothing moves any more: what lies in buffers on the way is bounded.
  while (before !== given) {
    before = given;
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
  assert(given < 200_000, `${given} rows were asked for`);
  s.proxy.cut();
  s.proxy.mode = "pass";
  await assertRejects(() => copying, ConnectionLostError);
  assertEquals(await stored(s), 0);
});

scenario("65: more binds than the protocol has go in one transaction", async (s) => {
  const engine = await open(s);
  await using session = engine.session();
  const actions: string[] = [];
  engine.on("transaction", ({ action }) => void actions.push(action));
  for (const count of [16_383, 16_384, 22_000]) {
    actions.length = 0;
    const rows = Array.from({ length: count }, (_, id) => ({ id, text: "t", a: 1, b: 2 }));
    assertEquals(await session.bulkInsert(Line, rows, { method: "insert" }), count);
    assertEquals(await session.bulkUpdate(Line, rows.map(({ id }) => ({ id, a: 3, b: 4 }))), count);
    assertEquals(await session.bulkDelete(Line, rows.map(({ id }) => id)), count);
    assertEquals(actions, Array(3).fill(["begin", "commit"]).flat());
  }
  assertEquals(await stored(s), 0);
  await session.execute(sql`select 1`);
});
