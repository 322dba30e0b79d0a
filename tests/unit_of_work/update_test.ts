import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { InputError, inspect, InstanceStateError, sql, StaleDataError } from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";
import {
  Author,
  authors,
  Book,
  Category,
  Country,
  openLibrary,
  Review,
  sent,
} from "../support/library_model.ts";

eachEngine("commit() writes only the columns that changed", async ({ target, engineName }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  const ada = new Author({ name: "Ada", email: "ada@x.y" });
  session.add(ada);
  await session.commit();
  ada.name = "Ada Lovelace";
  const statements = await sent(engine, () => session.commit());
  assertEquals(statements.length, 1);
  if (engineName === "sqlite") {
    assertEquals(
      statements[0],
      `update "authors" as t set "name" = v.column2 from (values (?, ?)) as v ` +
        `where t."id" = v.column1`,
    );
  } else assertEquals(statements[0], `update "authors" set "name" = $2 where "id" = $1`);
  await using other = engine.session();
  const loaded = await other.getOrFail(Author, ada.id);
  assertEquals([loaded.name, loaded.email], ["Ada Lovelace", "ada@x.y"]);
});

eachEngine(
  "commit() sends nothing for a change that was taken back, or that changes nothing",
  async ({ target }) => {
    await using engine = await openLibrary(target);
    await using session = engine.session();
    const [ada] = authors(1, 1) as [Author];
    session.add(ada);
    await session.commit();
    const book = (ada.books as Book[])[0]!;
    ada.name = "Other";
    ada.name = "Author 1";
    book.price = "1.5"; // the same number as "1.50"
    ada.createdAt = new Date(ada.createdAt);
    ada.mood = "not a column";
    assert(!session.isModified(ada));
    assertEquals(session.dirty, []);
    assertEquals(await sent(engine, () => session.commit()), []);
  },
);

eachEngine("an edit inside JSON, bytes or a Date is noticed", async ({ target }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  const book = new Book({
    title: "Notes",
    meta: { isbn: "1", words: ["a"] },
    cover: new Uint8Array([1, 2, 3]),
    author: new Author({ name: "Ada" }),
  });
  session.add(book);
  await session.commit();
  const stored = async () => {
    await using other = engine.session();
    return await other.query(Book).selectin("author").one();
  };

  book.meta!.words!.push("b");
  assert(session.isModified(book));
  await session.commit();
  assertEquals((await stored()).meta, { isbn: "1", words: ["a", "b"] });

  book.cover![0] = 9;
  await session.commit();
  assertEquals((await stored()).cover, new Uint8Array([9, 2, 3]));

  const author = book.author as Author;
  author.createdAt.setUTCFullYear(1815);
  await session.commit();
  assertEquals((await stored()).author.createdAt.getUTCFullYear(), 1815);
  assertEquals(await sent(engine, () => session.commit()), []);

  // A rollback takes them back, too.
  book.meta!.isbn = "2";
  book.cover![1] = 9;
  author.createdAt.setUTCFullYear(2000);
  await session.rollback();
  assertEquals(book.meta, { isbn: "1", words: ["a", "b"] });
  assertEquals(book.cover, new Uint8Array([9, 2, 3]));
  assertEquals(author.createdAt.getUTCFullYear(), 1815);
});

eachEngine(
  "rows with the same changed columns are updated by one statement",
  async ({ target, engineName }) => {
    await using engine = await openLibrary(target);
    await using session = engine.session();
    const all = authors(30);
    session.addAll(all);
    await session.commit();
    for (const [i, author] of all.entries()) {
      author.name = `Renamed ${i}`;
      if (i % 3 === 0) author.email = `${i}@x.y`;
    }
    const statements = await sent(engine, () => session.commit());
    if (engineName === "sqlite") assert(statements.length <= 8);
    else assertEquals(statements.length, 2);
    await using other = engine.session();
    const loaded = await other.query(Author).orderBy((a) => a.id.asc()).all();
    assertEquals(loaded.map((a) => [a.name, a.email]), all.map((a) => [a.name, a.email]));
  },
);

eachEngine("an update of null, and to null, arrives", async ({ target }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  const [a, b] = [new Author({ name: "A", email: "a" }), new Author({ name: "B" })];
  session.addAll([a, b]);
  await session.commit();
  a.email = null;
  b.email = "b";
  await session.commit();
  await using other = engine.session();
  const loaded = await other.query(Author).orderBy((x) => x.name.asc()).all();
  assertEquals(loaded.map((x) => x.email), [null, "b"]);
});

eachEngine(
  "a child moves between parents, by collection, by reference and by key",
  async ({ target }) => {
    await using engine = await openLibrary(target);
    await using session = engine.session();
    const [a, b] = authors(2, 1) as [Author, Author];
    session.addAll([a, b]);
    await session.commit();
    const book = (a.books as Book[])[0]!;
    const owner = async () => {
      await using other = engine.session();
      return (await other.getOrFail(Book, book.id)).authorId;
    };

    (a.books as Book[]).splice(0, 1);
    (b.books as Book[]).push(book);
    await session.commit();
    assertEquals([await owner(), book.authorId], [b.id, b.id]);

    book.author = a;
    await session.commit();
    assertEquals([await owner(), book.authorId], [a.id, a.id]);

    book.authorId = b.id;
    await session.commit();
    assertEquals(await owner(), b.id);

    book.author = new Author({ name: "New" });
    await session.commit();
    assertEquals(await owner(), (book.author as Author).id);
    assert((book.author as Author).id > 0);
    assertEquals(await sent(engine, () => session.commit()), []);
  },
);

eachEngine(
  "removing a child from a collection takes its key away, where it can be null",
  async ({ target }) => {
    await using engine = await openLibrary(target);
    await using session = engine.session();
    const child = new Category({ name: "Child" });
    const root = new Category({ name: "Root", children: [child, new Category({ name: "Other" })] });
    session.add(root);
    await session.commit();
    (root.children as Category[]).splice(0, 1);
    assertEquals(session.dirty, [child]);
    await session.commit();
    assertEquals(child.parentId, null);
    await using other = engine.session();
    assertEquals((await other.getOrFail(Category, child.id)).parentId, null);
  },
);

eachEngine(
  "removing a child whose key takes no null is refused, before anything is sent",
  async ({ target }) => {
    await using engine = await openLibrary(target);
    await using session = engine.session();
    const [ada] = authors(1, 2) as [Author];
    session.add(ada);
    await session.commit();
    const books = ada.books as Book[];
    const removed = books.pop()!;
    const statements = await sent(engine, async () => {
      const error = await assertRejects(() => session.commit(), InputError, "books.authorId");
      assertMatch(error.message, /session\.delete\(\)/);
    });
    assertEquals(statements, []);
    assertStrictEquals(ada.books, books);
    assertEquals(books.length, 2, "the collection is as it was");
    books.pop();
    session.delete(removed);
    await session.commit();
    assertEquals(await session.query(Book).count(), 1);
  },
);

eachEngine("assigning null to a belongsTo empties its key", async ({ target }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  const ada = new Author({ name: "Ada", country: new Country({ code: "GB", name: "Britain" }) });
  session.add(ada);
  await session.commit();
  ada.country = null;
  await session.commit();
  assertEquals(ada.countryCode, null);
  await using other = engine.session();
  const loaded = await other.query(Author).selectin("country").one();
  assertEquals([loaded.countryCode, loaded.country], [null, null]);
});

eachEngine(
  "a new object found in a loaded collection is inserted without add()",
  async ({ target }) => {
    await using engine = await openLibrary(target);
    await using session = engine.session();
    session.addAll(authors(1, 1));
    await session.commit();
    await using other = engine.session();
    const ada = await other.query(Author).selectin("books").one();
    const added = new Book({ title: "Added" });
    ada.books.push(added);
    await other.commit();
    assertEquals([added.authorId, inspect(added).state], [ada.id, "persistent"]);
    assertEquals(await other.query(Book).count(), 2);
  },
);

eachEngine(
  "a row that is gone is a StaleDataError that names it, for update and delete",
  async ({ target }) => {
    await using engine = await openLibrary(target);
    await using session = engine.session();
    const all = authors(3);
    session.addAll(all);
    await session.commit();
    await engine.execute(sql`delete from authors where id = ${all[1]!.id}`);

    for (const author of all) author.name += "!";
    const error = await assertRejects(() => session.commit(), StaleDataError);
    assertMatch(error.message, new RegExp(`Author ${all[1]!.id}`));
    assertEquals(all.map((author) => author.name), ["Author 1", "Author 2", "Author 3"]);
    await using other = engine.session();
    assertEquals((await other.query(Author).all()).map((a) => a.name).sort(), [
      "Author 1",
      "Author 3",
    ]);

    session.delete(all[1]!);
    await assertRejects(() => session.commit(), StaleDataError);
    assertEquals(inspect(all[1]!).state, "persistent");
  },
);

eachEngine("a primary key can be changed; the identity map follows", async ({ target }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  const country = new Country({ code: "BU", name: "Burma" });
  session.add(country);
  await session.commit();
  country.code = "MM";
  country.name = "Myanmar";
  await session.commit();
  assertStrictEquals(await session.get(Country, "MM"), country);
  assertEquals(await session.get(Country, "BU"), undefined);
  await using other = engine.session();
  assertEquals((await other.getOrFail(Country, "MM")).name, "Myanmar");
});

eachEngine("the values of one object belong to it alone", async ({ target }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  const words = ["shared"];
  const make = () => new Book({ title: "B", meta: { words }, author: new Author({ name: "A" }) });
  session.addAll([make(), make()]);
  await session.commit();
  await using other = engine.session();
  const [a, b] = await other.query(Book).all() as [Book, Book];
  a.meta!.words!.push("mine");
  assertEquals(b.meta, { words: ["shared"] });
  await other.rollback();
});

// --- delete ----------------------------------------------------------------------------------------

eachEngine(
  "delete() removes rows, dependents first, and detaches the objects after the commit",
  async ({ target }) => {
    await using engine = await openLibrary(target);
    await using session = engine.session();
    const child = new Category({ name: "Leaf" });
    const middle = new Category({ name: "Middle", children: [child] });
    const root = new Category({ name: "Root", children: [middle] });
    const review = new Review({
      stars: 1,
      book: new Book({ title: "B", author: new Author({ name: "A" }) }),
    });
    session.addAll([root, review]);
    await session.commit();

    const book = review.book as Book;
    for (const object of [book.author as Author, book, review]) session.delete(object);
    assertEquals(session.deleted.length, 3);
    await session.commit();
    for (const object of [book, review]) assertEquals(inspect(object).state, "detached");
    assertEquals(await session.query(Review).count() + await session.query(Book).count(), 0);
  },
);

eachEngine("a deleted key can be used again in the same commit", async ({ target }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  const old = new Author({ name: "Old", email: "a@b" });
  session.add(old);
  await session.commit();
  const { id } = old;
  session.delete(old);
  await session.commit();
  const next = new Author({ id, name: "New", email: "a@b" });
  session.add(next);
  await session.commit();
  assertStrictEquals(await session.get(Author, id), next);
});

eachEngine("delete() of a pending object forgets it; of others it refuses", async ({ target }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  const pending = new Author({ name: "Pending" });
  session.add(pending);
  session.delete(pending);
  assertEquals([inspect(pending).state, session.new.length], ["transient", 0]);
  assertEquals(await sent(engine, () => session.commit()), []);
  assertThrows(
    () => session.delete(new Author({ name: "Transient" })),
    InstanceStateError,
    "transient",
  );

  session.add(pending);
  await session.commit();
  await using other = engine.session();
  assertThrows(() => other.delete(pending), InstanceStateError);
  session.delete(pending);
  await session.commit();
  assertThrows(() => session.delete(pending), InstanceStateError, "detached");
  assertThrows(() => session.add(pending), InstanceStateError, "detached");
});

eachEngine("add() keeps an object that was marked for deletion", async ({ target }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  const [ada] = authors(1) as [Author];
  session.add(ada);
  await session.commit();
  session.delete(ada);
  session.add(ada);
  await session.commit();
  assertEquals(await session.query(Author).count(), 1);
});

eachEngine(
  "add() refuses an object of another session, and what is no entity",
  async ({ target }) => {
    await using engine = await openLibrary(target);
    await using session = engine.session();
    await using other = engine.session({ onUnflushedClose: "ignore" });
    const [ada, bea] = authors(2) as [Author, Author];
    other.add(ada);
    assertThrows(() => session.add(ada), InstanceStateError, "another session");
    bea.books = [new Book({ title: "B", author: ada })];
    assertThrows(() => session.add(bea), InstanceStateError, "another session");
    assertEquals(session.new, [], "nothing was taken in by half");
    for (const thing of [{}, null, 1, "Author", [ada]]) {
      assertThrows(() => session.add(thing as object), Error);
    }
  },
);

eachEngine(
  "what is put into a collection while a commit is under way belongs to the next",
  async ({ target }) => {
    await using engine = await openLibrary(target);
    await using session = engine.session();
    const ada = new Author({ name: "Ada", books: [new Book({ title: "First" })] });
    session.add(ada);
    const commit = session.commit();
    const late = new Book({ title: "Late" });
    (ada.books as Book[]).push(late);
    await commit;
    assertEquals(late.authorId, undefined);
    await session.commit();
    assertEquals(late.authorId, ada.id);
    assertEquals(await session.query(Book).count(), 2);
  },
);
eachEngine("delete() removes a whole tree of one table in one commit", async ({ target }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  const child = new Category({ name: "Leaf" });
  const middle = new Category({ name: "Middle", children: [child] });
  const root = new Category({ name: "Root", children: [middle] });
  session.add(root);
  await session.commit();
  await using other = engine.session();
  for (const category of await other.query(Category).orderBy((c) => c.id.asc()).all()) {
    other.delete(category);
  }
  await other.commit();
  assertEquals(await other.query(Category).count(), 0);
});
