import { AsyncLocalStorage } from "node:async_hooks";
import {
  ClosedError,
  CommitUnknownError,
  InputError,
  TransactionAbortedError,
  UsageError,
} from "../errors.ts";
import type {
  BeginOptions,
  CallOptions,
  DriverCursor,
  DriverResult,
  DriverStatement,
} from "../dialect/driver.ts";
import { caught } from "../util/caught.ts";
import { didYouMean } from "../util/nearest.ts";
import { suppress } from "../util/suppress.ts";
import type { Link } from "./link.ts";
import type { Result } from "./result.ts";
import { compile, type Executable, execute } from "./statement.ts";
import { type StreamOptions, streamRows, streamWindows } from "./stream.ts";

/** How a transaction begins, and the limits on its begin. */
export interface TransactionOptions extends BeginOptions, CallOptions {}

/** Called after a commit or a rollback. What it throws is printed with `console.error`. */
export type TransactionHook = () => void | Promise<void>;

/** In which savepoint's function we are: tells a nested savepoint from one beside it. */
const innermostHere = new AsyncLocalStorage<TransactionScope>();

/** What a transaction and a savepoint in it have in common. */
export abstract class TransactionScope {
  /** The connection, seen from inside. */
  readonly #link: Link;
  readonly #root: { innermost: TransactionScope; savepoints: number };
  #commitHooks: TransactionHook[] = [];
  #rollbackHooks: TransactionHook[] = [];

  /** Made by `begin()` and `savepoint()`. */
  constructor(link: Link, parent?: TransactionScope) {
    this.#link = link;
    this.#root = parent === undefined ? { innermost: this, savepoints: 0 } : parent.#root;
  }

  /** It can still be used. */
  abstract get open(): boolean;

  /** Why it can no longer be used. */
  protected abstract ended(): ClosedError;

  /**
   * Runs a statement.
   *
   * @throws {ClosedError} `CLOSED` after the end of this handle.
   * @throws {PendingRollbackError} `PENDING_ROLLBACK` after a failed statement.
   */
  execute<Row>(statement: Executable<Row>, call?: CallOptions): Promise<Result<Row>> {
    if (!this.open) return caught(Promise.reject(this.ended()));
    return execute(this.#link, statement, call);
  }

  /** Runs a compiled statement, for the layers above. */
  run(statement: DriverStatement, call?: CallOptions): Promise<DriverResult> {
    if (!this.open) return caught(Promise.reject(this.ended()));
    return this.#link.run(statement, call);
  }

  /** The rows of a statement as a stream; other statements may run between its windows. */
  stream<Row>(
    statement: Executable<Row>,
    options?: StreamOptions,
  ): AsyncGenerator<Row, void, void> {
    this.assertOpen();
    return streamRows<Row>(
      this.#link,
      () => compile(statement, this.#link.context.dialect),
      options,
    );
  }

  /** The rows of a compiled statement, window by window, for the layers above. */
  windows(
    statement: DriverStatement,
    options?: StreamOptions,
  ): AsyncGenerator<DriverResult, void, void> {
    this.assertOpen();
    return streamWindows(this.#link, statement, options);
  }

  /** A cursor of the driver, for the layers above. */
  async openCursor(statement: DriverStatement, call?: CallOptions): Promise<DriverCursor> {
    this.assertOpen();
    return await this.#link.openCursor(statement, call);
  }

  /**
   * Runs `fn` so that it can be undone alone: when it throws, what it did is rolled back, and the
   * error goes on. Savepoints nest, by this handle or the one `fn` is given, and cannot overlap.
   *
   * @throws {UsageError} `USAGE` when another savepoint of the transaction is open beside it.
   *
   * @example
   * ```ts
   * import { AsyncEngine, sql } from "@sluice/orm";
   * import { assertEquals } from "@std/assert";
   *
   * await using engine = new AsyncEngine("sqlite::memory:");
   * await engine.execute(sql`create table notes (text text)`);
   * await engine.begin(async (tx) => {
   *   await tx.execute(sql`insert into notes values ('kept')`);
   *   await tx.savepoint(async () => {
   *     await tx.execute(sql`insert into notes values ('undone')`);
   *     throw new Error("changed my mind");
   *   }).catch(() => {});
   * });
   * const notes = await engine.execute(sql<{ text: string }>`select text from notes`);
   * assertEquals(notes.scalars(), ["kept"]);
   * ```
   */
  async savepoint<T>(fn: (savepoint: Savepoint) => T | Promise<T>): Promise<T> {
    this.assertOpen();
    const root = this.#root;
    const outer = root.innermost;
    if (this !== outer && innermostHere.getStore() !== outer) {
      throw new UsageError(
        "Another savepoint of this transaction is open, and they cannot overlap",
        {
          hint: "Await one before the next, or nest them by the handle that the function is given",
        },
      );
    }
    const link = this.#link;
    // Named by us: nobody's text gets into it, and no name is used twice.
    const name = `sluice_${++root.savepoints}`;
    const inner = new Savepoint(link, outer);
    root.innermost = inner;
    try {
      await link.run({ text: `savepoint ${name}`, params: [], prepare: false });
    } catch (error) {
      inner.close();
      root.innermost = outer;
      throw error;
    }
    try {
      const value = await innermostHere.run(inner, () => fn(inner));
      if (!outer.open) throw outer.ended();
      if (link.failure !== undefined || link.driver.transactionStatus === "failed") {
        throw new TransactionAbortedError(
          "A statement of this savepoint failed and was ignored, so the savepoint is rolled back",
          { cause: link.failure, hint: "Let the error leave the savepoint's function" },
        );
      }
      await link.run({ text: `release savepoint ${name}`, params: [], prepare: false });
      outer.#commitHooks.push(...inner.#commitHooks);
      outer.#rollbackHooks.push(...inner.#rollbackHooks);
      return value;
    } catch (error) {
      try {
        if (outer.open) {
          await link.rollbackTo(name);
          await link.send({ text: `release savepoint ${name}`, params: [], prepare: false });
        }
      } catch (failure) {
        suppress(error, failure);
      }
      await inner.runRollbackHooks();
      throw error;
    } finally {
      inner.close();
      root.innermost = outer;
    }
  }

  /** Calls `hook` once the transaction is committed. */
  onCommit(hook: TransactionHook): void {
    this.assertOpen();
    this.#commitHooks.push(hook);
  }

  /** Calls `hook` once this transaction or savepoint is rolled back. */
  onRollback(hook: TransactionHook): void {
    this.assertOpen();
    this.#rollbackHooks.push(hook);
  }

  /** Throws when it can no longer be used. */
  protected assertOpen(): void {
    if (!this.open) throw this.ended();
  }

  /** A savepoint in it is open. */
  protected get hasSavepoint(): boolean {
    return this.#root.innermost !== this;
  }

  /** Runs what waits for the commit. */
  protected async runCommitHooks(): Promise<void> {
    await runHooks(this.#commitHooks, "onCommit");
  }

  /** Runs what waits for a rollback. */
  protected async runRollbackHooks(): Promise<void> {
    await runHooks(this.#rollbackHooks, "onRollback");
  }
}

/** A savepoint, while its function runs. */
export class Savepoint extends TransactionScope {
  #open = true;

  /** Its function has not ended. */
  get open(): boolean {
    return this.#open;
  }

  /** Its function has ended. */
  close(): void {
    this.#open = false;
  }

  /** Why it can no longer be used. */
  protected ended(): ClosedError {
    return new ClosedError("This savepoint has ended", {
      hint: "Use it inside its function only",
    });
  }
}

type State = "open" | "committed" | "rolled back" | "ended without an answer";

/**
 * An open transaction. Ended by `commit()` or `rollback()`; the end of an `await using` block rolls
 * back what was not committed.
 *
 * @example
 * ```ts
 * import { AsyncEngine, sql } from "@sluice/orm";
 * import { assertEquals } from "@std/assert";
 *
 * await using engine = new AsyncEngine("sqlite::memory:");
 * await engine.execute(sql`create table notes (text text)`);
 * {
 *   await using connection = await engine.connect();
 *   await using tx = await connection.begin();
 *   await tx.execute(sql`insert into notes values (${"first"})`);
 *   await tx.commit();
 * }
 * const count = await engine.execute(sql<{ n: number }>`select count(*) as n from notes`);
 * assertEquals(count.scalar(), 1);
 * ```
 */
export class Transaction extends TransactionScope implements AsyncDisposable {
  /** Tells transactions from streams. */
  readonly kind = "transaction";
  readonly #link: Link;
  #state: State = "open";

  /** Made by `begin()`. */
  constructor(link: Link) {
    super(link);
    this.#link = link;
  }

  /** Neither committed nor rolled back yet. */
  get open(): boolean {
    return this.#state === "open";
  }

  /** Why it can no longer be used. */
  protected ended(): ClosedError {
    return new ClosedError(`This transaction has been ${this.#state}`, {
      hint: "Begin another one",
    });
  }

  /**
   * Commits.
   *
   * @throws {TransactionAbortedError} `TRANSACTION_ABORTED` when a statement had failed: rolled back.
   * @throws {CommitUnknownError} `COMMIT_UNKNOWN` when the connection was lost before the answer.
   * @throws {IntegrityError} `INTEGRITY` when a deferred constraint is violated: rolled back.
   */
  async commit(call?: CallOptions): Promise<void> {
    this.#assertOutermost("commit");
    const link = this.#link;
    const refusal = link.refusal();
    if (refusal !== undefined) {
      this.#state = "rolled back";
      const error = link.failure === undefined ? refusal : new TransactionAbortedError(
        "A statement of this transaction failed, so it is rolled back instead of committed",
        { cause: link.failure },
      );
      await link.rollback().catch((failure) => suppress(error, failure));
      await this.runRollbackHooks();
      throw error;
    }
    this.#state = "committed";
    try {
      await link.commit(call);
    } catch (error) {
      const unknown = error instanceof CommitUnknownError;
      this.#state = unknown ? "ended without an answer" : "rolled back";
      if (!unknown) await this.runRollbackHooks();
      throw error;
    }
    await this.runCommitHooks();
  }

  /** Undoes everything. A connection on which that fails is destroyed, which undoes it too. */
  async rollback(call?: CallOptions): Promise<void> {
    this.#assertOutermost("roll back");
    this.#state = "rolled back";
    try {
      await this.#link.rollback(call);
    } finally {
      await this.runRollbackHooks();
    }
  }

  /** Rolls back if it is still open, and never rejects. */
  async abandon(): Promise<void> {
    if (!this.open) return;
    this.#state = "rolled back";
    await this.#link.rollback().catch(() => {});
    await this.runRollbackHooks();
  }

  /** Rolls back if it is still open. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.abandon();
  }

  #assertOutermost(action: string): void {
    this.assertOpen();
    if (this.hasSavepoint) {
      throw new UsageError(`Cannot ${action} while a savepoint is open`, {
        hint: "Let the savepoint's function end first",
      });
    }
  }
}

/** Runs `fn` in a transaction: commits when it returns, rolls back when it throws. */
export async function inTransaction<T>(
  transaction: Transaction,
  fn: (tx: Transaction) => T | Promise<T>,
): Promise<T> {
  let value: T;
  try {
    value = await fn(transaction);
  } catch (error) {
    if (transaction.open) {
      await transaction.rollback().catch((failure) => suppress(error, failure));
    }
    throw error;
  }
  if (transaction.open) await transaction.commit();
  return value;
}

const beginOptions = ["isolation", "readOnly", "deferrable", "signal", "timeout"];
const isolations = ["read committed", "repeatable read", "serializable"];

/**
 * Checks how a transaction is to begin.
 *
 * @throws {InputError} `INVALID_INPUT` for an unknown option or isolation level.
 */
export function checkBeginOptions(options: TransactionOptions): BeginOptions {
  for (const name of Object.keys(options)) {
    if (!beginOptions.includes(name)) {
      throw new InputError(`A transaction has no option "${name}"`, {
        hint: didYouMean(name, beginOptions),
      });
    }
  }
  const { isolation, readOnly, deferrable } = options;
  if (isolation !== undefined && !isolations.includes(isolation)) {
    throw new InputError("The isolation level is unknown", {
      hint: `It can be ${isolations.map((name) => `"${name}"`).join(", ")}`,
    });
  }
  for (const [name, value] of Object.entries({ readOnly, deferrable })) {
    if (value !== undefined && typeof value !== "boolean") {
      throw new InputError(`The option "${name}" of a transaction must be true or false`);
    }
  }
  return { isolation, readOnly, deferrable };
}

async function runHooks(hooks: TransactionHook[], name: string): Promise<void> {
  for (const hook of hooks.splice(0)) {
    try {
      await hook();
    } catch (error) {
      console.error(`A function given to ${name}() failed:`, error);
    }
  }
}
