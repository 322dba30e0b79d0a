/** The condition on a primary key: equal to parameters. @module */

import { columnRef } from "../mapper/definition.ts";
import type { Mapper } from "../mapper/mapper.ts";
import { allOf, type Condition, Expression } from "../sql/expression.ts";
import { type Node, nodeOf } from "../sql/node.ts";

/** `key = $1 and …`, with empty parameters that every use fills in. */
export function keyCondition(mapper: Mapper): Condition {
  return allOf(...mapper.primaryKey.map(({ defined, label }) => {
    const left = columnRef(defined, mapper.source)[nodeOf];
    const right: Node = { kind: "value", value: null, type: undefined, label };
    return new Expression<boolean>({ kind: "binary", operator: "=", left, right });
  }));
}
