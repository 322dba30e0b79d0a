/** The one connection to a PGlite instance. */

import { AsyncLocalStorage } from "node:async_hooks";
import { Buffer } from "node:buffer";
import {
  ClosedError,
  ConnectionLostError,
  InputError,
  SluiceError,
  StatementTimeoutError,
  TransactionAbortedError,
  TransactionError,
  UsageError,
} from "../../errors.ts";
import { caught } from "../../util/caught.ts";
import { deadline } from "../../util/deadline.ts";
import { CallQueue } from "../call_queue.ts";
import type {
  BeginOptions,
  CallOptions,
  DriverConnection,
  DriverCursor,
  DriverResult,
  DriverStatement,
  Isolation,
  TransactionStatus,
} from "../driver.ts";
import { canBeCut, lastRowEnd } from "./copy.ts";
import { checkText, type Session } from "./session.ts";

/** Data of a COPY is sent in parts of about this many bytes. */
const copyPart = 4 * 1024 * 1024;

const isolations: ReadonlySet<Isolation> = new Set<Isolation>([
  "read committed",
  "repeatable read",
  "serializable",
]);

/** The connection whose COPY source is being asked for data in this async context. */
const feeding = new AsyncLocalStorage<PGliteConnection>();

let made = 0;

/**
 * One connection. Every statement does its work synchronously once its turn has come: a limit can
 * end the wait for a turn, and never a statement that runs.
 */
export class PGliteConnection implements DriverConnection {
  readonly id: string = String(++made);
  onLost: ((reason: Error) => void) | undefined;

  readonly #session: Session;
  readonly #queue = new CallQueue();
  readonly #onEnd: (lost: boolean) => void;
  #transaction = 0;
  #cursors = 0;
  #rollbacks = 0;
  #lost: Error | undefined;
  readonly #ended = new AbortController();

  /** Takes over a started session. `onEnd` is called once, at the connection's end. */
  constructor(session: Session, onEnd: (lost: boolean) => void) {
    this.#session = session;
    this.#onEnd = onEnd;
  }

  get transactionStatus(): TransactionStatus {
    return this.#session.status;
  }

  get busy(): boolean {
    return this.#queue.busy;
  }

  get lost(): Error | undefined {
    return this.#lost;
  }

  run(statement: DriverStatement, options?: CallOptions): Promise<DriverResult> {
    return this.#call(options, () => this.#run(statement));
  }

  begin(options: BeginOptions = {}, call?: CallOptions): Promise<void> {
    return this.#call(call, async () => {
      if (this.#session.status !== "idle") {
        throw new TransactionError("A transaction is already open on this connection", {
          hint: "Commit or roll it back first, or use a savepoint",
        });
      }
      await this.#session.simple(beginText(options));
      this.#transaction++;
    });
  }

  commit(call?: CallOptions): Promise<void> {
    return this.#call(call, async () => {
      if (this.#session.status === "idle") {
        throw new TransactionError("There is no transaction to commit");
      }
      this.#transaction++;
      if (await this.#session.simple("COMMIT") === "COMMIT") return;
      throw new TransactionAbortedError(
        "COMMIT was answered by ROLLBACK: a statement of the transaction had failed, nothing was stored",
      );
    });
  }

  rollback(call?: CallOptions): Promise<void> {
    return this.#call(call, async () => {
      if (this.#session.status === "idle") return;
      this.#transaction++;
      await this.#session.simple("ROLLBACK");
    });
  }

  openCursor(statement: DriverStatement, options?: CallOptions): Promise<DriverCursor> {
    return this.#call(options, async () => {
      if (this.#session.status === "idle") {
        throw new TransactionError("A cursor needs an open transaction", {
          hint: "Call begin() first",
        });
      }
      const name = `sluice_cursor_${this.id}_${++this.#cursors}`;
      const text = `DECLARE ${name} NO SCROLL CURSOR FOR ${statement.text}`;
      await this.#session.run({ text, params: statement.params, prepare: false });
      return this.#cursor(name);
    });
  }

  copyIn(
    text: string,
    source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    options: CallOptions = {},
  ): Promise<number> {
    const until = options.timeout ? performance.now() + options.timeout : Infinity;
    const ended = this.#ended.signal;
    const signal = options.signal ? AbortSignal.any([options.signal, ended]) : ended;
    return this.#call(options, () => this.#copyIn(text, source, signal, until));
  }

  async *copyOut(text: string, options?: CallOptions): AsyncIterable<Uint8Array> {
    checkText(text, "The statement's text");
    yield* await this.#call(options, () => this.#session.copyOut(text));
  }

  ping(options?: CallOptions): Promise<void> {
    return this.#call(options, async () => {
      await this.#session.run({ text: "SELECT 1", params: [] });
    });
  }

  async close(): Promise<void> {
    this.#queue.refuse(closed());
    await this.#queue.idle();
    if (this.#ended.signal.aborted) return;
    try {
      await this.#session.end();
    } catch (error) {
      this.#noticeLoss(error);
    }
    this.#end();
  }

  destroy(): void {
    this.#queue.fail(closed());
    // What is open is rolled back when the instance's next session starts.
    this.#end();
  }

  #call<T>(options: CallOptions | undefined, job: () => Promise<T>): Promise<T> {
    if (feeding.getStore() === this) {
      const error = new UsageError(
        "The source of a COPY used the connection that is waiting for its data",
        { hint: "Read what the source needs before the COPY, or on another database" },
      );
      return caught(Promise.reject(error));
    }
    return this.#queue.run(async () => {
      try {
        return await job();
      } catch (error) {
        this.#noticeLoss(error);
        throw this.#lost ?? error;
      }
    }, options);
  }

  async #run(statement: DriverStatement): Promise<DriverResult> {
    const result = await this.#session.run(statement);
    if (result.command === "ROLLBACK") this.#rollbacks++;
    return result;
  }

  #cursor(name: string): DriverCursor {
    const transaction = this.#transaction;
    const rollbacks = this.#rollbacks;
    let ended = false;
    const isGone = () => transaction !== this.#transaction || this.#session.status === "idle";
    return {
      fetch: (count, options) =>
        this.#call(options, () => {
          if (!Number.isSafeInteger(count) || count < 1) {
            throw new InputError(`Cannot fetch ${count} rows`, {
              hint: "Give a whole number from 1",
            });
          }
          if (ended || isGone()) {
            throw new ClosedError(
              ended ? "The cursor is closed" : "The cursor ended with its transaction",
            );
          }
          const text = `FETCH FORWARD ${count} FROM ${name}`;
          return this.#session.run({ text, params: [], prepare: false });
        }),
      close: async () => {
        if (ended) return;
        ended = true;
        await this.#call(undefined, async () => {
          if (isGone() || this.#session.status === "failed") return;
          // A savepoint rolled back may have taken the cursor along, and to close what is not
          // there would fail the transaction.
          if (rollbacks !== this.#rollbacks && !await this.#cursorExists(name)) return;
          await this.#session.simple(`CLOSE ${name}`);
        }).catch(() => {});
      },
    };
  }

  async #cursorExists(name: string): Promise<boolean> {
    const text = "SELECT 1 FROM pg_cursors WHERE name = $1";
    const { rows } = await this.#session.run({ text, params: [name] });
    return rows.length > 0;
  }

  /**
   * Collects the data and sends it in whole COPY statements: PGlite cannot wait for data in the
   * middle of one. Where rows can be told apart, several statements in one transaction keep the
   * memory bounded; else the whole source is collected first.
   */
  async #copyIn(
    text: string,
    source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    signal: AbortSignal,
    until: number,
  ): Promise<number> {
    checkText(text, "The statement's text");
    const session = this.#session;
    const own = session.status === "idle";
    const cut = canBeCut(text);
    let began = false;
    let rows = 0;
    let parts: Uint8Array[] = [];
    let size = 0;
    try {
      for await (const chunk of this.#fed(source, signal, until)) {
        // A copy, because the source may use its buffer again.
        parts.push(chunk.slice());
        size += chunk.length;
        if (!cut || size < copyPart) continue;
        const data = Buffer.concat(parts);
        const end = lastRowEnd(data);
        if (end > 0) {
          if (own && !began) {
            await session.simple("BEGIN");
            began = true;
          }
          rows += await session.copyIn(text, [data.subarray(0, end)]);
        }
        parts = [data.subarray(end)];
        size = data.length - end;
      }
      rows += await session.copyIn(text, parts);
      if (began) await session.simple("COMMIT");
      return rows;
    } catch (error) {
      try {
        if (began && session.status !== "idle") await session.simple("ROLLBACK");
        else if (session.status === "open") await session.breakCopy(text, "the source failed");
      } catch (cleanup) {
        if (error instanceof SluiceError) error.suppressed.push(cleanup);
      }
      throw error;
    }
  }

  /** The source's chunks, until a limit ends it. Use of this connection by the source is noticed. */
  async *#fed(
    source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    signal: AbortSignal,
    until: number,
  ): AsyncGenerator<Uint8Array> {
    const iterator = feeding.run(
      this,
      () =>
        Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator](),
    );
    let finished = false;
    try {
      while (true) {
        const next = await deadline(
          feeding.run(this, async () => await iterator.next()),
          {
            signal,
            timeout: until === Infinity ? undefined : Math.max(1, until - performance.now()),
            onTimeout: () =>
              new StatementTimeoutError("The COPY took longer than its limit", {
                sqlState: "57014",
              }),
          },
        ).catch((error) => {
          // A source that threw has ended itself.
          finished = !signal.aborted && !(error instanceof StatementTimeoutError);
          throw error;
        });
        if (next.done) {
          finished = true;
          return;
        }
        if (!(next.value instanceof Uint8Array)) {
          throw new InputError(`The source of a COPY gave a ${typeof next.value}`, {
            hint: "It must give Uint8Array chunks; encode text with TextEncoder",
          });
        }
        yield next.value;
      }
    } finally {
      // Not awaited: a source that never answers must not hold the connection.
      if (!finished) void (async () => await iterator.return?.())().catch(() => {});
    }
  }

  /** Anything but an answer means that PGlite itself broke down. */
  #noticeLoss(error: unknown): void {
    if (this.#lost || !isBreakdown(error)) return;
    this.#lost = new ConnectionLostError("PGlite broke down and cannot go on", {
      hint: "The next connection opens the directory again; a database in memory is gone",
      cause: error,
    });
    this.#queue.fail(this.#lost);
    this.#end();
    this.onLost?.(this.#lost);
  }

  #end(): void {
    if (this.#ended.signal.aborted) return;
    const reason = this.#lost ?? closed();
    this.#ended.abort(reason);
    this.#session.cut(reason);
    this.#onEnd(this.#lost !== undefined);
  }
}

/** Emscripten ends a program by throwing, and WebAssembly traps. */
function isBreakdown(error: unknown): boolean {
  return error instanceof WebAssembly.RuntimeError ||
    (error as { name?: unknown } | null)?.name === "ExitStatus";
}

function beginText({ isolation, readOnly, deferrable }: BeginOptions): string {
  if (isolation !== undefined && !isolations.has(isolation)) {
    throw new InputError(`"${isolation}" is not an isolation level`, {
      hint: `Give one of: ${[...isolations].join(", ")}`,
    });
  }
  const words = ["BEGIN"];
  if (isolation !== undefined) words.push(`ISOLATION LEVEL ${isolation.toUpperCase()}`);
  if (readOnly !== undefined) words.push(readOnly ? "READ ONLY" : "READ WRITE");
  if (deferrable !== undefined) words.push(deferrable ? "DEFERRABLE" : "NOT DEFERRABLE");
  return words.join(" ");
}

function closed(): ClosedError {
  return new ClosedError("The connection is closed", { hint: "Take another one" });
}
