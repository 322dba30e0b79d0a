/**
 * What `select()` asks for, as columns; and the functions that make plain objects of their rows.
 *
 * The functions are generated source, made once for each shape. Names enter it only as JSON string
 * literals.
 *
 * @module
 */

import { DecodeError, InputError } from "../../errors.ts";
import { resolveType } from "../../dialect/type_names.ts";
import type { DriverColumn } from "../../dialect/driver.ts";
import type { Dialect } from "../../dialect/dialect.ts";
import { describe, Expression } from "../../sql/expression.ts";
import { type Node, type Source, typeOf } from "../../sql/node.ts";
import { expressionIn } from "../../sql/operand.ts";
import type { Codec, TypeRef, WireRow, WireValue } from "../../sql/wire.ts";

/** The selection of a source that can be missing: behind a left join. */
export type NullableSelection<S> = S extends Expression<infer T> ? Expression<T | null>
  : { readonly [K in keyof S]: NullableSelection<S[K]> };

/** Where the values of a row go: a column's index, or names with trees. */
export type ShapeTree = number | readonly (readonly [string, ShapeTree])[];

/** A selection, taken apart. */
export interface SelectionPlan {
  /** The columns. */
  readonly columns: readonly Node[];
  /** Where their values go. */
  readonly tree: ShapeTree;
  /** The name of each column in messages. */
  readonly names: readonly string[];
}

const MAX_DEPTH = 16;
/** PostgreSQL's limit on the columns of a query. */
const MAX_COLUMNS = 1_600;

/** Takes a selection apart. */
export function planSelection(selection: unknown): SelectionPlan {
  const columns: Node[] = [];
  const names: string[] = [];
  const visit = (part: unknown, path: readonly string[]): ShapeTree => {
    const node = expressionIn(part);
    if (node !== undefined) {
      if (columns.push(node) > MAX_COLUMNS) {
        throw new InputError(`select() takes at most ${MAX_COLUMNS} columns`);
      }
      names.push(path.join(".") || "value");
      return columns.length - 1;
    }
    const isObject = typeof part === "object" && part !== null && !Array.isArray(part) &&
      [Object.prototype, null].includes(Object.getPrototypeOf(part));
    if (!isObject || path.length > MAX_DEPTH) {
      throw new InputError(
        `select() expects a column or an object of columns${
          path.length === 0 ? "" : ` as "${path.join(".")}"`
        }, found ${describe(part)}`,
        { hint: "Write it as select((a) => ({ id: a.id, name: a.name }))" },
      );
    }
    return Object.keys(part).map((name) =>
      [name, visit((part as Record<string, unknown>)[name], [...path, name])] as const
    );
  };
  const tree = visit(selection, []);
  if (columns.length === 0) {
    throw new InputError("select() was given no columns", {
      hint: "Write it as select((a) => ({ id: a.id }))",
    });
  }
  return { columns, tree, names };
}

/** The columns of a derived table, in the shape of the selection it was made of. */
export function refsOfPlan({ columns, tree, names }: SelectionPlan, source: Source): unknown {
  const ref = (part: ShapeTree): unknown => {
    if (typeof part === "number") {
      return new Expression({
        kind: "column",
        source,
        name: `c${part}`,
        type: typeOf(columns[part]!),
        nullable: true,
        label: names[part]!,
      });
    }
    const object: Record<string, unknown> = Object.create(null);
    for (const [name, next] of part) object[name] = ref(next);
    return object;
  };
  return ref(tree);
}

/** Makes a plain value of a row. */
export type ReadRow = (row: WireRow) => unknown;
type Decoder = Pick<Codec<unknown>, "decode" | "inline">;
type Make = (codecs: readonly Decoder[]) => ReadRow;

const made = new Map<string, Make>();
const MOST_MADE = 1_000;

/** The function for rows of a shape; `columns` tell the types of what has none of its own. */
export function rowReader(
  plan: SelectionPlan,
  dialect: Dialect,
  columns: readonly DriverColumn[],
): ReadRow {
  const decoders = plan.columns.map((node, i) => decoderOf(typeOf(node), dialect, columns[i]));
  const source = `return (r) => { let w; return ${treeSource(plan.tree, decoders)}; };`;
  let make = made.get(source);
  if (make === undefined) {
    if (made.size >= MOST_MADE) made.clear();
    make = new Function("c", source) as Make;
    made.set(source, make);
  }
  return make(decoders);
}

function decoderOf(
  type: TypeRef | undefined,
  dialect: Dialect,
  column: DriverColumn | undefined,
): Decoder {
  if (type !== undefined) return resolveType(type).codec[dialect.name];
  const [decode] = column === undefined ? [] : dialect.decoders([column]);
  return { decode: decode ?? ((wire: WireValue) => wire) };
}

function treeSource(tree: ShapeTree, decoders: readonly Decoder[]): string {
  if (typeof tree === "number") {
    const { inline } = decoders[tree]!;
    const value = inline === undefined ? `c[${tree}].decode(w)` : inline("w");
    return `(w = r[${tree}]) === null ? null : ${value}`;
  }
  // A computed key makes even "__proto__" an own property.
  const parts = tree.map(([name, next]) =>
    `[${JSON.stringify(name)}]: ${treeSource(next, decoders)}`
  );
  return `({ ${parts.join(", ")} })`;
}

/** Reads rows; an error names the column at fault. */
export function readRows(
  plan: SelectionPlan,
  dialect: Dialect,
  columns: readonly DriverColumn[],
  rows: readonly WireRow[],
): unknown[] {
  const read = rowReader(plan, dialect, columns);
  const values = new Array<unknown>(rows.length);
  for (let i = 0; i < rows.length; i++) {
    try {
      values[i] = read(rows[i]!);
    } catch (cause) {
      throw decodeError(plan, dialect, columns, rows[i]!, cause);
    }
  }
  return values;
}

function decodeError(
  plan: SelectionPlan,
  dialect: Dialect,
  columns: readonly DriverColumn[],
  row: WireRow,
  cause: unknown,
): DecodeError {
  const at = plan.columns.findIndex((node, i) => {
    if (row[i] === null) return false;
    try {
      decoderOf(typeOf(node), dialect, columns[i]).decode(row[i]!);
      return false;
    } catch {
      return true;
    }
  });
  return new DecodeError(`A value of "${plan.names[at] ?? "the row"}" cannot be read`, {
    hint: "Say what type it has with .typed(), or convert it with .cast()",
    cause,
  });
}
