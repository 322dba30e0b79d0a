/**
 * The entity a condition is written with: its columns and to-many relations as expressions.
 *
 * @module
 */

import { columnRef } from "../mapper/definition.ts";
import { joinCondition } from "../mapper/join_condition.ts";
import { isToMany, type MappedRelation, type Mapper } from "../mapper/mapper.ts";
import type { ManyRef, Ref } from "../mapper/types.ts";
import { allOf, type Condition, conditionNode, Expression } from "../sql/expression.ts";
import { type Node, nodeOf, type SelectNode, type TableSource } from "../sql/node.ts";

const roots = new WeakMap<Mapper, Record<string, unknown>>();

/** The entity at a query's root; made once, since queries are immutable. */
export function refs(mapper: Mapper): Record<string, unknown> {
  let root = roots.get(mapper);
  if (root === undefined) roots.set(mapper, root = refsOf(mapper, mapper.source));
  return root;
}

function refsOf(mapper: Mapper, source: TableSource): Record<string, unknown> {
  // Without a prototype: only mapped names are there.
  const result: Record<string, unknown> = Object.create(null);
  for (const column of mapper.columns) result[column.property] = columnRef(column.defined, source);
  for (const relation of mapper.relations.values()) {
    if (isToMany(relation)) result[relation.property] = manyRef(relation, source);
  }
  return result;
}

function manyRef(relation: MappedRelation, source: TableSource): ManyRef<object> {
  type Where = ((target: Ref<object>) => Condition) | undefined;
  /** A subquery over the related rows, with a source of its own. */
  const related = (columns: readonly Node[], where: Where, negate = false): SelectNode => {
    const inner: TableSource = { ...relation.target.source };
    const conditions = [joinCondition(relation, source, inner)];
    if (where !== undefined) {
      const given = where(refsOf(relation.target, inner) as unknown as Ref<object>);
      conditionNode(given, `The condition on "${relation.property}"`);
      conditions.push(negate ? isNotTrue(given) : given);
    }
    return {
      kind: "select",
      columns,
      from: inner,
      where: allOf(...conditions)[nodeOf],
      orderBy: [],
      limit: undefined,
      offset: undefined,
      lock: undefined,
    };
  };
  const one: Node = { kind: "raw", parts: ["1"] };
  const exists = (where: Where, negate = false): Condition =>
    new Expression({ kind: "exists", select: related([one], where, negate) });
  return {
    some: (where) => exists(where),
    none: (where) => exists(where).not(),
    every: (where) => exists(where, true).not(),
    count: (where) =>
      new Expression({
        kind: "scalar",
        select: related([{ kind: "raw", parts: ["count(*)"] }], where),
      }),
  };
}

/** False or unknown: a row on which the condition is unknown does not meet it. */
function isNotTrue(condition: Condition): Condition {
  return new Expression({ kind: "raw", parts: ["(", condition[nodeOf], ") is not true"] });
}
