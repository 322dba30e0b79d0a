/**
 * What a flush did in the database without being told: foreign keys with `onDelete` and `onUpdate`
 * change and delete other rows. The objects of these rows follow, and what is gone leaves the
 * relations that held it.
 *
 * @module
 */

import { setRelation } from "../mapper/define.ts";
import type { InstanceState } from "../mapper/instance_state.ts";
import type { Mapper } from "../mapper/mapper.ts";
import type { Column, ForeignKey, Table } from "../schema/table.ts";
import type { WireRow } from "../sql/wire.ts";
import type { FlushPlan } from "./flush_plan.ts";
import type { FlushTarget } from "./flush_target.ts";
import { stateOf } from "./journal.ts";

/** A row that others may refer to goes, or changes what they refer to. */
interface KeyChange {
  readonly object: object;
  readonly mapper: Mapper;
  readonly before: WireRow;
  /** Undefined for a row that goes. */
  readonly after: WireRow | undefined;
}

/** The rows of a plan that others may refer to, before anything is sent. */
export function keyChanges({ deletes, order }: FlushPlan): KeyChange[] {
  const changes: KeyChange[] = deletes.flat().map(({ object, mapper }) => ({
    object,
    mapper,
    before: stateOf(object).row!,
    after: undefined,
  }));
  for (const { object, mapper, changed, row } of [...order.early, ...order.updates].flat()) {
    // A row that is inserted first has nobody who refers to it.
    if (row.length === 0 || !changed.some((index) => isKey(mapper, index))) continue;
    changes.push({ object, mapper, before: stateOf(object).row!, after: row });
  }
  return changes;
}

function isKey({ columns, table }: Mapper, index: number): boolean {
  const column = columns[index]!;
  return column.primaryKey || column.unique || table.unique.some((set) => set.includes(column));
}

/** Lets the session's objects follow, once the plan was carried out. */
export function followKeys(
  changes: readonly KeyChange[],
  plan: FlushPlan,
  target: FlushTarget,
): void {
  // These came after the deletes: nothing was done to them.
  const spared = new Set(
    plan.order.deletesFirst ? plan.inserts.flat().map(({ object }) => object) : [],
  );
  const gone = new Set(
    changes.filter(({ after }) => after === undefined).map(({ object }) => object),
  );
  const seen = new Map<ForeignKey, Set<object>>();
  let round = changes;
  while (round.length > 0) {
    const next: KeyChange[] = [];
    for (const [table, some] of Map.groupBy(round, ({ mapper }) => mapper.table)) {
      for (const { key, from } of referencesTo(table, target.mappers)) {
        const followed = seen.get(key) ?? new Set();
        seen.set(key, followed);
        for (const [object, change] of referrers(key, from, some, target)) {
          if (followed.has(object) || (change.after === undefined && spared.has(object))) continue;
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

function referencesTo(
  table: Table,
  mappers: readonly Mapper[],
): { readonly key: ForeignKey; readonly from: Mapper }[] {
  return mappers.filter(({ root }, i) => mappers[i] === root).flatMap((from) =>
    from.table.foreignKeys.filter(({ target }) => target === table).map((key) => ({ key, from }))
  );
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

function indexesOf({ columns }: Mapper, some: readonly Column[]): number[] {
  return some.map((column) => columns.findIndex((own) => own === column));
}

/** The values as one text; undefined if one is null, which refers to nothing. */
function keyText(row: WireRow, indexes: readonly number[]): string | undefined {
  let text = "";
  for (const index of indexes) {
    const value = row[index];
    if (value === null || value === undefined) return undefined;
    const part = String(value);
    text += `${part.length}:${part}`;
  }
  return text;
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
    state.status = "deleted";
    return [{ object, mapper, before, after: undefined }];
  }
  const cascades = change.after !== undefined && onUpdate === "cascade";
  const targets = indexesOf(change.mapper, targetColumns);
  const indexes = indexesOf(mapper, columns);
  const row = before.slice();
  indexes.forEach((index, i) => row[index] = cascades ? change.after![targets[i]!]! : null);
  const own = state.shape!.changes(object, before) ?? [];
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
  return indexes.some((index) => isKey(mapper, index))
    ? [{ object, mapper, before, after: row }]
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
