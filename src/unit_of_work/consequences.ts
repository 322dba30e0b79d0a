/**
 * What a flush did in the database without being told: foreign keys with `onDelete` and `onUpdate`
 * change and delete other rows. The objects of these rows follow, and what is gone leaves the
 * relations that held it.
 *
 * @module
 */

import { setRelation } from "../mapper/set_relation.ts";
import type { InstanceState } from "../mapper/instance_state.ts";
import type { Mapper } from "../mapper/mapper.ts";
import type { Column, ForeignKey } from "../schema/table.ts";
import type { WireRow } from "../sql/wire.ts";
import type { FlushPlan } from "./flush_plan.ts";
import type { Delete, Update } from "./flush_steps.ts";
import type { FlushTarget } from "./flush_target.ts";
import { stateOf } from "./journal.ts";
import { advance } from "./states.ts";
import { changesKey } from "./key_order.ts";
import { indexesOf, isReferable, keyText, referencesTo } from "./references.ts";

/** A row that others may refer to goes, or changes what they refer to. */
export interface KeyChange {
  /** Its object. */
  readonly object: object;
  /** Its mapper. */
  readonly mapper: Mapper;
  /** The row as it was. */
  readonly before: WireRow;
  /** The row as it is now; undefined for one that goes. */
  readonly after: WireRow | undefined;
  /** It came before the new rows: nothing was done to them. */
  readonly first: boolean;
}

/** The rows of a plan that others may refer to, before anything is sent. */
export function keyChanges({ deletes, order }: FlushPlan): KeyChange[] {
  if (deletes.length + order.early.length + order.updates.length === 0) return [];
  const gone = (doomed: Delete): KeyChange => ({
    ...beforeOf(doomed),
    after: undefined,
    first: order.deletesFirst,
  });
  const moved = (first: boolean) => (update: Update): KeyChange => ({
    ...beforeOf(update),
    after: update.row,
    first,
  });
  return [
    ...deletes.flat().map(gone),
    ...order.early.flat().filter(changesKey).map(moved(true)),
    ...order.updates.flat().filter(changesKey).map(moved(false)),
  ];
}

function beforeOf({ object, mapper }: Update | Delete) {
  return { object, mapper, before: stateOf(object).row! };
}

/** Lets the session's objects follow, once the plan was carried out. */
export function followKeys(
  changes: readonly KeyChange[],
  { inserts, order }: FlushPlan,
  target: FlushTarget,
): void {
  const fresh = new Set(inserts.flat().map(({ object }) => object));
  const written = new Map(
    [...order.early, ...order.updates].flat().map(({ object, changed }) => [object, changed]),
  );
  const gone = new Set(
    changes.filter(({ after }) => after === undefined).map(({ object }) => object),
  );
  const seen = new Map<ForeignKey, Set<object>>();
  let round = changes;
  while (round.length > 0) {
    const next: KeyChange[] = [];
    const tables = new Set(round.flatMap(({ mapper }) => mapper.parts.map(({ table }) => table)));
    for (const table of tables) {
      const some = round.filter(({ mapper }) => mapper.parts.some((part) => part.table === table));
      for (const { key, from } of referencesTo(table, target.mappers)) {
        const followed = seen.get(key) ?? new Set();
        seen.set(key, followed);
        for (const [object, change] of referrers(key, from, some, target)) {
          if (followed.has(object) || (change.first && fresh.has(object))) continue;
          // A key that the flush wrote itself is as it is meant to be.
          const indexes = indexesOf(stateOf(object).mapper, key.columns);
          if (written.get(object)?.some((index) => indexes.includes(index))) continue;
          followed.add(object);
          next.push(...follow(object, key, change, target));
        }
      }
    }
    for (const { object, after } of next) if (after === undefined) gone.add(object);
    round = next;
  }
  if (gone.size > 0) leaveRelations(gone, target);
}

/** The objects whose rows the database changed or deleted because of a foreign key. */
function referrers(
  { columns, targetColumns, onDelete, onUpdate }: ForeignKey,
  from: Mapper,
  changes: readonly KeyChange[],
  { identityMap }: FlushTarget,
): (readonly [object, KeyChange])[] {
  const acts = (action: string | undefined) => action === "cascade" || action === "set null";
  const byKey = new Map<string, KeyChange>();
  for (const change of changes) {
    if (!acts(change.after === undefined ? onDelete : onUpdate)) continue;
    const indexes = indexesOf(change.mapper, targetColumns);
    const text = keyText(change.before, indexes);
    if (text === undefined) continue;
    if (change.after !== undefined && keyText(change.after, indexes) === text) continue;
    byKey.set(text, change);
  }
  if (byKey.size === 0) return [];
  const found: (readonly [object, KeyChange])[] = [];
  identityMap.of(from).forEach((object) => {
    const { mapper, row } = stateOf(object);
    const text = keyText(row!, indexesOf(mapper, columns));
    const change = text === undefined ? undefined : byKey.get(text);
    if (change !== undefined) found.push([object, change]);
  });
  return found;
}

/** Does to an object what was done to its row; gives what in turn others refer to. */
function follow(
  object: object,
  { columns, targetColumns, onDelete, onUpdate }: ForeignKey,
  change: KeyChange,
  { identityMap, journal }: FlushTarget,
): KeyChange[] {
  const state = stateOf(object);
  const { mapper } = state;
  const before = state.row!;
  journal.note(object, state);
  if (change.after === undefined && onDelete === "cascade") {
    identityMap.of(mapper).delete(state.key!);
    advance(object, state, "remove");
    return [{ object, mapper, before, after: undefined, first: false }];
  }
  const cascades = change.after !== undefined && onUpdate === "cascade";
  const targets = indexesOf(change.mapper, targetColumns);
  const indexes = indexesOf(mapper, columns);
  const row = before.slice();
  indexes.forEach((index, i) => row[index] = cascades ? change.after![targets[i]!]! : null);
  const own = state.shape!.changes(object, before, state.key!) ?? [];
  for (const index of indexes) {
    if (own.includes(index)) continue;
    const wire = row[index]!;
    (object as Record<string, unknown>)[mapper.columns[index]!.property] = wire === null
      ? null
      : state.shape!.codecs[index]!.decode(wire);
  }
  state.row = row;
  if (!cascades) forgetParent(object, state, columns, change.object);
  const key = state.shape!.keyOf(row);
  if (key !== state.key) {
    identityMap.of(mapper).delete(state.key!);
    identityMap.of(mapper).set(key, object);
    state.key = key;
  }
  return indexes.some((index) => isReferable(mapper, index))
    ? [{ object, mapper, before, after: row, first: false }]
    : [];
}

/** A key that was set to null leads nowhere any more. */
function forgetParent(
  object: object,
  { mapper, related }: InstanceState,
  columns: readonly Column[],
  parent: object,
): void {
  for (const { kind, localColumns, property } of mapper.relations.values()) {
    if (kind !== "belongsTo" || !localColumns.some((column) => columns.includes(column))) continue;
    if (related?.get(property) === parent) related.set(property, null);
    if (!Object.hasOwn(object, property)) continue;
    if ((object as Record<string, unknown>)[property] === parent) {
      setRelation(object, property, null);
    }
  }
}

/** Takes what is gone out of the relations that are loaded. */
export function leaveRelations(
  gone: ReadonlySet<object>,
  { identityMap, journal }: Pick<FlushTarget, "identityMap" | "journal">,
): void {
  const left = (value: unknown): unknown =>
    Array.isArray(value)
      ? value.some((member) => gone.has(member)) ? value.filter((m) => !gone.has(m)) : value
      : gone.has(value as object)
      ? null
      : value;
  identityMap.forEach((object) => {
    const state = stateOf(object);
    for (const [property, before] of state.related ?? []) {
      const after = left(before);
      if (after === before) continue;
      journal.note(object, state);
      state.related!.set(property, after);
      if (!Object.hasOwn(object, property)) continue;
      const now = (object as Record<string, unknown>)[property];
      // The same array: programs may hold on to it.
      if (Array.isArray(now)) now.splice(0, Infinity, ...left(now) as unknown[]);
      else setRelation(object, property, left(now));
    }
  });
}
