import { assertEquals, assertInstanceOf, assertLess, assertRejects } from "@std/assert";
import {
  ConnectionLostError,
  DataError,
  InputError,
  StatementError,
  UniqueViolationError,
  UsageError,
} from "../../../src/errors.ts";
import { FaultyProxy } from "../../support/faulty_proxy.ts";
import { startPostgres } from "../../support/postgres_server.ts";
import { connect, type TestConnection } from "./support.ts";

const encoder = new TextEncoder();
const lines = (...texts: string[]) => texts.map((text) => encoder.encode(`${text}\n`));
const table = (c: TestConnection) => c.run("create temp table t (id int primary key, name text)");
const stored = async (c: TestConnection) => Number((await c.rows("select count(*) from t"))[0]![0]);

Deno.test("copyIn() stores what iterables and async iterables give, and counts the rows", async () => {
  await using c = await connect();
  await table(c);
  assertEquals(await c.connection.copyIn("copy t from stdin", lines("1\ta", "2\t\\N")), 2);
  async function* source() {
    for (let i = 3; i <= 20_000; i++) {
      if (i % 1_000 === 0) await Promise.resolve();
      yield* lines(`${i}\tname`);
    }
  }
  assertEquals(await c.connection.copyIn("copy t from stdin", source()), 19_998);
  assertEquals(await c.connection.copyIn("copy t from stdin", []), 0);
  assertEquals(await stored(c), 20_000);
});

Deno.test("copyIn() takes rows in pieces of any size", async () => {
  await using c = await connect();
  await table(c);
  const whole = encoder.encode(Array.from({ length: 30 }, (_, i) => `${i}\tnäme\n`).join(""));
  const bytes = Array.from(whole, (byte) => Uint8Array.of(byte));
  assertEquals(await c.connection.copyIn("copy t from stdin", bytes), 30);
  const big = encoder.encode(`100\t${"x".repeat(5_000_000)}\n`);
  assertEquals(await c.connection.copyIn("copy t from stdin", [big]), 1);
  assertEquals(await c.rows("select length(name) from t where id = 100"), [["5000000"]]);
});

Deno.test("copyIn() gives the server's error, stores nothing, and leaves the connection usable", async () => {
  await using c = await connect();
  await table(c);
  const copy = (text: string, ...rows: string[]) => c.connection.copyIn(text, lines(...rows));
  await assertRejects(() => copy("copy t from stdin", "1\ta", "x\tb"), DataError);
  await assertRejects(() => copy("copy t from stdin", "1\ta", "1\tb"), UniqueViolationError);
  await assertRejects(() => copy("copy nowhere from stdin", "1\ta"), StatementError);
  await assertRejects(() => copy("select 1", "1\ta"), UsageError, "COPY");
  assertEquals(await stored(c), 0);
});

Deno.test("copyIn() stops reading an endless source when the server has refused a row", async () => {
  await using c = await connect();
  await table(c);
  let ended = false;
  async function* source() {
    try {
      yield* lines("x\tbad");
      for (;;) {
        await new Promise((resolve) => setTimeout(resolve, 0));
        yield encoder.encode("1\tz\n".repeat(20_000));
      }
    } finally {
      ended = true;
    }
  }
  await assertRejects(() => c.connection.copyIn("copy t from stdin", source()), DataError);
  while (!ended) await new Promise((resolve) => setTimeout(resolve, 1));
  assertEquals(await stored(c), 0);
});

Deno.test("copyIn() throws the source's error, and stores nothing", async () => {
  await using c = await connect();
  await table(c);
  async function* source() {
    yield* lines("1\ta");
    await Promise.resolve();
    throw new RangeError("the file ends here");
  }
  await assertRejects(
    () => c.connection.copyIn("copy t from stdin", source()),
    RangeError,
    "ends here",
  );
  const text = ["1\ta\n"] as unknown as Uint8Array[];
  await assertRejects(
    () => c.connection.copyIn("copy t from stdin", text),
    InputError,
    "Uint8Array",
  );
  assertEquals(await stored(c), 0);
});

Deno.test("copyIn() is given up by its signal, though its source is stuck", async () => {
  await using c = await connect();
  await table(c);
  async function* source() {
    yield* lines("1\ta");
    await new Promise(() => {});
  }
  const options = { signal: AbortSignal.timeout(20) };
  await assertRejects(
    () => c.connection.copyIn("copy t from stdin", source(), options),
    DOMException,
  );
  await assertRejects(
    () => c.connection.copyIn("copy t from stdin", source(), { timeout: 20 }),
    Error,
    "20 ms",
  );
  assertEquals(await stored(c), 0);
});

Deno.test("copyIn() keeps its place between the calls before and after it, in a transaction too", async () => {
  await using c = await connect();
  await table(c);
  const { connection } = c;
  const [, , copied, count] = await Promise.all([
    connection.begin(),
    c.run("insert into t values (1)"),
    connection.copyIn("copy t from stdin", lines("2\ta", "3\tb")),
    c.rows("select count(*) from t"),
    connection.commit(),
  ]);
  assertEquals([copied, count], [2, [["3"]]]);
});

Deno.test("copyIn() rejects when its connection is killed", async () => {
  await using c = await connect();
  await using killer = await connect();
  await table(c);
  async function* source() {
    yield* lines("1\ta");
    await killer.rows("select pg_terminate_backend($1)", [c.connection.id]);
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      yield* lines("2\tb");
    }
  }
  const error = await assertRejects(
    () => c.connection.copyIn("copy t from stdin", source()),
    ConnectionLostError,
  );
  assertEquals(error.sqlState, "57P01");
});

Deno.test("copyOut() gives everything, byte for byte", async () => {
  await using c = await connect();
  for (const rows of [0, 1, 1_000, 50_000]) {
    let text = "";
    const decoder = new TextDecoder();
    for await (
      const chunk of c.connection.copyOut(
        `copy (select g, 'näme' from generate_series(1, ${rows}) g) to stdout`,
      )
    ) {
      text += decoder.decode(chunk, { stream: true });
    }
    assertEquals(text, Array.from({ length: rows }, (_, i) => `${i + 1}\tnäme\n`).join(""));
    assertEquals(await c.rows("select 1"), [["1"]]);
  }
});

Deno.test("copyOut() holds the server back while nobody reads", async () => {
  await using c = await connect();
  await using watcher = await connect();
  let bytes = 0;
  let largest = 0;
  for await (
    const chunk of c.connection.copyOut(
      "copy (select repeat('x', 1000) from generate_series(1, 40000)) to stdout",
    )
  ) {
    if (bytes === 0) {
      // The server is stuck in sending, because we take nothing
      for (let waits = "";;) {
        const [row] = await watcher.rows("select wait_event from pg_stat_activity where pid = $1", [
          c.connection.id,
        ]);
        if (waits === "ClientWrite" && row![0] === "ClientWrite") break;
        waits = row![0] as string;
      }
    }
    bytes += chunk.length;
    largest = Math.max(largest, chunk.length);
  }
  assertEquals(bytes, 40_000 * 1_001);
  assertLess(largest, 1_000_000);
  assertEquals(await c.rows("select 1"), [["1"]]);
});

Deno.test("copyOut() gives what came before an error, then the error", async () => {
  await using c = await connect();
  let bytes = 0;
  await assertRejects(async () => {
    for await (
      const chunk of c.connection.copyOut(
        "copy (select 1/(5000-g) from generate_series(1, 9000) g) to stdout",
      )
    ) {
      bytes += chunk.length;
    }
  }, DataError);
  assertEquals(bytes > 0, true);
  assertEquals(await c.rows("select 1"), [["1"]]);
  await assertRejects(() => c.connection.copyOut("copy nowhere to stdout").next(), StatementError);
});

Deno.test("copyOut() left early has the server stop, and the connection goes on", async () => {
  await using c = await connect();
  for (let round = 0; round < 3; round++) {
    let bytes = 0;
    const copy = "copy (select repeat('x', 100), generate_series(1, 100000000)) to stdout";
    for await (const chunk of c.connection.copyOut(copy)) {
      bytes += chunk.length;
      if (bytes > round * 1_000_000) break;
    }
    assertEquals(c.connection.busy, false);
    assertEquals(await c.rows("select 1"), [["1"]]);
  }
});

Deno.test("copyOut() left early costs the connection when the server does not stop", async () => {
  await using server = await startPostgres();
  await using proxy = new FaultyProxy(server.url);
  await using c = await connect({ port: proxy.port, cancelGrace: 50 }, server.url);
  for await (
    const _ of c.connection.copyOut("copy (select generate_series(1, 1000000)) to stdout")
  ) {
    proxy.mode = "stall";
    break;
  }
  assertInstanceOf(c.connection.lost, ConnectionLostError);
});

Deno.test("copyOut() sends nothing before it is read", async () => {
  await using c = await connect();
  const copy = c.connection.copyOut("copy (select 1) to stdout");
  await copy.return();
  assertEquals(c.connection.lost, undefined);
  assertEquals(await c.rows("select 1"), [["1"]]);
});

Deno.test("copyOut() is given up by its signal", async () => {
  await using c = await connect();
  const copy = c.connection.copyOut("copy (select pg_sleep(30)) to stdout", {
    signal: AbortSignal.timeout(20),
  });
  await assertRejects(() => copy.next(), DOMException);
});
