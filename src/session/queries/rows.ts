/**
 * Queries as sources of other queries: what makes one of them, and common table expressions.
 *
 * @module
 */

import type { CteNode, CteSource, Node, SelectNode, Source } from "../../sql/node.ts";
import { refsOfPlan, type SelectionPlan } from "./selection.ts";

/** A query or CTE whose rows are those of a selection `S`. */
export interface Rows<out S> {
  /**
   * Makes a source of it.
   *
   * @internal
   */
  readonly [sourceOf]: (lateral: boolean) => { readonly source: Source; readonly refs: unknown };
  /** For the compiler's eyes only. */
  readonly selection?: S;
}

/** The key of what makes a source of a query. */
export const sourceOf: unique symbol = Symbol("sluice.source");

/** The key of a query's columns by name. */
export const selectionOf: unique symbol = Symbol("sluice.selection");

/** A common table expression: `with … as (…)`. Give it to `session.from()` and to joins. */
export class Cte<S> implements Rows<S> {
  readonly #node: CteNode;
  readonly #selection: SelectionPlan;
  /** For the compiler's eyes only. */
  declare readonly selection?: S;

  /** Made by `query.cte()`. */
  constructor(node: CteNode, selection: SelectionPlan) {
    this.#node = node;
    this.#selection = selection;
  }

  /**
   * A use of it.
   *
   * @internal
   */
  [sourceOf](_lateral: boolean): { readonly source: Source; readonly refs: unknown } {
    const source: CteSource = { kind: "cteSource", cte: this.#node };
    return { source, refs: refsOfPlan(this.#selection, source) };
  }
}

/** A select of columns, without anything else. */
export function plainSelect(from: Source | undefined, columns: readonly Node[]): SelectNode {
  return {
    kind: "select",
    columns,
    from,
    where: undefined,
    orderBy: [],
    limit: undefined,
    offset: undefined,
    lock: undefined,
  };
}
