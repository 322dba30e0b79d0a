/**
 * Sends statements to a server and says how they ended. There are two who can: we ourselves
 * (`own_protocol.ts`), and the npm driver (`npm_postgres.ts`).
 *
 * @module
 */

import type { Buffer } from "node:buffer";
import type { DriverColumn, WireRow, WireValue } from "../driver.ts";

/** How a statement is sent: kept prepared, by the extended protocol, or by the simple protocol. */
export type SendMode = "prepared" | "unprepared" | "simple";

/** A statement on its way. */
export interface Sending {
  /** The SQL. */
  readonly text: string;
  /** Text and null only. */
  readonly params: readonly WireValue[];
  /** How. */
  readonly mode: SendMode;
  /** This text is known to be prepared on the connection. */
  readonly known: boolean;
  /** The server has parsed it, whatever came of it then. Only noted where we read the answer. */
  parsed: boolean;
  /** Where the rows go; another list when those that came in were given away. */
  readonly rows: WireRow[];
}

/** What is said of a statement that ended well. Read at once: it may be the next one's later. */
export interface Answer {
  /** The number in the command tag. */
  readonly count: number | null;
  /** The words in the command tag; null for an empty statement. */
  readonly command: string | null;
  /** The same array for each run of a prepared statement. */
  readonly columns: readonly DriverColumn[] | null | undefined;
}

/** Who is told how statements end. */
export interface SendingListener<S extends Sending> {
  /** Called at ReadyForQuery, when no error came. */
  answered(sending: S, answer: Answer): void;
  /** Called at ReadyForQuery after an error of the server's. */
  refused(sending: S): void;
  /** Who sends has failed, and is not to be used any more. */
  broken(error: unknown): void;
  /** Bytes for the server. */
  write(bytes: Uint8Array): void;
  /** The statement whose answer is coming in. */
  current(): S;
}

/** Is told the messages of the answer to the statement under way, without their heads. */
export interface AnswerReader {
  /** It is prepared. */
  parsed(): void;
  /** Where its rows go. */
  rows(): WireRow[];
  /** What its columns are: bytes of a RowDescription. */
  described(chunk: Buffer, from: number, to: number): void;
  /** What it did: bytes of a CommandComplete. */
  completed(chunk: Buffer, from: number, to: number): void;
  /** It failed. */
  failed(): void;
  /** Its answer is complete. */
  ended(): void;
}

/** Sends statements, and reads their answers in one of two ways. */
export interface Protocol<S extends Sending> {
  /** Sends and reports to `listener` from now on. */
  attach(listener: SendingListener<S>): void;
  /** Sends a statement: at once, or `soon`, together with what else is sent in this turn. */
  send(sending: S, soon: boolean): void;
  /** Takes what the server sends as it came. Absent where `reader` is there. */
  receive?(bytes: Buffer): void;
  /** Takes it message by message. */
  readonly reader?: AnswerReader;
}
