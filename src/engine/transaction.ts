import { AsyncLocalStorage } from "node:async_hooks";
import {
  ClosedError,
  CommitUnknownError,
  ConnectionLostError,
  TransactionAbortedError,
  UsageError,
} from "../errors.ts";
import type {
  CallOptions,
  DriverCursor,
  DriverResult,
  DriverStatement,
} from "../dialect/driver.ts";
import { caught } from "../util/caught.ts";
import { suppress } from "../util/suppress.ts";
import { AdvisoryLock, type AdvisoryLockOptions, lockInTransaction } from "./advisory_lock.ts";
import type { Link } from "./link.ts";
import type { Result } from "./result.ts";
import { compile, type Executable, execute } from "./statement.ts";
import { type StreamOptions, streamRows, streamWindows } from "./stream.ts";

export type { TransactionOptions } from "./begin_options.ts";

/** What a transaction is made with. */
export interface TransactionTraits {
  /** Writes are refused. */
  readonly readOnly: boolean;
  /** How often its function has run, this time included. */
  readonly attempt: number;
  /** The key that it has written. */
  readonly idempotencyKey: string | undefined;
}

/** Called after a commit or a rollback. What it throws is printed with `console.error`. */
export type TransactionHook = () => unknown;

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

  /**
   * Takes a lock on a name, held until the transaction ends; one taken inside a savepoint that is
   * rolled back, until then. A text stands for the first 8 bytes of its SHA-256, a bigint for itself.
   *
   * On SQLite a transaction that may write is alone with the database anyway, so there the lock is
   * had at once; a read-only one cannot have it.
   *
   * @param options.timeout Longest wait, in milliseconds. On PostgreSQL a wait that was given up is a
   * failed statement: nothing but rollback is answered after it. `noWait` does no such harm.
   * @throws {LockTimeoutError} `LOCK_TIMEOUT` when it was not to be had in time.
   *
   * @example
   * ```ts
   * import { AsyncEngine, sql } from "@sluice/orm";
   * import { assertEquals } from "@std/assert";
   *
   * await using engine = new AsyncEngine("sqlite::memory:");
   * await engine.begin(async (tx) => {
   *   await using lock = await tx.advisoryLock("monthly report");
   *   assertEquals(lock.held, true); // nobody else makes this report now
   *   await tx.execute(sql`create table reports (month text)`);
   * });
   * ```
   */
  async advisoryLock(
    key: string | bigint,
    options: AdvisoryLockOptions = {},
  ): Promise<AdvisoryLock> {
    this.assertOpen();
    const link = this.#link;
    const id = await lockInTransaction(link, key, options);
    const open = () => this.open && link.driver.lost === undefined;
    return new AdvisoryLock(id, options.shared === true, {
      get held() {
        return open();
      },
      release: () => Promise.resolve(),
    });
  }

  /**
   * Calls `hook` once the transaction is committed. Where the function of a transaction runs again,
   * those of the attempt that is committed are called.
   */
  onCommit(hook: TransactionHook): void {
    this.assertOpen();
    this.#commitHooks.push(hook);
  }

  /**
   * Calls `hook` once this transaction or savepoint is rolled back. Where the function of a transaction
   * runs again, each attempt calls its own: each has its own traces to clear away.
   */
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
  /** Writes are refused, before they are sent where that can be told. */
  readonly readOnly: boolean;
  /** How often its function has run, this time included: more than 1 only with `retries`. */
  readonly attempt: number;
  readonly #link: Link;
  readonly #key: string | undefined;
  #state: State = "open";
  /** It was looked up, and is not stored. */
  #provenUndone = false;

  /** Made by `begin()`. */
  constructor(link: Link, traits: TransactionTraits) {
    super(link);
    this.#link = link;
    this.readOnly = traits.readOnly;
    this.attempt = traits.attempt;
    this.#key = traits.idempotencyKey;
  }

  /**
   * Its connection is lost, and nobody can have built upon it: nothing of it was answered, it only
   * read, or it was looked up and is not stored. For the layers above.
   */
  get leftNoTrace(): boolean {
    return this.readOnly || this.#provenUndone || !this.#link.answered;
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
   * @throws {CommitUnknownError} `COMMIT_UNKNOWN` when the connection was lost before the answer. With an
   * `idempotencyKey` the outcome is looked up, and this is thrown only if that fails, too.
   * @throws {ConnectionLostError} `CONNECTION_LOST` when it was looked up and is not stored.
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
      if (error instanceof CommitUnknownError) await this.#lookUp(error);
      else {
        this.#state = "rolled back";
        await this.runRollbackHooks();
        throw error;
      }
    }
    await this.runCommitHooks();
  }

  /** Returns if the commit without an answer took place. */
  async #lookUp(cause: CommitUnknownError): Promise<void> {
    this.#state = "ended without an answer";
    const key = this.#key;
    if (key === undefined) throw cause;
    const link = this.#link;
    const lookUp = () => link.context.keys.isCommitted(key);
    // Its place may be the only one, and is needed for the look-up.
    await link.lease.discard();
    let committed: boolean;
    try {
      committed = await lookUp();
    } catch (failure) {
      const error = new CommitUnknownError(
        "The connection was lost after COMMIT was sent, and its outcome could not be looked up",
        { idempotencyKey: key, lookUp, cause, hint: "Ask again later: await error.resolve()" },
      );
      suppress(error, failure);
      throw error;
    }
    if (committed) {
      this.#state = "committed";
      return;
    }
    this.#state = "rolled back";
    this.#provenUndone = true;
    await this.runRollbackHooks();
    throw new ConnectionLostError(
      "The connection was lost during COMMIT, and the transaction is not stored",
      { cause, hint: "Run it again as a whole" },
    );
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

async function runHooks(hooks: TransactionHook[], name: string): Promise<void> {
  for (const hook of hooks.splice(0)) {
    try {
      await hook();
    } catch (error) {
      console.error(`A function given to ${name}() failed:`, error);
    }
  }
}
