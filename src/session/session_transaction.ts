/**
 * The open transaction of a session: the engine's, and with it what the session has to put back.
 *
 * @module
 */

import type { AdvisoryLock, AdvisoryLockOptions } from "../engine/advisory_lock.ts";
import type { Connection } from "../engine/connection.ts";
import type { Transaction, TransactionHook } from "../engine/transaction.ts";

/** What a transaction needs of its session. */
export interface TransactionOwner {
  /** Flushes, commits, and lets go of the connection. */
  commitTransaction(transaction: SessionTransaction): Promise<void>;
  /** Rolls back, restores the objects, and lets go of the connection. */
  rollbackTransaction(transaction: SessionTransaction): Promise<void>;
  /** Runs `fn` so that it can be undone alone, objects included. */
  savepoint<T>(transaction: SessionTransaction, fn: () => T | Promise<T>): Promise<T>;
}

/** What a transaction holds. */
export interface TransactionLease {
  /** The connection. */
  readonly connection: Connection;
  /** Gives it back. */
  readonly release: () => Promise<void>;
  /** The objects' changes are part of the transaction. */
  readonly tracks: boolean;
}

/**
 * A transaction of a session, made by `session.begin()`. Disposing it without `commit()` rolls
 * back.
 *
 * @example
 * ```ts
 * import { AsyncEngine, createAll, entity, integer, text } from "@sluice/orm";
 * import { assertEquals } from "@std/assert";
 *
 * class Pet extends entity("pets", { id: integer().primaryKey().generated(), name: text() }) {}
 * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Pet] });
 * await createAll(engine);
 * await using session = engine.session();
 * {
 *   await using _tx = await session.begin();
 *   session.add(new Pet({ name: "Ant" }));
 *   assertEquals(await session.query(Pet).count(), 1);
 * } // left without commit(): rolled back
 * assertEquals(await session.query(Pet).count(), 0);
 * ```
 */
export class SessionTransaction implements AsyncDisposable {
  readonly #owner: TransactionOwner;
  /** The engine's transaction. */
  readonly inner: Transaction;
  /** The connection it is open on. */
  readonly connection: Connection;
  /** Gives the connection back. */
  readonly release: () => Promise<void>;
  /** The objects' changes are part of it; otherwise they wait for a commit of their own. */
  readonly tracks: boolean;

  /** Made by `session.begin()`. */
  constructor(owner: TransactionOwner, inner: Transaction, lease: TransactionLease) {
    this.#owner = owner;
    this.inner = inner;
    this.connection = lease.connection;
    this.release = lease.release;
    this.tracks = lease.tracks;
  }

  /** Neither committed nor rolled back yet. */
  get open(): boolean {
    return this.inner.open;
  }

  /** Writes are refused, before they are sent where that can be told. */
  get readOnly(): boolean {
    return this.inner.readOnly;
  }

  /** How often its function has run, this time included: more than 1 only with `retries`. */
  get attempt(): number {
    return this.inner.attempt;
  }

  /**
   * Flushes what is pending, and commits.
   *
   * @throws {TransactionAbortedError} when a statement or a flush had failed: rolled back.
   * @throws {CommitUnknownError} when the connection was lost before the answer. With an
   * `idempotencyKey` the outcome is looked up, and this is thrown only if that fails, too.
   * @throws {ReadOnlyError} when a read-only one has changes to store: rolled back.
   */
  async commit(): Promise<void> {
    await this.#owner.commitTransaction(this);
  }

  /**
   * Rolls back; every object is as it is stored: new ones are transient, those too that were added before
   * the transaction began.
   */
  async rollback(): Promise<void> {
    await this.#owner.rollbackTransaction(this);
  }

  /**
   * Runs `fn` so that it can be undone alone: when it throws, the rows and the objects are as
   * they were before it, and the error goes on.
   */
  savepoint<T>(fn: () => T | Promise<T>): Promise<T> {
    return this.#owner.savepoint(this, fn);
  }

  /**
   * Takes a lock on a name, held until the transaction ends. See `Transaction.advisoryLock()`.
   *
   * @throws {LockTimeoutError} `LOCK_TIMEOUT` when it was not to be had in time.
   */
  advisoryLock(key: string | bigint, options?: AdvisoryLockOptions): Promise<AdvisoryLock> {
    return this.inner.advisoryLock(key, options);
  }

  /**
   * Calls `hook` once the transaction is committed. Where its function runs again, those of the attempt
   * that is committed are called.
   */
  onCommit(hook: TransactionHook): void {
    this.inner.onCommit(hook);
  }

  /**
   * Calls `hook` once the transaction is rolled back. Where its function runs again, each attempt calls
   * its own: each has its own traces to clear away.
   */
  onRollback(hook: TransactionHook): void {
    this.inner.onRollback(hook);
  }

  /** Rolls back if it is still open. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.open) await this.rollback();
  }
}
