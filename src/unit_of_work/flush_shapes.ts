/**
 * Which rows of a flush go into one statement, and what it looks like.
 *
 * @module
 */

import type { DeleteShape, InsertShape, UpdateShape } from "../dialect/dialect.ts";
import type { Mapper } from "../mapper/mapper.ts";
import type { Column } from "../schema/table.ts";
import type { WireRow } from "../sql/wire.ts";
import type { Insert, Update } from "./flush_steps.ts";

function groupBy<T>(items: readonly T[], key: (item: T) => unknown): T[][] {
  return [...Map.groupBy(items, key).values()];
}

/** New rows that give the same columns. */
export function groupInserts(layer: readonly Insert[]): (readonly Insert[])[] {
  const [first] = layer;
  if (first === undefined) return [];
  if (layer.every((insert) => givesSame(insert, first))) return [layer];
  return groupBy(layer, ({ mapper }) => mapper).flatMap((group) =>
    groupBy(group, ({ row }) => {
      let omitted = "";
      for (let i = 0; i < row.length; i++) if (row[i] === undefined) omitted += `${i},`;
      return omitted;
    })
  );
}

function givesSame(a: Insert, b: Insert): boolean {
  if (a.mapper !== b.mapper) return false;
  for (let i = 0; i < a.row.length; i++) {
    if ((a.row[i] === undefined) !== (b.row[i] === undefined)) return false;
  }
  return true;
}

/** The classes of new rows, which mostly come class by class. */
export function classesOf(inserts: readonly Insert[]): Mapper[] {
  const classes: Mapper[] = [];
  let last: Mapper | undefined;
  for (let i = 0; i < inserts.length; i++) {
    const { mapper } = inserts[i]!;
    if (mapper === last) continue;
    last = mapper;
    if (!classes.includes(mapper)) classes.push(mapper);
  }
  return classes;
}

/** What a group of rows gives to one of its tables. */
export interface PartOf<Shape> {
  /** The statement. */
  readonly shape: Shape;
  /** The values that a row sends, by the mapper's columns, in the statement's order. */
  readonly given: readonly number[];
}

/** How a group of new rows is inserted: a statement for each of its tables, the base's first. */
export function insertParts(
  group: readonly Insert[],
): (PartOf<InsertShape> & {
  /** Where the values stand that come back. */
  readonly returned: readonly number[];
})[] {
  const { mapper, row } = group[0]!;
  return mapper.parts.map(({ table, part, holds }) => {
    const given: number[] = [];
    const returned: number[] = [];
    for (let i = 0; i < row.length; i++) {
      if (holds[i]) (row[i] === undefined ? returned : given).push(i);
    }
    const columns: Column[] = given.map((i) => mapper.columns[i]!);
    if (part !== undefined) {
      columns.unshift(...table.primaryKey);
      given.unshift(...keyIndexes(mapper));
    }
    const returning = returned.map((i) => mapper.columns[i]!);
    return { shape: { table, columns, returning }, given, returned };
  });
}

function keyIndexes({ primaryKey, columns }: Mapper): number[] {
  return primaryKey.map((column) => columns.indexOf(column));
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

/**
 * How a group of changed rows is updated: a statement for each table that something changed in, the
 * base's first.
 */
export function updateParts(
  group: readonly Update[],
): (PartOf<UpdateShape> & {
  /** The values by which a row is found. */
  keyOf(update: Update): WireRow;
})[] {
  const { mapper, changed } = group[0]!;
  return mapper.parts.flatMap(({ table, part, holds }) => {
    const given = changed.filter((i) => holds[i]);
    if (given.length === 0) return [];
    const columns = given.map((i) => mapper.columns[i]!);
    if (part === undefined) {
      return {
        shape: { table, columns, ...guarded(mapper) },
        given,
        keyOf: ({ key }: Update) => key,
      };
    }
    const key = keyIndexes(mapper);
    // The base's row is written first, and a key that changes there changes here along with it.
    const keyOf = ({ row }: Update): WireRow => key.map((i) => row[i]!);
    return { shape: { table, columns, keys: table.primaryKey }, given, keyOf };
  });
}

/** How rows of a class are deleted: a statement for each of its tables, the base's last. */
export function deleteParts(mapper: Mapper): DeleteShape[] {
  return mapper.parts.toReversed().map(({ table, part }) =>
    part === undefined ? { table, ...guarded(mapper) } : { table, keys: table.primaryKey }
  );
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
