/**
 * Links: what loaded and assigned relations say about foreign keys. Walks the relations of an
 * object, finds new objects hanging on it, and notes which key has to follow which object.
 *
 * @module
 */

import { InputError } from "../errors.ts";
import { type InstanceState, Managed } from "../mapper/instance_state.ts";
import type { MappedColumn } from "../mapper/mapped_column.ts";
import type { MappedRelation, Mapper } from "../mapper/mapper.ts";
import { describe } from "../sql/expression.ts";

/** `child[column]` has to become `parent[parentColumn]`, or null without a parent. */
export interface Link {
  /** The object that holds the key. */
  readonly child: object;
  /** The key's column. */
  readonly column: MappedColumn;
  /** The object it points to. */
  readonly parent: object | null;
  /** The parent's column. */
  readonly parentColumn: MappedColumn;
}

/** Who wants to know what a walk finds. */
export interface LinkVisitor {
  /** An object reached over a relation; a transient one joins the session. */
  reached(object: object): void;
  /** A key that follows an object. */
  link(link: Link): void;
}

/** Visits the relations of `object` that are loaded or assigned. */
export function visitRelations(
  object: object,
  mapper: Mapper,
  state: InstanceState | undefined,
  visitor: LinkVisitor,
): void {
  for (const relation of mapper.relations.values()) {
    if (!Object.hasOwn(object, relation.property)) continue;
    const value = (object as Record<string, unknown>)[relation.property];
    const known = state?.related?.has(relation.property) ?? false;
    const before = known ? state!.related!.get(relation.property) : undefined;
    if (relation.kind === "belongsTo") visitOne(object, mapper, relation, value, before, visitor);
    else visitMany(object, mapper, relation, value, before as readonly object[], visitor);
  }
}

function visitOne(
  object: object,
  mapper: Mapper,
  relation: MappedRelation,
  value: unknown,
  before: unknown,
  visitor: LinkVisitor,
): void {
  if (value === before) return;
  if (value !== null) check(value, mapper, relation);
  const parent = value as object | null;
  if (parent !== null) visitor.reached(parent);
  const { localColumn: column, targetColumn: parentColumn } = relation;
  visitor.link({ child: object, column, parent, parentColumn });
}

function visitMany(
  object: object,
  mapper: Mapper,
  relation: MappedRelation,
  value: unknown,
  before: readonly object[] = [],
  visitor: LinkVisitor,
): void {
  if (!Array.isArray(value)) {
    throw new InputError(
      `"${mapper.name}.${relation.property}" is ${describe(value)} and must be an array`,
      { hint: `Assign an array of ${relation.target.name}` },
    );
  }
  const { targetColumn: column, localColumn: parentColumn } = relation;
  const old = new Set<unknown>(before);
  for (const child of value) {
    if (old.delete(child)) continue;
    check(child, mapper, relation);
    visitor.reached(child);
    visitor.link({ child, column, parent: object, parentColumn });
  }
  for (const removed of old as Set<object>) {
    const state = Managed.stateOf(removed);
    const key = (removed as Record<string, unknown>)[column.property];
    const stillOurs = key === (object as Record<string, unknown>)[parentColumn.property];
    // Deleted, or moved to another parent by its key: nothing is left to unlink.
    if (state?.status !== "persistent" || !stillOurs) continue;
    visitor.link({ child: removed, column, parent: null, parentColumn });
  }
}

function check(value: unknown, mapper: Mapper, relation: MappedRelation): void {
  if (value instanceof relation.target.entityClass) return;
  throw new InputError(
    `"${mapper.name}.${relation.property}" leads to ${relation.target.name}, found ${
      describe(value)
    }`,
    { hint: `Make one with new ${relation.target.name}({ … })` },
  );
}

/** The relations of an object as they are now: of a collection, its members. */
export function relationsOf(object: object, mapper: Mapper): Map<string, unknown> {
  const relations = new Map<string, unknown>();
  for (const { property } of mapper.relations.values()) {
    if (!Object.hasOwn(object, property)) continue;
    const value = (object as Record<string, unknown>)[property];
    relations.set(property, Array.isArray(value) ? [...value] : value);
  }
  return relations;
}

/** True if the relations of an object are as in an earlier picture. */
export function inStep(
  object: object,
  mapper: Mapper,
  picture: ReadonlyMap<string, unknown>,
): boolean {
  for (const { property } of mapper.relations.values()) {
    const loaded = Object.hasOwn(object, property);
    if (loaded !== picture.has(property)) return false;
    const value = loaded ? (object as Record<string, unknown>)[property] : undefined;
    if (!sameRelation(value, picture.get(property))) return false;
  }
  return true;
}

/** True if two values of a relation are the same objects, in the same order. */
export function sameRelation(a: unknown, b: unknown): boolean {
  if (!Array.isArray(a) || !Array.isArray(b)) return a === b;
  return a.length === b.length && a.every((member, i) => member === b[i]);
}

/** Notes one relation's value; of a collection, its members. */
export function snapshotRelation(state: InstanceState, property: string, value: unknown): void {
  (state.related ??= new Map()).set(property, Array.isArray(value) ? [...value] : value);
}
