/**
 * What is in the database: tables, their columns and constraints. Knows nothing of classes.
 *
 * @module
 */

import type { ReferentialAction } from "./column.ts";
import type { ColumnType } from "./types.ts";

/** A column of a table. */
export interface Column {
  /** Its name in the database. */
  readonly name: string;
  /** `authors.name` by property name, for messages. */
  readonly label: string;
  /** Its type. */
  readonly type: ColumnType<unknown>;
  /** Takes null. */
  readonly nullable: boolean;
  /** The database gives the value: an identity column. */
  readonly generated: boolean;
  /** An SQL expression for rows that are given no value. */
  readonly defaultSql: string | undefined;
  /** No two rows have the same value. */
  readonly unique: boolean;
  /** Has an index. */
  readonly indexed: boolean;
}

/** A foreign key of one column. */
export interface ForeignKey {
  /** The column that holds the key. */
  readonly column: Column;
  /** The table it points to. */
  readonly target: Table;
  /** The column it points to. */
  readonly targetColumn: Column;
  /** When the target is deleted. */
  readonly onDelete: ReferentialAction | undefined;
  /** When the target's key changes. */
  readonly onUpdate: ReferentialAction | undefined;
}

/** A table. */
export interface Table {
  /** Its schema, if qualified. */
  readonly schema: string | undefined;
  /** Its name. */
  readonly name: string;
  /** Its columns. */
  readonly columns: readonly Column[];
  /** The primary key's columns. */
  readonly primaryKey: readonly Column[];
  /** The foreign keys; filled in when all tables are known. */
  readonly foreignKeys: readonly ForeignKey[];
}
