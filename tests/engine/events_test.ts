import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { CoreEngine } from "../../src/engine/core_engine.ts";
import { Emitter, type EngineEvents } from "../../src/engine/events.ts";
import { DatabaseError, InputError } from "../../src/errors.ts";
import { sql } from "../../src/sql/raw.ts";

/** What `body` prints by a method of the console. */
async function printed(method: "log" | "error", body: () => unknown): Promise<string[]> {
  const real = console[method];
  const lines: string[] = [];
  console[method] = (...args: unknown[]) => void lines.push(args.map(String).join(" "));
  try {
    await body();
  } finally {
    console[method] = real;
  }
  return lines;
}

const LOST = { connection: "1", error: new Error("gone") };

Deno.test("Emitter.on() calls listeners until they are removed, one at a time", () => {
  const emitter = new Emitter();
  const seen: string[] = [];
  const listener = ({ connection }: { connection: string }) => seen.push(connection);
  const first = emitter.on("lost", listener);
  const second = emitter.on("lost", listener);
  emitter.emit("lost", LOST);
  first();
  first();
  emitter.emit("lost", LOST);
  second();
  assertEquals(emitter.has("lost"), false);
  assertEquals(seen, ["1", "1", "1"]);
});

Deno.test("A listener that throws is printed and changes nothing for the others", async () => {
  const emitter = new Emitter();
  const seen: string[] = [];
  emitter.on("lost", () => {
    throw new Error("listener");
  });
  emitter.on("lost", () => void seen.push("called"));
  const lines = await printed("error", () => emitter.emit("lost", LOST));
  assertEquals(lines, ['A listener for "lost" failed: Error: listener']);
  assertEquals(seen, ["called"]);
});

Deno.test("Emitter.on() refuses events that do not exist", () => {
  const emitter = new Emitter();
  const on = (name: string) => emitter.on(name as keyof EngineEvents, () => {});
  assertThrows(() => on("statment"), InputError, 'Did you mean "statement"?');
  assertThrows(() => on("toString"), InputError);
});

Deno.test("An engine tells of checkouts, statements and transactions, without values", async () => {
  await using engine = new CoreEngine("sqlite::memory:");
  const told: unknown[] = [];
  engine.on("connect", ({ error }) => told.push(["connect", error]));
  engine.on("checkout", ({ connection }) => told.push(["checkout", typeof connection]));
  engine.on("transaction", ({ action, error }) => told.push([action, error]));
  const stop = engine.on("statement", ({ sql, params, rowCount, error }) => {
    told.push([sql, params, rowCount, error === undefined]);
  });
  await engine.begin(async (tx) => void await tx.execute(sql`select ${"secret"} as x`));
  await assertRejects(() => engine.execute(sql`select nothing`), DatabaseError);
  stop();
  await engine.execute(sql`select 2`);
  assertEquals(told, [
    ["connect", undefined],
    ["checkout", "string"],
    ["begin", undefined],
    ["select ?1 as x", undefined, 1, true],
    ["commit", undefined],
    ["checkout", "string"],
    ["select nothing", undefined, undefined, false],
    ["checkout", "string"],
  ]);
});

Deno.test("A stream is one statement to listeners, and its wait in the pool is told once", async () => {
  await using engine = new CoreEngine("sqlite::memory:");
  const told: string[] = [];
  engine.on("statement", ({ sql }) => void told.push(sql));
  await using connection = await engine.connect();
  const rows = sql<{ n: number }>`select 1 as n union all select 2`;
  for await (const _ of connection.stream(rows, { window: 1 })) { /* reads all */ }
  assertEquals(told, ["select 1 as n union all select 2"]);
});

Deno.test("echo prints statements, with their values only when asked", async () => {
  for (const echo of [true, "params"] as const) {
    await using engine = new CoreEngine("sqlite::memory:", { echo });
    const lines = await printed("log", async () => {
      await engine.begin(async (tx) => void await tx.execute(sql`select ${"secret"} as x`));
      await engine.execute(sql`select nothing`).catch(() => {});
    });
    const texts = lines.map((line) => line.replace(/^[\d.]+ ms {2}/, ""));
    const values = echo === "params" ? '  ["secret"]' : "";
    assertEquals(texts, [
      "begin",
      `1 rows  select ?1 as x${values}`,
      "commit",
      "FAILED  select nothing",
    ]);
  }
  const told: string[] = [];
  await using engine = new CoreEngine("sqlite::memory:", { echo: ({ sql }) => told.push(sql) });
  await engine.execute(sql`select 1`);
  assertEquals(told, ["select 1"]);
});

Deno.test("A leak is told to listeners, and printed if there are none", async () => {
  await using engine = new CoreEngine("sqlite::memory:", { leakAfter: 5 });
  const held = async () => {
    await using connection = await engine.connect();
    await connection.execute(sql`select 'kept'`);
    await new Promise((resolve) => setTimeout(resolve, 30));
  };
  const lines = await printed("error", held);
  assertEquals(lines.length, 1);
  assertEquals(/is lent since \d+ ms, last: select 'kept'\n\s+at /.test(lines[0]!), true, lines[0]);
  const told: unknown[] = [];
  engine.on("leak", ({ kind, note }) => told.push([kind, note]));
  assertEquals(await printed("error", held), []);
  assertEquals(told, [["held", "select 'kept'"]]);
});
