/**
 * Long updates in short transactions: rows are walked by key in windows, each in a transaction of
 * its own, so that locks are held for one batch only and memory stays flat. What callers see of it.
 *
 * @module
 */

import type {
  CallOptions,
  DriverResult,
  DriverStatement,
  Isolation,
} from "../../dialect/driver.ts";
import type { TransactionOptions } from "../../engine/begin_options.ts";
import type { QueryPlan } from "../query_plan.ts";
import type { SessionTransaction } from "../session_transaction.ts";

/** How far a walk has come, told after each commit. */
export interface BatchProgress {
  /** Rows committed so far, in this run. */
  readonly rows: number;
  /** Batches committed so far, in this run. */
  readonly batches: number;
  /** Milliseconds since the walk began. */
  readonly elapsed: number;
  /** Rows per second, on average. */
  readonly rate: number;
  /** Pass it as `resumeAfter` to go on after this batch. */
  readonly checkpoint: string;
  /** With `countFirst`: how many rows there were to do when the walk began. */
  readonly total?: number | undefined;
}

/** How `commitEvery()` and `inBatches()` work. */
export interface BatchOptions {
  /** Locks the rows of a batch while the loop works on it. SQLite locks the database anyway. */
  lock?: "update" | "share" | undefined;
  /**
   * With `lock`: rows that somebody else has locked are left out instead of waited for. They do not
   * come later in this walk; use it for work that is looked for again and again, not for what must
   * reach every row.
   */
  skipLocked?: boolean | undefined;
  /** The isolation level of each batch. Default: the database's. */
  isolation?: Isolation | undefined;
  /** Called after each commit; the next batch waits for it. */
  onCommit?: ((progress: BatchProgress) => unknown) | undefined;
  /** Counts the rows before the walk begins, for `progress.total`. Default false. */
  countFirst?: boolean | undefined;
  /** Rests between batches, in milliseconds. Default 0. */
  pause?: number | undefined;
  /**
   * How often a batch is tried again after a serialization failure or a deadlock. Default 0. A loop's
   * body cannot be run again: in `commitEvery()` and `inBatches()` only beginning and reading are
   * retried, in `eachBatch()` the whole batch is.
   */
  retries?: number | undefined;
  /** Gives the walk up: the batch in hand is rolled back. */
  signal?: AbortSignal | undefined;
  /** A checkpoint: go on from there. */
  resumeAfter?: string | undefined;
  /**
   * The name of a checkpoint in the database's table `sluice_checkpoints`, which is made if need be. It
   * is written in each batch's transaction, so that a program that was killed goes on exactly where
   * it was. A walk that was finished has nothing to do the next time.
   */
  checkpoint?: string | undefined;
  /** With `checkpoint`: begin anew, whatever the checkpoint says. Default false. */
  restart?: boolean | undefined;
}

/** How `eachBatch()` works. */
export interface EachBatchOptions extends BatchOptions {
  /**
   * How many batches are worked on at the same time, each on a connection and in a session of its
   * own. Default 1. The windows come from one list, so no row is given out twice; they are committed
   * in any order, and a checkpoint knows which of them were.
   */
  concurrency?: number | undefined;
}

/** A walk in batches. Nothing is sent before it is iterated, which can be done once. */
export interface Batches<R> extends AsyncIterable<R> {
  /** Where to go on: the checkpoint of the last committed batch. */
  readonly checkpoint: string | undefined;
  /** How far it has come; undefined before the first commit. */
  readonly progress: BatchProgress | undefined;
  /** With `countFirst`, once the walk has begun: how many rows there are to do. */
  readonly total: number | undefined;
}

/** What a walk needs of a session. */
export interface BatchRunner {
  /** The session, for the function of `eachBatch()`. */
  readonly session: unknown;
  /** Begins a transaction. */
  begin(options: TransactionOptions): Promise<SessionTransaction>;
  /** Loads objects; those that were not managed before are added to `added`. */
  all(plan: QueryPlan, added?: object[]): Promise<object[]>;
  /** How many rows there are. */
  count(plan: QueryPlan): Promise<number>;
  /** Lets go of an object. */
  expunge(object: object): void;
  /** Runs a statement outside of any transaction. */
  run(statement: DriverStatement, call?: CallOptions): Promise<DriverResult>;
  /** How many connections there can be at the same time. */
  readonly connections: number;
  /** A session of its own on the same engine, for another worker. */
  fork(): BatchRunner & AsyncDisposable;
}

/** What the function of `eachBatch()` is told beside its rows. */
export interface BatchInfo {
  /** The batch's transaction. */
  readonly tx: SessionTransaction;
  /** From 1; more after a serialization failure or a deadlock. */
  readonly attempt: number;
}
