/** `update()`: an UPDATE of the rows that meet a condition. @module */

import { InputError } from "../../errors.ts";
import { columnRef } from "../../mapper/definition.ts";
import type { ColumnNames, EntityClass, FieldsOf } from "../../mapper/types.ts";
import type { ValueOf } from "../../schema/column.ts";
import { firstVersion, isCounter } from "../../schema/version.ts";
import { type Condition, describe, type Expression } from "../../sql/expression.ts";
import { nodeOf, type UpdateNode } from "../../sql/node.ts";
import type { RowOf, Selection } from "../../sql/selection.ts";
import { planSelection, type SelectionPlan } from "./selection.ts";
import { both, refuseAll, WriteStatement, type Written, writtenNode } from "./write_statement.ts";
import { Target, type WriteRef } from "./write_target.ts";

/** Columns to set: values or expressions by property. */
export type SetValues<E> = {
  readonly [K in ColumnNames<FieldsOf<E>>]?: Written<ValueOf<FieldsOf<E>[K]>>;
};

/** The beginning of an UPDATE: say what to set. */
export class UpdateTable<E extends object> {
  readonly #target: Target<E>;

  /** Made by `update()`. */
  constructor(entityClass: EntityClass<E>) {
    this.#target = new Target(entityClass, "update()");
  }

  /**
   * The columns to set: values, or a function of the row as it is. A `version()` that is not among
   * them changes as well, so that a flush notices.
   */
  set(values: SetValues<E> | ((row: WriteRef<E>) => SetValues<E>)): Update<E, never> {
    const evaluate = (refs?: WriteRef<E>): unknown =>
      typeof values === "function"
        ? this.#target.call("set()", values as (row: WriteRef<E>) => SetValues<E>, refs)
        : values;
    let given = evaluate();
    if (typeof given !== "object" || given === null || Array.isArray(given)) {
      throw new InputError(`set() takes values by property, found ${describe(given)}`);
    }
    const columns = Object.entries(given).filter(([, value]) => value !== undefined)
      .map(([property]) => this.#target.column(property, "set()"));
    if (columns.length === 0) throw new InputError("set() was given no values");
    const part = columns[0]!.part;
    const elsewhere = columns.find((column) => column.part !== part);
    if (elsewhere !== undefined) {
      throw new InputError(
        `"${columns[0]!.label}" and "${elsewhere.label}" are in two tables, and set() writes one`,
        { hint: "Write an update() for each, in one transaction" },
      );
    }
    const { source, refs } = this.#target.table(part);
    // The columns of the one table, now that it is known.
    if (this.#target.isJoined) given = evaluate(refs);
    const set = columns.map((column) => {
      const { name, label, property } = column;
      const value = (given as Record<string, unknown>)[property];
      return [{ name, label }, writtenNode(column, value)] as const;
    });
    const node: UpdateNode = {
      kind: "update",
      table: source,
      set,
      where: undefined,
      returning: [],
    };
    return new Update<E, never>(this.#target, node, false, undefined);
  }
}

/** An UPDATE. It is refused without `where()`, unless `all()` is said. */
export class Update<E extends object, Row, S = unknown> extends WriteStatement<E, Row, S> {
  readonly #target: Target<E>;
  readonly #node: UpdateNode;
  readonly #all: boolean;

  /** Made by `update().set()`. */
  constructor(
    target: unknown,
    node: UpdateNode,
    all: boolean,
    returned: SelectionPlan | undefined,
  ) {
    super(returned);
    this.#target = target as Target<E>;
    this.#node = node;
    this.#all = all;
  }

  /**
   * The statement.
   *
   * @internal
   */
  override get [nodeOf](): UpdateNode {
    if (this.#node.where === undefined && !this.#all) refuseAll("The update");
    return this.#target.located(this.#versioned());
  }

  /** With the version, which changes along; that of a joined subclass's base only in its own table. */
  #versioned(): UpdateNode {
    const version = this.#target.version;
    const isThere = version !== undefined && this.#target.holds(version, this.#node.table);
    if (!isThere || this.#node.set.some(([{ name }]) => name === version.name)) return this.#node;
    const { name, label, spec } = version;
    const { source } = this.#target.definition;
    // Made for each use: a statement that is sent again sets another moment.
    const first = firstVersion(spec.type);
    const next = isCounter(spec.type)
      ? (columnRef(version, source) as Expression<number>).add(first as number)[nodeOf]
      : writtenNode(version, first);
    return { ...this.#node, set: [...this.#node.set, [{ name, label }, next]] };
  }

  /** Only rows that meet the condition, and those of earlier calls. */
  where(condition: (row: WriteRef<E>) => Condition): Update<E, Row, S> {
    const where = both(this.#node.where, this.#target.call("where()", condition));
    return new Update(this.#target, { ...this.#node, where }, this.#all, this.returned);
  }

  /**
   * Without the filters of these names: rows that they hide are changed too.
   *
   * @throws {InputError} when the entity has no filter of that name.
   */
  unfiltered(...names: string[]): Update<E, Row, S> {
    const unfiltered = this.#target.unfiltered(names, this.#node.unfiltered);
    return new Update(this.#target, { ...this.#node, unfiltered }, this.#all, this.returned);
  }

  /** Every row is meant. */
  all(): Update<E, Row, S> {
    return new Update(this.#target, this.#node, true, this.returned);
  }

  /** Gives back the rows as they are afterwards. */
  returning<const T extends Selection | Expression<unknown>>(
    columns: (updated: WriteRef<E>) => T,
  ): Update<E, RowOf<T>, T> {
    const refs = this.#target.refsOf(this.#node.table);
    const plan = planSelection(this.#target.call("returning()", columns, refs));
    return new Update(this.#target, { ...this.#node, returning: plan.columns }, this.#all, plan);
  }
}

/**
 * An UPDATE as a value.
 *
 * @example
 * ```ts
 * import { AsyncEngine, createAll, entity, integer, text, update } from "@sluice/orm";
 * import { assertEquals } from "@std/assert";
 *
 * class Pet extends entity("pets", {
 *   id: integer().primaryKey().generated(),
 *   name: text(),
 *   age: integer().default(0),
 * }) {}
 * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Pet] });
 * await createAll(engine);
 * await using session = engine.session();
 * await session.bulkInsert(Pet, [{ name: "Ant" }, { name: "Bee" }]);
 *
 * const older = update(Pet).set((p) => ({ age: p.age.add(1) })).where((p) => p.name.eq("Bee"));
 * assertEquals((await session.execute(older)).rowCount, 1);
 * ```
 */
export function update<E extends object>(entityClass: EntityClass<E>): UpdateTable<E> {
  return new UpdateTable(entityClass);
}
