import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { CoreEngine } from "../../src/engine/core_engine.ts";
import type { EscapeEvent } from "../../src/engine/events.ts";
import { InputError, NestedCheckoutError, UsageError } from "../../src/errors.ts";
import { sql } from "../../src/sql/raw.ts";
import { eachEngine } from "../support/each_engine.ts";
import { Author, openLibrary } from "../support/library_model.ts";

const one = sql`select 1`;
const here = /escape_test\.ts:\d+/;

async function warnings(body: () => Promise<unknown>): Promise<string[]> {
  const lines: string[] = [];
  const real = console.warn;
  console.warn = (line: string) => void lines.push(line);
  try {
    await body();
  } finally {
    console.warn = real;
  }
  return lines;
}

eachEngine("a statement sent past an open transaction is told, once for each place", async (
  { target },
) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  await using other = engine.session();
  const lines = await warnings(() =>
    session.begin(async () => {
      for (let i = 0; i < 3; i++) await engine.execute(one);
      await other.query(Author).all();
      await session.query(Author).all();
    })
  );
  assertEquals(lines.length, 2, lines.join("\n"));
  for (const line of lines) {
    assertMatch(line, here);
    assertMatch(line, /past the open transaction/);
  }
  const told: EscapeEvent[] = [];
  engine.on("escape", (event) => told.push(event));
  assertEquals(
    await warnings(() =>
      engine.begin(async () => {
        await engine.begin((tx) => tx.execute(one), { readOnly: true });
      })
    ),
    [],
  );
  assertEquals(told.length, 1);
  assertMatch(told[0]!.place, here);
  assertMatch(told[0]!.stack, here);
}, { except: { pglite: "it has one connection only" }, sqliteFile: true });

eachEngine('escape: "throw" refuses what is sent past a transaction', async ({ target }) => {
  await using engine = await openLibrary(target, { escape: "throw" });
  await using session = engine.session();
  await using other = engine.session();
  await session.begin(async (tx) => {
    for (
      const call of [
        () => engine.execute(one),
        () => engine.connect(),
        () => engine.begin(() => {}),
        () => other.query(Author).count(),
        () => tx.savepoint(() => engine.execute(one)),
      ]
    ) {
      const error = await assertRejects(call, UsageError);
      assertEquals(error.code, "ESCAPED_STATEMENT");
      assertMatch(error.message, here);
    }
    assertEquals(await session.query(Author).count(), 0);
  });
  // Outside of its function, and after it, everything is as always.
  await using tx = await session.begin();
  if (engine.pool.status().limit > 1) await engine.execute(one);
  await tx.rollback();
  await engine.execute(one);
  assertEquals(engine.pool.status().checkedOut, 0);
});

eachEngine("escape can be said for one transaction", async ({ target }) => {
  await using engine = new CoreEngine(target, { escape: "throw" });
  await using elsewhere = new CoreEngine("sqlite::memory:");
  await engine.begin(async () => {
    await elsewhere.execute(one); // another database has nothing to do with it
    if (engine.pool.status().limit > 1) await engine.execute(one);
    else await assertRejects(() => engine.execute(one), NestedCheckoutError);
  }, { escape: "allow" });
  await assertRejects(
    () => engine.begin(() => {}, { escape: "never" as "allow" }),
    InputError,
    "escape",
  );
});

Deno.test("what goes on after a transaction's function is no escape", async () => {
  await using engine = new CoreEngine("sqlite::memory:", { escape: "throw" });
  const ended = Promise.withResolvers<void>();
  let later: Promise<unknown> | undefined;
  await engine.begin((tx) => {
    later = ended.promise.then(() => engine.execute(one));
    tx.onCommit(async () => void await engine.execute(one).catch(() => {}));
  });
  ended.resolve();
  await later;
});
