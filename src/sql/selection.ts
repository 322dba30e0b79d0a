/** Expressions by name, and what a row of them is. @module */

import type { Expression } from "./expression.ts";

/** What `select()` and `jsonObject()` take: expressions by name; objects nest. */
export interface Selection {
  /** A value, or an object of values. */
  readonly [name: string]: Expression<unknown> | Selection;
}

/** A row of a selection: the values of its expressions. */
export type RowOf<S> = S extends Expression<infer T> ? T
  : { -readonly [K in keyof S]: RowOf<S[K]> };
