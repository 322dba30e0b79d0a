/** Rows 57 and 64 of the fault catalogue: batched walks whose connection goes away. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  AsyncEngine,
  type AsyncEngineOptions,
  BatchError,
  CommitUnknownError,
  ConnectionLostError,
  createAll,
  entity,
  integer,
  sql,
} from "@sluice/orm";
import { postgresDriver } from "../../src/dialect/postgres/driver.ts";
import type { PostgresConfig } from "../../src/dialect/postgres/options.ts";
import { type Scenario, scenario } from "./support.ts";

class Ticket extends entity("tickets", {
  id: integer().primaryKey(),
  times: integer().default(0),
}) {}

function open(
  s: Scenario,
  options: AsyncEngineOptions = {},
  config: Partial<PostgresConfig> = {},
): AsyncEngine {
  return s.watch(
    new AsyncEngine(postgresDriver(s.config(config)), { entities: [Ticket], ...options }),
  );
}

async function fill(s: Scenario, count: number): Promise<void> {
  const engine = open(s);
  await createAll(engine);
  await using session = engine.session();
  await session.bulkInsert(Ticket, Array.from({ length: count }, (_, id) => ({ id })));
}

const times = async (s: Scenario) =>
  (await s.sql("select times, count(*)::int as n from tickets group by times order by times"))
    .map(({ times, n }) => [times, n]);

scenario(
  "57: killed in a batch or between two, a walk ends with an error and its place",
  async (s) => {
    await fill(s, 20);
    const engine = open(s);
    for (const between of [false, true]) {
      await s.sql("update tickets set times = 0");
      await using session = engine.session();
      const kill = async () => {
        await s.sql(`select pg_terminate_backend(pid, 5000) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()`);
      };
      const walk = session.query(Ticket).commitEvery(5, {
        onCommit: async ({ batches }) => {
          if (between && batches === 2) await kill();
        },
      });
      const error = await assertRejects(async () => {
        for await (const ticket of walk) {
          ticket.times++;
          if (!between && ticket.id === 12) await kill();
        }
        // A pool that tests its connections may replace the dead one unseen: then nothing failed.
        if (between) {
          throw new BatchError("none", { rows: 20, batches: 4, checkpoint: walk.checkpoint });
        }
      }, BatchError);
      if (!between) assert(error.cause instanceof ConnectionLostError, String(error.cause));
      assertEquals(
        await times(s),
        error.rows === 20 ? [[1, 20]] : [[0, 20 - error.rows], [1, error.rows]],
      );
      for await (
        const ticket of session.query(Ticket).commitEvery(5, { resumeAfter: error.checkpoint })
      ) ticket.times++;
      assertEquals(await times(s), [[1, 20]]);
    }
    assertEquals(engine.pool.status().checkedOut, 0);
  },
);

for (const arrives of [true, false]) {
  scenario(
    `64: a COMMIT that ${
      arrives ? "arrived" : "was lost on its way"
    } without an answer leaves both places to go on`,
    async (s) => {
      await fill(s, 10);
      const engine = open(s, { poolSize: 1, maxOverflow: 0 }, { port: s.proxy.port });
      await using session = engine.session();
      let commits = 0;
      engine.on("transaction", ({ action }) => {
        if (action === "begin") commits++;
      });
      const walk = session.query(Ticket).commitEvery(4);
      const error = await assertRejects(async () => {
        for await (const ticket of walk) {
          ticket.times++;
          if (ticket.id === 7) {
            await session.flush();
            // The answers of what was sent so far are in; the next bytes are the COMMIT's.
            s.proxy.mode = arrives ? "stallBack" : "stall";
            setTimeout(async () => {
              if (arrives) await s.until("select count(*) = 8 from tickets where times = 1");
              s.proxy.cut();
              s.proxy.mode = "pass";
            }, 50);
          }
        }
      }, BatchError);
      assert(error.cause instanceof CommitUnknownError, String(error.cause));
      assertEquals([error.rows, error.batches], [4, 1]);
      const stored = (await times(s)).find(([times]) => times === 1)![1];
      assertEquals(stored, arrives ? 8 : 4);
      const place = stored === 8 ? error.checkpointIfCommitted : error.checkpoint;
      await using next = engine.session();
      for await (const ticket of next.query(Ticket).commitEvery(4, { resumeAfter: place })) {
        ticket.times++;
      }
      assertEquals(await times(s), [[1, 10]]);
    },
  );
}

scenario("64: a named checkpoint knows by itself whether the lost COMMIT took place", async (s) => {
  await fill(s, 30);
  const engine = open(s, {}, { port: s.proxy.port });
  const run = async () => {
    await using session = engine.session({ onUnflushedClose: "ignore" });
    for await (const ticket of session.query(Ticket).commitEvery(4, { checkpoint: "cut" })) {
      ticket.times++;
    }
  };
  let cuts = 0;
  for (let after = 2_000;; after += 700) {
    s.proxy.cutAfter(after);
    try {
      await run();
      break;
    } catch (error) {
      cuts++;
      s.proxy.cut();
      if (!(error instanceof BatchError) && !(error instanceof ConnectionLostError)) throw error;
    }
  }
  s.proxy.cutAfter(Infinity);
  assert(cuts > 0);
  assertEquals(await times(s), [[1, 30]]);
});

scenario("64: workers whose connections are killed lose no row and double none", async (s) => {
  await fill(s, 400);
  const engine = open(s, { poolSize: 4 });
  let checkpoint: string | undefined;
  let runs = 0;
  for (;; runs++) {
    await using session = engine.session();
    try {
      await session.query(Ticket).eachBatch(10, async (tickets, { session }) => {
        for (const ticket of tickets) ticket.times++;
        if (runs < 3 && Math.random() < 0.1) {
          const pid = await session.execute(sql<{ pid: number }>`select pg_backend_pid() as pid`);
          await s.kill(String(pid.scalar()));
        }
      }, { concurrency: 3, resumeAfter: checkpoint });
      break;
    } catch (error) {
      if (!(error instanceof BatchError)) throw error;
      assert(!(error.cause instanceof CommitUnknownError), "nothing is killed in its COMMIT");
      checkpoint = error.checkpoint;
    }
  }
  assertEquals(await times(s), [[1, 400]]);
  assertEquals(engine.pool.status().checkedOut, 0);
});
