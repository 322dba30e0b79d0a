/**
 * How functions and aggregates are spelled: one line for each, shared where the databases agree.
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import type { AggregateName, AggregateNode, FunctionName, FunctionNode } from "../sql/node.ts";
import type { WireValue } from "../sql/wire.ts";

/** What the spelling of a function can ask of the compiler. */
export interface Spelling {
  /** Binds a value and gives its placeholder. */
  bind(value: WireValue): string;
  /** The name of an argument's type; undefined if only the database knows it. */
  typeName(index: number): string | undefined;
}

/** Spells a function, given its arguments. */
export type SpellFunction = (
  args: readonly string[],
  node: FunctionNode,
  spelling: Spelling,
) => string;
/** Spells an aggregate up to `filter` and `over`, given its arguments and what follows the last. */
export type SpellAggregate = (
  args: readonly string[],
  tail: string,
  node: AggregateNode,
  spelling: Spelling,
) => string;

/** A database's functions. */
export type Functions = Readonly<Record<FunctionName, SpellFunction>>;
/** A database's aggregates. */
export type Aggregates = Readonly<Record<AggregateName, SpellAggregate>>;

/** `name(a, b)`. */
export function named(name: string): SpellFunction {
  return (args) => `${name}(${args.join(", ")})`;
}

/** `(a + b)`. */
export function infix(operator: string): SpellFunction {
  return ([left, right]) => `(${left} ${operator} ${right})`;
}

/** Refuses what the database lacks, naming what to do instead. */
export function unsupported(what: string, hint: string): () => never {
  return () => {
    throw unsupportedError(what, hint);
  };
}

/** What is thrown for what the database lacks. */
export function unsupportedError(what: string, hint: string): UsageError {
  return new UsageError(`${what} cannot be had from this database`, { code: "UNSUPPORTED", hint });
}

/** What both databases spell alike. */
export const commonFunctions = {
  add: infix("+"),
  subtract: infix("-"),
  multiply: infix("*"),
  divide: infix("/"),
  modulo: infix("%"),
  negate: ([value]) => `(- ${value})`,
  abs: named("abs"),
  concat: infix("||"),
  lower: named("lower"),
  upper: named("upper"),
  length: named("length"),
  trim: named("trim"),
  substring: named("substr"),
  replace: named("replace"),
  coalesce: named("coalesce"),
  nullif: named("nullif"),
} satisfies Partial<Functions>;

function aggregate(name: string): SpellAggregate {
  return (args, tail, { distinct }) =>
    `${name}(${distinct ? "distinct " : ""}${args.join(", ")}${tail})`;
}

/** What both databases spell alike. */
export const commonAggregates = {
  count: (args, tail, node, spelling) =>
    args.length === 0 ? "count(*)" : aggregate("count")(args, tail, node, spelling),
  sum: aggregate("sum"),
  avg: aggregate("avg"),
  min: aggregate("min"),
  max: aggregate("max"),
  rowNumber: aggregate("row_number"),
  rank: aggregate("rank"),
  denseRank: aggregate("dense_rank"),
  percentRank: aggregate("percent_rank"),
  cumeDist: aggregate("cume_dist"),
  ntile: aggregate("ntile"),
  lag: aggregate("lag"),
  lead: aggregate("lead"),
  firstValue: aggregate("first_value"),
  lastValue: aggregate("last_value"),
} satisfies Partial<Aggregates>;

/** An aggregate under another name. */
export { aggregate as aggregateNamed };
