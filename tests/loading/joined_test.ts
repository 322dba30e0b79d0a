import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import {
  type AsyncEngine,
  entity,
  hasMany,
  InputError,
  integer,
  manyToMany,
  MultipleResultsError,
  prepare,
  text,
  UsageError,
} from "@sluice/orm";
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

/** Six authors with three books each, each with two reviews by the first author; odd ones British. */
async function fill(engine: AsyncEngine): Promise<void> {
  await using session = engine.session();
  const all = authors(6, 3);
  const country = new Country({ code: "GB", name: "Britain" });
  for (const [i, author] of all.entries()) {
    if (i % 2 === 0) author.country = country;
    for (const book of author.books as Book[]) {
      book.reviews = [1, 2].map((stars) =>
        new Review({ stars, reviewer: stars === 1 ? all[0]! : null })
      );
    }
  }
  session.addAll(all);
  await session.commit();
}

const books = (n: number) => [1, 2, 3].map((i) => `Book ${n}.${i}`);

eachEngine("joined() loads relations to one object in the same statement", async ({ target }) => {
  await using engine = await openLibrary(target);
  await fill(engine);
  await using session = engine.session();
  const query = session.query(Review).orderBy((r) => r.id.asc());
  const statements = await sent(engine, async () => {
    const list = await query.joined("book.author.country", "reviewer").limit(8).all();
    assertEquals(list.length, 8);
    assertEquals(list.map((r) => r.book.author.name).slice(5), [
      "Author 1",
      "Author 2",
      "Author 2",
    ]);
    assertEquals(list.map((r) => r.book.author.country?.name).slice(5), [
      "Britain",
      undefined,
      undefined,
    ]);
    assertEquals(list.map((r) => r.reviewer === null), [
      false,
      true,
      false,
      true,
      false,
      true,
      false,
      true,
    ]);
    assertStrictEquals(list[0]!.reviewer, list[0]!.book.author);
  });
  assertEquals(statements.length, 1);
  assertEquals(session.dirty, []);
  assertEquals(await query.joined("book").where((r) => r.book.title.eq("Book 2.1")).count(), 2);
});

eachEngine("joined() folds a relation to many into whole parents", async ({ target }) => {
  await using engine = await openLibrary(target);
  await fill(engine);
  await using session = engine.session();
  session.add(new Author({ name: "Author 0" }));
  await session.commit();
  const query = session.query(Author).orderBy((a) => a.name.desc());
  const statements = await sent(engine, async () => {
    const list = await query.joined("books.reviews", "country").all();
    assertEquals(list.map((a) => a.name), [6, 5, 4, 3, 2, 1, 0].map((n) => `Author ${n}`));
    assertEquals(list.map((a) => a.books.map((b) => b.title).sort()), [
      ...[6, 5, 4, 3, 2, 1].map(books),
      [],
    ]);
    assert(list.every((a) => a.books.every((b) => b.reviews.length === 2)));
    assertEquals(list.map((a) => a.country?.name ?? "-").join(), "-,Britain,-,Britain,-,Britain,-");
  });
  assertEquals(statements.length, 1);
  assertEquals(session.dirty, []);
});

eachEngine("one by its key needs no limit, and so no subquery around it", async ({ target }) => {
  await using engine = await openLibrary(target);
  await fill(engine);
  await using session = engine.session();
  const query = session.query(Author).joined("books.reviews");
  const subqueries = async (work: () => Promise<unknown>) => {
    const [statement] = await sent(engine, work);
    return statement!.split("select").length - 2;
  };
  const titles = (author: { books: Book[] } | undefined) => author?.books.map((b) => b.title);

  assertEquals(
    await subqueries(async () => {
      assertEquals(titles(await query.where((a) => a.id.eq(2)).one()), books(2));
    }),
    0,
  );
  assertEquals(
    await subqueries(async () => {
      const mine = query.where((a) => a.id.eq(3).and(a.name.ne("nobody")));
      assertEquals(titles(await mine.first()), books(3));
    }),
    0,
  );
  assertEquals(await query.where((a) => a.id.eq(99)).oneOrNone(), undefined);
  // What is not certain to be one row is limited.
  for (
    const several of [
      query.where((a) => a.id.eq(4).or(a.id.eq(5))),
      query.where((a) => a.id.eq(a.id)),
      query.where((a) => a.name.eq("Author 1")),
    ]
  ) {
    assertEquals(await subqueries(() => several.first()), 1);
  }
  await assertRejects(() => query.where((a) => a.id.eq(a.id)).one(), MultipleResultsError);
});

eachEngine("a limit counts parents, whatever is joined to them", async ({ target }) => {
  await using engine = await openLibrary(target);
  await fill(engine);
  await using session = engine.session();
  const query = session.query(Author).joined("books.reviews", "country");
  const names = async (part: typeof query) =>
    (await part.all()).map((a) => {
      assertEquals(a.books.map((b) => b.title).sort(), books(Number(a.name.slice(7))));
      assertEquals(a.country === null, Number(a.name.slice(7)) % 2 === 0);
      return a.name;
    });
  const ordered = query.orderBy((a) => [a.country.name.desc().nullsLast(), a.name.desc()]);
  assertEquals(await names(ordered.limit(2)), ["Author 5", "Author 3"]);
  assertEquals(await names(ordered.offset(1).limit(3)), ["Author 3", "Author 1", "Author 6"]);
  assertEquals(await names(ordered.offset(5)), ["Author 2"]);
  assertEquals(await names(query.where((a) => a.name.gt("Author 3")).limit(1)), ["Author 4"]);
  assertEquals((await ordered.first())!.books.length, 3);
  assertEquals(await query.limit(4).count(), 4);
  const page = await ordered.page({ size: 4 });
  assertEquals(page.items.map((a) => a.books.length), [3, 3, 3, 3]);
  const some = prepare((p: { most: number }, session) =>
    session.query(Author).orderBy((a) => a.name.asc()).joined("books").limit(p.most)
  );
  assertEquals((await some(session, { most: 2 }).all()).map((a) => a.books.length), [3, 3]);
  await session.begin(async () => {
    assertEquals((await query.limit(2).lock("update").all()).length, 2);
    const plain = session.query(Review).joined("reviewer").limit(3).lock("update");
    assertEquals((await plain.all()).length, 3);
  });
});

eachEngine("joined() and selectin() go together, each way round", async ({ target }) => {
  await using engine = await openLibrary(target);
  await fill(engine);
  const count = async (
    path: (session: ReturnType<AsyncEngine["session"]>) => Promise<Author[]>,
  ) => {
    await using session = engine.session();
    let list: Author[] = [];
    const statements = await sent(engine, async () => void (list = await path(session)));
    for (const author of list) {
      const loaded = author.books as Book[];
      assertEquals(loaded.length, 3);
      for (const book of loaded) {
        assertStrictEquals(book.author, author);
        assertEquals((book.reviews as Review[]).length, 2);
      }
    }
    assertEquals(list.length, 6);
    return statements.length;
  };
  assertEquals(
    await count((s) => s.query(Author).joined("books.author", "books.reviews").all()),
    1,
  );
  assertEquals(
    await count((s) => s.query(Author).joined("books.author").selectin("books.reviews").all()),
    2,
  );
  assertEquals(
    await count((s) =>
      s.query(Author).selectin("books").joined("books.author", "books.reviews").all()
    ),
    2,
  );
  assertEquals(
    await count((s) =>
      s.query(Author).selectin("books", (q) => q.joined("author", "reviews")).all()
    ),
    2,
  );
  assertEquals(
    await count((s) =>
      s.query(Author).selectin("books", (q) => q.limit(3).joined("author", "reviews")).all()
    ),
    2,
  );
});

eachEngine("a joined relation can be filtered and sorted", async ({ target }) => {
  await using engine = await openLibrary(target);
  await fill(engine);
  await using session = engine.session();
  const list = await session.query(Author).orderBy((a) => a.name.asc())
    .joined("books", (q) => q.where((b) => b.price.gt("2")).orderBy((b) => b.title.desc())).all();
  assertEquals(
    list.map((a) => a.books.map((b) => b.title)),
    [1, 2, 3, 4, 5, 6].map((n) => [
      `Book ${n}.3`,
      `Book ${n}.2`,
    ]),
  );
  const none = await session.query(Author).joined("books", (q) => q.where((b) => b.title.eq("")))
    .limit(2).all();
  assertEquals(none.map((a) => a.books), [[], []]);
  await session.load(list, "books");
  assertEquals((list as Author[]).map((a) => (a.books as Book[]).length), [3, 3, 3, 3, 3, 3]);
  assertThrows(
    () => session.query(Author).joined("books", (q) => q.limit(1)),
    InputError,
    "no limit per parent",
  );
  assertThrows(() => session.query(Author).joined("bookz" as "books"), InputError, "bookz");
});

eachEngine(
  "a stream joins relations to one, and refuses to cut one to many",
  async ({ target }) => {
    await using engine = await openLibrary(target);
    await fill(engine);
    await using session = engine.session();
    const seen: string[] = [];
    const statements = await sent(engine, async () => {
      for await (const book of session.query(Book).joined("author.country").window(4)) {
        seen.push(book.author.name);
      }
    });
    assertEquals(seen.length, 18);
    assertEquals(statements.filter((text) => /^select/.test(text)).length <= 1, true);
    await assertRejects(
      async () => {
        for await (const _ of session.query(Author).joined("books"));
      },
      UsageError,
      `cannot join "books"`,
    );
    await assertRejects(
      async () => {
        for await (const _ of session.query(Book).joined("author.books"));
      },
      UsageError,
      `.selectin("books")`,
    );
    const lengths: number[] = [];
    for await (const author of session.query(Author).joined("books").commitEvery(4)) {
      lengths.push(author.books.length);
    }
    assertEquals(lengths, [3, 3, 3, 3, 3, 3], "batches are read whole");
  },
);

eachEngine("a tree joins itself", async ({ target }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  const leaf = (name: string) => new Category({ name });
  session.add(
    new Category({
      name: "root",
      children: [new Category({ name: "a", children: [leaf("a.a"), leaf("a.b")] }), leaf("b")],
    }),
  );
  await session.commit();
  await using other = engine.session();
  const root = await other.query(Category).where((c) => c.parentId.isNull())
    .joined("parent", "children.children").one();
  assertEquals(root.parent, null);
  assertEquals(
    root.children.map((c) => [c.name, ...c.children.map((d) => d.name).sort()]).sort(),
    [["a", "a.a", "a.b"], ["b"]],
  );
});

class Shelf extends entity("shelves", {
  id: integer().primaryKey().generated(),
  items: hasMany<Item>("items.shelfId", { orderBy: "name desc" }),
}) {}
class Item extends entity("items", {
  id: integer().primaryKey().generated(),
  name: text(),
  shelfId: integer().nullable().references("shelves.id"),
  labels: manyToMany<Label>("item_labels", { orderBy: "name" }),
}, { filters: { shown: (i) => i.name.ne("hidden") } }) {}
class Label extends entity("labels", {
  id: integer().primaryKey().generated(),
  name: text(),
  items: manyToMany<Item>("item_labels"),
}, { filters: { shown: (l) => l.name.ne("hidden") } }) {}

eachEngine("joined() follows tables between, orders and filters", async ({ target }) => {
  await using engine = await openLibrary(target, { entities: [Shelf, Item, Label] });
  await using session = engine.session();
  const labels = ["y", "hidden", "x"].map((name) => new Label({ name }));
  session.addAll([
    new Shelf({
      items: ["a", "hidden", "b"].map((name) => new Item({ name, labels: [...labels] })),
    }),
    new Shelf({ items: [new Item({ name: "c", labels: [labels[1]!] })] }),
  ]);
  await session.commit();
  await using other = engine.session();
  const query = other.query(Shelf).joined("items.labels");
  const shape = async (part: typeof query) =>
    (await part.all()).map((s) => s.items.map((i) => [i.name, ...i.labels.map((l) => l.name)]));
  const statements = await sent(engine, async () => {
    assertEquals(await shape(query), [[["b", "x", "y"], ["a", "x", "y"]], [["c"]]]);
    assertEquals(await shape(query.limit(1)), [[["b", "x", "y"], ["a", "x", "y"]]]);
    assertEquals(await shape(query.offset(1)), [[["c"]]]);
  });
  assertEquals(statements.length, 3);
  assertEquals(other.dirty, []);
  assertEquals((await shape(query.unfiltered("shown"))).flat().length, 4);
  const [b] = await other.query(Item).unfiltered("shown").where((i) => i.name.eq("b"))
    .selectin("labels", (q) => q.joined("items")).all();
  assertEquals(b!.labels.map((l) => l.items.map((i) => i.name).sort().length), [4, 3, 3]);
});
