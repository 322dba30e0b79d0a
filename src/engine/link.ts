/**
 * A lent driver connection and what the engine adds to it: what is refused, what is told, what is
 * noted for the pool's messages. `Connection` and `Transaction` are two views of one link.
 */

import {
  ClosedError,
  ConnectionLostError,
  DatabaseError,
  PendingRollbackError,
  TransactionAbortedError,
  UsageError,
} from "../errors.ts";
import type { Dialect } from "../dialect/dialect.ts";
import type {
  BeginOptions,
  CallOptions,
  DriverConnection,
  DriverCursor,
  DriverResult,
  DriverStatement,
} from "../dialect/driver.ts";
import type { Lease, LeaseTask } from "../pool/pool.ts";
import { caught } from "../util/caught.ts";
import { suppress } from "../util/suppress.ts";
import type { EscapeMode } from "./begin_options.ts";
import type { CommitKeys } from "./commit_keys.ts";
import type { Emitter, TransactionEvent } from "./events.ts";
import { isWrite, writeRefused } from "./read_only.ts";
import type { TransactionWatch } from "./transaction_watch.ts";

/** Longest time for a rollback that nobody gave a limit. */
export const ROLLBACK_TIMEOUT = 5_000;

/** What all links of an engine share. */
export interface LinkContext {
  /** How SQL is spelt. */
  readonly dialect: Dialect;
  /** Who is told. */
  readonly events: Emitter;
  /** The limits of a call that has none of its own. */
  readonly call: CallOptions;
  /** Tell the listeners the values too. */
  readonly showParams: boolean;
  /** What transactions do with statements sent past them, where they do not say. */
  readonly escape: EscapeMode;
  /** Which transactions are open, and for how long. */
  readonly watch: TransactionWatch;
  /** The idempotency keys of this database. */
  readonly keys: CommitKeys;
}

/** What a link must know of the transaction that is open on it. */
export interface OpenTransaction {
  /** What it is, for messages. */
  readonly kind: "transaction" | "stream";
  /** Writes are refused. */
  readonly readOnly: boolean;
  /** The connection goes back to the pool: roll back, never reject. */
  abandon(): Promise<void>;
}

/** One checkout. */
export class Link {
  /** What is shared. */
  readonly context: LinkContext;
  /** The connection. */
  readonly driver: DriverConnection;
  /** The pool's lease. */
  readonly lease: Lease<DriverConnection>;
  /** The open transaction. */
  transaction: OpenTransaction | undefined;
  /** The first error of the open transaction, where the database answers nothing but rollback now. */
  failure: unknown;
  /** The open transaction's function, and what it calls, must not send statements past it. */
  escape: EscapeMode = "allow";
  /** A statement of the transaction that was begun last has been answered. */
  answered = false;
  #task: LeaseTask | undefined;
  /** The database has confirmed the open transaction's begin. */
  #begun = false;
  #waitedMs: number;
  #closed = false;

  constructor(context: LinkContext, lease: Lease<DriverConnection>, waitedMs: number) {
    this.context = context;
    this.lease = lease;
    this.driver = lease.resource;
    this.#waitedMs = waitedMs;
  }

  /** It went back to the pool. */
  get closed(): boolean {
    return this.#closed || this.lease.released;
  }

  /** Why nothing can be sent now; undefined if it can. */
  refusal(): Error | undefined {
    if (this.closed) {
      return new ClosedError("This connection went back to the pool", {
        hint: "Use it before its release, or take another one with engine.connect()",
      });
    }
    if (this.driver.lost) return this.#lostError(this.driver.lost);
    if (this.transaction === undefined) return undefined;
    if (this.failure !== undefined || this.driver.transactionStatus === "failed") {
      return this.pendingRollback();
    }
    if (this.driver.transactionStatus === "idle" && this.#begun && !this.driver.busy) {
      return new TransactionAbortedError("The database itself ended the transaction", {
        hint: "Nothing of it is stored; run it again as a whole",
      });
    }
    return undefined;
  }

  /** What a failed transaction answers. */
  pendingRollback(): PendingRollbackError {
    return new PendingRollbackError(
      "A statement of this transaction failed, so nothing but rollback is answered",
      {
        cause: this.failure,
        hint: "Roll back and begin again; wrap what may fail in tx.savepoint()",
      },
    );
  }

  /** The limits of a call: its own, else the engine's. */
  limits(call: CallOptions | undefined): CallOptions {
    const standard = this.context.call;
    if (call === undefined) return standard;
    // A value that was left out is no one else's: not read from a prototype that was written to
    const timeout = Object.hasOwn(call, "timeout") ? call.timeout : undefined;
    return {
      signal: Object.hasOwn(call, "signal") ? call.signal : undefined,
      timeout: timeout ?? standard.timeout,
    };
  }

  /** Runs a statement. */
  run(statement: DriverStatement, call?: CallOptions): Promise<DriverResult> {
    const refusal = this.refusal();
    if (refusal !== undefined) return caught(Promise.reject(refusal));
    if (this.transaction?.readOnly && isWrite(statement.text)) {
      return caught(Promise.reject(writeRefused(statement.text)));
    }
    return this.send(statement, call);
  }

  /** Runs a read that may travel together with others. The connection must be able to. */
  share(statement: DriverStatement, signal: AbortSignal | undefined): Promise<DriverResult> {
    const refusal = this.refusal();
    if (refusal !== undefined) return caught(Promise.reject(refusal));
    this.#note(statement);
    const { timeout } = this.context.call;
    const run = () => this.driver.runShared!(statement, { signal, timeout });
    if (!this.context.events.has("statement")) return run();
    return caught(this.#observe(statement, run, (r) => r.rowCount));
  }

  /** Runs a statement that is allowed in a failed transaction too. */
  send(statement: DriverStatement, call?: CallOptions): Promise<DriverResult> {
    this.#note(statement);
    const run = () => this.driver.run(statement, this.limits(call));
    const observed = this.context.events.has("statement");
    const promise = observed ? this.#observe(statement, run, (r) => r.rowCount) : run();
    if (this.transaction === undefined) return observed ? caught(promise) : promise;
    return caught(promise.then((result) => {
      this.answered = true;
      return result;
    }, (error) => {
      throw this.explain(error);
    }));
  }

  /** Runs a statement that is a transaction by itself. */
  runAlone(statement: DriverStatement, call?: CallOptions): Promise<DriverResult> {
    try {
      this.#assertNoneOpen();
    } catch (error) {
      return caught(Promise.reject(error));
    }
    return this.send({ ...statement, alone: true }, call);
  }

  /** Opens a cursor in the open transaction. */
  async openCursor(statement: DriverStatement, call?: CallOptions): Promise<DriverCursor> {
    const refusal = this.refusal();
    if (refusal !== undefined) throw refusal;
    this.#note(statement);
    const open = () => this.driver.openCursor(statement, this.limits(call));
    try {
      const cursor = this.context.events.has("statement")
        ? await this.#observe(statement, open, () => 0)
        : await open();
      this.answered = true;
      return cursor;
    } catch (error) {
      throw this.explain(error);
    }
  }

  /** `COPY … FROM STDIN`; gives the number of rows. */
  async copyIn(
    text: string,
    source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    call?: CallOptions,
  ): Promise<number> {
    const refusal = this.refusal();
    if (refusal !== undefined) throw refusal;
    if (this.transaction?.readOnly) throw writeRefused(text);
    const { driver } = this;
    if (driver.copyIn === undefined) throw noCopy();
    const statement = { text, params: [] };
    this.#note(statement);
    const copy = () => driver.copyIn!(text, source, this.limits(call));
    try {
      return this.context.events.has("statement")
        ? await this.#observe(statement, copy, (rows) => rows)
        : await copy();
    } catch (error) {
      throw this.explain(error);
    }
  }

  /** `COPY … TO STDOUT`, chunk by chunk. */
  async *copyOut(text: string, call?: CallOptions): AsyncGenerator<Uint8Array, void, void> {
    const refusal = this.refusal();
    if (refusal !== undefined) throw refusal;
    if (this.driver.copyOut === undefined) throw noCopy();
    this.#note({ text, params: [] });
    try {
      yield* this.driver.copyOut(text, this.limits(call));
    } catch (error) {
      throw this.explain(error);
    }
  }

  /** Notes the failure of a statement in a transaction, and gives the error to throw. */
  explain(error: unknown): unknown {
    if (this.transaction === undefined) return error;
    if (this.failure !== undefined) {
      // Sent before the first failure was known, and refused by the database because of it.
      return error instanceof PendingRollbackError ? this.pendingRollback() : error;
    }
    const failed = this.driver.transactionStatus === "failed" ||
      this.context.dialect.name === "postgres" && error instanceof DatabaseError;
    if (failed) this.failure = error;
    return error;
  }

  /**
   * Notes a failure that the database knows nothing of, but after which what was sent is of no use:
   * nothing but rollback is answered from here on, on every database alike.
   */
  fail(error: unknown): void {
    if (this.transaction !== undefined) this.failure ??= error;
  }

  /** The open transaction is meant to be open for long. */
  expectLong(): void {
    if (this.#task !== undefined) this.context.watch.end(this.#task);
  }

  /** Begins a transaction and waits until the database has confirmed it. */
  async begin(
    transaction: OpenTransaction,
    options: BeginOptions,
    call: CallOptions | undefined,
    traced = false,
  ): Promise<void> {
    this.#claim(transaction, traced);
    try {
      await this.#step("begin", () => this.driver.begin(options, this.limits(call)));
      this.#begun = true;
    } catch (error) {
      // Given up half-way it may have begun all the same.
      if (!this.driver.lost) await this.rollback().catch((failure) => suppress(error, failure));
      this.#end();
      throw error;
    }
  }

  /**
   * Sends the begin of a transaction without waiting for its answer, so that the first statement
   * shares its round trip. If it fails, the connection is destroyed: what was sent behind it must not
   * run outside of a transaction.
   */
  beginSoon(transaction: OpenTransaction, options: BeginOptions, traced = false): void {
    this.#claim(transaction, traced);
    const begin = this.#step("begin", () => this.driver.begin(options, this.context.call));
    begin.then(() => {
      if (this.transaction === transaction) this.#begun = true;
    }, (error) => {
      this.failure ??= error;
      this.driver.destroy();
    });
  }

  /** Commits. Whatever comes of it, the transaction has ended. */
  async commit(call?: CallOptions): Promise<void> {
    try {
      await this.#step("commit", () => this.driver.commit(this.limits(call)));
    } catch (error) {
      const stillOpen = !this.driver.lost && this.driver.transactionStatus !== "idle";
      if (stillOpen) await this.rollback().catch((failure) => suppress(error, failure));
      throw error;
    } finally {
      this.#end();
    }
  }

  /** Rolls back; a connection on which that fails is destroyed. */
  async rollback(call: CallOptions = { timeout: ROLLBACK_TIMEOUT }): Promise<void> {
    try {
      await this.#step("rollback", () => this.driver.rollback(call));
    } catch (error) {
      if (!this.driver.lost) this.driver.destroy();
      throw error;
    } finally {
      this.#end();
    }
  }

  /** Undoes what was done since a savepoint, which also mends a failed transaction. */
  async rollbackTo(savepoint: string): Promise<void> {
    const statement = { text: `rollback to savepoint ${savepoint}`, params: [], prepare: false };
    await this.send(statement, { timeout: ROLLBACK_TIMEOUT });
    this.failure = undefined;
  }

  #note({ text }: DriverStatement): void {
    this.lease.note = text;
    if (this.#task !== undefined) this.#task.note = text;
  }

  #claim(transaction: OpenTransaction, traced: boolean): void {
    this.#assertNoneOpen();
    this.transaction = transaction;
    this.answered = false;
    if (transaction.kind === "transaction") {
      this.lease.task = this.#task = this.context.watch.begin(traced);
    }
  }

  #assertNoneOpen(): void {
    const refusal = this.refusal();
    if (refusal !== undefined) throw refusal;
    if (this.transaction?.kind === "stream") {
      throw new UsageError(
        "A stream outside of a transaction is being read on this connection, in a read-only one of its own",
        { hint: "Begin first and stream inside the transaction, or take another connection" },
      );
    }
    if (this.transaction !== undefined) {
      throw new UsageError("A transaction is open on this connection already", {
        hint: "Use tx.savepoint(fn) for one inside the other",
      });
    }
  }

  #end(): void {
    this.escape = "allow";
    if (this.#task !== undefined) {
      this.context.watch.end(this.#task);
      this.lease.task = this.#task = undefined;
    }
    this.transaction = undefined;
    this.failure = undefined;
    this.#begun = false;
  }

  /** Runs a step of a transaction and tells of it. */
  async #step(action: TransactionEvent["action"], run: () => Promise<void>): Promise<void> {
    const { events } = this.context;
    if (!events.has("transaction")) return await run();
    const started = performance.now();
    const connection = this.driver.id;
    const tell = (error: unknown) =>
      events.emit("transaction", {
        action,
        connection,
        ms: performance.now() - started,
        error,
      });
    try {
      await run();
    } catch (error) {
      tell(error);
      throw error;
    }
    tell(undefined);
  }

  /** Gives the connection back. Never rejects; a second call does nothing. */
  release(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#closed = true;
    if (this.transaction === undefined) return this.lease.release();
    return this.transaction.abandon().then(() => this.lease.release());
  }

  async #observe<T>(
    statement: DriverStatement,
    run: () => Promise<T>,
    rowCount: (result: T) => number,
  ): Promise<T> {
    const { events, showParams } = this.context;
    const started = performance.now();
    const waitedMs = this.#waitedMs;
    // The wait belongs to the first statement of the checkout.
    this.#waitedMs = 0;
    const tell = (rowCount: number | undefined, error: unknown) =>
      events.emit("statement", {
        sql: statement.text,
        params: showParams ? statement.params : undefined,
        rowCount,
        ms: performance.now() - started,
        waitedMs,
        connection: this.driver.id,
        error,
      });
    try {
      const result = await run();
      tell(rowCount(result), undefined);
      return result;
    } catch (error) {
      tell(undefined, error);
      throw error;
    }
  }

  #lostError(reason: Error): Error {
    if (reason instanceof ConnectionLostError) return reason;
    return new ConnectionLostError("The connection is lost", { cause: reason });
  }
}

function noCopy(): UsageError {
  return new UsageError("This database has no COPY", {
    hint: "Use bulkInsert() and stream(), or the engine's copyIn() and copyOut()",
  });
}
