import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { inspect, UniqueViolationError } from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";
import { Author, authors, Book, Category, Country, openLibrary } from "../support/library_model.ts";

class Stop extends Error {}

const stop = () => Promise.reject(new Stop());

eachEngine(
  "rollback() outside a transaction forgets all changes since the last commit",
  async ({ target }) => {
    await using engine = await openLibrary(target);
    await using session = engine.session();
    const [ada, bea] = authors(2, 2) as [Author, Author];
    session.addAll([ada, bea]);
    await session.commit();
    const books = ada.books as Book[];
    const [first, second] = books as [Book, Book];

    const fresh = new Author({ name: "Fresh" });
    session.add(fresh);
    ada.name = "Changed";
    books.reverse();
    books.push(new Book({ title: "New" }));
    first.author = bea;
    first.meta = { isbn: "x" };
    session.delete(bea);
    await session.rollback();

    assertEquals(inspect(fresh).state, "transient");
    assertEquals([ada.name, first.meta, inspect(bea).state], ["Author 1", null, "persistent"]);
    assertStrictEquals(ada.books, books, "the array stays the same one");
    assertEquals(books, [first, second]);
    assertEquals([session.new, session.dirty, session.deleted], [[], [], []]);
  },
);

eachEngine(
  "a transaction that throws puts every object back as it was when it began",
  async ({ target }) => {
    await using engine = await openLibrary(target, { poolSize: 1, maxOverflow: 0 });
    await using session = engine.session();
    const [ada, bea] = authors(2, 2) as [Author, Author];
    session.addAll([ada, bea]);
    await session.commit();
    const books = ada.books as Book[];
    const [first, second] = books as [Book, Book];
    const fresh = new Author({ name: "Fresh" });

    await assertRejects(() =>
      session.begin(async () => {
        session.add(fresh);
        ada.name = "Changed";
        books.splice(0, 1);
        (bea.books as Book[]).push(first);
        await session.flush();
        assertEquals([fresh.id > 0, first.authorId], [true, bea.id]);
        ada.name = "Changed again";
        session.delete(second);
        books.length = 0;
        await session.flush();
        ada.email = "never flushed";
        await stop();
      }), Stop);

    assertEquals(inspect(fresh).state, "transient");
    assertEquals<unknown>([fresh.id, fresh.createdAt], [undefined, undefined]);
    assertEquals([ada.name, ada.email], ["Author 1", null]);
    assertStrictEquals(ada.books, books);
    assertEquals(books, [first, second]);
    assertEquals((bea.books as Book[]).length, 2);
    assertEquals([first.authorId, inspect(second).state], [ada.id, "persistent"]);
    assertStrictEquals(await session.get(Book, second.id), second);
    assertEquals([session.new, session.dirty, session.deleted], [[], [], []]);
    assertEquals(await session.query(Book).count(), 4);

    // All of it can be done again, and then stays.
    await session.begin(() => {
      session.add(fresh);
      session.delete(second);
      books.splice(1, 1);
    });
    assertEquals(inspect(second).state, "detached");
    assertEquals([await session.query(Author).count(), await session.query(Book).count()], [3, 3]);
  },
);

eachEngine("a failed commit puts changed, new and deleted objects back", async ({ target }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  const ada = new Author({ name: "Ada", email: "ada" });
  const bea = new Author({ name: "Bea", email: "bea", books: [new Book({ title: "B" })] });
  const carl = new Author({ name: "Carl" });
  session.addAll([ada, bea, carl]);
  await session.commit();
  const fresh = new Category({ name: "Fresh" });
  session.add(fresh);
  session.delete(carl);
  bea.email = "ada";
  bea.books = [];
  await assertRejects(() => session.commit(), Error);
  assertEquals([bea.email, (bea.books as Book[]).length], ["bea", 1]);
  assertEquals([inspect(fresh).state, inspect(carl).state], ["transient", "persistent"]);

  bea.email = "ada";
  session.add(fresh);
  session.delete(carl);
  await assertRejects(() => session.commit(), UniqueViolationError);
  assertEquals([bea.email, inspect(fresh).state, inspect(carl).state], [
    "bea",
    "transient",
    "persistent",
  ]);
  assertEquals(await session.query(Author).count(), 3);
});

eachEngine("a savepoint that throws undoes its own changes, and only these", async ({ target }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  const [ada] = authors(1, 1) as [Author];
  session.add(ada);
  await session.commit();
  const kept = new Category({ name: "Kept" });
  const lost = new Category({ name: "Lost" });
  await session.begin(async (tx) => {
    ada.name = "Outer";
    session.add(kept);
    await assertRejects(() =>
      tx.savepoint(async () => {
        ada.name = "Inner";
        kept.name = "Changed inside";
        session.add(lost);
        session.delete((ada.books as Book[])[0]!);
        await session.flush();
        await stop();
      }), Stop);
    assertEquals([ada.name, kept.name], ["Outer", "Kept"]);
    assertEquals([inspect(kept).state, inspect(lost).state], ["persistent", "transient"]);
    assertEquals(inspect((ada.books as Book[])[0]!).state, "persistent");
    await tx.savepoint(() => {
      ada.email = "inner@x";
    });
  });
  await using other = engine.session();
  const loaded = await other.query(Author).selectin("books").one();
  assertEquals([loaded.name, loaded.email, loaded.books.length], ["Outer", "inner@x", 1]);
  assertEquals((await other.query(Category).one()).name, "Kept");
});

eachEngine(
  "savepoints nest, and a rollback of the whole undoes the released ones too",
  async ({ target }) => {
    await using engine = await openLibrary(target);
    await using session = engine.session();
    const ada = new Author({ name: "0" });
    session.add(ada);
    await session.commit();
    const inside = new Category({ name: "Inside" });
    await assertRejects(() =>
      session.begin(async (tx) => {
        ada.name = "1";
        await tx.savepoint(async () => {
          ada.name = "2";
          session.add(inside);
          await tx.savepoint(() => {
            ada.name = "3";
          });
          await assertRejects(() =>
            tx.savepoint(async () => {
              ada.name = "4";
              await stop();
            }), Stop);
          assertEquals(ada.name, "3");
        });
        assertEquals([ada.name, inspect(inside).state], ["3", "persistent"]);
        await stop();
      }), Stop);
    assertEquals([ada.name, inspect(inside).state], ["0", "transient"]);
    assertEquals(await session.query(Category).count(), 0);
  },
);

eachEngine(
  "a statement that fails inside a savepoint leaves the transaction usable",
  async ({ target }) => {
    await using engine = await openLibrary(target);
    await using session = engine.session();
    session.add(new Author({ name: "Ada", email: "x" }));
    await session.commit();
    const clash = new Author({ name: "Clash", email: "x" });
    await session.begin(async (tx) => {
      await assertRejects(() =>
        tx.savepoint(() => {
          session.add(clash);
        }), UniqueViolationError);
      assertEquals(inspect(clash).state, "transient");
      clash.email = "y";
      session.add(clash);
    });
    assertEquals(await session.query(Author).count(), 2);
  },
);

eachEngine(
  "a transaction object rolls back when it is disposed, and when close() finds it open",
  async ({ target }) => {
    await using engine = await openLibrary(target, { poolSize: 1, maxOverflow: 0 });
    await using session = engine.session();
    const ada = new Author({ name: "Ada" });
    {
      await using _tx = await session.begin();
      session.add(ada);
      await session.flush();
      assert(ada.id > 0);
    }
    assertEquals<unknown>([inspect(ada).state, ada.id], ["transient", undefined]);
    {
      await using tx = await session.begin();
      session.add(ada);
      await tx.commit();
    }
    assertEquals(await session.query(Author).count(), 1);
    await session.begin();
    ada.name = "Never";
    await session.flush();
    await session.close();
    await using other = engine.session();
    assertEquals((await other.query(Author).one()).name, "Ada");
    assertEquals(engine.pool.status().checkedOut, 0);
  },
);

eachEngine(
  "rollback() restores a changed primary key and its place in the identity map",
  async ({ target }) => {
    await using engine = await openLibrary(target);
    await using session = engine.session();
    const country = new Country({ code: "A", name: "A" });
    session.add(country);
    await session.commit();
    await assertRejects(() =>
      session.begin(async () => {
        country.code = "B";
        await session.flush();
        assertStrictEquals(await session.get(Country, "B"), country);
        await stop();
      }), Stop);
    assertEquals(country.code, "A");
    assertStrictEquals(await session.get(Country, "A"), country);
    assertEquals(await session.get(Country, "B"), undefined);
  },
);

eachEngine("a later change after a rollback is written", async ({ target }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  const [ada] = authors(1, 1) as [Author];
  session.add(ada);
  await session.commit();
  const book = (ada.books as Book[])[0]!;
  await assertRejects(() =>
    session.begin(async () => {
      book.title = "T";
      ada.books = [book, new Book({ title: "Never" })];
      await session.flush();
      await stop();
    }), Stop);
  book.title = "T";
  (ada.books as Book[]).push(new Book({ title: "Now" }));
  await session.commit();
  await using other = engine.session();
  const loaded = await other.query(Author).selectin("books").one();
  assertEquals(loaded.titles().sort(), ["Now", "T"]);
});
