/**
 * How queries end: what queries for entities and queries for rows have in common.
 *
 * @module
 */

import { MultipleResultsError, NoResultError } from "../../errors.ts";
import { jsonArray, jsonLines, type WriteJson } from "../json_lines.ts";
import type { ExplainOptions } from "./explain.ts";

/** A query that gives `R`s: lazy, an async iterable, and not a promise. */
export abstract class Ends<R> implements AsyncIterable<R> {
  /** What it gives, for messages. */
  protected abstract get resultName(): string;
  /** Writes a result as JSON; absent: as `JSON.stringify` does. */
  protected get writeJson(): WriteJson | undefined {
    return undefined;
  }
  /** At most `count` of the results. */
  protected abstract take(count: number): Promise<R[]>;

  /**
   * The results as they arrive, read from a cursor in windows; memory is bounded by the window. The
   * session stays usable inside the loop.
   */
  abstract [Symbol.asyncIterator](): AsyncIterableIterator<R>;
  /** All results. */
  abstract all(): Promise<R[]>;
  /** How many there are, limit and offset minded. */
  abstract count(): Promise<number>;
  /** Whether there is at least one. */
  abstract exists(): Promise<boolean>;
  /** The statement that would be sent, its values apart from the text. */
  abstract toSQL(): { readonly text: string; readonly params: readonly unknown[] };
  /**
   * How the database would go about it, as text, or with `{ format: "json" }` as its own JSON. With
   * `{ analyze: true }` the query is run and timed (PostgreSQL).
   */
  abstract explain(options: ExplainOptions & { format: "json" }): Promise<unknown>;
  /** How the database would go about it, as text. */
  abstract explain(options?: ExplainOptions & { format?: "text" }): Promise<string>;

  /** The first result, or undefined. */
  async first(): Promise<R | undefined> {
    return (await this.take(1))[0];
  }

  /**
   * The only result.
   *
   * @throws {NoResultError} when there is none.
   * @throws {MultipleResultsError} when there are more.
   */
  async one(): Promise<R> {
    const results = await this.take(2);
    if (results.length === 0) {
      throw new NoResultError(`No ${this.resultName} meets the condition`, {
        hint: "Use first() or oneOrNone() where that is expected",
      });
    }
    return this.#only(results);
  }

  /**
   * The only result, or undefined.
   *
   * @throws {MultipleResultsError} when there are more.
   */
  async oneOrNone(): Promise<R | undefined> {
    const results = await this.take(2);
    return results.length === 0 ? undefined : this.#only(results);
  }

  #only(results: readonly R[]): R {
    if (results.length === 1) return results[0]!;
    throw new MultipleResultsError(`More than one ${this.resultName} meets the condition`, {
      hint: "Narrow the condition, or use first()",
    });
  }

  /** The results as a web stream, with backpressure down to the cursor. */
  toReadableStream(): ReadableStream<R> {
    return ReadableStream.from(this);
  }

  /** The results as lines of JSON (NDJSON) in UTF-8, for a `Response`. */
  ndjson(): ReadableStream<Uint8Array> {
    return jsonLines(this, this.writeJson);
  }

  /** The results as one JSON array in UTF-8, for a `Response`. */
  jsonArray(): ReadableStream<Uint8Array> {
    return jsonArray(this, this.writeJson);
  }
}
