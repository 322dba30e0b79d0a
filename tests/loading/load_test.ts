import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import {
  type AsyncEngine,
  DetachedInstanceError,
  entity,
  InputError,
  inspect,
  InstanceStateError,
  integer,
  lazy,
  manyToMany,
  text,
} from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";
import { Author, authors, Book, openLibrary, Review, sent } from "../support/library_model.ts";

/** Ten authors, the nth with n books, each with one review. */
async function fill(engine: AsyncEngine): Promise<void> {
  await using session = engine.session();
  for (const [i, author] of authors(10, 10).entries()) {
    author.books = (author.books as Book[]).slice(0, i + 1);
    for (const book of author.books) book.reviews = [new Review({ stars: i })];
    session.add(author);
  }
  await session.commit();
}

const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1);

eachEngine("session.load() loads for many objects, with one statement per path", async ({
  target,
}) => {
  await using engine = await openLibrary(target, { poolSize: 1, maxOverflow: 0 });
  await fill(engine);
  await using session = engine.session();
  const all = await session.query(Author).orderBy((a) => a.id.asc()).all();
  const count = async (body: () => Promise<unknown>) => (await sent(engine, body)).length;
  let loaded = 0;
  assertEquals(
    await count(async () => {
      const list = await session.load(all, "books.reviews", "country");
      assertEquals(list.map((a) => a.books.length), upTo(10));
      assert(list.every((a, i) => a === all[i] && a.books[0]!.reviews.length === 1));
      loaded = list.length;
    }),
    2,
    "books and their reviews; no author has a country",
  );
  assertEquals(loaded, 10);
  assertEquals(await count(() => session.load(all, "books", "country")), 0, "loaded already");
  assertEquals(await count(() => session.load(all, "books.author")), 1, "only the last step");
  assertEquals(await count(() => session.load([] as Author[], "books")), 0);
  assertEquals(await count(() => session.load(all)), 0);
  assertEquals(session.dirty, []);
  await using other = engine.session();
  const some = await other.query(Author).orderBy((a) => a.id.asc()).limit(4).all();
  await other.load(some.slice(0, 2), "books");
  const statements = await sent(engine, () => other.load(new Set(some), "books"));
  assertEquals(statements.length, 1);
  assertEquals((await other.load(some, "books")).map((a) => a.books.length), upTo(4));
});

eachEngine("session.load() refines, and replaces what was loaded in part", async ({ target }) => {
  await using engine = await openLibrary(target);
  await fill(engine);
  await using session = engine.session();
  const all = await session.query(Author).orderBy((a) => a.id.asc()).all();
  const part = await session.load(all, "books", (q) => q.orderBy((b) => b.id.desc()).limit(2));
  assertEquals(part.map((a) => a.books.length), [1, 2, 2, 2, 2, 2, 2, 2, 2, 2]);
  const statements = await sent(engine, async () => {
    assertEquals((await session.load(all, "books")).map((a) => a.books.length), upTo(10));
  });
  assertEquals(statements.length, 1);
});

eachEngine("session.load() leaves alone what the program changed", async ({ target }) => {
  await using engine = await openLibrary(target);
  await fill(engine);
  await using session = engine.session();
  const [first] = await session.query(Author).orderBy((a) => a.id.asc()).limit(1).all();
  const mine = new Book({ title: "Mine" });
  first!.books = [mine];
  const [loaded] = await session.load([first!], "books");
  assertStrictEquals(loaded!.books[0], mine);
  // Those that are replaced would be left without an author.
  const old = await session.query(Book).where((b) => b.authorId.eq(first!.id)).all();
  await session.begin(async () => {
    for (const book of old) session.delete(book);
    const [loaded] = await session.load([first!], "books.author", "books.reviews");
    assertEquals(loaded!.books[0]!.reviews, [], "flushed first, and loaded then");
    const fresh = new Author({ name: "Fresh" });
    session.add(fresh);
    assertEquals((await session.load([fresh], "country"))[0]!.country, null);
  });
});

eachEngine("session.load() and lazy() refuse objects that are not of the session", async ({
  target,
}) => {
  await using engine = await openLibrary(target);
  await fill(engine);
  await using session = engine.session();
  const fresh = new Author({ name: "Fresh" });
  await assertRejects(() => session.load([fresh], "books"), InstanceStateError, "transient");
  session.add(fresh);
  await assertRejects(() => session.load([fresh], "books"), InstanceStateError, "pending");
  await assertRejects(() => lazy(fresh).books, InstanceStateError, "pending");
  await assertRejects(() => session.load([{} as Author], "books"), InputError);
  await assertRejects(() => session.load([fresh], "bookz" as "books"), InputError, "bookz");
  const other = engine.session();
  const theirs = (await other.query(Author).first())!;
  await assertRejects(() => session.load([theirs], "books"), InstanceStateError, "another session");
  await assertRejects(() => session.counts([theirs], "books"), InstanceStateError);
  await other.close();
  await assertRejects(() => session.load([theirs], "books"), InstanceStateError, "detached");
  await assertRejects(() => lazy(theirs).books, DetachedInstanceError, "no session");
  await assertRejects(() => other.load([theirs], "books"));
  assertThrows(() => lazy({} as Author), InputError, "expects an entity");
  session.expunge(fresh);
});

eachEngine("lazy() in a loop costs one statement, in whatever way it loops", async ({ target }) => {
  await using engine = await openLibrary(target, { poolSize: 1, maxOverflow: 0 });
  await fill(engine);
  const load = async () => {
    const session = engine.session();
    return { session, list: await session.query(Author).orderBy((a) => a.id.asc()).all() };
  };
  const one = await load();
  let statements = await sent(engine, async () => {
    const lengths: number[] = [];
    for (const author of one.list) lengths.push((await lazy(author).books).length);
    assertEquals(lengths, upTo(10));
  });
  assertEquals(statements.length, 1);
  statements = await sent(engine, async () => {
    for (const author of one.list) {
      for (const book of await lazy(author).books) {
        assertEquals((await lazy(book).reviews).length, 1);
        assertStrictEquals(await lazy(book).author, author);
      }
    }
  });
  assertEquals(statements.length, 2, "the books of all authors are peers of each other");
  await one.session.close();

  const two = await load();
  statements = await sent(engine, async () => {
    const lists = await Promise.all(two.list.map((author) => lazy(author).books));
    assertEquals(lists.map((books) => books.length), upTo(10));
  });
  assertEquals(statements.length, 1, "all at once");
  await two.session.close();

  const three = await load();
  statements = await sent(engine, async () => {
    const [, second] = three.list;
    three.session.expunge(three.list[2]!);
    three.session.delete(three.list[3]!);
    // The result is the program's own.
    three.list.length = 0;
    assertEquals((await lazy(second!).books).length, 2);
  });
  assertEquals(statements.length, 1);
  three.session.rollback();
  await three.session.close();
});

eachEngine("lazy() in a stream's loop costs one statement per window", async ({ target }) => {
  await using engine = await openLibrary(target, { poolSize: 1, maxOverflow: 0 });
  await fill(engine);
  await using session = engine.session();
  const lengths: number[] = [];
  const statements = await sent(engine, async () => {
    for await (const author of session.query(Author).orderBy((a) => a.id.asc()).window(5)) {
      lengths.push((await lazy(author).books).length);
    }
  });
  assertEquals(lengths, upTo(10));
  assertEquals(statements.filter((text) => /"books"/.test(text)).length, 2);
});

eachEngine("what a stream's loop loads is let go of with its window", async ({ target }) => {
  await using engine = await openLibrary(target);
  await fill(engine);
  await using session = engine.session();
  const kept = (await session.query(Book).first())!;
  const windows: Book[][] = [];
  for await (const author of session.query(Author).orderBy((a) => a.id.asc()).window(5)) {
    windows.push(await lazy(author).books);
    await session.load(windows.at(-1)!, "reviews");
    const [first] = windows;
    assertEquals(inspect(first![0]!).state, "persistent");
    if (windows.length === 2) windows[1]![0]!.title = "Changed";
    if (windows.length === 6) {
      assertEquals(inspect(windows[1]![0]!).state, "persistent", "it was changed");
      assertEquals(inspect(windows[1]![1]!).state, "detached");
      assertEquals(inspect(windows[4]![4]!).state, "detached");
      assertEquals(inspect((windows[4]![4]!.reviews as Review[])[0]!).state, "detached");
      assertEquals(inspect(windows[5]![0]!).state, "persistent");
    }
  }
  assertEquals(inspect(kept).state, "persistent", "it was there before");
  assertEquals(windows.map((list) => list.length), upTo(10));
  session.rollback();
});

eachEngine("lazy() gives what is loaded or assigned without a statement", async ({ target }) => {
  await using engine = await openLibrary(target);
  await fill(engine);
  await using session = engine.session();
  const author = await session.query(Author).orderBy((a) => a.id.asc()).selectin("books").first();
  const statements = await sent(engine, async () => {
    assertStrictEquals(await lazy(author!).books, author!.books);
    const fresh = new Author({ name: "Fresh", books: [] });
    assertEquals(await lazy(fresh).books, []);
  });
  assertEquals(statements, []);
  assertStrictEquals(await lazy(author!).country, null);
  await assertRejects(() => (lazy(author!) as unknown as { x: Promise<void> }).x, InputError);
  await lazy(author!);
});

class Post extends entity("posts", {
  id: integer().primaryKey().generated(),
  tags: manyToMany<Tag>("post_tags"),
}) {}
class Tag extends entity("tags", {
  id: integer().primaryKey().generated(),
  label: text(),
  posts: manyToMany<Post>("post_tags"),
}, { filters: { shown: (t) => t.label.ne("hidden") } }) {}

eachEngine("session.counts() counts for many objects in one statement", async ({ target }) => {
  await using engine = await openLibrary(target);
  await fill(engine);
  await using session = engine.session();
  session.add(new Author({ name: "Alone" }));
  await session.commit();
  const all = await session.query(Author).orderBy((a) => a.id.asc()).all();
  const statements = await sent(engine, async () => {
    const counts = await session.counts(all, "books");
    assertEquals(all.map((a) => counts.get(a)), [...upTo(10), 0]);
    const dear = await session.counts(all, "books", (b) => b.price.gt("9"));
    assertEquals(all.map((a) => dear.get(a)), [0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0]);
  });
  assertEquals(statements.length, 2);
  assertEquals((await session.counts([] as Author[], "books")).size, 0);
  for (const name of ["country", "books.reviews", "name", "bookz", null]) {
    await assertRejects(() => session.counts(all, name as "books"), InputError);
  }
});

eachEngine("session.counts() counts over a table between, filters minded", async ({ target }) => {
  await using engine = await openLibrary(target, { entities: [Post, Tag] });
  await using session = engine.session();
  const tags = ["a", "b", "hidden"].map((label) => new Tag({ label }));
  const posts = [0, 1, 2, 3].map((n) => new Post({ tags: tags.slice(0, n) }));
  session.addAll(posts);
  await session.commit();
  const counts = await session.counts(posts, "tags");
  assertEquals(posts.map((p) => counts.get(p)), [0, 1, 2, 2]);
  const some = await session.counts(posts, "tags", (t) => t.label.eq("b"));
  assertEquals(posts.map((p) => some.get(p)), [0, 0, 1, 1]);
});
