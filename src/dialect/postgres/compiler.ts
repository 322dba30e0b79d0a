/** PostgreSQL's spelling of statements, where it differs. @module */

import type { LikeNode, OrderNode, SelectNode } from "../../sql/node.ts";
import type { WireValue } from "../../sql/wire.ts";
import { Compiler } from "../compiler.ts";
import { encodeScalar } from "../untyped.ts";
import { arrayLiteral } from "../../schema/postgres_array.ts";

/** Spells statements for PostgreSQL and PGlite. */
export class PostgresCompiler extends Compiler {
  protected override placeholder(position: number): string {
    return `$${position}`;
  }

  protected override untyped(value: unknown, label: string): WireValue {
    if (!Array.isArray(value)) return encodeScalar(value, label, "postgres");
    return arrayLiteral(value.map((item) => encodeScalar(item, label, "postgres")));
  }

  protected override ordered(text: string): string {
    return text;
  }

  protected override like(node: LikeNode): string {
    // Written out, so that a server setting cannot change what a backslash means.
    return `${this.node(node.term)} ${node.insensitive ? "ilike" : "like"} ${
      this.node(node.pattern)
    } escape '\\'`;
  }

  protected override nulls(node: OrderNode): string {
    return node.nulls === undefined ? "" : ` nulls ${node.nulls}`;
  }

  protected override limit(limit: number | undefined, offset: number | undefined): string {
    return (limit === undefined ? "" : ` limit ${this.bind(String(limit))}`) +
      (offset === undefined ? "" : ` offset ${this.bind(String(offset))}`);
  }

  protected override lock({ lock }: SelectNode): string {
    if (lock === undefined) return "";
    const wait = lock.wait === undefined
      ? ""
      : lock.wait === "skipLocked"
      ? " skip locked"
      : " nowait";
    return ` for ${lock.strength}${wait}`;
  }
}
