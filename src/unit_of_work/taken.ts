/**
 * Values that can be there once only and change hands within one flush: a row is deleted, and
 * another takes its key or its unique value.
 *
 * @module
 */

import type { Mapper } from "../mapper/mapper.ts";
import type { Column } from "../schema/table.ts";
import type { WireValue } from "../sql/wire.ts";
import type { Delete, Insert, Update } from "./flush_steps.ts";
import { stateOf } from "./journal.ts";

type Row = readonly (WireValue | undefined)[];

/**
 * True if rows have to be deleted before others are written, since these take a key or a unique
 * value of theirs. Where a row has to let go of a deleted one first, the usual order stays.
 */
export function deletesComeFirst(
  inserts: Iterable<Insert>,
  updates: readonly Update[],
  deletes: readonly Delete[],
): boolean {
  if (deletes.length === 0) return false;
  const doomed = Map.groupBy(deletes, ({ mapper }) => mapper);
  const written = [...inserts, ...updates].filter(({ mapper, row }) =>
    row.length > 0 && doomed.has(mapper)
  );
  if (written.length === 0) return false;
  const taken = [...Map.groupBy(written, ({ mapper }) => mapper)].some(([mapper, rows]) =>
    uniques(mapper).some((indexes) => {
      const held = new Set(
        doomed.get(mapper)!.map(({ object }) => textOf(stateOf(object).row!, indexes)),
      );
      held.delete(undefined);
      return rows.some(({ row }) => held.has(textOf(row, indexes)));
    })
  );
  return taken && !updates.some((update) => letsGo(update, doomed));
}

/** Indexes of the columns that hold a value once: the key, unique columns and groups of them. */
function uniques(mapper: Mapper): number[][] {
  const { columns, primaryKey, table } = mapper;
  const sets: (readonly Column[])[] = [
    primaryKey,
    ...columns.filter(({ unique }) => unique).map((column) => [column]),
    ...table.unique,
  ];
  return sets.map((set) => set.map((column) => columns.findIndex((other) => other === column)));
}

/** The values as one text; undefined if one is null or not known, which is like no other. */
function textOf(row: Row, indexes: readonly number[]): string | undefined {
  let text = "";
  for (const index of indexes) {
    const value = row[index];
    if (value === null || value === undefined) return undefined;
    const part = String(value);
    text += `${part.length}:${part}`;
  }
  return text;
}

/** The row changes a key that may point to a deleted one, or goes itself. */
function letsGo(
  { mapper, changed, object }: Update,
  doomed: ReadonlyMap<Mapper, readonly Delete[]>,
): boolean {
  if (doomed.get(mapper)?.some((row) => row.object === object)) return true;
  return mapper.table.foreignKeys.some(({ target, columns }) =>
    [...doomed.keys()].some(({ table }) => table === target) &&
    columns.some((column) => changed.some((index) => mapper.columns[index] === column))
  );
}
