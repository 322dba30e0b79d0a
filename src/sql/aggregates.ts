/**
 * Aggregates and window functions: `count()`, `sum(b.price)`, `rowNumber().over({ … })`.
 *
 * @module
 */

import { InputError } from "../errors.ts";
import {
  type Condition,
  conditionNode,
  Expression,
  type Operand,
  type Order,
} from "./expression.ts";
import {
  type AggregateName,
  type AggregateNode,
  type FrameBound,
  type Node,
  nodeOf,
  typeOf,
  type WindowNode,
} from "./node.ts";
import { jsonObjectNode } from "./json.ts";
import {
  argumentNode,
  checkType,
  checkWhole,
  checkWord,
  describe,
  expressionIn,
  orderNodes,
} from "./operand.ts";
import type { RowOf, Selection } from "./selection.ts";
import type { TypeRef } from "./wire.ts";

/** A list of something, or one. */
export type OneOrMore<T> = T | readonly T[];

/** The rows a window function sees. */
export interface Window {
  /** Rows with equal values of these are a window. Default: all rows. */
  partitionBy?: OneOrMore<Expression<unknown>>;
  /** Their order within the window. */
  orderBy?: OneOrMore<Order | Expression<unknown>>;
  /** Which rows of the window count, seen from the row at hand. */
  frame?: {
    /** What is counted: rows, values, or groups of equal rows. */
    mode: "rows" | "range" | "groups";
    /** The first. */
    from: FrameBound;
    /** The last. Default `currentRow`. */
    to?: FrameBound;
  };
}

/** A function that needs a window: finish it with `.over({ … })`. */
export class WindowFunction<out T> {
  readonly #node: AggregateNode;
  /** For the compiler's eyes only. */
  declare readonly valueType?: T;

  /** Made by `rowNumber()`, `lag()`, … */
  constructor(node: AggregateNode) {
    this.#node = node;
  }

  /** Its value over a window. */
  over(window: Window = {}): Expression<T> {
    return new Expression({ ...this.#node, over: windowNode(window) });
  }
}

/** The value of a group of rows; by `.over({ … })` of a window. */
export class Aggregate<out T> extends Expression<T> {
  readonly #node: AggregateNode;

  /** Made by `count()`, `sum()`, … */
  constructor(node: AggregateNode) {
    super(node);
    this.#node = node;
  }

  /** Only of rows that meet the condition. */
  filter(condition: Condition): Aggregate<T> {
    const node = conditionNode(condition, "filter()");
    return new Aggregate({ ...this.#node, filter: node });
  }
  /** Of equal values once. */
  distinct(): Aggregate<T> {
    return new Aggregate({ ...this.#node, distinct: true });
  }
  /** Takes the values in an order: for `stringAgg`, `arrayAgg` and `jsonAgg`. */
  orderBy(...order: (Order | Expression<unknown>)[]): Aggregate<T> {
    return new Aggregate({ ...this.#node, orderBy: orderNodes(order, "orderBy()") });
  }
  /** Its value over a window, for each row. */
  over(window: Window = {}): Expression<T> {
    return new Expression({ ...this.#node, over: windowNode(window) });
  }
}

function list<T>(given: OneOrMore<T> | undefined): readonly T[] {
  return given === undefined ? [] : Array.isArray(given) ? given : [given as T];
}

function windowNode(window: Window): WindowNode {
  for (const name of Object.keys(window)) {
    checkWord("A window's option", name, ["partitionBy", "orderBy", "frame"]);
  }
  const { frame } = window;
  return {
    partitionBy: list(window.partitionBy).map((by) => expression(by, "partitionBy")),
    orderBy: orderNodes(list(window.orderBy), "orderBy"),
    frame: frame === undefined ? undefined : {
      mode: checkWord("The mode of a frame", frame.mode, ["rows", "range", "groups"]),
      from: bound(frame.from),
      to: bound(frame.to ?? "currentRow"),
    },
  };
}

function bound(given: FrameBound): FrameBound {
  if (typeof given === "object" && given !== null) {
    if ("preceding" in given) return { preceding: checkWhole("preceding", given.preceding, 0) };
    return { following: checkWhole("following", given.following, 0) };
  }
  const words = ["unboundedPreceding", "currentRow", "unboundedFollowing"] as const;
  return checkWord<typeof words[number]>("A bound of a frame", given, words);
}

function expression(given: unknown, what: string): Node {
  const node = expressionIn(given);
  if (node !== undefined) return node;
  throw new InputError(`${what} takes a column or an expression, found ${describe(given)}`);
}

function node(
  name: AggregateName,
  type: TypeRef | undefined,
  args: readonly Node[] = [],
): AggregateNode {
  return {
    kind: "aggregate",
    name,
    args,
    type,
    distinct: false,
    orderBy: [],
    filter: undefined,
    over: undefined,
  };
}

/**
 * How many rows there are, or in how many the expression is not null.
 *
 * @example
 * ```ts
 * import { AsyncEngine, count, createAll, entity, integer, text } from "@sluice/orm";
 * import { assertEquals } from "@std/assert";
 *
 * class Pet extends entity("pets", { id: integer().primaryKey().generated(), kind: text() }) {}
 * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Pet] });
 * await createAll(engine);
 * await using session = engine.session();
 * await session.bulkInsert(Pet, [{ kind: "ant" }, { kind: "bee" }, { kind: "ant" }]);
 *
 * const kinds = session.query(Pet)
 *   .select((p) => ({ kind: p.kind, pets: count() }))
 *   .groupBy((p) => p.kind)
 *   .orderBy(() => count().desc());
 * assertEquals(await kinds.all(), [{ kind: "ant", pets: 2 }, { kind: "bee", pets: 1 }]);
 * ```
 */
export function count(of?: Expression<unknown>): Aggregate<number> {
  return new Aggregate(
    node("count", "double", of === undefined ? [] : [expression(of, "count()")]),
  );
}

/** How many different values there are, null left out. */
export function countDistinct(of: Expression<unknown>): Aggregate<number> {
  return count(of).distinct();
}

/** The sum; null if there are no rows. */
export function sum<T extends number | bigint | string | null>(
  of: Expression<T>,
): Aggregate<T | null> {
  const term = expression(of, "sum()");
  checkType(term, "sum()", ["numbers"]);
  return new Aggregate(node("sum", summed(typeOf(term)), [term]));
}

/** The sum of 32-bit numbers is a 64-bit one, taken as `number`. */
function summed(type: TypeRef | undefined): TypeRef | undefined {
  return typeof type === "object" && "name" in type && ["integer", "smallint"].includes(type.name)
    ? "double"
    : type === "integer" || type === "smallint"
    ? "double"
    : type;
}

/** What an average is: `number`, or an exact `string` of `bigint` and `numeric` columns. */
export type Averaged<T> =
  | (T extends number ? number : never)
  | (T extends bigint | string ? string : never);

/** The average: of `bigint` and `numeric` columns as an exact `string`; null if there are no rows. */
export function avg<T extends number | bigint | string | null>(
  of: Expression<T>,
): Aggregate<Averaged<T> | null> {
  const term = expression(of, "avg()");
  checkType(term, "avg()", ["numbers"]);
  const type = typeOf(term);
  const name = typeof type === "object" && "name" in type ? type.name : type;
  return new Aggregate(
    node("avg", name === "bigint" || name === "numeric" ? "numeric" : "double", [term]),
  );
}

/** The smallest value; null if there are no rows. */
export function min<T>(of: Expression<T>): Aggregate<T | null> {
  const term = expression(of, "min()");
  return new Aggregate(node("min", typeOf(term), [term]));
}

/** The largest value; null if there are no rows. */
export function max<T>(of: Expression<T>): Aggregate<T | null> {
  const term = expression(of, "max()");
  return new Aggregate(node("max", typeOf(term), [term]));
}

/** The texts, joined by a separator; null if there are no rows. */
export function stringAgg(
  of: Expression<string | null>,
  separator: string,
): Aggregate<string | null> {
  const term = expression(of, "stringAgg()");
  checkType(term, "stringAgg()", ["text"]);
  return new Aggregate(
    node("stringAgg", "text", [term, argumentNode(separator, "text", "stringAgg()")]),
  );
}

/** The values as an array, exact whatever their type; empty if there are no rows. */
export function arrayAgg<T>(of: Expression<T>): Aggregate<T[]> {
  const term = expression(of, "arrayAgg()");
  return new Aggregate(node("arrayAgg", { arrayOf: typeOf(term) ?? "text" }, [term]));
}

/**
 * Objects as one array, of columns by name; empty if there are no rows. What is read is exact,
 * whatever the types, as with `jsonObject()`.
 *
 * @example
 * ```ts
 * import { AsyncEngine, createAll, entity, integer, jsonAgg, numeric, text } from "@sluice/orm";
 * import { assertEquals } from "@std/assert";
 *
 * class Book extends entity("books", {
 *   id: integer().primaryKey(),
 *   price: numeric(10, 2),
 *   author: text(),
 * }) {}
 * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Book] });
 * await createAll(engine);
 * await using session = engine.session();
 * await session.bulkInsert(Book, [{ id: 1, price: "9.50", author: "Ada" }]);
 *
 * const authors = session.query(Book).groupBy((b) => b.author).select((b) => ({
 *   name: b.author,
 *   books: jsonAgg({ id: b.id, price: b.price }).orderBy(b.id),
 * }));
 * assertEquals(await authors.all(), [{ name: "Ada", books: [{ id: 1, price: "9.50" }] }]);
 * ```
 */
export function jsonAgg<const S extends Selection>(of: S): Aggregate<RowOf<S>[]>;
/** The values as one JSON array, as JSON knows them; empty if there are no rows. */
export function jsonAgg<T = unknown>(of: Expression<unknown>): Aggregate<T[]>;
export function jsonAgg(of: unknown): Aggregate<unknown[]> {
  const term = jsonObjectNode(of, "jsonAgg()") ?? expression(of, "jsonAgg()");
  const type = typeOf(term);
  const isShape = typeof type === "object" && ("objectOf" in type || "listOf" in type);
  return new Aggregate(node("jsonAgg", isShape ? { listOf: type } : "json", [term]));
}

/** The condition holds in all rows; null if there are none. */
export function boolAnd(of: Expression<boolean | null>): Aggregate<boolean | null> {
  return new Aggregate(node("every", "boolean", [conditionNode(of, "boolAnd()")]));
}

/** The condition holds in at least one row; null if there are none. */
export function boolOr(of: Expression<boolean | null>): Aggregate<boolean | null> {
  return new Aggregate(node("some", "boolean", [conditionNode(of, "boolOr()")]));
}

/** The row's number within its window, from 1. */
export function rowNumber(): WindowFunction<number> {
  return new WindowFunction(node("rowNumber", "double"));
}
/** The row's rank within its window; equal rows have the same, and leave a gap. */
export function rank(): WindowFunction<number> {
  return new WindowFunction(node("rank", "double"));
}
/** The row's rank within its window; equal rows have the same, and leave no gap. */
export function denseRank(): WindowFunction<number> {
  return new WindowFunction(node("denseRank", "double"));
}
/** The rank from 0 to 1. */
export function percentRank(): WindowFunction<number> {
  return new WindowFunction(node("percentRank", "double"));
}
/** The share of rows up to this one. */
export function cumeDist(): WindowFunction<number> {
  return new WindowFunction(node("cumeDist", "double"));
}
/** The number, from 1, of the row's bucket, when the window is cut into so many. */
export function ntile(buckets: number): WindowFunction<number> {
  const size = checkWhole("ntile()", buckets, 1);
  return new WindowFunction(node("ntile", "double", [argumentNode(size, "integer", "ntile()")]));
}

/** The value in the row `offset` rows before; null or `fallback` if there is none. */
export function lag<T>(
  of: Expression<T>,
  offset = 1,
  fallback?: Operand<T>,
): WindowFunction<T | null> {
  return neighbour("lag", of, offset, fallback);
}
/** The value in the row `offset` rows after; null or `fallback` if there is none. */
export function lead<T>(
  of: Expression<T>,
  offset = 1,
  fallback?: Operand<T>,
): WindowFunction<T | null> {
  return neighbour("lead", of, offset, fallback);
}

function neighbour<T>(
  name: "lag" | "lead",
  of: Expression<T>,
  offset: number,
  fallback: unknown,
): WindowFunction<T | null> {
  const term = expression(of, `${name}()`);
  const args = [term, argumentNode(checkWhole(`${name}()`, offset, 0), "integer", `${name}()`)];
  if (fallback !== undefined) args.push(argumentNode(fallback, typeOf(term), `${name}()`));
  return new WindowFunction(node(name, typeOf(term), args));
}

/** The value in the first row of the frame. */
export function firstValue<T>(of: Expression<T>): WindowFunction<T> {
  return new WindowFunction(node("firstValue", typeOf(of[nodeOf]), [of[nodeOf]]));
}
/** The value in the last row of the frame, which by default is the row at hand. */
export function lastValue<T>(of: Expression<T>): WindowFunction<T> {
  return new WindowFunction(node("lastValue", typeOf(of[nodeOf]), [of[nodeOf]]));
}
