/**
 * Long updates in short transactions: rows are walked by primary key in keyset windows, each in a
 * transaction of its own, so that locks are held for one batch only and memory stays flat.
 *
 * @module
 */

import { BatchError, InputError } from "../errors.ts";
import type { Dialect } from "../dialect/dialect.ts";
import { keyOf } from "../unit_of_work/flush_plan.ts";
import { stateOf } from "../unit_of_work/journal.ts";
import { allOf, Expression } from "../sql/expression.ts";
import { nodeOf } from "../sql/node.ts";
import type { WireRow } from "../sql/wire.ts";
import { suppress } from "../util/suppress.ts";
import { didYouMean } from "../util/nearest.ts";
import { checkpointOf, keyIn } from "./checkpoint.ts";
import { afterKey, keyOrder } from "./key_condition.ts";
import type { QueryPlan } from "./query_plan.ts";
import type { SessionTransaction } from "./session_transaction.ts";

/** How far a walk has come, told after each commit. */
export interface BatchProgress {
  /** Rows committed so far. */
  readonly rows: number;
  /** Batches committed so far. */
  readonly batches: number;
  /** Milliseconds since the walk began. */
  readonly elapsed: number;
  /** Rows per second, on average. */
  readonly rate: number;
  /** Pass it as `resumeAfter` to go on after this batch. */
  readonly checkpoint: string;
}

/** How `commitEvery()` works. */
export interface BatchOptions {
  /** Locks the rows of a batch while the loop works on it. */
  lock?: "update" | "share" | undefined;
  /** Called after each commit; the next batch waits for it. */
  onCommit?: ((progress: BatchProgress) => void | Promise<void>) | undefined;
  /** A checkpoint: begin after the row it names. */
  resumeAfter?: string | undefined;
}

/** The walk: iterate it once. */
export interface Batches<R> extends AsyncIterable<R> {
  /** The checkpoint of the last committed batch. */
  readonly checkpoint: string | undefined;
}

/** What a walk needs of its session. */
export interface BatchRunner {
  /** Begins a transaction. */
  begin(): Promise<SessionTransaction>;
  /** Loads objects; those that were not managed before are added to `added`. */
  all(plan: QueryPlan, added?: object[]): Promise<object[]>;
  /** Lets go of an object. */
  expunge(object: object): void;
}

/**
 * Makes the walk; nothing is sent before it is iterated. Leaving the loop rolls the unfinished
 * batch back.
 *
 * @throws {InputError} for an order, an offset or an unknown option.
 */
export function commitBatches(
  runner: BatchRunner,
  dialect: Dialect,
  plan: QueryPlan,
  size: number,
  options: BatchOptions,
): Batches<object> {
  check(plan, options);
  const { mapper } = plan;
  const first = options.resumeAfter === undefined ? undefined : keyIn(mapper, options.resumeAfter);
  let checkpoint = options.resumeAfter;

  async function* walk(): AsyncGenerator<object> {
    const started = performance.now();
    let after = first;
    let rows = 0;
    let batches = 0;
    let left = plan.limit ?? Infinity;
    while (left > 0) {
      const take = Math.min(size, left);
      const added: object[] = [];
      let transaction: SessionTransaction | undefined;
      try {
        transaction = await runner.begin();
        const objects = await runner.all(batchPlan(plan, after, take, options, dialect), added);
        // Read before the loop can change a key.
        const last = objects.length === 0 ? undefined : keyOf(stateOf(objects.at(-1)!));
        yield* objects;
        await transaction.commit();
        if (last === undefined) return;
        after = last;
        rows += objects.length;
        batches++;
        left = objects.length < take ? 0 : left - take;
        checkpoint = checkpointOf(mapper, last);
        for (const object of added) runner.expunge(object);
        const elapsed = performance.now() - started;
        await options.onCommit?.({
          rows,
          batches,
          elapsed,
          rate: rows / elapsed * 1000,
          checkpoint,
        });
      } catch (cause) {
        const error = new BatchError(
          `A batch of ${mapper.name} failed after ${batches} committed batches with ${rows} rows`,
          {
            cause,
            checkpoint,
            rows,
            batches,
            hint: "Go on with { resumeAfter: error.checkpoint }",
          },
        );
        await undo(transaction, error);
        throw error;
      } finally {
        // Reached with the transaction still open when the loop was left.
        await undo(transaction);
      }
    }
  }

  return {
    get checkpoint() {
      return checkpoint;
    },
    [Symbol.asyncIterator]: () => walk(),
  };
}

async function undo(
  transaction: SessionTransaction | undefined,
  error?: BatchError,
): Promise<void> {
  if (transaction?.open !== true) return;
  await transaction.rollback().catch((failure) => {
    if (error !== undefined) suppress(error, failure);
  });
}

function batchPlan(
  plan: QueryPlan,
  after: WireRow | undefined,
  limit: number,
  { lock }: BatchOptions,
  dialect: Dialect,
): QueryPlan {
  const { mapper } = plan;
  const conditions = [
    ...(plan.where === undefined ? [] : [new Expression<boolean>(plan.where)]),
    ...(after === undefined ? [] : [afterKey(mapper, after, dialect.name)]),
  ];
  return {
    ...plan,
    where: conditions.length === 0 ? undefined : allOf(...conditions)[nodeOf],
    orderBy: keyOrder(mapper),
    limit,
    lock: lock === undefined ? plan.lock : { strength: lock, wait: undefined },
  };
}

const known = ["lock", "onCommit", "resumeAfter"];

function check(plan: QueryPlan, options: BatchOptions): void {
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    throw new InputError(`commitEvery() has no option "${name}"`, {
      hint: didYouMean(name, known),
    });
  }
  if (plan.orderBy.length > 0 || plan.offset !== undefined) {
    throw new InputError("commitEvery() walks by primary key and takes no orderBy() or offset()", {
      hint: "Leave them out; where() and limit() are minded",
    });
  }
  if (options.lock !== undefined && options.lock !== "update" && options.lock !== "share") {
    throw new InputError(`The lock of commitEvery() is "update" or "share"`);
  }
}
