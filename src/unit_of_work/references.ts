/** Foreign keys between rows that a flush knows. @module */

import type { Mapper } from "../mapper/mapper.ts";
import type { Column, ForeignKey, Table } from "../schema/table.ts";
import type { WireValue } from "../sql/wire.ts";

/** A foreign key, and whose rows hold it. */
export interface Reference {
  /** The key. */
  readonly key: ForeignKey;
  /** The class of the table, or the one that its subclasses extend. */
  readonly from: Mapper;
}

/** The foreign keys that lead to a table. */
export function referencesTo(table: Table, mappers: readonly Mapper[]): Reference[] {
  return mappers.filter((mapper) => mapper.root === mapper).flatMap((from) =>
    from.tables.flatMap(relatingKeys).filter(({ target }) => target === table)
      .map((key) => ({ key, from }))
  );
}

/** The foreign keys of a table, but for the one by which the tables of one object hang together. */
export function relatingKeys({ foreignKeys, primaryKey }: Table): readonly ForeignKey[] {
  return foreignKeys.filter(({ columns }) => columns !== primaryKey);
}

const referable = new WeakMap<Mapper, readonly boolean[]>();

/** True if other rows may refer to the column. */
export function isReferable(mapper: Mapper, index: number): boolean {
  let known = referable.get(mapper);
  if (known === undefined) {
    const sets = mapper.parts.flatMap(({ table }) => table.unique);
    known = mapper.columns.map((column) =>
      column.primaryKey || column.unique || sets.some((set) => set.includes(column))
    );
    referable.set(mapper, known);
  }
  return known[index]!;
}

/** Where columns of its tables stand in rows of a class; -1 for those of another subclass. */
export function indexesOf(mapper: Mapper, some: readonly Column[]): number[] {
  return mapper.indexesOf(some);
}

/** The values of a key as one text; undefined if one is null or not known, which refers to nothing. */
export function keyText(
  row: readonly (WireValue | undefined)[],
  indexes: readonly number[],
): string | undefined {
  let text = "";
  for (const index of indexes) {
    const value = row[index];
    if (value === null || value === undefined) return undefined;
    const part = String(value);
    text += `${part.length}:${part}`;
  }
  return text;
}
