/** `deleteFrom()`: a DELETE of the rows that meet a condition. @module */

import type { EntityClass } from "../../mapper/types.ts";
import type { Condition, Expression } from "../../sql/expression.ts";
import { type DeleteNode, nodeOf } from "../../sql/node.ts";
import type { RowOf, Selection } from "../../sql/selection.ts";
import { planSelection, type SelectionPlan } from "./selection.ts";
import { both, refuseAll, WriteStatement } from "./write_statement.ts";
import { Target, type WriteRef } from "./write_target.ts";

/** A DELETE. It is refused without `where()`, unless `all()` is said. */
export class Delete<E extends object, Row, S = unknown> extends WriteStatement<E, Row, S> {
  readonly #target: Target<E>;
  readonly #node: DeleteNode;
  readonly #all: boolean;

  /** Made by `deleteFrom()`. */
  constructor(
    target: unknown,
    node: DeleteNode,
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
  override get [nodeOf](): DeleteNode {
    if (this.#node.where === undefined && !this.#all) refuseAll("The delete");
    return this.#target.located(this.#node);
  }

  /** Only rows that meet the condition, and those of earlier calls. */
  where(condition: (row: WriteRef<E>) => Condition): Delete<E, Row, S> {
    const where = both(this.#node.where, this.#target.call("where()", condition));
    return new Delete(this.#target, { ...this.#node, where }, this.#all, this.returned);
  }

  /**
   * Without the filters of these names: rows that they hide are changed too.
   *
   * @throws {InputError} when the entity has no filter of that name.
   */
  unfiltered(...names: string[]): Delete<E, Row, S> {
    const unfiltered = this.#target.unfiltered(names, this.#node.unfiltered);
    return new Delete(this.#target, { ...this.#node, unfiltered }, this.#all, this.returned);
  }

  /** Every row is meant. */
  all(): Delete<E, Row, S> {
    return new Delete(this.#target, this.#node, true, this.returned);
  }

  /** Gives back the rows as they were. */
  returning<const T extends Selection | Expression<unknown>>(
    columns: (deleted: WriteRef<E>) => T,
  ): Delete<E, RowOf<T>, T> {
    const refs = this.#target.refsOf(this.#node.table);
    const plan = planSelection(this.#target.call("returning()", columns, refs));
    return new Delete(this.#target, { ...this.#node, returning: plan.columns }, this.#all, plan);
  }
}

/**
 * A DELETE as a value.
 *
 * @example
 * ```ts
 * import { AsyncEngine, createAll, deleteFrom, entity, integer, text } from "@sluice/orm";
 * import { assertEquals } from "@std/assert";
 *
 * class Pet extends entity("pets", { id: integer().primaryKey().generated(), name: text() }) {}
 * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Pet] });
 * await createAll(engine);
 * await using session = engine.session();
 * await session.bulkInsert(Pet, [{ name: "Ant" }, { name: "Bee" }]);
 *
 * const gone = deleteFrom(Pet).where((p) => p.name.startsWith("A")).returning((p) => p.name);
 * assertEquals((await session.execute(gone)).rows, ["Ant"]);
 * ```
 */
export function deleteFrom<E extends object>(entityClass: EntityClass<E>): Delete<E, never> {
  const target = new Target<E>(entityClass, "deleteFrom()");
  const node: DeleteNode = {
    kind: "delete",
    // The rest of a joined subclass's row goes along with the base's.
    table: target.table(undefined).source,
    where: undefined,
    returning: [],
  };
  return new Delete<E, never>(target, node, false, undefined);
}
