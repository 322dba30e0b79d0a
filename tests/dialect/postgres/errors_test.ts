import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import * as errors from "../../../src/errors.ts";
import { databaseErrorFromFields, refusedError } from "../../../src/dialect/postgres/errors.ts";

Deno.test("databaseErrorFromFields() has a class for every state that programs tell apart", () => {
  const classes: [string, new (message: string) => Error, string][] = [
    ["23505", errors.UniqueViolationError, "UNIQUE_VIOLATION"],
    ["23503", errors.ForeignKeyViolationError, "FOREIGN_KEY_VIOLATION"],
    ["23502", errors.NotNullViolationError, "NOT_NULL_VIOLATION"],
    ["23514", errors.CheckViolationError, "CHECK_VIOLATION"],
    ["23P01", errors.CheckViolationError, "CHECK_VIOLATION"],
    ["23000", errors.IntegrityError, "INTEGRITY"],
    ["40001", errors.SerializationError, "SERIALIZATION_FAILURE"],
    ["40P01", errors.DeadlockError, "DEADLOCK"],
    ["26000", errors.StalePlanError, "STALE_PLAN"],
    ["55P03", errors.LockTimeoutError, "LOCK_TIMEOUT"],
    ["25006", errors.ReadOnlyError, "READ_ONLY"],
    ["22003", errors.DataError, "DATA"],
    ["21000", errors.DataError, "DATA"],
    ["42P01", errors.StatementError, "STATEMENT"],
    ["42501", errors.StatementError, "STATEMENT"],
    ["0A000", errors.StatementError, "STATEMENT"],
    ["53100", errors.ResourceError, "RESOURCES"],
    ["54001", errors.ResourceError, "RESOURCES"],
    ["57014", errors.DatabaseError, "STATEMENT_CANCELLED"],
    ["P0001", errors.DatabaseError, "DATABASE"],
    ["25P02", errors.PendingRollbackError, "PENDING_ROLLBACK"],
    ["57P01", errors.ConnectionLostError, "CONNECTION_LOST"],
    ["25P03", errors.ConnectionLostError, "CONNECTION_LOST"],
  ];
  for (const [code, Class, ours] of classes) {
    const error = databaseErrorFromFields({ code, message: "what happened" }, "select 1");
    assertInstanceOf(error, Class);
    assertEquals([error.constructor, error.code], [Class, ours], code);
  }
});

Deno.test("databaseErrorFromFields() tells a timeout and a stale plan from their neighbours", () => {
  const timeout = databaseErrorFromFields({
    code: "57014",
    message: "canceling statement due to statement timeout",
  });
  assertInstanceOf(timeout, errors.StatementTimeoutError);
  const stale = databaseErrorFromFields({
    code: "0A000",
    message: "der Ergebnistyp darf sich nicht ändern",
    routine: "RevalidateCachedQuery",
  });
  assertInstanceOf(stale, errors.StalePlanError);
});

Deno.test("databaseErrorFromFields() names what is concerned, and no value", () => {
  const error = databaseErrorFromFields(
    {
      code: "23505",
      message: 'duplicate key value violates unique constraint "users_email_key"',
      detail: "Key (email)=(ada@example.org) already exists.",
      table: "users",
      constraint: "users_email_key",
    },
    "insert into users values ($1)",
  ) as errors.DatabaseError;
  assertEquals(
    error.message,
    'duplicate key value violates unique constraint "users_email_key" (table "users")',
  );
  assertEquals([error.table, error.constraint, error.sqlState], [
    "users",
    "users_email_key",
    "23505",
  ]);
  assertEquals(error.detail, "Key (email)=(ada@example.org) already exists.");
  assertEquals(error.statement, "insert into users values ($1)");
  assert(!Deno.inspect(error).includes("ada@example.org"));
});

Deno.test("databaseErrorFromFields() takes the values out of what data errors say", () => {
  const messages = [
    [
      'invalid input syntax for type integer: "my secret"',
      'invalid input syntax for type integer: "…"',
    ],
    [
      'value "my "secret"" is out of range for type integer',
      'value "…" is out of range for type integer',
    ],
    ["ungültige Eingabesyntax für Typ integer: »my secret«", undefined],
    ["division by zero", "division by zero"],
  ];
  for (const [message, expected] of messages) {
    const error = databaseErrorFromFields({
      code: "22P02",
      message: message!,
    }) as errors.DatabaseError;
    if (expected !== undefined) assertEquals(error.message, expected);
    assert(!Deno.inspect(error).includes("secret"), Deno.inspect(error));
    if (message!.includes("secret")) assertEquals(error.detail, message);
  }
  const encoding = databaseErrorFromFields({
    code: "22021",
    message: 'invalid byte for encoding "UTF8"',
  });
  assertEquals(encoding.message, 'invalid byte for encoding "UTF8"');
});

Deno.test("refusedError() tells how a pooler lets our session parameters pass", () => {
  const error = refusedError(
    { code: "08P01", message: "unsupported startup parameter: extra_float_digits" },
    "postgres://u@h:6432/d",
  );
  assert(error.message.includes("ignore_startup_parameters"));
});
