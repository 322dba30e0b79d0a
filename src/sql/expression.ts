/**
 * `Expression<T>`: an immutable piece of a statement whose value is a `T`, and the operators on
 * it. Values are always bound, never spliced.
 *
 * @module
 */

import { InputError } from "../errors.ts";
import {
  type BinaryOperator,
  type ColumnNode,
  type HasNode,
  type Node,
  nodeIn,
  nodeOf,
  type OrderNode,
} from "./node.ts";
import type { SqlType } from "./wire.ts";

/** A value of type `T`, or an expression for one. Null is asked for by `isNull()`. */
export type Operand<T> =
  | NonNullable<T>
  | Expression<NonNullable<T>>
  | Expression<NonNullable<T> | null>;

/** An expression that is true, false or unknown. */
export type Condition = Expression<boolean>;

/**
 * Part of a statement, of value `T`. Columns of an entity are expressions; operators on them make
 * new ones.
 *
 * @example
 * ```ts
 * import { entity, integer, text } from "@sluice/orm";
 * import { assert } from "@std/assert";
 *
 * class Pet extends entity("pets", { id: integer().primaryKey().generated(), name: text() }) {}
 *
 * const named = Pet.c.name.startsWith("A").and(Pet.c.id.gt(10));
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

  /** One of the values; an empty list matches nothing. Bound as one array, whatever its length. */
  in(values: readonly NonNullable<T>[]): Condition {
    return this.#in(values, false);
  }
  /** None of the values; an empty list matches everything. */
  notIn(values: readonly NonNullable<T>[]): Condition {
    return this.#in(values, true);
  }

  /** Is null. */
  isNull(): Condition {
    return new Expression({ kind: "nullTest", term: this[nodeOf], negated: false });
  }
  /** Is not null. */
  isNotNull(): Condition {
    return new Expression({ kind: "nullTest", term: this[nodeOf], negated: true });
  }

  /**
   * Matches a pattern, in which `%` and `_` are wildcards and `\` takes their meaning away.
   * For text from users rather `contains`, `startsWith` or `endsWith`, which escape.
   */
  like(this: Expression<string | null>, pattern: string): Condition {
    return likeNode(this, pattern, false);
  }
  /** As `like`, ignoring case (on SQLite for ASCII letters only). */
  ilike(this: Expression<string | null>, pattern: string): Condition {
    return likeNode(this, pattern, true);
  }
  /** Contains the text as it stands. */
  contains(this: Expression<string | null>, part: string): Condition {
    return likeNode(this, `%${escapeLike(part)}%`, false);
  }
  /** Starts with the text as it stands. */
  startsWith(this: Expression<string | null>, part: string): Condition {
    return likeNode(this, `${escapeLike(part)}%`, false);
  }
  /** Ends with the text as it stands. */
  endsWith(this: Expression<string | null>, part: string): Condition {
    return likeNode(this, `%${escapeLike(part)}`, false);
  }

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

  /** Ascending; nulls last, on every database. */
  asc(): Order {
    return new Order({ kind: "order", term: this[nodeOf], descending: false, nulls: undefined });
  }
  /** Descending; nulls first, on every database. */
  desc(): Order {
    return new Order({ kind: "order", term: this[nodeOf], descending: true, nulls: undefined });
  }

  #compare(operator: BinaryOperator, value: unknown): Condition {
    const left = this[nodeOf];
    return new Expression({ kind: "binary", operator, left, right: operandNode(value, left) });
  }

  #in(values: readonly unknown[], negated: boolean): Condition {
    const { type, label } = typed(this[nodeOf]);
    if (!Array.isArray(values)) {
      throw new InputError(`A list is expected for "${label}", found ${describe(values)}`, {
        hint: "Pass an array of values to in()",
      });
    }
    for (const value of values) {
      if (value === null || value === undefined) {
        throw new InputError(`The list for "${label}" contains ${String(value)}`, {
          hint: "Leave it out and add .or(column.isNull()) where null should match",
        });
      }
    }
    return new Expression({
      kind: "in",
      term: this[nodeOf],
      list: [...values],
      type,
      label,
      negated,
    });
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

function logical(operator: "and" | "or", conditions: readonly Condition[]): Condition {
  const terms: Node[] = [];
  for (const condition of conditions) {
    const node = conditionNode(condition, `${operator}()`);
    if (node.kind === "logical" && node.operator === operator) terms.push(...node.terms);
    else terms.push(node);
  }
  if (terms.length === 1) return new Expression(terms[0]!);
  if (terms.length === 0) {
    return new Expression({ kind: "raw", parts: [operator === "and" ? "1 = 1" : "1 = 0"] });
  }
  return new Expression({ kind: "logical", operator, terms });
}

/** The node of a condition; refuses everything that does not carry one. */
export function conditionNode(condition: unknown, where: string): Node {
  const node = condition instanceof Expression ? condition[nodeOf] : undefined;
  if (node === undefined) {
    throw new InputError(`${where} expects a condition, found ${describe(condition)}`, {
      hint: "Build one from columns, as in (a) => a.name.eq(name)",
    });
  }
  return node;
}

/** The node of an operand beside `sibling`, whose type says how a plain value is encoded. */
function operandNode(value: unknown, sibling: Node): Node {
  if (value instanceof Expression) return value[nodeOf];
  const { type, label } = typed(sibling);
  if (value === null || value === undefined) {
    throw new InputError(`"${label}" is compared with ${String(value)}`, {
      hint: value === null
        ? "Use isNull() or isNotNull()"
        : "Leave the condition out when there is no value",
    });
  }
  return { kind: "value", value, type, label };
}

function likeNode(term: Expression<unknown>, pattern: string, insensitive: boolean): Condition {
  const { label } = typed(term[nodeOf]);
  if (typeof pattern !== "string") {
    throw new InputError(`A pattern is expected for "${label}", found ${describe(pattern)}`, {
      hint: "Pass a string",
    });
  }
  return new Expression({
    kind: "like",
    term: term[nodeOf],
    pattern: { kind: "value", value: closed(pattern), type: undefined, label },
    insensitive,
  });
}

/** A lone backslash at the end escapes nothing, which PostgreSQL refuses: it is taken as itself. */
function closed(pattern: string): string {
  let backslashes = 0;
  while (pattern[pattern.length - 1 - backslashes] === "\\") backslashes++;
  return backslashes % 2 === 0 ? pattern : `${pattern}\\`;
}

/** Takes the wildcards' meaning away. */
function escapeLike(text: unknown): string {
  if (typeof text !== "string") {
    throw new InputError(`Text to match is expected, found ${describe(text)}`, {
      hint: "Pass a string",
    });
  }
  return text.replace(/[\\%_]/g, "\\$&");
}

function typed(node: Node): { type: SqlType<unknown> | undefined; label: string } {
  if (node.kind === "column") return { type: (node as ColumnNode).type, label: node.label };
  return { type: undefined, label: "expression" };
}

/** What a value is, without showing it. */
export function describe(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object") {
    const name = Object.getPrototypeOf(value)?.constructor?.name;
    return name === undefined || name === "Object" ? "an object" : `an object of class ${name}`;
  }
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  return typeof value === "undefined" ? "undefined" : `a ${typeof value}`;
}

/** True if `value` carries a node and so is SQL structure of ours. */
export function isSql(value: unknown): value is HasNode {
  return nodeIn(value) !== undefined;
}
