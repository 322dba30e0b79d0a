/**
 * Every error Sluice throws, on one page. Programs test `code`, people read the message; the
 * database's own error is the `cause`. Parameter values never appear in a message.
 *
 * @module
 */

/** What every error of ours can be built from. */
export interface SluiceErrorOptions {
  /** The stable code a program tests. Each class has a default. */
  code?: string;
  /** The next step for the reader: how to mend it. Appended to the message. */
  hint?: string;
  /** What lay beneath, usually the driver's own error. */
  cause?: unknown;
  /** In a call with many rows: the index of the row at fault, from 0. */
  row?: number | undefined;
}

/**
 * The base of every error thrown by Sluice.
 *
 * @example Test the code, not the message
 * ```ts
 * import { SluiceError } from "@sluice/orm";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new SluiceError("Something happened", { hint: "Do this" });
 * assertEquals(error.code, "SLUICE");
 * assertEquals(error.message, "Something happened. Do this");
 * ```
 */
export class SluiceError extends Error {
  /** A stable, upper-case code to test for. */
  readonly code: string;
  /** The next step, also part of the message. */
  readonly hint: string | undefined;
  /** Failures that came after this one, while cleaning up: a failed rollback, a failed close. */
  readonly suppressed: unknown[] = [];
  /** In a call with many rows: the index of the row at fault, from 0. There only when it is known. */
  declare readonly row?: number;
  /** How often a transaction with `retries` was tried before it failed for good; set from 2 up. */
  declare attempts?: number;

  /** Makes an error from what happened and, in `options`, how to mend it. */
  constructor(message: string, options: SluiceErrorOptions = {}) {
    super(
      options.hint ? `${message}. ${options.hint}` : message,
      options.cause === undefined ? undefined : { cause: options.cause },
    );
    this.name = new.target.name;
    this.code = options.code ?? "SLUICE";
    this.hint = options.hint;
    if (options.row !== undefined) this.row = options.row;
  }
}

function withCode(code: string, options: SluiceErrorOptions): SluiceErrorOptions {
  return options.code === undefined ? { ...options, code } : options;
}

// --- wrong use -----------------------------------------------------------------------------------

/** The library was used in a way that cannot work. Code `USAGE`. */
export class UsageError extends SluiceError {
  /** Default code `USAGE`. */
  constructor(message: string, options: SluiceErrorOptions = {}) {
    super(message, withCode("USAGE", options));
  }
}

/** A value, name or argument was refused before anything was sent. Code `INVALID_INPUT`. */
export class InputError extends UsageError {
  /** Default code `INVALID_INPUT`. */
  constructor(message: string, options: SluiceErrorOptions = {}) {
    super(message, withCode("INVALID_INPUT", options));
  }
}

/** A connection URL or an option is wrong. Code `INVALID_CONFIG`. */
export class ConfigError extends UsageError {
  /** Default code `INVALID_CONFIG`. */
  constructor(message: string, options: SluiceErrorOptions = {}) {
    super(message, withCode("INVALID_CONFIG", options));
  }
}

/** The entities contradict each other; every mistake is listed at once. Code `MAPPING`. */
export class MappingError extends UsageError {
  /** One sentence for each mistake, with its mend. */
  readonly problems: readonly string[];

  /** Lists `problems` in the message. */
  constructor(problems: readonly string[], options: SluiceErrorOptions = {}) {
    super(
      problems.length === 1
        ? problems[0]!
        : `The mapping has ${problems.length} mistakes:\n${
          problems.map((p) => `  - ${p}`).join("\n")
        }`,
      withCode("MAPPING", options),
    );
    this.problems = problems;
  }
}

/** A relation or deferred column was read before it was loaded. Code `NOT_LOADED`. */
export class NotLoadedError extends UsageError {
  /** Default code `NOT_LOADED`. */
  constructor(message: string, options: SluiceErrorOptions = {}) {
    super(message, withCode("NOT_LOADED", options));
  }
}

/** An unloaded relation was read on an object that has no session. Code `DETACHED_INSTANCE`. */
export class DetachedInstanceError extends NotLoadedError {
  /** Default code `DETACHED_INSTANCE`. */
  constructor(message: string, options: SluiceErrorOptions = {}) {
    super(message, withCode("DETACHED_INSTANCE", options));
  }
}

/** An object cannot make this move in its present state. Code `INSTANCE_STATE`. */
export class InstanceStateError extends UsageError {
  /** Default code `INSTANCE_STATE`. */
  constructor(message: string, options: SluiceErrorOptions = {}) {
    super(message, withCode("INSTANCE_STATE", options));
  }
}

/** A session, connection, cursor or transaction was used after its end. Code `CLOSED`. */
export class ClosedError extends UsageError {
  /** Default code `CLOSED`. */
  constructor(message: string, options: SluiceErrorOptions = {}) {
    super(message, withCode("CLOSED", options));
  }
}

// --- the pool ------------------------------------------------------------------------------------

/** The pool could not lend a resource. Code `POOL`. */
export class PoolError extends SluiceError {
  /** Default code `POOL`. */
  constructor(message: string, options: SluiceErrorOptions = {}) {
    super(message, withCode("POOL", options));
  }
}

/** No place in the pool came free in time. Code `POOL_TIMEOUT`. */
export class PoolTimeoutError extends PoolError {
  /** Default code `POOL_TIMEOUT`. */
  constructor(message: string, options: SluiceErrorOptions = {}) {
    super(message, withCode("POOL_TIMEOUT", options));
  }
}

/**
 * A checkout waits for a place that its own caller holds, and so could never be served. Code
 * `NESTED_CHECKOUT`.
 */
export class NestedCheckoutError extends PoolTimeoutError {
  /** Default code `NESTED_CHECKOUT`. */
  constructor(message: string, options: SluiceErrorOptions = {}) {
    super(message, withCode("NESTED_CHECKOUT", options));
  }
}

/** The engine, and with it its pool, was disposed. Code `ENGINE_DISPOSED`. */
export class EngineDisposedError extends PoolError {
  /** Default code `ENGINE_DISPOSED`. */
  constructor(message: string, options: SluiceErrorOptions = {}) {
    super(message, withCode("ENGINE_DISPOSED", options));
  }
}

// --- the connection ------------------------------------------------------------------------------

/** What is known of a failure of the connection. */
export interface ConnectionErrorOptions extends SluiceErrorOptions {
  /** The SQLSTATE the server gave before the end, if it gave one: `57P01`, `28P01`, … */
  sqlState?: string | undefined;
}

/** The connection to the database failed. Code `CONNECTION`. */
export class ConnectionError extends SluiceError {
  /** The SQLSTATE the server gave, if any. */
  readonly sqlState: string | undefined;

  /** Default code `CONNECTION`. */
  constructor(message: string, options: ConnectionErrorOptions = {}) {
    super(message, withCode("CONNECTION", options));
    this.sqlState = options.sqlState;
  }
}

/**
 * No connection could be made. Code `CONNECT_FAILED`, or more exactly `CONNECT_TIMEOUT`,
 * `AUTHENTICATION_FAILED`, `DATABASE_NOT_FOUND`, `TOO_MANY_CONNECTIONS`, `TLS_FAILED`,
 * `PERMISSION_DENIED` (a missing Deno permission).
 */
export class ConnectError extends ConnectionError {
  /** Default code `CONNECT_FAILED`. */
  constructor(message: string, options: ConnectionErrorOptions = {}) {
    super(message, withCode("CONNECT_FAILED", options) as ConnectionErrorOptions);
  }
}

/** The connection was lost; what ran in its open transaction is rolled back. Code `CONNECTION_LOST`. */
export class ConnectionLostError extends ConnectionError {
  /** Default code `CONNECTION_LOST`. */
  constructor(message: string, options: ConnectionErrorOptions = {}) {
    super(message, withCode("CONNECTION_LOST", options) as ConnectionErrorOptions);
  }
}

/** What is known of a commit without an answer. */
export interface CommitUnknownErrorOptions extends ConnectionErrorOptions {
  /** The key by which its outcome can be looked up. */
  idempotencyKey?: string | undefined;
  /** Looks the outcome up. */
  lookUp?: (() => Promise<boolean>) | undefined;
}

/**
 * The connection was lost during COMMIT, or during the one statement that a commit came to: whether it
 * took place is not known. Code `COMMIT_UNKNOWN`.
 */
export class CommitUnknownError extends ConnectionError {
  /** The key by which its outcome can be looked up, if the transaction was given one. */
  readonly idempotencyKey: string | undefined;
  readonly #lookUp: (() => Promise<boolean>) | undefined;

  /** Default code `COMMIT_UNKNOWN`. */
  constructor(message: string, options: CommitUnknownErrorOptions = {}) {
    super(message, withCode("COMMIT_UNKNOWN", options) as ConnectionErrorOptions);
    this.idempotencyKey = options.idempotencyKey;
    this.#lookUp = options.lookUp;
  }

  /**
   * Looks up, over a new connection, whether the transaction was stored.
   *
   * @returns True if it was; false if it was not and never will be.
   * @throws {UsageError} `USAGE` when the transaction had no `idempotencyKey`.
   */
  async resolve(): Promise<boolean> {
    if (this.#lookUp !== undefined) return await this.#lookUp();
    throw new UsageError("The outcome of a commit without an idempotency key cannot be looked up", {
      hint: "Begin it with { idempotencyKey }",
    });
  }
}

// --- the transaction -----------------------------------------------------------------------------

/** A transaction cannot go on. Code `TRANSACTION`. */
export class TransactionError extends SluiceError {
  /** Default code `TRANSACTION`. */
  constructor(message: string, options: SluiceErrorOptions = {}) {
    super(message, withCode("TRANSACTION", options));
  }
}

/** A statement of this transaction failed; only rollback is answered now. Code `PENDING_ROLLBACK`. */
export class PendingRollbackError extends TransactionError {
  /** Default code `PENDING_ROLLBACK`. */
  constructor(message: string, options: SluiceErrorOptions = {}) {
    super(message, withCode("PENDING_ROLLBACK", options));
  }
}

/** COMMIT was answered by ROLLBACK: nothing was stored. Code `TRANSACTION_ABORTED`. */
export class TransactionAbortedError extends TransactionError {
  /** Default code `TRANSACTION_ABORTED`. */
  constructor(message: string, options: SluiceErrorOptions = {}) {
    super(message, withCode("TRANSACTION_ABORTED", options));
  }
}

// --- the database --------------------------------------------------------------------------------

/** What the database said. */
export interface DatabaseErrorOptions extends SluiceErrorOptions {
  /** The five-character SQLSTATE; SQLite's codes are mapped to the nearest. */
  sqlState?: string | undefined;
  /** The violated constraint's name. */
  constraint?: string | undefined;
  /** The table concerned. */
  table?: string | undefined;
  /** The column concerned. */
  column?: string | undefined;
  /** The database's detail line. It can contain values, so it is no part of the message. */
  detail?: string | undefined;
  /** The statement's text, with placeholders. */
  statement?: string | undefined;
  /** Character position of the mistake in the statement, from 1. */
  position?: number | undefined;
  /** In a COPY: the line of its input that was refused, from 1. */
  line?: number | undefined;
}

/** The database refused a statement. Code `DATABASE`. */
export class DatabaseError extends SluiceError {
  /** The SQLSTATE. */
  readonly sqlState: string | undefined;
  /** The violated constraint's name. */
  readonly constraint: string | undefined;
  /** The table concerned. */
  readonly table: string | undefined;
  /** The column concerned. */
  readonly column: string | undefined;
  /**
   * The database's detail line, which can contain values. Not enumerable, so that logging the
   * error does not print it.
   */
  declare readonly detail: string | undefined;
  /** The statement's text, with placeholders. */
  readonly statement: string | undefined;
  /** Character position of the mistake in the statement, from 1. */
  readonly position: number | undefined;
  /** In a COPY: the line of its input that was refused, from 1. */
  readonly line: number | undefined;

  /** Default code `DATABASE`. */
  constructor(message: string, options: DatabaseErrorOptions = {}) {
    super(message, withCode("DATABASE", options));
    this.sqlState = options.sqlState;
    this.constraint = options.constraint;
    this.table = options.table;
    this.column = options.column;
    Object.defineProperty(this, "detail", { value: options.detail, enumerable: false });
    this.statement = options.statement;
    this.position = options.position;
    this.line = options.line;
  }
}

/** A constraint was violated. Code `INTEGRITY`; the subclasses are more exact. */
export class IntegrityError extends DatabaseError {
  /** Default code `INTEGRITY`. */
  constructor(message: string, options: DatabaseErrorOptions = {}) {
    super(message, withCode("INTEGRITY", options) as DatabaseErrorOptions);
  }
}

/** A unique or primary key constraint was violated. Code `UNIQUE_VIOLATION`. */
export class UniqueViolationError extends IntegrityError {
  /** Default code `UNIQUE_VIOLATION`. */
  constructor(message: string, options: DatabaseErrorOptions = {}) {
    super(message, withCode("UNIQUE_VIOLATION", options) as DatabaseErrorOptions);
  }
}

/** A foreign key constraint was violated. Code `FOREIGN_KEY_VIOLATION`. */
export class ForeignKeyViolationError extends IntegrityError {
  /** Default code `FOREIGN_KEY_VIOLATION`. */
  constructor(message: string, options: DatabaseErrorOptions = {}) {
    super(message, withCode("FOREIGN_KEY_VIOLATION", options) as DatabaseErrorOptions);
  }
}

/** A column that must have a value got none. Code `NOT_NULL_VIOLATION`. */
export class NotNullViolationError extends IntegrityError {
  /** Default code `NOT_NULL_VIOLATION`. */
  constructor(message: string, options: DatabaseErrorOptions = {}) {
    super(message, withCode("NOT_NULL_VIOLATION", options) as DatabaseErrorOptions);
  }
}

/** A check or exclusion constraint was violated. Code `CHECK_VIOLATION`. */
export class CheckViolationError extends IntegrityError {
  /** Default code `CHECK_VIOLATION`. */
  constructor(message: string, options: DatabaseErrorOptions = {}) {
    super(message, withCode("CHECK_VIOLATION", options) as DatabaseErrorOptions);
  }
}

/** The transaction could not be serialized; run it again as a whole. Code `SERIALIZATION_FAILURE`. */
export class SerializationError extends DatabaseError {
  /** Default code `SERIALIZATION_FAILURE`. */
  constructor(message: string, options: DatabaseErrorOptions = {}) {
    super(message, withCode("SERIALIZATION_FAILURE", options) as DatabaseErrorOptions);
  }
}

/** The transaction was chosen as a deadlock's victim; run it again as a whole. Code `DEADLOCK`. */
export class DeadlockError extends SerializationError {
  /** Default code `DEADLOCK`. */
  constructor(message: string, options: DatabaseErrorOptions = {}) {
    super(message, withCode("DEADLOCK", options) as DatabaseErrorOptions);
  }
}

/** A prepared plan no longer fits the schema; run the transaction again. Code `STALE_PLAN`. */
export class StalePlanError extends DatabaseError {
  /** Default code `STALE_PLAN`. */
  constructor(message: string, options: DatabaseErrorOptions = {}) {
    super(message, withCode("STALE_PLAN", options) as DatabaseErrorOptions);
  }
}

/** A lock could not be had in time (or at once, with `noWait`). Code `LOCK_TIMEOUT`. */
export class LockTimeoutError extends DatabaseError {
  /** Default code `LOCK_TIMEOUT`. */
  constructor(message: string, options: DatabaseErrorOptions = {}) {
    super(message, withCode("LOCK_TIMEOUT", options) as DatabaseErrorOptions);
  }
}

/** A statement took longer than its limit and was cancelled. Code `STATEMENT_TIMEOUT`. */
export class StatementTimeoutError extends DatabaseError {
  /** Default code `STATEMENT_TIMEOUT`. */
  constructor(message: string, options: DatabaseErrorOptions = {}) {
    super(message, withCode("STATEMENT_TIMEOUT", options) as DatabaseErrorOptions);
  }
}

/** A write was sent where only reading is allowed. Code `READ_ONLY`. */
export class ReadOnlyError extends DatabaseError {
  /** Default code `READ_ONLY`. */
  constructor(message: string, options: DatabaseErrorOptions = {}) {
    super(message, withCode("READ_ONLY", options) as DatabaseErrorOptions);
  }
}

/** The database refused a value: out of range, malformed, too long. Code `DATA`. */
export class DataError extends DatabaseError {
  /** Default code `DATA`. */
  constructor(message: string, options: DatabaseErrorOptions = {}) {
    super(message, withCode("DATA", options) as DatabaseErrorOptions);
  }
}

/** The database did not understand the statement, or a name in it. Code `STATEMENT`. */
export class StatementError extends DatabaseError {
  /** Default code `STATEMENT`. */
  constructor(message: string, options: DatabaseErrorOptions = {}) {
    super(message, withCode("STATEMENT", options) as DatabaseErrorOptions);
  }
}

/** The server is out of something: memory, disk, connections. Code `RESOURCES`. */
export class ResourceError extends DatabaseError {
  /** Default code `RESOURCES`. */
  constructor(message: string, options: DatabaseErrorOptions = {}) {
    super(message, withCode("RESOURCES", options) as DatabaseErrorOptions);
  }
}

// --- results -------------------------------------------------------------------------------------

/** A value from the database could not be decoded. Code `DECODE`. */
export class DecodeError extends SluiceError {
  /** Default code `DECODE`. */
  constructor(message: string, options: SluiceErrorOptions = {}) {
    super(message, withCode("DECODE", options));
  }
}

/** Exactly one row was asked for and there was none. Code `NO_RESULT`. */
export class NoResultError extends SluiceError {
  /** Default code `NO_RESULT`. */
  constructor(message: string, options: SluiceErrorOptions = {}) {
    super(message, withCode("NO_RESULT", options));
  }
}

/** At most one row was asked for and there were more. Code `MULTIPLE_RESULTS`. */
export class MultipleResultsError extends SluiceError {
  /** Default code `MULTIPLE_RESULTS`. */
  constructor(message: string, options: SluiceErrorOptions = {}) {
    super(message, withCode("MULTIPLE_RESULTS", options));
  }
}

/** A row to be changed was changed or deleted by somebody else meanwhile. Code `STALE_DATA`. */
export class StaleDataError extends SluiceError {
  /** Default code `STALE_DATA`. */
  constructor(message: string, options: SluiceErrorOptions = {}) {
    super(message, withCode("STALE_DATA", options));
  }
}

/** What a `BatchError` carries. */
export interface BatchErrorOptions extends SluiceErrorOptions {
  /** Where to go on: the checkpoint of the last committed batch, if there was one. */
  checkpoint?: string | undefined;
  /** Rows committed before the failure. */
  rows: number;
  /** Batches committed before the failure. */
  batches: number;
  /** Where to go on if the batch was committed after all, when that is not known. */
  checkpointIfCommitted?: string | undefined;
}

/** A batch failed and was rolled back; the batches before it are committed. Code `BATCH`. */
export class BatchError extends SluiceError {
  /** Pass it as `resumeAfter` to go on after the last committed row. */
  readonly checkpoint: string | undefined;
  /** Rows committed before the failure. */
  readonly rows: number;
  /** Batches committed before the failure. */
  readonly batches: number;
  /**
   * Only when the connection was lost during the batch's COMMIT: where to go on if the batch turns
   * out to be stored. `checkpoint` is the place if it is not.
   */
  readonly checkpointIfCommitted: string | undefined;

  /** Default code `BATCH`. */
  constructor(message: string, options: BatchErrorOptions) {
    super(message, withCode("BATCH", options));
    this.checkpoint = options.checkpoint;
    this.rows = options.rows;
    this.batches = options.batches;
    this.checkpointIfCommitted = options.checkpointIfCommitted;
  }
}
