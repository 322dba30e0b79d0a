/**
 * COPY's text format (PostgreSQL manual, section "COPY", "Text Format"): a line a row, tabs between
 * the values, `\N` for null, backslashes before what would be taken for one of these.
 *
 * @module
 */

import type { WireRow, WireValue } from "../../sql/wire.ts";

const encoder = new TextEncoder();

/** Rows as lines. */
export function copyLines(rows: readonly WireRow[]): Uint8Array {
  let text = "";
  for (let r = 0; r < rows.length; r++) {
    const row = rows[r]!;
    for (let i = 0; i < row.length; i++) {
      if (i > 0) text += "\t";
      text += copyField(row[i]!);
    }
    text += "\n";
  }
  return encoder.encode(text);
}

// What separates values and rows, and the backslash itself. Escaped backslashes also keep `\.`
// from being the end of the data and `\N` from being null.
// deno-lint-ignore no-control-regex -- the control characters are what is looked for
const special = /[\\\t\n\r\x08\f\v]/;
// deno-lint-ignore no-control-regex -- as above
const specials = /[\\\t\n\r\x08\f\v]/g;
const escapes: Readonly<Record<string, string>> = {
  "\\": "\\\\",
  "\t": "\\t",
  "\n": "\\n",
  "\r": "\\r",
  "\b": "\\b",
  "\f": "\\f",
  "\v": "\\v",
};

/** One value, as PostgreSQL itself would write it. */
export function copyField(wire: WireValue): string {
  if (wire === null) return "\\N";
  const text = String(wire);
  return special.test(text) ? text.replace(specials, (char) => escapes[char]!) : text;
}
