/** Whole numbers that limit queries. @module */

import { InputError } from "../../errors.ts";
import { describe } from "../../sql/operand.ts";
import { Parameter } from "../../sql/parameter.ts";

/** A limit or offset: a number, or the parameter of a prepared query. */
export type CountNode = number | { readonly parameter: unknown };

/** A whole number from `min` up. */
export function checkCount(what: string, value: unknown, min: number): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < min) {
    throw new InputError(`${what} takes a whole number from ${min} up, found ${describe(value)}`, {
      hint: "Convert and check the number first",
    });
  }
  return value;
}

/** What `limit()` and `offset()` were given. */
export function countNode(what: string, value: unknown): CountNode {
  return value instanceof Parameter ? { parameter: value } : checkCount(what, value, 0);
}

/** The number that a limit or offset is in the end. */
export function numberOf(
  count: CountNode | undefined,
  values: object | undefined,
): number | undefined {
  if (typeof count !== "object") return count;
  const { name } = count.parameter as Parameter;
  return checkCount(
    `The parameter "${name}"`,
    Object.hasOwn(values ?? {}, name) ? (values as Record<string, unknown>)[name] : undefined,
    0,
  );
}
