import { MultipleResultsError, NoResultError, UsageError } from "../errors.ts";
import type { Dialect } from "../dialect/dialect.ts";
import type { DriverColumn, DriverResult, WireRow } from "../dialect/driver.ts";

/**
 * What a statement gave back.
 *
 * @example
 * ```ts
 * import { AsyncEngine, sql } from "@sluice/orm";
 * import { assertEquals } from "@std/assert";
 *
 * await using engine = new AsyncEngine("sqlite::memory:");
 * const result = await engine.execute(
 *   sql<{ n: number }>`select 1 as n union all select 2 order by n`,
 * );
 * assertEquals(result.rows, [{ n: 1 }, { n: 2 }]);
 * assertEquals(result.scalars(), [1, 2]);
 * assertEquals(result.first(), { n: 1 });
 * ```
 */
export class Result<Row = Record<string, unknown>> implements Iterable<Row> {
  readonly #result: DriverResult;
  readonly #decoder: RowDecoder;
  #rows: Row[] | undefined;

  /** Wraps a driver's result. Results are made by `execute()`. */
  constructor(result: DriverResult, dialect: Dialect, rows?: Row[]) {
    this.#result = result;
    this.#rows = rows;
    this.#decoder = new RowDecoder(result.columns, dialect);
  }

  /** Rows returned or, for writes without RETURNING, changed. */
  get rowCount(): number {
    return this.#result.rowCount;
  }

  /** The columns' names, in order. */
  get columns(): readonly string[] {
    return this.#result.columns.map((column) => column.name);
  }

  /**
   * The rows, as objects by column name.
   *
   * @throws {UsageError} `USAGE` when two columns have one name: one of them would be lost.
   */
  get rows(): Row[] {
    return this.#rows ??= this.#result.rows.map((row) => this.#decoder.object(row) as Row);
  }

  /** The rows by position, which also shows columns of the same name. */
  values(): unknown[][] {
    return this.#result.rows.map((row) => this.#decoder.values(row));
  }

  /**
   * The only row.
   *
   * @throws {NoResultError} `NO_RESULT` when there is none.
   * @throws {MultipleResultsError} `MULTIPLE_RESULTS` when there are more.
   */
  one(): Row {
    this.#assertOne();
    return this.rows[0]!;
  }

  /** The first row, if there is one. */
  first(): Row | undefined {
    return this.rows[0];
  }

  /**
   * The first column of the only row.
   *
   * @throws {NoResultError} `NO_RESULT` when there is no row.
   * @throws {MultipleResultsError} `MULTIPLE_RESULTS` when there are more.
   */
  scalar(): Row[keyof Row] {
    this.#assertOne();
    return this.#decoder.scalar(this.#result.rows[0]!) as Row[keyof Row];
  }

  /** The first column of each row. */
  scalars(): Row[keyof Row][] {
    return this.#result.rows.map((row) => this.#decoder.scalar(row) as Row[keyof Row]);
  }

  /** Goes through the rows. */
  [Symbol.iterator](): Iterator<Row> {
    return this.rows[Symbol.iterator]();
  }

  #assertOne(): void {
    const { length } = this.#result.rows;
    if (length === 0) {
      throw new NoResultError("One row was asked for and there is none", {
        hint: "Use first() where that may be",
      });
    }
    if (length > 1) {
      throw new MultipleResultsError(`One row was asked for and there are ${length}`, {
        hint: "Use first() or rows, or make the condition narrower",
      });
    }
  }
}

/** Turns wire rows of one shape into objects. */
export class RowDecoder {
  readonly #names: readonly string[];
  readonly #decoders: ReturnType<Dialect["decoders"]>;
  readonly #ambiguous: string | undefined;
  readonly #hasProto: boolean;

  /** A decoder for rows with these columns. */
  constructor(columns: readonly DriverColumn[], dialect: Dialect) {
    this.#names = columns.map((column) => column.name);
    this.#decoders = dialect.decoders(columns);
    this.#ambiguous = this.#names.find((name, index) => this.#names.indexOf(name) !== index);
    this.#hasProto = this.#names.includes("__proto__");
  }

  /** The row as an object by column name. */
  object(row: WireRow): Record<string, unknown> {
    if (this.#ambiguous !== undefined) {
      throw new UsageError(`The result has two columns named "${this.#ambiguous}"`, {
        hint: "Give one an alias, or read them by position with values()",
      });
    }
    const object: Record<string, unknown> = {};
    // A column of this name must become a property like any other, not the object's prototype.
    if (this.#hasProto) {
      Object.defineProperty(object, "__proto__", {
        value: undefined,
        writable: true,
        enumerable: true,
        configurable: true,
      });
    }
    for (let i = 0; i < this.#names.length; i++) object[this.#names[i]!] = this.#value(row, i);
    return object;
  }

  /** The row by position. */
  values(row: WireRow): unknown[] {
    return this.#names.map((_, i) => this.#value(row, i));
  }

  /** The first column. */
  scalar(row: WireRow): unknown {
    return this.#value(row, 0);
  }

  #value(row: WireRow, i: number): unknown {
    const wire = row[i];
    return wire === null || wire === undefined ? null : this.#decoders[i]!(wire);
  }
}
