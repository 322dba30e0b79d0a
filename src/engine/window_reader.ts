/**
 * Fetches a cursor's windows. While the program works on one, the server may be busy with the next: a
 * cursor sees what was there when it was opened, whenever it is read.
 */

import type { CallOptions, DriverCursor, DriverResult } from "../dialect/driver.ts";
import { caught } from "../util/caught.ts";
import type { Link } from "./link.ts";

/** How long a window that is not wanted any more is waited for, in milliseconds, before it is cancelled. */
const PATIENCE = 50;

/** Reads one cursor. */
export class WindowReader {
  readonly #link: Link;
  readonly #cursor: DriverCursor;
  readonly #window: number;
  readonly #call: CallOptions;
  readonly #unwanted: AbortController | undefined;
  #next: Promise<DriverResult> | undefined;
  #fetched = 0;

  /**
   * Reads windows of `window` rows; `ahead` of the program, where the cursor can. That is for streams
   * with a transaction of their own: cancelled, it fails the transaction.
   */
  constructor(
    link: Link,
    cursor: DriverCursor,
    window: number,
    call: CallOptions,
    ahead: boolean,
  ) {
    this.#link = link;
    this.#cursor = cursor;
    this.#window = window;
    this.#unwanted = ahead && cursor.readsAhead === true ? new AbortController() : undefined;
    const signals = [call.signal, this.#unwanted?.signal].filter((signal) => signal !== undefined);
    const signal = signals.length > 1 ? AbortSignal.any(signals) : signals[0];
    this.#call = { signal, timeout: call.timeout };
  }

  /** The next window; shorter only at the end. */
  async next(): Promise<DriverResult> {
    const result = await (this.#next ?? this.#fetch());
    this.#next = undefined;
    // Not behind the first one: many loops are left in it
    const more = ++this.#fetched > 1 && result.rows.length === this.#window;
    if (more && this.#unwanted !== undefined) this.#next = caught(this.#fetch());
    return result;
  }

  /** Nothing more is read. A window under way is waited for; cancelled, if `mayCancel`. */
  async leave(mayCancel: boolean): Promise<void> {
    const next = this.#next;
    if (next === undefined) return;
    this.#next = undefined;
    const timer = mayCancel ? setTimeout(() => this.#unwanted!.abort(), PATIENCE) : undefined;
    await next.then(ignore, ignore);
    clearTimeout(timer);
  }

  async #fetch(): Promise<DriverResult> {
    try {
      return await this.#cursor.fetch(this.#window, this.#link.limits(this.#call));
    } catch (error) {
      throw this.#link.explain(error);
    }
  }
}

function ignore(): void {}
