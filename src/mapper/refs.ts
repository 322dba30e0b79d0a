/**
 * The entity a condition is written with: its columns as expressions, its to-one relations as
 * entities that are joined when they are used, its to-many relations as subqueries.
 *
 * @module
 */

import { columnRef, placeRef } from "./definition.ts";
import { joinCondition, related } from "./join_condition.ts";
import { isToMany, type MappedRelation, type Mapper } from "./mapper.ts";
import type { ManyRef, Ref } from "./types.ts";
import { avg, count, max, min, sum } from "../sql/aggregates.ts";
import { allOf, type Condition, conditionNode, Expression } from "../sql/expression.ts";
import { type Node, nodeOf, type SelectNode, type TableSource } from "../sql/node.ts";
import { within } from "./callbacks.ts";

const made = new WeakMap<Mapper, WeakMap<TableSource, Record<string, unknown>>>();

/** The entity as a source; made once for each, so that its relations are joined once. */
export function refsOf(mapper: Mapper, source: TableSource): Record<string, unknown> {
  let bySource = made.get(mapper);
  if (bySource === undefined) made.set(mapper, bySource = new WeakMap());
  let refs = bySource.get(source);
  if (refs === undefined) bySource.set(source, refs = makeRefs(mapper, source));
  return refs;
}

function makeRefs(mapper: Mapper, source: TableSource): Record<string, unknown> {
  // Without a prototype: only mapped names are there.
  const result: Record<string, unknown> = Object.create(null);
  for (const { defined } of mapper.columns) placeRef(result, defined, columnRef(defined, source));
  for (const relation of mapper.relations.values()) {
    let ref: unknown;
    Object.defineProperty(result, relation.property, {
      get: () => ref ??= relationRef(relation, source),
    });
  }
  for (const { property, of } of mapper.definition.computed) {
    let ref: unknown;
    Object.defineProperty(result, property, { get: () => ref ??= of(result as never) });
  }
  return result;
}

function relationRef(relation: MappedRelation, source: TableSource): unknown {
  if (isToMany(relation)) return manyRef(relation, source);
  const { target } = relation;
  // Refers to itself in its condition, so that it is made in two steps.
  const via: { parent: TableSource; on: Node } = { parent: source, on: { kind: "raw", parts: [] } };
  const inner: TableSource = { ...target.source, via };
  via.on = joinCondition(relation, source, inner)[nodeOf];
  return refsOf(target, inner);
}

type Where = ((target: Ref<object>) => Condition) | undefined;
type Value = (target: Ref<object>) => Expression<never>;

function manyRef(relation: MappedRelation, source: TableSource): ManyRef<object> {
  /** A subquery over the related rows, with a source of its own. */
  const subquery = (
    column: (target: Ref<object>) => Expression<unknown>,
    where: Where,
    negate = false,
  ): SelectNode => {
    const inner: TableSource = { ...relation.target.source };
    // Refs are made by property, from what the class of the target declares.
    const target = refsOf(relation.target, inner) as unknown as Ref<object>;
    const { where: belongs, joins } = related(relation, source, inner);
    const conditions = [belongs];
    if (where !== undefined) {
      const what = `The condition on "${relation.property}"`;
      const given = within(what, [inner], [target], where);
      conditionNode(given, what);
      conditions.push(negate ? isNotTrue(given) : given);
    }
    return {
      kind: "select",
      columns: [within(`A value of "${relation.property}"`, [inner], [target], column)[nodeOf]],
      from: inner,
      joins,
      where: allOf(...conditions)[nodeOf],
      orderBy: [],
      limit: undefined,
      offset: undefined,
      lock: undefined,
    };
  };
  const one = new Expression<number>({ kind: "raw", parts: ["1"] });
  const exists = (where: Where, negate = false): Condition =>
    new Expression({ kind: "exists", select: subquery(() => one, where, negate) });
  const value = (
    column: (target: Ref<object>) => Expression<unknown>,
    where: Where,
  ): Expression<never> => new Expression({ kind: "scalar", select: subquery(column, where) });
  return {
    some: (where) => exists(where),
    none: (where) => exists(where).not(),
    every: (where) => exists(where, true).not(),
    count: (where) => value(() => count(), where),
    sum: (of, where) => value((target) => sum((of as Value)(target)), where),
    avg: (of, where) => value((target) => avg((of as Value)(target)), where),
    min: (of, where) => value((target) => min((of as Value)(target)), where),
    max: (of, where) => value((target) => max((of as Value)(target)), where),
  };
}

/** False or unknown: a row on which the condition is unknown does not meet it. */
function isNotTrue(condition: Condition): Condition {
  return new Expression({ kind: "raw", parts: ["(", condition[nodeOf], ") is not true"] });
}
