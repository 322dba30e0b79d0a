/**
 * The column types: what JavaScript gets, how a value travels, what the database calls it. One
 * encoder and one decoder of ours per type and dialect, from the wire's text, so that nothing
 * depends on driver defaults or server settings.
 *
 * @module
 */

import { InputError } from "../errors.ts";
import { describe } from "../sql/expression.ts";
import { quoteTable, quoteText } from "../sql/identifier.ts";
import type { Codec, DialectName, SqlType, WireValue } from "../sql/wire.ts";
import { jsonEqual } from "../util/json_equal.ts";
import { jsonMatches } from "../util/json_matches.ts";
import { parseInteger } from "./integers.ts";
import { checkText } from "./text_rules.ts";
import { canonicalTime, formatTimestamp, isDate, parseTimestamp } from "./timestamps.ts";

/** A codec that can also tell whether a value still is what the wire said. */
export interface ColumnCodec<T> extends Codec<T> {
  /**
   * Whether `value` is unchanged against the wire value it was loaded from. Absent where
   * `decode(wire) === value` says it.
   */
  readonly same?: (value: unknown, wire: WireValue) => boolean;
}

/** A column type: `integer`, `text`, … with its codecs and its names in DDL. */
export interface ColumnType<T> extends SqlType<T> {
  /** The codecs, one a dialect. */
  readonly codec: { readonly [D in DialectName]: ColumnCodec<T> };
  /** The type's name in CREATE TABLE. */
  readonly ddl: { readonly [D in DialectName]: string };
  /** A condition every value must meet, where the database's type is wider than ours. */
  readonly check?: (quotedColumn: string) => string;
  /** Of an array: the type of its elements; of nested ones: of the innermost. */
  readonly element?: ColumnType<unknown>;
  /** A type that PostgreSQL has to be told of before a table can use it. */
  readonly enumType?: EnumType;
}

/** An enum type of PostgreSQL. */
export interface EnumType {
  /** Its schema, if qualified. */
  readonly schema: string | undefined;
  /** Its name. */
  readonly name: string;
  /** Its labels, in order. */
  readonly labels: readonly string[];
}

/** Refuses a value that is not of a column's type. */
export function refuse(type: string, value: unknown, label: string, detail?: string): never {
  throw new InputError(
    `"${label}" takes ${type}, found ${describe(value)}${detail === undefined ? "" : ` ${detail}`}`,
    { hint: "Convert the value before assigning it" },
  );
}

const same = (wire: string): string => wire;
const asString = (wire: WireValue): string => {
  if (typeof wire !== "string") throw new TypeError("not text");
  return wire;
};
const asInteger = (wire: WireValue): number => {
  const value = Number(wire);
  if (typeof wire === "bigint" || !Number.isInteger(value)) throw new TypeError("not an integer");
  return value;
};
const isNumeric = (value: string): string => `typeof ${value} === "number"`;
const isText = (value: string): string => `typeof ${value} === "string"`;

function integerType(name: string, min: number, max: number): ColumnType<number> {
  const check = (value: unknown, label: string): number => {
    if (typeof value !== "number" || !Number.isInteger(value) || value < min || value > max) {
      refuse(`a whole number from ${min} to ${max}`, value, label);
    }
    return value === 0 ? 0 : value;
  };
  return {
    name,
    cast: { postgres: name, sqlite: "integer" },
    ddl: { postgres: name, sqlite: "integer" },
    codec: {
      postgres: {
        encode: (value, label) => String(check(value, label)),
        decode: (wire) => parseInteger(wire as string) ?? asInteger(wire),
      },
      sqlite: { encode: check, decode: asInteger, inline: same, valid: isNumeric },
    },
  };
}

/** 32-bit integers, as `number`. */
export const integerColumn: ColumnType<number> = integerType("integer", -(2 ** 31), 2 ** 31 - 1);
/** 16-bit integers, as `number`. */
export const smallintColumn: ColumnType<number> = integerType("smallint", -(2 ** 15), 2 ** 15 - 1);

function checkBigint(value: unknown, label: string): bigint {
  if (typeof value !== "bigint" || BigInt.asIntN(64, value) !== value) {
    refuse("a bigint of 64 bits", value, label);
  }
  return value;
}

/** 64-bit integers, as `bigint`. */
export const bigintColumn: ColumnType<bigint> = {
  name: "bigint",
  cast: { postgres: "bigint", sqlite: "integer" },
  ddl: { postgres: "bigint", sqlite: "integer" },
  codec: {
    postgres: {
      encode: (value, label) => String(checkBigint(value, label)),
      decode: (wire) => BigInt(wire as string),
      inline: (wire) => `BigInt(${wire})`,
    },
    sqlite: {
      encode: checkBigint,
      decode: (wire) => BigInt(wire as number),
      inline: (wire) => `BigInt(${wire})`,
    },
  },
};

/** `round` gives the number as the type can hold it. */
function floatType(name: string, ddl: string, round?: (n: number) => number): ColumnType<number> {
  const check = (value: unknown, label: string): number => {
    if (typeof value !== "number") refuse("a number", value, label);
    return round === undefined ? value : round(value);
  };
  const decode = (wire: WireValue): number => round?.(Number(wire)) ?? Number(wire);
  const unchanged = (value: unknown, wire: WireValue): boolean =>
    typeof value === "number" && Object.is(round?.(value) ?? value, decode(wire));
  const inline = (wire: string): string =>
    round === undefined ? `+${wire}` : `Math.fround(${wire})`;
  return {
    name,
    cast: { postgres: ddl, sqlite: "real" },
    ddl: { postgres: ddl, sqlite: "real" },
    codec: {
      postgres: {
        // String(-0) is "0"; the sign of zero is part of a double.
        encode(value, label) {
          const checked = check(value, label);
          return Object.is(checked, -0) ? "-0" : String(checked);
        },
        decode,
        inline,
        same: unchanged,
      },
      sqlite: {
        encode(value, label) {
          const checked = check(value, label);
          if (Number.isNaN(checked)) {
            refuse("a number other than NaN on SQLite, which would store null", value, label);
          }
          return checked;
        },
        decode,
        inline,
        same: unchanged,
      },
    },
  };
}

/** Double precision floating point, as `number`. */
export const doubleColumn: ColumnType<number> = floatType("double", "double precision");
/** Single precision floating point, as the `number` of exactly that value. */
export const realColumn: ColumnType<number> = floatType("real", "real", Math.fround);

/** Exact decimal numbers, as `string`. */
export function numericColumn(precision?: number, scale?: number): ColumnType<string> {
  const ddl = precision === undefined ? "numeric" : `numeric(${precision}, ${scale ?? 0})`;
  const places = precision === undefined ? undefined : scale ?? 0;
  const encode = (value: unknown, label: string): string => {
    const canonical = typeof value === "string" ? canonicalDecimal(value, places) : undefined;
    if (canonical === undefined) {
      refuse(`a decimal number as a string such as "9.50"`, value, label);
    }
    if (
      typeof canonical === "object" || digitsBefore(canonical) > (precision ?? 1000) - (places ?? 0)
    ) {
      throw new InputError(`The number for "${label}" does not fit ${ddl}`, {
        hint: "It would be rounded or refused; round it yourself",
      });
    }
    return canonical;
  };
  const codec: ColumnCodec<string> = {
    encode,
    decode: asString,
    inline: same,
    // "9.5" and "9.50" are one number: a difference in spelling is no change.
    same: (value, wire) =>
      value === wire || (typeof value === "string" && canonicalDecimal(value, places) === wire),
  };
  return {
    name: "numeric",
    cast: { postgres: "numeric", sqlite: "text" },
    ddl: { postgres: ddl, sqlite: "text" },
    codec: { postgres: codec, sqlite: codec },
    sqliteOrder: "numeric",
  };
}

function digitsBefore(decimal: string): number {
  const dot = decimal.indexOf(".");
  const whole = dot < 0 ? decimal : decimal.slice(0, dot);
  const digits = whole.startsWith("-") ? whole.slice(1) : whole;
  return digits === "0" ? 0 : digits.length;
}

/**
 * `-007.5` with two places becomes `-7.50`, as PostgreSQL would print it. Undefined if it is no
 * decimal number, an object if it has more places than `places`.
 */
function canonicalDecimal(text: string, places: number | undefined): string | undefined | object {
  let i = 0;
  const negative = text[0] === "-";
  if (negative || text[0] === "+") i++;
  const wholeFrom = i;
  while (isDigit(text, i)) i++;
  let whole = text.slice(wholeFrom, i);
  let fraction = "";
  if (text[i] === ".") {
    const from = ++i;
    while (isDigit(text, i)) i++;
    fraction = text.slice(from, i);
  }
  if (i !== text.length || (whole === "" && fraction === "")) return undefined;
  let zeros = 0;
  while (zeros < whole.length - 1 && whole[zeros] === "0") zeros++;
  whole = whole.slice(zeros) || "0";
  if (places !== undefined) {
    let end = fraction.length;
    while (end > places && fraction[end - 1] === "0") end--;
    if (end > places) return { tooManyPlaces: end };
    fraction = fraction.slice(0, end).padEnd(places, "0");
  }
  const digits = fraction === "" ? whole : `${whole}.${fraction}`;
  return negative && !isZero(digits) ? `-${digits}` : digits;
}

function isDigit(text: string, i: number): boolean {
  const code = text.charCodeAt(i);
  return code >= 48 && code <= 57;
}

function isZero(digits: string): boolean {
  for (let i = 0; i < digits.length; i++) if (digits[i] !== "0" && digits[i] !== ".") return false;
  return true;
}

/** Text, as `string`; `limit` in characters (code points). */
export function textColumn(limit?: number): ColumnType<string> {
  const encode = (value: unknown, label: string): string => {
    if (typeof value !== "string") refuse("a string", value, label);
    if (limit !== undefined && value.length > limit && [...value].length > limit) {
      throw new InputError(`The text for "${label}" is longer than ${limit} characters`, {
        hint: "Shorten it, or widen the column",
      });
    }
    return checkText(value, label);
  };
  const codec: ColumnCodec<string> = { encode, decode: asString, inline: same };
  const sqlite: ColumnCodec<string> = { ...codec, valid: isText };
  const ddl = limit === undefined ? "text" : `varchar(${limit})`;
  return {
    name: limit === undefined ? "text" : "varchar",
    cast: { postgres: "text", sqlite: "text" },
    ddl: { postgres: ddl, sqlite: ddl },
    codec: { postgres: codec, sqlite },
  };
}

/**
 * One of a few words, as a literal union: text with a CHECK or, with `enumType`, a type of its own
 * on PostgreSQL.
 */
export function oneOfColumn<const L extends string>(
  labels: readonly L[],
  enumType?: EnumType,
): ColumnType<L> {
  const known = new Set<unknown>(labels);
  const encode = (value: unknown, label: string): string => {
    if (!known.has(value)) {
      refuse(`one of ${labels.map((l) => `"${l}"`).join(", ")}`, value, label);
    }
    return value as string;
  };
  const codec: ColumnCodec<L> = { encode, decode: (wire) => wire as L, inline: same };
  const postgres = enumType === undefined ? "text" : quoteTable(enumType);
  return {
    name: "oneOf",
    cast: { postgres, sqlite: "text" },
    ddl: { postgres, sqlite: "text" },
    codec: { postgres: codec, sqlite: codec },
    check: (column) => `${column} in (${labels.map(quoteText).join(", ")})`,
    ...(enumType === undefined ? {} : { enumType }),
  };
}

/** `boolean`. */
export const booleanColumn: ColumnType<boolean> = {
  name: "boolean",
  cast: { postgres: "boolean", sqlite: "integer" },
  ddl: { postgres: "boolean", sqlite: "integer" },
  codec: {
    postgres: {
      encode(value, label) {
        if (typeof value !== "boolean") refuse("true or false", value, label);
        return value ? "t" : "f";
      },
      decode: (wire) => wire === "t",
      inline: (wire) => `(${wire} === "t")`,
    },
    sqlite: {
      encode(value, label) {
        if (typeof value !== "boolean") refuse("true or false", value, label);
        return value ? 1 : 0;
      },
      decode: (wire) => wire !== 0,
      inline: (wire) => `(${wire} !== 0)`,
    },
  },
};

/** UUIDs, as `string` in lower case. */
export const uuidColumn: ColumnType<string> = (() => {
  const encode = (value: unknown, label: string): string => {
    if (typeof value !== "string" || !isUuid(value)) {
      refuse(`a UUID such as "123e4567-e89b-12d3-a456-426614174000"`, value, label);
    }
    return value.toLowerCase();
  };
  const codec: ColumnCodec<string> = {
    encode,
    decode: asString,
    inline: same,
    same: (value, wire) =>
      value === wire || (typeof value === "string" && value.toLowerCase() === wire),
  };
  return {
    name: "uuid",
    cast: { postgres: "uuid", sqlite: "text" },
    ddl: { postgres: "uuid", sqlite: "text" },
    codec: { postgres: codec, sqlite: codec },
  };
})();

function isUuid(text: string): boolean {
  if (text.length !== 36) return false;
  for (let i = 0; i < 36; i++) {
    const dash = i === 8 || i === 13 || i === 18 || i === 23;
    const code = text.charCodeAt(i) | 32;
    if (dash ? text[i] !== "-" : !(isDigit(text, i) || (code >= 97 && code <= 102))) return false;
  }
  return true;
}

const HEX = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, "0"));

function toHex(bytes: Uint8Array): string {
  let hex = "\\x";
  for (let i = 0; i < bytes.length; i++) hex += HEX[bytes[i]!];
  return hex;
}

function fromHex(wire: string): Uint8Array {
  const bytes = new Uint8Array((wire.length - 2) / 2);
  for (let i = 0, at = 2; i < bytes.length; i++, at += 2) {
    bytes[i] = nibble(wire.charCodeAt(at)) * 16 + nibble(wire.charCodeAt(at + 1));
  }
  return bytes;
}

function nibble(code: number): number {
  return code < 58 ? code - 48 : code - 87;
}

function sameBytes(value: unknown, bytes: Uint8Array): boolean {
  if (!(value instanceof Uint8Array) || value.length !== bytes.length) return false;
  for (let i = 0; i < bytes.length; i++) if (value[i] !== bytes[i]) return false;
  return true;
}

/** Bytes, as `Uint8Array`. */
export const bytesColumn: ColumnType<Uint8Array> = (() => {
  const check = (value: unknown, label: string): Uint8Array => {
    if (!(value instanceof Uint8Array)) refuse("a Uint8Array", value, label);
    return value;
  };
  return {
    name: "bytes",
    cast: { postgres: "bytea", sqlite: "blob" },
    ddl: { postgres: "bytea", sqlite: "blob" },
    codec: {
      postgres: {
        encode: (value, label) => toHex(check(value, label)),
        decode: (wire) => fromHex(wire as string),
        same: (value, wire) => sameBytes(value, fromHex(wire as string)),
      },
      sqlite: {
        // Copied both ways: the wire value is the snapshot, and the object's bytes can be edited.
        encode: (value, label) => check(value, label).slice(),
        decode: (wire) => (wire as Uint8Array).slice(),
        same: (value, wire) => sameBytes(value, wire as Uint8Array),
      },
    },
  };
})();

/** JSON, parsed. */
export const jsonColumn: ColumnType<unknown> = (() => {
  const encode = (value: unknown, label: string): string => {
    let text: string | undefined;
    try {
      text = JSON.stringify(value);
    } catch (cause) {
      throw new InputError(`The value for "${label}" cannot be written as JSON`, {
        hint: "JSON knows no bigint and no cycles",
        cause,
      });
    }
    if (text === undefined) refuse("a JSON value", value, label);
    if (holdsNul(text)) {
      throw new InputError(
        `The JSON for "${label}" contains a NUL or a lone surrogate in a string`,
        {
          hint: "PostgreSQL's jsonb cannot store it; remove it",
        },
      );
    }
    return text;
  };
  const codec: ColumnCodec<unknown> = {
    encode,
    decode: (wire) => JSON.parse(wire as string),
    inline: (wire) => `JSON.parse(${wire})`,
    same(value, wire) {
      if (value === undefined) return false;
      // Nearly always nothing has changed, and that is seen without parsing.
      if (jsonMatches(value, wire as string)) return true;
      const stored: unknown = JSON.parse(wire as string);
      // The second look lets toJSON() and the like have their say.
      return jsonEqual(stored, value) ||
        jsonEqual(stored, JSON.parse(JSON.stringify(value) ?? "null"));
    },
  };
  return {
    name: "json",
    cast: { postgres: "jsonb", sqlite: "text" },
    ddl: { postgres: "jsonb", sqlite: "text" },
    codec: { postgres: codec, sqlite: codec },
  };
})();

/** JSON.stringify writes NUL and lone surrogates as `\u0000` and `\udXXX`; `\\u0000` is innocent. */
function holdsNul(json: string): boolean {
  for (let i = json.indexOf("\\"); i >= 0; i = json.indexOf("\\", i + 2)) {
    if (json[i + 1] === "u" && (json.startsWith("0000", i + 2) || json[i + 2] === "d")) return true;
  }
  return false;
}

function isoType(
  name: string,
  ddl: string,
  what: string,
  canonical: (text: string) => string | undefined,
  decode: { call: (wire: string) => string; inline: (wire: string) => string },
): ColumnType<string> {
  const encode = (value: unknown, label: string): string =>
    (typeof value === "string" ? canonical(value) : undefined) ?? refuse(what, value, label);
  const decodeWire = (wire: WireValue): string => decode.call(wire as string);
  const codec: ColumnCodec<string> = {
    encode,
    decode: decodeWire,
    inline: decode.inline,
    same: (value, wire) => {
      const stored = decodeWire(wire);
      return value === stored || (typeof value === "string" && canonical(value) === stored);
    },
  };
  return {
    name,
    cast: { postgres: ddl, sqlite: "text" },
    ddl: { postgres: ddl, sqlite: "text" },
    codec: { postgres: codec, sqlite: codec },
  };
}

const asItStands = { call: (wire: string): string => wire, inline: same };
const isInfinity = (text: string): boolean => text === "infinity" || text === "-infinity";

/** Days of the calendar, as ISO text. */
export const dateColumn: ColumnType<string> = isoType(
  "date",
  "date",
  `a date as "YYYY-MM-DD"`,
  (text) => isDate(text) || isInfinity(text) ? text : undefined,
  asItStands,
);

/** Times of day, as ISO text. */
export const timeColumn: ColumnType<string> = isoType(
  "time",
  "time",
  `a time as "HH:MM:SS"`,
  canonicalTime,
  asItStands,
);

/** Dates with times and no zone, as ISO text. */
export const timestampColumn: ColumnType<string> = isoType(
  "timestamp",
  "timestamp",
  `a date and time as "YYYY-MM-DDTHH:MM:SS"`,
  (text) => {
    if (isInfinity(text)) return text;
    const time = text[10] === "T" && isDate(text.slice(0, 10))
      ? canonicalTime(text.slice(11))
      : undefined;
    return time === undefined ? undefined : `${text.slice(0, 10)}T${time}`;
  },
  { call: (wire) => wire.replace(" ", "T"), inline: (wire) => `${wire}.replace(" ", "T")` },
);

/** Moments in time, as `Date`: milliseconds. */
export const timestamptzColumn: ColumnType<Date> = (() => {
  const codec: ColumnCodec<Date> = {
    encode: (value, label) =>
      (value instanceof Date ? formatTimestamp(value) : undefined) ??
        refuse("a valid Date from year 1 to 9999", value, label),
    decode: (wire) => new Date(parseTimestamp(wire as string)),
    same: (value, wire) =>
      value instanceof Date && value.getTime() === parseTimestamp(wire as string),
  };
  return {
    name: "timestamptz",
    cast: { postgres: "timestamptz", sqlite: "text" },
    ddl: { postgres: "timestamptz", sqlite: "text" },
    codec: { postgres: codec, sqlite: codec },
  };
})();
