/**
 * Bulk insert: plain objects straight to rows, without instances, in large array-bound statements.
 * While one statement is under way the next rows are gathered, and never more.
 *
 * @module
 */

import { InputError, SluiceError } from "../errors.ts";
import type { Dialect, InsertShape } from "../dialect/dialect.ts";
import type { DriverStatement } from "../dialect/driver.ts";
import type { MappedColumn } from "../mapper/mapped_column.ts";
import type { Mapper } from "../mapper/mapper.ts";
import type { ColumnNames, FieldsOf, PropertyOf } from "../mapper/types.ts";
import type { PresenceOf } from "../schema/column.ts";
import { describe } from "../sql/expression.ts";
import type { WireRow, WireValue } from "../sql/wire.ts";
import { didYouMean } from "../util/nearest.ts";

type RequiredColumns<F> = {
  [K in ColumnNames<F>]: PresenceOf<F[K]> extends "required" ? K : never;
}[ColumnNames<F>];

/** One row: the columns of an entity by property. What has a default can be left out. */
export type BulkRow<E> = BulkRowOf<FieldsOf<E>>;

type BulkRowOf<F> =
  & { readonly [K in RequiredColumns<F>]: PropertyOf<F[K]> }
  & { readonly [K in Exclude<ColumnNames<F>, RequiredColumns<F>>]?: PropertyOf<F[K]> };

/** Where rows come from. */
export type RowSource<E> = Iterable<BulkRow<E>> | AsyncIterable<BulkRow<E>>;

/** Rows gathered before a statement is sent. */
const CHUNK = 5_000;

/** Sends one statement, gives the number of rows. */
export type Send = (statement: DriverStatement) => Promise<number>;

/**
 * Inserts all rows of a source.
 *
 * @throws {InputError} naming the index of a row that cannot be stored.
 */
export async function bulkInsert(
  mapper: Mapper,
  rows: RowSource<object>,
  dialect: Dialect,
  send: Send,
): Promise<number> {
  const iterable = Object(rows);
  if (!(Symbol.iterator in iterable || Symbol.asyncIterator in iterable)) {
    throw new InputError(`bulkInsert() takes rows, found ${describe(rows)}`, {
      hint: "Pass an array, an iterable or an async iterable of plain objects",
    });
  }
  const writer = new BulkWriter(mapper, dialect, send);
  try {
    if (Symbol.iterator in iterable) {
      for (const row of rows as Iterable<object>) if (writer.add(row)) await writer.send();
    } else {
      for await (const row of rows) if (writer.add(row)) await writer.send();
    }
    return await writer.finish();
  } catch (error) {
    // The transaction is rolled back next: a statement sent after that would be stored on its own.
    await writer.abandon();
    throw error;
  }
}

class BulkWriter {
  readonly #mapper: Mapper;
  readonly #dialect: Dialect;
  readonly #send: Send;
  readonly #encoders: readonly ((value: unknown) => WireValue)[];
  readonly #properties: readonly string[];
  readonly #shapes = new Map<string, InsertShape>();
  /** Rows by the columns they give: usually one list. */
  #gathered = new Map<string, WireRow[]>();
  #waiting = 0;
  #index = 0;
  #count = 0;
  #underWay: Promise<unknown> = Promise.resolve();
  #abandoned = false;

  constructor(mapper: Mapper, dialect: Dialect, send: Send) {
    this.#mapper = mapper;
    this.#dialect = dialect;
    this.#send = send;
    this.#properties = mapper.columns.map((column) => column.property);
    this.#encoders = mapper.columns.map((column) => {
      const codec = column.type.codec[dialect.name];
      return (value) => value === null ? nullFor(column) : codec.encode(value, column.label);
    });
  }

  /** Takes a row; true when there are enough for a statement. */
  add(row: object): boolean {
    try {
      this.#encode(row);
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error;
      throw new InputError(`Row ${this.#index} cannot be inserted: ${error.message}`, {
        cause: error,
      });
    }
    this.#index++;
    return ++this.#waiting >= CHUNK;
  }

  #encode(row: object): void {
    if (typeof row !== "object" || row === null) {
      throw new InputError(`A plain object is expected, found ${describe(row)}`);
    }
    const properties = this.#properties;
    const wires: WireRow = [];
    let omitted = "";
    let used = 0;
    for (let i = 0; i < properties.length; i++) {
      const property = properties[i]!;
      const has = Object.hasOwn(row, property);
      if (has) used++;
      const value = has ? (row as Record<string, unknown>)[property] : undefined;
      if (value !== undefined) wires.push(this.#encoders[i]!(value));
      else {
        const wire = missing(this.#mapper.columns[i]!, this.#encoders[i]!);
        if (wire === undefined) omitted += `${i},`;
        else wires.push(wire);
      }
    }
    if (used < Object.keys(row).length) this.#refuseUnknown(row);
    const list = this.#gathered.get(omitted);
    if (list === undefined) this.#gathered.set(omitted, [wires]);
    else list.push(wires);
  }

  #refuseUnknown(row: object): never {
    const unknown = Object.keys(row).find((key) => !this.#properties.includes(key))!;
    throw new InputError(`${this.#mapper.name} has no column "${unknown}"`, {
      hint: didYouMean(unknown, this.#properties),
    });
  }

  /** Sends what was gathered, once what was sent before has arrived. */
  async send(): Promise<void> {
    const gathered = this.#gathered;
    this.#gathered = new Map();
    this.#waiting = 0;
    await this.#underWay;
    const work = this.#insert(gathered);
    // Awaited by the next call; caught here so that it cannot go unhandled until then.
    work.catch(() => {});
    this.#underWay = work;
  }

  async #insert(gathered: ReadonlyMap<string, WireRow[]>): Promise<void> {
    for (const [omitted, rows] of gathered) {
      const shape = this.#shape(omitted);
      for (const statement of this.#dialect.insertRows(shape, rows)) {
        if (this.#abandoned) return;
        this.#count += await this.#send(statement);
      }
    }
  }

  #shape(omitted: string): InsertShape {
    let shape = this.#shapes.get(omitted);
    if (shape === undefined) {
      const left = new Set(omitted.split(","));
      const columns = this.#mapper.columns.filter((_, i) => !left.has(String(i)));
      shape = { table: this.#mapper.table, columns, returning: [] };
      this.#shapes.set(omitted, shape);
    }
    return shape;
  }

  async finish(): Promise<number> {
    await this.send();
    await this.#underWay;
    return this.#count;
  }

  /** Sends nothing more, and waits for what is under way. */
  async abandon(): Promise<void> {
    this.#abandoned = true;
    await this.#underWay.catch(() => {});
  }
}

/** What a column gets that a row does not name; undefined leaves it to the database. */
function missing(
  column: MappedColumn,
  encode: (value: unknown) => WireValue,
): WireValue | undefined {
  const { defaultValue } = column.defined.spec;
  if (defaultValue !== undefined) {
    const { value } = defaultValue;
    return encode(typeof value === "function" ? value() : value);
  }
  if (column.generated || column.defaultSql !== undefined) return undefined;
  return nullFor(column);
}

function nullFor(column: MappedColumn): null {
  if (column.nullable) return null;
  throw new InputError(`"${column.label}" has no value`, {
    hint: "Give it one, or declare the column nullable()",
  });
}
