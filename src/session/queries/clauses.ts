/** What callbacks give for the clauses of a query, as nodes. @module */

import { InputError } from "../../errors.ts";
import {
  allOf,
  type Condition,
  conditionNode,
  describe,
  Expression,
  type Order,
} from "../../sql/expression.ts";
import { type Node, nodeOf, type SelectNode } from "../../sql/node.ts";
import { expressionIn } from "../../sql/operand.ts";

/** The terms of an order, as callbacks give them. */
export type OrderTerms = Order | Expression<unknown> | readonly (Order | Expression<unknown>)[];

/** A select with one more condition. */
export function withWhere(select: SelectNode, condition: Condition, what: string): SelectNode {
  const node = conditionNode(condition, what);
  const { where } = select;
  return {
    ...select,
    where: where === undefined
      ? node
      : allOf(new Expression<boolean>(where), new Expression<boolean>(node))[nodeOf],
  };
}

/** A list of expressions. */
export function expressions(given: unknown, what: string): Node[] {
  return (Array.isArray(given) ? given : [given]).map((term: unknown) => {
    const node = expressionIn(term);
    if (node !== undefined) return node;
    throw new InputError(`${what} expects columns, found ${describe(term)}`, {
      hint: `Write it as ${what.slice(0, -1)}(a) => [a.name, a.id])`,
    });
  });
}
