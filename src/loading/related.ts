/**
 * What objects hold of their relations, and how loaded objects are put there.
 *
 * @module
 */

import { setRelation } from "../mapper/define.ts";
import { Managed } from "../mapper/instance_state.ts";
import { membersOf, sameRelation, snapshotRelation } from "../unit_of_work/links.ts";

/**
 * True if the object has all of a relation: loaded without refinement, or assigned, and no object in
 * it lacks columns.
 */
export function isLoaded(object: object, property: string): boolean {
  return Object.hasOwn(object, property) &&
    Managed.stateOf(object)?.partial?.has(property) !== true &&
    !membersOf((object as Record<string, unknown>)[property]).some(lacksColumns);
}

/** True if the object was loaded with some of its columns only. */
export function lacksColumns(object: object): boolean {
  return Managed.is(object) && Managed.stateOf(object)?.shape?.sparse === true;
}

/**
 * Gives an object what was loaded, unless the program changed the relation since. With `partial`
 * it is only some of what there is: the rest is unknown, not removed.
 */
export function assign(object: object, property: string, value: unknown, partial: boolean): void {
  const state = Managed.stateOf(object);
  if (Object.hasOwn(object, property) && state !== undefined) {
    const now = (object as Record<string, unknown>)[property];
    const before = state.related?.get(property);
    if (!state.related?.has(property) || !sameRelation(now, before)) return;
  }
  setRelation(object, property, value);
  if (state === undefined) return;
  snapshotRelation(state, property, value);
  if (partial) (state.partial ??= new Set()).add(property);
  else state.partial?.delete(property);
}
