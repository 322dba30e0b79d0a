/**
 * Which rows of a flush go into one statement, and what it looks like.
 *
 * @module
 */

import type { DeleteShape, InsertShape, UpdateShape } from "../dialect/dialect.ts";
import type { MappedPart, Mapper } from "../mapper/mapper.ts";
import type { Column } from "../schema/table.ts";
import type { WireRow } from "../sql/wire.ts";
import { onceFor } from "../util/once_for.ts";
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
    groupBy(group, ({ row }) => omittedIn(row))
  );
}

function omittedIn(row: Insert["row"]): string {
  let omitted = "";
  for (let i = 0; i < row.length; i++) if (row[i] === undefined) omitted += `${i},`;
  return omitted;
}

function givesSame(a: Insert, b: Insert): boolean {
  if (a.mapper !== b.mapper) return false;
  for (let i = 0; i < a.row.length; i++) {
    if ((a.row[i] === undefined) !== (b.row[i] === undefined)) return false;
  }
  return true;
}

function changesSame(a: Update, b: Update): boolean {
  if (a.mapper !== b.mapper || a.changed.length !== b.changed.length) return false;
  for (let i = 0; i < a.changed.length; i++) if (a.changed[i] !== b.changed[i]) return false;
  return true;
}

/** The classes of rows, which mostly come class by class. */
export function classesOf(rows: readonly (Insert | Update)[]): Mapper[] {
  const classes: Mapper[] = [];
  let last: Mapper | undefined;
  for (let i = 0; i < rows.length; i++) {
    const { mapper } = rows[i]!;
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

/** A part of new rows. */
export interface InsertPart extends PartOf<InsertShape> {
  /** Where the values stand that come back. */
  readonly returned: readonly number[];
}

/** A part of changed rows. */
export interface UpdatePart extends PartOf<UpdateShape> {
  /** The values by which a row is found. */
  keyOf(update: Update): WireRow;
}

/** Of one class, more ways to leave out or change columns than these are not kept in mind. */
const MOST = 200;

/** The parts of a class that were needed before: so is the statement's text, which hangs on its shape. */
const partsOf = onceFor((_: Mapper) => ({
  inserts: new Map<string, readonly InsertPart[]>(),
  updates: new Map<string, readonly UpdatePart[]>(),
}));

function remembered<Part>(
  known: Map<string, readonly Part[]>,
  key: string,
  make: () => readonly Part[],
): readonly Part[] {
  let parts = known.get(key);
  if (parts === undefined) {
    parts = make();
    if (known.size < MOST) known.set(key, parts);
  }
  return parts;
}

/** How a group of new rows is inserted: a statement for each of its tables, the base's first. */
export function insertParts(group: readonly Insert[]): readonly InsertPart[] {
  const { mapper, row } = group[0]!;
  return remembered(
    partsOf(mapper).inserts,
    omittedIn(row),
    () => mapper.parts.map((part) => insertPart(mapper, part, row)),
  );
}

function insertPart(
  mapper: Mapper,
  { table, part, holds }: MappedPart,
  row: Insert["row"],
): InsertPart {
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
}

function keyIndexes({ primaryKey, columns }: Mapper): number[] {
  return primaryKey.map((column) => columns.indexOf(column));
}

/**
 * Changed rows that write the same columns. By class and key, whatever was loaded or changed first:
 * so two flushes lock their rows in the same order.
 */
export function groupUpdates(updates: readonly Update[]): Update[][] {
  const [first] = updates;
  if (first !== undefined && updates.every((update) => changesSame(update, first))) {
    return [updates.toSorted((a, b) => compareKeys(a.key, b.key))];
  }
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
export function updateParts(group: readonly Update[]): readonly UpdatePart[] {
  const { mapper, changed } = group[0]!;
  return remembered(
    partsOf(mapper).updates,
    changed.join(),
    () => mapper.parts.flatMap((part) => updatePart(mapper, part, changed)),
  );
}

function updatePart(
  mapper: Mapper,
  { table, part, holds }: MappedPart,
  changed: readonly number[],
): UpdatePart | [] {
  const given = changed.filter((i) => holds[i]);
  if (given.length === 0) return [];
  const columns = given.map((i) => mapper.columns[i]!);
  if (part === undefined) {
    return { shape: { table, columns, ...guarded(mapper) }, given, keyOf: ({ key }) => key };
  }
  const key = keyIndexes(mapper);
  // The base's row is written first, and a key that changes there changes here along with it.
  return {
    shape: { table, columns, keys: table.primaryKey },
    given,
    keyOf: ({ row }) => key.map((i) => row[i]!),
  };
}

/** How rows of a class are deleted: a statement for each of its tables, the base's last. */
export const deleteParts: (mapper: Mapper) => readonly DeleteShape[] = onceFor((mapper: Mapper) =>
  mapper.parts.toReversed().map(({ table, part }) =>
    part === undefined ? { table, ...guarded(mapper) } : { table, keys: table.primaryKey }
  )
);

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
