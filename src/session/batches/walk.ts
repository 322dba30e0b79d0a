/**
 * What the loop and the function of a batched walk have in common: which rows come next, how a
 * batch is committed, and what is told of a failure.
 *
 * @module
 */

import {
  BatchError,
  CommitUnknownError,
  SerializationError,
  StalePlanError,
  UsageError,
} from "../../errors.ts";
import type { Dialect } from "../../dialect/dialect.ts";
import { chooseColumns } from "../../loading/columns.ts";
import { allOf, Expression } from "../../sql/expression.ts";
import { nodeOf } from "../../sql/node.ts";
import { delay } from "../../util/deadline.ts";
import { withoutPrototype } from "../../util/own.ts";
import { suppress } from "../../util/suppress.ts";
import type { QueryPlan } from "../query_plan.ts";
import { numberOf } from "../queries/counts.ts";
import type { SessionTransaction } from "../session_transaction.ts";
import type { BatchProgress, BatchRunner, EachBatchOptions } from "./batches.ts";
import { checkpointOf, type Stretch, stretchesIn } from "./checkpoint.ts";
import type { NamedCheckpoint } from "./checkpoint_table.ts";
import { KeyOrder } from "./key_order.ts";
import { Ledger, type Window } from "./ledger.ts";
import { checkBatchOptions } from "./options.ts";

/** A batch in hand: its transaction is open. */
export interface OpenBatch {
  /** The rows. */
  readonly objects: readonly object[];
  /** Where they stand. */
  readonly window: Window;
  /** The transaction. */
  readonly transaction: SessionTransaction;
  /** Objects that the session did not have before. */
  readonly added: readonly object[];
}

/** One walk. */
export class Walk {
  /** What it was asked for. */
  readonly options: EachBatchOptions;
  readonly #runner: BatchRunner;
  readonly #dialect: Dialect;
  readonly #plan: QueryPlan;
  readonly #size: number;
  readonly #order: KeyOrder;
  #named: NamedCheckpoint | undefined;
  #ledger: Ledger;
  #started: number | undefined;
  #rows = 0;
  #batches = 0;
  #left: number;
  #checkpoint: string | undefined;
  #progress: BatchProgress | undefined;
  #total: number | undefined;
  #commits: Promise<unknown> = Promise.resolve();

  /**
   * Sends nothing.
   *
   * @throws {InputError} for an order or an option that is wrong.
   */
  constructor(
    method: string,
    runner: BatchRunner,
    dialect: Dialect,
    plan: QueryPlan,
    size: number,
    given: EachBatchOptions,
  ) {
    const options = withoutPrototype(given);
    checkBatchOptions(method, plan, options);
    this.options = options;
    this.#runner = runner;
    this.#dialect = dialect;
    this.#plan = { ...plan, signal: bothSignals(plan.signal, options.signal) };
    this.#size = size;
    this.#order = new KeyOrder(plan, dialect.name);
    this.#left = numberOf(plan.limit, plan.binding?.values) ?? Infinity;
    this.#checkpoint = options.resumeAfter;
    this.#ledger = new Ledger(this.#stretches(options.resumeAfter));
  }

  /** Gives the walk up. */
  get signal(): AbortSignal | undefined {
    return this.#plan.signal;
  }

  /** Where to go on. */
  get checkpoint(): string | undefined {
    return this.#checkpoint;
  }

  /** How far it has come. */
  get progress(): BatchProgress | undefined {
    return this.#progress;
  }

  /** How many rows there are to do, if they were counted. */
  get total(): number | undefined {
    return this.#total;
  }

  /** Begins; false if a named checkpoint says that everything is done. */
  async start(): Promise<boolean> {
    if (this.#started !== undefined) {
      throw new UsageError("A walk in batches can be iterated once", {
        hint: "Call commitEvery() again for another one",
      });
    }
    this.#started = performance.now();
    try {
      if (this.options.checkpoint !== undefined) {
        // Loaded for walks that have one: it declares an entity
        const { NamedCheckpoint } = await import("./checkpoint_table.ts");
        this.#named = new NamedCheckpoint(this.options.checkpoint, this.#dialect);
        const { position, finished } = await this.#named.load(
          (statement, call) => this.#runner.run(statement, call),
          this.options.restart === true,
        );
        this.#checkpoint = position;
        if (finished) return false;
        this.#ledger = new Ledger(this.#stretches(position));
      }
      if (this.options.countFirst === true) await this.#countAll();
    } catch (cause) {
      throw this.failed(cause);
    }
    return true;
  }

  /**
   * Begins the next batch on a session; undefined when there is none left.
   *
   * @param window To be read again, after a failure.
   */
  async open(runner: BatchRunner, window?: Window): Promise<OpenBatch | undefined> {
    for (;;) {
      const stretch = window ?? (this.#left > 0 ? this.#ledger.take() : undefined);
      if (stretch === undefined) return undefined;
      const batch = await this.#read(runner, stretch);
      if (batch !== undefined || window !== undefined) return batch;
    }
  }

  async #read(runner: BatchRunner, stretch: Window): Promise<OpenBatch | undefined> {
    const take = Math.min(this.#size, this.#left);
    const added: object[] = [];
    let transaction: SessionTransaction | undefined;
    try {
      transaction = await runner.begin({
        isolation: this.options.isolation,
        signal: this.#plan.signal,
      });
      const objects = await runner.all(this.#batchPlan(stretch, take), added);
      if (objects.length === 0) {
        await transaction.rollback();
        this.#ledger.empty(stretch);
        return undefined;
      }
      // Read before the program can change it.
      const last = this.#order.keyOf(objects.at(-1)!);
      const window = this.#ledger.cut(stretch, last, objects.length < take);
      this.#left -= objects.length;
      return { objects, window, transaction, added };
    } catch (error) {
      await rollBack(transaction, error);
      for (const object of added) runner.expunge(object);
      this.#ledger.putBack(stretch);
      throw error;
    }
  }

  /** Stores a batch and lets go of its objects. */
  async commit(runner: BatchRunner, batch: OpenBatch): Promise<void> {
    // One after the other, so that each checkpoint knows exactly which batches are committed.
    const committing = this.#commits.then(() => this.#commit(batch));
    this.#commits = committing.catch(() => {});
    await committing;
    for (const object of batch.added) runner.expunge(object);
  }

  /** After a commit: tells of it, and rests. */
  async pass(): Promise<void> {
    await this.options.onCommit?.(this.#progress!);
    this.signal?.throwIfAborted();
    const { pause } = this.options;
    if (pause !== undefined && pause > 0) await delay(pause, this.signal);
  }

  async #commit({ transaction, window, objects }: OpenBatch): Promise<void> {
    const checkpoint = this.#checkpointAfter(window);
    await this.#named?.write(
      (statement, call) => transaction.inner.run(statement, call),
      checkpoint,
      objects.length,
    );
    await transaction.commit();
    this.#named?.written();
    this.#ledger.committed(window);
    this.#checkpoint = checkpoint;
    this.#rows += objects.length;
    this.#batches++;
    const elapsed = performance.now() - this.#started!;
    const progress = {
      rows: this.#rows,
      batches: this.#batches,
      elapsed,
      rate: this.#rows / elapsed * 1000,
      checkpoint,
    };
    this.#progress = this.#total === undefined ? progress : { ...progress, total: this.#total };
  }

  /** After a failure: rolls back what is still open, and lets go of the rows to read them anew. */
  async undo(runner: BatchRunner, batch: OpenBatch, error: unknown): Promise<void> {
    await rollBack(batch.transaction, error);
    for (const object of batch.added) runner.expunge(object);
    this.#left += batch.objects.length;
  }

  /** Everything was committed. */
  async finish(): Promise<void> {
    // Ended by its limit, the walk has not come to the last row.
    if (this.#left <= 0) return;
    await this.#named?.finish((statement, call) => this.#runner.run(statement, call));
  }

  /**
   * Waits before an attempt is repeated; false if it is not to be.
   *
   * @param attempt The one that failed, from 1.
   */
  async mayRetry(error: unknown, attempt: number): Promise<boolean> {
    const retryable = error instanceof SerializationError || error instanceof StalePlanError;
    if (!retryable || attempt > (this.options.retries ?? 0)) return false;
    // Jitter, so that two that met do not meet again.
    await delay(Math.min(1_000, 2 ** attempt * 5) * (0.5 + Math.random()), this.#plan.signal);
    return true;
  }

  /** What is thrown for a failure. */
  failed(cause: unknown, batch?: OpenBatch): BatchError {
    if (cause instanceof BatchError) return cause;
    const { name } = this.#plan.mapper;
    const done = `after ${this.#batches} committed batches with ${this.#rows} rows`;
    const unknown = cause instanceof CommitUnknownError && batch !== undefined;
    return new BatchError(
      unknown
        ? `Whether a batch of ${name} was committed is not known, ${done}`
        : `A batch of ${name} failed ${done}`,
      {
        cause,
        checkpoint: this.#checkpoint,
        checkpointIfCommitted: unknown ? this.#checkpointAfter(batch.window) : undefined,
        rows: this.#rows,
        batches: this.#batches,
        hint: this.options.checkpoint !== undefined
          ? "Run it again: the named checkpoint knows what is done"
          : unknown
          ? "Look whether it was; then go on with error.checkpointIfCommitted, else with error.checkpoint"
          : "Go on with { resumeAfter: error.checkpoint }",
      },
    );
  }

  #stretches(checkpoint: string | undefined): Stretch[] {
    return checkpoint === undefined
      ? [{ after: undefined, upTo: undefined }]
      : stretchesIn(this.#plan.mapper, this.#order, checkpoint);
  }

  #checkpointAfter(window: Window): string {
    return checkpointOf(this.#plan.mapper, this.#order, this.#ledger.rest(window));
  }

  async #countAll(): Promise<void> {
    let total = 0;
    for (const stretch of this.#ledger.rest()) {
      const { where } = this.#batchPlan(stretch, 1);
      total += await this.#runner.count({ ...this.#plan, where, lock: undefined });
    }
    this.#total = Math.min(total, numberOf(this.#plan.limit, undefined) ?? total);
  }

  #batchPlan({ after, upTo }: Stretch, limit: number): QueryPlan {
    const plan = this.#plan;
    const { lock, skipLocked } = this.options;
    const conditions = plan.where === undefined ? [] : [new Expression<boolean>(plan.where)];
    if (after !== undefined) conditions.push(this.#order.after(after));
    if (upTo !== undefined) conditions.push(this.#order.upTo(upTo));
    return {
      ...plan,
      columns: plan.columns && chooseColumns(
        plan.mapper,
        [...plan.columns.names, ...this.#order.properties],
        plan.columns.beside,
        "A walk in batches",
      ),
      where: conditions.length === 0 ? undefined : allOf(...conditions)[nodeOf],
      orderBy: this.#order.orderBy,
      limit,
      lock: lock === undefined
        ? plan.lock
        : { strength: lock, wait: skipLocked === true ? "skipLocked" : undefined },
    };
  }
}

/** Rolls back what is still open; a failure of that is kept with the error that led here. */
export async function rollBack(
  transaction: SessionTransaction | undefined,
  error?: unknown,
): Promise<void> {
  if (transaction?.open !== true) return;
  await transaction.rollback().catch((failure) => suppress(error, failure));
}

function bothSignals(
  a: AbortSignal | undefined,
  b: AbortSignal | undefined,
): AbortSignal | undefined {
  return a === undefined || a === b ? b : b === undefined ? a : AbortSignal.any([a, b]);
}
