/**
 * The line of one connection's calls, and every way in which a call or the connection can end. States:
 * usable, then lost (final). While usable it is idle, or has calls in flight; several only between a
 * BEGIN and the call that ends the transaction, or reads that share the connection.
 *
 * @module
 */

import type { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { ClosedError, ConnectionLostError, SluiceError, UsageError } from "../../errors.ts";
import { onAbort } from "../../util/abort.ts";
import { caught } from "../../util/caught.ts";
import type {
  CallOptions,
  DriverColumn,
  DriverResult,
  TransactionStatus,
  WireValue,
} from "../driver.ts";
import { Call, type CallKind, CallLine } from "./call.ts";
import { type Cancellation, sendCancel } from "./cancel.ts";
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
import type { Session } from "./handshake.ts";
import { copyFail, isFatal, sync, terminate } from "./messages.ts";
import type { PostgresSettings } from "./options.ts";
import { Plans } from "./plans.ts";
import type { Answer, Protocol, SendingListener, SendMode } from "./protocol.ts";
import { listen } from "./socket.ts";
import { Watchdog } from "./watchdog.ts";

const noColumns: readonly DriverColumn[] = [];

const statuses: Readonly<Record<number, TransactionStatus>> = {
  0x49: "idle",
  0x54: "open",
  0x45: "failed",
};

/** A call that is being cancelled; nothing else is sent meanwhile. */
interface Cancelling {
  readonly call: Call;
  /** The end of its grace time. */
  readonly timer: ReturnType<typeof setTimeout>;
  /** The next request, if this one came before the server had begun. */
  again: ReturnType<typeof setTimeout> | undefined;
  request: Cancellation | undefined;
  /** How the call ended, told when the request is closed too. */
  settle: (() => void) | undefined;
}

/** One connection's line of calls. */
export class Channel {
  /** Called once, when the connection is lost other than by `close()` or `destroy()`. */
  onLost: ((reason: Error) => void) | undefined;
  /** How often a savepoint was rolled back to. */
  savepointRollbacks = 0;

  readonly #settings: PostgresSettings;
  readonly #session: Session;
  readonly #socket: Socket;
  readonly #framer: Framer;
  readonly #forgetSocket: () => void;
  readonly #protocol: Protocol<Call>;
  #status: TransactionStatus = "idle";
  #lost: Error | undefined;
  /** The socket is given up; nothing goes out or comes in any more. */
  #gone = false;
  #closing: PromiseWithResolvers<void> | undefined;

  /** Sent, in the order of their answers. */
  readonly #flying = new CallLine();
  /** Not sent yet. */
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

  #cancelling: Cancelling | undefined;
  /** Why the last CancelRequest was sent, until nothing is in flight that it could have hit. */
  #cancelReason: unknown;
  readonly #watchdog = new Watchdog((now) => this.#look(now));

  /** Takes over a session that is ready, and who speaks on it. */
  constructor(settings: PostgresSettings, session: Session, protocol: Protocol<Call>) {
    this.#settings = settings;
    this.#session = session;
    this.#protocol = protocol;
    protocol.attach(this.#sendings());
    this.#socket = session.socket;
    this.#plans = new Plans(settings.maxPrepared);
    this.#framer = new Framer(this.#frames());
    const ended = (error?: Error) => this.#lose(lostError(settings.target, error));
    this.#forgetSocket = listen(this.#socket, {
      data: (bytes: Buffer) => {
        this.#framer.push(bytes);
        this.#flying.first?.give();
      },
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

  /** As the last answer said. */
  get status(): TransactionStatus {
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

  /** Makes a call; `prepare` can add to it before it goes. Its promise need not be awaited. */
  call(
    kind: CallKind,
    text: string,
    params: readonly WireValue[],
    mode: SendMode,
    options?: CallOptions,
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

  /** Holds the server back. */
  pause(): void {
    this.#socket.pause();
  }

  /** Lets the server go on. */
  resume(): void {
    this.#socket.resume();
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

  // --- the line -----------------------------------------------------------------------------------

  /** False if the call is over before it began. */
  #limit(call: Call, options: CallOptions): boolean {
    const { signal, timeout } = options;
    if (signal !== undefined) {
      if (signal.aborted) {
        call.reject(signal.reason);
        return false;
      }
      call.forget = onAbort(signal, () => this.giveUp(call, signal.reason));
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
    const { first } = this.#flying;
    if (first === undefined) return true;
    if (first.shared) {
      return call.shared && !this.#blocked && first.givenUp === undefined &&
        this.#plans.settled(call);
    }
    return this.#inTransaction && !this.#exclusive && !this.#blocked && call.kind !== "copy";
  }

  #fly(call: Call): void {
    // Others may come with a BEGIN, and with what travels in company
    const soon = this.#flying.first !== undefined || call.kind === "begin" || call.shared;
    this.#flying.push(call);
    if (call.kind === "begin") this.#inTransaction = true;
    else if (call.kind === "commit" || call.kind === "rollback") this.#inTransaction = false;
    // A serializable BEGIN is refused by a standby; what follows would be stored outside a transaction
    this.#exclusive = call.kind === "copy" ||
      call.kind === "begin" && call.text.includes("serializable");
    this.#plans.choose(call);
    call.writes = this.#writes;
    this.#framer.expected++;
    this.#protocol.send(call, soon);
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
    } else {
      this.#cancelFirst();
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
      current: () => this.#flying.first!,
    };
  }

  #write(bytes: Uint8Array): boolean {
    if (this.#gone) return true;
    const room = this.#socket.write(bytes);
    if (!room) this.#blocked = true;
    return room;
  }

  // --- how a call ends ---------------------------------------------------------------------------

  #answered(call: Call, answer: Answer): void {
    if (call.line !== this.#flying) return;
    this.#plans.succeeded(call);
    if (call.failure !== undefined) return this.#land(call, () => call.reject(call.failure));
    const words = answer.command ?? "";
    const space = words.indexOf(" ");
    const command = space === -1 ? words : words.slice(0, space);
    if (command === "ROLLBACK" && call.kind === "run") this.savepointRollbacks++;
    const { rows } = call;
    const rowCount = answer.count ?? rows.length;
    const columns = answer.columns ?? noColumns;
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
    this.#plans.refused(call, fields.code);
    const error = this.#errorOf(call, fields);
    if (this.#status === "failed") this.#failure ??= error;
    if (call.kind === "begin") {
      // Whatever was sent behind it would be carried out on its own
      call.failure = error;
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
    if (commits(call) && (fields.code === "40003" || fields.code === "08007")) {
      return commitUnknownError(call.kind, databaseErrorFromFields(fields, call.statement));
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
        if (call.deadline <= now) this.giveUp(call, tooSlowError(call.statement, call.timeout));
        else next = Math.min(next, call.deadline);
      }
    }
    return next;
  }

  /** Has a call end soon with `reason`, unless it ends by itself before. */
  giveUp(call: Call, reason: unknown): void {
    if (call.line === undefined || call.givenUp !== undefined) return;
    call.givenUp = reason ?? new DOMException("The call was given up", "AbortError");
    // A server that waits for its data to be taken hears no request to cancel
    call.sink?.abandon();
    if (call.line === this.#waiting) {
      this.#waiting.remove(call);
      call.forget?.();
      call.reject(call.givenUp);
      this.#advance();
    } else {
      this.#cancelFirst();
    }
  }

  /**
   * Cancels what is under way, if it was given up. Where several share the connection, a request could
   * hit the one behind: it is sent only when all in flight were given up. That is soon, since nothing is
   * sent behind a slow one and all have the same limit.
   */
  #cancelFirst(): void {
    const { first } = this.#flying;
    if (first?.givenUp === undefined || this.#cancelling !== undefined) return;
    if (first.shared) {
      for (const call of this.#flying) if (call.givenUp === undefined) return;
    }
    this.#cancel(first);
  }

  #cancel(call: Call): void {
    const timer = setTimeout(() => {
      this.#lose(
        new ConnectionLostError(
          `A cancelled statement did not end within ${this.#settings.cancelGrace} ms`,
        ),
      );
    }, this.#settings.cancelGrace);
    const cancelling: Cancelling = {
      call,
      timer,
      again: undefined,
      request: undefined,
      settle: undefined,
    };
    this.#cancelling = cancelling;
    this.#cancelReason = call.givenUp;
    if (call.source?.active) {
      // A server that waits for data hears no request, but it hears this
      call.source.stop("the COPY was given up");
      return;
    }
    this.#requestCancel(cancelling, 20);
  }

  /** A request that overtakes its statement is lost, so it is repeated until the call has ended. */
  #requestCancel(cancelling: Cancelling, pause: number): void {
    const request = sendCancel(this.#settings, this.#session.pid, this.#session.secret);
    cancelling.request = request;
    request.closed.then(() => {
      cancelling.request = undefined;
      if (this.#cancelling !== cancelling) return;
      if (cancelling.settle !== undefined) this.#cancelled(cancelling);
      else cancelling.again = setTimeout(() => this.#requestCancel(cancelling, 2 * pause), pause);
    });
  }

  /** Goes on when the call has ended and its CancelRequest can hit nothing any more. */
  #cancelled(cancelling: Cancelling): void {
    if (cancelling.request !== undefined) return;
    this.#cancelling = undefined;
    clearTimeout(cancelling.timer);
    clearTimeout(cancelling.again);
    cancelling.settle?.();
    this.#advance();
  }

  // --- how the connection ends -------------------------------------------------------------------

  #frames(): FrameListener {
    return {
      reader: this.#protocol.reader,
      forward: this.#protocol.receive?.bind(this.#protocol),
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
      clearTimeout(cancelling.again);
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
    if (commits(call) && sent) return commitUnknownError(call.kind, call.givenUp ?? reason);
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

/** What it did is stored once it is answered. */
function commits({ kind }: Call): boolean {
  return kind === "commit" || kind === "alone";
}
