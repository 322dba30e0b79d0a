/** What a query asks for, as plain data. @module */

import type { PathTree } from "../loading/paths.ts";
import type { Mapper } from "../mapper/mapper.ts";
import type { LockNode, Node, OrderNode, SelectNode } from "../sql/node.ts";

/** What a query asks for. */
export interface QueryPlan {
  /** Of which entity. */
  readonly mapper: Mapper;
  /** The condition. */
  readonly where: Node | undefined;
  /** The order. */
  readonly orderBy: readonly OrderNode[];
  /** At most so many. */
  readonly limit: number | undefined;
  /** Without the first so many. */
  readonly offset: number | undefined;
  /** Relations that come along. */
  readonly paths: PathTree;
  /** Rows fetched at a time by a stream. */
  readonly window: number;
  /** The lock on the rows. */
  readonly lock: LockNode | undefined;
  /** Gives the query up. */
  readonly signal: AbortSignal | undefined;
  /** Longest time for each of its statements, in milliseconds. */
  readonly timeout: number | undefined;
}

/** A plan for all rows of an entity. */
export function planFor(mapper: Mapper): QueryPlan {
  return {
    mapper,
    where: undefined,
    orderBy: [],
    limit: undefined,
    offset: undefined,
    paths: new Map(),
    window: 500,
    lock: undefined,
    signal: undefined,
    timeout: undefined,
  };
}

/** The SELECT of a plan, given that of all its columns. */
export function selectOf(plan: QueryPlan, base: SelectNode): SelectNode {
  const { where, orderBy, limit, offset, lock } = plan;
  return { ...base, where, orderBy, limit, offset, lock };
}
