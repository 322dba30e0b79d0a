/** The lists of `in`. @module */

import { InputError } from "../errors.ts";
import { type InNode, type Node, nodeIn, typeOf } from "./node.ts";
import { checkOneColumn, describe, labelOf } from "./operand.ts";
import { Parameter } from "./parameter.ts";

/** One of a list of values, or of the rows of a query of one column. */
export function inNode(term: Node, values: unknown, negated: boolean): InNode {
  const label = labelOf(term);
  const type = typeOf(term);
  const node = nodeIn(values);
  if (node?.kind === "select" || node?.kind === "compound") {
    checkOneColumn(node, "in()");
    return { kind: "in", term, list: node, type, label, negated };
  }
  if (values instanceof Parameter) {
    const parameter = new Parameter(values.name, (list) => checkList(list, label));
    return { kind: "in", term, list: { parameter }, type, label, negated };
  }
  return { kind: "in", term, list: checkList(values, label), type, label, negated };
}

function checkList(values: unknown, label: string): readonly unknown[] {
  if (!Array.isArray(values)) {
    throw new InputError(`A list is expected for "${label}", found ${describe(values)}`, {
      hint: "Pass an array of values, or a query of one column, to in()",
    });
  }
  for (const value of values) {
    if (value === null || value === undefined) {
      throw new InputError(`The list for "${label}" contains ${String(value)}`, {
        hint: "Leave it out and add .or(column.isNull()) where null should match",
      });
    }
  }
  return [...values];
}
