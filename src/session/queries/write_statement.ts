/**
 * What `insert()`, `update()` and `deleteFrom()` have in common: statements that change rows without
 * objects, as immutable values for `session.execute()`, which lets the session's objects follow, and
 * `engine.execute()`, which knows of none.
 *
 * @module
 */

import { InputError } from "../../errors.ts";
import type { Dialect } from "../../dialect/dialect.ts";
import type { DriverResult } from "../../dialect/driver.ts";
import { type Executable, readRowsOf } from "../../engine/statement.ts";
import type { DefinedColumn } from "../../mapper/definition.ts";
import { allOf, type Condition, conditionNode, Expression } from "../../sql/expression.ts";
import { type Node, nodeOf, type WriteNode } from "../../sql/node.ts";
import { expressionIn } from "../../sql/operand.ts";
import { Cte } from "./rows.ts";
import { readRows, type SelectionPlan } from "./selection.ts";

/** A value of a column, or an expression for one. */
export type Written<T> = T | Expression<T> | Expression<NonNullable<T>>;

/** What is written into a column. */
export function writtenNode(column: DefinedColumn, value: unknown): Node {
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

/** A condition beside those of earlier calls. */
export function both(where: Node | undefined, condition: Condition): Node {
  const node = conditionNode(condition, "where()");
  if (where === undefined) return node;
  return allOf(new Expression<boolean>(where), new Expression<boolean>(node))[nodeOf];
}

/** Refuses a statement that would change every row, and does not say so. */
export function refuseAll(what: string): never {
  throw new InputError(`${what} has no condition, and would change every row of the table`, {
    hint: "Add .where(…), or .all() if every row is meant",
  });
}
