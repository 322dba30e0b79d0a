/**
 * Plain objects → wire rows, checked column by column before anything is sent.
 *
 * @module
 */

import { InputError, SluiceError } from "../../errors.ts";
import { isGiven } from "../../mapper/definition.ts";
import type { MappedColumn } from "../../mapper/mapped_column.ts";
import type { Mapper } from "../../mapper/mapper.ts";
import { describe } from "../../sql/expression.ts";
import { firstVersion } from "../../schema/version.ts";
import type { DialectName, WireRow, WireValue } from "../../sql/wire.ts";
import { didYouMean } from "../../util/nearest.ts";

/** A row, and which columns it leaves to the database. */
export interface EncodedRow {
  /** The values of the columns that are given, in the mapper's order. */
  readonly wires: WireRow;
  /** The indexes of the others, each followed by a comma: the same for rows of one shape. */
  readonly omitted: string;
  /** The indexes of columns that have a value which the row itself does not give. */
  readonly filled: string;
}

/** Encodes the rows of one entity. */
export class RowEncoder {
  readonly #mapper: Mapper;
  readonly #properties: readonly string[];
  readonly #encoders: readonly ((value: unknown) => WireValue)[];
  readonly #missing: readonly (() => WireValue | undefined)[];

  /**
   * Encodes rows of `mapper`.
   *
   * @param missing What a column gets that a row leaves out; undefined leaves it to the database.
   */
  constructor(
    mapper: Mapper,
    dialect: DialectName,
    missing: (
      column: MappedColumn,
      encode: (value: unknown) => WireValue,
    ) => WireValue | undefined,
  ) {
    this.#mapper = mapper;
    this.#properties = mapper.columns.map(({ property }) => property);
    this.#encoders = mapper.columns.map((column) => columnEncoder(column, dialect));
    this.#missing = mapper.columns.map((column, i) => () => missing(column, this.#encoders[i]!));
  }

  /** Encodes a row. */
  encode(given: object): EncodedRow {
    if (typeof given !== "object" || given === null || Array.isArray(given)) {
      throw new InputError(`A plain object is expected, found ${describe(given)}`);
    }
    const row = this.#mapper.definition.groups.length === 0 ? given : this.#flat(given);
    const properties = this.#properties;
    const wires: WireRow = [];
    let omitted = "";
    let filled = "";
    let used = 0;
    for (let i = 0; i < properties.length; i++) {
      const property = properties[i]!;
      const has = Object.hasOwn(row, property);
      if (has) used++;
      const value = has ? (row as Record<string, unknown>)[property] : undefined;
      if (value !== undefined) wires.push(this.#encoders[i]!(value));
      else {
        const wire = this.#missing[i]!();
        if (wire === undefined) omitted += `${i},`;
        else {
          wires.push(wire);
          filled += `${i},`;
        }
      }
    }
    if (used < Object.keys(row).length) this.#refuseUnknown(row);
    return { wires, omitted, filled };
  }

  /** A row whose groups are spread out under their columns' properties. */
  #flat(given: object): object {
    const row: Record<string, unknown> = { ...given };
    for (const { property, columns } of this.#mapper.definition.groups) {
      const values = row[property];
      delete row[property];
      if (values === undefined) continue;
      for (const { property: path, group } of columns) {
        row[path] = values === null ? null : (values as Record<string, unknown>)[group!.field];
      }
    }
    return row;
  }

  /** All columns but those with the given indexes. */
  columnsOf(without: string): readonly MappedColumn[] {
    const left = new Set(without.split(","));
    return this.#mapper.columns.filter((_, i) => !left.has(String(i)));
  }

  #refuseUnknown(row: object): never {
    const unknown = Object.keys(row).find((key) => !this.#properties.includes(key))!;
    throw new InputError(`${this.#mapper.name} has no column "${unknown}"`, {
      hint: didYouMean(unknown, this.#properties),
    });
  }
}

/** Encodes the values of one column, null included. */
export function columnEncoder(
  column: MappedColumn,
  dialect: DialectName,
): (value: unknown) => WireValue {
  const codec = column.type.codec[dialect];
  return (value) => value === null ? nullFor(column) : codec.encode(value, column.label);
}

/** What an inserted row gets for a column that it leaves out. */
export function missingInInsert(
  { columns, discriminator, kind }: Mapper,
): (column: MappedColumn, encode: (value: unknown) => WireValue) => WireValue | undefined {
  return (column, encode) => {
    if (kind !== undefined && column === columns[discriminator]) return encode(kind);
    const { defaultValue, version } = column.defined.spec;
    if (defaultValue !== undefined) {
      const { value } = defaultValue;
      return encode(typeof value === "function" ? value() : value);
    }
    if (isGiven(column.defined.spec)) return undefined;
    if (version !== false) return encode(firstVersion(column.type));
    return nullFor(column);
  };
}

/**
 * Refuses a joined subclass.
 *
 * @throws {InputError} for a class whose rows are in several tables.
 */
export function assertOneTable(method: string, { name, parts }: Mapper): void {
  if (parts.length === 1) return;
  const tables = parts.map(({ table }) => `"${table.name}"`).join(", ");
  throw new InputError(`${method} writes one table, and the rows of ${name} are in ${tables}`, {
    hint: "Use session.addAll() and commit(), which send one statement for each table",
  });
}

function nullFor(column: MappedColumn): null {
  if (column.nullable) return null;
  throw new InputError(`"${column.label}" has no value`, {
    hint: "Give it one, or declare the column nullable()",
  });
}

/** The error of a row that was refused before it was sent. Errors of other kinds stay as they are. */
export function refusedRow(error: unknown, index: number, verb: string): unknown {
  if (!(error instanceof SluiceError)) return error;
  return new InputError(`Row ${index} cannot be ${verb}: ${error.message}`, {
    cause: error,
    row: index,
  });
}
