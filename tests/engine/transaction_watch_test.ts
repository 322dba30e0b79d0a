import { assertEquals, assertMatch } from "@std/assert";
import { CoreEngine } from "../../src/engine/core_engine.ts";
import type { LeakReport } from "../../src/pool/pool.ts";
import { sql } from "../../src/sql/raw.ts";

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

Deno.test("a transaction open for too long is reported once, with the place that began it", async () => {
  await using engine = new CoreEngine("sqlite::memory:", { transactionWarnAfter: 200 });
  const told: LeakReport[] = [];
  engine.on("leak", (report) => told.push(report));
  await engine.begin(async (tx) => {
    await tx.execute(sql`select 'long'`);
    while (told.length === 0) await sleep(1);
    await sleep(220);
  });
  assertEquals(told.map(({ kind, note }) => [kind, note]), [["transaction", "select 'long'"]]);
  assertEquals(told[0]!.heldFor >= 199, true);
  assertMatch(told[0]!.stack!, /transaction_watch_test\.ts:\d+/);
  await engine.begin((tx) => tx.execute(sql`select 'short'`));
  await sleep(220);
  assertEquals(told.length, 1);
});

Deno.test("a long transaction is printed if nobody listens, and streams are none", async () => {
  await using engine = new CoreEngine("sqlite::memory:", { transactionWarnAfter: 5 });
  const lines: string[] = [];
  const real = console.error;
  console.error = (line: string) => void lines.push(line);
  try {
    await using connection = await engine.connect();
    for await (const _ of connection.stream(sql`select 1 as n`)) await sleep(15);
    assertEquals(lines, []);
    await using _tx = await connection.begin();
    while (lines.length === 0) await sleep(1);
  } finally {
    console.error = real;
  }
  assertMatch(
    lines[0]!,
    /A transaction on sqlite::memory: is open for \d+ ms, last: not used\n\s+at/,
  );
});

Deno.test("a transaction forgotten with its session is reported, and undone", async () => {
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--no-check",
      "--v8-flags=--expose-gc",
      new URL("forgotten_transaction.ts", import.meta.url).href,
    ],
  }).output();
  const text = new TextDecoder();
  assertMatch(
    text.decode(stdout),
    /^forgotten insert into notes values \(1\) true true\nrows 0\n$/,
    text.decode(stderr),
  );
});
