/**
 * The open transaction of a session: the engine's, and with it what the session has to put back.
 *
 * @module
 */

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

  /** Flushes what is pending, and commits. */
  async commit(): Promise<void> {
    await this.#owner.commitTransaction(this);
  }

  /** Rolls back; every object is as it was when the transaction began. */
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

  /** Calls `hook` once the transaction is committed. */
  onCommit(hook: TransactionHook): void {
    this.inner.onCommit(hook);
  }

  /** Calls `hook` once the transaction is rolled back. */
  onRollback(hook: TransactionHook): void {
    this.inner.onRollback(hook);
  }

  /** Rolls back if it is still open. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.open) await this.rollback();
  }
}
