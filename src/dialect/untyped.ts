/**
 * Values in the `sql` tag have no column to say their type: their JavaScript type decides, and
 * whatever could be read in two ways is refused.
 *
 * @module
 */

import { InputError } from "../errors.ts";
import { checkText } from "../schema/text_rules.ts";
import { booleanColumn, bytesColumn, doubleColumn, timestamptzColumn } from "../schema/types.ts";
import { describe } from "../sql/expression.ts";
import type { DialectName, WireValue } from "../sql/wire.ts";

/** The wire form of a scalar; undefined if the dialect has to look at it itself (arrays). */
export function encodeScalar(value: unknown, label: string, dialect: DialectName): WireValue {
  switch (typeof value) {
    case "string":
      return checkText(value, label);
    case "number":
      return doubleColumn.codec[dialect].encode(value, label);
    case "bigint":
      return dialect === "postgres" ? String(value) : value;
    case "boolean":
      return booleanColumn.codec[dialect].encode(value, label);
  }
  if (value === null) return null;
  if (value instanceof Date) return timestamptzColumn.codec[dialect].encode(value, label);
  if (value instanceof Uint8Array) return bytesColumn.codec[dialect].encode(value, label);
  throw new InputError(`"${label}" cannot be bound: found ${describe(value)}`, {
    hint: value === undefined
      ? "Pass null for NULL"
      : "Bind strings, numbers, bigints, booleans, Dates, Uint8Arrays or null; pass JSON as JSON.stringify(value)",
  });
}
