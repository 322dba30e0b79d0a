/** The prepared statements of one connection, and how their rows are read. */

import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { WireRow } from "../../sql/wire.ts";
import type { DriverColumn } from "../driver.ts";
import type { BindValue } from "./bind.ts";
import { refuseTail, type ScannedStatement, scanStatement } from "./scan.ts";

/** Present in Deno 2.9 and Node 24, and missing from Deno's types of `node:sqlite`. */
interface ArrayStatement extends StatementSync {
  setReturnArrays(enabled: boolean): void;
}

/** A statement, prepared at its first use. */
export class PreparedStatement {
  /** The SQL text. */
  readonly text: string;
  /** What the scan of the text found. */
  readonly scan: ScannedStatement;
  #statement: StatementSync | undefined;
  #columns: readonly DriverColumn[] = [];
  #bigints = false;

  /** Scans the text; prepares nothing yet. */
  constructor(text: string) {
    this.text = text;
    this.scan = scanStatement(text);
  }

  /** The columns of its rows; empty for a statement without rows. Known once it is prepared. */
  get columns(): readonly DriverColumn[] {
    return this.#columns;
  }

  /**
   * Prepares it, if that is not done.
   *
   * @throws {InputError} When the text holds a second statement.
   */
  prepare(db: DatabaseSync): this {
    if (this.#statement !== undefined) return this;
    const statement = db.prepare(this.text) as ArrayStatement;
    refuseTail(this.text, statement.sourceSQL.length);
    statement.setReturnArrays(true);
    this.#statement = statement;
    this.#columns = columnsOf(statement);
    // A write must not be run twice, so its numbers are read without trying first.
    if (this.scan.kind !== "read") this.#readBigints(statement);
    return this;
  }

  /** Runs it and gives all rows. */
  all(values: readonly BindValue[]): WireRow[] {
    const statement = this.#statement!;
    const rows = this.#read(statement, values);
    if (this.scan.star || (rows.length > 0 && rows[0]!.length !== this.#columns.length)) {
      this.#columns = columnsOf(statement);
    }
    return rows;
  }

  /** Runs it and gives the number of rows it changed. */
  change(values: readonly BindValue[]): number {
    return Number(this.#statement!.run(...values).changes);
  }

  /** Its types speak of objects: statements of ours are set to give arrays. */
  #read(statement: StatementSync, values: readonly BindValue[]): WireRow[] {
    if (!this.#bigints) {
      try {
        return statement.all(...values) as unknown as WireRow[];
      } catch (error) {
        if ((error as { code?: unknown }).code !== "ERR_OUT_OF_RANGE") throw error;
        // An integer beyond 2^53: rare enough that reading once more costs less than making
        // every integer a bigint first, and true of this statement from now on.
        this.#readBigints(statement);
      }
    }
    return narrow(statement.all(...values) as unknown as WireRow[]);
  }

  #readBigints(statement: StatementSync): void {
    statement.setReadBigInts(true);
    this.#bigints = true;
  }
}

function columnsOf(statement: StatementSync): DriverColumn[] {
  return statement.columns().map((column) => ({ name: column.name, type: 0 }));
}

const largest = BigInt(Number.MAX_SAFE_INTEGER);

/** Gives a `number` for every `bigint` that one can hold exactly. */
function narrow(rows: WireRow[]): WireRow[] {
  for (const row of rows) {
    for (let i = 0; i < row.length; i++) {
      const value = row[i];
      if (typeof value === "bigint" && value <= largest && value >= -largest) {
        row[i] = Number(value);
      }
    }
  }
  return rows;
}

/** Keeps the statements used last, up to a number. */
export class StatementCache {
  readonly #limit: number;
  readonly #statements = new Map<string, PreparedStatement>();

  /** Keeps up to `limit` statements. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The kept statement of this text, or a new one. */
  get(text: string, keep: boolean): PreparedStatement {
    const known = this.#statements.get(text);
    if (known !== undefined) {
      // A Map remembers insertion order: the first is the one longest unused.
      this.#statements.delete(text);
      this.#statements.set(text, known);
      return known;
    }
    const statement = new PreparedStatement(text);
    if (keep && this.#limit > 0) {
      this.#statements.set(text, statement);
      if (this.#statements.size > this.#limit) {
        const [oldest] = this.#statements.keys();
        this.#statements.delete(oldest!);
      }
    }
    return statement;
  }

  /** How many are kept. */
  get size(): number {
    return this.#statements.size;
  }

  /** Forgets all: the schema changed. */
  clear(): void {
    this.#statements.clear();
  }
}
