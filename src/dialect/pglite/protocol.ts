/**
 * The part of PostgreSQL's protocol that is spoken with PGlite: whole requests go in, whole answers
 * come out. Text both ways, so nothing depends on PGlite's own parsers and serializers.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { WireRow } from "../../sql/wire.ts";
import type { DriverColumn, TransactionStatus } from "../driver.ts";
import type { DatabaseErrorFields } from "../postgres/errors.ts";
import { copyDone, copyFail, errorFields, message, Type } from "../postgres/messages.ts";

export { copyDone, copyFail };

/** A simple query: for our own statements without values. */
export function query(text: string): Buffer {
  return message(0x51, Buffer.from(`${text}\0`));
}

/** Prepares `text` under `name`; the empty name is for one use. */
export function parse(name: string, text: string): Buffer {
  return message(0x50, Buffer.from(`${name}\0${text}\0\0\0`));
}

/** Asks for the columns of the statement `name`. */
export function describe(name: string): Buffer {
  return message(0x44, Buffer.from(`S${name}\0`));
}

/** Forgets the statement `name`. */
export function forget(name: string): Buffer {
  return message(0x43, Buffer.from(`S${name}\0`));
}

/** Binds text values to the statement `name` and runs it. */
export function execute(name: string, values: readonly (string | null)[]): Buffer {
  const head = Buffer.from(`\0${name}\0\0\0`);
  let size = head.length + 4;
  const lengths = values.map((value) => {
    const length = value === null ? -1 : Buffer.byteLength(value);
    size += 4 + Math.max(length, 0);
    return length;
  });
  const body = Buffer.allocUnsafe(size);
  body.set(head);
  let at = body.writeUInt16BE(values.length, head.length);
  values.forEach((value, i) => {
    at = body.writeInt32BE(lengths[i]!, at);
    if (value !== null) at += body.write(value, at);
  });
  body.writeUInt16BE(0, at); // all results as text
  return Buffer.concat([message(0x42, body), runIt]);
}

const runIt = message(0x45, Buffer.from("\0\0\0\0\0"));

/** Data of a `COPY … FROM STDIN`. */
export function copyData(data: Uint8Array): Buffer {
  return message(Type.copyData, data);
}

/** Ends a request; the answer ends with the transaction's status. */
export const sync: Buffer = message(0x53, new Uint8Array(0));

/** What came back for one request. */
export interface Answer {
  /** Where the session stands now. */
  status: TransactionStatus;
  /** The rows, text or null. */
  rows: WireRow[];
  /** The columns, if they were asked for; empty for a statement without rows. */
  columns: DriverColumn[] | undefined;
  /** The command tag, such as `INSERT 0 1`; empty if there was none. */
  tag: string;
  /** The statement was prepared. */
  prepared: boolean;
  /** Data of a `COPY … TO STDOUT`. */
  copied: Uint8Array[];
  /** The first error. */
  error: DatabaseErrorFields | undefined;
}

/** Reads an answer. */
export function readAnswer(bytes: Uint8Array): Answer {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const answer: Answer = {
    status: "idle",
    rows: [],
    columns: undefined,
    tag: "",
    prepared: false,
    copied: [],
    error: undefined,
  };
  for (let at = 0; at < buffer.length;) {
    const type = buffer[at]!;
    const end = at + 1 + buffer.readInt32BE(at + 1);
    const body = at + 5;
    switch (type) {
      case Type.dataRow:
        answer.rows.push(readRow(buffer, body));
        break;
      case 0x54: // RowDescription
        answer.columns = readColumns(buffer, body);
        break;
      case 0x6e: // NoData
        answer.columns = [];
        break;
      case 0x31: // ParseComplete
        answer.prepared = true;
        break;
      case Type.commandComplete:
        answer.tag = buffer.toString("utf8", body, end - 1);
        break;
      case Type.copyData:
        answer.copied.push(buffer.subarray(body, end));
        break;
      case Type.errorResponse:
        answer.error ??= errorFields(buffer.subarray(body, end));
        break;
      case Type.readyForQuery:
        answer.status = statusOf(buffer[body]!);
        break;
    }
    at = end;
  }
  return answer;
}

function statusOf(letter: number): TransactionStatus {
  return letter === 0x49 ? "idle" : letter === 0x54 ? "open" : "failed";
}

function readRow(buffer: Buffer, from: number): WireRow {
  const count = buffer.readUInt16BE(from);
  const row = new Array<string | null>(count);
  let at = from + 2;
  for (let i = 0; i < count; i++) {
    const length = buffer.readInt32BE(at);
    at += 4;
    if (length < 0) {
      row[i] = null;
    } else {
      row[i] = buffer.toString("utf8", at, at + length);
      at += length;
    }
  }
  return row;
}

function readColumns(buffer: Buffer, from: number): DriverColumn[] {
  const columns: DriverColumn[] = [];
  let at = from + 2;
  for (let left = buffer.readUInt16BE(from); left > 0; left--) {
    const end = buffer.indexOf(0, at);
    const name = buffer.toString("utf8", at, end);
    columns.push({ name, type: buffer.readUInt32BE(end + 7) });
    at = end + 19;
  }
  return columns;
}
