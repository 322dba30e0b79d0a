/**
 * Arrays: PostgreSQL's own, and JSON text on SQLite. Elements go through the codec of their type,
 * whatever the depth.
 *
 * @module
 */

import { InputError } from "../errors.ts";
import type { DialectName, WireValue } from "../sql/wire.ts";
import { arrayText, parseArray } from "./postgres_array.ts";
import { type ColumnCodec, type ColumnType, refuse } from "./types.ts";

/** An element on its way: its wire form, null, or for nested arrays a list of them. */
type Item = WireValue | readonly Item[];

/** How the elements of one database are written and read. */
interface Notation {
  write(items: readonly Item[]): string;
  read(wire: string): readonly Item[];
}

/** The type of arrays of `element`; `nullable` says whether an element can be null. */
export function arrayColumn(
  element: ColumnType<unknown>,
  nullable: boolean,
): ColumnType<unknown[]> {
  const base = element.element ?? element;
  const depth = element.element === undefined ? 1 : depths.get(element)! + 1;
  if (depth > 1 && nullable) {
    throw new InputError("An array of arrays cannot hold null in place of an array", {
      hint: "Call nullable() after the last array(), or before the first for null elements",
    });
  }
  const takesNull = depth === 1 ? nullable : nullElements.has(element);
  const type: ColumnType<unknown[]> = {
    name: "array",
    element: base,
    // PostgreSQL's arrays have one type whatever their depth.
    cast: { postgres: `${base.cast.postgres}[]`, sqlite: "text" },
    ddl: { postgres: `${base.ddl.postgres}[]`, sqlite: "text" },
    codec: {
      postgres: arrayCodec(base, depth, takesNull, "postgres", postgres),
      sqlite: arrayCodec(base, depth, takesNull, "sqlite", sqlite(base)),
    },
    ...(base.enumType === undefined ? {} : { enumType: base.enumType }),
  };
  depths.set(type, depth);
  if (takesNull) nullElements.add(type);
  return type;
}

const depths = new WeakMap<ColumnType<unknown>, number>();
const nullElements = new WeakSet<ColumnType<unknown>>();

function arrayCodec(
  base: ColumnType<unknown>,
  depth: number,
  takesNull: boolean,
  dialect: DialectName,
  { write, read }: Notation,
): ColumnCodec<unknown[]> {
  const codec = base.codec[dialect];
  const encode = (value: unknown, left: number, label: string): Item[] => {
    if (!Array.isArray(value)) return refuse("an array", value, label);
    // By index: a hole is read as undefined, and refused like it.
    return Array.from(value, (item: unknown) => {
      if (left > 1) return encode(item, left - 1, label);
      if (item !== null) return codec.encode(item, label);
      return takesNull ? null : refuse("no null inside its array", item, label);
    });
  };
  const decode = (items: readonly Item[]): unknown[] =>
    items.map((item) =>
      item === null ? null : isList(item) ? decode(item) : codec.decode(item as WireValue)
    );
  const sameItems = (value: unknown, items: readonly Item[]): boolean =>
    Array.isArray(value) && value.length === items.length && items.every((item, i) => {
      const now: unknown = value[i];
      if (item === null || now === null) return item === now;
      if (isList(item)) return sameItems(now, item);
      return codec.same?.(now, item) ?? codec.decode(item) === now;
    });
  return {
    encode(value, label) {
      const items = encode(value, depth, label);
      if (depth > 1) checkRectangle(items, depth, label);
      return write(items);
    },
    decode: (wire) => decode(read(wire as string)),
    same: (value, wire) => sameItems(value, read(wire as string)),
  };
}

function isList(item: Item): item is readonly Item[] {
  return Array.isArray(item);
}

/** PostgreSQL's nested arrays are matrices, and one without elements has no depth. */
function checkRectangle(items: readonly Item[], depth: number, label: string): void {
  const sizes: number[] = [];
  const walk = (list: readonly Item[], level: number): void => {
    if (level > 0 && (list.length === 0 || list.length !== (sizes[level] ??= list.length))) {
      throw new InputError(
        list.length === 0
          ? `"${label}" holds an empty array inside an array`
          : `"${label}" holds arrays of different lengths inside an array`,
        { hint: "PostgreSQL stores matrices only; use a json() column for ragged arrays" },
      );
    }
    if (level + 1 < depth) { for (const item of list) walk(item as readonly Item[], level + 1); }
  };
  walk(items, 0);
}

const postgres: Notation = {
  write: (items) => arrayText(items as Parameters<typeof arrayText>[0]),
  read: (wire) => parseArray(wire, (text) => text) as readonly Item[],
};

/**
 * JSON, in which a number, text or null stands for itself. What JSON cannot hold exactly (bytes,
 * big integers, infinities, the sign of zero) is written in PostgreSQL's text form.
 */
function sqlite(base: ColumnType<unknown>): Notation {
  const isText = base.cast.sqlite === "text";
  const { postgres: exact, sqlite: plain } = base.codec;
  const out = (item: Item): unknown => {
    if (isList(item)) return item.map(out);
    if (typeof item === "string" || item === null) return item;
    if (typeof item === "number" && Number.isFinite(item) && !Object.is(item, -0)) return item;
    return exact.encode(plain.decode(item as WireValue), "array");
  };
  const back = (item: unknown): Item => {
    if (Array.isArray(item)) return item.map(back);
    if (typeof item !== "string" || isText) return item as WireValue;
    return plain.encode(exact.decode(item), "array");
  };
  return {
    write: (items) => JSON.stringify(items.map(out)),
    read: (wire) => (JSON.parse(wire) as unknown[]).map(back),
  };
}
