/**
 * Drivers and connections for the tests of the PostgreSQL driver, and servers that are none.
 */

import { Buffer } from "node:buffer";
import type { PostgresConnection } from "../../../src/dialect/postgres/connection.ts";
import { openConnection } from "../../../src/dialect/postgres/open.ts";
import { type PostgresConfig, settingsOf } from "../../../src/dialect/postgres/options.ts";
import type { CallOptions, DriverResult } from "../../../src/dialect/driver.ts";
import { sharedPostgres } from "../../support/postgres_server.ts";

const shared = await sharedPostgres();

/** The config for a server's URL; the shared one's by default. */
export function configOf(url: string = shared, more: Partial<PostgresConfig> = {}): PostgresConfig {
  const { hostname, port, username, pathname } = new URL(url);
  return {
    host: hostname,
    port: Number(port),
    user: username,
    database: pathname.slice(1),
    ...more,
  };
}

/** A connection that is destroyed at the end of its block. */
export interface TestConnection extends AsyncDisposable {
  readonly connection: PostgresConnection;
  /** Runs a statement, prepared; gives its rows. */
  rows(text: string, params?: (string | null)[], options?: CallOptions): Promise<unknown[][]>;
  /** Runs a statement. */
  run(text: string, params?: (string | null)[], options?: CallOptions): Promise<DriverResult>;
}

/** Connects to the shared server, or to another. */
export async function connect(
  more: Partial<PostgresConfig> = {},
  url: string = shared,
): Promise<TestConnection> {
  const connection = await openConnection(settingsOf(configOf(url, more)));
  const run = (text: string, params: (string | null)[] = [], options?: CallOptions) =>
    connection.run({ text, params }, options);
  return {
    connection,
    run,
    rows: async (text, params, options) => (await run(text, params, options)).rows,
    [Symbol.asyncDispose]: () => connection.close(),
  };
}

/** A server that says what a test wants. */
export class FakeServer implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #conns = new Set<Deno.Conn>();
  readonly #running: Promise<void>;
  /** Connections accepted so far. */
  accepted = 0;

  /** `serve` gets each connection; when it returns the connection stays open. */
  constructor(serve: (client: FakeClient) => Promise<void> | void) {
    this.#running = this.#accept(serve);
  }

  /** Its config, with a user and a database. */
  config(more: Partial<PostgresConfig> = {}): PostgresConfig {
    return { host: "127.0.0.1", port: this.#listener.addr.port, user: "somebody", ...more };
  }

  async #accept(serve: (client: FakeClient) => Promise<void> | void): Promise<void> {
    const serving: Promise<void>[] = [];
    try {
      for await (const conn of this.#listener) {
        this.accepted++;
        this.#conns.add(conn);
        serving.push((async () => {
          try {
            await serve(new FakeClient(conn));
          } catch {
            // The client has gone
          }
        })());
      }
    } catch {
      // The listener was closed
    }
    await Promise.all(serving);
  }

  /** Breaks everything off. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const conn of this.#conns) {
      try {
        conn.close();
      } catch {
        // Closed already
      }
    }
    await this.#running;
  }
}

/** One connection of a fake server. */
export class FakeClient {
  constructor(readonly conn: Deno.Conn) {}

  /** Waits for the next bytes of the client. */
  async read(): Promise<Uint8Array> {
    const bytes = new Uint8Array(65_536);
    const count = await this.conn.read(bytes);
    if (count === null) throw new Error("the client has gone");
    return bytes.subarray(0, count);
  }

  /** Sends bytes, in one piece. */
  async send(...parts: (Uint8Array | string)[]): Promise<void> {
    const bytes = Buffer.concat(parts.map((part) => Buffer.from(part as Uint8Array)));
    for (let from = 0; from < bytes.length;) from += await this.conn.write(bytes.subarray(from));
  }

  /** Lets the client in. */
  async welcome(): Promise<void> {
    await this.read();
    await this.send(wire.authenticationOk, wire.backendKey, wire.ready());
  }
}

/** Messages of a server. */
export const wire = {
  message: (type: string, body: Uint8Array | number[] | string = []): Uint8Array => {
    const bytes = Buffer.from(body as Uint8Array);
    const head = Buffer.alloc(5);
    head.write(type);
    head.writeInt32BE(4 + bytes.length, 1);
    return Buffer.concat([head, bytes]);
  },
  authenticationOk: Uint8Array.of(0x52, 0, 0, 0, 8, 0, 0, 0, 0),
  backendKey: Uint8Array.of(0x4b, 0, 0, 0, 12, 0, 0, 0, 7, 1, 2, 3, 4),
  ready: (status = "I"): Uint8Array => wire.message("Z", status),
  error: (code: string, message: string, severity = "ERROR"): Uint8Array =>
    wire.message("E", `S${severity}\0V${severity}\0C${code}\0M${message}\0\0`),
  /** The whole answer to a statement that is not prepared yet: one text column, some rows. */
  answer: (...rows: string[]): Uint8Array =>
    Buffer.concat([
      wire.described(),
      ...rows.map(wire.row),
      wire.complete(`SELECT ${rows.length}`),
    ]),
  described: (): Uint8Array =>
    Buffer.concat([
      wire.message("1"),
      wire.message("t", [0, 0]),
      wire.message("T", [
        0,
        1,
        0x61,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        25,
        255,
        255,
        255,
        255,
        255,
        255,
        0,
        0,
      ]),
      wire.message("2"),
    ]),
  row: (value: string): Uint8Array => {
    const head = Buffer.alloc(6);
    head.writeInt16BE(1);
    head.writeInt32BE(value.length, 2);
    return wire.message("D", Buffer.concat([head, Buffer.from(value)]));
  },
  complete: (tag: string): Uint8Array => wire.message("C", `${tag}\0`),
} as const;
