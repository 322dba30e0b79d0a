/**
 * Keys of many objects at once: read from the objects, bound as one list, and found again.
 *
 * @module
 */

import { dialectOf } from "../dialect/dialects.ts";
import { listElement } from "../dialect/sqlite/dialect.ts";
import { Managed } from "../mapper/instance_state.ts";
import { tableColumn } from "../mapper/join_condition.ts";
import type { MappedColumn } from "../mapper/mapped_column.ts";
import type { Column } from "../schema/table.ts";
import { type Node, nodeOf, type TableSource } from "../sql/node.ts";
import type { DialectName } from "../sql/wire.ts";

/** A key: a value for each of its columns. */
export type Key = readonly unknown[];

/** The different keys that objects hold, without those that lead nowhere. */
export function keysOf(
  objects: Iterable<object>,
  columns: readonly MappedColumn[],
  read = keyOf,
): Key[] {
  const keys = new Map<unknown, Key>();
  for (const object of objects) {
    const key = read(object, columns);
    if (key !== undefined) keys.set(identity(key), key);
  }
  return [...keys.values()];
}

/** The values of a key; undefined if one is missing, so that it leads nowhere. */
export function keyOf(object: object, columns: readonly MappedColumn[]): Key | undefined {
  const values: unknown[] = [];
  for (const { property } of columns) {
    const value = (object as Record<string, unknown>)[property];
    if (value === null || value === undefined) return undefined;
    values.push(value);
  }
  return values;
}

/** The values of a key as they are stored, whatever the program has made of them since. */
export function storedKeyOf(object: object, columns: readonly MappedColumn[]): Key | undefined {
  const { mapper, row, shape } = Managed.stateOf(object)!;
  const values: unknown[] = [];
  for (const column of columns) {
    const index = mapper.columns.indexOf(column);
    const wire = row![index];
    if (wire === null) return undefined;
    // Of a column that was not loaded, the guard says so.
    values.push(
      wire === undefined
        ? (object as Record<string, unknown>)[column.property]
        : shape!.codecs[index]!.decode(wire),
    );
  }
  return values;
}

/** What a map finds a key by: dates and bytes are compared by content. */
export function identity(key: Key): unknown {
  if (key.length === 1) return part(key[0]);
  let text = "";
  for (const value of key) {
    const next = String(part(value));
    text += `${next.length}:${next}`;
  }
  return text;
}

function part(value: unknown): unknown {
  return typeof value === "object" && value !== null ? JSON.stringify(value) : value;
}

/** True for rows whose columns hold one of the keys; bound as one list for each column. */
export function keyIn(
  columns: readonly Column[],
  source: TableSource,
  keys: readonly Key[],
  dialect: DialectName,
): Node {
  const terms = columns.map((column) => tableColumn(column, source)[nodeOf]);
  if (keys.length === 1) {
    // The database finds one more easily than the members of a list
    const [key] = keys as [Key];
    const equal = columns.map(({ type, label }, i): Node => {
      const right: Node = { kind: "value", value: key[i], type, label };
      return { kind: "binary", operator: "=", left: terms[i]!, right };
    });
    return equal.length === 1 ? equal[0]! : { kind: "logical", operator: "and", terms: equal };
  }
  if (columns.length === 1) {
    const { type, label } = columns[0]!;
    const list = keys.map(([value]) => value);
    return { kind: "in", term: terms[0]!, list, type, label, negated: false };
  }
  const lists = columns.map(({ type, label }, i): Node => {
    const codec = type.codec[dialect];
    const wires = keys.map((key) => codec.encode(key[i], label));
    return {
      kind: "value",
      value: dialectOf(dialect).listParameter(wires, type.cast[dialect]),
      type: undefined,
      label,
    };
  });
  const rows = dialect === "postgres"
    ? [
      "select * from unnest(",
      ...lists.flatMap((list, i) => [
        i === 0 ? "" : ", ",
        list,
        `::${columns[i]!.type.cast.postgres}[]`,
      ]),
      ")",
    ]
    : [
      `select ${
        columns.map(({ type }, i) => listElement(`k${i}.value`, type.cast.sqlite)).join(", ")
      } from `,
      ...lists.flatMap((list, i) => [
        i === 0 ? "json_each(" : " join json_each(",
        list,
        i === 0 ? ") as k0" : `) as k${i} on k${i}.key = k0.key`,
      ]),
    ];
  return { kind: "raw", parts: ["(", ...listed(terms), ") in (", ...rows, ")"] };
}

function listed(nodes: readonly Node[]): (string | Node)[] {
  return nodes.flatMap((node, i) => i === 0 ? [node] : [", ", node]);
}
