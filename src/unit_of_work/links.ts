/**
 * Links: what loaded and assigned relations say about foreign keys. Walks the relations of an
 * object, finds new objects hanging on it, and notes which key has to follow which object.
 *
 * @module
 */

import { InputError } from "../errors.ts";
import { type InstanceState, Managed } from "../mapper/instance_state.ts";
import type { MappedColumn } from "../mapper/mapped_column.ts";
import { isToMany, type MappedRelation, type Mapper } from "../mapper/mapper.ts";
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

/** What was put into a relation of an object, and what was taken out. */
export interface RelationChange {
  /** Whose relation. */
  readonly owner: object;
  /** Which one. */
  readonly relation: MappedRelation;
  /** The objects that are new in it. */
  readonly added: readonly object[];
  /** The objects that are no longer in it. */
  readonly removed: readonly object[];
}

/** Who wants to know what a walk finds. */
export interface LinkVisitor {
  /** An object reached over a relation; a transient one joins the session. */
  reached(object: object): void;
  /** A relation that changed, if that is of interest. */
  changed?(change: RelationChange): void;
}

/** Visits the relations of `object` that are loaded or assigned. */
export function visitRelations(
  object: object,
  mapper: Mapper,
  state: InstanceState | undefined,
  visitor: LinkVisitor,
): void {
  for (const relation of mapper.relationList) {
    if (!Object.hasOwn(object, relation.property)) continue;
    const value = (object as Record<string, unknown>)[relation.property];
    const before = state?.related?.get(relation.property);
    if (value === before && !Array.isArray(value)) continue;
    const members = isToMany(relation) ? arrayOf(value, mapper, relation) : membersOf(value);
    if (before === undefined) visitNew(object, relation, members, value === null, visitor);
    else visitChanged(object, relation, members, membersOf(before), visitor);
  }
}

/** A relation that was not known before. That a reference is null says something, too. */
function visitNew(
  owner: object,
  relation: MappedRelation,
  members: readonly unknown[],
  isNull: boolean,
  visitor: LinkVisitor,
): void {
  for (const member of members) {
    check(member, owner, relation);
    visitor.reached(member as object);
  }
  if (visitor.changed === undefined || (members.length === 0 && !isNull)) return;
  const added = onceEach(members as readonly object[]);
  visitor.changed({ owner, relation, added, removed: none });
}

function visitChanged(
  owner: object,
  relation: MappedRelation,
  members: readonly unknown[],
  before: readonly object[],
  visitor: LinkVisitor,
): void {
  const old = new Set(before);
  let added: object[] = [];
  for (const member of members) {
    if (old.delete(member as object)) continue;
    check(member, owner, relation);
    visitor.reached(member as object);
    added.push(member as object);
  }
  if (added.length > 0) {
    const had = new Set(before);
    added = onceEach(added).filter((member) => !had.has(member));
  }
  if (added.length > 0 || old.size > 0) {
    visitor.changed?.({ owner, relation, added, removed: [...old] });
  }
}

const none: readonly never[] = [];
/** Of so few, looking is faster than a set. */
const FEW = 10;

/** A program may put a member in twice. */
function onceEach(members: readonly object[]): readonly object[] {
  return members.length > FEW
    ? [...new Set(members)]
    : members.filter((member, i) => members.indexOf(member) === i);
}

/** The objects of a relation's value. */
export function membersOf(value: unknown): readonly object[] {
  return Array.isArray(value) ? value : value === null || value === undefined ? [] : [value];
}

function arrayOf(value: unknown, mapper: Mapper, relation: MappedRelation): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new InputError(
    `"${mapper.name}.${relation.property}" is ${describe(value)} and must be an array`,
    { hint: `Assign an array of ${relation.target.name}` },
  );
}

/** The keys that follow from a change, added to `links`. */
export function linksOf(
  { owner, relation, added, removed }: RelationChange,
  links: Link[] = [],
): Link[] {
  const { kind, localColumns, targetColumns } = relation;
  if (kind === "manyToMany") return links;
  if (kind === "belongsTo") {
    link(links, owner, localColumns, added[0] ?? null, targetColumns);
    return links;
  }
  for (let i = 0; i < added.length; i++) {
    link(links, added[i]!, targetColumns, owner, localColumns);
  }
  for (const child of removed) {
    // Deleted, or moved to another parent by its key: nothing is left to unlink.
    if (Managed.stateOf(child)?.status !== "persistent") continue;
    if (!targetColumns.every((column, i) => refersTo(child, column, owner, localColumns[i]!))) {
      continue;
    }
    link(links, child, targetColumns, null, localColumns);
  }
  return links;
}

/** As the parent is now, or as it is stored: its key may change at the same time. */
function refersTo(
  child: object,
  column: MappedColumn,
  parent: object,
  parentColumn: MappedColumn,
): boolean {
  const value = (child as Record<string, unknown>)[column.property];
  if (value === (parent as Record<string, unknown>)[parentColumn.property]) return true;
  const { mapper, row, shape } = Managed.stateOf(parent) ?? {};
  const index = mapper?.columns.indexOf(parentColumn) ?? -1;
  const wire = row?.[index];
  return wire !== undefined && wire !== null && shape!.codecs[index]!.decode(wire) === value;
}

function link(
  links: Link[],
  child: object,
  columns: readonly MappedColumn[],
  parent: object | null,
  parentColumns: readonly MappedColumn[],
): void {
  // A composite key refers to nothing as soon as one of its columns is null.
  const clears = parent === null && columns.some((column) => column.nullable);
  for (let i = 0; i < columns.length; i++) {
    const column = columns[i]!;
    if (clears && !column.nullable) continue;
    links.push({ child, column, parent, parentColumn: parentColumns[i]! });
  }
}

function check(value: unknown, owner: object, relation: MappedRelation): void {
  if (value instanceof relation.target.entityClass) return;
  throw new InputError(
    `"${owner.constructor.name}.${relation.property}" leads to ${relation.target.name}, found ${
      describe(value)
    }`,
    { hint: `Make one with new ${relation.target.name}({ … })` },
  );
}

/** The relations of an object as they are now: of a collection, its members. Undefined without any. */
export function relationsOf(object: object, mapper: Mapper): Map<string, unknown> | undefined {
  let relations: Map<string, unknown> | undefined;
  for (const { property } of mapper.relationList) {
    if (!Object.hasOwn(object, property)) continue;
    const value = (object as Record<string, unknown>)[property];
    (relations ??= new Map()).set(property, Array.isArray(value) ? value.slice() : value);
  }
  return relations;
}

/** True if the relations of an object are as in an earlier picture. */
export function inStep(
  object: object,
  mapper: Mapper,
  picture: ReadonlyMap<string, unknown>,
): boolean {
  for (const { property } of mapper.relationList) {
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
