/** What makes a row of one table belong to a row of another. @module */

import type { Column } from "../schema/table.ts";
import { allOf, type Condition, Expression } from "../sql/expression.ts";
import { nodeOf, type TableSource } from "../sql/node.ts";
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

/** True where a row of `target` is related to the row of `local`. */
export function joinCondition(
  relation: MappedRelation,
  local: TableSource,
  target: TableSource,
): Condition {
  const { localColumns, targetColumns, through } = relation;
  const equal = (
    left: readonly Column[],
    from: TableSource,
    right: readonly Column[],
    to: TableSource,
  ): Condition[] =>
    left.map((column, i) => tableColumn(column, from).eq(tableColumn(right[i]!, to)));
  if (through === undefined) return allOf(...equal(targetColumns, target, localColumns, local));
  const between: TableSource = { ...through.source };
  return new Expression({
    kind: "exists",
    select: {
      kind: "select",
      columns: [{ kind: "raw", parts: ["1"] }],
      from: between,
      where: allOf(
        ...equal(through.from, between, localColumns, local),
        ...equal(through.to, between, targetColumns, target),
      )[nodeOf],
      orderBy: [],
      limit: undefined,
      offset: undefined,
      lock: undefined,
    },
  });
}
