/**
 * `Expression<T>`: an immutable piece of a statement whose value is a `T`, and the operators on
 * it. Values are always bound, never spliced.
 *
 * @module
 */

import { InputError } from "../errors.ts";
import {
  type BinaryOperator,
  type FunctionName,
  type HasNode,
  type LogicalNode,
  type Node,
  nodeIn,
  nodeOf,
  type OrderNode,
  typeNameOf,
  typeOf,
} from "./node.ts";
import { inNode } from "./in_list.ts";
import {
  argumentNode,
  call,
  checkType,
  checkWhole,
  checkWord,
  describe,
  expressionIn,
  isOfKind,
  labelOf,
  operandNode,
} from "./operand.ts";
import { likeNode, partNode } from "./pattern.ts";
import type { TypeName, TypeNames, TypeRef } from "./wire.ts";

export { describe } from "./operand.ts";

/** A value of type `T`, or an expression for one. Null is asked for by `isNull()`. */
export type Operand<T> =
  | NonNullable<T>
  | Expression<NonNullable<T>>
  | Expression<NonNullable<T> | null>;

/** Null, if `T` can be null. */
export type NullOf<T> = T & null;
/** Null, if the operand can be null. */
export type NullIn<V> = V extends Expression<infer U> ? NullOf<U> : never;

/** An expression that is true, false or unknown. */
export type Condition = Expression<boolean>;

/** What gives a column of values of type `T`: a query of one column. */
export interface Subquery<out T> extends HasNode {
  /** For the compiler's eyes only: what its rows are. */
  readonly rowType?: T;
}

/** What can be computed with: numbers, and `numeric` columns, which are strings. */
export type Numeric = number | bigint | string | null;

/** Parts of a date or time that can be extracted. */
export type DateField =
  | "year"
  | "quarter"
  | "month"
  | "week"
  | "day"
  | "dayOfWeek"
  | "dayOfYear"
  | "hour"
  | "minute"
  | "second"
  | "epoch";
/** What a moment can be cut down to. */
export type DateUnit = "year" | "quarter" | "month" | "week" | "day" | "hour" | "minute" | "second";

const FIELDS: readonly DateField[] = [
  "year",
  "quarter",
  "month",
  "week",
  "day",
  "dayOfWeek",
  "dayOfYear",
  "hour",
  "minute",
  "second",
  "epoch",
];
const UNITS: readonly DateUnit[] = [
  "year",
  "quarter",
  "month",
  "week",
  "day",
  "hour",
  "minute",
  "second",
];

/**
 * Part of a statement, of value `T`. Columns of an entity are expressions; operators on them make
 * new ones. What a database lacks is refused with a `UsageError` of code `UNSUPPORTED` before
 * anything is sent; the README has the table of differences.
 *
 * @example
 * ```ts
 * import { entity, integer, text } from "@sluice/orm";
 * import { assert } from "@std/assert";
 *
 * class Pet extends entity("pets", { id: integer().primaryKey().generated(), name: text() }) {}
 *
 * const named = Pet.c.name.startsWith("A").and(Pet.c.id.mod(10).gt(5));
 * assert(named);
 * ```
 */
export class Expression<out T> implements HasNode {
  /**
   * The node this expression stands for.
   *
   * @internal
   */
  readonly [nodeOf]: Node;
  /** For the compiler's eyes only: what type the expression has. */
  declare readonly valueType?: T;

  /** Wraps a node. Users get expressions from columns, operators and the `sql` tag. */
  constructor(node: Node) {
    this[nodeOf] = node;
  }

  // --- comparison --------------------------------------------------------------------------------

  /** Equal. Refuses null: use `isNull()`. */
  eq(this: Expression<T>, value: Operand<T>): Condition {
    return this.#compare("=", value);
  }
  /** Not equal. Rows whose value is null match neither `eq` nor `ne`. */
  ne(value: Operand<T>): Condition {
    return this.#compare("<>", value);
  }
  /** Less than. */
  lt(value: Operand<T>): Condition {
    return this.#compare("<", value);
  }
  /** Less than or equal. */
  lte(value: Operand<T>): Condition {
    return this.#compare("<=", value);
  }
  /** Greater than. */
  gt(value: Operand<T>): Condition {
    return this.#compare(">", value);
  }
  /** Greater than or equal. */
  gte(value: Operand<T>): Condition {
    return this.#compare(">=", value);
  }
  /** From `low` to `high`, both included. */
  between(low: Operand<T>, high: Operand<T>): Condition {
    return this.gte(low).and(this.lte(high));
  }

  /**
   * One of the values, or of the rows of a query of one column. An empty list matches nothing. A
   * list is bound as one array, whatever its length.
   */
  in(values: readonly NonNullable<T>[] | Subquery<T>): Condition {
    return new Expression(inNode(this[nodeOf], values, false));
  }
  /**
   * None of the values; an empty list matches everything. As everywhere in SQL, a null among the
   * rows of a subquery makes it unknown for all: leave nulls out of the subquery.
   */
  notIn(values: readonly NonNullable<T>[] | Subquery<T>): Condition {
    return new Expression(inNode(this[nodeOf], values, true));
  }

  /** Is null. */
  isNull(): Condition {
    return new Expression({ kind: "nullTest", term: this[nodeOf], negated: false });
  }
  /** Is not null. */
  isNotNull(): Condition {
    return new Expression({ kind: "nullTest", term: this[nodeOf], negated: true });
  }

  // --- text --------------------------------------------------------------------------------------

  /**
   * Matches a pattern, in which `%` and `_` are wildcards and `\` takes their meaning away.
   * For text from users rather `contains`, `startsWith` or `endsWith`, which escape.
   */
  like(this: Expression<string | null>, pattern: string): Condition {
    return new Expression(likeNode(this[nodeOf], pattern, false));
  }
  /** As `like`, ignoring case (on SQLite for ASCII letters only). */
  ilike(this: Expression<string | null>, pattern: string): Condition {
    return new Expression(likeNode(this[nodeOf], pattern, true));
  }
  /** Contains the text as it stands. */
  contains(this: Expression<string | null>, part: string): Condition;
  /** Contains all elements of an array (PostgreSQL). */
  contains<U>(this: Expression<U[] | null>, items: readonly NoInfer<U>[]): Condition;
  /** Contains the JSON value: its keys with their values, its elements (PostgreSQL). */
  contains(this: Expression<object | null>, part: object): Condition;
  contains(part: unknown): Condition {
    const term = this[nodeOf];
    if (isOfKind(term, "arrays")) return condition("arrayContains", term, operandNode(part, term));
    if (isOfKind(term, "json")) return condition("jsonContains", term, operandNode(part, term));
    return new Expression(partNode(term, part, "%", "%"));
  }
  /** Starts with the text as it stands. */
  startsWith(this: Expression<string | null>, part: string): Condition {
    return new Expression(partNode(this[nodeOf], part, "", "%"));
  }
  /** Ends with the text as it stands. */
  endsWith(this: Expression<string | null>, part: string): Condition {
    return new Expression(partNode(this[nodeOf], part, "%", ""));
  }

  /** This text and the next. Null if one of them is null. */
  concat<V extends Operand<string>>(
    this: Expression<string | null>,
    text: V,
  ): Expression<string | NullOf<T> | NullIn<V>> {
    checkType(this[nodeOf], "concat()", ["text"]);
    return scalarCall("concat", "text", this[nodeOf], argumentNode(text, "text", "concat()"));
  }
  /** In lower case (on SQLite ASCII letters only). */
  lower(this: Expression<string | null>): Expression<T> {
    checkType(this[nodeOf], "lower()", ["text"]);
    return scalarCall("lower", "text", this[nodeOf]);
  }
  /** In upper case (on SQLite ASCII letters only). */
  upper(this: Expression<string | null>): Expression<T> {
    checkType(this[nodeOf], "upper()", ["text"]);
    return scalarCall("upper", "text", this[nodeOf]);
  }
  /** Without spaces at both ends. */
  trim(this: Expression<string | null>): Expression<T> {
    checkType(this[nodeOf], "trim()", ["text"]);
    return scalarCall("trim", "text", this[nodeOf]);
  }
  /** From the character at `start`, counted from 1; `length` of them, or all. */
  substring(this: Expression<string | null>, start: number, length?: number): Expression<T> {
    checkType(this[nodeOf], "substring()", ["text"]);
    const args = [checkWhole("The start of substring()", start, 1)];
    if (length !== undefined) args.push(checkWhole("The length of substring()", length, 0));
    const numbers = args.map((value) => argumentNode(value, "integer", "substring()"));
    return scalarCall("substring", "text", this[nodeOf], ...numbers);
  }
  /** With every `search` replaced. */
  replace(
    this: Expression<string | null>,
    search: Operand<string>,
    replacement: Operand<string>,
  ): Expression<T> {
    checkType(this[nodeOf], "replace()", ["text"]);
    return scalarCall(
      "replace",
      "text",
      this[nodeOf],
      argumentNode(search, "text", "replace()"),
      argumentNode(replacement, "text", "replace()"),
    );
  }
  /** Where `part` begins, counted from 1; 0 if it is not there. */
  position(
    this: Expression<string | null>,
    part: Operand<string>,
  ): Expression<number | NullOf<T>> {
    checkType(this[nodeOf], "position()", ["text"]);
    return scalarCall(
      "position",
      "integer",
      this[nodeOf],
      argumentNode(part, "text", "position()"),
    );
  }
  /** Characters of a text, elements of an array or of a JSON array. */
  length(this: Expression<unknown>): Expression<number | NullOf<T>> {
    const term = this[nodeOf];
    checkType(term, "length()", ["text", "arrays", "json"]);
    const name = isOfKind(term, "arrays")
      ? "arrayLength"
      : isOfKind(term, "json")
      ? "jsonLength"
      : "length";
    return scalarCall(name, "integer", term);
  }

  // --- numbers -----------------------------------------------------------------------------------

  /** Plus. */
  add<V extends Operand<T>>(this: Expression<Numeric>, value: V): Expression<T | NullIn<V>> {
    return arithmetic("add", this[nodeOf], value);
  }
  /** Minus. */
  sub<V extends Operand<T>>(this: Expression<Numeric>, value: V): Expression<T | NullIn<V>> {
    return arithmetic("subtract", this[nodeOf], value);
  }
  /** Times. */
  mul<V extends Operand<T>>(this: Expression<Numeric>, value: V): Expression<T | NullIn<V>> {
    return arithmetic("multiply", this[nodeOf], value);
  }
  /** Divided by; whole numbers are divided without a remainder. */
  div<V extends Operand<T>>(this: Expression<Numeric>, value: V): Expression<T | NullIn<V>> {
    return arithmetic("divide", this[nodeOf], value);
  }
  /** The remainder. */
  mod<V extends Operand<T>>(this: Expression<Numeric>, value: V): Expression<T | NullIn<V>> {
    return arithmetic("modulo", this[nodeOf], value);
  }
  /** The number with the other sign. */
  neg(this: Expression<Numeric>): Expression<T> {
    return arithmetic("negate", this[nodeOf]);
  }
  /** Without its sign. */
  abs(this: Expression<Numeric>): Expression<T> {
    return arithmetic("abs", this[nodeOf]);
  }
  /** Rounded to so many places, default none. */
  round(this: Expression<Numeric>, places = 0): Expression<T> {
    checkType(this[nodeOf], "round()", ["numbers"]);
    const digits = checkWhole("The places of round()", places, 0, 100);
    return scalarCall(
      "round",
      typeOf(this[nodeOf]),
      this[nodeOf],
      argumentNode(digits, "integer", "round()"),
    );
  }
  /** Rounded up. */
  ceil(this: Expression<Numeric>): Expression<T> {
    return arithmetic("ceil", this[nodeOf]);
  }
  /** Rounded down. */
  floor(this: Expression<Numeric>): Expression<T> {
    return arithmetic("floor", this[nodeOf]);
  }

  // --- dates -------------------------------------------------------------------------------------

  /** A part of a date or time, in UTC. Weeks are those of ISO 8601; Sunday is day 0. */
  extract(
    this: Expression<string | object | null>,
    field: DateField,
  ): Expression<number | NullOf<T>> {
    checkType(this[nodeOf], "extract()", ["dates"]);
    const word = checkWord("The field of extract()", field, FIELDS);
    return new Expression(call("extract", "double", [this[nodeOf]], { word }));
  }
  /** Cut down to a unit, in UTC. Weeks begin on Monday. */
  dateTrunc(this: Expression<string | object | null>, unit: DateUnit): Expression<T> {
    checkType(this[nodeOf], "dateTrunc()", ["dates"]);
    const word = checkWord("The unit of dateTrunc()", unit, UNITS);
    return new Expression(call("dateTrunc", typeOf(this[nodeOf]), [this[nodeOf]], { word }));
  }

  // --- JSON --------------------------------------------------------------------------------------

  /** The JSON value at a path of keys and indexes; null if there is none. The path is bound. */
  at<V = unknown>(
    this: Expression<object | null> | Expression<unknown>,
    ...path: (string | number)[]
  ): Expression<V | null> {
    checkType(this[nodeOf], "at()", ["json"]);
    return new Expression(call("jsonAt", "json", [this[nodeOf]], { path: checkPath(path) }));
  }
  /** The value at a path of keys and indexes as text; null if there is none. The path is bound. */
  text(
    this: Expression<object | null> | Expression<unknown>,
    ...path: (string | number)[]
  ): Expression<string | null> {
    checkType(this[nodeOf], "text()", ["json"]);
    return new Expression(call("jsonText", "text", [this[nodeOf]], { path: checkPath(path) }));
  }
  /** The JSON object has the key. */
  hasKey(this: Expression<object | null> | Expression<unknown>, key: string): Condition {
    checkType(this[nodeOf], "hasKey()", ["json"]);
    if (typeof key !== "string") {
      throw new InputError(`hasKey() takes a string, found ${describe(key)}`);
    }
    return new Expression(call("jsonHasKey", "boolean", [this[nodeOf]], { path: [key] }));
  }

  // --- arrays ------------------------------------------------------------------------------------

  /** All elements are among these (PostgreSQL). */
  containedBy<U>(this: Expression<U[] | null>, items: readonly NoInfer<U>[]): Condition {
    checkType(this[nodeOf], "containedBy()", ["arrays"]);
    return condition("arrayContainedBy", this[nodeOf], operandNode(items, this[nodeOf]));
  }
  /** At least one element is among these (PostgreSQL). */
  overlaps<U>(this: Expression<U[] | null>, items: readonly NoInfer<U>[]): Condition {
    checkType(this[nodeOf], "overlaps()", ["arrays"]);
    return condition("arrayOverlaps", this[nodeOf], operandNode(items, this[nodeOf]));
  }
  /** The value is an element of the array. */
  hasElement<U>(this: Expression<U[] | null>, value: Operand<NoInfer<U>>): Condition {
    const term = this[nodeOf];
    checkType(term, "hasElement()", ["arrays"]);
    const type = typeOf(term);
    const element = typeof type === "object" && "element" in type ? type.element : undefined;
    return condition("arrayAny", term, argumentNode(value, element, labelOf(term)));
  }

  // --- logic -------------------------------------------------------------------------------------

  /** Both this and all the others. */
  and(this: Condition, ...others: Condition[]): Condition {
    return allOf(this, ...others);
  }
  /** This or any of the others. */
  or(this: Condition, ...others: Condition[]): Condition {
    return anyOf(this, ...others);
  }
  /** The contrary. */
  not(this: Condition): Condition {
    return new Expression({ kind: "not", term: this[nodeOf] });
  }

  // --- order, types ------------------------------------------------------------------------------

  /** Ascending; nulls last, on every database. */
  asc(): Order {
    return new Order({ kind: "order", term: this[nodeOf], descending: false, nulls: undefined });
  }
  /** Descending; nulls first, on every database. */
  desc(): Order {
    return new Order({ kind: "order", term: this[nodeOf], descending: true, nulls: undefined });
  }

  /** Converted by the database to a type, given by its name. */
  cast<N extends TypeName>(type: N): Expression<TypeNames[N] | NullOf<T>> {
    const word = checkTypeName("cast()", type);
    return new Expression(call("cast", word, [this[nodeOf]], { word }));
  }
  /**
   * Says what type an expression of the `sql` tag has, so that its value is decoded as a column's
   * of that type is. Nothing is converted. Without it the database's own word decides.
   */
  typed(type: TypeName): Expression<T> {
    return new Expression({
      kind: "typed",
      term: this[nodeOf],
      type: checkTypeName("typed()", type),
    });
  }

  #compare(operator: BinaryOperator, value: unknown): Condition {
    const left = this[nodeOf];
    return new Expression({ kind: "binary", operator, left, right: operandNode(value, left) });
  }
}

/** One term of an ORDER BY: `a.name.asc()`. */
export class Order implements HasNode {
  /**
   * The node this term stands for.
   *
   * @internal
   */
  readonly [nodeOf]: OrderNode;

  /** Wraps a node. */
  constructor(node: OrderNode) {
    this[nodeOf] = node;
  }
  /** Nulls before everything else. */
  nullsFirst(): Order {
    return new Order({ ...this[nodeOf], nulls: "first" });
  }
  /** Nulls after everything else. */
  nullsLast(): Order {
    return new Order({ ...this[nodeOf], nulls: "last" });
  }
}

/**
 * All conditions hold; true when there are none.
 *
 * @example
 * ```ts
 * import { allOf, entity, integer } from "@sluice/orm";
 * import { assert } from "@std/assert";
 *
 * class Pet extends entity("pets", { id: integer().primaryKey(), age: integer() }) {}
 * assert(allOf(Pet.c.age.gt(1), Pet.c.age.lt(9)));
 * ```
 */
export function allOf(...conditions: Condition[]): Condition {
  return logical("and", conditions);
}

/**
 * At least one condition holds; false when there are none.
 *
 * @example
 * ```ts
 * import { anyOf, entity, integer } from "@sluice/orm";
 * import { assert } from "@std/assert";
 *
 * class Pet extends entity("pets", { id: integer().primaryKey(), age: integer() }) {}
 * assert(anyOf(Pet.c.age.lt(1), Pet.c.age.gt(9)));
 * ```
 */
export function anyOf(...conditions: Condition[]): Condition {
  return logical("or", conditions);
}

function logical(operator: LogicalNode["operator"], conditions: readonly Condition[]): Condition {
  const terms: Node[] = [];
  for (const condition of conditions) {
    const node = conditionNode(condition, `${operator}()`);
    if (node.kind === "logical" && node.operator === operator) {
      // Not spread: a long chain would overflow the stack.
      for (const term of node.terms) terms.push(term);
    } else terms.push(node);
  }
  if (terms.length === 1) return new Expression(terms[0]!);
  if (terms.length === 0) {
    return new Expression({ kind: "raw", parts: [operator === "and" ? "1 = 1" : "1 = 0"] });
  }
  return new Expression({ kind: "logical", operator, terms });
}

/** The node of a condition; refuses everything that does not carry one. */
export function conditionNode(condition: unknown, where: string): Node {
  const node = expressionIn(condition);
  const name = node === undefined ? undefined : typeNameOf(typeOf(node));
  if (node === undefined || (name !== undefined && name !== "boolean")) {
    const found = node === undefined ? describe(condition) : `an expression of type ${name}`;
    throw new InputError(`${where} expects a condition, found ${found}`, {
      hint: "Build one from columns, as in (a) => a.name.eq(name)",
    });
  }
  return node;
}

function arithmetic<T>(name: FunctionName, left: Node, ...values: unknown[]): Expression<T> {
  checkType(left, `${name}()`, ["numbers"]);
  const args = [left, ...values.map((value) => operandNode(value, left))];
  return new Expression(call(name, typeOf(left), args));
}

function scalarCall<T>(
  name: FunctionName,
  type: TypeRef | undefined,
  ...args: readonly Node[]
): Expression<T> {
  return new Expression(call(name, type, args));
}

function condition(name: FunctionName, ...args: readonly Node[]): Condition {
  return new Expression(call(name, "boolean", args));
}

/** The elements of a JSON path: keys, and indexes that are whole numbers. */
function checkPath(path: readonly unknown[]): readonly (string | number)[] {
  if (path.length === 0) {
    throw new InputError("A JSON path is empty", { hint: `Name a key, as in .text("isbn")` });
  }
  return path.map((element) => {
    if (typeof element === "string") return element;
    return checkWhole("A JSON path", element, -(2 ** 31) + 1);
  });
}

const TYPE_NAMES: readonly TypeName[] = [
  "smallint",
  "integer",
  "bigint",
  "numeric",
  "real",
  "double",
  "text",
  "boolean",
  "uuid",
  "bytes",
  "json",
  "date",
  "time",
  "timestamp",
  "timestamptz",
];

function checkTypeName(what: string, type: unknown): TypeName {
  return checkWord(`The type of ${what}`, type, TYPE_NAMES);
}

/** True if `value` carries a node and so is SQL structure of ours. */
export function isSql(value: unknown): value is HasNode {
  return nodeIn(value) !== undefined;
}
