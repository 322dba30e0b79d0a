import { assert, assertEquals, assertMatch, assertRejects, assertStrictEquals } from "@std/assert";
import {
  AsyncEngine,
  belongsTo,
  boolean,
  createAll,
  entity,
  InputError,
  inspect,
  integer,
  text,
  UniqueViolationError,
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

const onePlace = { poolSize: 1, maxOverflow: 0 };

eachEngine(
  "commit() inserts an object with all that hangs on it, and fills its keys in",
  async ({ target }) => {
    await using engine = await openLibrary(target, onePlace);
    await using session = engine.session();
    const review = new Review({ stars: 5 });
    const book = new Book({ title: "Notes", price: "9.50", reviews: [review] });
    const ada = new Author({
      name: "Ada",
      country: new Country({ code: "GB", name: "Britain" }),
      books: [book],
    });
    assertEquals(inspect(ada).state, "transient");
    session.add(ada);
    assertEquals(inspect(review).state, "pending");
    assertEquals(session.new.length, 4);
    await session.commit();

    for (const object of [ada, book, review]) assertEquals(inspect(object).state, "persistent");
    assertEquals(session.new.length, 0);
    assert(Number.isInteger(ada.id) && Number.isInteger(book.id) && Number.isInteger(review.id));
    assertEquals([book.authorId, review.bookId, ada.countryCode], [ada.id, book.id, "GB"]);

    await using other = engine.session();
    const loaded = await other.query(Author).selectin("books.reviews", "country").one();
    assertEquals(loaded.books[0]!.reviews[0]!.stars, 5);
    assertEquals(loaded.country!.name, "Britain");
  },
);

eachEngine(
  "commit() follows belongsTo as well: a new book brings its new author",
  async ({ target }) => {
    await using engine = await openLibrary(target, onePlace);
    await using session = engine.session();
    const book = new Book({ title: "Notes", author: new Author({ name: "Ada" }) });
    session.add(book);
    await session.commit();
    assertStrictEquals((await session.get(Author, book.authorId))!.name, "Ada");
  },
);

eachEngine("commit() reads defaults of the database back", async ({ target }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  const before = Date.now();
  const ada = new Author({ name: "Ada" });
  session.add(ada);
  await session.commit();
  assert(ada.createdAt instanceof Date);
  assert(Math.abs(ada.createdAt.getTime() - before) < 60_000);
  assertEquals([ada.email, ada.countryCode], [null, null]);
  const book = new Book({ title: "Notes", author: ada });
  assertEquals(book.price, "0", "the default is there from the start");
  session.add(book);
  await session.commit();
  assertEquals((await sent(engine, () => session.commit())).length, 0, "nothing is left to write");
});

eachEngine(
  "a given value wins over a default of the database, and over a generated key",
  async ({ target }) => {
    await using engine = await openLibrary(target);
    await using session = engine.session();
    const ada = new Author({ id: 77, name: "Ada", createdAt: new Date(0) });
    session.addAll([ada, new Author({ name: "Bea" })]);
    await session.commit();
    await using other = engine.session();
    const loaded = await other.getOrFail(Author, 77);
    assertEquals(loaded.createdAt, new Date(0));
  },
);

eachEngine("commit() sends same-shaped rows as one statement", async ({ target, engineName }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  session.addAll(authors(20, 5));
  const statements = await sent(engine, () => session.commit());
  if (engineName !== "sqlite") assertEquals(statements.length, 2, statements.join("\n"));
  // SQLite binds value by value and sends powers of two.
  else assert(statements.length <= 10, statements.join("\n"));
  await using other = engine.session();
  const loaded = await other.query(Author).orderBy((a) => a.id.asc()).selectin("books").all();
  assertEquals(loaded.map((author) => author.name), authors(20).map((author) => author.name));
  for (const [i, author] of loaded.entries()) {
    assertEquals(author.titles().toSorted(), [1, 2, 3, 4, 5].map((j) => `Book ${i + 1}.${j}`));
  }
});

eachEngine("1,000 parents with 5,000 children cost a handful of statements", async ({ target }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  const all = authors(1000, 5);
  session.addAll(all);
  assertEquals((await sent(engine, () => session.commit())).length, 2);
  for (const author of all) {
    for (const book of author.books as Book[]) assertEquals(book.authorId, author.id);
  }
  assertEquals(await session.query(Book).count(), 5000);
}, { only: ["postgres", "pglite"] });

eachEngine("commit() gives keys in the order in which objects were added", async ({ target }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  const all = authors(700);
  session.addAll(all);
  await session.commit();
  assertEquals(all.map((author) => author.id), all.map((_, i) => all[0]!.id + i));
});

eachEngine(
  "a tree of three levels is inserted from its root, whatever was added first",
  async ({ target }) => {
    await using engine = await openLibrary(target, onePlace);
    for (const order of ["root", "leaf"]) {
      await using session = engine.session();
      const leaf = new Category({ name: "Leaf" });
      const middle = new Category({ name: "Middle", children: [leaf] });
      const root = new Category({
        name: "Root",
        children: [middle, new Category({ name: "Other" })],
      });
      if (order === "leaf") {
        leaf.parent = middle;
        middle.parent = root;
      }
      session.add(order === "leaf" ? leaf : root);
      await session.commit();
      assertEquals([root.parentId, middle.parentId, leaf.parentId], [null, root.id, middle.id]);
    }
    await using session = engine.session();
    const loaded = await session.query(Category).where((c) => c.parentId.isNull())
      .orderBy((c) => c.id.desc()).selectin("children.children").first();
    assertEquals(loaded!.children[0]!.children[0]!.name, "Leaf");
  },
);

eachEngine("a ring of nullable keys is inserted, then closed by an UPDATE", async ({ target }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  const a = new Category({ name: "A" });
  const b = new Category({ name: "B", parent: a });
  a.parent = b;
  session.add(a);
  const statements = await sent(engine, () => session.commit());
  assertMatch(statements.at(-1)!, /^update/);
  assertEquals([a.parentId, b.parentId], [b.id, a.id]);
  const self = new Category({ name: "Self" });
  self.parent = self;
  session.add(self);
  await session.commit();
  assertEquals(self.parentId, self.id);
  assertEquals((await sent(engine, () => session.commit())).length, 0, "all is in step");
});

class Man extends entity("men", {
  id: integer().primaryKey().generated(),
  wifeId: integer().references("women.id"),
  wife: belongsTo<Woman>("wifeId"),
}) {}
class Woman extends entity("women", {
  id: integer().primaryKey().generated(),
  husbandId: integer().references("men.id"),
  husband: belongsTo<Man>("husbandId"),
}) {}

eachEngine(
  "a ring of keys that take no null is refused, and nothing is sent",
  async ({ target }) => {
    await using engine = await openLibrary(target, { entities: [Man, Woman] });
    await using session = engine.session();
    const adam = new Man({});
    adam.wife = new Woman({ husband: adam });
    session.add(adam);
    const statements = await sent(engine, async () => {
      const error = await assertRejects(() => session.commit(), InputError, "Man");
      assertMatch(error.message, /Woman/);
      assertMatch(error.message, /nullable\(\)/);
    });
    assertEquals(statements, []);
    assertEquals(inspect(adam).state, "transient");
  },
);

class Switch extends entity("switches", {
  id: integer().primaryKey().generated(),
  on: boolean().defaultSql("true"),
  label: text().nullable(),
}) {}

eachEngine("rows that give different columns are all stored", async ({ target }) => {
  await using engine = await openLibrary(target, { entities: [Switch] });
  await using session = engine.session();
  const all = [
    new Switch({}),
    new Switch({ on: false }),
    new Switch({ label: "x" }),
    new Switch({ id: 50 }),
    new Switch({}),
  ];
  session.addAll(all);
  await session.commit();
  assertEquals(all.map((s) => s.on), [true, false, true, true, true]);
  assertEquals(new Set(all.map((s) => s.id)).size, 5);
});

eachEngine(
  "a flush takes its picture synchronously: what changes meanwhile belongs to the next",
  async ({ target }) => {
    await using engine = await openLibrary(target);
    await using session = engine.session();
    const ada = new Author({ name: "Ada" });
    session.add(ada);
    const first = session.commit();
    ada.name = "Later";
    session.add(new Author({ name: "Added meanwhile" }));
    await first;
    const names = async () => {
      await using other = engine.session();
      return (await other.query(Author).orderBy((a) => a.id.asc()).all()).map((a) => a.name);
    };
    assertEquals(await names(), ["Ada"]);
    assertEquals(session.new.length, 1);
    assertEquals(session.dirty, [ada]);
    await session.commit();
    assertEquals(await names(), ["Later", "Added meanwhile"]);
  },
);

eachEngine("several commits at once store everything once", async ({ target }) => {
  await using engine = await openLibrary(target, onePlace);
  await using session = engine.session();
  await Promise.all(
    authors(10).map(async (author) => {
      session.add(author);
      await session.commit();
    }),
  );
  assertEquals(await session.query(Author).count(), 10);
});

eachEngine(
  "a missing value is refused before anything is sent, and names the column",
  async ({ target }) => {
    await using engine = await openLibrary(target);
    await using session = engine.session();
    session.add(new Book({ title: "Orphan" }));
    const statements = await sent(engine, async () => {
      await assertRejects(() => session.commit(), InputError, "books.authorId");
    });
    assertEquals(statements, []);
    await session.rollback();
    const ada = new Author({ name: "Ada" });
    ada.name = null as unknown as string;
    session.add(ada);
    await assertRejects(() => session.commit(), InputError, `"authors.name" takes no null`);
    await session.rollback();
  },
);

eachEngine(
  "a failed commit makes new objects transient again, without the keys they were given",
  async ({ target }) => {
    await using engine = await openLibrary(target);
    await using session = engine.session();
    session.add(new Author({ name: "First", email: "a@b.c" }));
    await session.commit();
    const fresh = new Author({ name: "Fresh", books: [new Book({ title: "B" })] });
    const clash = new Author({ name: "Clash", email: "a@b.c" });
    session.addAll([fresh, clash]);
    await assertRejects(() => session.commit(), UniqueViolationError);
    for (const author of [fresh, clash]) {
      assertEquals(inspect(author).state, "transient");
      assertEquals<unknown>([author.id, author.createdAt], [undefined, undefined]);
    }
    assertEquals((fresh.books as Book[]).length, 1);
    assertEquals(await session.query(Author).count(), 1);
    // It can be mended and stored.
    clash.email = "other@b.c";
    session.addAll([fresh, clash]);
    await session.commit();
    assertEquals(await session.query(Book).count(), 1);
  },
);

Deno.test("AsyncEngine works on a tree deeper than the stack", async () => {
  await using engine = new AsyncEngine("sqlite::memory:", { entities: [Category] });
  await createAll(engine);
  await using session = engine.session();
  let node = new Category({ name: "0" });
  const leaf = node;
  for (let i = 1; i < 3000; i++) {
    const parent = new Category({ name: String(i) });
    node.parent = parent;
    node = parent;
  }
  session.add(leaf);
  await session.commit();
  assertEquals(await session.query(Category).count(), 3000);
});
