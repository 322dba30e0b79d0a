/**
 * Many rows in one statement: every column travels as one array, so that one prepared statement
 * serves every number of rows. The arrays are `text[]`, cast on the server, which measured 10 %
 * faster than typed arrays.
 *
 * @module
 */

import type { Column } from "../../schema/table.ts";
import { quoteIdentifier as quote, quoteTable } from "../../sql/identifier.ts";
import type { WireRow, WireValue } from "../../sql/wire.ts";
import type {
  CopyShape,
  DeleteShape,
  InsertShape,
  RowsStatement,
  UpdateShape,
} from "../dialect.ts";
import { insertTail } from "../insert_tail.ts";
import { copyLines } from "./copy_text.ts";
import { columnLiteral } from "../../schema/postgres_array.ts";
import { onceFor } from "../../util/once_for.ts";

/** Rows a statement takes at most: more gain no speed and cost memory. */
export const CHUNK = 10_000;

/** `insert … select from unnest`, or `values` for a single row. */
export function insertRows(
  shape: InsertShape,
  rows: readonly WireRow[],
  places: readonly number[] = [...shape.columns.keys()],
): RowsStatement[] {
  const extra = shape.onConflict?.set?.map(({ value }) => value) ?? [];
  if (shape.columns.length === 0) {
    const params = [String(rows.length), ...extra];
    return [{ text: insertMany(shape), params, rows: rows.length }];
  }
  if (rows.length === 1) {
    const [row] = rows as [WireRow];
    const params: WireValue[] = places.map((place) => row[place]!);
    params.push(...extra);
    return [{ text: insertOne(shape), params, rows: 1 }];
  }
  return chunked(insertMany(shape), places, rows, extra);
}

const insertOne = onceFor((shape: InsertShape): string => {
  const values = shape.columns.map((_, i) => `$${i + 1}`).join(", ");
  return `${insertInto(shape)} values (${values})${tail(shape, shape.columns.length)}`;
});

const insertMany = onceFor((shape: InsertShape): string => {
  const count = shape.columns.length;
  if (count === 0) {
    return `${insertInto(shape)} select from generate_series(1, $1)${tail(shape, 1)}`;
  }
  const selected = shape.columns.map((column, i) => cast(`u.c${i}`, column)).join(", ");
  // Ordinality fixes the order in which rows are inserted, generated keys given and rows returned.
  return `${insertInto(shape)} select ${selected} from ${unnest(count, "u", true)} order by u.n${
    tail(shape, count)
  }`;
});

/** What follows the rows, after so many parameters of theirs. */
function tail(shape: InsertShape, count: number): string {
  return insertTail(shape, (i, column) => cast(`$${count + i + 1}`, column));
}

/** `copy … from stdin`, in the text format. */
export function copyRows({ table, columns }: Pick<InsertShape, "table" | "columns">): CopyShape {
  const names = columns.map((column) => quote(column.name)).join(", ");
  return { text: `copy ${quoteTable(table)} (${names}) from stdin`, encode: copyLines };
}

/** `update … from unnest`, or a plain update for a single row. */
export function updateRows(shape: UpdateShape, rows: readonly WireRow[]): RowsStatement[] {
  if (rows.length === 1) return [{ text: updateOne(shape), params: rows[0]!, rows: 1 }];
  return chunked(updateMany(shape), [...shape.keys, ...shape.columns].map((_, i) => i), rows);
}

const updateOne = onceFor((shape: UpdateShape): string => {
  const offset = shape.keys.length;
  const set = shape.columns.map((c, i) => `${quote(c.name)} = $${i + offset + 1}`);
  return `update ${quoteTable(shape.table)} set ${
    [...set, ...counted("", shape)].join(", ")
  } where ${found(shape.keys)}${returning("", shape.returning)}`;
});

const updateMany = onceFor((shape: UpdateShape): string => {
  const offset = shape.keys.length;
  const set = shape.columns.map((c, i) => `${quote(c.name)} = ${cast(`u.c${i + offset}`, c)}`);
  return `update ${quoteTable(shape.table)} as t set ${
    [...set, ...counted("t.", shape)].join(", ")
  } from ${unnest(offset + shape.columns.length, "u", false)} where ${matches(shape.keys)}${
    returning("t.", shape.returning)
  }`;
});

function counted(prefix: string, { counter }: UpdateShape): string[] {
  if (counter === undefined) return [];
  const name = quote(counter.name);
  return [`${name} = ${prefix}${name} + 1`];
}

/** `delete … using unnest`, or a plain delete for a single row. */
export function deleteRows(shape: DeleteShape, keys: readonly WireRow[]): RowsStatement[] {
  if (keys.length === 1) return [{ text: deleteOne(shape), params: keys[0]!, rows: 1 }];
  return chunked(deleteMany(shape), [...shape.keys.keys()], keys);
}

const deleteOne = onceFor((shape: DeleteShape): string =>
  `delete from ${quoteTable(shape.table)} where ${found(shape.keys)}${
    returning("", shape.returning)
  }`
);

const deleteMany = onceFor((shape: DeleteShape): string =>
  `delete from ${quoteTable(shape.table)} as t using ${
    unnest(shape.keys.length, "u", false)
  } where ${matches(shape.keys)}${returning("t.", shape.returning)}`
);

function insertInto(shape: InsertShape): string {
  const columns = shape.columns.map((column) => quote(column.name)).join(", ");
  return `insert into ${quoteTable(shape.table)}${columns === "" ? "" : ` (${columns})`}`;
}

function returning(prefix: string, columns: readonly Column[] = []): string {
  if (columns.length === 0) return "";
  return ` returning ${columns.map((c) => prefix + quote(c.name)).join(", ")}`;
}

function unnest(count: number, alias: string, ordinality: boolean): string {
  const arrays = Array.from({ length: count }, (_, i) => `$${i + 1}::text[]`).join(", ");
  const columns = Array.from({ length: count }, (_, i) => `c${i}`).join(", ");
  return ordinality
    ? `unnest(${arrays}) with ordinality as ${alias}(${columns}, n)`
    : `unnest(${arrays}) as ${alias}(${columns})`;
}

/** One row, by the first parameters. */
function found(keys: readonly Column[]): string {
  return keys.map((c, i) => `${quote(c.name)} = $${i + 1}`).join(" and ");
}

function matches(keys: readonly Column[]): string {
  return keys.map((c, i) => `t.${quote(c.name)} = ${cast(`u.c${i}`, c)}`).join(" and ");
}

function cast(text: string, column: Column): string {
  const type = column.type.cast.postgres;
  return type === "text" ? text : `${text}::${type}`;
}

function chunked(
  text: string,
  places: readonly number[],
  rows: readonly WireRow[],
  extra: readonly WireValue[] = [],
): RowsStatement[] {
  const statements: RowsStatement[] = [];
  for (let at = 0; at < rows.length; at += CHUNK) {
    const chunk = rows.length <= CHUNK ? rows : rows.slice(at, at + CHUNK);
    const params: WireValue[] = places.map((place) => columnLiteral(chunk, place));
    params.push(...extra);
    statements.push({ text, params, rows: chunk.length });
  }
  return statements;
}
