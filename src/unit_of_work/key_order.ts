/**
 * Updates of keys that other rows refer to: who takes the new key comes after them, and who is
 * found by a key that the database changes along comes before.
 *
 * @module
 */

import type { Mapper } from "../mapper/mapper.ts";
import type { Insert, Update } from "./flush_steps.ts";
import { stateOf } from "./journal.ts";
import { indexesOf, isReferable, keyText, referencesTo } from "./references.ts";
import type { WriteOrder } from "./write_order.ts";

/** True if an update changes what other rows may refer to. */
export function changesKey({ mapper, changed, row }: Update): boolean {
  // A row that is inserted first has nobody who refers to it.
  return row.length > 0 && changed.some((index) => isReferable(mapper, index));
}

/** Brings updates in order around those of keys. Where no key changes, all stays as it is. */
export function orderKeys(
  order: WriteOrder,
  inserts: Iterable<Insert>,
  updates: readonly Update[],
  mappers: readonly Mapper[],
): WriteOrder {
  const movers = updates.filter(changesKey);
  if (movers.length === 0) return order;
  const early = new Set<Update>();
  const first = new Set<Update>();
  const last = new Set<Update>();
  for (const [mapper, some] of Map.groupBy(movers, ({ mapper }) => mapper)) {
    for (const { key, from } of referencesTo(mapper.table, mappers)) {
      const targets = indexesOf(mapper, key.targetColumns);
      const [before, after] = [new Map<string, Update>(), new Map<string, Update>()];
      for (const mover of some) {
        const old = keyText(stateOf(mover.object).row!, targets);
        const now = keyText(mover.row, targets);
        if (old === now) continue;
        if (old !== undefined) before.set(old, mover);
        if (now !== undefined) after.set(now, mover);
      }
      if (before.size === 0) continue;
      for (const insert of inserts) {
        if (insert.mapper.root !== from) continue;
        const text = keyText(insert.row, indexesOf(insert.mapper, key.columns));
        const mover = text === undefined ? undefined : after.get(text);
        if (mover !== undefined && mover.pendingKeys.length === 0) early.add(mover);
      }
      for (const update of updates) {
        if (update.mapper.root !== from || update.row.length === 0) continue;
        const { columns } = update.mapper;
        const indexes = indexesOf(update.mapper, key.columns);
        const text = keyText(update.row, indexes);
        if (text !== undefined && indexes.some((index) => update.changed.includes(index))) {
          if (after.has(text) && after.get(text) !== update) last.add(update);
        } else if (text !== undefined && before.has(text)) {
          if (indexes.some((index) => columns[index]!.primaryKey)) first.add(update);
        }
      }
    }
  }
  const moved = (round: readonly Update[]) =>
    round.filter((update) => !early.has(update) && !first.has(update) && !last.has(update));
  const rounds = (...all: (readonly Update[])[]) => all.filter((round) => round.length > 0);
  const inOrder = (some: ReadonlySet<Update>) => updates.filter((update) => some.has(update));
  const ahead = early.size > 0 ? inOrder(first) : [];
  return {
    ...order,
    early: rounds(ahead, ...order.early.map(moved), inOrder(early)),
    updates: rounds(
      ...(ahead.length > 0 ? [] : [inOrder(first)]),
      ...order.updates.map(moved),
      inOrder(last),
    ),
  };
}
