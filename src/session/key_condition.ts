/**
 * Conditions on a primary key: equal to parameters, or after a given one.
 *
 * @module
 */

import { columnRef } from "../mapper/definition.ts";
import type { Mapper } from "../mapper/mapper.ts";
import { allOf, type Condition, Expression } from "../sql/expression.ts";
import { type Node, nodeOf, type OrderNode } from "../sql/node.ts";
import type { DialectName, WireRow } from "../sql/wire.ts";

/** `key = $1 and …`, with empty parameters that every use fills in. */
export function keyCondition(mapper: Mapper): Condition {
  return allOf(...mapper.primaryKey.map(({ defined, label }) => {
    const left = columnRef(defined, mapper.source)[nodeOf];
    const right: Node = { kind: "value", value: null, type: undefined, label };
    return new Expression<boolean>({ kind: "binary", operator: "=", left, right });
  }));
}

/** `key > after`, compared as a whole for composite keys. */
export function afterKey(mapper: Mapper, after: WireRow, dialect: DialectName): Condition {
  const columns = mapper.primaryKey.map(({ defined }) => columnRef(defined, mapper.source));
  const values = mapper.primaryKey.map(({ type, label }, i): Node => ({
    kind: "value",
    value: type.codec[dialect].decode(after[i]!),
    type,
    label,
  }));
  if (columns.length === 1) {
    return new Expression({
      kind: "binary",
      operator: ">",
      left: columns[0]![nodeOf],
      right: values[0]!,
    });
  }
  const list = (nodes: readonly Node[]): (string | Node)[] =>
    nodes.flatMap((node, i) => i === 0 ? [node] : [", ", node]);
  return new Expression({
    kind: "raw",
    parts: ["(", ...list(columns.map((c) => c[nodeOf])), ") > (", ...list(values), ")"],
  });
}

/** By key, ascending. */
export function keyOrder(mapper: Mapper): OrderNode[] {
  return mapper.primaryKey.map(({ defined }) => columnRef(defined, mapper.source).asc()[nodeOf]);
}
