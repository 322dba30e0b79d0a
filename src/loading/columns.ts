/**
 * Reading some columns of an entity instead of those it loads by default: which they are, and how
 * their rows become rows of all columns, in which those that were not read are undefined.
 *
 * @module
 */

import { InputError } from "../errors.ts";
import { computedNodes } from "../mapper/computed.ts";
import { columnRef, type DefinedComputed } from "../mapper/definition.ts";
import type { MappedColumn } from "../mapper/mapped_column.ts";
import type { Mapper } from "../mapper/mapper.ts";
import { describe } from "../sql/expression.ts";
import { type Node, nodeOf, type TableSource } from "../sql/node.ts";
import type { WireRow } from "../sql/wire.ts";
import { didYouMean } from "../util/nearest.ts";

/** The columns of a row: those that are stored, and behind them computed ones. */
export interface ColumnChoice {
  /** The properties that were named. */
  readonly names: readonly string[];
  /** They are read beside those that are loaded by default. */
  readonly beside: boolean;
  /** The stored columns: those that were named, and those that no object can do without. */
  readonly stored: readonly MappedColumn[];
  /** The computed columns. */
  readonly computed: readonly DefinedComputed[];
}

/**
 * The columns of these properties; `beside` those that are loaded by default, or instead of them.
 *
 * @throws {InputError} when a name is none of a column, a group of columns or a computed column.
 */
export function chooseColumns(
  mapper: Mapper,
  names: readonly unknown[],
  beside: boolean,
  method: string,
): ColumnChoice {
  const { groups, computed } = mapper.definition;
  for (const name of names) {
    // A column of a group is read with its group.
    if (typeof name === "string" && mapper.reads(name) && !name.includes(".")) continue;
    if (typeof name !== "string") {
      throw new InputError(`${method} takes names of columns, found ${describe(name)}`);
    }
    const known = [...mapper.columns.filter(({ group }) => group === undefined), ...groups];
    throw new InputError(`${method} names "${name}", and ${mapper.name} has no such column`, {
      hint: mapper.relations.has(name)
        ? `"${name}" is a relation: load it with .selectin("${name}")`
        : didYouMean(name, [...known, ...computed].map(({ property }) => property)),
    });
  }
  const named = new Set(names);
  const indispensable = mapper.indispensable;
  const wanted = (column: MappedColumn): boolean =>
    named.has(column.group?.property ?? column.property) || indispensable.has(column);
  return {
    names: names as readonly string[],
    beside,
    stored: beside
      ? [...mapper.loaded, ...mapper.columns.filter((c) => c.deferred && wanted(c))]
      : mapper.columns.filter(wanted),
    computed: beside ? computed : computed.filter(({ property }) => named.has(property)),
  };
}

/** The expressions of a row that becomes an object. */
export function columnNodes(
  mapper: Mapper,
  source: TableSource,
  choice: ColumnChoice | undefined,
): Node[] {
  const { stored, computed } = choice ?? { stored: mapper.loaded, computed: undefined };
  return [
    ...stored.map(({ defined }) => columnRef(defined, source)[nodeOf]),
    ...computedNodes(mapper, source, computed),
  ];
}

/** How many columns a row has that becomes an object. */
export function widthOf(mapper: Mapper, choice: ColumnChoice | undefined): number {
  return choice === undefined ? mapper.width : choice.stored.length + choice.computed.length;
}

/** Spreads rows of a choice over all columns of `mapper`; computed ones stay behind them. */
export function widen(
  mapper: Mapper,
  rows: readonly WireRow[],
  { stored, computed }: ColumnChoice,
): WireRow[] {
  const width = mapper.columns.length;
  const places = mapper.columns.map((column) => stored.indexOf(column));
  return rows.map((row) => {
    const wide: WireRow = new Array(width + computed.length);
    for (let i = 0; i < width; i++) if (places[i]! >= 0) wide[i] = row[places[i]!]!;
    for (let i = 0; i < computed.length; i++) wide[width + i] = row[stored.length + i]!;
    return wide;
  });
}
