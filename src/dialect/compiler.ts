/**
 * Statement → text and parameters: the spelling both databases share. A dialect's compiler
 * extends it with what differs.
 *
 * @module
 */

import { InputError } from "../errors.ts";
import { quoteIdentifier, quoteTable } from "../sql/identifier.ts";
import type {
  InNode,
  LikeNode,
  Node,
  OrderNode,
  SelectNode,
  TableSource,
  ValueNode,
} from "../sql/node.ts";
import type { SqlType, WireValue } from "../sql/wire.ts";
import type { Dialect } from "./dialect.ts";
import type { DriverStatement } from "./driver.ts";

/** How deep a statement may nest; deeper ones are refused rather than overflow a stack. */
const DEPTH_LIMIT = 500;

/** Spells one statement. Made anew for each: it holds the parameters and aliases. */
export abstract class Compiler {
  /** The values, in the order of their placeholders. */
  protected readonly params: WireValue[] = [];
  /** The dialect, for what it spells itself. */
  protected readonly dialect: Dialect;
  readonly #aliases = new Map<TableSource, string>();
  #depth = 0;

  /** A compiler spells one statement. */
  constructor(dialect: Dialect) {
    this.dialect = dialect;
  }

  /** Spells the statement. */
  compile(statement: Node): DriverStatement {
    const text = statement.kind === "select" ? this.select(statement) : this.node(statement);
    return { text, params: this.params };
  }

  /** Encodes a value whose type is known only from JavaScript. */
  protected abstract untyped(value: unknown, label: string): WireValue;
  /** The comparison operand of a column; SQLite casts types it keeps as text. */
  protected abstract ordered(text: string, type: SqlType<unknown> | undefined): string;
  /** `like`, with its escape character. */
  protected abstract like(node: LikeNode): string;
  /** What follows a sorted term to put nulls where every database has them. */
  protected abstract nulls(node: OrderNode): string;
  /** `limit … offset …` of bound values. */
  protected abstract limit(limit: number | undefined, offset: number | undefined): string;
  /** The row lock, or nothing where there are none. */
  protected abstract lock(select: SelectNode): string;

  /** Binds a value and gives its placeholder. */
  protected bind(value: WireValue): string {
    this.params.push(value);
    return this.placeholder(this.params.length);
  }

  /** `$1` or `?1`. */
  protected abstract placeholder(position: number): string;

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
        return `${this.#sourceName(node.source)}.${quoteIdentifier(node.name)}`;
      case "value":
        return this.bind(this.value(node));
      case "binary": {
        const type = typeOf(node.left) ?? typeOf(node.right);
        const left = this.ordered(this.node(node.left), type);
        return `${left} ${node.operator} ${this.ordered(this.node(node.right), type)}`;
      }
      case "logical":
        return `(${node.terms.map((term) => this.node(term)).join(` ${node.operator} `)})`;
      case "not":
        return `not (${this.node(node.term)})`;
      case "nullTest":
        return `${this.node(node.term)} is ${node.negated ? "not " : ""}null`;
      case "in":
        return this.#in(node);
      case "like":
        return this.like(node);
      case "call":
        return `${node.name}(${node.args.map((arg) => this.node(arg)).join(", ")})`;
      case "raw":
        return node.parts.map((part) => typeof part === "string" ? part : this.node(part)).join("");
      case "identifier":
        return quoteIdentifier(node.name);
      case "table":
        return quoteTable(node);
      case "exists":
        return `exists (${this.select(node.select)})`;
      case "scalar":
        return `(${this.select(node.select)})`;
      case "order":
        return this.#order(node);
      case "select":
        return `(${this.select(node)})`;
    }
  }

  /** Spells a SELECT; its source gets an alias, which columns inside and in subqueries use. */
  protected select(select: SelectNode): string {
    const alias = select.from === undefined ? "" : `t${this.#aliases.size}`;
    if (select.from !== undefined) this.#aliases.set(select.from, quoteIdentifier(alias));
    let text = `select ${select.columns.map((column) => this.node(column)).join(", ")}`;
    if (select.from !== undefined) {
      text += ` from ${quoteTable(select.from)} as ${quoteIdentifier(alias)}`;
    }
    if (select.where !== undefined) text += ` where ${this.node(select.where)}`;
    if (select.orderBy.length > 0) {
      text += ` order by ${select.orderBy.map((term) => this.node(term)).join(", ")}`;
    }
    return text + this.limit(select.limit, select.offset) + this.lock(select);
  }

  /** The wire form of a bound value. */
  protected value(node: ValueNode): WireValue {
    if (node.value === null && node.type === undefined) return null;
    return node.type === undefined
      ? this.untyped(node.value, node.label)
      : node.type.codec[this.dialect.name].encode(node.value, node.label);
  }

  /** Columns outside a FROM of ours, as in a hand-written statement, go by their table's name. */
  #sourceName(source: TableSource): string {
    return this.#aliases.get(source) ?? quoteTable(source);
  }

  #in(node: InNode): string {
    const term = this.node(node.term);
    if ("kind" in node.list) {
      return `${term} ${node.negated ? "not in" : "in"} (${this.select(node.list)})`;
    }
    const { type, label } = node;
    const wires = (node.list as readonly unknown[]).map((value) =>
      this.value({ kind: "value", value, type, label })
    );
    this.params.push(this.dialect.listParameter(wires));
    const cast = type?.cast[this.dialect.name];
    return this.dialect.inList(term, this.params.length, cast, node.negated);
  }

  #order(node: OrderNode): string {
    const term = this.ordered(this.node(node.term), typeOf(node.term));
    return `${term}${node.descending ? " desc" : ""}${this.nulls(node)}`;
  }
}

function typeOf(node: Node): SqlType<unknown> | undefined {
  return node.kind === "column" || node.kind === "value" ? node.type : undefined;
}
