/**
 * Rows as text, in the very bytes that PostgreSQL's COPY would write (`CopyAttributeOutCSV` and
 * `CopyAttributeOutText` in `copyto.c`).
 *
 * @module
 */

import { copyField } from "../../dialect/postgres/copy_text.ts";

/** Writes one row of texts, null being null, as a line. */
export type WriteRow = (row: readonly (string | null)[]) => string;

/** Tabs between the values, backslash escapes, `\N` for null. */
export const textRow: WriteRow = (row) => `${row.map(copyField).join("\t")}\n`;

/** Commas between the values, quotes where needed, nothing for null, `""` for an empty text. */
export const csvRow: WriteRow = (row) =>
  `${row.map((text) => csvField(text, row.length === 1)).join(",")}\n`;

function csvField(text: string | null, alone: boolean): string {
  if (text === null) return "";
  const quote = text === "" || special.test(text) || alone && text === "\\.";
  return quote ? `"${text.replaceAll('"', '""')}"` : text;
}

const special = /[",\r\n]/;
