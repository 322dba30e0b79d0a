/**
 * New rows that refer to each other by keys the program gave them, without a relation to say so.
 *
 * @module
 */

import type { Mapper } from "../mapper/mapper.ts";
import type { Column } from "../schema/table.ts";
import type { Insert } from "./flush_steps.ts";
import { groupInserts } from "./flush_shapes.ts";

/**
 * The rows that each row needs, among the new rows of one ring of classes. Undefined where the
 * order does not matter: the rows of one statement may refer to each other as they like.
 */
export function givenReferences(members: readonly Insert[]): Map<Insert, Insert[]> | undefined {
  const mappers = new Set(members.map(({ mapper }) => mapper));
  const keys = [...mappers].flatMap((from) => keysWithin(from, mappers));
  if (keys.length === 0) return undefined;
  const groups = groupInserts(members);
  if (groups.length < 2) return undefined;
  const groupOf = new Map(groups.flatMap((group, i) => group.map((row) => [row, i] as const)));
  const references = new Map<Insert, Insert[]>();
  let across = false;
  for (const { from, to, columns, targetColumns } of keys) {
    const targets = new Map<string, Insert>();
    for (const insert of members) {
      if (insert.mapper !== to) continue;
      const text = keyText(insert, targetColumns);
      if (text !== undefined) targets.set(text, insert);
    }
    if (targets.size === 0) continue;
    for (const insert of members) {
      if (
        insert.mapper !== from || insert.pendingKeys.some(({ index }) => columns.includes(index))
      ) {
        continue;
      }
      const text = keyText(insert, columns);
      const other = text === undefined ? undefined : targets.get(text);
      if (other === undefined || other === insert) continue;
      const list = references.get(insert);
      if (list === undefined) references.set(insert, [other]);
      else list.push(other);
      across ||= groupOf.get(other) !== groupOf.get(insert);
    }
  }
  return across ? references : undefined;
}

interface KeyWithin {
  readonly from: Mapper;
  readonly to: Mapper;
  readonly columns: readonly number[];
  readonly targetColumns: readonly number[];
}

/** The foreign keys of one class that lead to classes of the ring. */
function keysWithin(from: Mapper, mappers: ReadonlySet<Mapper>): KeyWithin[] {
  const indexes = (mapper: Mapper, some: readonly Column[]) =>
    some.map((column) => mapper.columns.findIndex((own) => own === column));
  return from.table.foreignKeys.flatMap((key) =>
    [...mappers].filter(({ table }) => table === key.target).map((to) => ({
      from,
      to,
      columns: indexes(from, key.columns),
      targetColumns: indexes(to, key.targetColumns),
    }))
  ).filter(({ columns, targetColumns }) => !columns.includes(-1) && !targetColumns.includes(-1));
}

/** The values of some columns as one text; undefined if one is null or not known yet. */
function keyText({ row }: Insert, columns: readonly number[]): string | undefined {
  let text = "";
  for (const index of columns) {
    const value = row[index];
    if (value === null || value === undefined) return undefined;
    const part = String(value);
    text += `${part.length}:${part}`;
  }
  return text;
}
