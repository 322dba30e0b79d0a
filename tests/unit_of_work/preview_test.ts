import { assertEquals, assertThrows } from "@std/assert";
import { type AsyncEngine, InputError } from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";
import { Author, authors, Book, openLibrary, sent } from "../support/library_model.ts";

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

eachEngine(
  "two flushes write their rows in the same order, whatever came first",
  async (context) => {
    await using engine = await openLibrary(context.target);
    await using session = engine.session();
    session.addAll(
      ["a", "b", "c"].map((name) => new Author({ name, books: [new Book({ title: name })] })),
    );
    await session.commit();
    // Loaded from behind, and one for name and the other for email: each is a statement of its own.
    const orders: string[][] = [];
    for (const descending of [false, true]) {
      await using other = engine.session({ onUnflushedClose: "ignore" });
      const load = async () => {
        const [authors, books] = [other.query(Author), other.query(Book)];
        return descending
          ? [
            ...await books.orderBy((b) => b.id.desc()).all(),
            ...await authors.orderBy((a) => a.id.desc()).all(),
          ]
          : [...await authors.all(), ...await books.all()];
      };
      const objects = await load();
      for (const object of objects) {
        if (object instanceof Book) object.title += "!";
        else if (object.id === objects.find((o) => o instanceof Author)?.id) object.email = "x@y.z";
        else object.name += "!";
      }
      orders.push(
        other.preview().steps.flatMap(({ objects }) =>
          objects.map((object) => `${object.constructor.name} ${(object as Author).id}`)
        ),
      );
    }
    const ids = [1, 2, 3];
    const all = ["Author", "Book"].flatMap((name) => ids.map((id) => `${name} ${id}`));
    assertEquals(orders[0], all);
    // The first to be changed is another one here: the statements of a class go by their first keys.
    assertEquals(orders[1], all);
  },
);
