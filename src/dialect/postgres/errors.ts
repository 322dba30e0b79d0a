/**
 * What PostgreSQL says, as our typed errors. PGlite shares this file.
 *
 * @module
 */

import {
  CheckViolationError,
  CommitUnknownError,
  ConnectError,
  type ConnectionErrorOptions,
  ConnectionLostError,
  DatabaseError,
  type DatabaseErrorOptions,
  DataError,
  DeadlockError,
  ForeignKeyViolationError,
  IntegrityError,
  LockTimeoutError,
  NotNullViolationError,
  PendingRollbackError,
  ReadOnlyError,
  ResourceError,
  SerializationError,
  type SluiceError,
  StalePlanError,
  StatementError,
  StatementTimeoutError,
  UniqueViolationError,
} from "../../errors.ts";

/** The fields of an ErrorResponse (PostgreSQL manual, 55.8), those that anybody needs. */
export interface DatabaseErrorFields {
  /** The SQLSTATE. */
  readonly code?: string | undefined;
  /** The primary message. */
  readonly message?: string | undefined;
  /** The untranslated severity: `ERROR`, `FATAL`, `PANIC`. */
  readonly severity?: string | undefined;
  /** The secondary message; it can contain values. */
  readonly detail?: string | undefined;
  /** What the server advises. */
  readonly hint?: string | undefined;
  /** The constraint concerned. */
  readonly constraint?: string | undefined;
  /** The table concerned. */
  readonly table?: string | undefined;
  /** The column concerned. */
  readonly column?: string | undefined;
  /** The schema of the table concerned. */
  readonly schema?: string | undefined;
  /** Character position in the statement, from 1. */
  readonly position?: string | number | undefined;
  /** The server's function that raised it: never translated, unlike the message. */
  readonly routine?: string | undefined;
  /** What the server was about, innermost first; of a COPY it names the line. It can contain values. */
  readonly where?: string | undefined;
}

type DatabaseErrorClass = new (message: string, options?: DatabaseErrorOptions) => DatabaseError;

const classOfState: Readonly<Record<string, DatabaseErrorClass>> = {
  "23001": ForeignKeyViolationError,
  "23502": NotNullViolationError,
  "23503": ForeignKeyViolationError,
  "23505": UniqueViolationError,
  "23514": CheckViolationError,
  "23P01": CheckViolationError,
  "25006": ReadOnlyError,
  "26000": StalePlanError,
  "34000": StatementError,
  "3D000": StatementError,
  "3F000": StatementError,
  "40001": SerializationError,
  "40P01": DeadlockError,
  "55P03": LockTimeoutError,
};

const classOfGroup: Readonly<Record<string, DatabaseErrorClass>> = {
  "0A": StatementError,
  "21": DataError,
  "22": DataError,
  "23": IntegrityError,
  "42": StatementError,
  "53": ResourceError,
  "54": ResourceError,
};

/** The states after which the server itself ends the connection. */
const endsTheConnection: ReadonlySet<string> = new Set([
  "25P03",
  "57P01",
  "57P02",
  "57P03",
  "57P04",
  "57P05",
]);

const poolerHint = "If a pooler in transaction mode (PgBouncer) stands between, connect with " +
  "`prepared: false`";

/** Whether the statement's prepared plan is to blame, so that preparing it anew would cure it. */
export function isStalePlan(fields: DatabaseErrorFields): boolean {
  return fields.code === "26000" ||
    fields.code === "0A000" &&
      (fields.routine === "RevalidateCachedQuery" ||
        fields.message === "cached plan must not change result type");
}

/**
 * The typed error for what the server answered to `statement`. A `DatabaseError`, but for 25P02, which is
 * a `PendingRollbackError` with `cause`, and for the states that end the connection, which are a
 * `ConnectionLostError`.
 */
export function databaseErrorFromFields(
  fields: DatabaseErrorFields,
  statement?: string,
  cause?: unknown,
): SluiceError {
  const code = fields.code ?? "XX000";
  if (code === "25P02") return pendingRollbackError(cause);
  if (endsTheConnection.has(code)) return connectionLostError(fields);

  const options: DatabaseErrorOptions = {
    sqlState: code,
    constraint: fields.constraint,
    table: fields.table,
    column: fields.column,
    detail: detailOf(fields),
    statement,
    position: fields.position === undefined ? undefined : Number(fields.position),
    line: copyLine(fields.where),
  };
  if (cause !== undefined) options.cause = cause;
  const hint = hintOf(fields);
  if (hint !== undefined) options.hint = hint;
  if (code === "57014") {
    if (fields.message?.includes("statement timeout")) {
      return new StatementTimeoutError(messageOf(fields), options);
    }
    return new DatabaseError(messageOf(fields), { ...options, code: "STATEMENT_CANCELLED" });
  }
  const Class = isStalePlan(fields)
    ? StalePlanError
    : classOfState[code] ?? classOfGroup[code.slice(0, 2)] ?? DatabaseError;
  return new Class(messageOf(fields), options);
}

/** `COPY books, line 3, column price: "x"`, in whatever language, has its line after the table. */
function copyLine(where: string | undefined): number | undefined {
  const line = where === undefined ? null : /^COPY .*?, [^,:\d]*(\d+)/m.exec(where);
  return line === null ? undefined : Number(line[1]);
}

/** The error of every statement that follows a failed one in its transaction. */
export function pendingRollbackError(cause?: unknown): PendingRollbackError {
  return new PendingRollbackError(
    "The transaction has failed: an earlier statement of it raised an error, and nothing but a rollback is answered now",
    {
      hint: "Roll back, or put the statement that may fail into a savepoint",
      ...(cause === undefined ? {} : { cause }),
    },
  );
}

/** The error for a connection that the server ended with `fields` as its last words. */
export function connectionLostError(fields: DatabaseErrorFields): ConnectionLostError {
  return new ConnectionLostError(
    `The server ended the connection: ${fields.message ?? "no reason given"} (${fields.code})`,
    { sqlState: fields.code },
  );
}

/** The error for a connection that ended without a word of the server's. */
export function lostError(target: string, error: Error | undefined): ConnectionLostError {
  return new ConnectionLostError(
    `The connection to ${target} was lost: ${error?.message ?? "it was closed without a reason"}`,
    error === undefined ? {} : { cause: error },
  );
}

/** The error of a COMMIT, or of a statement that is a transaction by itself, whose answer did not come. */
export function commitUnknownError(kind: string, cause: unknown): CommitUnknownError {
  return new CommitUnknownError(
    kind === "commit"
      ? "The connection was lost after COMMIT was sent: whether the transaction was stored is not known"
      : "The connection was lost after a statement was sent that is its own transaction: whether it was stored is not known",
    { hint: "Look whether its effects are there before running it again", cause },
  );
}

/** The error of a statement that was given up after `timeout` milliseconds. */
export function tooSlowError(statement: string, timeout: number): StatementTimeoutError {
  return new StatementTimeoutError(`The statement took longer than ${timeout} ms`, { statement });
}

const connectCodes: Readonly<Record<string, readonly [code: string, hint: string]>> = {
  "28P01": ["AUTHENTICATION_FAILED", "Check the user name and the password"],
  "28000": ["AUTHENTICATION_FAILED", "Check the user name, and what pg_hba.conf asks of it"],
  "3D000": ["DATABASE_NOT_FOUND", "Create the database, or check its name"],
  "53300": [
    "TOO_MANY_CONNECTIONS",
    "Lower `poolSize` and `maxOverflow`, or raise the server's max_connections",
  ],
  "57P03": ["SERVER_STARTING", "The server is starting up or shutting down; try again shortly"],
};

/** The error for a server that refused a new connection to `target`. */
export function refusedError(fields: DatabaseErrorFields, target: string): ConnectError {
  const options: ConnectionErrorOptions = { sqlState: fields.code };
  const known = connectCodes[fields.code ?? ""];
  if (known) {
    options.code = known[0];
    options.hint = known[1];
  } else if (fields.message?.includes("unsupported startup parameter")) {
    options.hint = "Let the pooler pass it: `ignore_startup_parameters = " +
      "extra_float_digits, bytea_output, intervalstyle` in pgbouncer.ini";
  }
  return new ConnectError(
    `Cannot connect to ${target}: ${fields.message ?? "refused"} (${fields.code})`,
    options,
  );
}

/**
 * The message, with the names that it leaves out. Data errors (class 22) quote the offending value,
 * which has no place in a message: it is taken out here and kept in `detail`.
 */
function messageOf(fields: DatabaseErrorFields): string {
  const text = fields.message ?? "The database raised an error without a message";
  let message = quotesAValue(fields) ? withoutQuoted(text) : text;
  const names = ([["table", fields.table], ["column", fields.column]] as const)
    .filter(([, name]) => name !== undefined && !text.includes(`"${name}"`))
    .map(([kind, name]) => `${kind} "${name}"`);
  if (names.length > 0) message += ` (${names.join(", ")})`;
  return message;
}

function detailOf(fields: DatabaseErrorFields): string | undefined {
  if (!quotesAValue(fields)) return fields.detail;
  return fields.detail === undefined ? fields.message : `${fields.message}\n${fields.detail}`;
}

/** 22021 quotes the name of an encoding and no value. */
function quotesAValue(fields: DatabaseErrorFields): boolean {
  return fields.code !== undefined && fields.code.startsWith("22") && fields.code !== "22021" &&
    withoutQuoted(fields.message ?? "") !== fields.message;
}

const quotes = [['"', '"'], ["«", "»"], ["»", "«"], ["„", "“"], ["“", "”"]] as const;

/** From the first quote to the last one, since the value itself can contain quotes. */
function withoutQuoted(message: string): string {
  for (const [open, close] of quotes) {
    const from = message.indexOf(open);
    const to = message.lastIndexOf(close);
    if (from !== -1 && to > from) {
      return `${message.slice(0, from)}${open}…${close}${message.slice(to + 1)}`;
    }
  }
  return message;
}

function hintOf(fields: DatabaseErrorFields): string | undefined {
  return fields.code === "26000" ? poolerHint : fields.hint;
}
