/**
 * A row shape: which columns a row holds, in which order, with the functions compiled for it.
 * Made once for each mapper, dialect and set of columns, and reused for every row: rows are read
 * by position, without closures or loops per row.
 *
 * The functions are generated source. Names enter it only as JSON string literals.
 *
 * @module
 */

import { InputError } from "../errors.ts";
import type { WireRow, WireValue } from "../sql/wire.ts";
import type { ColumnCodec } from "../schema/types.ts";
import { type Fill, isGiven } from "./definition.ts";
import type { MappedColumn } from "./mapped_column.ts";

/** What identifies a row within its class: primitive, so that maps find it. */
export type IdentityKey = string | number | bigint;

/** The functions compiled for one set of columns. */
export interface RowShape {
  /** The columns, in the order of the row. */
  readonly columns: readonly MappedColumn[];
  /** Their codecs, in the same order. */
  readonly codecs: readonly ColumnCodec<unknown>[];
  /** Where the primary key's columns stand. */
  readonly keyIndexes: readonly number[];
  /** Of objects of which any column may be missing, and not only a deferred one. */
  readonly sparse: boolean;
  /** Gives an object the values of a row. */
  readonly fill: Fill;
  /** The identity of a row. */
  readonly keyOf: (row: WireRow) => IdentityKey;
  /**
   * The row of a new object: undefined where the database gives the value. Columns without a value are
   * null there, and their indexes are added to `open`.
   *
   * @throws {InputError} when a value cannot be stored.
   */
  readonly encode: (object: object, open: number[]) => (WireValue | undefined)[];
  /**
   * Indexes of the columns in which the object differs from the row, whose identity is `key`; null if
   * there are none.
   */
  readonly changes: (object: object, row: WireRow, key: IdentityKey) => number[] | null;
}

/** Compiles the shape of rows that hold `columns`, among them the primary key. */
export function compileShape(
  columns: readonly MappedColumn[],
  codecs: Codecs,
  sparse: boolean,
): RowShape {
  const keyIndexes = columns.flatMap((column, i) => column.primaryKey ? [i] : []);
  return {
    columns,
    codecs,
    keyIndexes,
    sparse,
    fill: compileFill(columns, codecs, sparse),
    keyOf: compileKey(keyIndexes, codecs, columns),
    encode: compileEncode(columns, codecs),
    changes: compileChanges(columns, codecs, sparse, keyIndexes),
  };
}

type Codecs = readonly ColumnCodec<unknown>[];

function decodeSource(codec: ColumnCodec<unknown>, i: number, wire: string): string {
  return codec.inline === undefined ? `c[${i}].decode(${wire})` : codec.inline(wire);
}

function compileFill(columns: readonly MappedColumn[], codecs: Codecs, sparse: boolean): Fill {
  const lines = columns.map(({ property, deferred, defined }, i) => {
    if (defined.group !== undefined) return groupSource(columns, codecs, i, sparse);
    const codec = codecs[i]!;
    const name = JSON.stringify(property);
    const value = decodeSource(codec, i, "w");
    const fill = codec.valid === undefined
      ? `o[${name}] = (w = r[${i}]) === null ? null : ${value};`
      : `if ((w = r[${i}]) === null) o[${name}] = null;
        else { v = ${value}; o[${name}] = ${codec.valid("v")} ? v : c[${i}].decode(w); }`;
    return deferred || sparse ? unlessUnknown(i, name, fill) : fill;
  });
  return new Function("c", `return (o, r) => { let w, v; ${lines.join("\n")} };`)(codecs);
}

/** What was not read is no property of the object, so that reading it meets the guard. */
function unlessUnknown(i: number, name: string, fill: string): string {
  return `if (r[${i}] !== undefined) { ${fill} } else if (Object.hasOwn(o, ${name})) delete o[${name}];`;
}

/** Makes the object of a group, where its first column stands. */
function groupSource(
  columns: readonly MappedColumn[],
  codecs: Codecs,
  first: number,
  sparse: boolean,
): string {
  const { property, nullable } = columns[first]!.group!;
  const indexes = columns.flatMap(({ group }, i) => group?.property === property ? [i] : []);
  if (indexes[0] !== first) return "";
  const values = indexes.map((i) => {
    const codec = codecs[i]!;
    const value = decodeSource(codec, i, "w");
    const checked = codec.valid === undefined
      ? value
      : `((v = ${value}), ${codec.valid("v")} ? v : c[${i}].decode(w))`;
    const { field } = columns[i]!.defined.group!;
    return `[${JSON.stringify(field)}]: (w = r[${i}]) === null ? null : ${checked}`;
  });
  const missing = nullable ? indexes.map((i) => `r[${i}] === null`).join(" && ") : "false";
  const name = JSON.stringify(property);
  const fill = `o[${name}] = ${missing} ? null : { ${values.join(", ")} };`;
  return sparse ? unlessUnknown(first, name, fill) : fill;
}

function compileChanges(
  columns: readonly MappedColumn[],
  codecs: Codecs,
  sparse: boolean,
  keyIndexes: readonly number[],
): RowShape["changes"] {
  const lines = columns.map(({ property, deferred, group }, i) => {
    // Decoded already, and never missing.
    if (isIdentity(columns, keyIndexes) && i === keyIndexes[0]) {
      return `if (o[${JSON.stringify(property)}] !== k) ${noteChange(i)}`;
    }
    const codec = codecs[i]!;
    const asIs = codec.inline?.("w") === "w";
    // What the type does not hold was read by decode(), as it was filled in.
    const other = asIs && codec.valid !== undefined
      ? ` || !(${codec.valid("w")}) && c[${i}].decode(w) === v`
      : "";
    const same = codec.same === undefined
      ? `${decodeSource(codec, i, "w")} === v${other}`
      // What nobody touched is the very same value: that needs no call. Zero is looked at closer,
      // because === overlooks its sign.
      : asIs
      ? `v === w && v !== 0 || c[${i}].same(v, w)`
      : `c[${i}].same(v, w)`;
    const name = JSON.stringify(property);
    const compare = `v = o[${name}]; w = r[${i}];
      if (v === null || w === null ? v !== w : !(${same})) ${noteChange(i)}`;
    // Not loaded: unchanged, unless it was assigned.
    const own = group === undefined ? name : JSON.stringify(group.property);
    return deferred || sparse
      ? `if (r[${i}] !== undefined) { ${compare} }
        else if (Object.hasOwn(o, ${own})) ${noteChange(i)}`
      : compare;
  });
  return new Function(
    "c",
    `return (o, r, k) => { let d = null, v, w; ${lines.join("\n")} return d; };`,
  )(codecs);
}

/** A column's value on the wire, null included. */
export function encodeValue(
  value: unknown,
  column: MappedColumn,
  codec: ColumnCodec<unknown>,
): WireValue {
  if (value !== null) return codec.encode(value, column.label);
  if (column.nullable) return null;
  throw new InputError(`"${column.label}" takes no null`, {
    hint: "Give it a value, or declare the column nullable()",
  });
}

function compileEncode(columns: readonly MappedColumn[], codecs: Codecs): RowShape["encode"] {
  const values = columns.map(({ property, nullable, defined, label }, i) => {
    const missing = isGiven(defined.spec) ? "undefined" : `(open.push(${i}), null)`;
    const none = nullable ? "null" : `encodeValue(null, columns[${i}])`;
    return `(v = o[${JSON.stringify(property)}]) === undefined ? ${missing}
      : v === null ? ${none} : c[${i}].encode(v, ${JSON.stringify(label)})`;
  });
  // One array of the row's exact size: it stays as the object's snapshot.
  return new Function(
    "c",
    "columns",
    "encodeValue",
    `return (o, open) => { let v; return [${values.join(",\n")}]; };`,
  )(codecs, columns, encodeValue);
}

function compileKey(
  indexes: readonly number[],
  codecs: Codecs,
  columns: readonly MappedColumn[],
): RowShape["keyOf"] {
  if (indexes.length === 1) {
    const [i] = indexes as [number];
    if (isIdentity(columns, indexes)) {
      return new Function("c", `return (r) => ${decodeSource(codecs[i]!, i, `r[${i}]`)};`)(codecs);
    }
    return (row) => keyPart(row[i]!);
  }
  // Length-prefixed, so that no two composite keys meet.
  return (row) => {
    let key = "";
    for (const i of indexes) {
      const part = keyPart(row[i]!);
      const text = String(part);
      key += `${text.length}:${text}`;
    }
    return key;
  };
}

/** Most often one column changes: an array of just that size. */
function noteChange(index: number): string {
  return `{ if (d === null) d = [${index}]; else d.push(${index}); }`;
}

/** True if the key's value is the identity: small integers hash fastest, and most keys are integers. */
function isIdentity(columns: readonly MappedColumn[], indexes: readonly number[]): boolean {
  if (indexes.length !== 1) return false;
  const { name } = columns[indexes[0]!]!.type;
  return name === "integer" || name === "smallint";
}

function keyPart(wire: WireValue): IdentityKey {
  if (wire instanceof Uint8Array) return String.fromCharCode(...wire);
  if (typeof wire === "bigint" && BigInt.asIntN(53, wire) === wire) return Number(wire);
  return wire!;
}
