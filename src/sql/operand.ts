/**
 * From what users pass to operators to nodes: expressions as they are, values as bound values of
 * the type of what stands beside them.
 *
 * @module
 */

import { InputError } from "../errors.ts";
import {
  columnsOf,
  type FunctionName,
  type FunctionNode,
  type Node,
  nodeIn,
  type OrderNode,
  type QueryNode,
  typeNameOf,
  typeOf,
} from "./node.ts";
import { Parameter } from "./parameter.ts";
import type { TypeRef } from "./wire.ts";

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

/** The name of an expression in messages. */
export function labelOf(node: Node): string {
  return node.kind === "column" || node.kind === "value" ? node.label : "expression";
}

/** Kinds of nodes that are no values. */
const structure = new Set([
  "table",
  "derived",
  "cteSource",
  "order",
  "select",
  "compound",
  "insert",
  "update",
  "delete",
]);

/** The node of an expression; undefined for everything else. */
export function expressionIn(value: unknown): Node | undefined {
  const node = nodeIn(value);
  return node === undefined || structure.has(node.kind) ? undefined : node;
}

/** The node of an operand beside `sibling`, whose type says how a plain value is encoded. */
export function operandNode(value: unknown, sibling: Node): Node {
  const node = expressionIn(value);
  if (node !== undefined) return node;
  const label = labelOf(sibling);
  if (value === null || value === undefined) {
    throw new InputError(`"${label}" is compared with ${String(value)}`, {
      hint: value === null
        ? "Use isNull() or isNotNull()"
        : "Leave the condition out when there is no value",
    });
  }
  return { kind: "value", value, type: typeOf(sibling), label };
}

/** The node of an argument of a function: an expression, or a value of a type. */
export function argumentNode(value: unknown, type: TypeRef | undefined, label: string): Node {
  const node = expressionIn(value);
  if (node !== undefined) return node;
  if (value === undefined) {
    throw new InputError(`${label} was given undefined`, { hint: "Pass a value or a column" });
  }
  return { kind: "value", value, type: type ?? guessType(value, label), label };
}

/** The type of a value that has nothing beside it to tell. */
function guessType(value: unknown, label: string): TypeRef | undefined {
  switch (typeof value) {
    case "string":
      return "text";
    case "boolean":
      return "boolean";
    case "bigint":
      return "bigint";
    case "number":
      return Number.isInteger(value) && Math.abs(value) < 2 ** 31 ? "integer" : "double";
  }
  if (value instanceof Date) return "timestamptz";
  if (value instanceof Uint8Array) return "bytes";
  if (value === null || value instanceof Parameter) return undefined;
  throw new InputError(`${label} was given ${describe(value)}`, {
    hint: "Pass a string, number, bigint, boolean, Date or Uint8Array, or a column",
  });
}

/** A call of a function of ours. */
export function call(
  name: FunctionName,
  type: TypeRef | undefined,
  args: readonly Node[],
  more: Pick<FunctionNode, "word" | "path" | "names"> = {},
): FunctionNode {
  return { kind: "function", name, args, type, ...more };
}

const NUMBERS = ["smallint", "integer", "bigint", "numeric", "real", "double"];
const TEXTS = ["text", "varchar", "oneOf"];
const DATES = ["date", "time", "timestamp", "timestamptz", "instant", "plainDate", "plainDateTime"];
/** A type of the user's own has operators that only he knows. */
const KNOWN = new Set([
  ...NUMBERS,
  ...TEXTS,
  ...DATES,
  "json",
  "array",
  "boolean",
  "uuid",
  "bytes",
]);

/** Refuses an expression whose type cannot have the operator; what has no type passes. */
export function checkType(node: Node, what: string, kinds: readonly TypeKind[]): void {
  const name = typeNameOf(typeOf(node));
  if (name === undefined || !KNOWN.has(name) || kinds.some((kind) => isKind(name, kind))) return;
  throw new InputError(`"${labelOf(node)}" is of type ${name}, and ${what} takes ${kinds[0]}`, {
    hint: "Use another column, or cast() it",
  });
}

/** Kinds of types, as operators ask for them. */
export type TypeKind = "numbers" | "text" | "json" | "arrays" | "dates" | "booleans";

function isKind(name: string, kind: TypeKind): boolean {
  switch (kind) {
    case "numbers":
      return NUMBERS.includes(name);
    case "text":
      return TEXTS.includes(name);
    case "json":
      return name === "json";
    case "arrays":
      return name === "array";
    case "booleans":
      return name === "boolean";
    case "dates":
      return DATES.includes(name);
  }
}

/** True if the expression is of this kind of type. */
export function isOfKind(node: Node, kind: TypeKind): boolean {
  const name = typeNameOf(typeOf(node));
  return name !== undefined && isKind(name, kind);
}

/** One of a list of words, checked: none can bring structure along. */
export function checkWord<W extends string>(what: string, value: unknown, words: readonly W[]): W {
  if (typeof value === "string" && (words as readonly string[]).includes(value)) return value as W;
  throw new InputError(
    `${what} is one of ${words.map((w) => `"${w}"`).join(", ")}, found ${
      typeof value === "string" ? "another string" : describe(value)
    }`,
  );
}

/** Refuses a query of several columns where one value is wanted. */
export function checkOneColumn(query: QueryNode, what: string): void {
  const { length } = columnsOf(query);
  if (length === 1) return;
  throw new InputError(`${what} takes a query of one column, and this one has ${length}`, {
    hint: "Add .select((a) => a.id)",
  });
}

/** A whole number within bounds. */
export function checkWhole(what: string, value: unknown, min: number, max = 2 ** 31 - 1): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < min || value > max) {
    throw new InputError(`${what} takes a whole number from ${min} to ${max}`, {
      hint: `Found ${describe(value)}`,
    });
  }
  return value;
}

/** The terms of an order: `Order`s, or expressions taken ascending. */
export function orderNodes(given: unknown, what: string): OrderNode[] {
  return (Array.isArray(given) ? given : [given]).map((term: unknown): OrderNode => {
    const node = nodeIn(term);
    if (node?.kind === "order") return node;
    const expression = expressionIn(term);
    if (expression === undefined) {
      throw new InputError(`${what} expects columns, found ${describe(term)}`, {
        hint: "Write it as (a) => [a.name.asc(), a.id.desc()]",
      });
    }
    return { kind: "order", term: expression, descending: false, nulls: undefined };
  });
}
