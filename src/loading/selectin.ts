/**
 * Loading relations in bulk, by key: one statement per relation and window of parents, never one
 * per parent.
 *
 * @module
 */

import { setRelation } from "../mapper/define.ts";
import { Managed } from "../mapper/instance_state.ts";
import type { MappedColumn } from "../mapper/mapped_column.ts";
import type { MappedRelation, Mapper } from "../mapper/mapper.ts";
import { columnRef } from "../mapper/definition.ts";
import { nodeOf, type SelectNode } from "../sql/node.ts";
import type { WireRow } from "../sql/wire.ts";
import { sameRelation, snapshotRelation } from "../unit_of_work/links.ts";
import { hydrate, type HydrationTarget } from "./hydrate.ts";
import type { PathTree } from "./paths.ts";

/** What loading needs: statements and a place for the objects. */
export interface Loader extends HydrationTarget {
  /** Runs a SELECT of all columns of an entity. */
  select(select: SelectNode): Promise<WireRow[]>;
}

/** Loads the relations of a tree for all `parents` of one class. */
export async function loadPaths(
  parents: readonly object[],
  tree: PathTree,
  loader: Loader,
): Promise<void> {
  if (parents.length === 0) return;
  // In one tick, so that sibling relations travel together where the driver can.
  await Promise.all([...tree.values()].map(async ({ relation, next }) => {
    const children = relation.kind === "hasMany"
      ? await loadMany(parents, relation, loader)
      : await loadOne(parents, relation, loader);
    await loadPaths(children, next, loader);
  }));
}

async function loadMany(
  parents: readonly object[],
  relation: MappedRelation,
  loader: Loader,
): Promise<object[]> {
  const { target, localColumn, targetColumn } = relation;
  const keys = distinct(parents, localColumn);
  const children = await selectByKey(target, targetColumn, keys, loader);
  const byKey = new Map<unknown, object[]>();
  for (const key of keys) byKey.set(identity(key), []);
  const property = targetColumn.property;
  for (const child of children) {
    byKey.get(identity((child as Record<string, unknown>)[property]))?.push(child);
  }
  for (const parent of new Set(parents)) {
    const key = identity((parent as Record<string, unknown>)[localColumn.property]);
    assign(parent, relation.property, byKey.get(key) ?? []);
  }
  return children;
}

async function loadOne(
  parents: readonly object[],
  relation: MappedRelation,
  loader: Loader,
): Promise<object[]> {
  const { target, localColumn, targetColumn } = relation;
  const keys = distinct(parents, localColumn);
  const targets = await selectByKey(target, targetColumn, keys, loader);
  const byKey = new Map<unknown, object>();
  for (const object of targets) {
    byKey.set(identity((object as Record<string, unknown>)[targetColumn.property]), object);
  }
  for (const parent of new Set(parents)) {
    const key = identity((parent as Record<string, unknown>)[localColumn.property]);
    assign(parent, relation.property, byKey.get(key) ?? null);
  }
  return targets;
}

/** The keys of the parents, each once, without null. */
function distinct(parents: readonly object[], column: MappedColumn): unknown[] {
  const keys = new Map<unknown, unknown>();
  for (const parent of parents) {
    const key = (parent as Record<string, unknown>)[column.property];
    if (key !== null && key !== undefined) keys.set(identity(key), key);
  }
  return [...keys.values()];
}

/** Keys that are objects (dates, bytes) are compared by content. */
function identity(key: unknown): unknown {
  return typeof key === "object" && key !== null ? JSON.stringify(key) : key;
}

async function selectByKey(
  target: Mapper,
  column: MappedColumn,
  keys: readonly unknown[],
  loader: Loader,
): Promise<object[]> {
  if (keys.length === 0) return [];
  const rows = await loader.select({
    ...selectAll(target),
    where: {
      kind: "in",
      term: columnRef(column.defined, target.source)[nodeOf],
      list: keys,
      type: column.type,
      label: column.label,
      negated: false,
    },
  });
  return hydrate(target, rows, loader);
}

/** Gives a parent what was loaded, unless the program changed the relation since. */
function assign(parent: object, property: string, value: unknown): void {
  const state = Managed.stateOf(parent);
  if (Object.hasOwn(parent, property) && state !== undefined) {
    const now = (parent as Record<string, unknown>)[property];
    const before = state.related?.get(property);
    if (!state.related?.has(property) || !sameRelation(now, before)) return;
  }
  setRelation(parent, property, value);
  if (state !== undefined) snapshotRelation(state, property, value);
}

const allColumns = new WeakMap<Mapper, SelectNode>();

/** `select all columns from table`, made once for each mapper. */
export function selectAll(mapper: Mapper): SelectNode {
  let select = allColumns.get(mapper);
  if (select === undefined) {
    select = {
      kind: "select",
      columns: mapper.columns.map(({ defined }) => columnRef(defined, mapper.source)[nodeOf]),
      from: mapper.source,
      where: undefined,
      orderBy: [],
      limit: undefined,
      offset: undefined,
      lock: undefined,
    };
    allColumns.set(mapper, select);
  }
  return select;
}
