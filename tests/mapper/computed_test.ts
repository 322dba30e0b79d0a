/** Computed columns: `{ computed: { bookCount: (a) => a.books.count() } }`. */

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  AsyncEngine,
  belongsTo,
  createAll,
  type Driver,
  entity,
  hasMany,
  InputError,
  integer,
  MappingError,
  numeric,
  sql,
  text,
} from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";

class Author extends entity("authors", {
  id: integer().primaryKey().generated(),
  name: text(),
  bio: text().nullable().deferred(),
  books: hasMany<Book>("books.authorId", { orderBy: "id" }),
}, {
  computed: {
    bookCount: (a) => a.books.count(),
    shout: (a) => a.name.upper(),
    worth: (a) => a.books.sum((b) => b.price),
  },
}) {}

class Book extends entity("books", {
  id: integer().primaryKey().generated(),
  title: text(),
  price: numeric(10, 2),
  authorId: integer().nullable().references("authors.id"),
  author: belongsTo<Author | null>("authorId"),
  loans: hasMany<Loan>("loans.bookId"),
}) {}

class Loan extends entity("loans", {
  id: integer().primaryKey().generated(),
  bookId: integer().nullable().references("books.id"),
  book: belongsTo<Book | null>("bookId"),
}, { computed: { title: (l) => l.book.title, by: (l) => l.book.author.shout } }) {}

async function open(target: string | Driver): Promise<AsyncEngine> {
  const engine = new AsyncEngine(target, { entities: [Author, Book, Loan] });
  await createAll(engine);
  await using session = engine.session();
  const book = (title: string, price: string) => new Book({ title, price });
  const notes = book("Notes", "9.25");
  session.add(new Author({ name: "Ada", books: [notes, book("Looms", "0.50")] }));
  session.add(new Author({ name: "Bob" }));
  session.addAll([book("Anon", "1.00"), new Loan({ book: notes }), new Loan({})]);
  await session.commit();
  return engine;
}

eachEngine("a computed column comes with the object", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  const [ada, bob] = await session.query(Author).orderBy((a) => a.id).all();
  const count: number = ada!.bookCount;
  const worth: string | null = ada!.worth;
  assertEquals([count, ada!.shout, worth], [2, "ADA", "9.75"]);
  assertEquals([bob!.bookCount, bob!.shout, bob!.worth], [0, "BOB", null]);
  const found = await session.get(Author, 1);
  assertEquals(found, ada);
  const loans = await session.query(Loan).orderBy((l) => l.id).all();
  const titles: (string | null)[] = loans.map((l) => l.title);
  assertEquals(titles, ["Notes", null]);
  assertEquals(loans.map((l) => l.by), ["ADA", null]);
});

eachEngine("computed columns serve in conditions, orders and rows", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  const names = session.query(Author).where((a) => a.bookCount.lt(2));
  assertEquals((await names.all()).map((a) => a.name), ["Bob"]);
  assertEquals(await names.count(), 1);
  const byCount = session.query(Author).orderBy((a) => a.bookCount.asc());
  assertEquals((await byCount.all()).map((a) => a.name), ["Bob", "Ada"]);
  const rows = session.query(Book).select((b) => ({ t: b.title, n: b.author.bookCount }))
    .orderBy((b) => b.id);
  assertEquals((await rows.all()).map(({ n }) => n), [2, 2, 0]);
});

eachEngine("computed columns come with relations, refined ones too", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  const notes = await session.query(Book).where((b) => b.title.eq("Notes"))
    .selectin("author").selectin("loans", (q) => q.orderBy((l) => l.id).limit(1)).one();
  assertEquals(notes.author?.bookCount, 2);
  assertEquals(notes.loans.map((l) => [l.title, l.by]), [["Notes", "ADA"]]);
  const joined = await session.query(Book).where((b) => b.title.eq("Notes"))
    .joined("author").joined("loans").one();
  assertEquals([joined.author?.shout, joined.loans[0]?.by], ["ADA", "ADA"]);
  const streamed: number[] = [];
  for await (const author of session.query(Author).orderBy((a) => a.id)) {
    streamed.push(author.bookCount);
  }
  assertEquals(streamed, [2, 0]);
});

eachEngine("computed columns are neither tracked nor written", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  const ada = await session.getOrFail(Author, 1);
  (ada as { bookCount: number }).bookCount = 7;
  assertEquals(session.dirty, []);
  ada.name = "Ada L.";
  session.add(new Book({ title: "More", price: "1.00", author: ada }));
  await session.commit();
  assertEquals(await session.query(Author).where((a) => a.name.eq("Ada L.")).one(), ada);
  assertEquals([ada.bookCount, ada.shout], [3, "ADA L."], "a query brings them up to date");
  assertEquals(JSON.parse(JSON.stringify(ada)).bookCount, 3);
});

Deno.test("a mistake in a computed column is told when the engine is made or first used", async () => {
  class Loose extends entity("loose", { id: integer().primaryKey() }, {
    computed: { what: () => sql<number>`1` },
  }) {}
  await using engine = new AsyncEngine("sqlite::memory:", { entities: [Loose] });
  const error = await assertRejects(() => createAll(engine), MappingError);
  assertEquals(error.problems.length, 1);
  assertThrows(
    () => entity("twice", { id: integer().primaryKey() }, { computed: { id: (t) => t.id } }),
    InputError,
    `"twice.id"`,
  );
  // @ts-expect-error -- a computed column is not given to a new object
  assertThrows(() => new Author({ name: "Eve", bookCount: 1 }), InputError, "bookCount");
});
