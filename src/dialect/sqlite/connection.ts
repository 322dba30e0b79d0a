/** One connection to a SQLite database. */

import type { DatabaseSync } from "node:sqlite";
import {
  ClosedError,
  ConnectionLostError,
  LockTimeoutError,
  PendingRollbackError,
  StatementError,
  TransactionAbortedError,
  TransactionError,
  UsageError,
} from "../../errors.ts";
import { delay, type WaitLimits } from "../../util/deadline.ts";
import { CallQueue } from "../call_queue.ts";
import type {
  BeginOptions,
  CallOptions,
  DriverConnection,
  DriverCursor,
  DriverResult,
  DriverStatement,
  TransactionStatus,
} from "../driver.ts";
import { bindValues } from "./bind.ts";
import type { SqliteSettings } from "./config.ts";
import { type CursorHost, SqliteCursor } from "./cursor.ts";
import { isLocked, sqliteError } from "./errors.ts";
import { fileId, type OpenDatabase } from "./open.ts";
import { type PreparedStatement, StatementCache } from "./statements.ts";
import { useWriterLock, type WriterLock } from "./writer_lock.ts";

/**
 * `idle`: no transaction. `reading`: a read-only one. `writing`: one that holds the writer's lock.
 * `failed`: SQLite rolled it back by itself, and the caller has not yet been told by `rollback()`.
 */
type Phase = "idle" | "reading" | "writing" | "failed";

/** How long a call may still wait, fixed when it was made. */
interface Limits {
  readonly signal: AbortSignal | undefined;
  readonly until: number;
}

let made = 0;

const cursorEnded = "The cursor ended with its transaction";

/**
 * One connection. Every call does its work synchronously once its turn has come: a limit can end
 * the wait for a turn or a lock, and never a statement that runs.
 */
export class SqliteConnection implements DriverConnection {
  readonly id: string = String(++made);
  onLost: ((reason: Error) => void) | undefined;

  readonly #db: DatabaseSync;
  readonly #opened: OpenDatabase;
  readonly #settings: SqliteSettings;
  readonly #queue = new CallQueue();
  readonly #statements: StatementCache;
  readonly #writer: WriterLock | undefined;
  readonly #leaveWriter: (() => void) | undefined;
  readonly #cursors = new Set<SqliteCursor>();
  readonly #cursorHost: CursorHost;
  readonly #onClosed: () => void;
  readonly #ended = new AbortController();
  #phase: Phase = "idle";
  #holdsWriter = false;
  #lost: Error | undefined;
  #open = true;

  /** Takes over an open database. */
  constructor(opened: OpenDatabase, settings: SqliteSettings, onClosed: () => void) {
    this.#opened = opened;
    this.#db = opened.db;
    this.#settings = settings;
    this.#onClosed = onClosed;
    this.#statements = new StatementCache(settings.statementCacheSize);
    if (opened.file !== undefined && settings.mode !== "ro") {
      const { lock, leave } = useWriterLock(opened.file);
      this.#writer = lock;
      this.#leaveWriter = leave;
    }
    this.#cursorHost = {
      db: opened.db,
      call: (job, options) => this.#call(options, job),
      unrestricted: (job) => this.#unrestricted(job),
      closed: (cursor) => this.#cursors.delete(cursor),
    };
  }

  get transactionStatus(): TransactionStatus {
    return this.#phase === "reading" || this.#phase === "writing" ? "open" : this.#phase;
  }

  get busy(): boolean {
    return this.#queue.busy;
  }

  get lost(): Error | undefined {
    return this.#lost;
  }

  run(statement: DriverStatement, options?: CallOptions): Promise<DriverResult> {
    return this.#call(options, (limits) => this.#run(statement, limits));
  }

  begin(options: BeginOptions = {}, call?: CallOptions): Promise<void> {
    return this.#call(call, (limits) => {
      if (this.#phase !== "idle") {
        throw new TransactionError("A transaction is already open on this connection", {
          hint: "Commit or roll it back first, or use a savepoint",
        });
      }
      if (options.readOnly || this.#settings.mode === "ro") {
        return this.#whenUnlocked(limits, () => {
          this.#send("BEGIN");
          this.#send("PRAGMA query_only = 1");
          this.#phase = "reading";
        });
      }
      return this.#withWriter(limits, () => {
        this.#send("BEGIN IMMEDIATE");
        this.#phase = "writing";
      });
    });
  }

  commit(call?: CallOptions): Promise<void> {
    return this.#call(call, (limits) => {
      if (this.#phase === "idle") throw new TransactionError("There is no transaction to commit");
      if (this.#phase === "failed") {
        this.#finish();
        throw new TransactionAbortedError(
          "The transaction was rolled back by SQLite after an error: nothing was stored",
        );
      }
      for (const cursor of this.#cursors) cursor.end(cursorEnded);
      const commit = () => {
        this.#send("COMMIT");
        this.#finish();
      };
      // A failed commit ends the transaction, as it does on PostgreSQL.
      const rollBack = (error: unknown): never => {
        this.#rollback();
        throw error;
      };
      try {
        const outcome = this.#whenUnlocked(limits, commit);
        return outcome instanceof Promise ? outcome.catch(rollBack) : outcome;
      } catch (error) {
        return rollBack(error);
      }
    });
  }

  rollback(call?: CallOptions): Promise<void> {
    return this.#call(call, () => this.#rollback());
  }

  openCursor(statement: DriverStatement, options?: CallOptions): Promise<DriverCursor> {
    return this.#call(options, (limits) => {
      if (this.#phase === "idle") {
        throw new TransactionError("A cursor needs an open transaction", {
          hint: "Call begin() first",
        });
      }
      this.#refuseFailed();
      return this.#whenUnlocked(limits, () => {
        const prepared = this.#statements.get(statement.text, statement.prepare !== false);
        const values = bindValues(statement.params, prepared.scan.parameters);
        const cursor = this.#guarded(
          statement.text,
          () => new SqliteCursor(this.#cursorHost, prepared, values),
        );
        this.#cursors.add(cursor);
        return cursor;
      });
    });
  }

  ping(options?: CallOptions): Promise<void> {
    return this.#call(options, () => {
      const { file, fileId: opened } = this.#opened;
      if (file !== undefined && fileId(file) !== opened) {
        this.#lose(
          new ConnectionLostError(`The database file "${file}" was removed or replaced`, {
            hint: "What is written through this connection would go to the old file",
          }),
        );
        throw this.#lost;
      }
      this.#send("SELECT 1");
    });
  }

  async close(): Promise<void> {
    this.#queue.refuse(closed());
    await this.#queue.idle();
    this.#end();
  }

  destroy(): void {
    this.#queue.fail(closed());
    this.#end();
  }

  #call<T>(
    options: CallOptions | undefined,
    job: (limits: Limits) => T | Promise<T>,
  ): Promise<T> {
    const { signal, timeout } = options ?? {};
    const limits = { signal, until: timeout ? performance.now() + timeout : Infinity };
    return this.#queue.run(() => job(limits), options);
  }

  #run(statement: DriverStatement, limits: Limits): DriverResult | Promise<DriverResult> {
    const prepared = this.#statements.get(statement.text, statement.prepare !== false);
    const { kind, command, parameters } = prepared.scan;
    const values = bindValues(statement.params, parameters);
    this.#refuseFailed();
    if (kind === "transaction") {
      throw new UsageError(`${command} cannot be sent as a statement`, {
        hint: "Use begin(), commit() and rollback() of the connection",
      });
    }
    if (kind === "savepoint" && this.#phase === "idle") {
      throw new StatementError(`${command} can only be used in a transaction`, {
        sqlState: "25P01",
        statement: statement.text,
      });
    }
    const attempt = (): DriverResult =>
      this.#guarded(prepared.text, () => {
        prepared.prepare(this.#db);
        if (prepared.columns.length > 0) {
          const rows = prepared.all(values);
          if (kind === "schema") this.#statements.clear();
          return { rows, columns: prepared.columns, rowCount: rows.length, command: tag(prepared) };
        }
        const changes = prepared.change(values);
        if (kind === "schema") this.#statements.clear();
        // SQLite leaves the count of the last write standing.
        return {
          rows: [],
          columns: [],
          rowCount: kind === "write" ? changes : 0,
          command: tag(prepared),
        };
      });
    if (this.#phase === "idle" && (kind === "write" || kind === "schema")) {
      return this.#withWriter(limits, attempt);
    }
    return this.#whenUnlocked(limits, attempt);
  }

  /** Runs `attempt` holding the writer's lock; gives it back unless a transaction was opened. */
  #withWriter<T>(limits: Limits, attempt: () => T): T | Promise<T> {
    const lock = this.#writer;
    if (lock === undefined) return this.#whenUnlocked(limits, attempt);
    const holding = (): T | Promise<T> => {
      this.#holdsWriter = true;
      const settle = () => {
        if (this.#phase !== "writing") this.#releaseWriter();
      };
      let outcome: T | Promise<T>;
      try {
        outcome = this.#whenUnlocked(limits, attempt);
      } catch (error) {
        settle();
        throw error;
      }
      if (outcome instanceof Promise) return outcome.finally(settle);
      settle();
      return outcome;
    };
    if (lock.tryAcquire()) return holding();
    return lock.acquire(this.#waitLimits(limits)).then(() => {
      if (this.#open) return holding();
      lock.release();
      throw closed();
    });
  }

  /** Runs `attempt`, again and again while another process holds the lock. */
  #whenUnlocked<T>(limits: Limits, attempt: () => T): T | Promise<T> {
    try {
      return attempt();
    } catch (error) {
      if (!(error instanceof LockTimeoutError) || !isLocked(error.cause)) throw error;
      return this.#retry(limits, attempt);
    }
  }

  async #retry<T>(limits: Limits, attempt: () => T): Promise<T> {
    const { signal, timeout } = this.#waitLimits(limits);
    const began = performance.now();
    for (let pause = 1;; pause = Math.min(pause * 2, 50)) {
      await delay(pause * (0.5 + Math.random() / 2), signal);
      try {
        return attempt();
      } catch (error) {
        if (!(error instanceof LockTimeoutError) || !isLocked(error.cause)) throw error;
        const waited = performance.now() - began;
        if (waited < timeout) continue;
        throw new LockTimeoutError(
          `The database is locked by another process: waited ${Math.round(waited)} ms`,
          {
            sqlState: "55P03",
            cause: error.cause,
            hint: "End the other writer's transaction, or wait longer: { lockTimeout: 30_000 }",
          },
        );
      }
    }
  }

  #waitLimits(limits: Limits): WaitLimits & { signal: AbortSignal; timeout: number } {
    const ended = this.#ended.signal;
    const left = Math.max(1, limits.until - performance.now());
    return {
      signal: limits.signal ? AbortSignal.any([limits.signal, ended]) : ended,
      timeout: Math.min(left, Math.max(1, this.#settings.lockTimeout)),
    };
  }

  /** Runs `job`; what SQLite throws becomes an error of ours, what it did besides is noticed. */
  #guarded<T>(text: string, job: () => T): T {
    try {
      return job();
    } catch (error) {
      if (this.transactionStatus === "open" && !this.#db.isTransaction) {
        // A full disk, a failed read, ON CONFLICT ROLLBACK: SQLite ended the transaction. What
        // the caller sends next must not be stored on its own.
        for (const cursor of this.#cursors) cursor.forget(cursorEnded);
        this.#phase = "failed";
        this.#unrestrict();
        this.#releaseWriter();
      }
      throw sqliteError(error, text);
    }
  }

  #refuseFailed(): void {
    if (this.#phase !== "failed") return;
    throw new PendingRollbackError("The transaction was rolled back by SQLite after an error", {
      hint: "Call rollback() and begin again",
    });
  }

  /** One of our own statements. */
  #send(text: string): void {
    this.#guarded(text, () => this.#statements.get(text, true).prepare(this.#db).all([]));
  }

  #rollback(): void {
    if (this.#phase === "idle") return;
    for (const cursor of this.#cursors) cursor.forget(cursorEnded);
    try {
      if (this.#db.isTransaction) this.#send("ROLLBACK");
    } finally {
      this.#finish();
    }
  }

  #finish(): void {
    const { isTransaction } = this.#db;
    if (this.#phase === "reading") this.#unrestrict();
    this.#phase = isTransaction ? this.#phase : "idle";
    if (!isTransaction) this.#releaseWriter();
  }

  #unrestricted<T>(job: () => T): T {
    if (this.#phase !== "reading") return job();
    this.#unrestrict();
    try {
      return job();
    } finally {
      this.#send("PRAGMA query_only = 1");
    }
  }

  #unrestrict(): void {
    this.#send("PRAGMA query_only = 0");
  }

  #releaseWriter(): void {
    if (!this.#holdsWriter) return;
    this.#holdsWriter = false;
    this.#writer?.release();
  }

  #lose(reason: Error): void {
    this.#lost = reason;
    this.#queue.fail(reason);
    this.#end();
    this.onLost?.(reason);
  }

  #end(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#ended.abort(closed());
    for (const cursor of this.#cursors) cursor.forget("The connection is closed");
    this.#statements.clear();
    this.#phase = "idle";
    try {
      this.#db.close();
    } catch {
      // Closing never rejects; an unfinished transaction is rolled back when the file is next
      // opened.
    }
    this.#releaseWriter();
    this.#leaveWriter?.();
    this.#onClosed();
  }
}

function tag(prepared: PreparedStatement): string {
  const { command } = prepared.scan;
  return command === "VALUES" ? "SELECT" : command === "REPLACE" ? "INSERT" : command;
}

function closed(): ClosedError {
  return new ClosedError("The connection is closed", { hint: "Take another one" });
}
