/**
 * What objects hold of their relations, and how loaded objects are put there.
 *
 * @module
 */

import { InstanceState, Managed } from "../mapper/instance_state.ts";
import type { MappedRelation } from "../mapper/mapper.ts";
import { setRelation } from "../mapper/set_relation.ts";
import { membersOf, sameRelation, snapshotRelation } from "../unit_of_work/links.ts";
import { isReplaced } from "../unit_of_work/replaced.ts";

/**
 * True if the object has all of a relation: loaded without refinement, or assigned where what it held
 * is known, and no object in it lacks columns.
 */
export function isLoaded(object: object, relation: MappedRelation): boolean {
  const { property } = relation;
  const state = Managed.stateOf(object);
  return Object.hasOwn(object, property) &&
    state?.partial?.has(property) !== true &&
    !(state?.status === "persistent" && isReplaced(object, state, relation)) &&
    !membersOf((object as Record<string, unknown>)[property]).some(lacksColumns);
}

/** True if the object was loaded with some of its columns only. */
export function lacksColumns(object: object): boolean {
  return Managed.is(object) && Managed.stateOf(object)?.shape?.sparse === true;
}

/**
 * Gives an object what was loaded, unless the program changed the relation since: of one that it
 * replaced, only what it held becomes known. With `partial` it is only some of what there is: the rest
 * is unknown, not removed.
 */
export function assign(
  object: object,
  relation: MappedRelation,
  value: unknown,
  partial: boolean,
): void {
  const { property } = relation;
  const state = Managed.stateOf(object);
  if (state?.status === "readOnly") return assignReadOnly(object, state, property, value, partial);
  if (Object.hasOwn(object, property) && state !== undefined) {
    const now = (object as Record<string, unknown>)[property];
    const before = state.related?.get(property);
    if (isReplaced(object, state, relation)) {
      if (!partial) snapshotRelation(state, property, value);
      return;
    }
    if (!state.related?.has(property) || !sameRelation(now, before)) return;
  }
  setRelation(object, property, value);
  if (state === undefined) return;
  snapshotRelation(state, property, value);
  if (partial) (state.partial ??= new Set()).add(property);
  else state.partial?.delete(property);
}

/** An object that shares its state gets one of its own where something is to be known of it alone. */
function assignReadOnly(
  object: object,
  { mapper, status, shape }: InstanceState,
  property: string,
  value: unknown,
  partial: boolean,
): void {
  setRelation(object, property, value);
  if (!partial) return;
  const own = new InstanceState(mapper, status, undefined);
  own.shape = shape;
  own.partial = new Set(mapper.relations.keys());
  Managed.setState(object, own);
}
