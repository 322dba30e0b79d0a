/**
 * Sessions that only read. What a session sends by itself is refused before; for a statement by hand
 * the database stands guard, in a read-only transaction.
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import type { Dialect } from "../dialect/dialect.ts";
import type { CallOptions } from "../dialect/driver.ts";
import type { TransactionOptions } from "../engine/begin_options.ts";
import type { Connection } from "../engine/connection.ts";
import { isWrite, writeRefused } from "../engine/read_only.ts";
import type { Result } from "../engine/result.ts";
import { compile, type Executable } from "../engine/statement.ts";

/**
 * Whether a transaction of this session is read-only.
 *
 * @throws {UsageError} `USAGE` when a session that only reads is asked for one that writes.
 */
export function readOnlyOf(
  session: { readonly readOnly?: boolean | undefined },
  transaction: TransactionOptions,
): boolean | undefined {
  if (session.readOnly !== true) return transaction.readOnly;
  if (transaction.readOnly !== false) return true;
  throw new UsageError("A transaction that writes was asked of a session that only reads", {
    hint: "Make the session without { readOnly: true }",
  });
}

/**
 * Runs a statement by hand so that it cannot write, whatever it calls.
 *
 * @throws {ReadOnlyError} `READ_ONLY`, before anything is sent where the statement begins as a write.
 */
export async function executeReading<Row>(
  connection: Connection,
  dialect: Dialect,
  statement: Executable<Row>,
  call: CallOptions,
): Promise<Result<Row>> {
  const { text } = compile(statement, dialect);
  if (isWrite(text)) throw writeRefused(text);
  // In a stream or a transaction of such a session only reading is allowed anyway.
  if (connection.status !== "idle") return await connection.execute(statement, call);
  await using transaction = await connection.beginSoon({ readOnly: true, signal: call.signal });
  const result = await transaction.execute(statement, call);
  await transaction.commit();
  return result;
}
