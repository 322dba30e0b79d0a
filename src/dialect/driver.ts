/**
 * How the engine talks to a database: a driver makes physical connections, a connection runs one
 * statement at a time. A driver knows nothing of pools, entities or retries.
 *
 * @module
 */

import type { DialectName, WireRow, WireValue } from "../sql/wire.ts";

export type { DialectName, WireRow, WireValue } from "../sql/wire.ts";

/** A statement ready to be sent: placeholders in the text, values beside it. */
export interface DriverStatement {
  /** One SQL statement with `$1`, `$2`, … (PostgreSQL family) or `?1`, `?2`, … (SQLite). */
  readonly text: string;
  /** The values, in the order of their placeholders. */
  readonly params: readonly WireValue[];
  /** Keep it prepared on the connection. Default true; false for one-off statements such as DDL. */
  readonly prepare?: boolean;
  /**
   * It is a transaction by itself, whose outcome matters: if the connection is lost after it was sent, it
   * rejects with `CommitUnknownError`, as `commit()` does. Default false.
   */
  readonly alone?: boolean;
  /**
   * Is given the rows that have come in while more are under way; those are not in the result. Called
   * only from run() and runShared(), must not throw, and by a driver that has all rows at once never.
   */
  readonly take?: ((rows: WireRow[]) => void) | undefined;
}

/** One column of a result. */
export interface DriverColumn {
  /** The name the database gave it. Two columns can have the same one. */
  readonly name: string;
  /** PostgreSQL family: the type's OID. SQLite: 0. */
  readonly type: number;
}

/** What a statement gave back. */
export interface DriverResult {
  /** The rows, by position, as the database spelt them. */
  readonly rows: WireRow[];
  /** The columns of `rows`; empty for statements without rows. */
  readonly columns: readonly DriverColumn[];
  /** Rows returned or, for writes without RETURNING, changed. */
  readonly rowCount: number;
  /** First word of the command tag, upper case: `SELECT`, `INSERT`, `COMMIT`, … */
  readonly command: string;
}

/** Limits on one call. */
export interface CallOptions {
  /** Gives the call up: the statement is cancelled and the call rejects with `signal.reason`. */
  signal?: AbortSignal | undefined;
  /** Longest time for the call, in milliseconds. Rejects with `StatementTimeoutError`. No limit if absent or 0. */
  timeout?: number | undefined;
}

/** The isolation levels of the SQL standard. SQLite is always serializable and takes any of them. */
export type Isolation = "read committed" | "repeatable read" | "serializable";

/** How a transaction begins. */
export interface BeginOptions {
  /** Default: the database's. */
  isolation?: Isolation | undefined;
  /** Writes are refused. On SQLite a read transaction takes no write lock. */
  readOnly?: boolean | undefined;
  /** PostgreSQL, with `serializable` and `readOnly`: wait for a snapshot that cannot fail. */
  deferrable?: boolean | undefined;
}

/** Where the connection stands, as its database last said. */
export type TransactionStatus = "idle" | "open" | "failed";

/**
 * One physical connection, for life: it never reconnects. Calls are carried out one after the
 * other in the order they were made; a caller need not wait for one before making the next.
 *
 * Once `lost` is set, every call rejects with it at once and nothing is sent.
 */
export interface DriverConnection {
  /** What the database calls this connection: the backend's process id, or a number of ours. */
  readonly id: string;
  /** As the last answer said. */
  readonly transactionStatus: TransactionStatus;
  /** A call is under way or queued. */
  readonly busy: boolean;
  /** Why the connection is no longer usable, once it is not. Final, and set synchronously. */
  readonly lost: Error | undefined;
  /** Called once, when the connection is lost other than by `close()` or `destroy()`. */
  onLost: ((reason: Error) => void) | undefined;

  /** Runs one statement to its end. */
  run(statement: DriverStatement, options?: CallOptions): Promise<DriverResult>;

  /**
   * Runs one read outside of transactions that may travel together with others of its kind: none waits
   * for the one before to be answered, none feels another's failure, and past its `timeout` it is
   * cancelled only where that can hit no other. Absent where statements cannot travel together.
   */
  runShared?(statement: DriverStatement, options?: CallOptions): Promise<DriverResult>;

  /** Begins a transaction. May be followed by further calls without waiting. */
  begin(options?: BeginOptions, call?: CallOptions): Promise<void>;
  /**
   * Commits. Rejects with `TransactionAbortedError` if the database rolled back instead, with
   * `CommitUnknownError` if the connection was lost after the commit was sent.
   */
  commit(call?: CallOptions): Promise<void>;
  /** Rolls back; harmless when no transaction is open. */
  rollback(call?: CallOptions): Promise<void>;

  /** Opens a cursor inside the open transaction. Other calls may run between its fetches. */
  openCursor(statement: DriverStatement, options?: CallOptions): Promise<DriverCursor>;

  /**
   * `COPY … FROM STDIN`, with backpressure; gives the number of rows. Absent where the database
   * has no COPY. If the source throws, nothing is stored and the source's error is thrown.
   */
  copyIn?(
    text: string,
    source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    options?: CallOptions,
  ): Promise<number>;
  /**
   * `COPY … TO STDOUT`, chunk by chunk, with backpressure. A loop left early may cost the
   * connection (it is then `lost`), never more.
   */
  copyOut?(text: string, options?: CallOptions): AsyncIterable<Uint8Array>;

  /** Asks for a sign of life. */
  ping(options?: CallOptions): Promise<void>;
  /** Ends the connection politely, after what is queued. Idempotent, and never rejects. */
  close(): Promise<void>;
  /** Ends it at once, without asking; what is under way rejects. Idempotent. */
  destroy(): void;
}

/** A cursor read in windows. */
export interface DriverCursor {
  /** The next `count` rows; fewer only at the end. */
  fetch(count: number, options?: CallOptions): Promise<DriverResult>;
  /** Closes it; idempotent, and harmless after its transaction's end. */
  close(): Promise<void>;
  /** The database fetches while the program goes on, so that a window asked for early comes for less. */
  readonly readsAhead?: boolean;
}

/** How a driver's connections want to be pooled. */
export type PoolKind = "queue" | "static" | "null";

/** Makes connections to one database. */
export interface Driver {
  /** `postgres`, `sqlite`, `pglite`, or a name of your own. */
  readonly name: string;
  /** Which SQL it speaks. */
  readonly dialect: DialectName;
  /** `static` where only one connection can exist (in-memory databases). */
  readonly defaultPool: PoolKind;
  /** The database, for messages and logs: never with a password. */
  readonly target: string;
  /** Makes one physical connection. Rejects with `ConnectError`. */
  connect(options?: CallOptions): Promise<DriverConnection>;
  /** Gives back what the driver itself holds, after its connections are closed. Idempotent. */
  close(): Promise<void>;
}
