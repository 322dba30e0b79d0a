/** `bulkUpdate()` and `bulkDelete()`: rows by key, without instances. @module */

import { InputError } from "../../errors.ts";
import type { Dialect } from "../../dialect/dialect.ts";
import type { Mapper } from "../../mapper/mapper.ts";
import type { WireRow } from "../../sql/wire.ts";
import { carryOut, identityText } from "./bulk_insert.ts";
import { refusedRow, RowEncoder } from "./row_encoder.ts";
import { checkSource } from "./row_source.ts";
import type { Source } from "./types.ts";
import { type BulkChannel, type BulkShape, BulkWriter } from "./writer.ts";

/**
 * Updates rows by their primary keys; rows of a source may differ in what they set.
 *
 * @throws {InputError} naming the index of a row that cannot be stored.
 */
export async function bulkUpdate(
  mapper: Mapper,
  source: Source<object>,
  dialect: Dialect,
  channel: BulkChannel,
): Promise<number> {
  checkSource("bulkUpdate()", "rows", source);
  const encoder = new RowEncoder(mapper, dialect.name, (column, encode) => {
    const { updateValue } = column.defined.spec;
    if (!column.primaryKey) return updateValue && encode(updateValue());
    throw new InputError(`"${column.label}" is missing, by which the row is found`, {
      hint: "Give the primary key beside what is to be changed",
    });
  });
  const writer = new BulkWriter({
    verb: "updated",
    shape: (omitted) => updateShape(mapper, omitted, encoder, dialect),
    inRuns: false,
    returned: () => {},
  }, channel);
  const places = new Map<string, readonly number[]>();
  return await carryOut(writer, source, (row) => {
    try {
      const { omitted, wires } = encoder.encode(row);
      let keys = places.get(omitted);
      if (keys === undefined) {
        const columns = encoder.columnsOf(omitted);
        keys = mapper.primaryKey.map((column) => columns.indexOf(column));
        if (keys.length === columns.length) {
          throw new InputError("It sets nothing", { hint: "Give columns beside the primary key" });
        }
        places.set(omitted, keys);
      }
      // A row that comes again is updated again, after the first time.
      return writer.add(omitted, wires, identityText(keys.map((i) => wires[i]!)));
    } catch (error) {
      throw refusedRow(error, writer.index, "updated");
    }
  });
}

function updateShape(
  mapper: Mapper,
  omitted: string,
  encoder: RowEncoder,
  dialect: Dialect,
): BulkShape {
  const given = encoder.columnsOf(omitted);
  const columns = given.filter((column) => !column.primaryKey);
  const places = [...mapper.primaryKey, ...columns].map((column) => given.indexOf(column));
  const shape = { table: mapper.table, keys: mapper.primaryKey, columns };
  return {
    statements: (rows) =>
      dialect.updateRows(shape, rows.map((row): WireRow => places.map((i) => row[i]!))),
    copy: () => undefined,
  };
}

/**
 * Deletes rows by their primary keys.
 *
 * @throws {InputError} naming the index of what is no key.
 */
export async function bulkDelete(
  mapper: Mapper,
  keys: Source<unknown>,
  dialect: Dialect,
  channel: BulkChannel,
): Promise<number> {
  checkSource("bulkDelete()", "keys", keys);
  const shape = { table: mapper.table, keys: mapper.primaryKey };
  const writer = new BulkWriter({
    verb: "deleted",
    shape: () => ({
      statements: (rows) => dialect.deleteRows(shape, rows),
      copy: () => undefined,
    }),
    inRuns: false,
    returned: () => {},
  }, channel);
  return await carryOut(writer, keys, (key) => {
    try {
      return writer.add("", mapper.keyRow(key, dialect.name));
    } catch (error) {
      throw refusedRow(error, writer.index, "deleted");
    }
  });
}
