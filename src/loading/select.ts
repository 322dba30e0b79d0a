/**
 * The SELECTs that loading is made of: all columns, an order, a limit per parent.
 *
 * @module
 */

import { columnRef } from "../mapper/definition.ts";
import { tableColumn } from "../mapper/join_condition.ts";
import type { MappedRelation, Mapper } from "../mapper/mapper.ts";
import type { Column } from "../schema/table.ts";
import {
  type DerivedSource,
  type Node,
  nodeOf,
  type OrderNode,
  type SelectNode,
  type TableSource,
  typeOf,
} from "../sql/node.ts";
import { type ColumnChoice, columnNodes } from "./columns.ts";
import type { Refinement } from "./paths.ts";

const allColumns = new WeakMap<Mapper, SelectNode>();

/** `select all columns from table`, made once for each mapper, or a choice of columns. */
export function selectAll(
  mapper: Mapper,
  source: TableSource = mapper.source,
  choice?: ColumnChoice,
): SelectNode {
  if (source !== mapper.source || choice !== undefined) {
    return { ...selectAll(mapper), columns: columnNodes(mapper, source, choice), from: source };
  }
  let select = allColumns.get(mapper);
  if (select === undefined) {
    select = {
      kind: "select",
      columns: columnNodes(mapper, mapper.source, undefined),
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

/** `order by` the primary key. */
export function keyOrder(mapper: Mapper, source: TableSource): OrderNode[] {
  return mapper.primaryKey.map((column) => ({
    kind: "order",
    term: tableColumn(column, source)[nodeOf],
    descending: false,
    nulls: undefined,
  }));
}

/** `select` as a table to select from, and its columns there. */
export function derive(select: SelectNode): { source: DerivedSource; columns: Node[] } {
  const source: DerivedSource = { kind: "derived", query: select, lateral: false };
  const columns = select.columns.map((node, i): Node => ({
    kind: "column",
    source,
    name: `c${i}`,
    type: typeOf(node),
    nullable: true,
    label: node.kind === "column" ? node.label : "",
  }));
  return { source, columns };
}

/** Numbers the rows of each parent in the order of `select`, and keeps those within the limit. */
export function perParent(
  select: SelectNode,
  { target }: MappedRelation,
  parent: readonly Column[],
  parentSource: TableSource,
  refinement: Refinement | undefined,
): SelectNode {
  const { limit, offset, source } = refinement ?? {};
  if (limit === undefined && offset === undefined) return select;
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
      orderBy: [...select.orderBy, ...keyOrder(target, source!)],
      frame: undefined,
    },
  };
  const numbered = derive({ ...select, columns: [...select.columns, number], orderBy: [] });
  const place = numbered.columns.pop()!;
  const behind = offset === undefined ? undefined : countValue(offset, "offset()");
  const terms: Node[] = [];
  if (behind !== undefined) {
    terms.push({ kind: "binary", operator: ">", left: place, right: behind });
  }
  if (limit !== undefined) {
    const first = countValue(limit, "limit()");
    const last: Node = behind === undefined
      ? first
      : { kind: "function", name: "add", args: [behind, first], type: "double" };
    terms.push({ kind: "binary", operator: "<=", left: place, right: last });
  }
  return {
    kind: "select",
    columns: numbered.columns,
    from: numbered.source,
    where: terms.length === 1 ? terms[0] : { kind: "logical", operator: "and", terms },
    orderBy: [{ kind: "order", term: place, descending: false, nulls: undefined }],
    limit: undefined,
    offset: undefined,
    lock: undefined,
    unfiltered: select.unfiltered,
  };
}

function countValue(count: NonNullable<SelectNode["limit"]>, label: string): Node {
  const value = typeof count === "object" ? count.parameter : count;
  return { kind: "value", value, type: "double", label };
}
