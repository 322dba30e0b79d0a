/**
 * Many rows in one statement on SQLite: multi-row VALUES. Rows are cut into powers of two, so that
 * a handful of prepared statements serves every number of rows.
 *
 * @module
 */

import type { Column } from "../../schema/table.ts";
import { quoteIdentifier as quote, quoteTable } from "../../sql/identifier.ts";
import type { WireRow, WireValue } from "../../sql/wire.ts";
import type { DeleteShape, InsertShape, RowsStatement, UpdateShape } from "../dialect.ts";
import { onceFor } from "../../util/once_for.ts";
import { insertTail } from "../insert_tail.ts";

/** SQLite's limit on parameters, and a limit of ours on rows. */
const MAX_PARAMS = 32_766;
const MAX_ROWS = 512;

/** `insert … values (…), (…)`. */
export function insertRows(
  shape: InsertShape,
  rows: readonly WireRow[],
  places: readonly number[] = [...shape.columns.keys()],
): RowsStatement[] {
  const extra = shape.onConflict?.set?.map(({ value }) => value) ?? [];
  const texts = insertTexts(shape);
  if (shape.columns.length === 0) {
    return rows.map(() => ({ text: texts(1), params: extra, rows: 1 }));
  }
  return chunked(places, rows, texts, extra);
}

const insertTexts = onceFor((shape: InsertShape): Texts => {
  const head = `insert into ${quoteTable(shape.table)}`;
  // Unnumbered like the rows' own, which they follow in the text.
  const tail = insertTail(shape, () => "?");
  const count = shape.columns.length;
  if (count === 0) return () => `${head} default values${tail}`;
  return texts(count, (values) => `${head} (${names(shape.columns)}) values ${values}${tail}`);
});

/** `update … from (values …)`. */
export function updateRows(shape: UpdateShape, rows: readonly WireRow[]): RowsStatement[] {
  return chunked([...shape.keys, ...shape.columns].map((_, i) => i), rows, updateTexts(shape));
}

const updateTexts = onceFor((shape: UpdateShape): Texts => {
  const table = quoteTable(shape.table);
  const offset = shape.keys.length;
  const set = shape.columns.map((c, i) => `${quote(c.name)} = v.column${i + offset + 1}`);
  if (shape.counter !== undefined) {
    const name = quote(shape.counter.name);
    set.push(`${name} = t.${name} + 1`);
  }
  const where = shape.keys.map((c, i) => `t.${quote(c.name)} = v.column${i + 1}`);
  return texts(
    offset + shape.columns.length,
    (values) =>
      `update ${table} as t set ${set.join(", ")} from (values ${values}) as v where ${
        where.join(" and ")
      }${returning(shape.returning)}`,
  );
});

/** `select … where (key) in (values …)`: RETURNING does not see what AFTER triggers do. */
export function readRows(shape: DeleteShape, keys: readonly WireRow[]): RowsStatement[] {
  return chunked([...shape.keys.keys()], keys, readTexts(shape));
}

const readTexts = onceFor((shape: DeleteShape): Texts =>
  texts(
    shape.keys.length,
    (values) =>
      `select ${names(shape.returning)} from ${quoteTable(shape.table)} where (${
        names(shape.keys)
      }) in (values ${values})`,
  )
);

/** `delete … where (key) in (values …)`. */
export function deleteRows(shape: DeleteShape, keys: readonly WireRow[]): RowsStatement[] {
  return chunked([...shape.keys.keys()], keys, deleteTexts(shape));
}

const deleteTexts = onceFor((shape: DeleteShape): Texts =>
  texts(
    shape.keys.length,
    (values) =>
      `delete from ${quoteTable(shape.table)} where (${names(shape.keys)}) in (values ${values})${
        returning(shape.returning)
      }`,
  )
);

function returning(columns: readonly Column[] = []): string {
  if (columns.length === 0) return "";
  return ` returning ${names(columns)}`;
}

function names(columns: readonly Column[] = []): string {
  return columns.map((c) => quote(c.name)).join(", ");
}

function chunked(
  places: readonly number[],
  rows: readonly WireRow[],
  texts: Texts,
  extra: readonly WireValue[] = [],
): RowsStatement[] {
  const columns = places.length;
  const room = MAX_PARAMS - extra.length;
  const most = Math.min(MAX_ROWS, 2 ** Math.floor(Math.log2(room / columns)));
  const statements: RowsStatement[] = [];
  let text = "";
  let size = 0;
  for (let at = 0; at < rows.length; at += size) {
    const next = Math.min(most, 2 ** Math.floor(Math.log2(rows.length - at)));
    if (next !== size) {
      size = next;
      text = texts(size);
    }
    const params: WireValue[] = [];
    for (let i = at; i < at + size; i++) {
      const row = rows[i]!;
      for (let c = 0; c < columns; c++) params.push(row[places[c]!]!);
    }
    params.push(...extra);
    statements.push({ text, params, rows: size });
  }
  return statements;
}

/** The text for so many rows. */
type Texts = (rows: number) => string;

/** Spells each text once; there are as many as powers of two. */
function texts(columns: number, spell: (values: string) => string): Texts {
  const known: (string | undefined)[] = [];
  return (rows) => known[Math.log2(rows)] ??= spell(values(rows, columns));
}

/** `(?, ?), (?, ?)`: unnumbered, so that the text of one size is always the same and short. */
function values(rows: number, columns: number): string {
  const row = `(${Array(columns).fill("?").join(", ")})`;
  return Array(rows).fill(row).join(", ");
}
