/**
 * Statements by messages of our own, and their answers decoded where they come in: what the npm driver
 * would do, in less time. A prepared statement is one piece of bytes out, and no object but its rows
 * comes of the answer.
 *
 * @module
 */

import type { Buffer } from "node:buffer";
import type { DriverColumn, WireRow } from "../driver.ts";
import { Outbox } from "./outbox.ts";
import type { Answer, AnswerReader, Protocol, Sending, SendingListener } from "./protocol.ts";

interface Prepared {
  /** What the statement is called on the server. */
  readonly name: string;
  /** Undefined as long as no execution came so far as to tell. */
  columns: readonly DriverColumn[] | undefined;
}

const none: readonly DriverColumn[] = [];
const unnamed: Prepared = { name: "", columns: undefined };

/** Speaks for one connection. It is its own reader, and its own answer. */
export class OwnProtocol<S extends Sending> implements Protocol<S>, AnswerReader, Answer {
  /** It reads the answers itself. */
  readonly reader: AnswerReader = this;
  /** The number in the last command tag. */
  count: number | null = null;
  /** The word in the last command tag. */
  command: string | null = null;
  /** The columns of the statement that ended last. */
  columns: readonly DriverColumn[] | undefined = undefined;

  #listener!: SendingListener<S>;
  readonly #outbox = new Outbox((bytes) => this.#listener.write(bytes));
  /** What the server has parsed, by text. */
  readonly #prepared = new Map<string, Prepared>();
  /** What it is to parse. */
  readonly #preparing = new Map<S, Prepared>();
  #names = 0;
  #failed = false;

  /** Sends and reports to `listener` from now on. */
  attach(listener: SendingListener<S>): void {
    this.#listener = listener;
  }

  /** Sends a statement. */
  send(sending: S, soon: boolean): void {
    const { text, params, mode } = sending;
    const outbox = this.#outbox;
    if (mode === "simple") {
      outbox.query(text);
    } else {
      let prepared = mode === "prepared" ? this.#prepared.get(text) : undefined;
      if (prepared === undefined) {
        prepared = mode === "prepared" ? this.#prepare(sending) : unnamed;
        outbox.parse(prepared.name, text);
      }
      outbox.bind(prepared.name, params);
      if (prepared.columns === undefined) outbox.describe();
      outbox.execute();
    }
    if (soon) outbox.flushSoon();
    else outbox.flush();
  }

  #prepare(sending: S): Prepared {
    const prepared = { name: `s${++this.#names}`, columns: undefined };
    this.#preparing.set(sending, prepared);
    return prepared;
  }

  /** The statement under way is prepared. */
  parsed(): void {
    const sending = this.#listener.current();
    const prepared = this.#preparing.get(sending);
    if (prepared === undefined) return;
    sending.parsed = true;
    this.#preparing.delete(sending);
    this.#prepared.set(sending.text, prepared);
  }

  /** Where the rows of the statement under way go. */
  rows(): WireRow[] {
    return this.#listener.current().rows;
  }

  /** Reads a RowDescription. */
  described(chunk: Buffer, from: number, _to: number): void {
    const columns = new Array<DriverColumn>(chunk.readUInt16BE(from));
    let at = from + 2;
    for (let i = 0; i < columns.length; i++) {
      const end = chunk.indexOf(0, at);
      columns[i] = { name: chunk.toString("utf8", at, end), type: chunk.readUInt32BE(end + 7) };
      at = end + 19;
    }
    this.columns = columns;
  }

  /** Reads a CommandComplete: words, and most often a number at the end. */
  completed(chunk: Buffer, from: number, to: number): void {
    const end = to - 1;
    let digits = end;
    while (digits > from && isDigit(chunk[digits - 1]!)) digits--;
    let count = 0;
    for (let at = digits; at < end; at++) count = 10 * count + chunk[at]! - 0x30;
    this.count = digits === end ? null : count;
    this.command = chunk[from] === 0x53 && chunk[from + 2] === 0x4c
      ? "SELECT"
      : chunk.toString("latin1", from, digits);
  }

  /** The statement under way failed. */
  failed(): void {
    this.#failed = true;
  }

  /** Its answer is complete. */
  ended(): void {
    const sending = this.#listener.current();
    if (this.#failed) {
      this.#failed = false;
      this.#preparing.delete(sending);
      this.#forget();
      return this.#listener.refused(sending);
    }
    const prepared = sending.mode === "prepared" ? this.#prepared.get(sending.text) : undefined;
    if (prepared !== undefined) this.columns = prepared.columns ??= this.columns ?? none;
    this.#listener.answered(sending, this);
    this.#forget();
  }

  #forget(): void {
    this.count = this.command = null;
    this.columns = undefined;
  }
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}
