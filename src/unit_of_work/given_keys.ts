/**
 * New rows that refer to each other by keys the program gave them, without a relation to say so.
 *
 * @module
 */

import type { Mapper } from "../mapper/mapper.ts";
import { classesOf, groupInserts } from "./flush_shapes.ts";
import type { Insert } from "./flush_steps.ts";
import { indexesOf, keyText, relatingKeys } from "./references.ts";

/**
 * The rows that each row needs, among the new rows of one ring of classes. Undefined where the
 * order does not matter: the rows of one statement may refer to each other as they like.
 */
export function givenReferences(members: readonly Insert[]): Map<Insert, Insert[]> | undefined {
  const mappers = new Set(classesOf(members));
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
      const text = keyText(insert.row, targetColumns);
      if (text !== undefined) targets.set(text, insert);
    }
    if (targets.size === 0) continue;
    for (const insert of members) {
      if (
        insert.mapper !== from || insert.pendingKeys.some(({ index }) => columns.includes(index))
      ) {
        continue;
      }
      const text = keyText(insert.row, columns);
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
  return from.parts.flatMap(({ table }) => relatingKeys(table)).flatMap((key) =>
    [...mappers].filter(({ parts }) => parts.some(({ table }) => table === key.target)).map((
      to,
    ) => ({
      from,
      to,
      columns: indexesOf(from, key.columns),
      targetColumns: indexesOf(to, key.targetColumns),
    }))
  ).filter(({ columns, targetColumns }) => !columns.includes(-1) && !targetColumns.includes(-1));
}
