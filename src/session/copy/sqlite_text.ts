/**
 * What SQLite stores, in the words in which PostgreSQL would print it, so that an export is the
 * same from both. JSON is the exception: it comes as it was stored, where `jsonb` has a spelling of
 * its own.
 *
 * @module
 */

import type { WireValue } from "../../sql/wire.ts";

/** The end of time, which has no zone. */
const INFINITE: ReadonlySet<WireValue> = new Set(["infinity", "-infinity"]);

/** The text of one value; `type` names that of the column, if it is known. */
export function sqliteText(type: string | undefined, wire: WireValue): string | null {
  if (wire === null) return null;
  if (wire instanceof Uint8Array) return hex(wire);
  switch (type) {
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
