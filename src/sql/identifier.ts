import { InputError } from "../errors.ts";

const encoder = new TextEncoder();

/**
 * Checks a name of a table, column or alias: not empty, no NUL, well-formed, at most 63 bytes of
 * UTF-8. PostgreSQL cuts longer names with a mere notice, and two could become one.
 */
export function checkIdentifier(name: string): string {
  if (typeof name !== "string" || name === "") {
    throw new InputError("A name is empty or not a string", {
      hint: "Give the table or column a name",
    });
  }
  if (name.includes("\0") || !name.isWellFormed()) {
    throw new InputError(`The name ${JSON.stringify(name)} contains a NUL or a lone surrogate`, {
      hint: "Use well-formed text without NUL",
    });
  }
  // A UTF-16 unit is at most three bytes, so short names need no encoding to be known short.
  if (name.length > 21 && encoder.encode(name).length > 63) {
    throw new InputError(`The name "${name}" is longer than 63 bytes`, {
      hint: "PostgreSQL would cut it silently; choose a shorter one",
    });
  }
  return name;
}

const quoted = new Map<string, string>();
const MOST_QUOTED = 10_000;

/** The name in double quotes, inner quotes doubled: the same on PostgreSQL and SQLite. */
export function quoteIdentifier(name: string): string {
  // Compiling a statement is mostly this, and there are few names.
  let text = quoted.get(name);
  if (text === undefined) {
    text = `"${checkIdentifier(name).replaceAll('"', '""')}"`;
    if (quoted.size >= MOST_QUOTED) quoted.clear();
    quoted.set(name, text);
  }
  return text;
}

/** The quoted name of a table or type, qualified if it has a schema. */
export function quoteTable(
  table: { readonly schema: string | undefined; readonly name: string },
): string {
  const name = quoteIdentifier(table.name);
  return table.schema === undefined ? name : `${quoteIdentifier(table.schema)}.${name}`;
}

/** Text as an SQL literal, for DDL, where nothing can be bound. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
