/** Conditions on a primary key: making one, and knowing one. @module */

import { columnRef } from "../mapper/definition.ts";
import type { Mapper } from "../mapper/mapper.ts";
import { allOf, type Condition, Expression } from "../sql/expression.ts";
import { type Node, nodeOf, type TableSource } from "../sql/node.ts";

/** `key = $1 and …`, with empty parameters that every use fills in. */
export function keyCondition(mapper: Mapper): Condition {
  return allOf(...mapper.primaryKey.map(({ defined, label }) => {
    const left = columnRef(defined, mapper.source)[nodeOf];
    const right: Node = { kind: "value", value: null, type: undefined, label };
    return new Expression<boolean>({ kind: "binary", operator: "=", left, right });
  }));
}

/** Whether a condition leaves one row at most: it says of every column of the primary key what it is. */
export function namesOneRow(
  mapper: Mapper,
  source: TableSource,
  condition: Node | undefined,
): boolean {
  if (condition === undefined) return false;
  const terms = condition.kind === "logical" && condition.operator === "and"
    ? condition.terms
    : [condition];
  return mapper.primaryKey.every(({ name }) =>
    terms.some((term) =>
      term.kind === "binary" && term.operator === "=" && term.right.kind === "value" &&
      term.left.kind === "column" && term.left.source === source && term.left.name === name
    )
  );
}
