/**
 * The `sql` tag, for what the expression language does not cover. Values become bound
 * parameters, entities and columns quoted names; a bare string cannot be spliced.
 *
 * @module
 */

import { InputError } from "../errors.ts";
import { describe, Expression } from "./expression.ts";
import { type Node, nodeIn, nodeOf } from "./node.ts";

/**
 * A statement or a piece of one, made by the `sql` tag. `T` is the type of its rows where it is
 * executed, of its value where it stands in an expression.
 */
export class Sql<out T> extends Expression<T> {}

/** The `sql` tag and its helpers. */
export interface SqlTag {
  /**
   * A statement or fragment. Interpolated values are bound; entities, columns and other
   * fragments are compiled in place.
   */
  <T = Record<string, unknown>>(strings: TemplateStringsArray, ...values: unknown[]): Sql<T>;
  /** Splices text as it stands. Only for text that no user can touch. */
  raw<T = unknown>(trusted: string): Sql<T>;
  /** A quoted name; several parts make a qualified one. */
  identifier(...parts: string[]): Sql<unknown>;
  /** Fragments or values with a separator (default `, `) in between. */
  join(items: readonly unknown[], separator?: Sql<unknown>): Sql<unknown>;
}

/**
 * Writes SQL by hand, safely.
 *
 * @throws {InputError} when called as a function, or given a value that cannot be bound.
 *
 * @example
 * ```ts
 * import { AsyncEngine, sql } from "@sluice/orm";
 * import { assertEquals } from "@std/assert";
 *
 * await using engine = new AsyncEngine("sqlite::memory:");
 * const name = "'; drop table authors; --";
 * const result = await engine.execute(sql<{ n: number; name: string }>`select 1 as n, ${name} as name`);
 * assertEquals(result.one(), { n: 1, name });
 * ```
 */
export const sql: SqlTag = Object.assign(
  function sql<T>(strings: TemplateStringsArray, ...values: unknown[]): Sql<T> {
    if (!Array.isArray(strings) || !Array.isArray(strings.raw) || !Object.isFrozen(strings)) {
      throw new InputError(`sql is a template tag and was called with ${describe(strings)}`, {
        hint: "Write sql`select … ${value}`; for trusted text use sql.raw(text)",
      });
    }
    const parts: (string | Node)[] = [strings[0]!];
    values.forEach((value, i) => {
      parts.push(partNode(value, i + 1), strings[i + 1]!);
    });
    return new Sql<T>({ kind: "raw", parts });
  },
  {
    raw<T>(trusted: string): Sql<T> {
      if (typeof trusted !== "string") {
        throw new InputError(`sql.raw() expects a string, found ${describe(trusted)}`);
      }
      return new Sql<T>({ kind: "raw", parts: [trusted] });
    },
    identifier(...names: string[]): Sql<unknown> {
      const parts = names.flatMap((name, i): (string | Node)[] => {
        const identifier: Node = { kind: "identifier", name };
        return i === 0 ? [identifier] : [".", identifier];
      });
      return new Sql({ kind: "raw", parts });
    },
    join(items: readonly unknown[], separator?: Sql<unknown>): Sql<unknown> {
      const parts = items.flatMap((item, i): (string | Node)[] => {
        const part = partNode(item, i + 1);
        return i === 0 ? [part] : [separator === undefined ? ", " : separator[nodeOf], part];
      });
      return new Sql({ kind: "raw", parts });
    },
  },
);

function partNode(value: unknown, position: number): Node {
  return nodeIn(value) ??
    { kind: "value", value, type: undefined, label: `sql value ${position}` };
}
