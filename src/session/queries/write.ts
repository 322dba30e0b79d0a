/**
 * `insert()`, `update()`, `deleteFrom()`: statements that change rows without objects, as immutable
 * values for `session.execute()`, which lets the session's objects follow, and `engine.execute()`,
 * which knows of none.
 *
 * @module
 */

import { InputError } from "../../errors.ts";
import type { Dialect } from "../../dialect/dialect.ts";
import type { DriverResult } from "../../dialect/driver.ts";
import { type Executable, readRowsOf } from "../../engine/statement.ts";
import { columnRef, type DefinedColumn, isGiven } from "../../mapper/definition.ts";
import type { ColumnNames, EntityClass, FieldsOf } from "../../mapper/types.ts";
import type { ValueOf } from "../../schema/column.ts";
import { firstVersion, isCounter } from "../../schema/version.ts";
import {
  allOf,
  type Condition,
  conditionNode,
  describe,
  Expression,
} from "../../sql/expression.ts";
import {
  type DeleteNode,
  type HasNode,
  type InsertNode,
  type Node,
  nodeOf,
  type UpdateNode,
  type WriteNode,
} from "../../sql/node.ts";
import { expressionIn } from "../../sql/operand.ts";
import type { RowOf, Selection } from "../../sql/selection.ts";
import type { RequiredColumns } from "../bulk/types.ts";
import { Cte, selectionOf } from "./rows.ts";
import { planSelection, readRows, type SelectionPlan } from "./selection.ts";
import { Target, type WriteRef } from "./write_target.ts";

/** A value of a column, or an expression for one. */
export type Written<T> = T | Expression<T> | Expression<NonNullable<T>>;

/** A row to insert: values or expressions by property. What has a default can be left out. */
export type InsertRow<E> = InsertRowOf<FieldsOf<E>>;

/** A row to insert, of a set of declarations. */
export type InsertRowOf<F> =
  & { readonly [K in RequiredColumns<F>]: Written<ValueOf<F[K]>> }
  & { readonly [K in Exclude<ColumnNames<F>, RequiredColumns<F>>]?: Written<ValueOf<F[K]>> };

/** Columns to set: values or expressions by property. */
export type SetValues<E> = {
  readonly [K in ColumnNames<FieldsOf<E>>]?: Written<ValueOf<FieldsOf<E>[K]>>;
};

/** A query whose rows can be inserted. */
export interface InsertSource extends HasNode {
  /**
   * Its columns by name.
   *
   * @internal
   */
  readonly [selectionOf]: SelectionPlan;
}

function writtenNode(column: DefinedColumn, value: unknown): Node {
  const node = expressionIn(value);
  if (node !== undefined) return node;
  if (value === null && !column.spec.nullable) {
    throw new InputError(`"${column.label}" takes no null`, {
      hint: "Give it a value, or declare the column nullable()",
    });
  }
  return { kind: "value", value, type: column.spec.type, label: column.label };
}

/**
 * A statement that changes rows; `Row` is what it gives back. Run it with `session.execute()`, or
 * use it as a CTE on PostgreSQL.
 */
export abstract class WriteStatement<E extends object, Row, S = unknown>
  implements Executable<Row> {
  /** For the compiler's eyes only: the type of a row. */
  declare readonly valueType?: Row;
  /** For the compiler's eyes only: the entity. */
  declare readonly entity?: E;
  /**
   * What it gives back, taken apart.
   *
   * @internal
   */
  protected readonly returned: SelectionPlan | undefined;

  /** Made by `insert()`, `update()`, `deleteFrom()`. */
  constructor(returned: SelectionPlan | undefined) {
    this.returned = returned;
  }

  /**
   * The statement.
   *
   * @internal
   */
  abstract get [nodeOf](): WriteNode;

  /**
   * Reads the rows that RETURNING gives.
   *
   * @internal
   */
  [readRowsOf]({ columns, rows }: DriverResult, dialect: Dialect): unknown[] {
    return this.returned === undefined ? [] : readRows(this.returned, dialect, columns, rows);
  }

  /**
   * As a common table expression of the rows it gives back (PostgreSQL): give it to
   * `session.from()`, and the change takes place when that query is run.
   */
  cte(): Cte<S> {
    if (this.returned === undefined) {
      throw new InputError("A CTE needs columns, and this statement gives nothing back", {
        hint: "Add .returning((u) => ({ id: u.id }))",
      });
    }
    const width = this.returned.columns.length;
    return new Cte<S>(
      { kind: "cte", statement: this[nodeOf], width, step: undefined },
      this.returned,
    );
  }
}

// --- insert ---------------------------------------------------------------------------------------

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

// --- update, delete -------------------------------------------------------------------------------

function both(where: Node | undefined, condition: Condition): Node {
  const node = conditionNode(condition, "where()");
  if (where === undefined) return node;
  return allOf(new Expression<boolean>(where), new Expression<boolean>(node))[nodeOf];
}

function refuseAll(what: string): never {
  throw new InputError(`${what} has no condition, and would change every row of the table`, {
    hint: "Add .where(…), or .all() if every row is meant",
  });
}

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
