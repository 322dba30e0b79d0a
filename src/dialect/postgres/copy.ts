/**
 * The two directions of COPY, each with backpressure. The driver sees nothing of either: its streams
 * lose errors, and can leave the socket paused.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { InputError } from "../../errors.ts";
import { copyDone, copyFail, message, Type } from "./messages.ts";

/** Rows often come one by one; they go out in messages of about this size, in bytes. */
const messageSize = 64 * 1024;

/** How many bytes a slow reader lets pile up before the server is held back. */
const highWater = 256 * 1024;

/** Where a `CopySource` writes. */
export interface CopyTarget {
  /** Sends bytes; false when the socket would rather wait. */
  write(bytes: Uint8Array): boolean;
}

/** Carries a source of bytes into a `COPY … FROM STDIN`. */
export class CopySource {
  readonly #source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  #target: CopyTarget | undefined;
  #stopped = false;
  #drained: (() => void) | undefined;
  #giveUpWaiting: (() => void) | undefined;

  /** Reads nothing of `source` before `start`. */
  constructor(source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>) {
    this.#source = source;
  }

  /** The server asked for data. */
  get started(): boolean {
    return this.#target !== undefined;
  }

  /** The server is ready for data, and it has not been stopped. */
  get active(): boolean {
    return this.#target !== undefined && !this.#stopped;
  }

  /** Sends everything, then the end. If the source fails, the COPY fails and `failed` gets its error. */
  start(target: CopyTarget, failed: (error: unknown) => void): void {
    this.#target = target;
    this.#run(target).catch((error) => {
      if (this.#stopped) return;
      this.#stopped = true;
      failed(error);
      target.write(copyFail("the source of the data failed"));
    });
  }

  /** The socket has room again. */
  drained(): void {
    this.#drained?.();
  }

  /** Sends nothing more; with a reason, has the COPY fail. */
  stop(reason?: string): void {
    if (this.#stopped) return;
    this.#stopped = true;
    if (reason !== undefined) this.#target?.write(copyFail(reason));
    this.#giveUpWaiting?.();
  }

  async #run(target: CopyTarget): Promise<void> {
    const source = this.#source;
    const iterator = Symbol.asyncIterator in source
      ? source[Symbol.asyncIterator]()
      : source[Symbol.iterator]();
    let parts: Uint8Array[] = [];
    let size = 0;
    let finished = false;
    try {
      for (;;) {
        const step = await this.#unlessStopped(iterator.next());
        if (this.#stopped) return;
        finished = step!.done === true;
        if (!finished) {
          parts.push(checked(step!.value));
          size += step!.value.length;
        }
        if (size >= messageSize || finished && size > 0) {
          const room = target.write(message(Type.copyData, Buffer.concat(parts, size)));
          parts = [];
          size = 0;
          if (!room) {
            await this.#unlessStopped(new Promise<void>((drained) => this.#drained = drained));
          }
          if (this.#stopped) return;
        }
        if (finished) {
          this.#stopped = true;
          target.write(copyDone);
          return;
        }
      }
    } finally {
      // Not awaited: a source that is stuck in next() would never answer
      if (!finished) Promise.resolve(iterator.return?.()).catch(() => {});
    }
  }

  /** A race that leaves nothing behind on a promise that lives as long as the COPY. */
  #unlessStopped<T>(step: T | Promise<T>): T | undefined | Promise<T | undefined> {
    if (!(step instanceof Promise)) return step;
    return new Promise((resolve, reject) => {
      this.#giveUpWaiting = () => resolve(undefined);
      step.then(resolve, reject);
    });
  }
}

function checked(chunk: unknown): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk;
  throw new InputError(`COPY takes chunks of bytes (Uint8Array), not ${typeof chunk}`, {
    hint: "Encode text with a TextEncoder or a TextEncoderStream",
  });
}

/** What a `CopySink` holds back. */
export interface CopyFlow {
  /** Holds the server back. */
  pause(): void;
  /** Lets it go on. */
  resume(): void;
}

/** Keeps what a `COPY … TO STDOUT` sends until it is read. */
export class CopySink {
  readonly #flow: CopyFlow;
  #parts: Uint8Array[] = [];
  #size = 0;
  #paused = false;
  #abandoned = false;
  #ended = false;
  #wake: (() => void) | undefined;

  /** Holds `flow` back while nobody reads. */
  constructor(flow: CopyFlow) {
    this.#flow = flow;
  }

  /** Takes bytes from the server. */
  push(bytes: Uint8Array): void {
    if (this.#abandoned) return;
    this.#parts.push(bytes);
    this.#size += bytes.length;
    if (this.#size >= highWater && !this.#paused) {
      this.#paused = true;
      this.#flow.pause();
    }
    this.#wake?.();
  }

  /** Nothing more will come. */
  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  /** Nothing more is wanted; what comes is dropped. */
  abandon(): void {
    this.#abandoned = true;
    this.#take();
  }

  /** Everything that came since the last time, or undefined at the end. */
  async read(): Promise<Uint8Array | undefined> {
    while (this.#size === 0) {
      if (this.#ended) return undefined;
      await new Promise<void>((wake) => this.#wake = wake);
      this.#wake = undefined;
    }
    return this.#take();
  }

  #take(): Uint8Array {
    const chunk = new Uint8Array(this.#size);
    let at = 0;
    for (const part of this.#parts) {
      chunk.set(part, at);
      at += part.length;
    }
    this.#parts = [];
    this.#size = 0;
    if (this.#paused) {
      this.#paused = false;
      this.#flow.resume();
    }
    return chunk;
  }
}
