/**
 * A pooler in transaction mode, the way PgBouncer works, as small as it can be: each client has two
 * backends, and after every transaction it goes on with the other one. Without passwords.
 */

import { Buffer } from "node:buffer";

/** Use it with `await using`. */
export class TransactionPooler implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #target: { hostname: string; port: number };
  readonly #conns = new Set<Deno.Conn>();
  readonly #running: Promise<void>;
  /** How often a client was given the other backend. */
  switches = 0;

  constructor(url: string) {
    const { hostname, port } = new URL(url);
    this.#target = { hostname, port: Number(port) };
    this.#running = this.#accept();
  }

  /** The port to connect to instead of the server's. */
  get port(): number {
    return this.#listener.addr.port;
  }

  /** Ends everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const conn of this.#conns) close(conn);
    await this.#running;
  }

  async #accept(): Promise<void> {
    const serving: Promise<void>[] = [];
    try {
      for await (const client of this.#listener) {
        serving.push(this.#serve(client).catch(() => {}));
      }
    } catch {
      // The listener was closed
    }
    await Promise.all(serving);
  }

  async #serve(client: Deno.Conn): Promise<void> {
    const conns = [client];
    this.#conns.add(client);
    try {
      const startup = await read(client);
      for (let i = 0; i < 2; i++) {
        const server = await Deno.connect(this.#target);
        conns.push(server);
        this.#conns.add(server);
        await write(server, startup!);
        const welcome = await untilReady(server);
        if (i === 0) await write(client, welcome);
      }
      const backends = conns.slice(1);
      let current = 0;
      for (let request = await read(client); request !== undefined; request = await read(client)) {
        await write(backends[current]!, request);
        if (request[0] === 0x58) break; // Terminate
        const answer = await untilReady(backends[current]!);
        await write(client, answer);
        if (answer.at(-1) === 0x49) {
          current = 1 - current;
          this.switches++;
        }
      }
    } finally {
      for (const conn of conns) {
        close(conn);
        this.#conns.delete(conn);
      }
    }
  }
}

async function read(conn: Deno.Conn): Promise<Uint8Array | undefined> {
  const bytes = new Uint8Array(65_536);
  const count = await conn.read(bytes);
  return count === null ? undefined : bytes.subarray(0, count);
}

/** Everything up to a ReadyForQuery that nothing follows. */
async function untilReady(conn: Deno.Conn): Promise<Buffer> {
  let all = Buffer.alloc(0);
  for (;;) {
    let last = 0;
    let at = 0;
    while (at + 5 <= all.length && at + 1 + all.readInt32BE(at + 1) <= all.length) {
      last = all[at]!;
      at += 1 + all.readInt32BE(at + 1);
    }
    if (at === all.length && last === 0x5a) return all;
    const more = await read(conn);
    if (more === undefined) throw new Error("the server has gone");
    all = Buffer.concat([all, more]);
  }
}

async function write(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let from = 0; from < bytes.length;) from += await conn.write(bytes.subarray(from));
}

function close(conn: Deno.Conn): void {
  try {
    conn.close();
  } catch {
    // Closed already
  }
}
