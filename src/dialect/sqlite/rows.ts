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
  const table = quoteTable(shape.table);
  // Unnumbered like the rows' own, which they follow in the text.
  const tail = insertTail(shape, () => "?");
  const extra = (shape.onConflict?.set ?? []).map(({ value }) => value);
  if (shape.columns.length === 0) {
    return rows.map(() => ({
      text: `insert into ${table} default values${tail}`,
      params: extra,
      rows: 1,
    }));
  }
  const head = `insert into ${table} (${
    shape.columns.map((c) => quote(c.name)).join(", ")
  }) values `;
  return chunked(places, rows, (values) => `${head}${values}${tail}`, extra);
}

/** `update … from (values …)`. */
export function updateRows(shape: UpdateShape, rows: readonly WireRow[]): RowsStatement[] {
  const table = quoteTable(shape.table);
  const offset = shape.keys.length;
  const set = shape.columns.map((c, i) => `${quote(c.name)} = v.column${i + offset + 1}`);
  if (shape.counter !== undefined) {
    const name = quote(shape.counter.name);
    set.push(`${name} = t.${name} + 1`);
  }
  const where = shape.keys.map((c, i) => `t.${quote(c.name)} = v.column${i + 1}`);
  return chunked(
    [...shape.keys, ...shape.columns].map((_, i) => i),
    rows,
    (values) =>
      `update ${table} as t set ${set.join(", ")} from (values ${values}) as v where ${
        where.join(" and ")
      }${returning(shape.returning)}`,
  );
}

/** `select … where (key) in (values …)`: RETURNING does not see what AFTER triggers do. */
export function readRows(shape: DeleteShape, keys: readonly WireRow[]): RowsStatement[] {
  const columns = names(shape.keys);
  return chunked(
    [...shape.keys.keys()],
    keys,
    (values) =>
      `select ${names(shape.returning)} from ${
        quoteTable(shape.table)
      } where (${columns}) in (values ${values})`,
  );
}

/** `delete … where (key) in (values …)`. */
export function deleteRows(shape: DeleteShape, keys: readonly WireRow[]): RowsStatement[] {
  const columns = names(shape.keys);
  return chunked(
    [...shape.keys.keys()],
    keys,
    (values) =>
      `delete from ${quoteTable(shape.table)} where (${columns}) in (values ${values})${
        returning(shape.returning)
      }`,
  );
}

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
  spell: (values: string) => string,
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
      text = spell(values(size, columns));
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

/** `(?, ?), (?, ?)`: unnumbered, so that the text of one size is always the same and short. */
function values(rows: number, columns: number): string {
  const row = `(${Array(columns).fill("?").join(", ")})`;
  return Array(rows).fill(row).join(", ");
}
