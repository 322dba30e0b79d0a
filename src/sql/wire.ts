/**
 * What travels between us and a database, and the one interface through which the expression
 * language knows a column's type.
 *
 * @module
 */

/**
 * One value on its way to or from a driver. PostgreSQL and PGlite speak text and null only; SQLite
 * its five storage classes (an INTEGER arrives as a `number` when that is exact, else as `bigint`).
 */
export type WireValue = string | number | bigint | Uint8Array | null;

/** One row, by position. */
export type WireRow = WireValue[];

/** Which SQL a driver speaks. PGlite is PostgreSQL. */
export type DialectName = "postgres" | "sqlite";

/**
 * How one type's values go to one database and come back.
 *
 * `encode` is never given null; `decode` is never given null.
 */
export interface Codec<T> {
  /**
   * The wire form of `value`. Refuses everything that is not exactly of the type; `label` names
   * the column or parameter in the error.
   */
  encode(value: unknown, label: string): WireValue;
  /** The JavaScript value of a wire value. */
  decode(wire: WireValue): T;
  /**
   * JavaScript source for `decode`, given the source of the wire value, where an inlined
   * expression is faster than a call. Used by the compiled hydrator only.
   */
  readonly inline?: (wire: string) => string;
  /**
   * Source of the test that what `inline` gave is of the type, where it could be something else
   * without throwing: a column that is mapped to another type than it has.
   */
  readonly valid?: (value: string) => string;
}

/** A column type as the expression language sees it. */
export interface SqlType<T> {
  /** The name users type: `integer`, `timestamptz`, … */
  readonly name: string;
  /** What to cast a parameter to where the database cannot infer it. Absent: no cast needed. */
  readonly cast: { readonly [D in DialectName]: string };
  /** The codecs, one a dialect. */
  readonly codec: { readonly [D in DialectName]: Codec<T> };
  /**
   * SQLite keeps some types as text for exactness; comparing and sorting those by value needs
   * this cast.
   */
  readonly sqliteOrder?: string;
  /** Of an array: the type of its elements. */
  readonly element?: SqlType<unknown>;
}

/** The types that go by a name alone, and what JavaScript gets of them. */
export interface TypeNames {
  /** 16-bit whole numbers. */
  readonly smallint: number;
  /** 32-bit whole numbers. */
  readonly integer: number;
  /** 64-bit whole numbers. */
  readonly bigint: bigint;
  /** Exact decimal numbers. */
  readonly numeric: string;
  /** Single precision floating point. */
  readonly real: number;
  /** Double precision floating point. */
  readonly double: number;
  /** Text. */
  readonly text: string;
  /** True or false. */
  readonly boolean: boolean;
  /** UUIDs. */
  readonly uuid: string;
  /** Bytes. */
  readonly bytes: Uint8Array;
  /** JSON (`jsonb` on PostgreSQL). */
  readonly json: unknown;
  /** Days, as ISO text. */
  readonly date: string;
  /** Times of day, as ISO text. */
  readonly time: string;
  /** Dates with times and no zone, as ISO text. */
  readonly timestamp: string;
  /** Moments. */
  readonly timestamptz: Date;
}

/** The name of a type. */
export type TypeName = keyof TypeNames;

/**
 * A type as an expression knows it: a column's own, one by name, an array of one, or JSON that is
 * read part by part.
 */
export type TypeRef = SqlType<unknown> | TypeName | { readonly arrayOf: TypeRef } | JsonShapeRef;

/** JSON made of columns: an object by name, or a list. */
export type JsonShapeRef =
  | { readonly objectOf: readonly (readonly [string, TypeRef | undefined])[] }
  | { readonly listOf: TypeRef };
