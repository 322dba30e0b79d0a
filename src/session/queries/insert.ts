/** `insert()`: an INSERT of rows, or of what a query gives. @module */

import { InputError } from "../../errors.ts";
import { type DefinedColumn, isGiven } from "../../mapper/definition.ts";
import type { ColumnNames, EntityClass, FieldsOf } from "../../mapper/types.ts";
import type { ValueOf } from "../../schema/column.ts";
import { firstVersion, isCounter } from "../../schema/version.ts";
import { describe, type Expression } from "../../sql/expression.ts";
import { type HasNode, type InsertNode, type Node, nodeOf } from "../../sql/node.ts";
import type { RowOf, Selection } from "../../sql/selection.ts";
import type { RequiredColumns } from "../bulk/types.ts";
import { selectionOf } from "./rows.ts";
import { planSelection, type SelectionPlan } from "./selection.ts";
import { WriteStatement, type Written, writtenNode } from "./write_statement.ts";
import { Target, type WriteRef } from "./write_target.ts";

/** A row to insert: values or expressions by property. What has a default can be left out. */
export type InsertRow<E> = InsertRowOf<FieldsOf<E>>;

/** A row to insert, of a set of declarations. */
export type InsertRowOf<F> =
  & { readonly [K in RequiredColumns<F>]: Written<ValueOf<F[K]>> }
  & { readonly [K in Exclude<ColumnNames<F>, RequiredColumns<F>>]?: Written<ValueOf<F[K]>> };

/** A query whose rows can be inserted. */
export interface InsertSource extends HasNode {
  /**
   * Its columns by name.
   *
   * @internal
   */
  readonly [selectionOf]: SelectionPlan;
}

/** The beginning of an INSERT: say what to insert. */
export class InsertInto<E extends object> {
  readonly #target: Target<E>;

  /** Made by `insert()`. */
  constructor(entityClass: EntityClass<E>) {
    this.#target = new Target(entityClass, "insert()");
    if (!this.#target.isJoined) return;
    throw new InputError(
      `insert() writes one table, and rows of ${describe(entityClass)} are in several`,
      { hint: "Use session.add(), or insert into each table with the sql tag" },
    );
  }

  /** The rows, by property. For many rows rather `bulkInsert()`. */
  values(rows: InsertRow<E> | readonly InsertRow<E>[]): Insert<E, never> {
    const list: readonly unknown[] = Array.isArray(rows) ? rows : [rows];
    if (list.length === 0) throw new InputError("values() was given no rows");
    const given = list.map((row, i) => this.#row(row, i));
    const columns = this.#target.definition.columns.filter((column) =>
      given.some((row) => row.has(column))
    );
    if (columns.length === 0) {
      throw new InputError("values() was given rows without columns", {
        hint: "Give at least one value, or use bulkInsert()",
      });
    }
    const nodes = given.map((row) => columns.map((column) => row.get(column) ?? absent(column)));
    return this.#insert(columns, nodes);
  }

  /** The rows of a query, by the names it selects. */
  from(query: InsertSource): Insert<E, never> {
    const plan = query?.[selectionOf];
    if (plan === undefined || typeof plan.tree === "number") {
      throw new InputError(`from() takes a query for rows, found ${describe(query)}`, {
        hint: "Select by the names of the columns: .select((a) => ({ name: a.name }))",
      });
    }
    const columns = plan.names.map((name) => this.#target.column(name, "from()"));
    const node = query[nodeOf];
    if (node.kind !== "select" && node.kind !== "compound") {
      throw new InputError("from() takes a query for rows");
    }
    return this.#insert(columns, node);
  }

  #insert(columns: readonly DefinedColumn[], rows: InsertNode["rows"]): Insert<E, never> {
    return new Insert<E, never>(this.#target, {
      kind: "insert",
      into: this.#target.definition.source,
      columns: columns.map(({ name, label }) => ({ name, label })),
      rows,
      onConflict: undefined,
      returning: [],
    }, undefined);
  }

  /** The values that a row gives, and the defaults of the class. */
  #row(row: unknown, index: number): Map<DefinedColumn, Node> {
    if (typeof row !== "object" || row === null) {
      throw new InputError(`Row ${index} of values() is ${describe(row)}`, {
        hint: "Pass plain objects by property",
      });
    }
    const nodes = new Map<DefinedColumn, Node>();
    for (const property of Object.keys(row)) {
      const column = this.#target.column(property, `Row ${index} of values()`);
      const value = (row as Record<string, unknown>)[property];
      if (value !== undefined) nodes.set(column, writtenNode(column, value));
    }
    for (const column of this.#target.definition.columns) {
      const { defaultValue, version } = column.spec;
      if (nodes.has(column)) continue;
      if (defaultValue !== undefined) {
        const { value } = defaultValue;
        nodes.set(column, writtenNode(column, typeof value === "function" ? value() : value));
      } else if (version !== false && !isGiven(column.spec)) {
        nodes.set(column, writtenNode(column, firstVersion(column.spec.type)));
      }
    }
    return nodes;
  }
}

/** What a column gets in a row that does not give it, while others do. */
function absent(column: DefinedColumn): Node | undefined {
  const { spec, label } = column;
  if (isGiven(spec)) return undefined;
  if (spec.nullable) return writtenNode(column, null);
  throw new InputError(`"${label}" has no value in one of the rows`, {
    hint: "Give it one, or declare the column nullable()",
  });
}

/** An INSERT. */
export class Insert<E extends object, Row, S = unknown> extends WriteStatement<E, Row, S> {
  readonly #target: Target<E>;
  readonly #node: InsertNode;

  /** Made by `insert().values()`. */
  constructor(target: unknown, node: InsertNode, returned: SelectionPlan | undefined) {
    super(returned);
    this.#target = target as Target<E>;
    this.#node = node;
  }

  /**
   * The statement.
   *
   * @internal
   */
  override get [nodeOf](): InsertNode {
    return this.#node;
  }

  /**
   * What to do with a row that is there already, by the columns of a unique constraint: nothing, or
   * take some columns from the new row. A `version()` changes then, too.
   */
  onConflict(options: {
    target: (keyof WriteRef<E> & string) | readonly (keyof WriteRef<E> & string)[];
    update?: readonly (keyof WriteRef<E> & string)[];
  }): Insert<E, Row, S> {
    const names = (given: string | readonly string[]): string[] =>
      (typeof given === "string" ? [given] : given).map((property) =>
        this.#target.column(property, "onConflict()").name
      );
    const target = names(options.target);
    const update = names(options.update ?? []);
    const version = this.#target.version;
    if (update.length === 0 || version === undefined || update.includes(version.name)) {
      return this.#onConflict({ target, update });
    }
    const { name } = version;
    return isCounter(version.spec.type)
      ? this.#onConflict({ target, update, counter: name })
      : this.#onConflict({ target, update: [...update, name] });
  }

  #onConflict(onConflict: InsertNode["onConflict"]): Insert<E, Row, S> {
    return new Insert(this.#target, { ...this.#node, onConflict }, this.returned);
  }

  /** Gives back the rows as stored. */
  returning<const T extends Selection | Expression<unknown>>(
    columns: (inserted: WriteRef<E>) => T,
  ): Insert<E, RowOf<T>, T> {
    const plan = planSelection(this.#target.call("returning()", columns));
    return new Insert(this.#target, { ...this.#node, returning: plan.columns }, plan);
  }
}

/**
 * An INSERT as a value.
 *
 * @example
 * ```ts
 * import { AsyncEngine, createAll, entity, insert, integer, text } from "@sluice/orm";
 * import { assertEquals } from "@std/assert";
 *
 * class Pet extends entity("pets", { id: integer().primaryKey().generated(), name: text() }) {}
 * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Pet] });
 * await createAll(engine);
 *
 * const result = await engine.execute(
 *   insert(Pet).values([{ name: "Ant" }, { name: "Bee" }]).returning((p) => p.id),
 * );
 * assertEquals(result.rows, [1, 2]);
 * ```
 */
export function insert<E extends object>(entityClass: EntityClass<E>): InsertInto<E> {
  return new InsertInto(entityClass);
}
