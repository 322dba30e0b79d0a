/**
 * `eachBatch()`: a walk by a function, which can therefore be run again after a serialization
 * failure, and by several workers at the same time.
 *
 * @module
 */

import { UsageError } from "../../errors.ts";
import type { Dialect } from "../../dialect/dialect.ts";
import type { QueryPlan } from "../query_plan.ts";
import type { BatchInfo, BatchProgress, BatchRunner, EachBatchOptions } from "./batches.ts";
import type { Window } from "./ledger.ts";
import { type OpenBatch, Walk } from "./walk.ts";

/** What is done with a batch. */
export type BatchWork = (
  objects: object[],
  info: BatchInfo & { readonly session: unknown },
) => unknown;

/** Walks all rows; gives how far it came: everywhere. */
export async function eachBatch(
  runner: BatchRunner,
  dialect: Dialect,
  plan: QueryPlan,
  size: number,
  work: BatchWork,
  options: EachBatchOptions,
): Promise<BatchProgress | undefined> {
  const walk = new Walk("eachBatch()", runner, dialect, plan, size, options);
  const { concurrency = 1 } = options;
  if (concurrency > 1) assertConcurrent(runner, dialect, concurrency);
  if (!await walk.start()) return undefined;
  const group = new Workers(walk, work);
  if (concurrency === 1) await group.work(runner);
  else {
    await Promise.all(Array.from({ length: concurrency }, async () => {
      await using own = runner.fork();
      await group.work(own);
    }));
  }
  // Told only now: what the other workers committed meanwhile belongs to it.
  if (group.failure !== undefined) throw walk.failed(group.failure.cause, group.failure.batch);
  try {
    await walk.finish();
  } catch (cause) {
    throw walk.failed(cause);
  }
  return walk.progress;
}

function assertConcurrent(runner: BatchRunner, dialect: Dialect, concurrency: number): void {
  if (dialect.name === "sqlite") {
    throw new UsageError("SQLite has one writer at a time, so batches cannot run concurrently", {
      code: "UNSUPPORTED",
      hint: "Leave concurrency out",
    });
  }
  if (concurrency <= runner.connections) return;
  throw new UsageError(
    `${concurrency} batches at a time need as many connections, and the pool has ${runner.connections}`,
    runner.connections === 1
      ? { code: "UNSUPPORTED", hint: "Leave concurrency out, or give the engine a larger pool" }
      : { hint: "Lower concurrency, or raise the engine's poolSize or maxOverflow" },
  );
}

class Workers {
  readonly #walk: Walk;
  readonly #work: BatchWork;
  /** Windows are read one after the other, since each begins where the last one ends. */
  #reading: Promise<unknown> = Promise.resolve();
  /** The first failure; the others finish what they have in hand. */
  failure: { readonly cause: unknown; readonly batch: OpenBatch | undefined } | undefined;

  constructor(walk: Walk, work: BatchWork) {
    this.#walk = walk;
    this.#work = work;
  }

  /** Does batch after batch. Never rejects. */
  async work(runner: BatchRunner): Promise<void> {
    while (this.failure === undefined && await this.#next(runner));
  }

  async #next(runner: BatchRunner): Promise<boolean> {
    let batch: OpenBatch | undefined;
    try {
      for (let attempt = 1;; attempt++) {
        const window: Window | undefined = batch?.window;
        batch = undefined;
        try {
          batch = await this.#open(runner, window);
          if (batch === undefined) return false;
          await this.#carryOut(runner, batch, attempt);
          break;
        } catch (error) {
          if (batch !== undefined) await this.#walk.undo(runner, batch, error);
          if (!await this.#walk.mayRetry(error, attempt)) throw error;
        }
      }
      batch = undefined;
      await this.#walk.pass();
      return true;
    } catch (cause) {
      this.failure ??= { cause, batch };
      return false;
    }
  }

  /** After a failure the same window again, else the next one; undefined when there is none. */
  async #open(runner: BatchRunner, window: Window | undefined): Promise<OpenBatch | undefined> {
    const again = window && await this.#walk.open(runner, window);
    if (again !== undefined) return again;
    const reading = this.#reading.then(() =>
      this.failure === undefined ? this.#walk.open(runner) : undefined
    );
    this.#reading = reading.catch(() => {});
    return await reading;
  }

  async #carryOut(runner: BatchRunner, batch: OpenBatch, attempt: number): Promise<void> {
    const tx = batch.transaction;
    await tx.connection.hold(() =>
      this.#work([...batch.objects], { session: runner.session, tx, attempt })
    );
    await this.#walk.commit(runner, batch);
  }
}
