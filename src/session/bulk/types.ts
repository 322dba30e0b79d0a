/** What bulk calls take and give. @module */

import type { CallOptions } from "../../dialect/driver.ts";
import type { ColumnNames, FieldsOf, GroupNames, PropertyOf } from "../../mapper/types.ts";
import type { PresenceOf, ValueOf } from "../../schema/column.ts";

/** The columns that a row must be given. */
export type RequiredColumns<F> = {
  [K in ColumnNames<F>]: PresenceOf<F[K]> extends "required" ? K : never;
}[ColumnNames<F>];

/** One row: the columns of an entity by property. What has a default can be left out. */
export type BulkRow<E> = BulkRowOf<FieldsOf<E>>;

/** A row of a set of declarations. */
export type BulkRowOf<F> =
  & { readonly [K in RequiredColumns<F>]: PropertyOf<F[K]> }
  & { readonly [K in Exclude<ColumnNames<F>, RequiredColumns<F>>]?: PropertyOf<F[K]> }
  & { readonly [K in GroupNames<F>]: PropertyOf<F[K]> };

/** Some columns of an entity by property. */
export type BulkValues<E> = { readonly [K in ColumnNames<FieldsOf<E>>]?: ValueOf<FieldsOf<E>[K]> };

/** The names of an entity's columns, by property. */
export type BulkColumn<E> = ColumnNames<FieldsOf<E>> & string;

/** Rows read back: the named columns. */
export type BulkReturned<E, K extends BulkColumn<E>> = {
  -readonly [P in K]: ValueOf<FieldsOf<E>[P & keyof FieldsOf<E>]>;
};

/** Where rows come from: an array, an iterable, an async iterable or a web stream. */
export type Source<T> = Iterable<T> | AsyncIterable<T>;

/** Where the rows of a `bulkInsert()` come from. */
export type RowSource<E> = Source<BulkRow<E>>;

/** What happens to a row that is there already. */
export type OnConflictOption<E> = "nothing" | {
  /** The columns of a unique constraint. Without them any constraint counts, for `"nothing"` only. */
  readonly target?: BulkColumn<E> | readonly BulkColumn<E>[] | undefined;
  /** The columns that are taken from the new row, or `"nothing"`. */
  readonly update?: readonly BulkColumn<E>[] | "nothing" | undefined;
  /** Columns that are given these values. */
  readonly set?: BulkValues<E> | undefined;
};

/** How rows get to the database: `auto` decides by their number and what is asked for. */
export type BulkMethod = "auto" | "insert" | "copy";

/** How `bulkInsert()` works. */
export interface BulkInsertOptions<E> extends CallOptions {
  /** What happens to a row that is there already. Default: the call fails. */
  onConflict?: OnConflictOption<E> | undefined;
  /**
   * How rows get to the database. Default `auto`: on PostgreSQL by COPY from 1,000 rows up, unless rows
   * are read back or can conflict; else by array-bound INSERT. On SQLite always by multi-row INSERT.
   */
  method?: BulkMethod | undefined;
  /** The columns to read back. */
  returning?: undefined;
}

/** How `bulkInsert()` works when it gives rows back. */
export interface BulkReturningOptions<E, K extends BulkColumn<E>>
  extends Omit<BulkInsertOptions<E>, "returning"> {
  /** The columns to read back: one row for each that was stored, in the order of the source. */
  returning: readonly K[];
}

/** How `bulkUpsert()` works. */
export interface BulkUpsertOptions<E> extends CallOptions {
  /** The columns of the unique constraint that tells rows apart. Default: the primary key. */
  target?: BulkColumn<E> | readonly BulkColumn<E>[] | undefined;
  /** The columns to take from the new row. Default: all that it gives, but for the target. */
  update?: readonly BulkColumn<E>[] | undefined;
  /** Columns that are given these values when the row is there already. */
  set?: BulkValues<E> | undefined;
  /** The columns to read back. */
  returning?: undefined;
}

/** How `bulkUpsert()` works when it gives rows back. */
export interface BulkUpsertReturningOptions<E, K extends BulkColumn<E>>
  extends Omit<BulkUpsertOptions<E>, "returning"> {
  /** The columns to read back: one row for each of the source, in its order. */
  returning: readonly K[];
}
