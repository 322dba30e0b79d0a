/**
 * What must be known of a statement's text and `node:sqlite` does not tell: what it does, how many
 * parameters it has. One pass, by hand, without regular expressions.
 *
 * @module
 */

import { InputError } from "../../errors.ts";

/**
 * What a statement does to the database: `read` nothing, `write` rows, `schema` the tables,
 * `transaction` and `savepoint` the transaction, `other` something else (`PRAGMA`).
 */
export type StatementKind = "read" | "write" | "schema" | "transaction" | "savepoint" | "other";

/** What the scan found. */
export interface ScannedStatement {
  /** The word that names the statement, upper case; after a `WITH`, the word of what follows it. */
  readonly command: string;
  /** What it does. */
  readonly kind: StatementKind;
  /** The highest parameter number. */
  readonly parameters: number;
  /** There is a `*` that can stand for columns, so a change of the schema can change the result. */
  readonly star: boolean;
}

const kinds: ReadonlyMap<string, StatementKind> = new Map<string, StatementKind>([
  ["SELECT", "read"],
  ["VALUES", "read"],
  ["EXPLAIN", "read"],
  ["INSERT", "write"],
  ["REPLACE", "write"],
  ["UPDATE", "write"],
  ["DELETE", "write"],
  ["CREATE", "schema"],
  ["DROP", "schema"],
  ["ALTER", "schema"],
  ["REINDEX", "schema"],
  ["ANALYZE", "schema"],
  ["VACUUM", "schema"],
  ["BEGIN", "transaction"],
  ["COMMIT", "transaction"],
  ["END", "transaction"],
  ["ROLLBACK", "transaction"],
  ["SAVEPOINT", "savepoint"],
  ["RELEASE", "savepoint"],
]);

const afterWith = new Set(["SELECT", "VALUES", "INSERT", "REPLACE", "UPDATE", "DELETE"]);

/**
 * Scans one statement up to its end or first semicolon.
 *
 * @throws {InputError} When the text is empty, contains NUL or a lone surrogate, or has named
 * parameters.
 */
export function scanStatement(text: string): ScannedStatement {
  if (text.includes("\0")) {
    throw new InputError("The statement's text contains a NUL character", {
      hint: "SQLite would ignore everything after it; remove it",
    });
  }
  if (!text.isWellFormed()) {
    throw new InputError("The statement's text contains a lone surrogate", {
      hint: "It is no valid Unicode; bind values instead of writing them into the text",
    });
  }
  let command = "";
  let kind: StatementKind = "other";
  let settled = false;
  let parameters = 0;
  let star = false;
  let depth = 0;
  let i = 0;
  while ((i = skipBlank(text, i)) < text.length) {
    const c = text[i]!;
    if (c === ";") {
      if (command !== "") break;
      i++;
    } else if (c === "'" || c === '"' || c === "`" || c === "[") {
      i = afterQuote(text, i);
    } else if (isWordStart(c)) {
      const from = i;
      while (i < text.length && isWordPart(text[i]!)) i++;
      if (settled) {
        // ROLLBACK TO a savepoint leaves the transaction open.
        if (command === "ROLLBACK" && text.slice(from, i).toUpperCase() === "TO") {
          kind = "savepoint";
        }
        continue;
      }
      const word = text.slice(from, i).toUpperCase();
      if (command === "") {
        command = word;
        settled = word !== "WITH";
        kind = kinds.get(word) ?? "other";
      } else if (depth === 0 && afterWith.has(word)) {
        command = word;
        settled = true;
        kind = kinds.get(word)!;
      }
    } else if (isDigit(c)) {
      while (i < text.length && isWordPart(text[i]!)) i++;
    } else if (c === "?") {
      const from = ++i;
      while (i < text.length && isDigit(text[i]!)) i++;
      parameters = Math.max(parameters, i > from ? Number(text.slice(from, i)) : parameters + 1);
    } else if (c === ":" || c === "@" || c === "$") {
      throw new InputError(`The statement has a parameter named with "${c}"`, {
        hint: "Parameters have numbers on SQLite: ?1, ?2",
      });
    } else {
      if (c === "(") depth++;
      else if (c === ")") depth--;
      else if (c === "*") star = true;
      i++;
    }
  }
  if (command === "" && i >= text.length) {
    throw new InputError("The statement is empty", { hint: "Give one SQL statement" });
  }
  return { command, kind, parameters, star };
}

/**
 * Refuses text that goes on after the statement ended at `from`: SQLite would not run it.
 *
 * @throws {InputError}
 */
export function refuseTail(text: string, from: number): void {
  let i = from;
  while ((i = skipBlank(text, i)) < text.length) {
    if (text[i] !== ";") {
      throw new InputError(
        `There is more than one statement in the text: the second begins at character ${i + 1}`,
        { hint: "Send one statement a call" },
      );
    }
    i++;
  }
}

function skipBlank(text: string, from: number): number {
  let i = from;
  while (i < text.length) {
    const c = text[i]!;
    if (c === " " || (c >= "\t" && c <= "\r") || c === "\uFEFF") {
      i++;
    } else if (c === "-" && text[i + 1] === "-") {
      const end = text.indexOf("\n", i);
      i = end < 0 ? text.length : end + 1;
    } else if (c === "/" && text[i + 1] === "*") {
      const end = text.indexOf("*/", i + 2);
      i = end < 0 ? text.length : end + 2;
    } else {
      break;
    }
  }
  return i;
}

/** A doubled quote ends one literal and begins the next, which comes to the same here. */
function afterQuote(text: string, from: number): number {
  const end = text.indexOf(text[from] === "[" ? "]" : text[from]!, from + 1);
  return end < 0 ? text.length : end + 1;
}

function isDigit(c: string): boolean {
  return c >= "0" && c <= "9";
}

function isWordStart(c: string): boolean {
  return (c >= "a" && c <= "z") || (c >= "A" && c <= "Z") || c === "_" || c >= "\x80";
}

function isWordPart(c: string): boolean {
  return isWordStart(c) || isDigit(c) || c === "$";
}
