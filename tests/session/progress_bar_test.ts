/** `progressBar()`: what it draws, and that it draws nothing where nobody looks. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { AsyncEngine, createAll, entity, integer, progressBar } from "@sluice/orm";

class Row extends entity("rows", { id: integer().primaryKey() }) {}

async function withRows(count: number): Promise<AsyncEngine> {
  const engine = new AsyncEngine("sqlite::memory:", { entities: [Row] });
  await createAll(engine);
  await using session = engine.session();
  await session.bulkInsert(Row, Array.from({ length: count }, (_, id) => ({ id })));
  return engine;
}

function terminal(columns = 60) {
  const written: string[] = [];
  return { written, isTTY: true, columns, write: (text: string) => void written.push(text) };
}

Deno.test("progressBar() draws a walk with its total, and ends its line", async () => {
  await using engine = await withRows(6);
  await using session = engine.session();
  const stream = terminal();
  const walk = session.query(Row).commitEvery(2, { countFirst: true });
  const ids: number[] = [];
  for await (const row of progressBar(walk, { label: "Rows", stream, interval: 0 })) {
    ids.push(row.id);
  }
  assertEquals(ids, [0, 1, 2, 3, 4, 5]);
  const lines = stream.written.map((text) => text.replace("\r\x1b[K", ""));
  assertEquals(lines.length, 4);
  assert(lines[0]!.startsWith("Rows █"), lines[0]);
  assertEquals(lines.map((line) => /\d+ %/.exec(line)![0]), ["33 %", "66 %", "100 %", "100 %"]);
  assertEquals(lines.map((line) => line.endsWith("\n")), [false, false, false, true]);
  assert(lines.every((line) => line.trimEnd().length < 60));
});

Deno.test("progressBar() ends its line when the loop is left or fails", async () => {
  await using engine = await withRows(6);
  await using session = engine.session();
  for (const leave of [true, false]) {
    const stream = terminal();
    const walk = progressBar(session.query(Row).inBatches(2), { stream });
    const loop = async () => {
      for await (const _ of walk) {
        if (walk.progress?.batches === 2) {
          if (leave) break;
          throw new Error("mine");
        }
      }
    };
    if (leave) await loop();
    else await assertRejects(loop, Error, "mine");
    assert(stream.written.at(-1)!.endsWith("\n"));
    assert(stream.written.every((text) => text.includes("rows")));
  }
});

Deno.test("progressBar() told of progress draws it, narrow or wide", () => {
  for (const columns of [10, 40, 200]) {
    const stream = terminal(columns);
    {
      using bar = progressBar({ label: "Import", total: 4_000, stream, interval: 0 });
      bar({ rows: 1_000, elapsed: 1_000, rate: 1 });
      bar({ rows: 5_000, elapsed: 1_000, rate: 1_000 });
    }
    assertEquals(stream.written.length, 3);
    assert(stream.written.every((text) => text.trim().replace("\x1b[K", "").length < columns));
    if (columns === 200) {
      assert(stream.written[0]!.includes("25 %  1,000/4,000  1/s  50:00 left"), stream.written[0]);
      assert(stream.written[1]!.includes("100 %"));
    }
  }
});

Deno.test("progressBar() is quiet when not a terminal, and draws no faster than asked", async () => {
  await using engine = await withRows(50);
  await using session = engine.session();
  const quiet = { ...terminal(), isTTY: false };
  for await (const _ of progressBar(session.query(Row).commitEvery(5), { stream: quiet }));
  assertEquals(quiet.written, []);
  const slow = terminal();
  const walk = session.query(Row).commitEvery(1);
  for await (const _ of progressBar(walk, { stream: slow, interval: 60_000 }));
  assertEquals(slow.written.length, 2, "the first and the last");
});
