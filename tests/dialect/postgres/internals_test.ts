/**
 * One canary for each thing inside npm `postgres` that `npm_postgres.ts` rests on. When one of these
 * fails after an upgrade, that file has to be thought through again before anything else.
 */

import { Buffer } from "node:buffer";
import { assert, assertEquals } from "@std/assert";
import postgres from "postgres";
import { NpmPostgres } from "../../../src/dialect/postgres/npm_postgres.ts";
import type { Answer, Sending } from "../../../src/dialect/postgres/protocol.ts";
import { wire } from "./support.ts";

/** An instance whose every byte is ours. */
async function instance() {
  const written: Buffer[] = [];
  const told: string[] = [];
  const results: Answer[] = [];
  const npm = await NpmPostgres.open<Sending>();
  npm.attach({
    write: (bytes) => void written.push(Buffer.from(bytes)),
    answered: (_, result) => {
      told.push("answered");
      results.push(result);
    },
    refused: () => void told.push("refused"),
    broken: (error) => void told.push(`broken ${error}`),
    current: () => {
      throw new Error("the driver keeps its own order");
    },
  });
  const send = async (text: string, params: string[] = [], more: Partial<Sending> = {}) => {
    const sending: Sending = {
      text,
      params,
      mode: "prepared",
      known: false,
      parsed: false,
      rows: [],
      ...more,
    };
    npm.send(sending);
    // One turn until the driver takes it up, one until it writes
    for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
    return sending;
  };
  const sent = () => {
    const types = messageTypes(Buffer.concat(written));
    written.length = 0;
    return types;
  };
  const receive = (...parts: Uint8Array[]) => npm.receive(Buffer.concat(parts));
  return { send, sent, receive, told, results };
}

function messageTypes(bytes: Buffer): string {
  let types = "";
  for (let at = 0; at < bytes.length; at += 1 + bytes.readInt32BE(at + 1)) {
    types += String.fromCharCode(bytes[at]!);
  }
  return types;
}

Deno.test("npm postgres: options that bear `shared` are taken as they are", () => {
  const options = { shared: {}, types: {}, max: 0, socket: () => {}, no_subscribe: true };
  const sql = postgres(options as unknown as postgres.Options<Record<string, never>>);
  assert(sql.options as unknown === options);
});

Deno.test("npm postgres: an instance opens on a socket that answers by itself, and writes nothing", async () => {
  const { sent } = await instance();
  assertEquals(sent(), "");
});

Deno.test("npm postgres: `describeFirst` held at false sends a new statement in one piece", async () => {
  const { send, sent } = await instance();
  await send("select $1", ["a"]);
  assertEquals(sent(), "PDBES");
});

Deno.test("npm postgres: an unprepared statement with parameters is one piece as well", async () => {
  const { send, sent } = await instance();
  await send("select $1", ["a"], { mode: "unprepared" });
  assertEquals(sent(), "PDBES");
});

Deno.test("npm postgres: a statement that was described is only bound and executed from then on", async () => {
  const { send, sent, receive } = await instance();
  await send("select $1", ["a"]);
  receive(wire.answer("a"), wire.ready());
  sent();
  await send("select $1", ["b"], { known: true });
  assertEquals(sent(), "BES");
});

Deno.test("npm postgres: `simple` uses the simple protocol", async () => {
  const { send, sent } = await instance();
  await send("begin", [], { mode: "simple" });
  assertEquals(sent(), "Q");
});

Deno.test("npm postgres: statements are written at once, one after the other, without waiting", async () => {
  const { send, sent } = await instance();
  for (let i = 0; i < 300; i++) await send(`select ${i}, $1`, ["x".repeat(500)]);
  assertEquals(sent().length, 300 * 5);
});

Deno.test("npm postgres: `forEachFn` gets rows by position, and the result stays empty", async () => {
  const { send, receive, results, told } = await instance();
  const first = await send("select a");
  receive(wire.answer("one", "two"), wire.ready());
  assertEquals(first.rows, [["one"], ["two"]]);
  assertEquals(told, ["answered"]); // synchronously, at ReadyForQuery
  assertEquals([results[0]!.count, results[0]!.command], [2, "SELECT"]);
  assertEquals(results[0]!.columns, [{ name: "a", type: 25 }]);
  assertEquals((results[0] as unknown as unknown[]).length, 0);
});

Deno.test("npm postgres: the rows of a failed statement do not get into the next one", async () => {
  const { send, receive, told } = await instance();
  await send("select a");
  receive(
    wire.described(),
    wire.row("1"),
    wire.row("2"),
    wire.error("22012", "division by zero"),
    wire.ready(),
  );
  const second = await send("select b");
  receive(wire.answer("3"), wire.ready());
  assertEquals([told, second.rows], [["refused", "answered"], [["3"]]]);
});

Deno.test("npm postgres: `retried` keeps it from sending a failed statement again", async () => {
  const { send, sent, receive, told } = await instance();
  await send("select a");
  receive(wire.answer("1"), wire.ready());
  await send("select a", [], { known: true });
  sent();
  const routine = Buffer.from("SERROR\0VERROR\0C0A000\0Mcached plan\0RRevalidateCachedQuery\0\0");
  receive(wire.message("E", routine), wire.ready());
  await new Promise((resolve) => setImmediate(resolve));
  assertEquals([told, sent()], [["answered", "refused"], ""]);
});

Deno.test("npm postgres: a text with a blank behind it is another statement", async () => {
  const { send, sent, receive } = await instance();
  await send("select a");
  receive(wire.answer("1"), wire.ready());
  sent();
  await send("select a ");
  assertEquals(sent(), "PDBES");
});

Deno.test("npm postgres: several answers in one piece settle their statements in order", async () => {
  const { send, receive, told } = await instance();
  const [a, b, c] = [await send("select a"), await send("select b"), await send("select c")];
  receive(
    ...[wire.answer("1"), wire.ready("T"), wire.error("23505", "no"), wire.ready("E")],
    ...[wire.answer("3"), wire.ready("I")],
  );
  assertEquals(told, ["answered", "refused", "answered"]);
  assertEquals([a.rows, b.rows, c.rows], [[["1"]], [], [["3"]]]);
});

Deno.test("npm postgres: COPY's own messages are not missed", async () => {
  const { send, receive, results } = await instance();
  await send("copy t from stdin", [], { mode: "simple" });
  receive(wire.complete("COPY 12"), wire.ready());
  assertEquals([results[0]!.command, results[0]!.count], ["COPY", 12]);
});

Deno.test("npm postgres: notices and notifications between answers are nobody's", async () => {
  const { send, receive, told } = await instance();
  receive(wire.message("N", "SNOTICE\0Mhello\0\0"), wire.message("S", "TimeZone\0UTC\0"));
  await send("select a");
  receive(
    wire.described(),
    wire.message("N", "SNOTICE\0\0"),
    wire.row("1"),
    wire.complete("SELECT 1"),
    wire.ready(),
  );
  assertEquals(told, ["answered"]);
});
