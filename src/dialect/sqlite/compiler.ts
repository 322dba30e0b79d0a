/** SQLite's spelling of statements, where it differs. @module */

import { InputError } from "../../errors.ts";
import type { LikeNode, OrderNode } from "../../sql/node.ts";
import type { SqlType, WireValue } from "../../sql/wire.ts";
import { Compiler } from "../compiler.ts";
import { encodeScalar } from "../untyped.ts";

/** Spells statements for SQLite. */
export class SqliteCompiler extends Compiler {
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
    const term = this.node(node.term);
    if (node.insensitive) return `${term} like ${this.node(node.pattern)} escape '\\'`;
    // SQLite's LIKE ignores the case of ASCII letters; GLOB minds it but has other wildcards.
    if (node.pattern.kind !== "value") {
      throw new InputError("like() takes a string as its pattern on SQLite");
    }
    return `${term} glob ${this.bind(likeToGlob(this.value(node.pattern) as string))}`;
  }

  protected override nulls(node: OrderNode): string {
    // Where nothing is null, saying so would only keep SQLite from using an index.
    if (node.term.kind === "column" && !node.term.nullable) return "";
    // PostgreSQL takes null as the largest value, SQLite as the smallest.
    return ` nulls ${node.nulls ?? (node.descending ? "first" : "last")}`;
  }

  protected override limit(limit: number | undefined, offset: number | undefined): string {
    if (limit === undefined && offset === undefined) return "";
    return ` limit ${this.bind(limit ?? -1)}` +
      (offset === undefined ? "" : ` offset ${this.bind(offset)}`);
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
