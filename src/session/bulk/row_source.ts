/** Sources of rows: arrays, iterables, async iterables, web streams. @module */

import { InputError } from "../../errors.ts";
import { describe } from "../../sql/expression.ts";
import type { Source } from "./types.ts";

/** @throws {InputError} when it is no source. */
export function checkSource(method: string, what: string, source: unknown): void {
  const iterable = Object(source);
  const isSource = typeof source !== "string" &&
    (Symbol.iterator in iterable || Symbol.asyncIterator in iterable);
  if (isSource) return;
  throw new InputError(`${method} takes ${what}, found ${describe(source)}`, {
    hint: "Pass an array, an iterable, an async iterable or a ReadableStream",
  });
}

/**
 * Gives each item to `take`, and waits when that has something to wait for: the source is asked for
 * no more before.
 */
export async function drain<T>(
  source: Source<T>,
  take: (item: T) => Promise<void> | undefined,
): Promise<void> {
  if (Symbol.iterator in source) {
    // Without an await for each item, which would cost more than the rest.
    for (const item of source) {
      const wait = take(item);
      if (wait !== undefined) await wait;
    }
  } else {
    for await (const item of source) {
      const wait = take(item);
      if (wait !== undefined) await wait;
    }
  }
}
