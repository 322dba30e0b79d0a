/**
 * How a database spells SQL. What two databases agree on is in `compiler.ts` and `ddl.ts`; a
 * dialect holds the difference.
 *
 * @module
 */

import type { Column as TableColumn, Table } from "../schema/table.ts";
import type { Node } from "../sql/node.ts";
import type { WireRow, WireValue } from "../sql/wire.ts";
import type { DialectName, DriverColumn, DriverStatement } from "./driver.ts";

/** What several rows are inserted with: the shape is fixed, the rows vary. */
export interface InsertShape {
  /** Into which table. */
  readonly table: Table;
  /** The columns that are given. */
  readonly columns: readonly TableColumn[];
  /** The columns that are read back. */
  readonly returning: readonly TableColumn[];
  /** What to do when a row is there already; absent: fail. */
  readonly onConflict?: OnConflict | undefined;
}

/** `on conflict (target) do update set …`, or `do nothing` when `update` is empty. */
export interface OnConflict {
  /** The columns of a unique constraint; empty: any. */
  readonly target: readonly TableColumn[];
  /** The columns to take from the new row. */
  readonly update: readonly TableColumn[];
  /** Columns that get a value of their own. */
  readonly set?: readonly { readonly column: TableColumn; readonly value: WireValue }[] | undefined;
  /** A column that counts the changes. */
  readonly counter?: TableColumn | undefined;
  /** A column that is to be as in the new row: other rows are left alone. */
  readonly guard?: TableColumn | undefined;
}

/** How rows are copied in. */
export interface CopyShape {
  /** `COPY … FROM STDIN`. */
  readonly text: string;
  /** Rows, given by position, as lines. */
  encode(rows: readonly WireRow[]): Uint8Array;
}

/** What several rows are updated with. */
export interface UpdateShape {
  /** Which table. */
  readonly table: Table;
  /** The columns that identify a row. */
  readonly keys: readonly TableColumn[];
  /** The columns that are set. */
  readonly columns: readonly TableColumn[];
  /** A column that counts the changes. */
  readonly counter?: TableColumn | undefined;
  /** The columns that are read back of every row that was there, in any order; absent: none. */
  readonly returning?: readonly TableColumn[] | undefined;
}

/** What several rows are deleted by. */
export interface DeleteShape {
  /** Which table. */
  readonly table: Table;
  /** The columns that identify a row. */
  readonly keys: readonly TableColumn[];
  /** The columns that are read back of every row that was there, in any order; absent: none. */
  readonly returning?: readonly TableColumn[] | undefined;
}

/** A statement, and how many of the given rows it covers. */
export interface RowsStatement extends DriverStatement {
  /** Rows of the input this statement covers. */
  readonly rows: number;
}

/** A parameter of a prepared statement whose value comes when it is run. */
export interface ParameterSlot {
  /** Its index among the parameters. */
  readonly position: number;
  /** The name under which it is given. */
  readonly name: string;
  /** Encodes the value, or refuses it. */
  readonly encode: (value: unknown) => WireValue;
}

/** A compiled statement, and which of its parameters have no value yet. */
export interface PreparedStatement extends DriverStatement {
  /** The parameters to fill in; absent: none. */
  readonly slots?: readonly ParameterSlot[];
}

/** One database's SQL. */
export interface Dialect {
  /** Its name. */
  readonly name: DialectName;
  /** Spells a statement. Values are encoded here, so that bad ones are refused before sending. */
  compile(statement: Node): PreparedStatement;
  /** How many values a statement can have. */
  readonly maxParameters: number;
  /** So many rows are sure to be one statement of `insertRows` or `deleteRows`; more can be several. */
  readonly rowsAtOnce: number;
  /**
   * Decodes the rows of a statement whose types only the database knows (the `sql` tag): one
   * decoder for each column.
   */
  decoders(columns: readonly DriverColumn[]): ((wire: WireValue) => unknown)[];
  /**
   * Inserts rows, given by position as in `shape.columns`, or at the `places` in that order;
   * RETURNING gives its rows in the same order. One statement where the database takes arrays, else
   * as many as its limits ask for.
   */
  insertRows(
    shape: InsertShape,
    rows: readonly WireRow[],
    places?: readonly number[],
  ): RowsStatement[];
  /** How rows of this shape are copied in; absent where the database has no COPY. */
  copyRows?(shape: Pick<InsertShape, "table" | "columns">): CopyShape;
  /** Updates rows, each given as its key's values and then those of `shape.columns`. */
  updateRows(shape: UpdateShape, rows: readonly WireRow[]): RowsStatement[];
  /**
   * Reads the columns of `shape.returning` by key; absent where RETURNING tells what triggers have
   * made of a row.
   */
  readRows?(shape: DeleteShape, keys: readonly WireRow[]): RowsStatement[];
  /** Deletes rows by key. */
  deleteRows(shape: DeleteShape, keys: readonly WireRow[]): RowsStatement[];
  /** One bound parameter that holds a list of a type, for `InNode` and loading by key. */
  listParameter(values: readonly WireValue[], cast: string | undefined): WireValue;
  /** The text that tests `term` against the list in the parameter at `position`. */
  inList(term: string, position: number, cast: string | undefined, negated: boolean): string;
  /**
   * `CREATE TABLE` and its indexes, without the foreign keys to `later`: tables that do not exist
   * yet where the database minds.
   */
  createTable(table: Table, later: readonly Table[]): string[];
  /** The foreign keys that `createTable` left out. */
  addForeignKeys(table: Table, later: readonly Table[]): string[];
  /** Gives a row with a value if the table exists; none, or null, if it does not. */
  tableExists(table: Table): DriverStatement;
  /** `DROP TABLE`. */
  dropTable(table: Table): string[];
  /** `DROP TYPE` of the types a table brought along, once all tables are gone. */
  dropTypes(table: Table): string[];
}
