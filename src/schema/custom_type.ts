/**
 * Types of the user's own: how a value becomes text that the database reads, and back.
 *
 * @module
 */

import { InputError } from "../errors.ts";
import { describe } from "../sql/expression.ts";
import { checkText } from "./text_rules.ts";
import type { ColumnCodec, ColumnType } from "./types.ts";

/** What `customType()` takes. */
export interface CustomType<T> {
  /**
   * The type in CREATE TABLE and in casts, such as `"inet"` or `"geometry(Point, 4326)"`. Trusted
   * text. SQLite stores the text, unless its type is given too.
   */
  readonly sql: string | { readonly postgres: string; readonly sqlite: string };
  /** The text the database reads. Never given null. */
  toDriver(value: T): string;
  /** The value of the database's text. Never given null. */
  fromDriver(text: string): T;
}

/** The column type of a declaration. */
export function customColumn<T>(declared: CustomType<T>): ColumnType<T> {
  const { sql } = declared;
  const ddl = typeof sql === "string" ? { postgres: sql, sqlite: "text" } : sql;
  if (![ddl?.postgres, ddl?.sqlite].every((text) => typeof text === "string" && text !== "")) {
    throw new InputError(`customType() expects the type's name as "sql", found ${describe(sql)}`, {
      hint: `Write it as customType({ sql: "inet", toDriver, fromDriver })`,
    });
  }
  const codec: ColumnCodec<T> = {
    encode(value, label) {
      const text: unknown = declared.toDriver(value as T);
      if (typeof text === "string") return checkText(text, label);
      throw new InputError(`toDriver() of "${label}" gave ${describe(text)}`, {
        hint: "It has to give the text that the database reads",
      });
    },
    decode: (wire) => declared.fromDriver(String(wire)),
    // Through both functions, since the database can spell a value otherwise than toDriver() does.
    same(value, wire) {
      if (value === undefined) return false;
      const stored = declared.fromDriver(String(wire));
      return value === stored || declared.toDriver(value as T) === declared.toDriver(stored);
    },
  };
  return {
    name: "customType",
    cast: { postgres: ddl.postgres, sqlite: "text" },
    ddl,
    codec: { postgres: codec, sqlite: codec },
  };
}
