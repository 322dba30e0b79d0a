/**
 * What a statement by query did to rows of managed objects: the objects follow, and what the
 * program has changed of them and not stored yet stays.
 *
 * @module
 */

import { setRelation } from "../mapper/set_relation.ts";
import type { Mapper } from "../mapper/mapper.ts";
import { leaveRelations } from "./consequences.ts";
import type { IdentityMap } from "./identity_map.ts";
import { type Journal, stateOf } from "./journal.ts";
import { advance } from "./states.ts";

/** The objects of a class, whose rows may have changed. */
export interface Followers {
  /** The class; of those that share a table, the first. */
  readonly mapper: Mapper;
  /** Its objects, before the statement. */
  readonly objects: readonly object[];
  /** Deferred columns may have changed, and are unloaded. */
  readonly deferred: boolean;
  /** Brings objects up to date that are as their rows were, and gives those whose rows are there. */
  read(): readonly object[];
}

/** Where the objects are. */
export interface FollowTarget {
  /** One object per row. */
  readonly identityMap: IdentityMap;
  /** What a rollback takes back. */
  readonly journal: Journal;
}

/** Lets objects follow; gives those whose rows are gone, which are deleted now. */
export function followRows(
  followers: readonly Followers[],
  target: FollowTarget,
): ReadonlySet<object> {
  const gone = new Set<object>();
  for (const each of followers) {
    const map = target.identityMap.of(each.mapper);
    // Let go of while the statement was under way: no longer the session's.
    const objects = each.objects.filter((object) => map.get(stateOf(object).key!) === object);
    const kept = objects.map((object) => setAside(object, each.deferred, target.journal));
    let there = new Set<object>();
    try {
      there = new Set(each.read());
    } finally {
      for (const restore of kept) restore();
    }
    for (const object of objects) {
      if (there.has(object)) continue;
      const state = stateOf(object);
      map.delete(state.key!);
      advance(object, state, "remove");
      gone.add(object);
    }
  }
  if (gone.size > 0) leaveRelations(gone, target);
  return gone;
}

/** Makes an object what its row was; gives what puts the program's own changes back. */
function setAside(object: object, deferred: boolean, journal: Journal): () => void {
  const state = stateOf(object);
  const { mapper, shape, peers } = state;
  journal.note(object, state);
  const properties = object as Record<string, unknown>;
  const values = (shape!.changes(object, state.row!, state.key!) ?? []).map((index) => {
    const { property } = mapper.columns[index]!;
    return [property, properties[property]] as const;
  });
  const unload = deferred && state.row!.length > mapper.eager.length;
  if (unload) state.row = state.row!.slice(0, mapper.eager.length);
  if (unload || values.length > 0) shape!.fill(object, state.row!);
  const before = state.row!;
  return () => {
    const row = state.row!;
    // Those that were read together here are no siblings to the program.
    state.peers = peers;
    if (row !== before && state.related !== undefined) {
      followReferences(properties, mapper, state.related);
    }
    for (const [property, value] of values) properties[property] = value;
  };
}

/** A key that is null leads nowhere; one that leads elsewhere leaves its relation unloaded. */
function followReferences(
  object: Record<string, unknown>,
  mapper: Mapper,
  related: Map<string, unknown>,
): void {
  for (const { kind, property, localColumns, targetColumns } of mapper.relations.values()) {
    const parent = related.get(property) as Record<string, unknown> | null | undefined;
    if (kind !== "belongsTo" || parent === undefined) continue;
    const nowhere = localColumns.some((column) => object[column.property] === null);
    const fits = parent === null
      ? nowhere
      : localColumns.every((column, i) =>
        object[column.property] === parent[targetColumns[i]!.property]
      );
    if (fits) continue;
    // What the program has put there itself is not ours to change.
    const own = object[property] !== parent;
    if (nowhere) related.set(property, null);
    else related.delete(property);
    if (own) continue;
    if (nowhere) setRelation(object, property, null);
    else delete object[property];
  }
}
