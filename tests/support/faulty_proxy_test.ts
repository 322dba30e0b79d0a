import { assert, assertEquals, assertGreater, assertRejects } from "@std/assert";
import { FaultyProxy } from "./faulty_proxy.ts";

/** Answers every byte by itself and counts what it got. */
class EchoServer implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #running = this.#run();
  received = 0;

  get url(): string {
    return `tcp://127.0.0.1:${this.#listener.addr.port}`;
  }

  async #run(): Promise<void> {
    const serving: Promise<void>[] = [];
    try {
      for await (const conn of this.#listener) serving.push(this.#serve(conn));
    } catch {
      // Closed while it waited.
    }
    await Promise.all(serving);
  }

  async #serve(conn: Deno.Conn): Promise<void> {
    using _conn = conn;
    const buffer = new Uint8Array(1024);
    try {
      for (let count; (count = await conn.read(buffer)) !== null;) {
        this.received += count;
        await conn.write(buffer.subarray(0, count));
      }
    } catch {
      // The client is gone.
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#running;
  }
}

function connect(proxy: FaultyProxy): Promise<Deno.TcpConn> {
  return Deno.connect({ hostname: "127.0.0.1", port: proxy.port });
}

/** Reads `count` bytes, or as many as there are to the end; with the number of pieces. */
async function receive(conn: Deno.Conn, count: number): Promise<{ bytes: number; pieces: number }> {
  const buffer = new Uint8Array(1024);
  let bytes = 0;
  let pieces = 0;
  while (bytes < count) {
    const read = await conn.read(buffer).catch(() => null);
    if (read === null) break;
    bytes += read;
    pieces++;
  }
  return { bytes, pieces };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

Deno.test("FaultyProxy passes bytes both ways and counts connections", async () => {
  await using server = new EchoServer();
  await using proxy = new FaultyProxy(server.url);
  assertEquals(proxy.through("postgres://me@db:5432/x"), `postgres://me@127.0.0.1:${proxy.port}/x`);
  {
    using conn = await connect(proxy);
    await conn.write(new Uint8Array(10));
    assertEquals((await receive(conn, 10)).bytes, 10);
    assertEquals([proxy.accepted, proxy.open, proxy.bytesBack], [1, 1, 10]);
  }
  await until(() => proxy.open === 0);
});

Deno.test("FaultyProxy holds the answers back in stallBack and everything in stall", async () => {
  await using server = new EchoServer();
  await using proxy = new FaultyProxy(server.url);
  using conn = await connect(proxy);
  proxy.mode = "stallBack";
  await conn.write(new Uint8Array(10));
  await until(() => server.received === 10);
  assertEquals(proxy.bytesBack, 0);
  proxy.mode = "stall";
  await conn.write(new Uint8Array(5));
  using silent = await connect(proxy);
  await until(() => proxy.accepted === 2);
  assertEquals([server.received, proxy.bytesBack], [10, 0]);
  proxy.mode = "pass";
  assertEquals((await receive(conn, 15)).bytes, 15);
  await silent.write(new Uint8Array(1));
  assertEquals((await receive(silent, 1)).bytes, 1);
});

Deno.test("FaultyProxy cuts at once, or after a number of bytes", async () => {
  await using server = new EchoServer();
  await using proxy = new FaultyProxy(server.url);
  using first = await connect(proxy);
  await until(() => proxy.open === 1);
  proxy.cut();
  assertEquals((await receive(first, 1)).bytes, 0);
  using second = await connect(proxy);
  proxy.cutAfter(7);
  await second.write(new Uint8Array(100));
  assertEquals((await receive(second, 100)).bytes, 7);
});

Deno.test("FaultyProxy refuses new connections and leaves the open ones alone", async () => {
  await using server = new EchoServer();
  await using proxy = new FaultyProxy(server.url);
  using open = await connect(proxy);
  await open.write(new Uint8Array(1));
  await receive(open, 1);
  proxy.mode = "refuse";
  using refused = await connect(proxy);
  assertEquals((await receive(refused, 1)).bytes, 0);
  await open.write(new Uint8Array(3));
  assertEquals((await receive(open, 3)).bytes, 3);
});

Deno.test("FaultyProxy cuts the answer into pieces, and slows it down", async () => {
  await using server = new EchoServer();
  await using proxy = new FaultyProxy(server.url);
  using conn = await connect(proxy);
  conn.setNoDelay(true);
  proxy.pieceSize = 1;
  proxy.bytesPerSecond = 1_000;
  const start = performance.now();
  await conn.write(new Uint8Array(20));
  const { pieces } = await receive(conn, 20);
  assertGreater(pieces, 1);
  assert(performance.now() - start >= 15);
});

Deno.test("FaultyProxy ends with everything stalled", async () => {
  await using server = new EchoServer();
  const proxy = new FaultyProxy(server.url);
  using conn = await connect(proxy);
  await until(() => proxy.open === 1);
  proxy.mode = "stall";
  await conn.write(new Uint8Array(1));
  await proxy[Symbol.asyncDispose]();
  assertEquals((await receive(conn, 1)).bytes, 0);
  await assertRejects(() => connect(proxy));
});
