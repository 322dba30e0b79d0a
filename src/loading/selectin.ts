/**
 * Loading relations in bulk, by key: one statement per relation and window of parents, never one
 * per parent.
 *
 * @module
 */

import { tableColumn } from "../mapper/join_condition.ts";
import { Managed } from "../mapper/instance_state.ts";
import { isToMany, type MappedRelation } from "../mapper/mapper.ts";
import type { Column } from "../schema/table.ts";
import { allOf } from "../sql/expression.ts";
import { type Node, nodeOf, type SelectNode, type TableSource } from "../sql/node.ts";
import type { WireRow } from "../sql/wire.ts";
import { membersOf } from "../unit_of_work/links.ts";
import { settle } from "../util/settle.ts";
import type { HydrationTarget } from "./hydrate.ts";
import { build, Building, type Built, joinPaths, type Rest } from "./joined.ts";
import { identity, type Key, keyIn, keyOf, keysOf, storedKeyOf } from "./keys.ts";
import { isPartial, noPaths, type PathNode, type PathTree } from "./paths.ts";
import { assign, isLoaded } from "./related.ts";
import { orderOf, perParent, selectAll } from "./select.ts";

/** What loading needs: statements and a place for the objects. */
export interface Loader extends HydrationTarget {
  /** Filters, by name, that are switched off. */
  readonly unfiltered?: readonly string[] | undefined;
  /** Only what is not loaded already. */
  readonly onlyMissing?: boolean | undefined;
  /** Runs a SELECT; `take` is given the rows that come before the last. */
  select(select: SelectNode, take?: (rows: WireRow[]) => void): Promise<WireRow[]>;
}

/** Loads the relations of a tree for all `parents` of one class. */
export async function loadPaths(
  parents: readonly object[],
  tree: PathTree,
  loader: Loader,
): Promise<void> {
  if (parents.length === 0) return;
  // In one tick, so that sibling relations travel together where the driver can.
  await settle([...tree.values()].map((node) => loadRelation(parents, node, loader)));
}

/** Loads one relation of all parents, with one statement, and what comes after it. */
async function loadRelation(
  parents: readonly object[],
  node: PathNode,
  loader: Loader,
): Promise<void> {
  // A refined relation is never there already: which part was loaded is not known.
  if (!loader.onlyMissing || node.refinement !== undefined) {
    return await loadFor(parents, node, loader);
  }
  const { relation, relation: { property }, next } = node;
  const lacking = parents.filter((parent) => !isLoaded(parent, relation));
  await loadFor(lacking, { ...node, next: noPaths }, loader);
  const children = parents.flatMap((parent) =>
    membersOf((parent as Record<string, unknown>)[property])
  );
  const stored = [...new Set(children)]
    .filter((child) => Managed.stateOf(child)?.status === "persistent");
  await loadPaths(stored, next, loader);
}

/**
 * Loads what a relation of all parents held before the program replaced it, with one statement: the
 * relation stays as it was assigned.
 */
export async function loadReplaced(
  parents: readonly object[],
  relation: MappedRelation,
  loader: Loader,
): Promise<void> {
  const node: PathNode = { relation, strategy: "selectin", refinement: undefined, next: noPaths };
  await loadFor(parents, node, loader, storedKeyOf);
}

async function loadFor(
  parents: readonly object[],
  node: PathNode,
  loader: Loader,
  keyOfParent = keyOf,
): Promise<void> {
  const { relation: { localColumns }, relation, refinement } = node;
  const keys = keysOf(parents, localColumns, keyOfParent);
  const { owners, built: { rows: objects, repeats, rest } } = keys.length === 0
    ? nothing
    : await select(node, keys, loader);
  const found = new Map<unknown, object[]>();
  objects.forEach((object, i) => {
    const key = identity(owners[i]!);
    const list = found.get(key);
    if (list === undefined) found.set(key, [object]);
    else list.push(object);
  });
  const many = isToMany(relation);
  const partial = isPartial(refinement);
  for (const parent of new Set(parents)) {
    const key = keyOfParent(parent, localColumns);
    const list = key === undefined ? undefined : found.get(identity(key));
    const members = repeats ? new Set(list) : list ?? [];
    assign(parent, relation, many ? [...members] : list?.[0] ?? null, partial);
  }
  await loadRest(rest, loader);
}

/** Loads what follows after what a statement gave. */
export async function loadRest(rest: readonly Rest[], loader: Loader): Promise<void> {
  await settle(rest.map(({ objects, tree }) => loadPaths(objects, tree, loader)));
}

/** What a statement gave, with the key of the parent that each row belongs to. */
interface Selected {
  readonly owners: readonly Key[];
  readonly built: Built;
}

const nothing: Selected = { owners: [], built: { rows: [], repeats: false, rest: [] } };

async function select(
  { relation, refinement, next }: PathNode,
  keys: readonly Key[],
  loader: Loader,
): Promise<Selected> {
  const { target, targetColumns, through } = relation;
  const source = refinement?.source ?? target.source;
  const unfiltered = refinement?.unfiltered === undefined
    ? loader.unfiltered
    : [...loader.unfiltered ?? [], ...refinement.unfiltered];
  const all: SelectNode = {
    ...selectAll(target, source, refinement?.columns),
    orderBy: orderOf(relation, refinement, source),
    unfiltered,
  };
  const { dialect } = loader;
  const joinedTo = (owned: SelectNode, key: readonly Column[], between: TableSource) => {
    const limited = perParent(owned, relation, key, between, refinement);
    return joinPaths(limited, target, source, next, refinement?.columns);
  };
  if (through === undefined) {
    const where = both(keyIn(targetColumns, source, keys, dialect), refinement?.where);
    const joined = joinedTo({ ...all, where }, targetColumns, source);
    const building = new Building(joined, loader);
    const built = building.build(await loader.select(joined.select, building.take));
    return { owners: built.rows.map((object) => keyOf(object, targetColumns)!), built };
  }
  const between: TableSource = { ...through.source };
  const on = through.to.map((column, i) =>
    tableColumn(targetColumns[i]!, source).eq(tableColumn(column, between))
  );
  const key = through.from.map((column) => tableColumn(column, between)[nodeOf]);
  const joined = joinedTo(
    {
      ...all,
      // The parents' key stands behind the columns of the objects.
      columns: [...all.columns, ...key],
      joins: [{ kind: "inner", source: between, on: allOf(...on)[nodeOf] }],
      where: both(keyIn(through.from, between, keys, dialect), refinement?.where),
    },
    through.from,
    between,
  );
  const rows = await loader.select(joined.select);
  const built = build(joined, rows, loader);
  const codecs = through.from.map((column) => column.type.codec[dialect]);
  const from = all.columns.length;
  return {
    owners: rows.map((row) => codecs.map((codec, i) => codec.decode(row[from + i]!))),
    built,
  };
}

function both(owned: Node, where: Node | undefined): Node {
  return where === undefined ? owned : { kind: "logical", operator: "and", terms: [owned, where] };
}
