/**
 * Writes the messages of statements (manual, chapter 55.7) one behind the other, so that what is sent
 * in one turn goes out in one piece.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { setImmediate } from "node:timers";
import type { WireValue } from "../driver.ts";

/** Bytes that are written into. What was sent is never written over: the socket may still read it. */
const SLAB = 32 * 1024;
/** Up to here a text is written byte by byte, which is faster than a call into the runtime. */
const SHORT = 48;
/** Texts that together are longer are measured first, instead of reserving for the worst case. */
const LONG = 8 * 1024;

const utf8 = new TextEncoder();

/** Gathers messages and sends them. */
export class Outbox {
  readonly #write: (bytes: Uint8Array) => void;
  #bytes = Buffer.allocUnsafe(0);
  /** The first byte that was not sent. */
  #start = 0;
  #at = 0;
  #flushing = false;

  /** Sends by `write`. */
  constructor(write: (bytes: Uint8Array) => void) {
    this.#write = write;
  }

  /** Sends what was gathered. */
  flush(): void {
    if (this.#at === this.#start) return;
    const bytes = this.#bytes.subarray(this.#start, this.#at);
    this.#start = this.#at;
    this.#write(bytes);
  }

  /** Sends it when everybody has had his turn. */
  flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => {
      this.#flushing = false;
      this.flush();
    });
  }

  /** Query: a statement by the simple protocol. */
  query(text: string): void {
    this.#reserve(6 + 3 * text.length);
    const length = this.#begin(0x51);
    this.#cstring(text);
    this.#end(length);
  }

  /** Parse: prepares a statement; "" is the unnamed one. */
  parse(name: string, text: string): void {
    this.#reserve(16 + name.length + 3 * text.length);
    const length = this.#begin(0x50);
    this.#cstring(name);
    this.#cstring(text);
    this.#int16(0); // types are the server's to find
    this.#end(length);
  }

  /** Bind: gives a prepared statement its values, all as text; results come as text, too. */
  bind(name: string, params: readonly WireValue[]): void {
    this.#reserve(32 + name.length + sizeOf(params));
    const length = this.#begin(0x42);
    this.#bytes[this.#at++] = 0; // the unnamed portal
    this.#cstring(name);
    this.#int16(0);
    this.#int16(params.length);
    for (let i = 0; i < params.length; i++) {
      const value = params[i] as string | null;
      const at = this.#at;
      this.#at += 4;
      if (value === null) {
        this.#int32At(at, -1);
      } else {
        this.#text(value);
        this.#int32At(at, this.#at - at - 4);
      }
    }
    this.#int16(0);
    this.#end(length);
  }

  /** Describe: asks what columns the bound statement gives. */
  describe(): void {
    this.#reserve(8);
    const length = this.#begin(0x44);
    this.#bytes[this.#at++] = 0x50; // the portal
    this.#bytes[this.#at++] = 0;
    this.#end(length);
  }

  /** Execute and Sync: runs what was bound, to its end. */
  execute(): void {
    this.#reserve(executeAndSync.length);
    this.#bytes.set(executeAndSync, this.#at);
    this.#at += executeAndSync.length;
  }

  #reserve(size: number): void {
    if (this.#at + size <= this.#bytes.length) return;
    // What stands before belongs in front of it
    this.flush();
    this.#bytes = Buffer.allocUnsafe(Math.max(SLAB, size));
    this.#start = this.#at = 0;
  }

  #begin(type: number): number {
    this.#bytes[this.#at++] = type;
    const at = this.#at;
    this.#at += 4;
    return at;
  }

  #end(length: number): void {
    this.#int32At(length, this.#at - length);
  }

  #cstring(text: string): void {
    this.#text(text);
    this.#bytes[this.#at++] = 0;
  }

  #text(text: string): void {
    const bytes = this.#bytes;
    const { length } = text;
    if (length <= SHORT) {
      let at = this.#at;
      let i = 0;
      for (; i < length; i++) {
        const code = text.charCodeAt(i);
        if (code >= 0x80) break;
        bytes[at++] = code;
      }
      if (i === length) {
        this.#at = at;
        return;
      }
    }
    this.#at += utf8.encodeInto(text, bytes.subarray(this.#at)).written;
  }

  #int16(value: number): void {
    this.#bytes[this.#at++] = value >> 8;
    this.#bytes[this.#at++] = value;
  }

  #int32At(at: number, value: number): void {
    const bytes = this.#bytes;
    bytes[at] = value >> 24;
    bytes[at + 1] = value >> 16;
    bytes[at + 2] = value >> 8;
    bytes[at + 3] = value;
  }
}

/** How much room values take at most. */
function sizeOf(params: readonly WireValue[]): number {
  let size = 4 * params.length;
  let letters = 0;
  for (let i = 0; i < params.length; i++) letters += (params[i] as string | null)?.length ?? 0;
  if (letters <= LONG) return size + 3 * letters;
  for (let i = 0; i < params.length; i++) {
    const value = params[i] as string | null;
    if (value !== null) size += Buffer.byteLength(value);
  }
  return size;
}

/** Of the unnamed portal, all rows; then Sync. */
const executeAndSync = new Uint8Array([0x45, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0x53, 0, 0, 0, 4]);
