/**
 * Which row of many the database refused. A COPY names the line. An INSERT of many rows does not:
 * it is undone by a savepoint and sent again in halves until one row is left, some dozen statements
 * for a chunk, and only when something went wrong.
 *
 * @module
 */

import { DatabaseError, DataError, IntegrityError } from "../../errors.ts";
import type { Connection } from "../../engine/connection.ts";
import { caught } from "../../util/caught.ts";
import { suppress } from "../../util/suppress.ts";

/** Named by us, and never nested. */
const SAVEPOINT = "sluice_rows";

/**
 * Runs statements so that their failure can be undone alone. The savepoint travels together with them
 * and costs no round trip.
 */
export async function guarded<T>(
  connection: Connection,
  guard: boolean,
  work: () => Promise<T>,
): Promise<T> {
  if (!guard) return await work();
  const command = (text: string) =>
    caught(connection.run({ text: `${text} ${SAVEPOINT}`, params: [], prepare: false }));
  const saved = command("savepoint");
  const working = caught(work());
  try {
    await saved;
    const value = await working;
    // The next statement need not wait for the answer: the connection keeps their order.
    command("release savepoint");
    return value;
  } catch (error) {
    await working.catch(() => {});
    await connection.rollbackTo(SAVEPOINT).catch((failure) => suppress(error, failure));
    throw error;
  }
}

/** The error to throw for rows that were refused together: it names the one at fault if it is found. */
export async function findBadRow<Row>(
  error: unknown,
  rows: readonly Row[],
  indexes: readonly number[],
  verb: string,
  attempt: (rows: readonly Row[]) => Promise<void>,
): Promise<unknown> {
  if (!isAboutRows(error)) return error;
  if (rows.length === 1) return rowError(error, indexes[0]!, verb);
  // Rows before `from` have been stored again; the one at fault is before `to`.
  let from = 0;
  let to = rows.length;
  try {
    while (from < to) {
      const middle = to - from === 1 ? to : (from + to) >> 1;
      const refusal = await attempt(rows.slice(from, middle)).then(() => undefined, (e) => e);
      if (refusal === undefined) from = middle;
      else if (!isAboutRows(refusal)) return error;
      else if (middle - from === 1) return rowError(refusal, indexes[from]!, verb);
      else to = middle;
    }
  } catch (failure) {
    suppress(error, failure);
  }
  return error;
}

/** The same error, and which row it is about. */
export function rowError(error: DatabaseError, index: number, verb: string): DatabaseError {
  const Class = error.constructor as new (
    ...args: ConstructorParameters<typeof DatabaseError>
  ) => DatabaseError;
  const { code, sqlState, constraint, table, column, detail, statement, position, line } = error;
  return new Class(`Row ${index} cannot be ${verb}: ${error.message}`, {
    ...{ code, sqlState, constraint, table, column, detail, statement, position, line },
    cause: error,
    row: index,
  });
}

function isAboutRows(error: unknown): error is DatabaseError {
  return error instanceof IntegrityError || error instanceof DataError;
}

/** Views, and tables with row-level security, take INSERT only. */
export function namesNoCopy(error: unknown): boolean {
  return error instanceof DatabaseError &&
    (error.sqlState === "0A000" || error.sqlState === "42809");
}
