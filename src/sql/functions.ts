/**
 * Functions that have no receiver: `coalesce(a, b)`, `now()`, `caseWhen(…)`. Those that have one
 * are methods of `Expression`.
 *
 * What the databases do differently, and what is refused (`UsageError`, code `UNSUPPORTED`, before
 * anything is sent), is one table in the README.
 *
 * @module
 */

import { InputError } from "../errors.ts";
import {
  type Condition,
  conditionNode,
  Expression,
  type Operand,
  type Subquery,
} from "./expression.ts";
import { type CaseNode, type Node, nodeIn, type QueryNode, typeOf } from "./node.ts";
import {
  argumentNode,
  call,
  checkOneColumn,
  checkWord,
  describe,
  expressionIn,
} from "./operand.ts";
import type { TypeRef } from "./wire.ts";

/** A value or an expression of type `T`. */
export type Argument<T> = T | Expression<T>;

/** What an argument's value is. */
export type ArgumentValue<A> = A extends Expression<infer T> ? T
  : A extends string ? string
  : A extends number ? number
  : A extends boolean ? boolean
  : A;

function typeIn(values: readonly unknown[]): TypeRef | undefined {
  for (const value of values) {
    const node = expressionIn(value);
    const type = node === undefined ? undefined : typeOf(node);
    if (type !== undefined) return type;
  }
  return undefined;
}

/** The arguments of a function whose arguments are all of one type. */
function alike(
  what: string,
  values: readonly unknown[],
): { type: TypeRef | undefined; args: Node[] } {
  if (values.length === 0) throw new InputError(`${what} was given nothing`);
  const known = typeIn(values);
  const args = values.map((value) => argumentNode(value, known, what));
  return {
    type: known ?? typeOf(args.find((node) => typeOf(node) !== undefined) ?? args[0]!),
    args,
  };
}

/**
 * The first of the values that is not null.
 *
 * @example
 * ```ts
 * import { coalesce, entity, integer, text } from "@sluice/orm";
 * import { assert } from "@std/assert";
 *
 * class Pet extends entity("pets", { id: integer().primaryKey(), nick: text().nullable() }) {}
 * const name = coalesce(Pet.c.nick, "nameless"); // Expression<string>
 * assert(name.startsWith("n"));
 * ```
 */
export function coalesce<T>(
  ...values: readonly [Expression<T | null>, ...Argument<T | null>[], Argument<NonNullable<T>>]
): Expression<NonNullable<T>>;
/** The first of the values that is not null, or null. */
export function coalesce<T>(
  ...values: readonly [Expression<T | null>, ...Argument<T | null>[]]
): Expression<T | null>;
export function coalesce(...values: readonly unknown[]): Expression<unknown> {
  const { type, args } = alike("coalesce()", values);
  return new Expression(call("coalesce", type, args));
}

/** Null if both are equal, else the first. */
export function nullif<T>(value: Expression<T>, other: Operand<T>): Expression<T | null> {
  const { type, args } = alike("nullif()", [value, other]);
  return new Expression(call("nullif", type, args));
}

/** The largest of the values; nulls are left out. */
export function greatest<T>(first: Expression<T>, ...others: Operand<T>[]): Expression<T> {
  const { type, args } = alike("greatest()", [first, ...others]);
  return new Expression(call("greatest", type, args));
}

/** The smallest of the values; nulls are left out. */
export function least<T>(first: Expression<T>, ...others: Operand<T>[]): Expression<T> {
  const { type, args } = alike("least()", [first, ...others]);
  return new Expression(call("least", type, args));
}

/** The database's time; on PostgreSQL that at which the transaction began. */
export function now(): Expression<Date> {
  return new Expression(call("now", "timestamptz", []));
}

/**
 * A bound value as an expression, where the language asks for one: in `select`, as the first of
 * `coalesce`.
 */
export function value<T extends string | number | bigint | boolean | Date | Uint8Array>(
  given: T,
): Expression<ArgumentValue<T>> {
  return new Expression(argumentNode(given, undefined, "value()"));
}

/** `case when … then … end`; an expression by itself, null where no condition holds. */
export class Case<out T> extends Expression<T | null> {
  readonly #node: CaseNode;

  /** Begun by `caseWhen()`. */
  constructor(node: CaseNode) {
    super(node);
    this.#node = node;
  }

  /** Otherwise, if the condition holds: the value. */
  when<V>(condition: Condition, then: V): Case<T | ArgumentValue<V>> {
    return new Case(withWhen(this.#node, condition, then));
  }

  /** In all other cases: the value. */
  else<V>(otherwise: V): Expression<T | ArgumentValue<V>> {
    const { type } = this.#node;
    const node = argumentNode(otherwise, type, "else()");
    return new Expression({ ...this.#node, otherwise: node, type: type ?? typeOf(node) });
  }
}

function withWhen(node: CaseNode, condition: Condition, then: unknown): CaseNode {
  const value = argumentNode(then, node.type, "when()");
  const when = [conditionNode(condition, "when()"), value] as const;
  return { ...node, whens: [...node.whens, when], type: node.type ?? typeOf(value) };
}

/**
 * A value that depends on conditions.
 *
 * @example
 * ```ts
 * import { caseWhen, entity, integer } from "@sluice/orm";
 * import { assert } from "@std/assert";
 *
 * class Pet extends entity("pets", { id: integer().primaryKey(), age: integer() }) {}
 * const size = caseWhen(Pet.c.age.lt(1), "puppy").when(Pet.c.age.lt(9), "dog").else("old dog");
 * assert(size.eq("puppy"));
 * ```
 */
export function caseWhen<V>(condition: Condition, then: V): Case<ArgumentValue<V>> {
  const empty: CaseNode = { kind: "case", whens: [], otherwise: undefined, type: undefined };
  return new Case(withWhen(empty, condition, then));
}

function queryIn(query: unknown, what: string): QueryNode {
  const node = nodeIn(query);
  if (node?.kind === "select" || node?.kind === "compound") return node;
  throw new InputError(`${what} takes a query, found ${describe(query)}`, {
    hint: "Pass session.query(…).select(…)",
  });
}

/**
 * The query has a row. To refer to the outer query, build the inner one inside the callback:
 * `where((a) => exists(session.query(Book).where((b) => b.authorId.eq(a.id))))`.
 */
export function exists(query: Subquery<unknown>): Condition {
  return new Expression({ kind: "exists", select: queryIn(query, "exists()") });
}

/** The only value of a query of one row and one column; null if there is no row. */
export function scalar<T>(query: Subquery<T>): Expression<T | null> {
  const select = queryIn(query, "scalar()");
  checkOneColumn(select, "scalar()");
  return new Expression({ kind: "scalar", select });
}

/** The configurations of full-text search that every PostgreSQL has. */
export type TextConfig =
  | "simple"
  | "arabic"
  | "danish"
  | "dutch"
  | "english"
  | "finnish"
  | "french"
  | "german"
  | "hungarian"
  | "italian"
  | "norwegian"
  | "portuguese"
  | "romanian"
  | "russian"
  | "spanish"
  | "swedish"
  | "turkish";

const CONFIGS: readonly TextConfig[] = [
  "simple",
  "arabic",
  "danish",
  "dutch",
  "english",
  "finnish",
  "french",
  "german",
  "hungarian",
  "italian",
  "norwegian",
  "portuguese",
  "romanian",
  "russian",
  "spanish",
  "swedish",
  "turkish",
];

/** How text is searched. */
export interface TextSearchOptions {
  /** The language whose words are reduced to stems. Default `simple`: none. */
  config?: TextConfig;
}

/** One or several columns of text. */
export type TextColumns = Expression<string | null> | readonly Expression<string | null>[];

function textSearch(
  name: "textMatches" | "textRank",
  type: TypeRef,
  columns: TextColumns,
  query: string,
  options: TextSearchOptions,
): Expression<never> {
  const list: readonly unknown[] = Array.isArray(columns) ? columns : [columns];
  const args = list.map((column) => {
    const node = expressionIn(column);
    if (node !== undefined) return node;
    throw new InputError(`Full-text search takes columns, found ${describe(column)}`);
  });
  const word = checkWord("The option config", options.config ?? "simple", CONFIGS);
  const words = argumentNode(query, "text", "The search");
  return new Expression(call(name, type, [words, ...args], { word }));
}

/**
 * The columns match a search as people type it: words, `"phrases"`, `or`, `-without`. PostgreSQL
 * only. Every text is a valid search.
 */
export function matches(
  columns: TextColumns,
  query: string,
  options: TextSearchOptions = {},
): Condition {
  return textSearch("textMatches", "boolean", columns, query, options);
}

/** How well the columns match, for sorting. PostgreSQL only. */
export function textRank(
  columns: TextColumns,
  query: string,
  options: TextSearchOptions = {},
): Expression<number> {
  return textSearch("textRank", "double", columns, query, options);
}
