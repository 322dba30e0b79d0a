/**
 * Column groups: several columns as one plain object, `author.address.city`.
 *
 * @module
 */

import type { Column } from "../schema/column.ts";

declare const types: unique symbol;

/** The columns of a group. */
// deno-lint-ignore no-explicit-any -- the bound of an inferred parameter
export type EmbeddedFields = { readonly [name: string]: Column<any, any> };

/** A group of columns; `N` is null where the whole group can be. */
export class Embedded<G extends EmbeddedFields, N extends null = never> {
  /** For the compiler's eyes only. */
  declare readonly [types]: { readonly nothing: () => N };
  /** The columns, by the properties of the object. */
  readonly fields: G;
  /** The object can be null: then all columns are. */
  readonly isNullable: boolean;
  /** What the columns' names begin with; absent: the property's name. */
  readonly prefixName: string | undefined;

  /** Users call `embedded()` instead. */
  constructor(fields: G, isNullable: boolean, prefixName: string | undefined) {
    this.fields = fields;
    this.isNullable = isNullable;
    this.prefixName = prefixName;
  }

  /** The object can be null. It is null when all of its columns are. */
  nullable(): Embedded<G, null> {
    return new Embedded<G, null>(this.fields, true, this.prefixName);
  }

  /** What the columns' names begin with, where it is not the property's name. Can be empty. */
  prefix(name: string): Embedded<G, N> {
    return new Embedded<G, N>(this.fields, this.isNullable, name);
  }
}

/**
 * A group of columns as one plain object: `address: embedded({ street: text(), city: text() })` is
 * the columns `address_street` and `address_city`. Changes inside of it are tracked.
 *
 * @example
 * ```ts
 * import { embedded, entity, integer, text } from "@sluice/orm";
 * import { assertEquals } from "@std/assert";
 *
 * class Shop extends entity("shops", {
 *   id: integer().primaryKey().generated(),
 *   address: embedded({ street: text(), city: text() }),
 *   owner: embedded({ name: text() }).nullable(),
 * }) {}
 *
 * const shop = new Shop({ address: { street: "Main St 1", city: "Springfield" } });
 * assertEquals(shop.address.city, "Springfield");
 * assertEquals(shop.owner, null);
 * ```
 */
export function embedded<const G extends EmbeddedFields>(fields: G): Embedded<G> {
  return new Embedded<G>(fields, false, undefined);
}
