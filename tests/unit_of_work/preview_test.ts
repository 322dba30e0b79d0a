import { assertEquals, assertThrows } from "@std/assert";
import { type AsyncEngine, InputError } from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";
import { type Author, authors, Book, openLibrary, sent } from "../support/library_model.ts";

async function statementsOf(engine: AsyncEngine, work: () => Promise<void>) {
  return (await sent(engine, work)).filter((text) => !/^(begin|commit)/.test(text));
}

eachEngine("preview() says what commit() then sends", async ({ target }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  const [ada, bea, cid] = authors(3, 2) as [Author, Author, Author];
  session.addAll([ada, bea, cid]);
  const first = session.preview();
  assertEquals(first.rows, 9);
  assertEquals(first.steps.map(({ action, entity }) => `${action} ${entity}`), [
    "insert Author",
    "insert Book",
  ]);
  assertEquals(
    await statementsOf(engine, () => session.commit()),
    first.steps.flatMap(({ statements }) => statements),
  );

  ada.name = "Ada L.";
  bea.name = "Bea L.";
  (ada.books as Book[]).push(new Book({ title: "New" }));
  for (const book of cid.books as Book[]) session.delete(book);
  const second = session.preview();
  assertEquals(
    String(second).replace(/ in \d statements?/g, ""),
    "insert Book: 1 row (title, price, published, meta, cover, authorId)\n" +
      "update Author: 2 rows (name)\n" +
      "delete Book: 2 rows",
  );
  assertEquals(second.steps[1]!.objects, [ada, bea]);
  // Asking changes nothing.
  assertEquals(String(session.preview()), String(second));
  assertEquals(
    await statementsOf(engine, () => session.commit()),
    second.steps.flatMap(({ statements }) => statements),
  );
  assertEquals(String(session.preview()), "nothing to store");
});

eachEngine("preview() refuses what the flush would refuse", async ({ target }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  session.add(new Book({ title: "Without author" }));
  assertThrows(() => session.preview(), InputError, "authorId");
  await session.rollback();
});
