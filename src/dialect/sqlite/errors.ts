/** SQLite's result codes and messages as errors of ours, with the nearest SQLSTATE. */

import {
  CheckViolationError,
  DatabaseError,
  DataError,
  ForeignKeyViolationError,
  IntegrityError,
  LockTimeoutError,
  NotNullViolationError,
  ReadOnlyError,
  ResourceError,
  SluiceError,
  StalePlanError,
  StatementError,
  StatementTimeoutError,
  UniqueViolationError,
} from "../../errors.ts";
import type { DatabaseErrorOptions } from "../../errors.ts";

/** SQLite's extended result code of a thrown error, if it is one of SQLite's. */
export function resultCode(error: unknown): number | undefined {
  const code = (error as { errcode?: unknown } | null)?.errcode;
  return typeof code === "number" ? code : undefined;
}

/** Somebody else holds the lock: `SQLITE_BUSY` or `SQLITE_LOCKED`, in any of their forms. */
export function isLocked(error: unknown): boolean {
  const primary = (resultCode(error) ?? 0) & 0xff;
  return primary === 5 || primary === 6;
}

/** What SQLite threw, as an error of ours. Errors of ours pass unchanged. */
export function sqliteError(error: unknown, statement?: string): Error {
  if (error instanceof SluiceError) return error;
  const code = resultCode(error);
  const message = error instanceof Error ? error.message : String(error);
  const options: DatabaseErrorOptions = { cause: error, statement };
  if (code === undefined) return new DatabaseError(message, options);
  switch (code) {
    case 1555: // SQLITE_CONSTRAINT_PRIMARYKEY
    case 2067: // SQLITE_CONSTRAINT_UNIQUE
    case 2579: // SQLITE_CONSTRAINT_ROWID
      return new UniqueViolationError(message, {
        ...options,
        sqlState: "23505",
        ...place(message),
      });
    case 787: // SQLITE_CONSTRAINT_FOREIGNKEY
      return new ForeignKeyViolationError(message, { ...options, sqlState: "23503" });
    case 1299: // SQLITE_CONSTRAINT_NOTNULL
      return new NotNullViolationError(message, {
        ...options,
        sqlState: "23502",
        ...place(message),
      });
    case 275: // SQLITE_CONSTRAINT_CHECK
      return new CheckViolationError(message, {
        ...options,
        sqlState: "23514",
        constraint: afterColon(message),
      });
    case 3091: // SQLITE_CONSTRAINT_DATATYPE, of a STRICT table
      return new DataError(message, { ...options, sqlState: "22000" });
    case 517: // SQLITE_BUSY_SNAPSHOT
      return new LockTimeoutError(message, {
        ...options,
        sqlState: "55P03",
        hint: "The data was changed since this transaction first read; run it again as a whole",
      });
  }
  switch (code & 0xff) {
    case 1:
      return genericError(message, options);
    case 5:
    case 6:
      return new LockTimeoutError(message, { ...options, sqlState: "55P03" });
    case 7:
      return new ResourceError(message, { ...options, sqlState: "53200" });
    case 8:
      return new ReadOnlyError(message, { ...options, sqlState: "25006" });
    case 9:
      return new StatementTimeoutError(message, { ...options, sqlState: "57014" });
    case 10:
      return new ResourceError(message, { ...options, sqlState: "58030" });
    case 11:
    case 26:
      return new DatabaseError(message, {
        ...options,
        sqlState: "XX001",
        hint: 'The file is damaged or is no SQLite database; "PRAGMA integrity_check" tells more',
      });
    case 13:
      return new ResourceError(message, { ...options, sqlState: "53100" });
    case 14:
      return new ResourceError(message, { ...options, sqlState: "58P01" });
    case 17:
      return new StalePlanError(message, { ...options, sqlState: "0A000" });
    case 18:
      return new DataError(message, { ...options, sqlState: "54000" });
    case 19:
      return new IntegrityError(message, { ...options, sqlState: "23000" });
    case 20:
      return new DataError(message, { ...options, sqlState: "22000" });
  }
  return new DatabaseError(message, options);
}

/** Code 1 stands for many things, which only the message tells apart. */
function genericError(message: string, options: DatabaseErrorOptions): DatabaseError {
  const found = (sqlState: string, more: DatabaseErrorOptions = {}) =>
    new StatementError(message, { ...options, sqlState, ...more });
  if (message.startsWith("no such table: ")) return found("42P01", { table: afterColon(message) });
  if (message.startsWith("no such column: ")) {
    return found("42703", { column: afterColon(message) });
  }
  if (message.includes(" has no column named ")) return found("42703");
  if (message.startsWith("no such function: ")) return found("42883");
  if (message.startsWith("no such savepoint: ")) return found("3B001");
  if (message.endsWith(" already exists")) return found("42P07");
  if (message.endsWith("syntax error") || message === "incomplete input") return found("42601");
  if (message.startsWith("ambiguous column name: ")) return found("42702");
  if (message.startsWith("too many") || message.startsWith("variable number must")) {
    return found("54000");
  }
  if (message === "integer overflow") {
    return new DataError(message, { ...options, sqlState: "22003" });
  }
  if (message.startsWith("malformed JSON") || message.startsWith("bad JSON path")) {
    return new DataError(message, { ...options, sqlState: "22032" });
  }
  return new StatementError(message, options);
}

function afterColon(message: string): string | undefined {
  const colon = message.indexOf(": ");
  return colon < 0 ? undefined : message.slice(colon + 2);
}

/**
 * Table and column of `UNIQUE constraint failed: authors.email`; of an index over expressions its
 * name. A name with a comma or a dot in it cannot be told from a list, and is then left out.
 */
function place(message: string): DatabaseErrorOptions {
  const rest = afterColon(message) ?? "";
  if (rest.startsWith("index '") && rest.endsWith("'")) return { constraint: rest.slice(7, -1) };
  const columns = rest.split(", ").map((column) => column.split("."));
  const table = columns[0]?.[0];
  if (!columns.every((parts) => parts.length === 2 && parts[0] === table)) return {};
  return columns.length === 1 ? { table, column: columns[0]![1] } : { table };
}
