/**
 * One call of a connection, from the moment it is made until it is settled, and the line it stands in.
 *
 * @module
 */

import type { DriverResult, WireRow, WireValue } from "../driver.ts";
import type { CopySink, CopySource } from "./copy.ts";
import type { Sending, SendMode } from "./protocol.ts";

/** What kind of call it is; only some differ in how they end. */
export type CallKind = "run" | "alone" | "begin" | "commit" | "rollback" | "copy";

/** Rows that are given away together, at least. */
const PIECE = 64;

/** One call. */
export class Call implements Sending {
  /** What is sent. Differs from the statement's text once its plan was found stale. */
  text: string;
  /** How it is sent. */
  mode: SendMode;
  /** The text is prepared on the connection. */
  known = true;
  /** The server has parsed it. */
  parsed = false;
  /** Rows received. Replaced when the statement is sent again. */
  rows: WireRow[] = [];
  /** It may be in flight together with others like it, outside of a transaction. */
  shared = false;
  /** It was sent a second time, after its plan was found stale. */
  again = false;
  /** When it is to be given up, by `performance.now()`. */
  deadline = Infinity;
  /** The limit it was made with, in milliseconds. */
  timeout = 0;
  /** Stops listening to the caller's signal. */
  forget: (() => void) | undefined = undefined;
  /** Why it was given up; what it rejects with. */
  givenUp: unknown = undefined;
  /** How many times the socket had been written to when the call was handed over; -1 before. */
  writes = -1;
  /** Gives the data of a COPY FROM STDIN. */
  source: CopySource | undefined = undefined;
  /** Takes the data of a COPY TO STDOUT. */
  sink: CopySink | undefined = undefined;
  /** An error of ours that goes before the server's. */
  failure: unknown = undefined;
  /** Takes rows that came in, while others are still to come. */
  take: ((rows: WireRow[]) => void) | undefined = undefined;
  /** Neighbours in line. */
  next: Call | undefined = undefined;
  /** Neighbours in line. */
  previous: Call | undefined = undefined;
  /** The line it stands in. */
  line: CallLine | undefined = undefined;

  /** Makes a call that settles by `resolve` and `reject`. */
  constructor(
    /** What kind it is. */
    readonly kind: CallKind,
    /** The statement's own text. */
    readonly statement: string,
    /** Its values. */
    readonly params: readonly WireValue[],
    mode: SendMode,
    /** Settles it. */
    readonly resolve: (result: DriverResult) => void,
    /** Settles it. */
    readonly reject: (reason: unknown) => void,
  ) {
    this.text = statement;
    this.mode = mode;
  }

  /** Gives away the rows that are there, if it is worth while. */
  give(): void {
    const { rows } = this;
    if (this.take === undefined || rows.length < PIECE || this.givenUp !== undefined) return;
    this.rows = [];
    this.take(rows);
  }
}

/** Calls in order of arrival. Adding, and taking from anywhere, take constant time. */
export class CallLine {
  /** The first in line. */
  first: Call | undefined;
  #last: Call | undefined;

  /** Adds a call at the end. */
  push(call: Call): void {
    call.line = this;
    call.previous = this.#last;
    if (this.#last === undefined) this.first = call;
    else this.#last.next = call;
    this.#last = call;
  }

  /** Takes a call out. */
  remove(call: Call): void {
    if (call.previous === undefined) this.first = call.next;
    else call.previous.next = call.next;
    if (call.next === undefined) this.#last = call.previous;
    else call.next.previous = call.previous;
    call.next = call.previous = call.line = undefined;
  }

  /** All of them. The one at hand may be taken out. */
  *[Symbol.iterator](): Iterator<Call> {
    for (let call = this.first; call !== undefined;) {
      const next: Call | undefined = call.next;
      yield call;
      call = next;
    }
  }
}
