/** SQLite's spelling of statements, where it differs. @module */

import { InputError } from "../../errors.ts";
import { checkText } from "../../schema/text_rules.ts";
import type {
  AggregateNode,
  FunctionNode,
  LikeNode,
  OrderNode,
  QueryNode,
  SelectNode,
  ValueNode,
  WriteNode,
} from "../../sql/node.ts";
import type { SqlType, WireValue } from "../../sql/wire.ts";
import { checkLimit, Compiler, needsParentheses } from "../compiler.ts";
import { unsupportedError } from "../functions.ts";
import { resolveType } from "../type_names.ts";
import { encodeScalar } from "../untyped.ts";
import { sqliteAggregates, sqliteFunctions } from "./functions.ts";

/** Functions that hand their arguments on as they are; all others compute with them. */
const PASSING = new Set<string>([
  "cast",
  "coalesce",
  "nullif",
  "count",
  "arrayAgg",
  "jsonAgg",
  "jsonObject",
  "lag",
  "lead",
  "firstValue",
  "lastValue",
]);

/** Spells statements for SQLite. */
export class SqliteCompiler extends Compiler {
  protected override readonly functions = sqliteFunctions;
  protected override readonly aggregates = sqliteAggregates;
  // SQLite's own limit is 1,000, of which each level takes one.
  protected override readonly conditionDepth = 900;
  protected override readonly chainLength = 32;

  protected override placeholder(position: number): string {
    return `?${position}`;
  }

  protected override untyped(value: unknown, label: string): WireValue {
    if (Array.isArray(value)) {
      throw new InputError(`"${label}" is an array, and SQLite has none`, {
        hint: "Use column.in(values), or bind JSON.stringify(values) and json_each()",
      });
    }
    return encodeScalar(value, label, "sqlite");
  }

  protected override ordered(text: string, type: SqlType<unknown> | undefined): string {
    return type?.sqliteOrder === undefined ? text : `cast(${text} as ${type.sqliteOrder})`;
  }

  protected override like(node: LikeNode): string {
    const term = this.operand(node.term);
    if (node.insensitive) return `${term} like ${this.node(node.pattern)} escape '\\'`;
    // SQLite's LIKE ignores the case of ASCII letters; GLOB minds it but has other wildcards.
    const { value } = node.pattern as ValueNode;
    const glob = this.bindWith(value, (text) => likeToGlob(checkText(text as string, "like()")));
    return `${term} glob ${glob}`;
  }

  protected override nulls(node: OrderNode): string {
    // Where nothing is null, saying so would only keep SQLite from using an index.
    if (node.term.kind === "column" && !node.term.nullable) return "";
    // PostgreSQL takes null as the largest value, SQLite as the smallest.
    return ` nulls ${node.nulls ?? (node.descending ? "first" : "last")}`;
  }

  protected override limit(limit: SelectNode["limit"], offset: SelectNode["offset"]): string {
    if (limit === undefined && offset === undefined) return "";
    return this.#count("limit", limit ?? -1) +
      (offset === undefined ? "" : this.#count("offset", offset));
  }

  #count(word: string, count: NonNullable<SelectNode["limit"]>): string {
    const value = typeof count === "object" ? count.parameter : count;
    const bound = value === -1 ? this.bind(-1) : this.bindWith(value, checkLimit);
    return ` ${word} ${bound}`;
  }

  protected override castValue(text: string): string {
    return text;
  }

  protected override computes(node: FunctionNode | AggregateNode): boolean {
    return !PASSING.has(node.name);
  }

  protected override functionResult(text: string, node: FunctionNode | AggregateNode): string {
    if (PASSING.has(node.name)) return text;
    // Computed as a number, kept as text.
    const type = node.type === undefined ? undefined : resolveType(node.type);
    return type?.sqliteOrder === undefined ? text : `cast(${text} as text)`;
  }

  protected override distinctOn(): never {
    throw unsupportedError(
      "distinctOn()",
      "Number the rows with rowNumber().over({ partitionBy, orderBy }) in a derived table, and take number 1",
    );
  }

  protected override member(query: QueryNode): string {
    return needsParentheses(query) ? `select * from (${this.query(query)})` : this.query(query);
  }

  protected override lateral(): never {
    throw unsupportedError(
      "A lateral join",
      "Use a scalar() subquery, or rowNumber().over({ partitionBy, orderBy }) in a derived table",
    );
  }

  protected override defaultValue(): never {
    throw unsupportedError(
      "A row that leaves out a column which other rows have",
      "Give all rows the same columns, or insert them with bulkInsert()",
    );
  }

  protected override checkCte(statement: QueryNode | WriteNode): void {
    if (statement.kind === "select" || statement.kind === "compound") return;
    throw unsupportedError(
      `A CTE with ${statement.kind}`,
      "Run two statements inside session.begin()",
    );
  }

  protected override lock(): string {
    // A writing transaction already has the whole file for itself.
    return "";
  }
}

/** `A%_\%` → `A*?%`: GLOB's wildcards, its own ones taken as letters. */
function likeToGlob(pattern: string): string {
  let glob = "";
  for (let i = 0; i < pattern.length; i++) {
    let char = pattern[i]!;
    const escaped = char === "\\" && i + 1 < pattern.length;
    if (escaped) char = pattern[++i]!;
    if (!escaped && char === "%") glob += "*";
    else if (!escaped && char === "_") glob += "?";
    else glob += char === "*" || char === "?" || char === "[" ? `[${char}]` : char;
  }
  return glob;
}
