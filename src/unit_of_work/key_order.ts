/**
 * Updates of keys that other rows refer to: who takes the new key comes after them, and who is
 * found by a key that the database changes along comes before.
 *
 * @module
 */

import type { Mapper } from "../mapper/mapper.ts";
import type { WireValue } from "../sql/wire.ts";
import type { Delete, Insert, Update } from "./flush_steps.ts";
import { stateOf } from "./journal.ts";
import { indexesOf, isReferable, keyText, type Reference, referencesTo } from "./references.ts";
import type { WriteOrder } from "./write_order.ts";

/** True if an update changes what other rows may refer to. */
export function changesKey({ mapper, changed, row }: Update): boolean {
  // A row that is inserted first has nobody who refers to it.
  if (row.length === 0) return false;
  for (const index of changed) if (isReferable(mapper, index)) return true;
  return false;
}

/** The rows of a flush. */
interface Rows {
  readonly inserts: readonly Insert[];
  readonly updates: readonly Update[];
  readonly deletes: readonly Delete[];
}

/** Which updates of a flush have to leave their place. */
class Moves {
  /** Keys that new rows take: before these. */
  readonly early = new Set<Update>();
  /** Rows that are found by a key which will be changed along: before that. */
  readonly first = new Set<Update>();
  /** Rows that take a new key: once it is there. */
  readonly last = new Set<Update>();
  /** Rows to be deleted that will have another key by then, and the update that brings it. */
  readonly renamed: { readonly mover: Update; readonly rename: () => void }[] = [];
}

/** Brings updates in order around those of keys. Where no key changes, all stays as it is. */
export function orderKeys(order: WriteOrder, rows: Rows, mappers: readonly Mapper[]): WriteOrder {
  const movers = rows.updates.filter(changesKey);
  if (movers.length === 0) return order;
  const moves = new Moves();
  for (const [mapper, some] of Map.groupBy(movers, ({ mapper }) => mapper)) {
    for (const reference of mapper.parts.flatMap(({ table }) => referencesTo(table, mappers))) {
      findMoves(reference, mapper, some, rows, moves);
    }
  }
  const { early, first, last, renamed } = moves;
  const ahead = new Set([...order.early.flat(), ...early]);
  for (const { mover, rename } of renamed) if (!order.deletesFirst || ahead.has(mover)) rename();
  const stays = (round: readonly Update[]) =>
    round.filter((update) => !early.has(update) && !first.has(update) && !last.has(update));
  const rounds = (...all: (readonly Update[])[]) => all.filter((round) => round.length > 0);
  const inOrder = (some: ReadonlySet<Update>) => rows.updates.filter((update) => some.has(update));
  const [before, after] = ahead.size > 0 ? [inOrder(first), []] : [[], inOrder(first)];
  return {
    ...order,
    early: rounds(before, ...order.early.map(stays), inOrder(early)),
    updates: rounds(after, ...order.updates.map(stays), inOrder(last)),
  };
}

/** What one foreign key says about the rows that hold it. */
function findMoves(
  { key, from }: Reference,
  mapper: Mapper,
  movers: readonly Update[],
  { inserts, updates, deletes }: Rows,
  { early, first, last, renamed }: Moves,
): void {
  const targets = indexesOf(mapper, key.targetColumns);
  const [before, after] = [new Map<string, Update>(), new Map<string, Update>()];
  for (const mover of movers) {
    const old = keyText(stateOf(mover.object).row!, targets);
    const now = keyText(mover.row, targets);
    if (old === now) continue;
    if (old !== undefined) before.set(old, mover);
    if (now !== undefined) after.set(now, mover);
  }
  if (before.size === 0) return;
  for (const insert of inserts) {
    if (insert.mapper.root !== from) continue;
    const mover = after.get(keyText(insert.row, indexesOf(insert.mapper, key.columns)) ?? "");
    if (mover !== undefined && mover.pendingKeys.length === 0) early.add(mover);
  }
  for (const update of updates) {
    if (update.mapper.root !== from || update.row.length === 0) continue;
    const indexes = indexesOf(update.mapper, key.columns);
    const text = keyText(update.row, indexes) ?? "";
    if (indexes.some((index) => update.changed.includes(index))) {
      if (after.has(text) && after.get(text) !== update) last.add(update);
    } else if (before.has(text) && indexes.some((i) => update.mapper.columns[i]!.primaryKey)) {
      first.add(update);
    }
  }
  if (key.onUpdate !== "cascade") return;
  for (const doomed of deletes) {
    if (doomed.mapper.root !== from) continue;
    const indexes = indexesOf(doomed.mapper, key.columns);
    const mover = before.get(keyText(stateOf(doomed.object).row!, indexes) ?? "");
    if (mover === undefined) continue;
    const wires = targets.map((target) => mover.row[target]!);
    renamed.push({
      mover,
      rename: () => indexes.forEach((i, at) => rename(doomed, i, wires[at]!)),
    });
  }
}

/** The row is looked for by the key that the database has given it by then. */
function rename({ mapper, key }: Delete, index: number, wire: WireValue): void {
  const at = mapper.primaryKey.findIndex((column) => column === mapper.columns[index]);
  if (at >= 0) key[at] = wire;
}
