/**
 * The values of `version()` columns.
 *
 * @module
 */

import { InputError } from "../errors.ts";
import type { ColumnType } from "./types.ts";

const first: Readonly<Record<string, () => unknown>> = {
  smallint: () => 1,
  integer: () => 1,
  bigint: () => 1n,
  timestamptz: () => new Date(),
  instant: () => Temporal.Now.instant().round("microsecond"),
};

/**
 * Refuses types that cannot be a version.
 *
 * @throws {InputError} naming those that can.
 */
export function checkVersioned({ name }: ColumnType<unknown>): void {
  if (Object.hasOwn(first, name)) return;
  throw new InputError(`A column of type ${name} cannot be a version()`, {
    hint:
      "Use integer(), smallint(), bigint(), timestamptz() or instant(), or let the database give " +
      "it: version({ generated: true })",
  });
}

/** True if the versions of a type are numbers, which the database itself can count. */
export function isCounter({ name }: ColumnType<unknown>): boolean {
  return name === "smallint" || name === "integer" || name === "bigint";
}

/** The version of a new row. */
export function firstVersion({ name }: ColumnType<unknown>): unknown {
  return first[name]!();
}

/** The version after another; a moment is later than the one before even when clocks are not. */
export function nextVersion(before: unknown): unknown {
  if (typeof before === "number") return before + 1;
  if (typeof before === "bigint") return before + 1n;
  if (before instanceof Date) return new Date(Math.max(Date.now(), before.getTime() + 1));
  const next = (before as Temporal.Instant).add({ microseconds: 1 });
  const now = Temporal.Now.instant().round("microsecond");
  return Temporal.Instant.compare(now, next) > 0 ? now : next;
}
