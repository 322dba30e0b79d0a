/**
 * Which JavaScript values may be bound, and as what. `node:sqlite` binds a `Date` or any other
 * object as NULL and cuts text at NUL, without a word; here both are errors.
 *
 * @module
 */

import { InputError } from "../../errors.ts";
import type { WireValue } from "../../sql/wire.ts";

const smallest = -(2n ** 63n);
const largest = 2n ** 63n - 1n;

/** What `node:sqlite` is given. */
export type BindValue = string | number | bigint | Uint8Array | null;

/**
 * Checks every value and gives what to bind: whole numbers as INTEGER (`node:sqlite` would bind
 * each number as REAL, so that `'a' || 1` gave `a1.0`), others as they are.
 *
 * @throws {InputError} Naming the position and what was found.
 */
export function bindValues(params: readonly WireValue[], expected: number): BindValue[] {
  if (params.length !== expected) {
    throw new InputError(
      `The statement has ${expected} parameter(s) and was given ${params.length} value(s)`,
      { hint: "Give one value for each of ?1, ?2, …" },
    );
  }
  const values = new Array<BindValue>(params.length);
  for (let i = 0; i < params.length; i++) values[i] = bindValue(params[i]!, i);
  return values;
}

function bindValue(value: WireValue, index: number): BindValue {
  switch (typeof value) {
    case "string":
      if (value.includes("\0")) throw refused(index, "text with a NUL character", cannotHoldNul);
      if (!value.isWellFormed()) throw refused(index, "text with a lone surrogate", callWellFormed);
      return value;
    case "number":
      if (Number.isSafeInteger(value)) return Object.is(value, -0) ? value : BigInt(value);
      if (Number.isNaN(value)) throw refused(index, "NaN", "SQLite would store NULL");
      return value;
    case "bigint":
      if (value < smallest || value > largest) {
        throw refused(index, "a bigint of more than 64 bits", "Store it as text");
      }
      return value;
    default:
      if (value === null || value instanceof Uint8Array) return value;
      throw refused(index, describe(value));
  }
}

const cannotHoldNul = "SQLite would cut it there; remove it or store bytes";
const callWellFormed = "It would be stored as U+FFFD; call toWellFormed() if that is wanted";

function refused(index: number, found: string, hint?: string): InputError {
  return new InputError(`Parameter ?${index + 1} is ${found}`, {
    hint: hint ??
      "SQLite takes a string, a number, a bigint, a Uint8Array or null; convert it first",
  });
}

function describe(value: unknown): string {
  if (typeof value !== "object" || value === null) return `of type ${typeof value}`;
  if (Array.isArray(value)) return "an array";
  // Read from the prototype: an object out of JSON can have a property of that name.
  const name: unknown = Object.getPrototypeOf(value)?.constructor?.name;
  return typeof name === "string" && name !== "" ? `an object (${name})` : "an object";
}
