import { assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import {
  type AsyncEngine,
  DatabaseError,
  entity,
  hasMany,
  InputError,
  integer,
  manyToMany,
  prepare,
  sql,
  text,
  UsageError,
} from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";
import { Author, authors, Book, openLibrary, Review, sent } from "../support/library_model.ts";

/** Three authors with five books each, at 1.50 to 5.50, each with reviews of 1 to 3 stars. */
async function fill(engine: AsyncEngine): Promise<void> {
  await using session = engine.session();
  for (const author of authors(3, 5)) {
    for (const book of author.books as Book[]) {
      book.reviews = [1, 2, 3].map((stars) => new Review({ stars }));
    }
    session.add(author);
  }
  await session.commit();
}

const titles = (list: readonly { books: readonly { title: string }[] }[]): string[][] =>
  list.map(({ books }) => books.map(({ title }) => title));

eachEngine("a refined selectin() filters, sorts and limits per parent", async ({ target }) => {
  await using engine = await openLibrary(target);
  await fill(engine);
  await using session = engine.session();
  const query = session.query(Author).orderBy((a) => a.id.asc());
  const statements = await sent(engine, async () => {
    const list = await query.selectin(
      "books",
      (q) => q.where((b) => b.price.lt("5")).orderBy((b) => b.price.desc()).limit(2),
    ).all();
    assertEquals(titles(list), [
      ["Book 1.4", "Book 1.3"],
      ["Book 2.4", "Book 2.3"],
      ["Book 3.4", "Book 3.3"],
    ]);
  });
  assertEquals(statements.length, 2);
  const part = async (refine: Parameters<typeof query.selectin<"books", Book>>[1]) =>
    titles(await query.limit(1).selectin("books", refine).all())[0];
  const all = [1, 2, 3, 4, 5].map((n) => `Book 1.${n}`);
  assertEquals(await part((q) => q.orderBy((b) => b.id.desc())), all.toReversed());
  assertEquals(await part((q) => q.limit(1)), ["Book 1.1"], "by key where no order is given");
  assertEquals(await part((q) => q.limit(0)), []);
  assertEquals(await part((q) => q.offset(3)), ["Book 1.4", "Book 1.5"]);
  assertEquals(await part((q) => q.orderBy((b) => b.id.desc()).offset(1).limit(2)), [
    "Book 1.4",
    "Book 1.3",
  ]);
  assertEquals(await part((q) => q.where((b) => b.author.name.eq("Nobody"))), []);
  assertEquals(
    await part((q) => q.where((b) => b.reviews.some((r) => r.stars.gt(2))).limit(2)),
    ["Book 1.1", "Book 1.2"],
  );
  assertEquals(await part((q) => q.orderBy((b) => b.reviews.count().desc()).limit(1)), [
    "Book 1.1",
  ]);
  assertEquals(await part((q) => q.filterBy({ title: "Book 1.2" })), ["Book 1.2"]);
});

eachEngine("refinements nest, and paths share them", async ({ target }) => {
  await using engine = await openLibrary(target);
  await fill(engine);
  await using session = engine.session();
  const statements = await sent(engine, async () => {
    const list = await session.query(Author).orderBy((a) => a.id.asc())
      .selectin(
        "books",
        (q) => q.limit(2).selectin("reviews", (q) => q.orderBy((r) => r.stars.desc()).limit(1)),
      )
      .selectin("books.author")
      .selectin("books.reviews.reviewer")
      .all();
    for (const author of list) {
      assertEquals(author.books.length, 2);
      for (const book of author.books) {
        assertEquals(book.author, author);
        assertEquals(book.reviews.map((r) => r.stars), [3]);
        assertEquals(book.reviews[0]!.reviewer, null);
      }
    }
  });
  // The reviews have no reviewer: no keys, no statement.
  assertEquals(statements.length, 4);
  await using other = engine.session();
  const deep = await other.query(Author).orderBy((a) => a.id.asc())
    .selectin("books.reviews", (q) => q.where((r) => r.stars.eq(2))).first();
  assertEquals(deep!.books.map((b) => b.reviews.map((r) => r.stars)), Array(5).fill([2]));
});

eachEngine("what a refinement left out is not removed by a commit", async ({ target }) => {
  await using engine = await openLibrary(target);
  await fill(engine);
  await using session = engine.session();
  const author = await session.query(Author).orderBy((a) => a.id.asc())
    .selectin("books", (q) => q.where((b) => b.title.eq("Book 1.2"))).first();
  assertEquals([session.dirty, author!.books.length], [[], 1]);
  author!.books.push(new Book({ title: "Sixth" }));
  await session.commit();
  const count = () => session.query(Book).where((b) => b.authorId.eq(author!.id)).count();
  assertEquals(await count(), 6);
  const whole = await session.query(Author).orderBy((a) => a.id.asc()).selectin("books").first();
  assertEquals(whole!.books.length, 6, "the whole relation takes its place");
  await session.query(Author).orderBy((a) => a.id.asc())
    .selectin("books", (q) => q.limit(1)).first();
  assertEquals(author!.books.length, 1);
  author!.name = "Changed";
  await session.commit();
  assertEquals(await count(), 6);
});

class Shelf extends entity("shelves", {
  id: integer().primaryKey().generated(),
  items: hasMany<Item>("items.shelfId", { cascade: "all", orderBy: "name desc" }),
}) {}
class Item extends entity("items", {
  id: integer().primaryKey().generated(),
  name: text(),
  shelfId: integer().nullable().references("shelves.id"),
  labels: manyToMany<Label>("item_labels"),
}) {}
class Label extends entity("labels", {
  id: integer().primaryKey().generated(),
  name: text(),
  items: manyToMany<Item>("item_labels", { orderBy: "name" }),
}) {}
const SHELVES = { entities: [Shelf, Item, Label] };

eachEngine("a relation loaded in part is not enough to cascade over", async ({ target }) => {
  await using engine = await openLibrary(target, SHELVES);
  await using session = engine.session();
  session.add(new Shelf({ items: ["a", "b", "c"].map((name) => new Item({ name })) }));
  await session.commit();
  await using other = engine.session();
  const part = await other.query(Shelf).selectin("items", (q) => q.limit(2)).one();
  assertEquals(part.items.map((i) => i.name), ["c", "b"], "the relation's own order");
  assertThrows(() => other.delete(part), UsageError, "not all loaded");
  other.delete(await other.query(Shelf).selectin("items").one());
  await other.commit();
  assertEquals(await other.query(Item).count(), 0);
});

eachEngine("a manyToMany relation is limited per parent, too", async ({ target }) => {
  await using engine = await openLibrary(target, SHELVES);
  await using session = engine.session();
  const labels = ["x", "y"].map((name) => new Label({ name }));
  session.addAll(["a", "b", "c"].map((name) => new Item({ name, labels })));
  await session.commit();
  await using other = engine.session();
  const query = other.query(Label).orderBy((l) => l.name.asc());
  const names = (list: readonly { items: readonly Item[] }[]) =>
    list.map(({ items }) => items.map((i) => i.name));
  const statements = await sent(engine, async () => {
    assertEquals(
      names(await query.selectin("items", (q) => q.orderBy((i) => i.name.desc()).limit(2)).all()),
      [["c", "b"], ["c", "b"]],
    );
  });
  assertEquals(statements.length, 2);
  assertEquals(
    names(await query.selectin("items", (q) => q.where((i) => i.name.ne("b")).offset(1)).all()),
    [["c"], ["c"]],
  );
  assertEquals(other.dirty, []);
});

eachEngine("a prepared query's refinement takes its parameters", async ({ target }) => {
  await using engine = await openLibrary(target);
  await fill(engine);
  await using session = engine.session();
  const dear = prepare((p: { price: string; most: number }, session) =>
    session.query(Author).orderBy((a) => a.id.asc()).selectin(
      "books",
      (q) => q.where((b) => b.price.gt(p.price)).limit(p.most),
    )
  );
  const lengths = async (price: string, most: number) =>
    (await dear(session, { price, most }).all()).map((a) => a.books.length);
  assertEquals(await lengths("2", 3), [3, 3, 3]);
  assertEquals(await lengths("5", 3), [1, 1, 1]);
});

eachEngine("a stream loads refined relations window by window", async ({ target }) => {
  await using engine = await openLibrary(target);
  await fill(engine);
  await using session = engine.session();
  const seen: number[] = [];
  const query = session.query(Author).orderBy((a) => a.id.asc()).window(2);
  for await (const author of query.selectin("books", (q) => q.limit(2))) {
    seen.push(author.books.length);
  }
  assertEquals(seen, [2, 2, 2]);
});

eachEngine(
  "when one of several relations fails, the others are waited for",
  async ({ target }) => {
    await using engine = await openLibrary(target);
    await fill(engine);
    await using session = engine.session();
    const statements = await sent(engine, () =>
      assertRejects(
        () =>
          session.query(Book)
            .selectin("reviews", (q) => q.where(() => sql`1 / (id - id) = 1`))
            .selectin(
              "author",
              (q) => q.selectin("books", (q) => q.where(() => sql`pg_sleep(0.01) is not null`)),
            )
            .all(),
        DatabaseError,
      ));
    assertEquals(statements.filter((text) => text.includes("pg_sleep")).length, 1);
    assertEquals(await session.query(Author).count(), 3);
  },
  { except: { sqlite: "nothing is under way there after a call" } },
);

eachEngine("refinements that cannot be carried out are refused where they are written", async ({
  target,
}) => {
  await using engine = await openLibrary(target);
  await fill(engine);
  await using session = engine.session();
  const query = session.query(Author);
  const refused = (refine: (q: never) => unknown, message: string) =>
    assertThrows(() => query.selectin("books", refine as never), InputError, message);
  refused(() => undefined, `The refinement of "books" gave undefined`);
  refused(() => query, `and not the query it was given`);
  refused(() => session.query(Book), `and not the query it was given`);
  const columns = refused(
    (q: typeof query) => q.select((b) => ({ id: b.id })),
    `and not the query it was given`,
  );
  assertMatch(columns.message, /for plain rows, use session\.query/);
  refused((q: typeof query) => q.lock("update"), "lock() has no place");
  refused((q: typeof query) => q.timeout(5), "timeout() has no place");
  assertThrows(
    () => session.query(Book).selectin("author", (q) => q.where((a) => a.name.eq("x"))),
    InputError,
    `"author" leads to one object`,
  );
  assertThrows(
    () => query.selectin("bookz" as "books", (q) => q.limit(1)),
    InputError,
    `no relation "bookz"`,
  );
  await assertRejects(
    () => query.selectin("books", (q) => q.where((b) => b.price.gt("no number"))).all(),
    InputError,
  );
  const nested = session.query(Book).selectin("author", (q) => q.selectin("country"));
  assertEquals((await nested.first())!.author.country, null);
});

eachEngine("a rollback leaves a relation loaded in part what it was", async ({ target }) => {
  await using engine = await openLibrary(target, SHELVES);
  await using session = engine.session();
  session.add(new Shelf({ items: ["a", "b", "c"].map((name) => new Item({ name })) }));
  await session.commit();
  await using other = engine.session();
  const shelf = await other.query(Shelf).selectin("items", (q) => q.limit(2)).one();
  const tx = await other.begin();
  shelf.items.push(new Item({ name: "d" }));
  await other.flush();
  assertEquals((await other.query(Shelf).selectin("items").one()).items.length, 4);
  await tx.rollback();
  assertEquals(shelf.items.map((i) => i.name), ["c", "b"]);
  assertThrows(() => other.delete(shelf), UsageError, "not all loaded");
  assertEquals((await other.load([shelf], "items"))[0]!.items.length, 3);
  assertEquals(other.dirty, []);
});
