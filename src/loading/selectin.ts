/**
 * Loading relations in bulk, by key: one statement per relation and window of parents, never one
 * per parent.
 *
 * @module
 */

import { setRelation } from "../mapper/define.ts";
import { Managed } from "../mapper/instance_state.ts";
import type { MappedColumn } from "../mapper/mapped_column.ts";
import { tableColumn } from "../mapper/join_condition.ts";
import { isToMany, type MappedRelation, type Mapper } from "../mapper/mapper.ts";
import { columnRef } from "../mapper/definition.ts";
import type { Column } from "../schema/table.ts";
import { allOf } from "../sql/expression.ts";
import { type Node, nodeOf, type SelectNode, type TableSource } from "../sql/node.ts";
import type { DialectName, WireRow } from "../sql/wire.ts";
import { dialectOf } from "../dialect/dialects.ts";
import { sameRelation, snapshotRelation } from "../unit_of_work/links.ts";
import { hydrate, type HydrationTarget } from "./hydrate.ts";
import type { PathTree } from "./paths.ts";

/** What loading needs: statements and a place for the objects. */
export interface Loader extends HydrationTarget {
  /** Filters, by name, that are switched off. */
  readonly unfiltered?: readonly string[] | undefined;
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
  await Promise.all([...tree.values()].map(async ({ relation, next }) => {
    const children = await loadRelation(parents, relation, loader);
    await loadPaths(children, next, loader);
  }));
}

/** Loads one relation of all parents, with one statement; gives the objects loaded. */
async function loadRelation(
  parents: readonly object[],
  relation: MappedRelation,
  loader: Loader,
): Promise<object[]> {
  const { localColumns, property } = relation;
  const keys = new Map<unknown, readonly unknown[]>();
  for (const parent of parents) {
    const key = valuesOf(parent, localColumns);
    if (key !== undefined) keys.set(identity(key), key);
  }
  const { objects, owners } = keys.size === 0
    ? { objects: [], owners: [] }
    : await select(relation, [...keys.values()], loader);
  const many = isToMany(relation);
  const found = new Map<unknown, object[]>();
  objects.forEach((object, i) => {
    const key = identity(owners[i]!);
    const list = found.get(key);
    if (list === undefined) found.set(key, [object]);
    else if (many) list.push(object);
  });
  for (const parent of new Set(parents)) {
    const key = valuesOf(parent, localColumns);
    const list = key === undefined ? undefined : found.get(identity(key));
    assign(parent, property, many ? list ?? [] : list?.[0] ?? null);
  }
  return objects;
}

/** The values of a key; undefined if one is missing, so that it leads nowhere. */
function valuesOf(object: object, columns: readonly MappedColumn[]): unknown[] | undefined {
  const values: unknown[] = [];
  for (const { property } of columns) {
    const value = (object as Record<string, unknown>)[property];
    if (value === null || value === undefined) return undefined;
    values.push(value);
  }
  return values;
}

/** What a map finds a key by: dates and bytes are compared by content. */
function identity(key: readonly unknown[]): unknown {
  if (key.length === 1) return part(key[0]);
  let text = "";
  for (const value of key) {
    const next = String(part(value));
    text += `${next.length}:${next}`;
  }
  return text;
}

function part(value: unknown): unknown {
  return typeof value === "object" && value !== null ? JSON.stringify(value) : value;
}

/** Objects with, for each, the key of the parent it belongs to. */
interface Selected {
  readonly objects: object[];
  readonly owners: (readonly unknown[])[];
}

async function select(
  relation: MappedRelation,
  keys: readonly (readonly unknown[])[],
  loader: Loader,
): Promise<Selected> {
  const { target, targetColumns, through } = relation;
  const orderBy = relation.orderBy.map(({ column, descending }) => {
    const term = columnRef(column.defined, target.source);
    return (descending ? term.desc() : term.asc())[nodeOf];
  });
  const all = { ...selectAll(target), orderBy, unfiltered: loader.unfiltered };
  if (through === undefined) {
    const where = keyIn(targetColumns, target.source, keys, loader.dialect);
    const rows = await loader.select({ ...all, where });
    const objects = hydrate(target, rows, loader);
    return { objects, owners: objects.map((object) => valuesOf(object, targetColumns)!) };
  }
  const between: TableSource = { ...through.source };
  const on = through.to.map((column, i) =>
    tableColumn(targetColumns[i]!, target.source).eq(tableColumn(column, between))
  );
  const rows = await loader.select({
    ...all,
    columns: [
      ...all.columns,
      ...through.from.map((column) => tableColumn(column, between)[nodeOf]),
    ],
    joins: [{ kind: "inner", source: between, on: allOf(...on)[nodeOf] }],
    where: keyIn(through.from, between, keys, loader.dialect),
  });
  const codecs = through.from.map((column) => column.type.codec[loader.dialect]);
  const owners = rows.map((row) =>
    row.splice(-codecs.length).map((wire, i) => codecs[i]!.decode(wire))
  );
  return { objects: hydrate(target, rows, loader), owners };
}

/** True for rows whose columns hold one of the keys; bound as one list for each column. */
function keyIn(
  columns: readonly Column[],
  source: TableSource,
  keys: readonly (readonly unknown[])[],
  dialect: DialectName,
): Node {
  const terms = columns.map((column) => tableColumn(column, source)[nodeOf]);
  if (columns.length === 1) {
    const { type, label } = columns[0]!;
    const list = keys.map(([value]) => value);
    return { kind: "in", term: terms[0]!, list, type, label, negated: false };
  }
  const lists = columns.map(({ type, label }, i): Node => {
    const codec = type.codec[dialect];
    const wires = keys.map((key) => codec.encode(key[i], label));
    return {
      kind: "value",
      value: dialectOf(dialect).listParameter(wires),
      type: undefined,
      label,
    };
  });
  const rows = dialect === "postgres"
    ? [
      "select * from unnest(",
      ...lists.flatMap((list, i) => [
        i === 0 ? "" : ", ",
        list,
        `::${columns[i]!.type.cast.postgres}[]`,
      ]),
      ")",
    ]
    : [
      `select ${lists.map((_, i) => `k${i}.value`).join(", ")} from `,
      ...lists.flatMap((list, i) => [
        i === 0 ? "json_each(" : " join json_each(",
        list,
        i === 0 ? ") as k0" : `) as k${i} on k${i}.key = k0.key`,
      ]),
    ];
  return { kind: "raw", parts: ["(", ...listed(terms), ") in (", ...rows, ")"] };
}

function listed(nodes: readonly Node[]): (string | Node)[] {
  return nodes.flatMap((node, i) => i === 0 ? [node] : [", ", node]);
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
      columns: mapper.eager.map(({ defined }) => columnRef(defined, mapper.source)[nodeOf]),
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
