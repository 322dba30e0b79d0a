/**
 * Rows in windows, read through a cursor: in the open transaction, or in a read-only one that lasts
 * as long as its streams do. Being generators, streams take nothing before the first `next()`, carry
 * out several `next()` one after the other, and may be ended any number of times.
 */

import { ClosedError, InputError } from "../errors.ts";
import type {
  CallOptions,
  DriverCursor,
  DriverResult,
  DriverStatement,
} from "../dialect/driver.ts";
import { withoutPrototype } from "../util/own.ts";
import { suppress } from "../util/suppress.ts";
import type { Link, OpenTransaction } from "./link.ts";
import { RowDecoder } from "./result.ts";
import { WindowReader } from "./window_reader.ts";

/** How a stream reads. */
export interface StreamOptions extends CallOptions {
  /** Rows fetched at once. Default 500. */
  window?: number | undefined;
}

const DEFAULT_WINDOW = 500;

/** The read-only transaction that streams have to themselves where none is open. */
class ReadTransaction implements OpenTransaction {
  readonly kind = "stream";
  readonly readOnly = true;
  readonly #link: Link;
  #streams = 1;

  constructor(link: Link) {
    this.#link = link;
  }

  /** No other stream reads in it. */
  get alone(): boolean {
    return this.#streams === 1;
  }

  /** Another stream joins. */
  join(): void {
    this.#streams++;
  }

  /** A stream ends; the last one ends the transaction. */
  async leave(complete: boolean): Promise<void> {
    if (--this.#streams > 0 || this.#link.transaction !== this) return;
    if (complete) await this.#link.commit();
    else await this.#link.rollback();
  }

  async abandon(): Promise<void> {
    await this.#link.rollback().catch(() => {});
  }
}

/** The rows of a statement, as the driver gives them, window by window; none of them is empty. */
export async function* streamWindows(
  link: Link,
  statement: DriverStatement,
  options: StreamOptions = {},
): AsyncGenerator<DriverResult, void, void> {
  const { window = DEFAULT_WINDOW, signal, timeout } = withoutPrototype(options);
  if (!Number.isSafeInteger(window) || window < 1) {
    throw new InputError(`A window of ${window} rows cannot be fetched`, {
      hint: "Pass a whole number from 1 up",
    });
  }
  const call = { signal, timeout };
  const own = await ownTransaction(link, call);
  const transaction = link.transaction;
  let cursor: DriverCursor | undefined;
  let reader: WindowReader | undefined;
  const end: StreamEnd = { complete: false, error: undefined };
  try {
    cursor = await link.openCursor(statement, call);
    reader = new WindowReader(link, cursor, window, call, own !== undefined);
    while (!end.complete) {
      if (link.transaction !== transaction) throw endedError();
      const refusal = link.refusal();
      if (refusal !== undefined) throw refusal;
      const result = await reader.next();
      end.complete = result.rows.length < window;
      if (result.rows.length > 0) yield result;
    }
  } catch (error) {
    end.error = error;
    throw error;
  } finally {
    // Runs after the end, an error, and a loop that was left.
    await reader?.leave(own?.alone ?? false);
    const open = link.transaction === transaction ? cursor : undefined;
    await tidyUp(end, () => own === undefined ? open?.close() : own.leave(ended(end)));
  }
}

interface StreamEnd {
  /** The last row was fetched. */
  complete: boolean;
  /** The first error. */
  error: unknown;
}

function ended({ complete, error }: StreamEnd): boolean {
  return complete && error === undefined;
}

/**
 * What fails here does not hide an earlier error, nor does it trouble somebody who left; but after
 * the last row it is the first error.
 */
async function tidyUp(end: StreamEnd, tidy: () => Promise<void> | undefined): Promise<void> {
  try {
    await tidy();
  } catch (error) {
    if (end.error !== undefined) suppress(end.error, error);
    else if (end.complete) throw error;
  }
}

/** The rows of a statement, one by one. */
export async function* streamRows<Row>(
  link: Link,
  statement: () => DriverStatement,
  options?: StreamOptions,
): AsyncGenerator<Row, void, void> {
  let decoder: RowDecoder | undefined;
  for await (const { columns, rows } of streamWindows(link, statement(), options)) {
    decoder ??= new RowDecoder(columns, link.context.dialect);
    for (const row of rows) yield decoder.object(row) as Row;
  }
}

async function ownTransaction(link: Link, call: CallOptions): Promise<ReadTransaction | undefined> {
  const open = link.transaction;
  if (open instanceof ReadTransaction) {
    open.join();
    return open;
  }
  if (open !== undefined) return undefined;
  const own = new ReadTransaction(link);
  await link.begin(own, { readOnly: true }, call);
  return own;
}

function endedError(): ClosedError {
  return new ClosedError("The transaction of this stream has ended, and its rows with it", {
    hint: "Read the stream to its end before commit or rollback",
  });
}
