/**
 * The order of deletes: a row goes before the rows it refers to. Where rows refer to each other in
 * a ring, a key that takes null is cleared first.
 *
 * @module
 */

import { InputError } from "../errors.ts";
import type { InstanceState } from "../mapper/instance_state.ts";
import type { Mapper } from "../mapper/mapper.ts";
import type { Column, Table } from "../schema/table.ts";
import type { WireValue } from "../sql/wire.ts";
import { relatingKeys } from "./references.ts";

/** A row to be deleted. */
export interface Doomed {
  /** The object. */
  readonly object: object;
  /** Its state, with the row as it is in the database. */
  readonly state: InstanceState;
}

/** The order, and the keys to clear before. */
export interface DeleteOrder {
  /** Rows of one class each, in the order in which they go. */
  readonly groups: readonly (readonly Doomed[])[];
  /** Columns, by index, to set to null first. */
  readonly cleared: ReadonlyMap<Doomed, readonly number[]>;
}

/** A key of a row that points to another row to be deleted. */
interface Reference {
  readonly from: Doomed;
  readonly to: Doomed;
  readonly columns: readonly number[];
}

/**
 * Orders the rows of one ring of classes: those that refer to each other, or a single class. Kahn
 * 1962, from the rows that nothing refers to. O(rows and keys).
 */
export function deleteOrder(doomed: readonly Doomed[]): DeleteOrder {
  const references = findReferences(doomed);
  const cleared = new Map<Doomed, number[]>();
  if (references.length === 0) return { groups: byMapper(doomed), cleared };
  const outgoing = Map.groupBy(references, ({ from }) => from);
  const incoming = new Map<Doomed, number>();
  for (const { to } of references) incoming.set(to, (incoming.get(to) ?? 0) + 1);
  const groups: Doomed[][] = [];
  const left = new Set(doomed);
  let ready = doomed.filter((row) => !incoming.has(row));
  while (left.size > 0) {
    if (ready.length === 0) ready = [breakRing(left, references, incoming, outgoing, cleared)];
    groups.push(...byMapper(ready));
    const next: Doomed[] = [];
    for (const row of ready) {
      left.delete(row);
      for (const { to } of outgoing.get(row) ?? []) {
        const rest = incoming.get(to)! - 1;
        incoming.set(to, rest);
        if (rest === 0 && left.has(to)) next.push(to);
      }
    }
    ready = next;
  }
  return { groups, cleared };
}

function byMapper(rows: readonly Doomed[]): Doomed[][] {
  return [...Map.groupBy(rows, ({ state }) => state.mapper).values()];
}

function findReferences(doomed: readonly Doomed[]): Reference[] {
  const index = new Map<string, Map<string, Doomed>>();
  const references: Reference[] = [];
  const byMapper = Map.groupBy(doomed, ({ state }) => state.mapper);
  const homes = new Set<Table>(
    [...byMapper.keys()].flatMap(({ parts }) => parts.map((p) => p.table)),
  );
  for (const [from, rows] of byMapper) {
    for (const { table } of from.parts) {
      for (const key of relatingKeys(table)) {
        if (!homes.has(key.target)) continue;
        const columns = from.indexesOf(key.columns);
        // A key of another subclass.
        if (columns.includes(-1)) continue;
        const id = `${key.target.schema}.${key.target.name}:${
          key.targetColumns.map(({ name }) => name).join()
        }`;
        let targets = index.get(id);
        if (targets === undefined) {
          index.set(id, targets = targetsOf(byMapper, key.target, key.targetColumns));
        }
        for (const row of rows) {
          const text = keyText(row, columns);
          const to = text === undefined ? undefined : targets.get(text);
          if (to !== undefined && to !== row) references.push({ from: row, to, columns });
        }
      }
    }
  }
  return references;
}

/** The rows that have columns of a table, by their values. */
function targetsOf(
  byMapper: ReadonlyMap<Mapper, readonly Doomed[]>,
  table: Table,
  columns: readonly Column[],
): Map<string, Doomed> {
  const targets = new Map<string, Doomed>();
  for (const [mapper, rows] of byMapper) {
    if (!mapper.parts.some((part) => part.table === table)) continue;
    const indexes = mapper.indexesOf(columns);
    if (indexes.includes(-1)) continue;
    for (const row of rows) {
      const text = keyText(row, indexes);
      if (text !== undefined) targets.set(text, row);
    }
  }
  return targets;
}

/** The values of some columns as one text; undefined if one is null. */
function keyText({ state }: Doomed, columns: readonly number[]): string | undefined {
  const values = columns.map((i): WireValue => state.row![i]!);
  if (values.some((value) => value === null)) return undefined;
  return values.map((value) => `${String(value).length}:${value}`).join("");
}

/** Clears the keys that point to one row of a ring, so that it can go. */
function breakRing(
  left: ReadonlySet<Doomed>,
  references: readonly Reference[],
  incoming: Map<Doomed, number>,
  outgoing: Map<Doomed, Reference[]>,
  cleared: Map<Doomed, number[]>,
): Doomed {
  const open = references.filter(({ from, to }) => left.has(from) && left.has(to));
  const nullable = ({ from, columns }: Reference) =>
    columns.some((i) => from.state.mapper.columns[i]!.nullable);
  const [candidate, keys = []] = [...Map.groupBy(open, ({ to }) => to)]
    .find(([, keys]) => keys.every(nullable)) ?? [];
  if (candidate === undefined) {
    const names = [...new Set([...left].map(({ state }) => state.mapper.name))].join(", ");
    throw new InputError(`Rows of ${names} refer to each other, and no key among them takes null`, {
      hint: 'Declare one of the foreign keys nullable(), or with onDelete: "cascade"',
    });
  }
  for (const reference of keys) {
    const { from, columns } = reference;
    const list = cleared.get(from) ?? [];
    list.push(...columns.filter((i) => from.state.mapper.columns[i]!.nullable));
    cleared.set(from, list);
    outgoing.set(from, outgoing.get(from)!.filter((other) => other !== reference));
  }
  incoming.set(candidate, 0);
  return candidate;
}
