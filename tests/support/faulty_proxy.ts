/**
 * A TCP proxy in front of a database that can be told to fail: the network between a client and
 * its server, for the fault tests. It understands nothing of what it carries.
 */

/**
 * What happens to the bytes:
 * - `pass`: they travel.
 * - `stall`: nothing travels any more, either way, and new connections are accepted and left silent.
 * - `stallBack`: the server gets everything and the client no answer.
 * - `refuse`: new connections are accepted and closed at once. Open ones go on.
 */
export type ProxyMode = "pass" | "stall" | "stallBack" | "refuse";

/** Use it with `await using`. Every switch takes effect for bytes that have not travelled yet. */
export class FaultyProxy implements AsyncDisposable {
  readonly #listener: Deno.TcpListener;
  readonly #target: { hostname: string; port: number };
  readonly #pairs = new Set<Pair>();
  readonly #running: Promise<void>;
  #mode: ProxyMode = "pass";
  #moved = Promise.withResolvers<void>();

  /** Connections that were accepted so far. */
  accepted = 0;
  /** Bytes from the server that reached clients so far. */
  bytesBack = 0;
  /** Largest piece in which bytes reach the client. 1 makes a message of 5 bytes 5 pieces. */
  pieceSize = Infinity;
  /** Bytes per second toward the client. */
  bytesPerSecond = Infinity;
  /** Cuts a connection as soon as so many bytes of its answers have passed, counted from now. */
  #cutAfter = Infinity;

  constructor(target: string | URL) {
    const { hostname, port } = new URL(target);
    this.#target = { hostname, port: Number(port) };
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.#running = this.#accept();
  }

  /** The port to connect to instead of the server's. */
  get port(): number {
    return this.#listener.addr.port;
  }

  /** `target`'s URL, leading through this proxy. */
  through(target: string | URL): string {
    const url = new URL(target);
    url.hostname = "127.0.0.1";
    url.port = String(this.port);
    return url.href;
  }

  /** Connections open now. */
  get open(): number {
    return this.#pairs.size;
  }

  /** What happens to bytes and connections from now on. */
  get mode(): ProxyMode {
    return this.#mode;
  }

  set mode(mode: ProxyMode) {
    this.#mode = mode;
    this.#moved.resolve();
    this.#moved = Promise.withResolvers();
  }

  /** Breaks every open connection, on both sides. */
  cut(): void {
    for (const pair of [...this.#pairs]) pair.close();
  }

  /** Breaks a connection when, from now on, so many bytes of answers have passed. */
  cutAfter(bytes: number): void {
    this.#cutAfter = this.bytesBack + bytes;
  }

  /** Breaks everything, and stops to listen. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    // Whatever waits for a better mode wakes up, and finds its connection closed.
    this.cut();
    this.mode = "pass";
    await this.#running;
  }

  async #accept(): Promise<void> {
    const serving: Promise<void>[] = [];
    try {
      for await (const client of this.#listener) {
        this.accepted++;
        if (this.#mode === "refuse") client.close();
        else serving.push(this.#serve(client));
      }
    } catch {
      // The listener was closed while it waited.
    }
    await Promise.all(serving);
  }

  async #serve(client: Deno.TcpConn): Promise<void> {
    const pair = new Pair(client);
    this.#pairs.add(pair);
    try {
      await this.#travels(pair, ["pass", "stallBack"]);
      if (pair.closed) return;
      const server = await Deno.connect(this.#target);
      pair.join(server);
      await Promise.all([this.#forth(pair, client, server), this.#back(pair, server, client)]);
    } catch {
      // Either side failed: to the other one it looks as if the line had been cut.
    } finally {
      pair.close();
      this.#pairs.delete(pair);
    }
  }

  async #forth(pair: Pair, client: Deno.Conn, server: Deno.Conn): Promise<void> {
    for await (const chunk of read(pair, client)) {
      await this.#travels(pair, ["pass", "stallBack", "refuse"]);
      await writeAll(pair, server, chunk);
    }
  }

  async #back(pair: Pair, server: Deno.Conn, client: Deno.Conn): Promise<void> {
    for await (const chunk of read(pair, server)) {
      for (let from = 0; from < chunk.length;) {
        await this.#travels(pair, ["pass", "refuse"]);
        const size = Math.min(this.pieceSize, this.#cutAfter - this.bytesBack, this.#burst());
        const piece = chunk.subarray(from, from + Math.max(1, size));
        await writeAll(pair, client, piece);
        from += piece.length;
        this.bytesBack += piece.length;
        if (this.bytesBack >= this.#cutAfter) {
          this.#cutAfter = Infinity;
          pair.close();
        }
        await this.#pace(pair, piece.length);
      }
    }
  }

  /** Waits until bytes may travel, or their connection is gone. */
  async #travels(pair: Pair, modes: readonly ProxyMode[]): Promise<void> {
    while (!modes.includes(this.#mode) && !pair.closed) {
      await Promise.race([this.#moved.promise, pair.whenClosed]);
    }
  }

  /** A throttled line carries a hundredth of its second at a time. */
  #burst(): number {
    return this.bytesPerSecond / 100;
  }

  async #pace(pair: Pair, bytes: number): Promise<void> {
    if (this.bytesPerSecond === Infinity) return;
    const pause = Promise.withResolvers<void>();
    const timer = setTimeout(pause.resolve, bytes / this.bytesPerSecond * 1000);
    await Promise.race([pause.promise, pair.whenClosed]);
    clearTimeout(timer);
  }
}

/** The two halves of one connection, which end together. */
class Pair {
  readonly #conns: Deno.Conn[];
  readonly #closing = Promise.withResolvers<void>();
  closed = false;

  constructor(client: Deno.Conn) {
    this.#conns = [client];
  }

  get whenClosed(): Promise<void> {
    return this.#closing.promise;
  }

  join(server: Deno.Conn): void {
    if (this.closed) server.close();
    else this.#conns.push(server);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    for (const conn of this.#conns) conn.close();
    this.#closing.resolve();
  }
}

/** What arrives at `conn`. When nothing more does, the pair is over: halves do not live alone. */
async function* read(pair: Pair, conn: Deno.Conn): AsyncIterable<Uint8Array> {
  try {
    while (!pair.closed) {
      const buffer = new Uint8Array(64 * 1024);
      const count = await conn.read(buffer);
      if (count === null) break;
      yield buffer.subarray(0, count);
    }
  } finally {
    pair.close();
  }
}

async function writeAll(pair: Pair, conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let from = 0; from < bytes.length && !pair.closed;) {
    from += await conn.write(bytes.subarray(from));
  }
}
