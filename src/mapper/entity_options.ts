/**
 * The third argument of `entity()`: what concerns the table or the entity as a whole.
 *
 * @module
 */

import type { ReferentialAction } from "../schema/column.ts";
import type { Condition } from "../sql/expression.ts";
import type { ColumnNames, ColumnRefs } from "./types.ts";

/** An index of several columns, or one with a condition. */
export interface IndexOptions<N> {
  /** The columns, by property. */
  readonly columns: readonly N[];
  /** No two rows have the same values. Default false. */
  readonly unique?: boolean | undefined;
  /** Only rows that meet this condition are in it. Trusted SQL. */
  readonly where?: string | undefined;
  /** Its name. Default: made from the table and the columns. */
  readonly name?: string | undefined;
}

/** A foreign key of several columns. */
export interface ForeignKeyOptions<N> {
  /** The columns that hold the key, by property. */
  readonly columns: readonly N[];
  /** The columns it points to, in the same order, as `"table.column"`. */
  readonly references: readonly string[];
  /** When the target row is deleted. */
  readonly onDelete?: ReferentialAction | undefined;
  /** When the target's key changes. */
  readonly onUpdate?: ReferentialAction | undefined;
}

/** What concerns the table or the entity as a whole. */
export interface EntityOptions<F> {
  /** Columns, by property, whose values together occur once: `[["authorId", "title"]]`. */
  readonly unique?: readonly (readonly ColumnNames<F>[])[] | undefined;
  /** Indexes of several columns: `[["lastName", "firstName"]]`. */
  readonly indexes?:
    | readonly (readonly ColumnNames<F>[] | IndexOptions<ColumnNames<F>>)[]
    | undefined;
  /** Conditions that every row meets. Trusted SQL: `["price >= 0"]`. */
  readonly checks?: readonly string[] | undefined;
  /** Foreign keys of several columns; those of one are said by `.references()`. */
  readonly foreignKeys?: readonly ForeignKeyOptions<ColumnNames<F>>[] | undefined;
  /**
   * Conditions that every query of the entity gets, by name, relations and counts included.
   * `query.unfiltered("name")` switches one off.
   */
  readonly filters?: { readonly [name: string]: (columns: ColumnRefs<F>) => Condition } | undefined;
  /** A view, or a table that only others write: objects are loaded and never stored. Default false. */
  readonly readOnly?: boolean | undefined;
}

/** The options, of whichever entity. */
export interface AnyEntityOptions {
  /** See `EntityOptions`. */
  readonly unique?: readonly (readonly string[])[] | undefined;
  /** See `EntityOptions`. */
  readonly indexes?: readonly (readonly string[] | IndexOptions<string>)[] | undefined;
  /** See `EntityOptions`. */
  readonly checks?: readonly string[] | undefined;
  /** See `EntityOptions`. */
  readonly foreignKeys?: readonly ForeignKeyOptions<string>[] | undefined;
  /** See `EntityOptions`. */
  readonly filters?: { readonly [name: string]: (columns: never) => Condition } | undefined;
  /** See `EntityOptions`. */
  readonly readOnly?: boolean | undefined;
}
