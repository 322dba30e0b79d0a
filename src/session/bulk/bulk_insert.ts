/**
 * `bulkInsert()` and `bulkUpsert()`: plain objects straight to rows, without instances.
 *
 * @module
 */

import type { Dialect } from "../../dialect/dialect.ts";
import type { MappedColumn } from "../../mapper/mapped_column.ts";
import type { WireRow } from "../../sql/wire.ts";
import { type InsertConflict, type InsertOrder, insertShape } from "./insert_order.ts";
import { missingInInsert, refusedRow, RowEncoder } from "./row_encoder.ts";
import { drain } from "./row_source.ts";
import type { Source } from "./types.ts";
import { assertFresh, versionOf } from "./versions.ts";
import { type BulkChannel, BulkWriter, type SentRows } from "./writer.ts";

/** What was inserted. */
export interface Inserted {
  /** How many rows were stored. */
  readonly count: number;
  /** The rows that were read back, in the order of the source. */
  readonly rows: readonly Record<string, unknown>[];
}

/**
 * Inserts all rows of a source.
 *
 * @throws {InputError} naming the index of a row that cannot be stored.
 */
export async function bulkInsert(
  order: InsertOrder,
  source: Source<object>,
  dialect: Dialect,
  channel: BulkChannel,
): Promise<Inserted> {
  const encoder = new RowEncoder(order.mapper, dialect.name, missingInInsert(order.mapper));
  const returned: WireRow[] = [];
  const conflict = order.onConflict;
  const writer = new BulkWriter({
    verb: "inserted",
    shape(key) {
      const [omitted, filled = ""] = key.split("|") as [string, string?];
      const columns = encoder.columnsOf(omitted);
      return insertShape(order, columns, encoder.columnsOf(omitted + filled), dialect);
    },
    inRuns: conflict !== undefined && order.returning.length > 0,
    returned(rows, indexes, sent) {
      if (conflict !== undefined && versionOf(order.mapper) !== undefined) {
        rows = checked(rows, indexes, sent);
      }
      if (order.returning.length === 0) return;
      // Without conflicts every row comes back, and belongs where it stood in the source.
      if (conflict === undefined) rows.forEach((row, i) => returned[indexes[i]!] = row);
      else returned.push(...rows);
    },
  }, channel);
  const identify = conflict === undefined ? undefined : identityOf(conflict, encoder);
  const checked = (rows: readonly WireRow[], indexes: readonly number[], sent: SentRows) => {
    const width = order.returning.length;
    if (rows.length === sent.rows.length && rows[0]!.length === width) return rows;
    const [omitted, filled = ""] = sent.key.split("|") as [string, string?];
    const columns = encoder.columnsOf(omitted);
    const { onConflict } = insertShape(order, columns, encoder.columnsOf(omitted + filled), dialect)
      .insert;
    if (onConflict?.guard === undefined) return rows;
    const at = onConflict.target.map((column) => columns.findIndex((other) => other === column));
    const changed = new Set(rows.map((row) => identityText(row.slice(width))));
    const identify = (row: WireRow) => identityText(at.map((i) => row[i]!));
    assertFresh(order.mapper, "upserted", { rows: sent.rows, indexes }, changed, identify);
    return rows.map((row) => row.slice(0, width));
  };
  const count = await carryOut(writer, source, (row) => {
    let encoded;
    try {
      encoded = encoder.encode(row);
    } catch (error) {
      throw refusedRow(error, writer.index, "inserted");
    }
    const { omitted, filled, wires } = encoded;
    const key = conflict === undefined ? omitted : `${omitted}|${filled}`;
    return writer.add(key, wires, identify?.(omitted, wires));
  });
  return { count, rows: returned.map((row) => decodeRow(row, order.returning, dialect)) };
}

/** Drains a source into a writer. */
export async function carryOut<T>(
  writer: BulkWriter,
  source: Source<T>,
  take: (item: T) => Promise<void> | undefined,
): Promise<number> {
  try {
    await drain(source, take);
    return await writer.finish();
  } catch (error) {
    // The transaction is rolled back next: a statement sent after that would be stored on its own.
    throw await writer.abandon(error);
  }
}

/** The same row twice in one statement is refused by PostgreSQL; they are sent one after the other. */
function identityOf(
  conflict: InsertConflict,
  encoder: RowEncoder,
): ((omitted: string, wires: WireRow) => string | undefined) | undefined {
  const updates = conflict.update === "given" || conflict.update.length > 0 ||
    conflict.set.length > 0;
  if (!updates) return undefined;
  const places = new Map<string, readonly number[]>();
  return (omitted, wires) => {
    let at = places.get(omitted);
    if (at === undefined) {
      const columns = encoder.columnsOf(omitted);
      at = conflict.target.map((column) => columns.indexOf(column));
      places.set(omitted, at);
    }
    const key = at.map((i) => i < 0 ? null : wires[i]!);
    // Nulls never conflict.
    return key.includes(null) ? undefined : identityText(key);
  };
}

/** One text for each key. */
export function identityText(key: WireRow): string {
  let text = "";
  for (const wire of key) {
    const part = String(wire);
    text += `${part.length}:${part}`;
  }
  return text;
}

function decodeRow(
  row: WireRow,
  columns: readonly MappedColumn[],
  dialect: Dialect,
): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  columns.forEach(({ property, type }, i) => {
    const wire = row[i]!;
    object[property] = wire === null ? null : type.codec[dialect.name].decode(wire);
  });
  return object;
}
