/**
 * The third argument of `entity()`: what concerns the table or the entity as a whole.
 *
 * @module
 */

import type { ReferentialAction } from "../schema/column.ts";
import type { Condition, Expression } from "../sql/expression.ts";
import type { EntityHooks } from "./entity_hooks.ts";
import type {
  ColumnNames,
  ColumnRefs,
  FieldsOf,
  Instance,
  RefsOf,
  SubclassInstance,
} from "./types.ts";

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
  /** Functions that are called when objects are stored. Those of `session.on()` come after them. */
  readonly hooks?: EntityHooks<Instance<F>> | undefined;
}

/** The fourth argument of `subclass()`. What the base class says of all its objects goes on to hold. */
export interface SubclassOptions<B, G> extends
  Pick<
    EntityOptions<FieldsOf<B> & G>,
    "unique" | "indexes" | "checks" | "foreignKeys" | "filters"
  > {
  /**
   * A table of the class's own, for what it declares; qualified by a schema if need be. Its key is
   * that of the base's row, and a foreign key to it. Default: the columns are in the base's table.
   */
  readonly table?: string | undefined;
  /**
   * The columns of that table's key, in the order of the base's. Default: named as the base's.
   */
  readonly key?: string | readonly string[] | undefined;
  /** Functions that are called when objects of the class are stored, after those of the base class. */
  readonly hooks?: EntityHooks<SubclassInstance<B, G>> | undefined;
}

/** Options with computed columns; `C` are their values, by name. */
export interface ComputedOptions<F, C> extends EntityOptions<F> {
  /**
   * Columns that every query works out from the others and from relations, by name:
   * `{ bookCount: (a) => a.books.count() }`. They come with the object, as of the moment it was read,
   * can be used in conditions, orders and `select()`, and are never written. A new object has none.
   */
  readonly computed: { readonly [K in keyof C]: (entity: RefsOf<F>) => Expression<C[K]> };
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
  /** See `ComputedOptions`. */
  readonly computed?: { readonly [name: string]: (refs: never) => unknown } | undefined;
  /** See `EntityOptions`. */
  readonly hooks?: EntityHooks<never> | undefined;
}
