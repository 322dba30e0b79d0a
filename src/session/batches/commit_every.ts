/** `commitEvery()` and `inBatches()`: a walk as a loop. @module */

import type { Dialect } from "../../dialect/dialect.ts";
import type { QueryPlan } from "../query_plan.ts";
import type { Batches, BatchOptions, BatchRunner } from "./batches.ts";
import { type OpenBatch, rollBack, Walk } from "./walk.ts";

/** A walk that gives its rows one by one; nothing is sent before it is iterated. */
export function commitEvery(
  runner: BatchRunner,
  dialect: Dialect,
  plan: QueryPlan,
  size: number,
  options: BatchOptions,
): Batches<object> {
  const walk = new Walk("commitEvery()", runner, dialect, plan, size, options);
  return asBatches(walk, async function* () {
    for await (const batch of batchesOf(walk, runner)) yield* batch;
  });
}

/** A walk that gives its rows batch by batch; nothing is sent before it is iterated. */
export function inBatches(
  runner: BatchRunner,
  dialect: Dialect,
  plan: QueryPlan,
  size: number,
  options: BatchOptions,
): Batches<object[]> {
  const walk = new Walk("inBatches()", runner, dialect, plan, size, options);
  return asBatches(walk, () => batchesOf(walk, runner));
}

function asBatches<T>(walk: Walk, iterate: () => AsyncGenerator<T>): Batches<T> {
  return {
    get checkpoint() {
      return walk.checkpoint;
    },
    get progress() {
      return walk.progress;
    },
    get total() {
      return walk.total;
    },
    [Symbol.asyncIterator]: iterate,
  };
}

/** Each batch is committed when the next one is asked for. */
async function* batchesOf(walk: Walk, runner: BatchRunner): AsyncGenerator<object[]> {
  if (!await walk.start()) return;
  let batch: OpenBatch | undefined;
  try {
    while ((batch = await openAgain(walk, runner)) !== undefined) {
      yield [...batch.objects];
      await walk.commit(runner, batch);
      batch = undefined;
      await walk.pass();
    }
    await walk.finish();
  } catch (cause) {
    const error = walk.failed(cause, batch);
    await rollBack(batch?.transaction, error);
    throw error;
  } finally {
    // Reached with the transaction still open when the loop was left.
    await rollBack(batch?.transaction);
  }
}

/** Beginning and reading can be repeated; what the loop did with the rows cannot. */
async function openAgain(walk: Walk, runner: BatchRunner): Promise<OpenBatch | undefined> {
  for (let attempt = 1;; attempt++) {
    try {
      return await walk.open(runner);
    } catch (error) {
      if (!await walk.mayRetry(error, attempt)) throw error;
    }
  }
}
