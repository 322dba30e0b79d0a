/**
 * What `jsonObject()` and `jsonAgg()` make of columns: JSON in which every value is written so that
 * the decoder of its column reads it exactly.
 *
 * @module
 */

import type { DialectName, SqlType, WireValue } from "../sql/wire.ts";
import { type ColumnCodec, type ColumnType, jsonColumn } from "./types.ts";

/** Makes a value of what JSON holds. */
export type ReadJson = (value: unknown) => unknown;

/** How the parts of a shape are read, one reader a dialect. */
export type JsonReaders = { readonly [D in DialectName]: ReadJson };

const asIs: ReadJson = (value) => value;
/** Of what only the database knows. */
export const plainReaders: JsonReaders = { postgres: asIs, sqlite: asIs };

const readersOf = new WeakMap<SqlType<unknown>, JsonReaders>();

/** The readers of a value of a type inside of JSON. */
export function jsonReaders(type: SqlType<unknown>): JsonReaders {
  const known = readersOf.get(type);
  if (known !== undefined) return known;
  if (type.name === "json") return plainReaders;
  const { postgres, sqlite } = type.codec;
  const isText = type.cast.sqlite === "text";
  return {
    postgres: (value) => value === null ? null : postgres.decode(postgresText(value)),
    sqlite(value) {
      if (value === null) return null;
      if (typeof value === "object") return sqlite.decode(JSON.stringify(value));
      // What JSON cannot hold exactly is in it in PostgreSQL's text form.
      if (typeof value === "string" && !isText) return postgres.decode(value);
      return sqlite.decode(value as WireValue);
    },
  };
}

function postgresText(value: unknown): string {
  switch (typeof value) {
    case "string":
      return value;
    case "boolean":
      return value ? "t" : "f";
    case "object":
      return JSON.stringify(value);
    default:
      return String(value);
  }
}

/** The readers of an object. */
export function objectReaders(fields: readonly (readonly [string, JsonReaders])[]): JsonReaders {
  const of = (dialect: DialectName): ReadJson => (value) =>
    value === null ? null : Object.fromEntries(
      fields.map(([name, readers]) =>
        [name, readers[dialect]((value as Record<string, unknown>)[name] ?? null)] as const
      ),
    );
  return { postgres: of("postgres"), sqlite: of("sqlite") };
}

/** The readers of a list. */
export function listReaders(items: JsonReaders): JsonReaders {
  const of = (dialect: DialectName): ReadJson => (value) =>
    value === null ? null : (value as unknown[]).map((item) => items[dialect](item));
  return { postgres: of("postgres"), sqlite: of("sqlite") };
}

/** The type of JSON that is read so. */
export function jsonShape(readers: JsonReaders): ColumnType<unknown> {
  const codec = (dialect: DialectName): ColumnCodec<unknown> => ({
    encode: jsonColumn.codec[dialect].encode,
    decode: (wire) => readers[dialect](JSON.parse(wire as string)),
  });
  const type = { ...jsonColumn, codec: { postgres: codec("postgres"), sqlite: codec("sqlite") } };
  readersOf.set(type, readers);
  return type;
}
