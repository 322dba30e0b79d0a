/**
 * The messages of PostgreSQL's protocol that we write and read ourselves (manual, chapter 55.7):
 * those of a connection's beginning and end, of COPY, and errors.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { DatabaseErrorFields } from "./errors.ts";

const utf8 = new TextEncoder();

/** The first byte of messages, by name. Those that only the driver reads have none here. */
export const Type = {
  authentication: 0x52, // R
  backendKeyData: 0x4b, // K
  bindComplete: 0x32, // 2
  commandComplete: 0x43, // C
  copyBothResponse: 0x57, // W
  copyData: 0x64, // d
  copyDone: 0x63, // c
  copyInResponse: 0x47, // G
  copyOutResponse: 0x48, // H
  dataRow: 0x44, // D
  emptyQueryResponse: 0x49, // I
  errorResponse: 0x45, // E
  noticeResponse: 0x4e, // N
  notificationResponse: 0x41, // A
  parameterStatus: 0x53, // S
  parseComplete: 0x31, // 1
  portalSuspended: 0x73, // s
  readyForQuery: 0x5a, // Z
  rowDescription: 0x54, // T
} as const;

/** No message of a real server is longer: PostgreSQL's own limit is a gigabyte. */
export const longestMessage = 0x3fffffff;

/** A message of `type` (0 for none) with `body`. */
export function message(type: number, body: Uint8Array): Buffer {
  const head = type === 0 ? 4 : 5;
  const bytes = Buffer.allocUnsafe(head + body.length);
  if (type !== 0) bytes[0] = type;
  bytes.writeInt32BE(4 + body.length, head - 4);
  bytes.set(body, head);
  return bytes;
}

/** The request to go on in TLS. */
export const sslRequest: Uint8Array = message(0, int32s(80877103));

/** The polite end. */
export const terminate: Uint8Array = message(0x58, new Uint8Array(0));

/** The end of a statement of the extended protocol. */
export const sync: Uint8Array = message(0x53, new Uint8Array(0));

/** `COPY … FROM STDIN` is complete. */
export const copyDone: Uint8Array = message(Type.copyDone, new Uint8Array(0));

/** `COPY … FROM STDIN` is given up. */
export function copyFail(reason: string): Buffer {
  return message(0x66, utf8.encode(`${reason}\0`));
}

/** The request to cancel what backend `pid` is doing. */
export function cancelRequest(pid: number, secret: Uint8Array): Buffer {
  return message(0, Buffer.concat([int32s(80877102, pid), secret]));
}

/** The first message: protocol 3.0 and the session's parameters. */
export function startupMessage(parameters: Readonly<Record<string, string>>): Buffer {
  const pairs = Object.entries(parameters).map(([name, value]) => `${name}\0${value}\0`);
  return message(0, Buffer.concat([int32s(196608), utf8.encode(`${pairs.join("")}\0`)]));
}

/** An answer to a request for authentication. */
export function passwordMessage(body: string | Uint8Array): Buffer {
  return message(0x70, typeof body === "string" ? utf8.encode(body) : body);
}

/** The first answer of SASL: the mechanism and its first message. */
export function saslInitialResponse(mechanism: string, first: string): Buffer {
  const data = utf8.encode(first);
  return passwordMessage(Buffer.concat([utf8.encode(`${mechanism}\0`), int32s(data.length), data]));
}

/** What a server says when it lets somebody in, for the driver: AuthenticationOk, key, ready. */
export const greeting: Buffer = Buffer.concat([
  message(Type.authentication, int32s(0)),
  message(Type.backendKeyData, int32s(0, 0)),
  message(Type.readyForQuery, new Uint8Array([0x49])),
]);

/** The answer to an empty statement. */
export const emptyAnswer: Buffer = Buffer.concat([
  message(Type.emptyQueryResponse, new Uint8Array(0)),
  message(Type.readyForQuery, new Uint8Array([0x49])),
]);

const fieldNames: Readonly<Record<string, keyof DatabaseErrorFields>> = {
  V: "severity",
  C: "code",
  M: "message",
  D: "detail",
  H: "hint",
  P: "position",
  s: "schema",
  t: "table",
  c: "column",
  n: "constraint",
  R: "routine",
  W: "where",
};

/** Reads the body of an ErrorResponse. */
export function errorFields(body: Buffer): DatabaseErrorFields {
  const fields: Partial<Record<keyof DatabaseErrorFields, string>> = {};
  let at = 0;
  while (at < body.length && body[at] !== 0) {
    let end = body.indexOf(0, at + 1);
    if (end === -1) end = body.length;
    const name = fieldNames[String.fromCharCode(body[at]!)];
    if (name !== undefined) fields[name] = body.toString("utf8", at + 1, end);
    at = end + 1;
  }
  return fields;
}

/** Whether the server ends the connection with this error. */
export function isFatal(fields: DatabaseErrorFields): boolean {
  return fields.severity === "FATAL" || fields.severity === "PANIC";
}

function int32s(...values: number[]): Buffer {
  const bytes = Buffer.allocUnsafe(4 * values.length);
  values.forEach((value, i) => bytes.writeInt32BE(value | 0, 4 * i));
  return bytes;
}
