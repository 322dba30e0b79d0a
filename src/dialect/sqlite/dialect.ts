/** SQLite's SQL. @module */

import { InputError } from "../../errors.ts";
import { bytesColumn } from "../../schema/types.ts";
import { quoteTable } from "../../sql/identifier.ts";
import type { WireValue } from "../../sql/wire.ts";
import { createTable, type DdlStyle } from "../ddl.ts";
import type { Dialect } from "../dialect.ts";
import { SqliteCompiler } from "./compiler.ts";
import { deleteRows, insertRows, readRows, updateRows } from "./rows.ts";

/** Default expressions that every database should understand, in SQLite's words. */
const expressions = new Map([
  ["now()", "(strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))"],
  ["current_timestamp", "(strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))"],
  ["current_date", "(date('now'))"],
  [
    "gen_random_uuid()",
    "(lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || " +
    "substr(hex(randomblob(2)), 2) || '-' || substr('89ab', 1 + (random() & 3), 1) || " +
    "substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))))",
  ],
]);

const style: DdlStyle = {
  name: "sqlite",
  identity: "primary key autoincrement",
  inlineIdentityKey: true,
  defaultExpression(expression, type) {
    const known = expressions.get(expression.toLowerCase()) ?? `(${expression})`;
    // Instants have six digits of seconds on SQLite, so that their text sorts as they do.
    return type === "instant" ? known.replace("%fZ", "%f000Z") : known;
  },
};

/** SQLite's SQL. */
export const sqliteDialect: Dialect = {
  name: "sqlite",
  maxParameters: 32_766,
  rowsAtOnce: 1,
  compile: (statement) => new SqliteCompiler(sqliteDialect).compile(statement),
  decoders: (columns) => columns.map(() => (wire: WireValue) => wire),
  insertRows,
  updateRows,
  readRows,
  deleteRows,
  listParameter: (values, cast) => `[${values.map((value) => jsonElement(value, cast)).join(",")}]`,
  inList(term, position, cast, negated) {
    const list = `select ${listElement("value", cast)} from json_each(?${position})`;
    return `${term} ${negated ? "not in" : "in"} (${list})`;
  },
  // SQLite looks a foreign key's table up only when it is used.
  createTable: (table) => createTable(table, style, []),
  addForeignKeys: () => [],
  tableExists: (table) => ({
    text: "select 1 from sqlite_master where type = 'table' and name = ?1",
    params: [table.name],
  }),
  // A dropped table's rows are deleted first, which breaks a ring's keys until the others are gone.
  dropTable: (table) => [
    "pragma defer_foreign_keys = on",
    `drop table if exists ${quoteTable(table)}`,
  ],
  dropTypes: () => [],
};

const BYTES = bytesColumn.cast.sqlite;

/** An element of a list parameter, as a value of its type: JSON holds bytes as hex. */
export function listElement(element: string, cast: string | undefined): string {
  return cast === BYTES ? `unhex(${element})` : element;
}

function jsonElement(value: WireValue, cast: string | undefined): string {
  if (value instanceof Uint8Array) {
    if (cast === BYTES) return JSON.stringify(hexOf(value));
    throw new InputError("A list of bytes cannot be bound where its type is not known", {
      hint: "Say what type the expression has with .typed()",
    });
  }
  if (typeof value === "number" && !Number.isFinite(value)) return value > 0 ? "9e999" : "-9e999";
  return typeof value === "bigint" ? String(value) : JSON.stringify(value);
}

function hexOf(bytes: Uint8Array): string {
  return (bytesColumn.codec.postgres.encode(bytes, "list") as string).slice(2);
}
