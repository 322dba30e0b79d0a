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

/** A foreign key. */
export interface ForeignKey {
  /** The columns that hold the key. */
  readonly columns: readonly Column[];
  /** The table it points to. */
  readonly target: Table;
  /** The columns it points to, in the same order. */
  readonly targetColumns: readonly Column[];
  /** When the target is deleted. */
  readonly onDelete: ReferentialAction | undefined;
  /** When the target's key changes. */
  readonly onUpdate: ReferentialAction | undefined;
}

/** An index of a table. */
export interface Index {
  /** Its name; absent: made from the table and the columns. */
  readonly name: string | undefined;
  /** The columns. */
  readonly columns: readonly Column[];
  /** No two rows have the same values. */
  readonly unique: boolean;
  /** Only rows that meet this condition are in it. Trusted SQL. */
  readonly where: string | undefined;
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
  /** Columns whose values together occur once. */
  readonly unique: readonly (readonly Column[])[];
  /** Indexes, beside those of single columns. */
  readonly indexes: readonly Index[];
  /** Conditions that every row meets. Trusted SQL. */
  readonly checks: readonly string[];
}
