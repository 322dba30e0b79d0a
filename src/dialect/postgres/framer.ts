/**
 * Finds the messages in what the server sends, by their five-byte headers, and passes them on: as
 * bytes to the npm driver, or one by one to a reader of ours. A connection learns from it what the
 * driver does not tell: the transaction's status, errors in full, COPY data, and that the server broke
 * the protocol.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { DatabaseErrorFields } from "./errors.ts";
import { errorFields, longestMessage, Type } from "./messages.ts";
import type { AnswerReader } from "./protocol.ts";
import { decodeRows, MALFORMED } from "./row_decoder.ts";

/** Who is told what the framer finds. Calls come in the order of the messages. */
export interface FrameListener {
  /** Bytes for the driver: whole messages, or parts of one. Absent where there is a `reader`. */
  readonly forward?: ((bytes: Buffer) => void) | undefined;
  /** Is told the messages of answers, in place of the driver. */
  readonly reader?: AnswerReader | undefined;
  /** The statement under way ended; `status` is `I`, `T` or `E`. Called before the bytes go on. */
  ready(status: number): void;
  /** An error. Every earlier message has been forwarded. False: nothing more is to be read. */
  error(fields: DatabaseErrorFields): boolean;
  /** The server waits for COPY data. Not forwarded. */
  copyIn(): void;
  /** The server is about to send COPY data. Not forwarded. */
  copyOut(): void;
  /** COPY data, possibly several rows or a part of one. Not forwarded. */
  copyData(bytes: Uint8Array): void;
  /** The server broke the protocol. Nothing more is read. */
  violation(what: string): void;
}

/** What a type of message means to the framer. */
const Kind = {
  unknown: 0,
  answer: 1, // part of an answer, of no interest
  anytime: 2, // may come unasked
  end: 3, // completes an answer
  ready: 4,
  error: 5,
  copyIn: 6,
  copyOut: 7,
  copyData: 8,
  copyDone: 9,
} as const;

const kinds = new Uint8Array(256);
// ParseComplete, BindComplete, CloseComplete, RowDescription, ParameterDescription, NoData, DataRow
for (const letter of "123TtnD") kinds[letter.charCodeAt(0)] = Kind.answer;
kinds[Type.noticeResponse] = Kind.anytime;
kinds[Type.notificationResponse] = Kind.anytime;
kinds[Type.parameterStatus] = Kind.anytime;
kinds[Type.commandComplete] = Kind.end;
kinds[Type.emptyQueryResponse] = Kind.end;
kinds[Type.readyForQuery] = Kind.ready;
kinds[Type.errorResponse] = Kind.error;
kinds[Type.copyInResponse] = Kind.copyIn;
kinds[Type.copyOutResponse] = Kind.copyOut;
kinds[Type.copyData] = Kind.copyData;
kinds[Type.copyDone] = Kind.copyDone;

/** An error message longer than this is taken for garbage. */
const longestError = 64 * 1024 * 1024;

/** Frames one connection's input. Feed it with `push`. */
export class Framer {
  /** Answers still to come. Raised by whoever sends a statement. */
  expected = 0;

  readonly #listener: FrameListener;
  /** Bytes of a message that can only be read when it is complete. */
  #held: Buffer[] = [];
  #heldLength = 0;
  /** How much must be there before the held bytes are worth another look. */
  #needed = 5;
  /** Bytes of the current message still to come, and where they go. */
  #skip = 0;
  #skipIsCopyData = false;
  /** The current answer was completed or failed: only ReadyForQuery can follow. */
  #complete = false;
  #failed = false;
  /** The current answer has come to its rows, and not to its end. */
  #rowsMayCome = false;
  #stopped = false;

  /** Tells `listener` what it finds. */
  constructor(listener: FrameListener) {
    this.#listener = listener;
  }

  /** Stops reading; what is pushed later is dropped. */
  stop(): void {
    this.#stopped = true;
    this.#held = [];
  }

  /** Takes the next bytes from the server. */
  push(chunk: Buffer): void {
    if (this.#stopped) return;
    if (this.#heldLength > 0) {
      this.#held.push(chunk);
      this.#heldLength += chunk.length;
      if (this.#heldLength < this.#needed) return;
      chunk = Buffer.concat(this.#held, this.#heldLength);
      this.#held = [];
      this.#heldLength = 0;
    }
    this.#walk(chunk);
  }

  #walk(chunk: Buffer): void {
    const length = chunk.length;
    let at = 0; // of the current message
    let start = 0; // of what is to be forwarded
    let type = 0;
    const { reader } = this.#listener;
    if (this.#skip > 0) {
      at = Math.min(this.#skip, length);
      this.#skip -= at;
      if (this.#skipIsCopyData) {
        this.#listener.copyData(chunk.subarray(0, at));
        start = at;
      }
      if (this.#skip > 0) return this.#forward(chunk, start, length);
    }
    while (at + 5 <= length) {
      type = chunk[at]!;
      const size = (chunk[at + 1]! << 24) | (chunk[at + 2]! << 16) | (chunk[at + 3]! << 8) |
        chunk[at + 4]!;
      const end = at + 1 + size;
      // Nearly every message of a big result is one of these
      if (type === Type.dataRow && this.#rowsMayCome && size >= 6) {
        if (reader === undefined) {
          at = end;
          continue;
        }
        if (end > length) {
          if (size > longestMessage) return this.#violated("a row of impossible length");
          return this.#hold(chunk, start, at, end);
        }
        at = decodeRows(chunk, at, reader.rows());
        if (at === MALFORMED) return this.#violated("a row that does not fit its message");
        continue;
      }
      const kind = kinds[type]!;
      const wrong = this.#whatIsWrong(kind, type, size);
      if (wrong !== undefined) {
        this.#forward(chunk, start, at);
        return this.#violated(wrong);
      }
      switch (kind) {
        case Kind.answer:
          if (reader !== undefined) {
            if (end > length) return this.#hold(chunk, start, at, end);
            if (type === Type.parseComplete) reader.parsed();
            if (type === Type.rowDescription) {
              if (!isDescription(chunk, at + 5, end)) {
                return this.#violated("a description that does not fit its message");
              }
              reader.described(chunk, at + 5, end);
            }
          }
          if (type === Type.bindComplete || type === Type.rowDescription) this.#rowsMayCome = true;
          break;
        case Kind.end:
          if (reader !== undefined) {
            if (end > length) return this.#hold(chunk, start, at, end);
            if (type === Type.commandComplete) reader.completed(chunk, at + 5, end);
          }
          this.#complete = true;
          this.#rowsMayCome = false;
          break;
        case Kind.ready:
          if (end > length) return this.#hold(chunk, start, at, end);
          this.expected--;
          this.#complete = false;
          this.#listener.ready(chunk[at + 5]!);
          if (reader !== undefined) {
            this.#failed = false;
            reader.ended();
          } else if (this.#failed) {
            // An error goes on with its own end, so that the listener knows which error it is
            this.#failed = false;
            this.#forward(chunk, start, end);
            start = end;
          }
          break;
        case Kind.error:
          if (end > length) return this.#hold(chunk, start, at, end);
          this.#forward(chunk, start, at);
          start = at;
          this.#complete = this.#failed = true;
          this.#rowsMayCome = false;
          if (!this.#listener.error(errorFields(chunk.subarray(at + 5, end)))) return this.stop();
          reader?.failed();
          break;
        case Kind.copyIn:
        case Kind.copyOut:
        case Kind.copyDone:
          if (end > length) return this.#hold(chunk, start, at, end);
          this.#forward(chunk, start, at);
          start = end;
          if (kind === Kind.copyIn) this.#listener.copyIn();
          else if (kind === Kind.copyOut) this.#listener.copyOut();
          break;
        case Kind.copyData:
          this.#forward(chunk, start, at);
          start = end;
          if (size > 4) this.#listener.copyData(chunk.subarray(at + 5, Math.min(end, length)));
          break;
      }
      if (this.#stopped) return;
      at = end;
    }
    if (at < length) return this.#hold(chunk, start, at, at + 5);
    if (at > length) {
      this.#skip = at - length;
      this.#skipIsCopyData = type === Type.copyData;
    }
    this.#forward(chunk, start, length);
  }

  #whatIsWrong(kind: number, type: number, size: number): string | undefined {
    if (kind === Kind.unknown) return `a message of unknown type 0x${type.toString(16)}`;
    if (size < 4 || size > longestMessage) return `a message with an impossible length of ${size}`;
    const isError = kind === Kind.error;
    if (isError && size > longestError) return `an error message of ${size} bytes`;
    if (kind === Kind.ready && (size !== 5 || !this.#complete)) return "ReadyForQuery out of turn";
    if (this.expected === 0 && kind !== Kind.anytime && !isError) return "an answer to no question";
    if (this.#complete && kind !== Kind.ready && kind !== Kind.anytime && !isError) {
      return "more after the end of an answer";
    }
    if (type === Type.dataRow) return "a row out of turn"; // those in turn never get here
    return undefined;
  }

  #forward(chunk: Buffer, from: number, to: number): void {
    const { forward } = this.#listener;
    if (forward === undefined || from >= to) return;
    forward(from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to));
  }

  #hold(chunk: Buffer, start: number, at: number, needed: number): void {
    this.#forward(chunk, start, at);
    this.#held = [chunk.subarray(at)];
    this.#heldLength = chunk.length - at;
    this.#needed = needed - at;
  }

  #violated(what: string): void {
    this.stop();
    this.#listener.violation(what);
  }
}

/** Whether a RowDescription says as many columns as it has. */
function isDescription(chunk: Buffer, from: number, to: number): boolean {
  if (to - from < 2) return false;
  let at = from + 2;
  for (let left = (chunk[from]! << 8) | chunk[from + 1]!; left > 0; left--) {
    while (at < to && chunk[at] !== 0) at++;
    at += 19;
  }
  return at === to;
}
