/** Batched walks: their orders, forms, workers, retries and checkpoints. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  AsyncEngine,
  BatchError,
  type BatchProgress,
  createAll,
  DeadlockError,
  double,
  entity,
  InputError,
  integer,
  SerializationError,
  sql,
  text,
  timestamptz,
  UsageError,
} from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";

class Job extends entity("jobs", {
  id: integer().primaryKey(),
  kind: text().default("a"),
  code: text().unique(),
  rank: integer().nullable(),
  weight: double().default(0.1),
  at: timestamptz().defaultSql("now()"),
  done: integer().default(0),
}) {}

type Target = ConstructorParameters<typeof AsyncEngine>[0];

async function open(target: Target, count: number, options = {}): Promise<AsyncEngine> {
  const engine = new AsyncEngine(target, { entities: [Job], ...options });
  await createAll(engine);
  await using session = engine.session();
  await session.bulkInsert(
    Job,
    Array.from({ length: count }, (_, i) => ({
      id: i + 1,
      code: `c${String((i * 7) % count).padStart(4, "0")}`,
      kind: "abc"[i % 3]!,
      rank: i % 4 === 0 ? null : i % 5,
      weight: (i % 7) / 10,
    })),
  );
  return engine;
}

const doneOf = async (engine: AsyncEngine): Promise<number[]> => {
  await using session = engine.session();
  return (await session.query(Job).orderBy((j) => j.id).all()).map((job) => job.done);
};

const ones = (count: number) => Array<number>(count).fill(1);

eachEngine("a walk follows any order, and resumes in it exactly", async ({ target }) => {
  await using engine = await open(target, 23);
  await using session = engine.session();
  const query = session.query(Job);
  const orders = {
    "primary key": query,
    "descending key": query.orderBy((j) => j.id.desc()),
    "unique column": query.orderBy((j) => j.code),
    "unique column, descending": query.orderBy((j) => j.code.desc()),
    "not unique": query.orderBy((j) => j.kind),
    "not unique, descending": query.orderBy((j) => j.kind.desc()),
    "both directions": query.orderBy((j) => [j.kind.asc(), j.weight.desc()]),
    "with nulls": query.orderBy((j) => j.rank),
    "with nulls, descending": query.orderBy((j) => j.rank.desc()),
    "nulls elsewhere": query.orderBy((j) => [j.rank.desc().nullsLast(), j.kind.desc()]),
    "nulls first": query.orderBy((j) => [j.rank.asc().nullsFirst(), j.id.desc()]),
    "moments": query.orderBy((j) => j.at),
  };
  for (const [name, ordered] of Object.entries(orders)) {
    const asOrdered = (await ordered.orderBy((j) => j.id).all()).map((job) => job.id);
    const walked: number[] = [];
    for await (const jobs of ordered.inBatches(4)) walked.push(...jobs.map((job) => job.id));
    assertEquals([...walked].sort((a, b) => a - b), Array.from({ length: 23 }, (_, i) => i + 1));
    if (!/not unique|both|nulls|moments/.test(name)) assertEquals(walked, asOrdered, name);
    for (const stop of [1, 2, 5]) {
      const first: number[] = [];
      const walk = ordered.inBatches(4);
      for await (const jobs of walk) {
        if (walk.progress?.batches === stop) break;
        first.push(...jobs.map((job) => job.id));
      }
      const rest = ordered.inBatches(3, { resumeAfter: walk.checkpoint });
      for await (const jobs of rest) first.push(...jobs.map((job) => job.id));
      assertEquals(first, walked, `${name}, resumed after ${stop}`);
    }
    if (walked.length > 0) {
      const [a, b] = walked as [number, number];
      assert(a !== b, name);
    }
  }
});

eachEngine("rows that come and go meanwhile neither stop the walk nor come twice", async (
  { target },
) => {
  await using engine = await open(target, 12);
  await using session = engine.session();
  const seen: number[] = [];
  for await (const jobs of session.query(Job).orderBy((j) => j.id.desc()).inBatches(3)) {
    seen.push(...jobs.map((job) => job.id));
    if (seen.length === 6) {
      await session.execute(sql`delete from ${Job} where id in (4, 5, 11)`);
      await session.execute(sql`
        insert into ${Job} (id, kind, code, weight, done)
        values (0, 'z', 'z0', 0, 0), (13, 'z', 'z1', 0, 0)`);
    }
  }
  assertEquals(seen, [12, 11, 10, 9, 8, 7, 6, 3, 2, 1, 0]);
});

eachEngine("eachBatch() stores what its function changes, adds and deletes", async ({ target }) => {
  await using engine = await open(target, 10);
  await using session = engine.session();
  const sizes: number[] = [];
  const progress = await session.query(Job).where((j) => j.id.lte(9)).eachBatch(
    4,
    async (jobs, { session, tx, attempt }) => {
      sizes.push(jobs.length);
      assertEquals(attempt, 1);
      assert(tx.open);
      for (const job of jobs) job.done++;
      if (jobs[0]!.id === 1) session.delete(jobs[1]!);
      session.add(new Job({ id: 100 + sizes.length, code: `new ${sizes.length}` }));
      const seen = await session.execute(
        sql<{ n: number }>`select count(*) as n from ${Job} where done = 1`,
      );
      assert(Number(seen.scalar()) > 0, "flushed first");
    },
  );
  assertEquals(sizes, [4, 4, 1]);
  assertEquals([progress!.rows, progress!.batches], [9, 3]);
  assertEquals(await doneOf(engine), [1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0]);
  assertEquals(
    await session.query(Job).where((j) => j.id.gt(1000)).eachBatch(2, () => {}),
    undefined,
  );
});

eachEngine("eachBatch() runs a batch again from a clean state", async ({ target }) => {
  await using engine = await open(target, 6);
  await using session = engine.session();
  const attempts: string[] = [];
  await session.query(Job).eachBatch(2, (jobs, { session, attempt }) => {
    attempts.push(`${jobs.map((job) => `${job.id}:${job.done}`)} #${attempt}`);
    for (const job of jobs) job.done++;
    session.add(new Job({ id: 50 + attempts.length, code: `x${attempts.length}` }));
    if (jobs[0]!.id === 3 && attempt === 1) throw new SerializationError("once");
    if (jobs[0]!.id === 3 && attempt === 2) throw new DeadlockError("twice");
  }, { retries: 2 }).catch((error) => assert(error instanceof BatchError, String(error)));
  assertEquals(attempts.slice(0, 5), [
    "1:0,2:0 #1",
    "3:0,4:0 #1",
    "3:0,4:0 #2",
    "3:0,4:0 #3",
    "5:0,6:0 #1",
  ]);
  assertEquals((await doneOf(engine)).slice(0, 6), ones(6));

  const error = await assertRejects(
    () =>
      session.query(Job).where((j) => j.id.lte(6)).eachBatch(2, (jobs) => {
        if (jobs[0]!.id === 5) throw new SerializationError("always");
      }, { retries: 1 }),
    BatchError,
  );
  assertEquals([error.rows, error.batches], [4, 2]);
  assert(error.cause instanceof SerializationError);
});

eachEngine("an error in eachBatch() is a BatchError; resumeAfter goes on exactly", async (
  { target },
) => {
  await using engine = await open(target, 9);
  await using session = engine.session();
  const error = await assertRejects(
    () =>
      session.query(Job).eachBatch(2, (jobs) => {
        for (const job of jobs) job.done++;
        if (jobs[0]!.id === 5) throw new TypeError("mine");
      }),
    BatchError,
  );
  assert(error.cause instanceof TypeError);
  assertEquals(await doneOf(engine), [1, 1, 1, 1, 0, 0, 0, 0, 0]);
  for await (const job of session.query(Job).commitEvery(2, { resumeAfter: error.checkpoint })) {
    job.done++;
  }
  assertEquals(await doneOf(engine), ones(9));
});

eachEngine(
  "workers share a walk; a failure leaves a checkpoint with the gaps",
  async ({ target }) => {
    await using engine = await open(target, 60, { poolSize: 5 });
    await using session = engine.session();
    let busy = 0;
    let most = 0;
    const sessions = new Set<unknown>();
    let fail = true;
    const work = async (jobs: Job[], { session }: { session: unknown }) => {
      sessions.add(session);
      most = Math.max(most, ++busy);
      for (const job of jobs) job.done++;
      await new Promise((resolve) => setTimeout(resolve, 5));
      busy--;
      if (fail && jobs.some((job) => job.id === 17)) {
        fail = false;
        throw new Error("mine");
      }
    };
    const error = await assertRejects(
      () => session.query(Job).eachBatch(4, work, { concurrency: 4 }),
      BatchError,
    );
    assert(most > 1 && sessions.size > 1, `${most}`);
    const before = await doneOf(engine);
    assertEquals(before.slice(16, 20), [0, 0, 0, 0]);
    const rest = await session.query(Job).eachBatch(4, work, {
      concurrency: 3,
      resumeAfter: error.checkpoint,
      lock: "update",
      skipLocked: true,
    });
    assertEquals(await doneOf(engine), ones(60));
    assertEquals(rest!.rows, 60 - error.rows);
    assertEquals(engine.pool.status().checkedOut, 0);
  },
  { only: ["postgres"] },
);

eachEngine("workers cannot be more than connections", async ({ target, engineName }) => {
  await using engine = await open(
    target,
    3,
    engineName === "postgres" ? { poolSize: 1, maxOverflow: 1 } : {},
  );
  await using session = engine.session();
  await assertRejects(
    () => session.query(Job).eachBatch(2, () => {}, { concurrency: 3 }),
    UsageError,
    "concurrency",
  );
  assertThrows(
    () => session.query(Job).commitEvery(2, { concurrency: 2 } as object),
    InputError,
    "eachBatch",
  );
});

eachEngine("a named checkpoint goes on where the last run was, once", async ({ target }) => {
  await using engine = await open(target, 10);
  await using session = engine.session();
  const walk = () => session.query(Job).commitEvery(3, { checkpoint: "backfill" });
  for await (const job of walk()) {
    job.done++;
    if (job.id === 8) break;
  }
  assertEquals(await doneOf(engine), [1, 1, 1, 1, 1, 1, 0, 0, 0, 0]);
  const second = walk();
  for await (const job of second) job.done++;
  assertEquals(await doneOf(engine), ones(10));
  assertEquals(second.progress?.rows, 4);
  for await (const job of walk()) job.done++;
  assertEquals(await doneOf(engine), ones(10), "finished");
  const { rows } = await engine.execute(
    sql<{ name: string; rows: number; batches: number; finished: unknown }>`
      select name, rows, batches, finished from sluice_checkpoints`,
  );
  assertEquals(rows.map((row) => ({ ...row, finished: Boolean(row.finished) })), [
    { name: "backfill", rows: 10, batches: 4, finished: true },
  ]);
  const again = session.query(Job).commitEvery(5, { checkpoint: "backfill", restart: true });
  for await (const job of again) job.done++;
  assertEquals(await doneOf(engine), Array(10).fill(2));
});

eachEngine("two walks with one checkpoint notice each other", async ({ target }) => {
  await using engine = await open(target, 6);
  await using one = engine.session();
  await using two = engine.session();
  const walk = one.query(Job).inBatches(2, { checkpoint: "both" })[Symbol.asyncIterator]();
  for (const job of (await walk.next()).value!) job.done++;
  await walk.next();
  await walk.return?.();
  for await (const jobs of two.query(Job).inBatches(4, { checkpoint: "both" })) {
    for (const job of jobs) job.done++;
  }
  assertEquals(await doneOf(engine), ones(6));

  const stale = one.query(Job).inBatches(2, { checkpoint: "both", restart: true })
    [Symbol.asyncIterator]();
  await assertRejects(async () => {
    await stale.next();
    await engine.execute(sql`update sluice_checkpoints set revision = revision + 1`);
    await stale.next();
  }, BatchError);
}, { only: ["postgres"] });

eachEngine(
  "progress tells rows, rate and total; countFirst minds what is done",
  async ({ target }) => {
    await using engine = await open(target, 10);
    await using session = engine.session();
    const seen: BatchProgress[] = [];
    const onCommit = (progress: BatchProgress) => void seen.push(progress);
    const query = session.query(Job).where((j) => j.id.gt(1));
    const walk = query.commitEvery(4, { onCommit, countFirst: true });
    for await (const _ of walk);
    assertEquals(seen.map(({ rows, batches, total }) => [rows, batches, total]), [
      [4, 1, 9],
      [8, 2, 9],
      [9, 3, 9],
    ]);
    assert(seen.every(({ rate, elapsed }) => rate > 0 && elapsed > 0));
    assertEquals(walk.total, 9);
    const rest = query.commitEvery(4, { countFirst: true, resumeAfter: seen[0]!.checkpoint });
    for await (const _ of rest);
    assertEquals([rest.total, rest.progress?.rows], [5, 5]);
    const limited = query.limit(3).commitEvery(2, { countFirst: true });
    for await (const _ of limited);
    assertEquals([limited.total, limited.progress?.rows], [3, 3]);
  },
);

eachEngine("a walk is given up by its signal, in a batch and between two", async ({ target }) => {
  await using engine = await open(target, 6);
  await using session = engine.session();
  const abort = new AbortController();
  const walk = session.query(Job).commitEvery(2, {
    signal: abort.signal,
    pause: 60_000,
    onCommit: () => setTimeout(() => abort.abort(new Error("enough")), 5) && undefined,
  });
  const error = await assertRejects(async () => {
    for await (const job of walk) job.done++;
  }, BatchError);
  assertEquals((error.cause as Error).message, "enough");
  assertEquals([error.rows, error.checkpoint], [2, walk.checkpoint]);
  assertEquals(await doneOf(engine), [1, 1, 0, 0, 0, 0]);
  assertEquals(engine.pool.status().checkedOut, 0);
  await assertRejects(
    async () => {
      for await (const _ of walk);
    },
    UsageError,
    "once",
  );
});

eachEngine("what does not go together is refused before anything is sent", async ({ target }) => {
  await using engine = await open(target, 1);
  await using session = engine.session();
  const query = session.query(Job);
  const { checkpoint } = query.commitEvery(1);
  assertEquals(checkpoint, undefined);
  const wrong: object[] = [
    { skipLocked: true },
    { restart: true },
    { checkpoint: "a", resumeAfter: "b" },
    { checkpoint: "" },
    { checkpoint: 5 },
    { pause: -1 },
    { retries: 1.5 },
    { onCommit: 5 },
    { signal: {} },
    { countFirst: "yes" },
  ];
  for (const options of wrong) {
    assertThrows(
      () => query.commitEvery(1, options),
      InputError,
      undefined,
      JSON.stringify(options),
    );
  }
  assertThrows(() => query.orderBy((j) => sql`${j.id} + 1`).inBatches(1), InputError, "columns");
  await assertRejects(() => query.eachBatch(1, undefined as never), InputError);
  const walk = query.orderBy((j) => j.code).commitEvery(1);
  for await (const _ of walk);
  assertThrows(
    () => query.commitEvery(1, { resumeAfter: walk.checkpoint }),
    InputError,
    "another order",
  );
});

eachEngine("keys that JSON does not know are walked and resumed", async ({ target }) => {
  await using engine = await open(target, 9);
  await using session = engine.session();
  const byWeight = session.query(Job).orderBy((j) => j.weight.desc());
  const ids: number[] = [];
  let checkpoint: string | undefined;
  for (let i = 0; i < 9; i++) {
    const walk = byWeight.limit(1).commitEvery(1, { resumeAfter: checkpoint });
    for await (const job of walk) ids.push(job.id);
    checkpoint = walk.checkpoint;
  }
  assertEquals(new Set(ids).size, 9);
});
