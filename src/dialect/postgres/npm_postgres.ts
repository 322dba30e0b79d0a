/**
 * The one place that knows the inside of npm `postgres` (3.4.9, pinned): an instance of it that lives
 * on a socket of ours, and statements with our own hooks. `internals_test.ts` has a canary for each
 * thing that this file rests on.
 *
 * - Options that bear `shared` are taken as they are: no default, no `PG*` variable, no parser.
 * - `socket` is called once for each connection made; what it gives is only listened to and written to.
 * - A `Query` reports through its own `resolve` and `reject`, at ReadyForQuery, synchronously. Since
 *   both are replaced, the promise inside a `Query` never settles, and so is never left unhandled.
 * - With `forEachFn` rows never enter the driver's result, where those of a failed statement would
 *   stay behind.
 * - `describeFirst` held at false sends a new statement in one round trip instead of two, which it can
 *   be because no parameter is ever serialised by its type.
 * - A truthy `retried` keeps the driver from sending a failed statement once more. It would do so after
 *   whatever was pipelined behind it: after the COMMIT, and so in autocommit.
 *
 * @module
 */

import type { Buffer } from "node:buffer";
import postgres from "postgres";
import type { DriverColumn, WireRow, WireValue } from "../driver.ts";
import { emptyAnswer, greeting } from "./messages.ts";
import type { Answer, Protocol, Sending, SendingListener, SendMode } from "./protocol.ts";

interface Query {
  isRaw: "values";
  forEachFn: (row: WireRow) => void;
  resolve: (answer: Answer) => void;
  reject: (error: unknown) => void;
  retried: object;
  execute(): void;
}

interface Sql {
  unsafe(text: string, params: readonly WireValue[], options: object): Query;
}

const modes: Readonly<Record<SendMode, object>> = {
  prepared: { prepare: true, simple: false },
  unprepared: { prepare: false, simple: false },
  simple: { prepare: false, simple: true },
};

/** Given to `reject` instead of the server's error. The keys keep the driver from decorating it. */
const serverError = Object.freeze({ query: undefined, parameters: undefined });
const neverFirst = { get: () => false, set: () => {} };

/** An instance of npm `postgres` on a socket of ours. */
export class NpmPostgres<S extends Sending> implements Protocol<S> {
  readonly #sql: Sql;
  readonly #socket = new DriverSocket();
  #listener!: SendingListener<S>;

  private constructor() {
    // Its own types know nothing of `shared` options; the canaries see that it takes them.
    this.#sql = (postgres as unknown as (options: object) => Sql)(optionsFor(this.#socket));
  }

  /** Makes one. It needs no server for this, and so can be made while a connection is. */
  static async open<S extends Sending>(): Promise<NpmPostgres<S>> {
    const npm = new NpmPostgres<S>();
    // The driver connects for a first statement only, which the socket answers by itself
    await new Promise((resolve, reject) => {
      const query = npm.#sql.unsafe("", [], modes.simple);
      query.resolve = resolve;
      query.reject = reject;
      query.execute();
    });
    return npm;
  }

  /** Sends and reports to `listener` from now on. */
  attach(listener: SendingListener<S>): void {
    this.#listener = listener;
    this.#socket.pipe = (bytes) => listener.write(bytes);
  }

  /** Sends a statement, soon: the driver gathers what is sent in one tick. */
  send(sending: S): void {
    const query = this.#sql.unsafe(sending.text, sending.params, modes[sending.mode]);
    query.isRaw = "values";
    query.forEachFn = (row) => {
      sending.rows.push(row);
    };
    query.resolve = (answer) => {
      trim(answer.columns);
      this.#listener.answered(sending, answer);
    };
    query.reject = (error) => {
      if (error === serverError) this.#listener.refused(sending);
      else this.#listener.broken(error);
    };
    query.retried = serverError;
    if (!sending.known) Object.defineProperty(query, "describeFirst", neverFirst);
    query.execute();
  }

  /** Gives the driver what the server sent. */
  receive(bytes: Buffer): void {
    this.#socket.data(bytes);
  }
}

/**
 * What the driver takes for its socket. It plays the part of a server that lets the driver in and
 * answers its first, empty statement; from then on it is a pipe. It never reports an error or its end:
 * the driver would connect anew.
 */
class DriverSocket {
  readonly readyState = "open";
  #answers: Buffer[] = [greeting, emptyAnswer];
  /** The driver's listener. */
  data: (bytes: Buffer) => void = () => {};
  /** Takes what the driver sends. */
  pipe: (bytes: Uint8Array) => void = () => {};

  on(event: string, listener: (bytes: Buffer) => void): void {
    if (event === "data") this.data = listener;
  }

  write(bytes: Uint8Array): true {
    const answer = this.#answers.shift();
    // Later, because the driver clears what it has written only after `write` returns
    if (answer !== undefined) queueMicrotask(() => this.data(answer));
    else this.pipe(bytes);
    return true; // no backpressure here: it would end the driver's pipelining. It is the connection's task
  }
}

/**
 * Leaves of the driver's columns what is ours, in place, since a prepared statement's are the same
 * array each time. The driver reads nothing of them any more but `parser`, which is undefined anyway.
 */
function trim(columns: Answer["columns"]): void {
  if (!columns?.length || !("table" in columns[0]!)) return;
  const own = columns as DriverColumn[];
  for (let i = 0; i < own.length; i++) own[i] = { name: own[i]!.name, type: own[i]!.type };
}

function optionsFor(socket: DriverSocket): object {
  let used = false;
  return {
    shared: { retries: 0, typeArrayMap: {} },
    no_subscribe: true,
    host: ["socket"],
    port: [0],
    path: false,
    user: "user",
    pass: "",
    database: "database",
    max: 1,
    ssl: false,
    sslnegotiation: null,
    idle_timeout: null,
    connect_timeout: null,
    max_lifetime: null,
    max_pipeline: Number.MAX_SAFE_INTEGER,
    backoff: 0,
    keep_alive: null,
    prepare: true,
    debug: false,
    fetch_types: false,
    publications: "",
    target_session_attrs: null,
    connection: {},
    types: {},
    parsers: {},
    serializers: {},
    parameters: {},
    transform: { undefined: undefined, column: {}, value: {}, row: {} },
    onnotice: () => {},
    socket: () => {
      if (used) throw new Error("BUG: the driver tried to connect a second time");
      used = true;
      return socket;
    },
  };
}
