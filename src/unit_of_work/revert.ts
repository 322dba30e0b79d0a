/** Takes back what a program changed of an object. @module */

import { setRelation } from "../mapper/set_relation.ts";
import type { InstanceState } from "../mapper/instance_state.ts";

/** Undoes what was assigned since the snapshot: columns, collections and references. */
export function revert(object: object, state: InstanceState): void {
  if (state.shape!.changes(object, state.row!, state.key!) !== null) {
    state.shape!.fill(object, state.row!);
  }
  if (state.related === undefined) return;
  for (const { property } of state.mapper.relations.values()) {
    if (!Object.hasOwn(object, property)) continue;
    const properties = object as Record<string, unknown>;
    if (!state.related.has(property)) {
      delete properties[property];
      continue;
    }
    const before = state.related.get(property);
    const now = properties[property];
    if (!Array.isArray(before)) setRelation(object, property, before);
    else setRelation(object, property, restored(now, before));
  }
}

/** The same array where there is one, with its members of then: programs may hold on to it. */
function restored(now: unknown, before: readonly unknown[]): unknown[] {
  if (!Array.isArray(now)) return [...before];
  now.length = before.length;
  before.forEach((member, i) => now[i] = member);
  return now;
}
