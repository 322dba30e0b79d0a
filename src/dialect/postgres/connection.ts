/**
 * One PostgreSQL connection, for life, as the driver contract has it.
 *
 * @module
 */

import { TransactionAbortedError, UsageError } from "../../errors.ts";
import { caught } from "../../util/caught.ts";
import type {
  BeginOptions,
  CallOptions,
  DriverConnection,
  DriverCursor,
  DriverResult,
  DriverStatement,
  TransactionStatus,
  WireValue,
} from "../driver.ts";
import type { Call } from "./call.ts";
import { Channel } from "./channel.ts";
import { CopySink, CopySource } from "./copy.ts";
import { PostgresCursor } from "./cursor.ts";
import type { Session } from "./handshake.ts";
import type { PostgresSettings } from "./options.ts";
import type { Protocol } from "./protocol.ts";
import { beginText, whatIsWrong } from "./statements.ts";

const noParams: readonly WireValue[] = [];
const share = (call: Call): void => void (call.shared = true);

/** One PostgreSQL connection. No promise of it has to be awaited. */
export class PostgresConnection implements DriverConnection {
  /** The backend's process id. */
  readonly id: string;
  readonly #channel: Channel;
  readonly #prepared: boolean;
  /** The transaction begun last, by the order of calls. */
  #transaction = { ended: true };
  #cursors = 0;

  /** Speaks on the socket of a session that was let in. */
  constructor(settings: PostgresSettings, session: Session, protocol: Protocol<Call>) {
    this.id = String(session.pid);
    this.#prepared = settings.prepared;
    this.#channel = new Channel(settings, session, protocol);
  }

  /** As the last answer said. */
  get transactionStatus(): TransactionStatus {
    return this.#channel.status;
  }

  /** A call is under way or queued. */
  get busy(): boolean {
    return this.#channel.busy;
  }

  /** Why the connection is no longer usable, once it is not. */
  get lost(): Error | undefined {
    return this.#channel.lost;
  }

  /** Called once, when the connection is lost other than by `close()` or `destroy()`. */
  get onLost(): ((reason: Error) => void) | undefined {
    return this.#channel.onLost;
  }

  /** Called once, when the connection is lost other than by `close()` or `destroy()`. */
  set onLost(listener: ((reason: Error) => void) | undefined) {
    this.#channel.onLost = listener;
  }

  /** Runs one statement to its end. */
  run(statement: DriverStatement, options?: CallOptions): Promise<DriverResult> {
    const wrong = whatIsWrong(statement);
    if (wrong !== undefined) return caught(Promise.reject(wrong));
    const { text, params, alone, take } = statement;
    const mode = statement.prepare === false || !this.#prepared ? "unprepared" : "prepared";
    const kind = alone ? "alone" : "run";
    const prepare = take === undefined ? undefined : (call: Call) => call.take = take;
    return this.#channel.call(kind, text, params, mode, options, prepare);
  }

  /** Runs one read that may travel together with others of its kind. */
  runShared(statement: DriverStatement, options?: CallOptions): Promise<DriverResult> {
    const wrong = whatIsWrong(statement);
    if (wrong !== undefined) return caught(Promise.reject(wrong));
    const { text, params, take } = statement;
    const mode = this.#prepared ? "prepared" : "unprepared";
    const prepare = take === undefined ? share : (call: Call) => {
      share(call);
      call.take = take;
    };
    return this.#channel.call("run", text, params, mode, options, prepare);
  }

  /** Begins a transaction. May be followed by further calls without waiting. */
  begin(options: BeginOptions = {}, call?: CallOptions): Promise<void> {
    return caught(this.#begin(options, call));
  }

  async #begin(options: BeginOptions, call: CallOptions | undefined): Promise<void> {
    const text = beginText(options);
    if (!this.#transaction.ended && (this.busy || this.transactionStatus !== "idle")) {
      throw new UsageError("A transaction is already open on this connection", {
        hint: "Commit it or roll it back first, or use a savepoint",
      });
    }
    this.#transaction = { ended: false };
    await this.#channel.call("begin", text, noParams, "simple", call);
  }

  /** Commits. */
  commit(call?: CallOptions): Promise<void> {
    return caught(this.#commit(call));
  }

  async #commit(call: CallOptions | undefined): Promise<void> {
    this.#transaction.ended = true;
    const { command } = await this.#channel.call("commit", "commit", noParams, "simple", call);
    if (command === "COMMIT") return;
    throw new TransactionAbortedError(
      "The transaction was rolled back instead of committed: a statement of it had failed",
      { hint: "Roll back when a statement fails, and run the transaction again" },
    );
  }

  /** Rolls back; harmless when no transaction is open. */
  rollback(call?: CallOptions): Promise<void> {
    return caught(this.#rollback(call));
  }

  async #rollback(call: CallOptions | undefined): Promise<void> {
    this.#transaction.ended = true;
    if (this.transactionStatus === "idle" && !this.busy && this.lost === undefined) return;
    await this.#channel.call("rollback", "rollback", noParams, "simple", call);
  }

  /** Opens a cursor inside the open transaction. */
  openCursor(statement: DriverStatement, options?: CallOptions): Promise<DriverCursor> {
    return caught(this.#openCursor(statement, options));
  }

  async #openCursor(
    statement: DriverStatement,
    options: CallOptions | undefined,
  ): Promise<DriverCursor> {
    const name = `sluice_${++this.#cursors}`;
    const channel = this.#channel;
    const transaction = this.#transaction;
    const { savepointRollbacks } = channel;
    // Unprepared, because the name makes each text a new one
    await this.run({
      text: `declare ${name} no scroll cursor for ${statement.text}`,
      params: statement.params,
      prepare: false,
    }, options);
    return new PostgresCursor(name, {
      run: (text, limits) => channel.call("run", text, noParams, "simple", limits),
      ended: () => transaction.ended,
      uncertain: () => channel.savepointRollbacks !== savepointRollbacks,
    });
  }

  /** `COPY … FROM STDIN`, with backpressure; gives the number of rows. */
  copyIn(
    text: string,
    source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    options?: CallOptions,
  ): Promise<number> {
    return caught(this.#copyIn(text, new CopySource(source), options));
  }

  async #copyIn(
    text: string,
    source: CopySource,
    options: CallOptions | undefined,
  ): Promise<number> {
    const result = await this.#channel.call("copy", text, noParams, "simple", options, (call) => {
      call.source = source;
    });
    if (source.started) return result.rowCount;
    throw new UsageError("copyIn() takes a COPY … FROM STDIN, and this statement is none");
  }

  /**
   * `COPY … TO STDOUT`, chunk by chunk, with backpressure. A loop left early has the server stop, and
   * waits for it as long as a cancelled statement may take.
   */
  async *copyOut(text: string, options?: CallOptions): AsyncGenerator<Uint8Array, void, void> {
    const channel = this.#channel;
    const sink = new CopySink(channel);
    let copy: Call | undefined;
    const done = channel.call("copy", text, noParams, "simple", options, (call) => {
      call.sink = sink;
      copy = call;
    });
    const ended = done.then(() => sink.end(), () => sink.end());
    try {
      for (let chunk = await sink.read(); chunk !== undefined; chunk = await sink.read()) {
        yield chunk;
      }
      await done;
    } finally {
      if (copy !== undefined) channel.giveUp(copy, new Error("The COPY was left before its end"));
      await ended;
    }
  }

  /** Asks for a sign of life. */
  ping(options?: CallOptions): Promise<void> {
    return caught(this.#ping(options));
  }

  async #ping(options: CallOptions | undefined): Promise<void> {
    await this.#channel.call("run", "", noParams, "simple", options);
  }

  /** Ends the connection politely, after what is queued. Idempotent, and never rejects. */
  close(): Promise<void> {
    return this.#channel.close();
  }

  /** Ends it at once, without asking; what is under way rejects. Idempotent. */
  destroy(): void {
    this.#channel.destroy();
  }
}
