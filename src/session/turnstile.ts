/**
 * The turnstile of a session: its work is done one piece after the other, in call order, on at
 * most one connection. The connection is borrowed late and returned early: for one piece of work,
 * or for as long as somebody (a transaction, a stream) holds it.
 *
 * @module
 */

import { ClosedError } from "../errors.ts";
import type { CallOptions, DriverResult, DriverStatement } from "../dialect/driver.ts";
import type { Connection } from "../engine/connection.ts";

/** Lends connections. */
export interface ConnectionSource {
  /** How many there can be at the same time. */
  readonly connections: number;
  /** Lends one if it lies ready. */
  tryConnect(): Connection | undefined;
  /** Lends one. */
  connect(options?: CallOptions): Promise<Connection>;
  /** Reads may travel together with those of other sessions. */
  readonly shares: boolean;
  /** Runs a read without lending a connection, if that can be. */
  share(
    statement: DriverStatement,
    signal?: AbortSignal,
  ): Promise<DriverResult | undefined> | undefined;
}

/** Runs statements, on a connection or among those of others. */
export type Runner = Pick<Connection, "run">;

/** Serialises the work of one session. */
export class Turnstile {
  readonly #source: ConnectionSource;
  #tail: Promise<void> | undefined;
  #connection: Connection | undefined;
  #holders = 0;
  #closed = false;

  /** Borrows from `source`. */
  constructor(source: ConnectionSource) {
    this.#source = source;
  }

  /**
   * Does a piece of work alone, after all that was asked for before it. `borrow` gives the
   * session's connection; work that turns out to need none costs none.
   */
  exclusive<T>(
    work: (borrow: () => Promise<Connection>) => Promise<T>,
    call: CallOptions = {},
  ): Promise<T> {
    return this.#admit(async () => {
      let borrowed: Promise<Connection> | undefined;
      try {
        return await work(() => borrowed ??= this.#take(call));
      } finally {
        if (borrowed !== undefined && await borrowed.then(yes, no)) await this.#giveBack();
      }
    });
  }

  /** Does a piece of work that needs the connection. */
  run<T>(work: (connection: Connection) => Promise<T>, call: CallOptions = {}): Promise<T> {
    if (this.#tail === undefined && !this.#closed && call.signal === undefined) {
      const ready = this.#takeReady();
      if (ready !== undefined) return this.#runAtOnce(ready, work);
    }
    return this.#admit(async () => {
      call.signal?.throwIfAborted();
      const connection = await this.#take(call);
      try {
        return await work(connection);
      } finally {
        await this.#giveBack();
      }
    });
  }

  /**
   * The usual case: nobody is before this call, and a connection lies ready. Nothing stands between
   * the caller and his work but the return of the connection, which comes before he goes on.
   */
  #runAtOnce<T>(connection: Connection, work: (connection: Connection) => Promise<T>): Promise<T> {
    const clear = (): void => {
      if (this.#tail === tail) this.#tail = undefined;
    };
    const back = (): Promise<void> | void => {
      // An idle connection is back in the pool at once; any other has to be cleaned first.
      const atOnce = this.#holders > 1 || connection.status === "idle";
      const returned = this.#giveBack();
      return atOnce ? clear() : returned.then(clear);
    };
    const result = work(connection);
    const tail = result.then(back, back);
    this.#tail = tail;
    return result;
  }

  /** A read with these limits may travel together with those of other sessions. */
  shares(call: CallOptions): boolean {
    return this.#source.shares && call.timeout === undefined;
  }

  /**
   * Does a piece of work that reads. Where nothing is held, each statement travels with those of other
   * sessions, if there is room; else all have the session's connection.
   */
  read<T>(
    work: (runner: Runner, borrow: () => Promise<Connection>) => Promise<T>,
    call: CallOptions = {},
  ): Promise<T> {
    return this.exclusive((borrow) => {
      const alone = (statement: DriverStatement, limits: CallOptions): Promise<DriverResult> =>
        borrow().then((connection) => connection.run(statement, limits));
      const run = (statement: DriverStatement, limits = call): Promise<DriverResult> => {
        const shared = this.#connection === undefined
          ? this.#source.share(statement, limits.signal)
          : undefined;
        if (shared === undefined) return alone(statement, limits);
        return shared.then((result) => result ?? alone(statement, limits));
      };
      return work({ run }, borrow);
    }, call);
  }

  /** Keeps the connection until the returned function is called; that waits for its turn, too. */
  hold(call: CallOptions = {}): Promise<() => Promise<void>> {
    return this.#admit(async () => {
      call.signal?.throwIfAborted();
      await this.#take(call);
      let held = true;
      return () => {
        if (!held) return Promise.resolve();
        held = false;
        return this.#inTurn(() => this.#giveBack());
      };
    });
  }

  /** Refuses new work. What was asked for before is carried out: a promise, if there is any. */
  close(): Promise<void> | undefined {
    this.#closed = true;
    return this.#tail === undefined ? undefined : this.#drain();
  }

  async #drain(): Promise<void> {
    while (this.#tail !== undefined) await this.#tail;
  }

  #admit<T>(work: () => Promise<T>): Promise<T> {
    if (!this.#closed) return this.#inTurn(work);
    return Promise.reject(
      new ClosedError("The session is closed", {
        hint: "Make a new one with engine.session()",
      }),
    );
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#tail === undefined ? work() : this.#tail.then(work);
    const settled = (): void => {
      if (this.#tail === tail) this.#tail = undefined;
    };
    const tail = result.then(settled, settled);
    this.#tail = tail;
    return result;
  }

  /** The session's connection, or one that lies ready: most often there is nothing to wait for. */
  #takeReady(): Connection | undefined {
    this.#connection ??= this.#source.tryConnect();
    if (this.#connection !== undefined) this.#holders++;
    return this.#connection;
  }

  #take(call: CallOptions): Promise<Connection> {
    const ready = call.signal?.aborted ? undefined : this.#takeReady();
    return ready === undefined ? this.#takeSlowly(call) : Promise.resolve(ready);
  }

  async #takeSlowly(call: CallOptions): Promise<Connection> {
    this.#connection ??= await this.#source.connect(call);
    this.#holders++;
    return this.#connection;
  }

  #giveBack(): Promise<void> {
    if (--this.#holders > 0) return done;
    const connection = this.#connection!;
    this.#connection = undefined;
    return connection.release();
  }
}

const done: Promise<void> = Promise.resolve();

const yes = (): boolean => true;
const no = (): boolean => false;
