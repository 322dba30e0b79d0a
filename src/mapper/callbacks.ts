/**
 * Which sources' callbacks are being run: how a query knows that it is written inside another.
 *
 * @module
 */

import { InputError, UsageError } from "../errors.ts";
import { describe } from "../sql/expression.ts";
import type { Source } from "../sql/node.ts";

const active: Source[] = [];

/** True inside a callback that was given this source's columns. */
export function isActive(source: Source): boolean {
  return active.includes(source);
}

/**
 * Calls a callback with the columns of sources.
 *
 * @throws {UsageError} when an enclosing callback has the same source: its columns and these could
 * not be told apart.
 */
export function within<A extends readonly unknown[], T>(
  what: string,
  sources: readonly Source[],
  refs: A,
  callback: (...refs: A) => T,
): T {
  if (typeof callback !== "function") {
    throw new InputError(`${what} expects a function, found ${describe(callback)}`, {
      hint: `Write it as ${what.slice(0, -1)}(a) => …)`,
    });
  }
  if (sources.some(isActive)) {
    throw new UsageError(
      "A query that was made outside is used inside another of the same entity",
      {
        hint: "Make the inner one inside the callback, with session.query()",
      },
    );
  }
  active.push(...sources);
  try {
    return callback(...refs);
  } finally {
    active.length -= sources.length;
  }
}
