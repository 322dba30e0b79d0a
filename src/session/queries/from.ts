/**
 * `From`: sources that rows can be selected from, joined.
 *
 * @module
 */

import { InputError } from "../../errors.ts";
import { checkSourceFilters } from "../../mapper/filters.ts";
import type { EntityClass, NullableRef, Ref } from "../../mapper/types.ts";
import { type Condition, conditionNode, describe, type Expression } from "../../sql/expression.ts";
import type { JoinNode, SelectNode, Source, TableSource } from "../../sql/node.ts";
import type { Selection } from "../../sql/selection.ts";
import { refsOf } from "../../mapper/refs.ts";
import { within } from "../../mapper/callbacks.ts";
import { expressions, withWhere } from "./clauses.ts";
import { columnNames, filterCondition, type RefFilter } from "./filter_by.ts";
import type { RowRunner, SourcesPlan } from "./row_plan.ts";
import { type Rows, sourceOf } from "./rows.ts";
import { Select } from "./select.ts";
import { type NullableSelection, planSelection } from "./selection.ts";

/**
 * Sources to select rows from: entities, queries and CTEs, joined. Finish it with `select()`.
 *
 * @example
 * ```ts
 * import { AsyncEngine, createAll, entity, integer, text } from "@sluice/orm";
 * import { assertEquals } from "@std/assert";
 *
 * class Pet extends entity("pets", { id: integer().primaryKey().generated(), name: text() }) {}
 * class Toy extends entity("toys", { id: integer().primaryKey().generated(), petName: text() }) {}
 * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Pet, Toy] });
 * await createAll(engine);
 * await using session = engine.session();
 * await session.bulkInsert(Pet, [{ name: "Ant" }, { name: "Bee" }]);
 * await session.bulkInsert(Toy, [{ petName: "Ant" }]);
 *
 * const rows = await session.query(Pet)
 *   .leftJoin(Toy, (pet, toy) => toy.petName.eq(pet.name))
 *   .select((pet, toy) => ({ name: pet.name, toy: toy.id }))
 *   .orderBy((pet) => pet.name)
 *   .all();
 * assertEquals(rows, [{ name: "Ant", toy: 1 }, { name: "Bee", toy: null }]);
 * ```
 */
export class From<A extends readonly unknown[]> {
  readonly #runner: RowRunner;
  readonly #plan: SourcesPlan;

  /** Made by `query.join()`, `session.from()`, …. */
  constructor(runner: RowRunner, plan: SourcesPlan) {
    this.#runner = runner;
    this.#plan = plan;
  }

  /** Joins an entity, a query for rows or a CTE: pairs of rows that meet the condition. */
  join<E extends object>(
    entity: EntityClass<E>,
    on: (...refs: [...A, Ref<E>]) => Condition,
  ): From<[...A, Ref<E>]>;
  /** Joins a query for rows or a CTE. */
  join<S>(rows: Rows<S>, on: (...refs: [...A, S]) => Condition): From<[...A, S]>;
  join(other: unknown, on: (...refs: never) => Condition): From<never> {
    return this.#join("join()", "inner", other, on) as From<never>;
  }

  /** As `join()`, but rows without a partner stay; the other's columns are null there. */
  leftJoin<E extends object>(
    entity: EntityClass<E>,
    on: (...refs: [...A, Ref<E>]) => Condition,
  ): From<[...A, NullableRef<E>]>;
  /** As `join()`, but rows without a partner stay. */
  leftJoin<S>(
    rows: Rows<S>,
    on: (...refs: [...A, S]) => Condition,
  ): From<[...A, NullableSelection<S>]>;
  leftJoin(other: unknown, on: (...refs: never) => Condition): From<never> {
    return this.#join("leftJoin()", "left", other, on) as From<never>;
  }

  /**
   * Joins a query that refers to the sources before it, run for each of their rows (PostgreSQL).
   * Build it inside the callback: `joinLateral((a) => session.query(Book).where(…).limit(3).select(…))`.
   */
  joinLateral<S>(rows: (...refs: A) => Rows<S>): From<[...A, S]> {
    return this.#lateral("joinLateral()", "inner", rows) as From<[...A, S]>;
  }
  /** As `joinLateral()`, but rows for which the query gives none stay. */
  leftJoinLateral<S>(rows: (...refs: A) => Rows<S>): From<[...A, NullableSelection<S>]> {
    return this.#lateral("leftJoinLateral()", "left", rows) as From<[...A, NullableSelection<S>]>;
  }

  /** Only rows that meet the condition, and those of earlier calls. */
  where(condition: (...refs: A) => Condition): From<A> {
    const given = this.#within("where()", condition);
    return this.#with(withWhere(this.#plan.select, given, "where()"));
  }

  /**
   * Only rows in which columns of the first source have these values; null asks for null. Takes
   * values and nothing else, as `filterBy()` of a query for objects.
   *
   * @throws {InputError} for a name that is no column, an object where a value belongs, or undefined.
   */
  filterBy(values: RefFilter<A[0]>): From<A> {
    const refs = this.#plan.refs[0] as Record<string, unknown>;
    const condition = filterCondition(values, refs, columnNames(refs), "the first source");
    return this.#with(withWhere(this.#plan.select, condition, "filterBy()"));
  }

  /** Rows with equal values of these become one; aggregates then are those of the group. */
  groupBy(by: (...refs: A) => Expression<unknown> | readonly Expression<unknown>[]): From<A> {
    const { select } = this.#plan;
    const terms = expressions(this.#within("groupBy()", by), "groupBy()");
    return this.#with({ ...select, groupBy: [...select.groupBy ?? [], ...terms] });
  }

  /**
   * Without the filters of these names, of the entities it names and of all that its first one
   * reaches; subqueries included.
   *
   * @throws {InputError} when none of them has a filter of that name.
   */
  unfiltered(...names: string[]): From<A> {
    const { select, sources, root } = this.#plan;
    checkSourceFilters(names, "The query", sources, root);
    return this.#with({ ...select, unfiltered: [...select.unfiltered ?? [], ...names] });
  }

  /** The columns of the rows. Objects nest; a single column gives plain values. */
  select<const S extends Selection | Expression<unknown>>(
    columns: (...refs: A) => S,
  ): Select<A, S> {
    const selection = planSelection(this.#within("select()", columns));
    const select = { ...this.#plan.select, columns: selection.columns };
    return new Select<A, S>(this.#runner, { ...this.#plan, select }, selection);
  }

  #with(select: SelectNode): From<A> {
    return new From(this.#runner, { ...this.#plan, select });
  }

  #within<T>(what: string, callback: (...refs: A) => T): T {
    const { sources, refs } = this.#plan;
    // The plan gains a ref with each source that a call adds to A, in the same order.
    return within(what, sources, refs as unknown as A, callback);
  }

  #join(
    what: string,
    kind: JoinNode["kind"],
    other: unknown,
    on: (...refs: never) => Condition,
  ): From<readonly unknown[]> {
    const { source, refs } = sourceFor(this.#runner, other, false);
    const { sources, refs: before } = this.#plan;
    const all = [...before, refs];
    const condition = within(what, [...sources, source], all as never, on);
    return this.#joined({ kind, source, on: conditionNode(condition, what) }, refs);
  }

  #lateral(
    what: string,
    kind: JoinNode["kind"],
    rows: (...refs: A) => unknown,
  ): From<readonly unknown[]> {
    const { source, refs } = sourceFor(this.#runner, this.#within(what, rows), true);
    return this.#joined({ kind, source, on: undefined }, refs);
  }

  #joined(join: JoinNode, refs: unknown): From<readonly unknown[]> {
    const { select, sources, refs: before } = this.#plan;
    return new From(this.#runner, {
      ...this.#plan,
      select: { ...select, joins: [...select.joins ?? [], join] },
      sources: [...sources, join.source],
      refs: [...before, refs],
    });
  }
}

/** A source of its own for an entity, a query or a CTE. */
export function sourceFor(
  runner: RowRunner,
  other: unknown,
  lateral: boolean,
): { readonly source: Source; readonly refs: unknown } {
  const rows = other as Partial<Rows<unknown>> | null | undefined;
  if (typeof rows?.[sourceOf] === "function") return (rows as Rows<unknown>)[sourceOf](lateral);
  if (typeof other !== "function") {
    throw new InputError(`A join takes an entity class or a query, found ${describe(other)}`, {
      hint: "Pass an entity class, or session.query(…).select(…)",
    });
  }
  const mapper = runner.mapper(other as EntityClass);
  const source: TableSource = { ...mapper.source };
  return { source, refs: refsOf(mapper, source) };
}
