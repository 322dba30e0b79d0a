/**
 * Loading relations in bulk, by key: one statement per relation and window of parents, never one
 * per parent.
 *
 * @module
 */

import { Managed } from "../mapper/instance_state.ts";
import { membersOf } from "../unit_of_work/links.ts";
import { computedNodes } from "../mapper/computed.ts";
import { columnRef } from "../mapper/definition.ts";
import { tableColumn } from "../mapper/join_condition.ts";
import { isToMany, type MappedRelation, type Mapper } from "../mapper/mapper.ts";
import type { Column } from "../schema/table.ts";
import { allOf } from "../sql/expression.ts";
import {
  type DerivedSource,
  type Node,
  nodeOf,
  type OrderNode,
  type SelectNode,
  type TableSource,
  typeOf,
} from "../sql/node.ts";
import type { WireRow } from "../sql/wire.ts";
import { hydrate, type HydrationTarget } from "./hydrate.ts";
import { identity, type Key, keyIn, keyOf, keysOf } from "./keys.ts";
import { isPartial, type PathNode, type PathTree, type Refinement } from "./paths.ts";
import { assign, isLoaded } from "./related.ts";

/** What loading needs: statements and a place for the objects. */
export interface Loader extends HydrationTarget {
  /** Filters, by name, that are switched off. */
  readonly unfiltered?: readonly string[] | undefined;
  /** Only what is not loaded already. */
  readonly onlyMissing?: boolean | undefined;
  /** Runs a SELECT. */
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
  await Promise.all([...tree.values()].map(async (node) => {
    const children = await loadRelation(parents, node, loader);
    await loadPaths(children, node.next, loader);
  }));
}

/** Loads one relation of all parents, with one statement; gives the objects it leads to. */
async function loadRelation(
  parents: readonly object[],
  node: PathNode,
  loader: Loader,
): Promise<readonly object[]> {
  // A refined relation is never there already: which part was loaded is not known.
  if (!loader.onlyMissing || node.refinement !== undefined) {
    return await loadFor(parents, node, loader);
  }
  const { property } = node.relation;
  await loadFor(parents.filter((parent) => !isLoaded(parent, property)), node, loader);
  const children = parents.flatMap((parent) =>
    membersOf((parent as Record<string, unknown>)[property])
  );
  return [...new Set(children)]
    .filter((child) => Managed.stateOf(child)?.status === "persistent");
}

async function loadFor(
  parents: readonly object[],
  { relation, refinement }: PathNode,
  loader: Loader,
): Promise<object[]> {
  const { localColumns, property } = relation;
  const keys = keysOf(parents, localColumns);
  const { objects, owners } = keys.length === 0
    ? { objects: [], owners: [] }
    : await select(relation, refinement, keys, loader);
  const many = isToMany(relation);
  const found = new Map<unknown, object[]>();
  objects.forEach((object, i) => {
    const key = identity(owners[i]!);
    const list = found.get(key);
    if (list === undefined) found.set(key, [object]);
    else if (many) list.push(object);
  });
  const partial = isPartial(refinement);
  for (const parent of new Set(parents)) {
    const key = keyOf(parent, localColumns);
    const list = key === undefined ? undefined : found.get(identity(key));
    assign(parent, property, many ? list ?? [] : list?.[0] ?? null, partial);
  }
  return objects;
}

/** Objects with, for each, the key of the parent it belongs to. */
interface Selected {
  readonly objects: object[];
  readonly owners: readonly Key[];
}

async function select(
  relation: MappedRelation,
  refinement: Refinement | undefined,
  keys: readonly Key[],
  loader: Loader,
): Promise<Selected> {
  const { target, targetColumns, through } = relation;
  const source = refinement?.source ?? target.source;
  const where = refinement?.where;
  const unfiltered = refinement?.unfiltered === undefined
    ? loader.unfiltered
    : [...loader.unfiltered ?? [], ...refinement.unfiltered];
  const orderBy = orderOf(relation, refinement, source);
  const all = { ...selectAll(target, source), orderBy, unfiltered };
  if (through === undefined) {
    const owned = keyIn(targetColumns, source, keys, loader.dialect);
    const rows = await loader.select(
      perParent({ ...all, where: both(owned, where) }, relation, targetColumns, source, refinement),
    );
    const objects = hydrate(target, rows, loader);
    return { objects, owners: objects.map((object) => keyOf(object, targetColumns)!) };
  }
  const between: TableSource = { ...through.source };
  const on = through.to.map((column, i) =>
    tableColumn(targetColumns[i]!, source).eq(tableColumn(column, between))
  );
  const linked: SelectNode = {
    ...all,
    columns: [
      ...all.columns,
      ...through.from.map((column) => tableColumn(column, between)[nodeOf]),
    ],
    joins: [{ kind: "inner", source: between, on: allOf(...on)[nodeOf] }],
    where: both(keyIn(through.from, between, keys, loader.dialect), where),
  };
  const rows = await loader.select(
    perParent(linked, relation, through.from, between, refinement),
  );
  const codecs = through.from.map((column) => column.type.codec[loader.dialect]);
  const owners = rows.map((row) =>
    row.splice(-codecs.length).map((wire, i) => codecs[i]!.decode(wire))
  );
  return { objects: hydrate(target, rows, loader), owners };
}

function both(owned: Node, where: Node | undefined): Node {
  return where === undefined ? owned : { kind: "logical", operator: "and", terms: [owned, where] };
}

/** The order of a refinement or, failing that, of the relation. */
export function orderOf(
  relation: MappedRelation,
  refinement: Refinement | undefined,
  source: TableSource,
): readonly OrderNode[] {
  if (refinement !== undefined && refinement.orderBy.length > 0) return refinement.orderBy;
  return relation.orderBy.map(({ column, descending }) => ({
    kind: "order",
    term: columnRef(column.defined, source)[nodeOf],
    descending,
    nulls: undefined,
  }));
}

/** Numbers the rows of each parent, and keeps those within the limit. */
function perParent(
  select: SelectNode,
  { target }: MappedRelation,
  parent: readonly Column[],
  parentSource: TableSource,
  refinement: Refinement | undefined,
): SelectNode {
  const { limit, offset, source } = refinement ?? {};
  if (limit === undefined && offset === undefined) return select;
  const key = target.primaryKey.map((column): OrderNode => ({
    kind: "order",
    term: tableColumn(column, source!)[nodeOf],
    descending: false,
    nulls: undefined,
  }));
  const number: Node = {
    kind: "aggregate",
    name: "rowNumber",
    args: [],
    type: "double",
    distinct: false,
    orderBy: [],
    filter: undefined,
    over: {
      partitionBy: parent.map((column) => tableColumn(column, parentSource)[nodeOf]),
      // Completed by the key, so that the choice among equals is the same each time.
      orderBy: [...select.orderBy, ...key],
      frame: undefined,
    },
  };
  const { columns } = select;
  const numbered: DerivedSource = {
    kind: "derived",
    query: { ...select, columns: [...columns, number], orderBy: [] },
    lateral: false,
  };
  const column = (i: number, node: Node): Node => ({
    kind: "column",
    source: numbered,
    name: `c${i}`,
    type: typeOf(node),
    nullable: true,
    label: node.kind === "column" ? node.label : "",
  });
  const place = column(columns.length, number);
  const behind = offset === undefined ? undefined : countValue(offset, "offset()");
  const first = limit === undefined ? undefined : countValue(limit, "limit()");
  const terms: Node[] = [];
  if (behind !== undefined) {
    terms.push({ kind: "binary", operator: ">", left: place, right: behind });
  }
  if (first !== undefined) {
    const last: Node = behind === undefined
      ? first
      : { kind: "function", name: "add", args: [behind, first], type: "double" };
    terms.push({ kind: "binary", operator: "<=", left: place, right: last });
  }
  return {
    kind: "select",
    columns: columns.map((node, i) => column(i, node)),
    from: numbered,
    where: terms.length === 1 ? terms[0] : { kind: "logical", operator: "and", terms },
    orderBy: [{ kind: "order", term: place, descending: false, nulls: undefined }],
    limit: undefined,
    offset: undefined,
    lock: undefined,
  };
}

function countValue(count: NonNullable<SelectNode["limit"]>, label: string): Node {
  const value = typeof count === "object" ? count.parameter : count;
  return { kind: "value", value, type: "double", label };
}

const allColumns = new WeakMap<Mapper, SelectNode>();

/** The columns of rows that become objects. */
export function entityColumns(mapper: Mapper, source: TableSource): Node[] {
  return [
    ...mapper.eager.map(({ defined }) => columnRef(defined, source)[nodeOf]),
    ...computedNodes(mapper, source),
  ];
}

/** `select all columns from table`, made once for each mapper. */
export function selectAll(mapper: Mapper, source: TableSource = mapper.source): SelectNode {
  if (source !== mapper.source) {
    return { ...selectAll(mapper), columns: entityColumns(mapper, source), from: source };
  }
  let select = allColumns.get(mapper);
  if (select === undefined) {
    select = {
      kind: "select",
      columns: entityColumns(mapper, mapper.source),
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
