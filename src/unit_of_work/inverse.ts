/**
 * Keeps both sides of a relation in step in memory: where the other side is loaded, it follows. A
 * side that is not loaded stays so, and costs nothing.
 *
 * @module
 */

import { setRelation } from "../mapper/set_relation.ts";
import { Managed } from "../mapper/instance_state.ts";
import { isToMany, type MappedRelation } from "../mapper/mapper.ts";
import type { DialectName } from "../sql/wire.ts";
import type { IdentityMap } from "./identity_map.ts";
import { membersOf, type RelationChange } from "./links.ts";

/** Brings the other sides of changed relations up to date; true if there was something to do. */
export function synchronise(
  changes: readonly RelationChange[],
  identityMap: IdentityMap,
  dialect: DialectName,
): boolean {
  let moved = false;
  const note = (done: boolean) => moved = done || moved;
  for (const { owner, relation, added } of changes) {
    const { inverse, kind } = relation;
    if (inverse === undefined) continue;
    if (kind === "belongsTo") {
      // By its key: the old parent may never have been loaded over this relation.
      const old = formerParent(owner, relation, identityMap, dialect);
      if (old !== undefined && old !== added[0]) note(takeOut(old, inverse, owner));
    }
    for (const other of added) {
      if (kind === "hasMany" || kind === "hasOne") {
        const old = formerParent(other, inverse, identityMap, dialect);
        if (old !== undefined && old !== owner) note(takeOut(old, relation, other));
      }
      note(putIn(other, inverse, owner));
    }
  }
  // After all that was added: what moved has its new place by now.
  for (const { owner, relation, removed } of changes) {
    if (relation.inverse === undefined) continue;
    for (const other of removed) {
      if (Managed.stateOf(other)?.status === "persistent") {
        note(takeOut(other, relation.inverse, owner));
      }
    }
  }
  return moved;
}

/** The object that the stored key of `child` points to, if it is there. */
function formerParent(
  child: object,
  { target, localColumns, targetColumns }: MappedRelation,
  identityMap: IdentityMap,
  dialect: DialectName,
): object | undefined {
  const state = Managed.stateOf(child);
  if (state?.row === undefined) return undefined;
  const { mapper, row } = state;
  // Only by primary key: everything else would mean a search.
  const wires = target.primaryKey.map((key) => {
    const local = localColumns[targetColumns.indexOf(key)];
    return local === undefined ? null : row[mapper.columns.indexOf(local)]!;
  });
  if (wires.includes(null)) return undefined;
  return identityMap.of(target).get(target.identityOf(wires, dialect));
}

function putIn(object: object, relation: MappedRelation, other: object): boolean {
  if (!Object.hasOwn(object, relation.property)) return false;
  const value = (object as Record<string, unknown>)[relation.property];
  if (membersOf(value).includes(other)) return false;
  if (!isToMany(relation)) setRelation(object, relation.property, other);
  else if (Array.isArray(value)) value.push(other);
  return true;
}

function takeOut(object: object, relation: MappedRelation, other: object): boolean {
  if (!Object.hasOwn(object, relation.property)) return false;
  const value = (object as Record<string, unknown>)[relation.property];
  const at = membersOf(value).indexOf(other);
  if (at < 0) return false;
  if (Array.isArray(value)) value.splice(at, 1);
  else setRelation(object, relation.property, null);
  return true;
}
