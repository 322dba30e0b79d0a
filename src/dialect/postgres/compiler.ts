/** PostgreSQL's spelling of statements, where it differs. @module */

import { arrayLiteral } from "../../schema/postgres_array.ts";
import type {
  AggregateNode,
  FunctionNode,
  LikeNode,
  Node,
  OrderNode,
  QueryNode,
  SelectNode,
} from "../../sql/node.ts";
import type { SqlType, WireValue } from "../../sql/wire.ts";
import { checkLimit, Compiler, needsParentheses } from "../compiler.ts";
import { encodeScalar } from "../untyped.ts";
import { postgresAggregates, postgresFunctions } from "./functions.ts";

/** Spells statements for PostgreSQL and PGlite. */
export class PostgresCompiler extends Compiler {
  protected override readonly functions = postgresFunctions;
  protected override readonly aggregates = postgresAggregates;
  // PostgreSQL parses more, but plans them in cubic time: 1 s for 1,000 levels, 80 s for 5,000.
  protected override readonly conditionDepth = 1_000;

  protected override placeholder(position: number): string {
    return `$${position}`;
  }

  protected override untyped(value: unknown, label: string): WireValue {
    if (!Array.isArray(value)) return encodeScalar(value, label, "postgres");
    return arrayLiteral(value.map((item) => encodeScalar(item, label, "postgres")));
  }

  protected override castValue(text: string, type: SqlType<unknown> | undefined): string {
    return type === undefined ? text : `${text}::${type.cast.postgres}`;
  }

  protected override functionResult(text: string, node: FunctionNode | AggregateNode): string {
    // No rows are an empty list, as on SQLite.
    if (node.name === "arrayAgg") return `coalesce(${text}, '{}')`;
    return node.name === "jsonAgg" ? `coalesce(${text}, '[]')` : text;
  }

  protected override ordered(text: string): string {
    return text;
  }

  protected override like(node: LikeNode): string {
    // Written out, so that a server setting cannot change what a backslash means.
    return `${this.operand(node.term)} ${node.insensitive ? "ilike" : "like"} ${
      this.node(node.pattern)
    } escape '\\'`;
  }

  protected override nulls(node: OrderNode): string {
    return node.nulls === undefined ? "" : ` nulls ${node.nulls}`;
  }

  protected override limit(limit: SelectNode["limit"], offset: SelectNode["offset"]): string {
    return this.#count("limit", limit) + this.#count("offset", offset);
  }

  #count(word: string, count: SelectNode["limit"]): string {
    if (count === undefined) return "";
    const value = typeof count === "object" ? count.parameter : count;
    return ` ${word} ${this.bindWith(value, (given) => String(checkLimit(given)))}`;
  }

  protected override distinctOn(terms: readonly Node[]): string {
    return `distinct on (${terms.map((term) => this.operand(term)).join(", ")}) `;
  }

  protected override member(query: QueryNode): string {
    return needsParentheses(query) ? `(${this.query(query)})` : this.query(query);
  }

  protected override lateral(): string {
    return "lateral";
  }

  protected override defaultValue(): string {
    return "default";
  }

  protected override checkCte(): void {}

  protected override lock({ lock }: SelectNode, of: string | undefined): string {
    if (lock === undefined) return "";
    const wait = lock.wait === undefined
      ? ""
      : lock.wait === "skipLocked"
      ? " skip locked"
      : " nowait";
    return ` for ${lock.strength}${of === undefined ? "" : ` of ${of}`}${wait}`;
  }
}
