/**
 * Which rows of a flush go into one statement, and what it looks like.
 *
 * @module
 */

import type { DeleteShape, InsertShape, UpdateShape } from "../dialect/dialect.ts";
import type { Mapper } from "../mapper/mapper.ts";
import type { WireRow } from "../sql/wire.ts";
import type { Insert, Update } from "./flush_steps.ts";

function groupBy<T>(items: readonly T[], key: (item: T) => unknown): T[][] {
  return [...Map.groupBy(items, key).values()];
}

/** New rows that give the same columns. */
export function groupInserts(layer: readonly Insert[]): Insert[][] {
  return groupBy(layer, ({ mapper }) => mapper).flatMap((group) =>
    groupBy(group, ({ row }) => {
      let omitted = "";
      for (let i = 0; i < row.length; i++) if (row[i] === undefined) omitted += `${i},`;
      return omitted;
    })
  );
}

/** Indexes of the columns that a new row gives, and of those that it gets back. */
export function insertColumns({ row }: Insert): {
  readonly given: readonly number[];
  readonly returned: readonly number[];
} {
  const given: number[] = [];
  const returned: number[] = [];
  row.forEach((wire, i) => (wire === undefined ? returned : given).push(i));
  return { given, returned };
}

/** How a group of new rows is inserted. */
export function insertShape(group: readonly Insert[]): InsertShape {
  const { mapper } = group[0]!;
  const { given, returned } = insertColumns(group[0]!);
  return {
    table: mapper.table,
    columns: given.map((i) => mapper.columns[i]!),
    returning: returned.map((i) => mapper.columns[i]!),
  };
}

/**
 * Changed rows that write the same columns. By class and key, whatever was loaded or changed first:
 * so two flushes lock their rows in the same order.
 */
export function groupUpdates(updates: readonly Update[]): Update[][] {
  return groupBy(updates, ({ mapper }) => mapper)
    .sort(([a], [b]) => a!.mapper.index - b!.mapper.index)
    .flatMap((group) =>
      groupBy(group, ({ changed }) => changed.join())
        .map((some) => some.sort((a, b) => compareKeys(a.key, b.key)))
        .sort(([a], [b]) => compareKeys(a!.key, b!.key))
    );
}

/** How a group of changed rows is updated. */
export function updateShape(group: readonly Update[]): UpdateShape {
  const { mapper, changed } = group[0]!;
  return {
    table: mapper.table,
    columns: changed.map((i) => mapper.columns[i]!),
    ...guarded(mapper),
  };
}

/** How rows of a class are deleted. */
export function deleteShape(mapper: Mapper): DeleteShape {
  return { table: mapper.table, ...guarded(mapper) };
}

/** The order in which rows are written, by key. */
export function compareKeys(a: WireRow, b: WireRow): number {
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i]!, b[i]!];
    // Decimal text of different length sorts by length, as the numbers do.
    if (typeof x === "string" && typeof y === "string" && x.length !== y.length) {
      return x.length - y.length;
    }
    if (x < y) return -1;
    if (x > y) return 1;
  }
  return 0;
}

/**
 * What rows are found by; those with a version are read back, to tell which one was stale, and
 * what the database has made of the version.
 */
function guarded(mapper: Mapper): Pick<UpdateShape, "keys" | "returning"> {
  const { primaryKey, versionIndex, columns, versionGenerated } = mapper;
  if (versionIndex < 0) return { keys: primaryKey };
  const keys = [...primaryKey, columns[versionIndex]!];
  return { keys, returning: versionGenerated ? keys : primaryKey };
}
