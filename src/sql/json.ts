/**
 * `jsonObject()`: several values as one, for `jsonAgg()` and subqueries.
 *
 * @module
 */

import { InputError } from "../errors.ts";
import { Expression } from "./expression.ts";
import { type FunctionNode, type Node, typeOf } from "./node.ts";
import { call, describe, expressionIn } from "./operand.ts";
import type { RowOf, Selection } from "./selection.ts";

/** PostgreSQL takes 100 arguments, SQLite 127: a name and a value for each. */
const MOST_NAMES = 50;
const MAX_DEPTH = 16;

/** The node of an object of expressions; undefined for what is none. */
export function jsonObjectNode(given: unknown, what: string, depth = 0): FunctionNode | undefined {
  const isObject = typeof given === "object" && given !== null && !Array.isArray(given) &&
    [Object.prototype, null].includes(Object.getPrototypeOf(given));
  if (!isObject) return undefined;
  const names = Object.keys(given);
  if (names.length === 0 || names.length > MOST_NAMES || depth > MAX_DEPTH) {
    throw new InputError(
      depth > MAX_DEPTH
        ? `${what} nests deeper than ${MAX_DEPTH} levels`
        : `${what} takes 1 to ${MOST_NAMES} names, found ${names.length}`,
      { hint: "Write it as { id: a.id, name: a.name }; objects nest" },
    );
  }
  const args = names.map((name): Node => {
    const value = (given as Record<string, unknown>)[name];
    const node = expressionIn(value) ?? jsonObjectNode(value, what, depth + 1);
    if (node !== undefined) return node;
    throw new InputError(`${what} takes columns by name, found ${describe(value)} as "${name}"`, {
      hint: "Write it as { id: a.id, name: a.name }; objects nest",
    });
  });
  const objectOf = names.map((name, i) => [name, typeOf(args[i]!)] as const);
  return call("jsonObject", { objectOf }, args, { names });
}

/**
 * Several values as one JSON object. What is read of it is exact, whatever the types: each value goes
 * through the decoder of its column, at every depth.
 *
 * @throws {InputError} for more than 50 names, and for what is no expression.
 *
 * @example
 * ```ts
 * import { AsyncEngine, createAll, entity, integer, jsonObject, text } from "@sluice/orm";
 * import { assertEquals } from "@std/assert";
 *
 * class Pet extends entity("pets", { id: integer().primaryKey(), name: text() }) {}
 * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Pet] });
 * await createAll(engine);
 * await using session = engine.session();
 * await session.bulkInsert(Pet, [{ id: 1, name: "Ant" }]);
 *
 * const pets = session.query(Pet).select((p) => jsonObject({ id: p.id, tag: { name: p.name } }));
 * assertEquals(await pets.all(), [{ id: 1, tag: { name: "Ant" } }]);
 * ```
 */
export function jsonObject<const S extends Selection>(values: S): Expression<RowOf<S>> {
  const node = jsonObjectNode(values, "jsonObject()");
  if (node !== undefined) return new Expression(node);
  throw new InputError(`jsonObject() takes an object of columns, found ${describe(values)}`, {
    hint: "Write it as jsonObject({ id: a.id, name: a.name })",
  });
}
