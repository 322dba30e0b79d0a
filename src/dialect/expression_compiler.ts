/**
 * Expression → text: conditions, values, functions and aggregates, the spelling both databases
 * share. What stands around them in a statement is the affair of `compiler.ts`.
 *
 * @module
 */

import { InputError } from "../errors.ts";
import { quoteIdentifier, quoteTable } from "../sql/identifier.ts";
import {
  type AggregateNode,
  type BinaryNode,
  type FrameBound,
  type FunctionNode,
  type InNode,
  type LikeNode,
  type LogicalNode,
  type Node,
  type NotNode,
  type OrderNode,
  type QueryNode,
  type Source,
  typeOf,
  type ValueNode,
  type WindowNode,
  type WriteNode,
} from "../sql/node.ts";
import { Parameter } from "../sql/parameter.ts";
import type { SqlType, WireValue } from "../sql/wire.ts";
import type { Dialect, ParameterSlot } from "./dialect.ts";
import type { Aggregates, Functions, Spelling } from "./functions.ts";
import { resolveType } from "./type_names.ts";

/** How deep functions and subqueries may nest; deeper ones are refused rather than overflow a stack. */
const DEPTH_LIMIT = 500;

/** Spells expressions, and holds the values that they bind. */
export abstract class ExpressionCompiler {
  /** The values, in the order of their placeholders. */
  protected readonly params: WireValue[] = [];
  /** The dialect, for what it spells itself. */
  protected readonly dialect: Dialect;
  /** Its functions. */
  protected abstract readonly functions: Functions;
  /** Its aggregates. */
  protected abstract readonly aggregates: Aggregates;
  /** How deep conditions may nest: the database has to parse them. */
  protected abstract readonly conditionDepth: number;
  /** Longer chains of `and` and `or` are spelled as trees. */
  protected readonly chainLength: number = Infinity;
  /** The places of parameters. */
  protected readonly slots: ParameterSlot[] = [];
  #depth = 0;

  /** A compiler spells one statement. */
  constructor(dialect: Dialect) {
    this.dialect = dialect;
  }

  /** Spells a query. */
  protected abstract query(query: QueryNode): string;
  /** Spells a statement that changes rows. */
  protected abstract write(node: WriteNode): string;
  /** What a source is called where its columns are spelled. */
  protected abstract sourceName(source: Source): string;
  /** The comparison operand of a column; SQLite casts types it keeps as text. */
  protected abstract ordered(text: string, type: SqlType<unknown> | undefined): string;
  /** `like`, with its escape character. */
  protected abstract like(node: LikeNode): string;
  /** What follows a sorted term to put nulls where every database has them. */
  protected abstract nulls(node: OrderNode): string;
  /** A placeholder with the cast that says what type it has. */
  protected abstract castValue(text: string, type: SqlType<unknown> | undefined): string;
  /** `$1` or `?1`. */
  protected abstract placeholder(position: number): string;

  /** Whether a function computes with its arguments, which then take their numeric form. */
  protected computes(_node: FunctionNode | AggregateNode): boolean {
    return true;
  }

  /** What becomes of a function's text. */
  protected functionResult(text: string, _node: FunctionNode | AggregateNode): string {
    return text;
  }

  /** Binds a value and gives its placeholder. */
  protected bind(value: WireValue): string {
    this.params.push(value);
    return this.placeholder(this.params.length);
  }

  /** Binds what comes from the user: a value, or a parameter whose value comes later. */
  protected bindWith(value: unknown, encode: (value: unknown) => WireValue): string {
    if (!(value instanceof Parameter)) return this.bind(encode(value));
    const { name, transform } = value;
    this.slots.push({
      position: this.params.length,
      name,
      encode: transform === undefined ? encode : (given) => encode(transform(given)),
    });
    return this.bind(null);
  }

  /** Spells any node. */
  protected node(node: Node): string {
    if (++this.#depth > DEPTH_LIMIT) {
      throw new InputError(`The statement nests more than ${DEPTH_LIMIT} levels deep`, {
        hint: "Use allOf() and anyOf() for many conditions, and in() for many values",
      });
    }
    const text = this.#spell(node);
    this.#depth--;
    return text;
  }

  #spell(node: Node): string {
    switch (node.kind) {
      case "column":
        return `${this.sourceName(node.source)}.${quoteIdentifier(node.name)}`;
      case "value":
        return this.bindWith(node.value, (value) => this.wire({ ...node, value }));
      case "wire":
        return this.castValue(this.bind(node.wire), this.type(node));
      case "binary":
        return this.#binary(node);
      case "logical":
      case "not":
        return this.#conditions(node);
      case "nullTest":
        return `${this.operand(node.term)} is ${node.negated ? "not " : ""}null`;
      case "in":
        return this.#in(node);
      case "like":
        return this.like(node);
      case "function":
        return this.functionResult(
          this.functions[node.name](this.#args(node), node, this.#spelling(node.args)),
          node,
        );
      case "aggregate":
        return this.#aggregate(node);
      case "case": {
        const whens = node.whens.map(([when, then]) =>
          ` when ${this.node(when)} then ${this.operand(then)}`
        );
        const otherwise = node.otherwise === undefined
          ? ""
          : ` else ${this.operand(node.otherwise)}`;
        return `case${whens.join("")}${otherwise} end`;
      }
      case "typed":
        return this.operand(node.term);
      case "raw":
        return node.parts.map((part) => typeof part === "string" ? part : this.node(part)).join("");
      case "identifier":
        return quoteIdentifier(node.name);
      case "table":
        return quoteTable(node);
      case "derived":
      case "cteSource":
        return this.sourceName(node);
      case "exists":
        return `exists (${this.query(node.select)})`;
      case "scalar":
        return `(${this.query(node.select)})`;
      case "order":
        return this.#order(node);
      case "select":
      case "compound":
        return `(${this.query(node)})`;
      case "insert":
      case "update":
      case "delete":
        return `(${this.write(node)})`;
    }
  }

  /** Spells a node that stands beside an operator: in parentheses where need be, values cast. */
  protected operand(node: Node): string {
    switch (node.kind) {
      case "binary":
      case "nullTest":
      case "in":
      case "like":
      case "not":
      case "raw":
      case "case":
        return `(${this.node(node)})`;
      case "value":
        return this.castValue(this.node(node), this.type(node));
      default:
        return this.node(node);
    }
  }

  /** The type of a node. */
  protected type(node: Node): SqlType<unknown> | undefined {
    const type = typeOf(node);
    return type === undefined ? undefined : resolveType(type);
  }

  // --- conditions --------------------------------------------------------------------------------

  #binary({ operator, left, right }: BinaryNode): string {
    const type = this.type(left) ?? this.type(right);
    // Beside a column the database knows the type of a placeholder by itself.
    const side = (node: Node, other: Node): string =>
      this.ordered(
        node.kind === "value" && other.kind !== "value" && other.kind !== "raw"
          ? this.node(node)
          : this.operand(node),
        type,
      );
    const text = side(left, right);
    return `${text} ${operator} ${side(right, left)}`;
  }

  /** Without recursion: conditions nest as deep as the loops of a program that builds them. */
  #conditions(root: LogicalNode | NotNode): string {
    const stack: (string | Node)[] = [root];
    let text = "";
    let depth = 0;
    while (stack.length > 0) {
      const item = stack.pop()!;
      if (typeof item === "string") {
        text += item;
        if (item === ")") depth--;
        continue;
      }
      if (item.kind === "logical") {
        stack.push(")");
        this.#pushTerms(stack, item);
        text += "(";
        depth++;
      } else if (item.kind === "not") {
        stack.push(")", item.term);
        text += "not (";
        depth++;
      } else text += item.kind === "raw" ? `(${this.node(item)})` : this.node(item);
      if (depth > this.conditionDepth) {
        throw new InputError(`The conditions nest more than ${this.conditionDepth} levels deep`, {
          hint: "Use allOf() and anyOf() for many conditions, and in() for many values",
        });
      }
    }
    return text;
  }

  #pushTerms(stack: (string | Node)[], { operator, terms }: LogicalNode): void {
    if (terms.length > this.chainLength) {
      const half = terms.length >> 1;
      stack.push({ kind: "logical", operator, terms: terms.slice(half) }, ` ${operator} `);
      stack.push({ kind: "logical", operator, terms: terms.slice(0, half) });
      return;
    }
    for (let i = terms.length - 1; i >= 0; i--) {
      stack.push(terms[i]!);
      if (i > 0) stack.push(` ${operator} `);
    }
  }

  #in(node: InNode): string {
    const term = this.operand(node.term);
    const { list } = node;
    if ("kind" in list) {
      return `${term} ${node.negated ? "not in" : "in"} (${this.query(list)})`;
    }
    const cast = node.type === undefined
      ? undefined
      : resolveType(node.type).cast[this.dialect.name];
    const encode = (values: unknown): WireValue =>
      this.dialect.listParameter(
        (values as readonly unknown[]).map((value) =>
          this.wire({ kind: "value", value, type: node.type, label: node.label })
        ),
        cast,
      );
    this.bindWith("parameter" in list ? list.parameter : list, encode);
    return this.dialect.inList(term, this.params.length, cast, node.negated);
  }

  // --- values ------------------------------------------------------------------------------------

  /** The wire form of a bound value. */
  protected wire({ value, type, label }: ValueNode): WireValue {
    if (value === null) return null;
    return type === undefined
      ? this.untyped(value, label)
      : resolveType(type).codec[this.dialect.name].encode(value, label);
  }

  /** Encodes a value whose type is known only from JavaScript. */
  protected abstract untyped(value: unknown, label: string): WireValue;

  #args(node: FunctionNode | AggregateNode): string[] {
    if (!this.computes(node)) return node.args.map((arg) => this.operand(arg));
    return node.args.map((arg) => this.ordered(this.operand(arg), this.type(arg)));
  }

  #spelling(args: readonly Node[]): Spelling {
    return {
      bind: (value) => this.bind(value),
      typeName: (index) => this.type(args[index]!)?.name,
    };
  }

  #aggregate(node: AggregateNode): string {
    const order = node.orderBy.length === 0 ? "" : ` ${this.orderBy(node.orderBy)}`;
    const args = this.#args(node);
    let text = this.aggregates[node.name](args, order, node, this.#spelling(node.args));
    if (node.filter !== undefined) text += ` filter (where ${this.node(node.filter)})`;
    if (node.over !== undefined) text += ` over (${this.#window(node.over)})`;
    return this.functionResult(text, node);
  }

  #window({ partitionBy, orderBy, frame }: WindowNode): string {
    const parts: string[] = [];
    if (partitionBy.length > 0) {
      parts.push(`partition by ${partitionBy.map((by) => this.operand(by)).join(", ")}`);
    }
    if (orderBy.length > 0) parts.push(this.orderBy(orderBy));
    if (frame !== undefined) {
      parts.push(`${frame.mode} between ${bound(frame.from)} and ${bound(frame.to)}`);
    }
    return parts.join(" ");
  }

  /** `order by …`. */
  protected orderBy(terms: readonly OrderNode[]): string {
    return `order by ${terms.map((term) => this.#order(term)).join(", ")}`;
  }

  #order(node: OrderNode): string {
    const term = this.ordered(this.operand(node.term), this.type(node.term));
    return `${term}${node.descending ? " desc" : ""}${this.nulls(node)}`;
  }
}

function bound(given: FrameBound): string {
  if (typeof given === "object") {
    return "preceding" in given
      ? `${Number(given.preceding)} preceding`
      : `${Number(given.following)} following`;
  }
  switch (given) {
    case "unboundedPreceding":
      return "unbounded preceding";
    case "unboundedFollowing":
      return "unbounded following";
    case "currentRow":
      return "current row";
  }
}
