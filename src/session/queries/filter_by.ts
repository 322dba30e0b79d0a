/**
 * `filterBy()`: conditions made of values by name, and of nothing else.
 *
 * @module
 */

import { InputError } from "../../errors.ts";
import { allOf, type Condition, describe, Expression, isSql } from "../../sql/expression.ts";
import { nodeOf } from "../../sql/node.ts";
import { labelOf } from "../../sql/operand.ts";
import { Parameter } from "../../sql/parameter.ts";
import { didYouMean } from "../../util/nearest.ts";

/** What `filterBy()` of joined and grouped rows takes: values of the columns of its first source. */
export type RefFilter<R> = {
  readonly [K in keyof R as R[K] extends Expression<unknown> ? K : never]?: R[K] extends
    Expression<infer T> ? T : never;
};

/**
 * Equality with each value; null asks for null.
 *
 * @param refs The columns by name; other properties are none.
 * @param known The names that can be given.
 * @throws {InputError} for a name that is no column, an object where a value belongs, or undefined.
 */
export function filterCondition(
  values: unknown,
  refs: Readonly<Record<string, unknown>>,
  known: readonly string[],
  of: string,
): Condition {
  if (!isPlainObject(values)) {
    throw new InputError(`filterBy() expects an object of values, found ${describe(values)}`, {
      hint: "Write it as filterBy({ name: value })",
    });
  }
  return allOf(
    ...Object.entries(values).map(([name, value]: [string, unknown]) => {
      const ref = known.includes(name) ? refs[name] : undefined;
      if (!(ref instanceof Expression)) {
        throw new InputError(`filterBy() names "${name}", and ${of} has no such column`, {
          hint: didYouMean(name, known),
        });
      }
      if (value === null) return ref.isNull();
      if (!isValue(value)) {
        throw new InputError(
          `filterBy() expects a value for "${labelOf(ref[nodeOf])}", found ${describe(value)}`,
          {
            hint: value === undefined
              ? "Leave the property out when there is no value"
              : "Use where() for anything but equality",
          },
        );
      }
      return ref.eq(value);
    }),
  );
}

/** Not what JSON could bring along: an object or an array where a value belongs. */
function isValue(value: unknown): boolean {
  if (typeof value !== "object") return typeof value !== "function" && value !== undefined;
  return value instanceof Date || value instanceof Uint8Array || value instanceof Parameter ||
    Object.prototype.toString.call(value).startsWith("[object Temporal.");
}

/** A literal or parsed JSON: what else there is (a query, a Map) has no values by column. */
function isPlainObject(value: unknown): value is object {
  if (typeof value !== "object" || value === null || isSql(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** The names of a source's columns. */
export function columnNames(refs: Readonly<Record<string, unknown>>): string[] {
  return Object.keys(refs).filter((name) => refs[name] instanceof Expression);
}
