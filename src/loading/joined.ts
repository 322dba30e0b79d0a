/**
 * Loading relations in the same statement, by left joins: how they are added to a SELECT, and how
 * its rows are folded back into objects.
 *
 * @module
 */

import { tableColumn } from "../mapper/join_condition.ts";
import type { MappedColumn } from "../mapper/mapped_column.ts";
import { isToMany, type MappedRelation, type Mapper } from "../mapper/mapper.ts";
import { allOf, type Condition, Expression } from "../sql/expression.ts";
import {
  type JoinNode,
  type Node,
  nodeOf,
  type OrderNode,
  type SelectNode,
  type TableSource,
} from "../sql/node.ts";
import type { WireRow } from "../sql/wire.ts";
import { type ColumnChoice, columnNodes, widthOf } from "./columns.ts";
import { hydrate, Hydration, type HydrationTarget } from "./hydrate.ts";
import { isPartial, noPaths, type PathNode, type PathTree } from "./paths.ts";
import { assign } from "./related.ts";
import { derive, keyOrder, orderOf } from "./select.ts";

/** One relation that was joined: its columns in every row. */
interface Part {
  readonly node: PathNode;
  /** Which part its parents are; absent: the root. */
  readonly parent: Part | undefined;
  readonly source: TableSource;
  /** Where its columns begin, and how many there are. */
  readonly from: number;
  readonly width: number;
  /** What is loaded from there on with statements of its own. */
  readonly rest: PathTree;
}

/** A SELECT with its joins. */
export interface Joined {
  /** The statement. */
  readonly select: SelectNode;
  /** The entity at its root, whose columns come first. */
  readonly mapper: Mapper;
  /** Which of them, where not those that are loaded by default. */
  readonly choice: ColumnChoice | undefined;
  /** What was joined, parents first. */
  readonly parts: readonly Part[];
  /** What is loaded from the root with statements of its own. */
  readonly rest: PathTree;
}

/** Objects whose relations are to be loaded with statements of their own. */
export interface Rest {
  /** The objects. */
  readonly objects: readonly object[];
  /** Their relations. */
  readonly tree: PathTree;
}

/** What became of rows. */
export interface Built {
  /** The object of each row. */
  readonly rows: object[];
  /** An object can be there several times, for what was joined to it. */
  readonly repeats: boolean;
  /** What is left to load. */
  readonly rest: readonly Rest[];
}

/** Adds the joined relations of a tree to a SELECT of all columns of `source`. */
export function joinPaths(
  select: SelectNode,
  mapper: Mapper,
  source: TableSource,
  tree: PathTree,
  choice: ColumnChoice | undefined,
): Joined {
  const parts: Part[] = [];
  const rest = partsOf(tree, undefined, select.columns.length, parts);
  if (parts.length === 0) return { select, mapper, choice, parts, rest };
  const many = parts.filter(({ node }) => isToMany(node.relation));
  // A limit counts parents, whose rows become several by the join.
  const limited = select.limit !== undefined || select.offset !== undefined;
  const root = many.length > 0 && limited ? limitedRoot(select, mapper) : select;
  const ofRoot = (column: MappedColumn): Expression<unknown> => {
    const i = (choice?.stored ?? mapper.columns).indexOf(column);
    return root.from === source ? tableColumn(column, source) : new Expression(root.columns[i]!);
  };
  const orders = many.flatMap(({ node, source }) =>
    orderOf(node.relation, node.refinement, source)
  );
  // Without an order of its own, the root keeps one when its children are sorted.
  const first: readonly OrderNode[] =
    root.orderBy.length === 0 && orders.length > 0 && root.from === source
      ? keyOrder(mapper, source)
      : root.orderBy;
  return {
    select: {
      ...root,
      columns: [
        ...root.columns.slice(0, select.columns.length),
        ...parts.flatMap(({ node: { relation, refinement }, source }) =>
          columnNodes(relation.target, source, refinement?.columns)
        ),
      ],
      joins: [...root.joins ?? [], ...parts.flatMap((part) => joinsOf(part, ofRoot))],
      orderBy: [...first, ...orders],
    },
    mapper,
    choice,
    parts,
    rest,
  };
}

/** The parts of a tree, and what of it is not joined. */
function partsOf(
  tree: PathTree,
  parent: Part | undefined,
  from: number,
  parts: Part[],
): PathTree {
  const rest = new Map<string, PathNode>();
  for (const [property, node] of tree) {
    if (node.strategy !== "joined") {
      rest.set(property, node);
      continue;
    }
    const { target } = node.relation;
    const last = parts.at(-1);
    const later = new Map<string, PathNode>();
    const part: Part = {
      node,
      parent,
      source: node.refinement?.source ?? { ...target.source },
      from: last === undefined ? from : last.from + last.width,
      width: widthOf(target, node.refinement?.columns),
      rest: later,
    };
    parts.push(part);
    partsOf(node.next, part, from, parts).forEach((node, key) => later.set(key, node));
  }
  return rest.size === 0 ? noPaths : rest;
}

/** The root as a table of its own, limited before anything is joined to it, in its order. */
function limitedRoot(select: SelectNode, mapper: Mapper): SelectNode {
  const orders = select.orderBy.length > 0
    ? select.orderBy
    : keyOrder(mapper, select.from as TableSource);
  const inner = derive({
    ...select,
    columns: [...select.columns, ...orders.map(({ term }) => term)],
    orderBy: orders,
  });
  return {
    kind: "select",
    columns: inner.columns,
    from: inner.source,
    where: undefined,
    orderBy: orders.map((order, i) => ({
      ...order,
      term: inner.columns[select.columns.length + i]!,
    })),
    limit: undefined,
    offset: undefined,
    lock: undefined,
    unfiltered: select.unfiltered,
  };
}

function joinsOf(
  { node: { relation, refinement }, parent, source }: Part,
  ofRoot: (column: MappedColumn) => Expression<unknown>,
): JoinNode[] {
  const { localColumns, targetColumns, through } = relation;
  const local = localColumns.map((column) =>
    parent === undefined ? ofRoot(column) : tableColumn(column, parent.source)
  );
  const where = refinement?.where === undefined ? [] : [new Expression<boolean>(refinement.where)];
  const on = (...conditions: Condition[]): Node => allOf(...conditions, ...where)[nodeOf];
  if (through === undefined) {
    const equal = targetColumns.map((column, i) => tableColumn(column, source).eq(local[i]!));
    return [{ kind: "left", source, on: on(...equal) }];
  }
  const between: TableSource = { ...through.source };
  const owned = through.from.map((column, i) => tableColumn(column, between).eq(local[i]!));
  const linked = through.to.map((column, i) =>
    tableColumn(targetColumns[i]!, source).eq(tableColumn(column, between))
  );
  return [
    { kind: "left", source: between, on: allOf(...owned)[nodeOf] },
    { kind: "left", source, on: on(...linked) },
  ];
}

/** Makes objects of the rows of one statement, of which some can be taken while others come in. */
export class Building {
  readonly #joined: Joined;
  readonly #target: HydrationTarget;
  readonly #hydration: Hydration | undefined;
  readonly #rows: WireRow[] = [];
  #failure: { readonly error: unknown } | undefined;

  /** Builds what `joined` reads, where `target` says. */
  constructor(joined: Joined, target: HydrationTarget) {
    const { mapper, choice, parts } = joined;
    this.#joined = joined;
    this.#target = target;
    const simple = parts.length === 0 && choice === undefined && mapper.classes.size === 0;
    if (simple) this.#hydration = new Hydration(mapper, target);
  }

  /** Takes rows that came before the last. Never throws: `build()` does. */
  readonly take = (rows: readonly WireRow[]): void => {
    if (this.#failure !== undefined) return;
    try {
      if (this.#hydration !== undefined) this.#hydration.add(rows);
      else for (let i = 0; i < rows.length; i++) this.#rows.push(rows[i]!);
    } catch (error) {
      this.#failure = { error };
    }
  };

  /** Takes the rest, and gives what became of all. */
  build(rows: readonly WireRow[]): Built {
    const joined = this.#joined;
    const taken = this.#hydration === undefined ? this.#rows : this.#hydration.objects;
    if (taken.length === 0 && this.#failure === undefined) {
      return build(joined, rows, this.#target);
    }
    this.take(rows);
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#hydration === undefined) return build(joined, this.#rows, this.#target);
    const { objects } = this.#hydration;
    return { rows: objects, repeats: false, rest: [{ objects, tree: joined.rest }] };
  }
}

/** Makes objects of rows, and gives them the relations that were joined. */
export function build(
  { mapper, choice, parts, rest }: Joined,
  rows: readonly WireRow[],
  target: HydrationTarget,
): Built {
  const width = widthOf(mapper, choice);
  if (parts.length === 0) {
    const alone = rows.length === 0 || rows[0]!.length === width;
    const own = alone ? rows : rows.map((row) => row.slice(0, width));
    const objects = hydrate(mapper, own, target, choice);
    return { rows: objects, repeats: false, rest: [{ objects, tree: rest }] };
  }
  // Every row has a root.
  const objects = objectsIn(rows, mapper, 0, width, choice, target) as object[];
  const found = new Map<Part | undefined, (object | undefined)[]>([[undefined, objects]]);
  for (const part of parts) {
    const { node: { relation, refinement }, from, width } = part;
    const children = objectsIn(rows, relation.target, from, width, refinement?.columns, target);
    found.set(part, children);
    putIn(part, found.get(part.parent)!, children);
  }
  const later = [
    { objects, tree: rest },
    ...parts.map((part) => ({
      objects: found.get(part)!.filter((object) => object !== undefined),
      tree: part.rest,
    })),
  ];
  return {
    rows: objects,
    repeats: true,
    rest: later.filter(({ tree }) => tree.size > 0)
      .map(({ objects, tree }) => ({ objects: [...new Set(objects)], tree })),
  };
}

/** The object in each row whose columns begin at `from`, if there is one: then it has a key. */
function objectsIn(
  rows: readonly WireRow[],
  mapper: Mapper,
  from: number,
  width: number,
  choice: ColumnChoice | undefined,
  target: HydrationTarget,
): (object | undefined)[] {
  const read = choice?.stored ?? mapper.columns;
  const keys = mapper.primaryKey.map((column) => from + read.indexOf(column));
  // What one row has to many is joined in rows that follow each other: it is made once for all.
  const distinct: WireRow[] = [];
  const places = new Array<number>(rows.length);
  let before: WireRow | undefined;
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!;
    places[i] = -1;
    if (isMissing(row, keys)) continue;
    if (before === undefined || !sameKey(row, before, keys)) {
      distinct.push(row.slice(from, from + width));
      before = row;
    }
    places[i] = distinct.length - 1;
  }
  const objects = hydrate(mapper, distinct, target, choice);
  return distinct.length === rows.length ? objects : places.map((place) => objects[place]);
}

function isMissing(row: WireRow, keys: readonly number[]): boolean {
  for (const i of keys) if (row[i] === null) return true;
  return false;
}

function sameKey(row: WireRow, other: WireRow, keys: readonly number[]): boolean {
  for (const i of keys) if (row[i] !== other[i]) return false;
  return true;
}

function putIn(
  { node: { relation, refinement } }: Part,
  parents: readonly (object | undefined)[],
  children: readonly (object | undefined)[],
): void {
  const found = new Map<object, Set<object>>();
  let before: object | undefined;
  let list: Set<object> | undefined;
  for (let i = 0; i < parents.length; i++) {
    const parent = parents[i];
    if (parent === undefined) continue;
    if (parent !== before) {
      list = found.get(parent);
      if (list === undefined) found.set(parent, list = new Set());
      before = parent;
    }
    const child = children[i];
    if (child !== undefined) list!.add(child);
  }
  const many = isToMany(relation);
  for (const [parent, list] of found) {
    const value = many ? [...list] : list.values().next().value ?? null;
    assign(parent, relation, value, isPartial(refinement));
  }
}

/** The first relation to many that a tree joins, so that a parent can have several rows. */
export function folds(tree: PathTree): MappedRelation | undefined {
  for (const { relation, strategy, next } of tree.values()) {
    if (strategy !== "joined") continue;
    const found = isToMany(relation) ? relation : folds(next);
    if (found !== undefined) return found;
  }
  return undefined;
}
