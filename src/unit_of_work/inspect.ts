/**
 * `inspect()`: where an object stands, and what was changed of it.
 *
 * @module
 */

import { type InstanceState, type InstanceStatus, Managed } from "../mapper/instance_state.ts";
import { sameRelation } from "./links.ts";

/** What became of one field since the object was loaded or stored. */
export interface FieldHistory {
  /** The value as stored; undefined where there is none, or it was not loaded. */
  readonly old: unknown;
  /** The value now. */
  readonly new: unknown;
}

/** What `inspect()` tells of an object. */
export interface Inspection {
  /** Where it stands. */
  readonly state: InstanceStatus;
  /** It is pending, or differs from what is stored. */
  readonly modified: boolean;
  /** The columns and loaded relations that changed, by property; of a pending object all it has. */
  readonly fields: Readonly<Record<string, FieldHistory>>;
}

/**
 * Where an object stands (transient, pending, persistent, deleted, detached or readOnly), and what
 * was changed since it was loaded or stored. Sends nothing.
 *
 * @example
 * ```ts
 * import { AsyncEngine, createAll, entity, inspect, integer, text } from "@sluice/orm";
 * import { assertEquals } from "@std/assert";
 *
 * class Pet extends entity("pets", { id: integer().primaryKey().generated(), name: text() }) {}
 * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Pet] });
 * await createAll(engine);
 * await using session = engine.session();
 *
 * const pet = new Pet({ name: "Ant" });
 * assertEquals(inspect(pet).state, "transient");
 * session.add(pet);
 * await session.commit();
 * pet.name = "Bee";
 * assertEquals(inspect(pet), {
 *   state: "persistent",
 *   modified: true,
 *   fields: { name: { old: "Ant", new: "Bee" } },
 * });
 * await session.rollback();
 * ```
 */
export function inspect(object: object): Inspection {
  const known = Managed.stateOf(object);
  if (known === undefined) return { state: "transient", modified: false, fields: {} };
  if (known.status === "readOnly") return { state: "readOnly", modified: false, fields: {} };
  const doomed = known.owner?.doomed?.has(object) === true;
  const state = doomed ? "deleted" : known.status;
  const fields = history(object as Record<string, unknown>, known);
  return { state, modified: state === "pending" || Object.keys(fields).length > 0, fields };
}

function history(
  object: Record<string, unknown>,
  { mapper, row, key, shape, related }: InstanceState,
): Record<string, FieldHistory> {
  const fields: Record<string, FieldHistory> = {};
  const note = (property: string, old: unknown): void => {
    fields[property] = { old, new: object[property] };
  };
  if (row === undefined) {
    for (const { property } of mapper.columns) {
      if (Object.hasOwn(object, property) && object[property] !== undefined) {
        note(property, undefined);
      }
    }
  } else {
    for (const index of shape!.changes(object, row, key!) ?? []) {
      const wire = row[index];
      note(
        mapper.columns[index]!.property,
        wire === null || wire === undefined ? wire : shape!.codecs[index]!.decode(wire),
      );
    }
  }
  for (const { property } of mapper.relations.values()) {
    if (!Object.hasOwn(object, property)) continue;
    const old = related?.get(property);
    if (!sameRelation(object[property], old)) note(property, old);
  }
  return fields;
}
