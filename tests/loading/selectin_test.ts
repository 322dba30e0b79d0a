import { assert, assertEquals, assertMatch, assertStrictEquals, assertThrows } from "@std/assert";
import {
  belongsTo,
  date,
  entity,
  hasMany,
  InputError,
  integer,
  text,
  timestamptz,
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

async function openFilled(target: Parameters<typeof openLibrary>[0]) {
  const engine = await openLibrary(target, { poolSize: 1, maxOverflow: 0 });
  await using session = engine.session();
  const all = authors(20, 3);
  for (const [i, author] of all.entries()) {
    if (i % 2 === 0) author.countryCode = "GB";
    for (const book of author.books as Book[]) {
      book.reviews = [new Review({ stars: i % 5, reviewer: i === 0 ? null : all[0]! })];
    }
  }
  session.add(new Country({ code: "GB", name: "Britain" }));
  await session.commit();
  session.addAll(all);
  await session.commit();
  return engine;
}

eachEngine(
  "selectin() costs one statement per path, whatever the number of objects",
  async ({ target }) => {
    await using engine = await openFilled(target);
    await using session = engine.session();
    const query = session.query(Author).orderBy((a) => a.id.asc());
    const count = async (body: () => Promise<unknown>) => (await sent(engine, body)).length;
    assertEquals(await count(() => query.all()), 1);
    assertEquals(await count(() => query.selectin("books").all()), 2);
    assertEquals(await count(() => query.selectin("books", "country").all()), 3);
    assertEquals(await count(() => query.selectin("books.reviews.reviewer", "country").all()), 5);
    assertEquals(
      await count(() => query.selectin("books.reviews", "books.author", "books").all()),
      4,
      "a shared prefix once",
    );
    assertEquals(await count(() => query.limit(1).selectin("books").all()), 2);
    assertEquals(
      await count(() => query.where((a) => a.id.lt(0)).selectin("books.reviews").all()),
      1,
      "no parents, no statement",
    );
  },
);

eachEngine("what is loaded is right, and one object per row", async ({ target }) => {
  await using engine = await openFilled(target);
  await using session = engine.session();
  const list = await session.query(Author).orderBy((a) => a.id.asc()).selectin(
    "books.reviews.reviewer",
    "books.author",
    "country",
  ).all();
  assertEquals(list.length, 20);
  for (const [i, author] of list.entries()) {
    assertEquals(
      author.books.map((b) => b.title).sort(),
      [1, 2, 3].map((j) => `Book ${i + 1}.${j}`),
    );
    assertEquals(author.country?.name, i % 2 === 0 ? "Britain" : undefined);
    assert(i % 2 === 0 || author.country === null);
    for (const book of author.books) {
      assertStrictEquals(book.author, author);
      assertEquals(book.reviews.length, 1);
      assertStrictEquals(book.reviews[0]!.reviewer, i === 0 ? null : list[0]!);
    }
  }
  assertEquals(session.dirty, []);
});

eachEngine(
  "a parent without children has an empty collection, not an unloaded one",
  async ({ target }) => {
    await using engine = await openLibrary(target);
    await using session = engine.session();
    session.add(new Author({ name: "Alone" }));
    await session.commit();
    await using other = engine.session();
    const alone = await other.query(Author).selectin("books.reviews", "country").one();
    assertEquals([alone.books, alone.country], [[], null]);
  },
);

eachEngine("a tree loads level by level", async ({ target }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  const tree = (depth: number, name: string): Category =>
    new Category({
      name,
      children: depth === 0 ? [] : [0, 1].map((i) => tree(depth - 1, `${name}.${i}`)),
    });
  session.add(tree(3, "r"));
  await session.commit();
  await using other = engine.session();
  const statements = await sent(engine, async () => {
    const root = await other.query(Category).where((c) => c.parentId.isNull()).selectin(
      "children.children.children",
      "parent",
    ).one();
    assertEquals(
      root.children.flatMap((a) => a.children.flatMap((b) => b.children)).map((c) => c.name).sort()
        .at(-1),
      "r.1.1.1",
    );
    assertEquals(root.parent, null);
  });
  assertEquals(statements.length, 4);
});

eachEngine("a relation that was changed and not stored is left as it is", async ({ target }) => {
  await using engine = await openFilled(target);
  await using session = engine.session();
  const author = await session.query(Author).orderBy((a) => a.id.asc()).selectin("books").first();
  const added = new Book({ title: "Added" });
  author!.books.push(added);
  const again = await session.query(Author).orderBy((a) => a.id.asc()).selectin("books").first();
  assertStrictEquals(again, author);
  assert(again!.books.includes(added));
  await session.commit();
  assertEquals(added.authorId, author!.id);
});

eachEngine("loading again brings a collection up to date", async ({ target }) => {
  await using engine = await openFilled(target);
  await using session = engine.session();
  const first = () => session.query(Author).orderBy((a) => a.id.asc()).selectin("books").first();
  const author = (await first())!;
  await using other = engine.session();
  await other.bulkInsert(Book, [{ title: "From elsewhere", authorId: author.id }]);
  assertEquals((await first())!.books.length, 4);
});

class Day extends entity("days", {
  day: date().primaryKey(),
  at: timestamptz().unique(),
  events: hasMany<Event>("events.day"),
  moments: hasMany<Event>("events.at"),
}) {}
class Event extends entity("events", {
  name: text().primaryKey(),
  day: date().references("days.day"),
  at: timestamptz().references("days.at"),
  onDay: belongsTo<Day>("day"),
  atMoment: belongsTo<Day>("at"),
}) {}

eachEngine(
  "keys that are no numbers, and no primary keys, lead to their objects",
  async ({ target }) => {
    await using engine = await openLibrary(target, { entities: [Day, Event] });
    await using session = engine.session();
    const days = [1, 2].map((n) => new Day({ day: `2024-01-0${n}`, at: new Date(n) }));
    session.addAll(days);
    session.addAll([
      new Event({ name: "a", day: "2024-01-01", at: new Date(2) }),
      new Event({ name: "b", onDay: days[1]!, atMoment: days[1]! }),
    ]);
    await session.commit();
    await using other = engine.session();
    const loaded = await other.query(Day).orderBy((d) => d.day.asc()).selectin(
      "events.atMoment",
      "moments",
    ).all();
    assertEquals(loaded.map((d) => d.events.map((e) => e.name)), [["a"], ["b"]]);
    assertEquals(loaded.map((d) => d.moments.map((e) => e.name).sort()), [[], ["a", "b"]]);
    assertStrictEquals(loaded[0]!.events[0]!.atMoment, loaded[1]);
  },
);

class Node extends entity("nodes", {
  id: integer().primaryKey(),
  leftId: integer().nullable().references("nodes.id"),
  rightId: integer().nullable().references("nodes.id"),
  left: belongsTo<Node | null>("leftId"),
  right: belongsTo<Node | null>("rightId"),
}) {}

eachEngine("two relations to one class do not mix", async ({ target }) => {
  await using engine = await openLibrary(target, { entities: [Node] });
  await using session = engine.session();
  const [a, b] = [new Node({ id: 2 }), new Node({ id: 3 })];
  session.add(new Node({ id: 1, left: a, right: b }));
  await session.commit();
  await using other = engine.session();
  const node = await other.query(Node).where((n) => n.id.eq(1)).selectin("left.right", "right")
    .one();
  assertEquals([node.left!.id, node.right!.id, node.left!.right], [2, 3, null]);
});

eachEngine("paths that name no relation are refused where they are written", async ({ target }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  const load = (path: unknown) => () => session.query(Author).selectin(path as "books");
  const error = assertThrows(load("bookz"), InputError, `Author has no relation "bookz"`);
  assertMatch(error.message, /books/);
  assertThrows(load("books.tags"), InputError, `Book has no relation "tags"`);
  for (
    const path of [
      "",
      ".",
      "books.",
      ".books",
      "books..reviews",
      "name",
      "constructor",
      "__proto__",
      "constructor.name",
      "toString",
      "books; drop table books",
      null,
      undefined,
      1,
      {},
      ["books"],
    ]
  ) {
    assertThrows(load(path), InputError);
  }
  assertThrows(load("books.author.".repeat(1000) + "books"), InputError, "longer than");
});
