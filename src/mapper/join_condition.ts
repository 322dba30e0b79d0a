/** What makes a row of one table belong to a row of another. @module */

import type { Column } from "../schema/table.ts";
import { allOf, type Condition, Expression } from "../sql/expression.ts";
import { type JoinNode, nodeOf, type TableSource } from "../sql/node.ts";
import { columnRef } from "./definition.ts";
import type { MappedColumn } from "./mapped_column.ts";
import type { MappedRelation } from "./mapper.ts";

/** A column of a source, mapped or not. */
export function tableColumn(
  column: Column | MappedColumn,
  source: TableSource,
): Expression<unknown> {
  if ("defined" in column) return columnRef(column.defined, source);
  const { name, type, nullable, label } = column;
  return new Expression({ kind: "column", source, name, type, nullable, label });
}

/** True where a row of `target` is related to the row of `local`, through no other table. */
export function joinCondition(
  { localColumns, targetColumns }: MappedRelation,
  local: TableSource,
  target: TableSource,
): Condition {
  return allOf(...equal(targetColumns, target, localColumns, local));
}

/** What a subquery over the related rows of `local` needs: a condition, and perhaps a table between. */
export function related(
  relation: MappedRelation,
  local: TableSource,
  target: TableSource,
): { readonly where: Condition; readonly joins?: readonly JoinNode[] } {
  const { localColumns, targetColumns, through } = relation;
  if (through === undefined) return { where: joinCondition(relation, local, target) };
  // Joined, not asked for row by row: so the database can begin at the table between
  const between: TableSource = { ...through.source };
  const on = allOf(...equal(through.to, between, targetColumns, target))[nodeOf];
  return {
    where: allOf(...equal(through.from, between, localColumns, local)),
    joins: [{ kind: "inner", source: between, on }],
  };
}

function equal(
  left: readonly Column[],
  from: TableSource,
  right: readonly Column[],
  to: TableSource,
): Condition[] {
  return left.map((column, i) => tableColumn(column, from).eq(tableColumn(right[i]!, to)));
}
