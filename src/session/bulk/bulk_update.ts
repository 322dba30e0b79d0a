/** `bulkUpdate()` and `bulkDelete()`: rows by key, without instances. @module */

import { InputError } from "../../errors.ts";
import type { Dialect } from "../../dialect/dialect.ts";
import type { MappedColumn } from "../../mapper/mapped_column.ts";
import type { Mapper } from "../../mapper/mapper.ts";
import type { WireRow } from "../../sql/wire.ts";
import { carryOut, identityText } from "./bulk_insert.ts";
import type { BulkShape } from "./insert_order.ts";
import { refusedRow, RowEncoder } from "./row_encoder.ts";
import { checkSource } from "./row_source.ts";
import type { Source } from "./types.ts";
import { assertFresh, isCounted, momentOf, versionOf } from "./versions.ts";
import { type BulkChannel, BulkWriter } from "./writer.ts";

/**
 * Updates rows by their primary keys; rows of a source may differ in what they set.
 *
 * @throws {InputError} naming the index of a row that cannot be stored.
 * @throws {StaleDataError} naming the rows that give a version which is no longer that of their row.
 */
export async function bulkUpdate(
  mapper: Mapper,
  source: Source<object>,
  dialect: Dialect,
  channel: BulkChannel,
): Promise<number> {
  checkSource("bulkUpdate()", "rows", source);
  const encoder = new RowEncoder(mapper, dialect.name, (column, encode) => {
    const { updateValue, version } = column.defined.spec;
    if (version !== false) return momentOf(column, dialect.name);
    if (!column.primaryKey) return updateValue && encode(updateValue());
    throw new InputError(`"${column.label}" is missing, by which the row is found`, {
      hint: "Give the primary key beside what is to be changed",
    });
  });
  const places = new Map<string, readonly number[]>();
  const writer = new BulkWriter({
    verb: "updated",
    shape: (key) => updateShape(mapper, key, encoder, dialect),
    inRuns: false,
    returned(rows, indexes, sent) {
      if (!sent.key.endsWith(CHECKED)) return;
      const keys = places.get(sent.key)!;
      const changed = new Set(rows.map(identityText));
      const identify = (row: WireRow) => identityText(keys.map((i) => row[i]!));
      assertFresh(mapper, "updated", { rows: sent.rows, indexes }, changed, identify);
    },
  }, channel);
  const version = versionOf(mapper);
  return await carryOut(writer, source, (row) => {
    try {
      const { omitted, filled, wires } = encoder.encode(row);
      const checked = version !== undefined && given(mapper.versionIndex, omitted + filled);
      const shape = checked ? omitted + CHECKED : omitted;
      let keys = places.get(shape);
      if (keys === undefined) {
        const columns = encoder.columnsOf(omitted);
        keys = mapper.primaryKey.map((column) => columns.indexOf(column));
        if (columns.every((column) => column.primaryKey || column === version)) {
          throw new InputError("It sets nothing", { hint: "Give columns beside the primary key" });
        }
        places.set(shape, keys);
      }
      // A row that comes again is updated again, after the first time.
      return writer.add(shape, wires, identityText(keys.map((i) => wires[i]!)));
    } catch (error) {
      throw refusedRow(error, writer.index, "updated");
    }
  });
}

/** Ends the key of a shape whose rows say which version they mean. */
const CHECKED = "!";

function given(index: number, without: string): boolean {
  return !without.split(",").includes(String(index));
}

function updateShape(
  mapper: Mapper,
  key: string,
  encoder: RowEncoder,
  dialect: Dialect,
): BulkShape {
  const checked = key.endsWith(CHECKED);
  const given = encoder.columnsOf(checked ? key.slice(0, -CHECKED.length) : key);
  const version = versionOf(mapper);
  const asked = checked ? [...mapper.primaryKey, version!] : mapper.primaryKey;
  const columns = given.filter((column) => !asked.includes(column));
  const placesOf = (some: readonly MappedColumn[]) => some.map((column) => given.indexOf(column));
  const base = columns.filter(({ defined }) => defined.part === undefined);
  const at = placesOf([...asked, ...base]);
  const counter = version !== undefined && isCounted(version) ? version : undefined;
  // A row that says which version it means is given the moment after that one.
  const moment = checked && momentOf(version, dialect.name) !== undefined;
  const shape = {
    table: mapper.root.table,
    keys: asked,
    columns: moment ? [...base, version!] : base,
    counter,
    ...(checked ? { returning: mapper.primaryKey } : {}),
  };
  const place = (row: WireRow): WireRow => {
    const wires = at.map((i) => row[i]!);
    if (moment) wires.push(momentOf(version, dialect.name, wires[asked.length - 1])!);
    return wires;
  };
  const tables = mapper.parts.flatMap(({ table, part }) => {
    if (part === undefined) {
      if (shape.columns.length === 0 && counter === undefined) return [];
      return (rows: readonly WireRow[]) => dialect.updateRows(shape, rows.map(place));
    }
    const own = columns.filter(({ defined }) => defined.part === part);
    if (own.length === 0) return [];
    const places = placesOf([...mapper.primaryKey, ...own]);
    const written = { table, keys: table.primaryKey, columns: own };
    return (rows: readonly WireRow[]) =>
      dialect.updateRows(written, rows.map((row): WireRow => places.map((i) => row[i]!)));
  });
  const [first, ...others] = tables as [BulkShape["statements"], ...BulkShape["statements"][]];
  return {
    statements: first,
    ...(others.length === 0
      ? {}
      : { elsewhere: (rows) => others.flatMap((statements) => statements(rows)) }),
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
  // The rows that a joined subclass has in other tables go along with it.
  const shape = { table: mapper.root.table, keys: mapper.primaryKey };
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
