/**
 * Cascades: what a relation's `cascade` says of objects that are deleted or taken out of it.
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import { type InstanceState, Managed } from "../mapper/instance_state.ts";
import type { MappedRelation, Mapper } from "../mapper/mapper.ts";
import { type Link, linksOf, membersOf, type RelationChange } from "./links.ts";
import { isReplaced, type Writes } from "./replaced.ts";

/**
 * The objects that are deleted along with `object`.
 *
 * @throws {UsageError} when they are not known, and the database does not see to it either.
 */
export function* cascaded(object: object, mapper: Mapper, writes: Writes): Generator<object> {
  for (const relation of mapper.relations.values()) {
    if (relation.cascade === "save") continue;
    const { property } = relation;
    const state = Managed.stateOf(object);
    const loaded = Object.hasOwn(object, property);
    if (loaded) {
      for (const other of membersOf((object as Record<string, unknown>)[property])) {
        const status = Managed.stateOf(other)?.status;
        if (status === "persistent" || status === "pending") yield other;
      }
    }
    if (state?.status !== "persistent") continue;
    const known = loaded && !isReplaced(object, state, relation)
      ? state.partial?.has(property) !== true
      : relation.kind === "belongsTo"
      ? refersToNothing(object, relation)
      : writes.holdsNothing(state, relation);
    if (!known && !databaseCascades(relation)) {
      throw new UsageError(
        `${mapper.describe(object)} is deleted along with its "${property}", which are not ${
          loaded ? "all " : ""
        }loaded`,
        { hint: `Load them with .selectin("${property}"), or declare onDelete: "cascade"` },
      );
    }
  }
}

function refersToNothing(object: object, { localColumns }: MappedRelation): boolean {
  return localColumns.some(({ property }) =>
    (object as Record<string, unknown>)[property] === null
  );
}

function databaseCascades({ target, targetColumns, kind }: MappedRelation): boolean {
  return kind !== "manyToMany" && kind !== "belongsTo" &&
    target.parts.flatMap(({ table }) => table.foreignKeys).some(({ columns, onDelete }) =>
      onDelete === "cascade" && columns.length === targetColumns.length &&
      targetColumns.every((column) => columns.includes(column))
    );
}

/**
 * What a deleted object leaves behind: its rows of tables between, and the objects that were taken
 * out of its relations before.
 */
export function* leaving(owner: object, state: InstanceState): Generator<RelationChange> {
  for (const relation of state.mapper.relations.values()) {
    const { kind, property } = relation;
    if (kind === "belongsTo") continue;
    let removed = membersOf(state.related?.get(property));
    if (kind !== "manyToMany") {
      if (removed.length === 0 || !Object.hasOwn(owner, property)) continue;
      const left = new Set(membersOf((owner as Record<string, unknown>)[property]));
      removed = removed.filter((member) => !left.has(member));
    }
    if (removed.length > 0) yield { owner, relation, added: [], removed };
  }
}

/** Objects that were taken out of a relation that owns them, and into no other. */
export function orphansOf(
  { changes, links }: {
    readonly changes: readonly RelationChange[];
    readonly links: readonly Link[];
  },
): object[] {
  const owning = changes.filter(({ relation, removed }) =>
    relation.cascade === "all-orphans" && removed.length > 0
  );
  if (owning.length === 0) return [];
  const adopted = new Set(links.filter(({ parent }) => parent !== null).map(({ child }) => child));
  const orphans = owning.flatMap((change) =>
    linksOf(change).filter(({ parent, child }) => parent === null && !adopted.has(child))
      .map(({ child }) => child)
  );
  return [...new Set(orphans)];
}
