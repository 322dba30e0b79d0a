/**
 * How a bulk call would go about its work: decided by the very code that carries it out.
 *
 * @module
 */

import type { Dialect } from "../../dialect/dialect.ts";
import { isGiven } from "../../mapper/definition.ts";
import type { WireRow } from "../../sql/wire.ts";
import { CHUNK, type InsertOrder, insertShape } from "./insert_order.ts";

/** How many rows a `bulkInsert()` would be given, and which columns these leave out. */
export interface BulkPlanInput<K extends string = string> {
  /** How many rows there are. */
  readonly rows: number;
  /** Columns that the rows leave to the database, by property. */
  readonly without?: readonly K[] | undefined;
}

/**
 * How a bulk call would go about its work.
 *
 * @example
 * ```ts
 * import { AsyncEngine, entity, integer, text } from "@sluice/orm";
 * import { assertEquals } from "@std/assert";
 *
 * class Pet extends entity("pets", { id: integer().primaryKey().generated(), name: text() }) {}
 * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Pet] });
 * await using session = engine.session();
 *
 * const plan = session.bulkPlan(Pet, { rows: 10_000 });
 * assertEquals(plan.method, "values");
 * console.log(plan.explain());
 * ```
 */
export class BulkPlan {
  /**
   * `values`: INSERT … VALUES, a parameter a value. `unnest`: INSERT … SELECT from arrays, a parameter a
   * column. `copy`: COPY … FROM STDIN.
   */
  readonly method: "values" | "unnest" | "copy";
  /** Into which table. */
  readonly table: string;
  /** How many rows there are. */
  readonly rows: number;
  /** How many statements they take. */
  readonly statements: number;
  /** How many rows the largest of them holds. */
  readonly rowsPerStatement: number;
  /** The text of the first statement. */
  readonly text: string;

  /** Made by `session.bulkPlan()`. */
  constructor(order: InsertOrder, input: BulkPlanInput, dialect: Dialect) {
    const without = new Set<string>(
      input.without ?? order.mapper.columns.filter(({ defined }) => isGiven(defined.spec)).map(
        ({ property }) => property,
      ),
    );
    const columns = order.mapper.columns.filter(({ property }) => !without.has(property));
    const given = columns.filter(({ defined }) => defined.spec.version === false);
    const shape = insertShape(order, columns, given, dialect);
    const sizes: number[] = [];
    let text: string | undefined;
    let copied = false;
    for (let left = input.rows; left > 0; left -= CHUNK) {
      const count = Math.min(left, CHUNK);
      const copy = shape.copy(count);
      copied ||= copy !== undefined;
      if (copy !== undefined) {
        text ??= copy.text;
        sizes.push(count);
        continue;
      }
      const empty: WireRow = columns.map(() => null);
      for (const statement of shape.statements(Array<WireRow>(count).fill(empty))) {
        text ??= statement.text;
        sizes.push(statement.rows);
      }
    }
    this.table = order.mapper.definition.tableName;
    this.rows = input.rows;
    this.statements = sizes.length;
    this.rowsPerStatement = Math.max(0, ...sizes);
    this.text = text ?? "";
    this.method = copied ? "copy" : this.text.includes(" unnest(") ? "unnest" : "values";
  }

  /** The plan in words, and the first statement, shortened. */
  explain(): string {
    const by = { values: "INSERT … VALUES", unnest: "INSERT … SELECT FROM unnest", copy: "COPY" };
    const text = this.text.length > 400 ? `${this.text.slice(0, 400)} …` : this.text;
    return `${this.rows} rows into ${this.table} by ${by[this.method]}: ${this.statements} ` +
      `statements of up to ${this.rowsPerStatement} rows, in one transaction\n${text}`;
  }
}
