/**
 * Which statements a read-only transaction need not even send. The first word decides; what hides
 * its writing deeper, in a function or a `with`, the database itself refuses.
 */

import { ReadOnlyError } from "../errors.ts";

const writing: ReadonlySet<string> = new Set([
  "insert",
  "update",
  "delete",
  "merge",
  "replace",
  "truncate",
  "create",
  "alter",
  "drop",
  "grant",
  "revoke",
  "comment",
  "reindex",
  "vacuum",
  "cluster",
  "refresh",
]);
const LONGEST_WORD = 8;

/** True if the statement begins as one that writes. */
export function isWrite(text: string): boolean {
  const start = startOf(text);
  let end = start;
  while (end < text.length && end - start <= LONGEST_WORD && isLetter(text.charCodeAt(end))) end++;
  return writing.has(text.slice(start, end).toLowerCase());
}

/** The error for a write where only reading is allowed, before anything was sent. */
export function writeRefused(statement?: string): ReadOnlyError {
  return new ReadOnlyError("A write was refused: only reading is allowed here", {
    sqlState: "25006",
    statement,
    hint: "Begin a transaction, or make a session, without { readOnly: true }",
  });
}

/** Where the first word begins, behind blanks, comments and opening parentheses. */
function startOf(text: string): number {
  let i = 0;
  while (i < text.length) {
    if (text.startsWith("--", i)) {
      const end = text.indexOf("\n", i);
      i = end === -1 ? text.length : end + 1;
    } else if (text.startsWith("/*", i)) {
      const end = text.indexOf("*/", i + 2);
      i = end === -1 ? text.length : end + 2;
    } else if (text[i] === "(" || text[i]!.trim() === "") i++;
    else break;
  }
  return i;
}

function isLetter(code: number): boolean {
  return code >= 97 && code <= 122 || code >= 65 && code <= 90;
}
