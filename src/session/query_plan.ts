/** What a query asks for, as plain data. @module */

import type { PathTree } from "../loading/paths.ts";
import type { ColumnChoice } from "../loading/columns.ts";
import { selectAll } from "../loading/select.ts";
import type { Mapper } from "../mapper/mapper.ts";
import { allOf, Expression } from "../sql/expression.ts";
import {
  type LockNode,
  type Node,
  nodeOf,
  type OrderNode,
  type SelectNode,
  type TableSource,
} from "../sql/node.ts";
import type { Binding } from "./queries/binding.ts";
import type { CountNode } from "./queries/counts.ts";

/** The key of a query's paths, for its session. */
export const pathsOf: unique symbol = Symbol("sluice.paths");

/** What a query asks for. */
export interface QueryPlan {
  /** Of which entity. */
  readonly mapper: Mapper;
  /** Its place in the FROM clause: that of `Entity.c`, or one of its own inside another query. */
  readonly source: TableSource;
  /** The columns that are read; absent: those that are loaded by default. */
  readonly columns: ColumnChoice | undefined;
  /** The condition. */
  readonly where: Node | undefined;
  /** The order. */
  readonly orderBy: readonly OrderNode[];
  /** At most so many. */
  readonly limit: CountNode | undefined;
  /** Without the first so many. */
  readonly offset: CountNode | undefined;
  /** Filters, by name, that are switched off. */
  readonly unfiltered: readonly string[] | undefined;
  /** Relations that come along. */
  readonly paths: PathTree;
  /** Rows fetched at a time by a stream. */
  readonly window: number;
  /** The objects are no session's. */
  readonly readOnly: boolean;
  /** The lock on the rows. */
  readonly lock: LockNode | undefined;
  /** Gives the query up. */
  readonly signal: AbortSignal | undefined;
  /** Longest time for each of its statements, in milliseconds. */
  readonly timeout: number | undefined;
  /** The values of its parameters, when it was prepared. */
  readonly binding: Binding | undefined;
}

/** A plan for all rows of an entity. */
export function planFor(mapper: Mapper, source: TableSource = mapper.source): QueryPlan {
  return {
    mapper,
    source,
    columns: undefined,
    where: undefined,
    orderBy: [],
    limit: undefined,
    offset: undefined,
    unfiltered: undefined,
    paths: new Map(),
    window: 500,
    readOnly: false,
    lock: undefined,
    signal: undefined,
    timeout: undefined,
    binding: undefined,
  };
}

/**
 * The condition of a plan. One that was narrowed to a subclass keeps its place in the FROM clause,
 * and what the subclass says of its rows is part of the condition.
 */
export function whereOf({ where, source, mapper, unfiltered = [] }: QueryPlan): Node | undefined {
  if (source.filters === mapper.source.filters) return where;
  const own = (mapper.source.filters ?? [])
    .filter((filter) => !source.filters?.includes(filter) && !unfiltered.includes(filter.name))
    .map((filter) => new Expression<boolean>(filter.on(source)));
  const given = where === undefined ? [] : [new Expression<boolean>(where)];
  return own.length === 0 ? where : allOf(...given, ...own)[nodeOf];
}

/** The SELECT of a plan. */
export function selectOf(plan: QueryPlan): SelectNode {
  const { orderBy, limit, offset, lock, unfiltered, source, mapper, columns } = plan;
  const all = selectAll(mapper, source, columns);
  return { ...all, where: whereOf(plan), orderBy, limit, offset, lock, unfiltered };
}
