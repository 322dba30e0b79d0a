/**
 * Relations that were replaced without being loaded: a flush has to know what they held, to take it out
 * of them. What holds nothing is known without a look.
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import { type InstanceOwner, type InstanceState, Managed } from "../mapper/instance_state.ts";
import type { MappedRelation, Mapper } from "../mapper/mapper.ts";
import type { Table } from "../schema/table.ts";
import type { FlushPlan } from "./flush_plan.ts";
import { classesOf } from "./flush_shapes.ts";
import { stateOf } from "./journal.ts";
import type { Standing } from "./states.ts";

/** Objects by the relation that was replaced. */
export type Replaced = ReadonlyMap<MappedRelation, readonly object[]>;

/** None, as most of the time. */
export const nothingReplaced: Replaced = new Map();

/** True if a relation was assigned that was never loaded. A reference says itself what it held: by its key. */
export function isReplaced(
  object: object,
  { related }: InstanceState,
  { kind, property }: MappedRelation,
): boolean {
  return kind !== "belongsTo" && Object.hasOwn(object, property) && related?.has(property) !== true;
}

/** The stored ones of `assigned` with a relation that may have held something; drops those that are known by now. */
export function replacedIn(
  assigned: Set<object>,
  { writes, standing, owner }: {
    readonly writes: Writes;
    readonly standing: (object: object) => Standing;
    readonly owner: InstanceOwner;
  },
): Replaced {
  const replaced = new Map<MappedRelation, object[]>();
  for (const object of assigned) {
    const stands = standing(object);
    if (stands === "pending" || stands === "storing") continue;
    const state = Managed.stateOf(object);
    const relations = state?.status === "persistent" && state.owner === owner
      ? state.mapper.relations.values().filter((relation) => isReplaced(object, state, relation))
        .toArray()
      : [];
    if (relations.length === 0) assigned.delete(object);
    // Of one that goes, nothing is replaced any more.
    if (stands === "doomed") continue;
    for (const relation of relations) {
      if (writes.holdsNothing(state!, relation)) continue;
      const objects = replaced.get(relation);
      if (objects === undefined) replaced.set(relation, [object]);
      else objects.push(object);
    }
  }
  return replaced;
}

/**
 * Refuses a flush that does not know what it has to take out of a relation: all that was replaced when it
 * began was loaded then, and what is left comes from its hooks.
 */
export function assertKnown(replaced: Replaced): void {
  for (const [{ property }, [object]] of replaced) {
    const { mapper } = stateOf(object!);
    throw new UsageError(
      `A hook replaced "${property}" of ${mapper.describe(object!)}, which was not loaded: ` +
        "what was in it is not known",
      { hint: `Load it with session.load(objects, "${property}") before the flush` },
    );
  }
}

/**
 * Which flush of a session last wrote to which table. What a flush has inserted has nobody in its
 * relations, until a flush writes rows that may refer to it.
 */
export class Writes {
  #flushes = 0;
  #others = 0;
  readonly #last = new Map<Table, number>();

  /** Takes what a flush is about to write. */
  note({ inserts, order: { releases, early, updates }, joined }: FlushPlan): void {
    const flush = ++this.#flushes;
    const mappers = new Set<Mapper>();
    for (const layer of inserts) {
      for (let i = 0; i < layer.length; i++) stateOf(layer[i]!.object).insertedBy = flush;
      for (const mapper of classesOf(layer)) mappers.add(mapper);
    }
    for (const round of [releases, ...early, ...updates]) {
      for (const mapper of classesOf(round)) mappers.add(mapper);
    }
    for (const { parts } of mappers) for (const { table } of parts) this.#last.set(table, flush);
    for (const { relation } of joined) this.#last.set(relation.through!.table, flush);
  }

  /** Something else than a flush has written, nobody knows where. */
  noteOthers(): void {
    this.#others = this.#flushes;
  }

  /** True if the session itself has inserted the object, and nothing since that can be in the relation. */
  holdsNothing({ insertedBy }: InstanceState, { target, through }: MappedRelation): boolean {
    if (insertedBy === undefined || insertedBy <= this.#others) return false;
    const tables = through === undefined ? target.parts.map(({ table }) => table) : [through.table];
    return tables.every((table) => (this.#last.get(table) ?? 0) < insertedBy);
  }
}
