/**
 * What SQLite stores, in the words in which PostgreSQL would print it, so that an export is the
 * same from both. JSON is the exception: it comes as it was stored, where `jsonb` has a spelling of
 * its own.
 *
 * @module
 */

import type { SqlType, WireValue } from "../../sql/wire.ts";

/** The end of time, which has no zone. */
const INFINITE: ReadonlySet<WireValue> = new Set(["infinity", "-infinity"]);

/** The text of one value of a type, if that is known. */
export function sqliteText(type: SqlType<unknown> | undefined, wire: WireValue): string | null {
  if (wire === null) return null;
  if (wire instanceof Uint8Array) return hex(wire);
  if (type?.element !== undefined) {
    const values = type.codec.sqlite.decode(wire) as readonly unknown[];
    return arrayOut(type.element, values, JSON.parse(wire as string));
  }
  switch (type?.name) {
    case "boolean":
      return wire === 0 ? "f" : "t";
    case "double":
      return floatText(Number(wire), shortestDigits(Number(wire)), 15);
    case "real":
      return floatText(Number(wire), singleDigits(Number(wire)), 6);
    case "timestamptz":
    case "instant":
      return INFINITE.has(wire) ? String(wire) : `${spaced(String(wire).replace(/Z$/, ""))}+00`;
    case "timestamp":
    case "plainDateTime":
      return spaced(String(wire));
    default:
      return typeof wire === "number" ? numberText(wire) : String(wire);
  }
}

/**
 * As PostgreSQL's array_out, which puts quotes only where they are needed. What is an array of its
 * own tell the `items` as they are stored: a value can be an array, too.
 */
function arrayOut(
  element: SqlType<unknown>,
  values: readonly unknown[],
  items: readonly unknown[],
): string {
  const parts = values.map((value, i) => {
    if (value === null) return "NULL";
    const inner = items[i];
    if (Array.isArray(inner)) return arrayOut(element, value as readonly unknown[], inner);
    const text = sqliteText(element, element.codec.sqlite.encode(value, "array"))!;
    const bare = text !== "" && text.toUpperCase() !== "NULL" && !NEEDS_QUOTES.test(text);
    return bare ? text : `"${text.replace(/["\\]/g, "\\$&")}"`;
  });
  return `{${parts.join(",")}}`;
}

const NEEDS_QUOTES = /["\\{},\t\n\v\f\r ]/;

/** Every digit of what fits into SQLite's INTEGER; else it was a REAL. */
function numberText(value: number): string {
  const whole = Number.isInteger(value) && value >= -(2 ** 63) && value < 2 ** 63;
  return whole ? String(BigInt(value)) : floatText(value, shortestDigits(value), 15);
}

function hex(bytes: Uint8Array): string {
  let text = "\\x";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

/** `2024-05-06T07:08:09.500` as `2024-05-06 07:08:09.5`. */
function spaced(iso: string): string {
  const text = iso.replace("T", " ");
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/** `d.ddde±x` with as few digits as tell the number from its neighbours. */
function shortestDigits(value: number): string {
  return value.toExponential();
}

function singleDigits(value: number): string {
  for (let digits = 0; digits < 8; digits++) {
    const text = value.toExponential(digits);
    if (Math.fround(Number(text)) === Math.fround(value)) return text;
  }
  return value.toExponential(8);
}

/** As PostgreSQL's float8out: with an exponent from 1e+15 up, or 1e+06 for real, and below 1e-04. */
function floatText(value: number, exponential: string, limit: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (value === 0) return Object.is(value, -0) ? "-0" : "0";
  const [mantissa, power] = exponential.split("e") as [string, string];
  const exponent = Number(power);
  if (exponent < -4 || exponent >= limit) {
    const size = String(Math.abs(exponent)).padStart(2, "0");
    return `${mantissa}e${exponent < 0 ? "-" : "+"}${size}`;
  }
  const sign = mantissa.startsWith("-") ? "-" : "";
  const digits = mantissa.replace(/[-.]/g, "");
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, "0");
  const fraction = digits.slice(exponent + 1);
  return fraction === "" ? `${sign}${whole}` : `${sign}${whole}.${fraction}`;
}
