/**
 * `engine.copyIn()`: rows of any number through `COPY … FROM STDIN`, encoded as the server takes
 * them.
 *
 * @module
 */

import { DatabaseError, InputError } from "../../errors.ts";
import type { Dialect } from "../../dialect/dialect.ts";
import type { CallOptions } from "../../dialect/driver.ts";
import type { Connection } from "../../engine/connection.ts";
import type { Mapper } from "../../mapper/mapper.ts";
import type { WireRow } from "../../sql/wire.ts";
import { rowError } from "../bulk/bad_row.ts";
import { assertOneTable, missingInInsert, refusedRow, RowEncoder } from "../bulk/row_encoder.ts";
import type { Source } from "../bulk/types.ts";

/** Rows encoded at once. */
const PIECE = 1_000;

/**
 * Copies all rows of a source, in the open transaction. Rows that leave out other columns than those
 * before them go by a COPY of their own, since one has a fixed list of columns.
 *
 * @throws {InputError} naming the index of a row that cannot be stored.
 */
export async function copyIn(
  mapper: Mapper,
  source: Source<object>,
  dialect: Dialect,
  connection: Connection,
  call: CallOptions,
): Promise<number> {
  assertOneTable("copyIn()", mapper);
  const encoder = new RowEncoder(mapper, dialect.name, missingInInsert(mapper));
  using pieces = new Pieces(source, encoder);
  let count = 0;
  while (await pieces.begin()) {
    const columns = encoder.columnsOf(pieces.shape);
    if (columns.length === 0) {
      throw new InputError(`Row ${pieces.index} gives no column, which COPY cannot store`, {
        hint: "Use bulkInsert()",
        row: pieces.index,
      });
    }
    const copy = dialect.copyRows!({ table: mapper.table, columns });
    const first = pieces.index;
    const lines = async function* () {
      for (let rows = pieces.take(); rows.length > 0; rows = pieces.take()) {
        yield copy.encode(rows);
        await pieces.read();
      }
    };
    try {
      count += await connection.copyIn(copy.text, lines(), call);
    } catch (error) {
      if (!(error instanceof DatabaseError) || error.line === undefined) throw error;
      throw rowError(error, first + error.line - 1, "copied");
    }
  }
  return count;
}

/** A source's rows in pieces of one shape. */
class Pieces implements Disposable {
  readonly #encoder: RowEncoder;
  readonly #iterator: Iterator<object> | AsyncIterator<object>;
  readonly #async: boolean;
  #rows: WireRow[] = [];
  /** The row that did not fit into the piece. */
  #next: { readonly shape: string; readonly row: WireRow } | undefined;
  #read = 0;
  #ended = false;
  /** What the rows of the piece leave out. */
  shape = "";

  constructor(source: Source<object>, encoder: RowEncoder) {
    this.#encoder = encoder;
    this.#async = !(Symbol.iterator in source);
    this.#iterator = Symbol.iterator in source
      ? source[Symbol.iterator]()
      : source[Symbol.asyncIterator]();
  }

  /** The index of the piece's first row. */
  get index(): number {
    return this.#read - this.#rows.length - (this.#next === undefined ? 0 : 1);
  }

  /** Reads the first piece of the next shape; false at the end of the source. */
  async begin(): Promise<boolean> {
    this.shape = "";
    if (this.#next !== undefined) {
      this.shape = this.#next.shape;
      this.#rows.push(this.#next.row);
      this.#next = undefined;
    } else if (!await this.#readRow(true)) return false;
    await this.read();
    return true;
  }

  /** The rows of the piece; none where another shape begins, and at the end. */
  take(): readonly WireRow[] {
    const rows = this.#rows;
    this.#rows = [];
    return rows;
  }

  /** Reads on, as long as rows have the same shape. */
  async read(): Promise<void> {
    while (this.#rows.length < PIECE && this.#next === undefined) {
      const more = this.#readRow(false);
      if (!(typeof more === "boolean" ? more : await more)) return;
    }
  }

  #readRow(first: boolean): boolean | Promise<boolean> {
    if (this.#ended) return false;
    const step = this.#iterator.next();
    return this.#async
      ? (step as Promise<IteratorResult<object>>).then((step) => this.#accept(step, first))
      : this.#accept(step as IteratorResult<object>, first);
  }

  #accept(step: IteratorResult<object>, first: boolean): boolean {
    if (step.done) {
      this.#ended = true;
      return false;
    }
    let encoded;
    try {
      encoded = this.#encoder.encode(step.value);
    } catch (error) {
      throw refusedRow(error, this.#read, "copied");
    }
    this.#read++;
    const { wires, omitted } = encoded;
    if (first) this.shape = omitted;
    if (omitted === this.shape) this.#rows.push(wires);
    else this.#next = { shape: omitted, row: wires };
    return true;
  }

  /** Ends the source if it has not ended itself. */
  [Symbol.dispose](): void {
    if (this.#ended) return;
    this.#ended = true;
    // Not awaited: a source that is stuck in next() would never answer.
    Promise.resolve(this.#iterator.return?.()).catch(() => {});
  }
}
