/**
 * One PostgreSQL connection, for life: the line of its calls, and every way in which a call or the
 * connection can end. States: usable, then lost (final). While usable it is idle, or has calls in
 * flight; several only between `begin()` and the call that ends the transaction.
 *
 * @module
 */

import type { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import {
  ClosedError,
  ConnectionLostError,
  SluiceError,
  TransactionAbortedError,
  UsageError,
} from "../../errors.ts";
import { caught } from "../../util/caught.ts";
import { onAbort } from "../../util/abort.ts";
import type {
  BeginOptions,
  CallOptions,
  DriverColumn,
  DriverConnection,
  DriverCursor,
  DriverResult,
  DriverStatement,
  TransactionStatus,
  WireValue,
} from "../driver.ts";
import { Call, type CallKind, CallLine } from "./call.ts";
import { type Cancellation, sendCancel } from "./cancel.ts";
import { CopySink, CopySource } from "./copy.ts";
import { type CursorScope, PostgresCursor } from "./cursor.ts";
import {
  commitUnknownError,
  connectionLostError,
  type DatabaseErrorFields,
  databaseErrorFromFields,
  isStalePlan,
  lostError,
  pendingRollbackError,
  tooSlowError,
} from "./errors.ts";
import { type FrameListener, Framer } from "./framer.ts";
import { handshake, type Session } from "./handshake.ts";
import { copyFail, isFatal, sync, terminate } from "./messages.ts";
import {
  NpmPostgres,
  type NpmResult,
  type SendingListener,
  type SendMode,
} from "./npm_postgres.ts";
import type { PostgresSettings } from "./options.ts";
import { Plans } from "./plans.ts";
import { listen } from "./socket.ts";
import { beginText, whatIsWrong } from "./statements.ts";
import { Watchdog } from "./watchdog.ts";

const noColumns: readonly DriverColumn[] = [];
const noParams: readonly WireValue[] = [];

const statuses: Readonly<Record<number, TransactionStatus>> = {
  0x49: "idle",
  0x54: "open",
  0x45: "failed",
};

/** A call that is being cancelled; nothing else is sent meanwhile. */
interface Cancelling {
  readonly call: Call;
  readonly timer: ReturnType<typeof setTimeout>;
  request: Cancellation | undefined;
  /** How the call ended, told when the request is closed too. */
  settle: (() => void) | undefined;
}

/** One PostgreSQL connection. */
export class PostgresConnection implements DriverConnection {
  /** The backend's process id. */
  readonly id: string;
  /** Called once, when the connection is lost other than by `close()` or `destroy()`. */
  onLost: ((reason: Error) => void) | undefined;

  readonly #settings: PostgresSettings;
  readonly #session: Session;
  readonly #socket: Socket;
  readonly #framer: Framer;
  readonly #forgetSocket: () => void;
  readonly #npm: NpmPostgres<Call>;
  #status: TransactionStatus = "idle";
  #lost: Error | undefined;
  /** The socket is given up; nothing goes out or comes in any more. */
  #gone = false;
  #closing: PromiseWithResolvers<void> | undefined;

  /** Handed to the driver, in the order of their answers. */
  readonly #flying = new CallLine();
  /** Not handed to the driver yet. */
  readonly #waiting = new CallLine();
  /** A BEGIN was sent, and nothing that ends it: what follows need not wait for answers. */
  #inTransaction = false;
  /** Nothing may be sent behind what is flying. */
  #exclusive = false;
  /** The socket has more to write than it can. */
  #blocked = false;
  #writes = 0;

  readonly #plans: Plans;
  /** The error that the server sent for the first call in flight. */
  #serverError: DatabaseErrorFields | undefined;
  /** What made the open transaction fail. */
  #failure: unknown;
  #scope: CursorScope = { ended: true };
  #cursors = 0;

  #cancelling: Cancelling | undefined;
  /** Why the last CancelRequest was sent, until nothing is in flight that it could have hit. */
  #cancelReason: unknown;
  readonly #watchdog = new Watchdog((now) => this.#look(now));

  private constructor(settings: PostgresSettings, session: Session, npm: NpmPostgres<Call>) {
    this.#settings = settings;
    this.#session = session;
    this.#npm = npm;
    npm.attach(this.#sendings());
    this.#socket = session.socket;
    this.id = String(session.pid);
    this.#plans = new Plans(settings.maxPrepared);
    this.#framer = new Framer(this.#frames());
    const ended = (error?: Error) => this.#lose(lostError(settings.target, error));
    this.#forgetSocket = listen(this.#socket, {
      data: (bytes: Buffer) => this.#framer.push(bytes),
      error: ended,
      end: () => ended(),
      close: () => ended(),
      drain: () => {
        this.#blocked = false;
        this.#flying.first?.source?.drained();
        this.#advance();
      },
    });
    if (session.rest.length > 0) this.#framer.push(session.rest);
    this.#socket.resume();
  }

  /** Makes a connection. Rejects with `ConnectError`, or with the signal's reason. */
  static async open(
    settings: PostgresSettings,
    options?: CallOptions,
  ): Promise<PostgresConnection> {
    const npm = NpmPostgres.open<Call>();
    let session: Session;
    try {
      session = await handshake(settings, options);
    } catch (error) {
      await npm; // so that nothing of the attempt is left when it is said to have failed
      throw error;
    }
    return new PostgresConnection(settings, session, await npm);
  }

  /** As the last answer said. */
  get transactionStatus(): TransactionStatus {
    return this.#status;
  }

  /** A call is under way or queued. */
  get busy(): boolean {
    return this.#flying.first !== undefined || this.#waiting.first !== undefined ||
      this.#cancelling !== undefined;
  }

  /** Why the connection is no longer usable, once it is not. */
  get lost(): Error | undefined {
    return this.#lost;
  }

  /** Runs one statement to its end. */
  run(statement: DriverStatement, options?: CallOptions): Promise<DriverResult> {
    const { text, params } = statement;
    const wrong = whatIsWrong(statement);
    if (wrong !== undefined) return caught(Promise.reject(wrong));
    const mode = statement.prepare === false || !this.#settings.prepared
      ? "unprepared"
      : "prepared";
    return this.#call("run", text, params, mode, options);
  }

  /** Begins a transaction. May be followed by further calls without waiting. */
  async begin(options: BeginOptions = {}, call?: CallOptions): Promise<void> {
    const text = beginText(options);
    if (!this.#scope.ended && (this.busy || this.#status !== "idle")) {
      throw new UsageError("A transaction is already open on this connection", {
        hint: "Commit it or roll it back first, or use a savepoint",
      });
    }
    this.#scope = { ended: false };
    await this.#call("begin", text, noParams, "simple", call);
  }

  /** Commits. */
  async commit(call?: CallOptions): Promise<void> {
    this.#scope.ended = true;
    const { command } = await this.#call("commit", "commit", noParams, "simple", call);
    if (command === "COMMIT") return;
    throw new TransactionAbortedError(
      "The transaction was rolled back instead of committed: a statement of it had failed",
      { hint: "Roll back when a statement fails, and run the transaction again" },
    );
  }

  /** Rolls back; harmless when no transaction is open. */
  async rollback(call?: CallOptions): Promise<void> {
    this.#scope.ended = true;
    if (this.#status === "idle" && !this.busy && this.#lost === undefined) return;
    await this.#call("rollback", "rollback", noParams, "simple", call);
  }

  /** Opens a cursor inside the open transaction. */
  async openCursor(statement: DriverStatement, options?: CallOptions): Promise<DriverCursor> {
    const name = `sluice_${++this.#cursors}`;
    const scope = this.#scope;
    // Unprepared, because the name makes each text a new one
    await this.run({
      text: `declare ${name} no scroll cursor for ${statement.text}`,
      params: statement.params,
      prepare: false,
    }, options);
    return new PostgresCursor(
      name,
      scope,
      (text, limits) => this.#call("run", text, noParams, "simple", limits),
    );
  }

  /** `COPY … FROM STDIN`, with backpressure; gives the number of rows. */
  async copyIn(
    text: string,
    source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    options?: CallOptions,
  ): Promise<number> {
    const carrier = new CopySource(source);
    const result = await this.#call("copy", text, noParams, "simple", options, (call) => {
      call.source = carrier;
    });
    if (!carrier.started) {
      throw new UsageError("copyIn() takes a COPY … FROM STDIN, and this statement is none");
    }
    return result.rowCount;
  }

  /** `COPY … TO STDOUT`, chunk by chunk, with backpressure. A loop left early costs the connection. */
  async *copyOut(text: string, options?: CallOptions): AsyncGenerator<Uint8Array, void, void> {
    const sink = new CopySink(() => this.#socket.pause(), () => this.#socket.resume());
    const done = this.#call("copy", text, noParams, "simple", options, (call) => {
      call.sink = sink;
    });
    let ended = false;
    const settled = () => {
      ended = true;
      sink.end();
    };
    done.then(settled, settled);
    try {
      for (let chunk = await sink.read(); chunk !== undefined; chunk = await sink.read()) {
        yield chunk;
      }
      await done;
    } finally {
      if (!ended) this.#lose(new ConnectionLostError("A COPY … TO STDOUT was left before its end"));
    }
  }

  /** Asks for a sign of life. */
  async ping(options?: CallOptions): Promise<void> {
    await this.#call("run", "", noParams, "simple", options);
  }

  /** Ends the connection politely, after what is queued. Idempotent, and never rejects. */
  close(): Promise<void> {
    if (this.#closing === undefined) {
      this.#closing = Promise.withResolvers();
      if (this.#gone) this.#closing.resolve();
      else {
        this.#lost = new ClosedError("The connection is closed");
        const timer = setTimeout(() => this.destroy(), this.#settings.closeTimeout);
        this.#closing.promise.then(() => clearTimeout(timer));
        this.#advance();
      }
    }
    return this.#closing.promise;
  }

  /** Ends it at once, without asking; what is under way rejects. Idempotent. */
  destroy(): void {
    if (this.#gone) return;
    this.onLost = undefined;
    this.#lose(new ConnectionLostError("The connection was destroyed"));
  }

  // --- the line of calls -------------------------------------------------------------------------

  #call(
    kind: CallKind,
    text: string,
    params: readonly WireValue[],
    mode: SendMode,
    options: CallOptions | undefined,
    prepare?: (call: Call) => void,
  ): Promise<DriverResult> {
    return caught(
      new Promise<DriverResult>((resolve, reject) => {
        if (this.#lost !== undefined) return reject(this.#lost);
        const call = new Call(kind, text, params, mode, resolve, reject);
        prepare?.(call);
        if (options !== undefined && !this.#limit(call, options)) return;
        if (this.#waiting.first === undefined && this.#mayFly(call)) this.#fly(call);
        else this.#waiting.push(call);
      }),
    );
  }

  /** False if the call is over before it began. */
  #limit(call: Call, options: CallOptions): boolean {
    const { signal, timeout } = options;
    if (signal !== undefined) {
      if (signal.aborted) {
        call.reject(signal.reason);
        return false;
      }
      call.forget = onAbort(signal, () => this.#giveUp(call, signal.reason));
    }
    if (timeout !== undefined && timeout > 0 && timeout !== Infinity) {
      call.deadline = performance.now() + timeout;
      call.timeout = timeout;
      this.#watchdog.watch(call.deadline);
    }
    return true;
  }

  #mayFly(call: Call): boolean {
    if (this.#cancelling !== undefined) return false;
    if (this.#flying.first === undefined) return true;
    return this.#inTransaction && !this.#exclusive && !this.#blocked && call.kind !== "copy";
  }

  #fly(call: Call): void {
    this.#flying.push(call);
    if (call.kind === "begin") this.#inTransaction = true;
    else if (call.kind === "commit" || call.kind === "rollback") this.#inTransaction = false;
    // A serializable BEGIN is refused by a standby; what follows would be stored outside a transaction
    this.#exclusive = call.kind === "copy" ||
      call.kind === "begin" && call.text.includes("serializable");
    this.#plans.choose(call);
    call.writes = this.#writes;
    this.#framer.expected++;
    this.#npm.send(call);
  }

  /** Sends what may be sent by now. */
  #advance(): void {
    for (let call = this.#waiting.first; call !== undefined; call = this.#waiting.first) {
      if (this.#gone || !this.#mayFly(call)) return;
      this.#waiting.remove(call);
      this.#fly(call);
    }
    if (this.#closing !== undefined && !this.#gone && !this.busy) this.#sayGoodbye();
  }

  /** The first call in flight is over; `settle` tells its caller. */
  #land(call: Call, settle: () => void): void {
    this.#flying.remove(call);
    call.forget?.();
    const cancelling = this.#cancelling;
    if (cancelling?.call === call) {
      cancelling.settle = settle;
      this.#cancelled(cancelling);
    } else {
      settle();
    }
    const next = this.#flying.first;
    if (next === undefined) {
      this.#cancelReason = undefined;
      this.#exclusive = false;
      if (this.#status === "idle") this.#inTransaction = false;
    } else if (next.givenUp !== undefined && this.#cancelling === undefined) {
      this.#cancel(next);
    }
    if (this.#waiting.first !== undefined || this.#closing !== undefined) this.#advance();
  }

  #sendings(): SendingListener<Call> {
    return {
      write: (bytes) => {
        this.#writes++;
        this.#write(bytes);
      },
      answered: (call, result) => this.#answered(call, result),
      refused: (call) => this.#refused(call, this.#serverError!),
      broken: (error) => {
        this.#lose(new ConnectionLostError("The driver failed", { cause: error }));
      },
    };
  }

  #write(bytes: Uint8Array): boolean {
    if (this.#gone) return true;
    const room = this.#socket.write(bytes);
    if (!room) this.#blocked = true;
    return room;
  }

  // --- how a call ends ---------------------------------------------------------------------------

  #answered(call: Call, result: NpmResult): void {
    if (call.line !== this.#flying) return;
    this.#plans.succeeded(call);
    if (call.failure !== undefined) return this.#land(call, () => call.reject(call.failure));
    const words = result.command ?? "";
    const space = words.indexOf(" ");
    const command = space === -1 ? words : words.slice(0, space);
    // ROLLBACK TO takes along the cursors that were opened since the savepoint; which is not known
    if (command === "ROLLBACK" && call.kind === "run") {
      this.#scope.uncertain = true;
    }
    const { rows } = call;
    const rowCount = result.count ?? rows.length;
    const columns = result.columns ?? noColumns;
    this.#land(call, () => call.resolve({ rows, columns, rowCount, command }));
  }

  #refused(call: Call, fields: DatabaseErrorFields): void {
    if (call.line !== this.#flying) return;
    if (call.mode === "prepared" && isStalePlan(fields)) {
      this.#plans.stale(call);
      if (this.#status === "idle" && !call.again && call.givenUp === undefined) {
        return this.#sendAgain(call);
      }
    }
    const error = this.#errorOf(call, fields);
    if (this.#status === "failed") this.#failure ??= error;
    if (call.kind === "begin") {
      // Whatever was sent behind it would be carried out on its own
      this.#land(call, () => call.reject(error));
      this.#lose(new ConnectionLostError("A transaction could not begin", { cause: error }));
    } else {
      this.#land(call, () => call.reject(error));
    }
  }

  /** Outside a transaction nothing was done yet when a plan is found stale. */
  #sendAgain(call: Call): void {
    this.#flying.remove(call);
    call.again = true;
    call.rows = [];
    this.#fly(call);
  }

  #errorOf(call: Call, fields: DatabaseErrorFields): unknown {
    if (call.failure !== undefined) return call.failure;
    if (call.givenUp !== undefined && fields.code === "57014") return call.givenUp;
    if (this.#cancelReason !== undefined && fields.code === "57014") {
      return pendingRollbackError(this.#cancelReason);
    }
    if (call.kind === "commit" && (fields.code === "40003" || fields.code === "08007")) {
      return commitUnknownError(databaseErrorFromFields(fields, call.statement));
    }
    const cause = fields.code === "25P02" ? this.#failure : undefined;
    return databaseErrorFromFields(fields, call.statement, cause);
  }

  // --- giving up ---------------------------------------------------------------------------------

  /** Gives up what is past its deadline; gives the next one. */
  #look(now: number): number {
    let next = Infinity;
    for (const line of [this.#flying, this.#waiting]) {
      for (const call of line) {
        if (call.givenUp !== undefined) continue;
        if (call.deadline <= now) this.#giveUp(call, tooSlowError(call.statement, call.timeout));
        else next = Math.min(next, call.deadline);
      }
    }
    return next;
  }

  #giveUp(call: Call, reason: unknown): void {
    if (call.line === undefined || call.givenUp !== undefined) return;
    call.givenUp = reason ?? new DOMException("The call was given up", "AbortError");
    if (call.line === this.#waiting) {
      this.#waiting.remove(call);
      call.forget?.();
      call.reject(call.givenUp);
      this.#advance();
    } else if (call.sink !== undefined) {
      // The server may be waiting for us to read, and then hears no request
      this.#lose(new ConnectionLostError("A COPY … TO STDOUT was given up"));
    } else if (call === this.#flying.first && this.#cancelling === undefined) {
      this.#cancel(call);
    }
  }

  #cancel(call: Call): void {
    const timer = setTimeout(() => {
      this.#lose(
        new ConnectionLostError(
          `A cancelled statement did not end within ${this.#settings.cancelGrace} ms`,
        ),
      );
    }, this.#settings.cancelGrace);
    const cancelling: Cancelling = { call, timer, request: undefined, settle: undefined };
    this.#cancelling = cancelling;
    this.#cancelReason = call.givenUp;
    if (call.source?.active) {
      // A server that waits for data hears no request, but it hears this
      call.source.stop("the COPY was given up");
      return;
    }
    const request = sendCancel(this.#settings, this.#session.pid, this.#session.secret);
    cancelling.request = request;
    request.closed.then(() => {
      cancelling.request = undefined;
      this.#cancelled(cancelling);
    });
  }

  /** Goes on when the call has ended and its CancelRequest can hit nothing any more. */
  #cancelled(cancelling: Cancelling): void {
    if (this.#cancelling !== cancelling || cancelling.request !== undefined) return;
    if (cancelling.settle === undefined) return;
    this.#cancelling = undefined;
    clearTimeout(cancelling.timer);
    cancelling.settle();
    this.#advance();
  }

  // --- how the connection ends -------------------------------------------------------------------

  #frames(): FrameListener {
    return {
      forward: (bytes) => this.#npm.receive(bytes),
      ready: (status) => {
        this.#status = statuses[status] ?? "failed";
        if (this.#status !== "failed") this.#failure = undefined;
      },
      error: (fields) => {
        if (isFatal(fields) || this.#framer.expected === 0) {
          this.#lose(connectionLostError(fields));
          return false;
        }
        this.#serverError = fields;
        this.#flying.first?.source?.stop();
        return true;
      },
      copyIn: () => {
        const call = this.#flying.first!;
        if (call.source !== undefined) {
          call.source.start({ write: (bytes) => this.#write(bytes) }, (error) => {
            call.failure = error;
          });
        } else {
          call.failure = new UsageError("COPY … FROM STDIN needs copyIn()");
          this.#write(copyFail("copyIn() must be used"));
          // The statement's own Sync went by while the server waited for data
          if (call.mode !== "simple") this.#write(sync);
        }
      },
      copyOut: () => {
        const call = this.#flying.first!;
        if (call.sink === undefined) {
          call.failure = new UsageError("COPY … TO STDOUT needs copyOut()");
        }
      },
      copyData: (bytes) => this.#flying.first?.sink?.push(bytes),
      violation: (what) => {
        this.#lose(new ConnectionLostError(`The server broke the protocol with ${what}`));
      },
    };
  }

  /** The one way to the final state. Everything under way rejects. */
  #lose(reason: Error): void {
    if (this.#gone) return;
    this.#gone = true;
    const closing = this.#closing !== undefined;
    if (this.#lost === undefined) this.#lost = reason;
    this.#framer.stop();
    this.#forgetSocket();
    this.#socket.on("error", () => {}); // what it says now concerns nobody
    this.#socket.destroy();
    this.#watchdog.stop();
    const cancelling = this.#cancelling;
    this.#cancelling = undefined;
    if (cancelling !== undefined) {
      clearTimeout(cancelling.timer);
      cancelling.request?.destroy();
      cancelling.settle?.();
    }
    for (const line of [this.#flying, this.#waiting]) {
      for (const call of line) {
        line.remove(call);
        call.forget?.();
        call.source?.stop();
        call.reject(this.#endOf(call, reason));
      }
    }
    const { onLost } = this;
    this.onLost = undefined;
    if (!closing) onLost?.(reason);
    this.#closing?.resolve();
  }

  #endOf(call: Call, reason: Error): unknown {
    const sent = call.writes !== -1 && this.#writes > call.writes;
    if (call.kind === "commit" && sent) return commitUnknownError(call.givenUp ?? reason);
    if (call.givenUp === undefined) return call.failure ?? reason;
    if (call.givenUp instanceof SluiceError) call.givenUp.suppressed.push(reason);
    return call.givenUp;
  }

  #sayGoodbye(): void {
    this.#gone = true;
    this.#watchdog.stop();
    this.#framer.stop();
    this.#forgetSocket();
    const socket = this.#socket;
    const finished = () => {
      socket.destroy();
      this.#closing!.resolve();
    };
    listen(socket, { error: finished, close: finished, end: finished });
    socket.resume();
    socket.end(terminate);
  }
}
