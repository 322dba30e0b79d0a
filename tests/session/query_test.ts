import {
  assert,
  assertEquals,
  assertMatch,
  assertNotStrictEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import {
  allOf,
  anyOf,
  bigint,
  boolean,
  type Condition,
  date,
  entity,
  InputError,
  integer,
  MultipleResultsError,
  NoResultError,
  numeric,
  type Ref,
  text,
  timestamptz,
  uuid,
} from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";
import {
  Author,
  authors,
  Book,
  Category,
  openLibrary,
  Review,
  sent,
} from "../support/library_model.ts";

const onePlace = { poolSize: 1, maxOverflow: 0 };

/** One row a line; `n` is null in the last. */
class Row extends entity("rows", {
  id: integer().primaryKey(),
  word: text().nullable(),
  n: integer().nullable(),
  big: bigint().nullable(),
  price: numeric(12, 2).nullable(),
  on: boolean().nullable(),
  day: date().nullable(),
  at: timestamptz().nullable(),
  uid: uuid().nullable(),
}) {}

const uid = (n: number) => `00000000-0000-4000-8000-00000000000${n}`;
const words = ["alpha", "Beta", "100%", "a_b", "back\\slash"];
const rows = () => [
  ...words.map((word, i) =>
    new Row({
      id: i + 1,
      word,
      n: (i + 1) * 10,
      big: 2n ** 60n + BigInt(i),
      price: `${(i + 1) * 9}.50`,
      on: i % 2 === 0,
      day: `2024-01-0${i + 1}`,
      at: new Date(Date.UTC(2024, 0, i + 1)),
      uid: uid(i + 1),
    })
  ),
  new Row({ id: 6 }),
];

async function openRows(target: Parameters<typeof openLibrary>[0]) {
  const engine = await openLibrary(target, { entities: [Row], ...onePlace });
  await using session = engine.session();
  session.addAll(rows());
  await session.commit();
  return engine;
}

/** A condition, and the ids of the rows that meet it. */
const CONDITIONS: [string, (r: Ref<Row>) => Condition, number[]][] = [
  ["eq", (r) => r.n.eq(20), [2]],
  ["eq of another column", (r) => r.n.eq(r.n), [1, 2, 3, 4, 5]],
  ["ne leaves null out", (r) => r.n.ne(20), [1, 3, 4, 5]],
  ["lt", (r) => r.n.lt(30), [1, 2]],
  ["lte", (r) => r.n.lte(30), [1, 2, 3]],
  ["gt", (r) => r.n.gt(30), [4, 5]],
  ["gte", (r) => r.n.gte(30), [3, 4, 5]],
  ["between", (r) => r.n.between(20, 40), [2, 3, 4]],
  ["in", (r) => r.n.in([10, 50, 999]), [1, 5]],
  ["in nothing", (r) => r.n.in([]), []],
  ["notIn leaves null out", (r) => r.n.notIn([10, 50]), [2, 3, 4]],
  ["notIn nothing", (r) => r.n.notIn([]), [1, 2, 3, 4, 5, 6]],
  ["isNull", (r) => r.n.isNull(), [6]],
  ["isNotNull", (r) => r.n.isNotNull(), [1, 2, 3, 4, 5]],
  ["and", (r) => r.n.gt(10).and(r.n.lt(40), r.id.ne(2)), [3]],
  ["or", (r) => r.n.eq(10).or(r.n.eq(20), r.n.isNull()), [1, 2, 6]],
  ["and of or", (r) => r.n.eq(10).or(r.n.eq(20)).and(r.id.gt(1)), [2]],
  ["not", (r) => r.n.eq(20).not(), [1, 3, 4, 5]],
  ["not of or", (r) => r.n.eq(20).or(r.n.eq(30)).not(), [1, 4, 5]],
  ["allOf()", () => allOf(), [1, 2, 3, 4, 5, 6]],
  ["anyOf()", () => anyOf(), []],
  ["allOf", (r) => allOf(r.id.gt(1), r.id.lt(3)), [2]],
  ["anyOf", (r) => anyOf(r.id.eq(1), r.id.eq(3)), [1, 3]],
  ["like minds case", (r) => r.word.like("b%"), [5]],
  ["like with _", (r) => r.word.like("a_p_a"), [1]],
  ["like with an escaped %", (r) => r.word.like("%\\%"), [3]],
  ["like with an escaped _", (r) => r.word.like("a\\_b"), [4]],
  ["like with a lone \\ at its end", (r) => r.word.like("back\\"), []],
  ["ilike", (r) => r.word.ilike("B%"), [2, 5]],
  ["contains %", (r) => r.word.contains("%"), [3]],
  ["contains _", (r) => r.word.contains("_"), [4]],
  ["contains \\", (r) => r.word.contains("\\"), [5]],
  ["contains nothing", (r) => r.word.contains(""), [1, 2, 3, 4, 5]],
  ["contains the wildcards of GLOB", (r) => r.word.contains("[a-z]"), []],
  ["startsWith", (r) => r.word.startsWith("a"), [1, 4]],
  ["startsWith minds case", (r) => r.word.startsWith("b"), [5]],
  ["endsWith", (r) => r.word.endsWith("a"), [1, 2]],
  ["endsWith \\slash", (r) => r.word.endsWith("\\slash"), [5]],
  ["text eq minds case", (r) => r.word.eq("beta"), []],
  ["bigint", (r) => r.big.gt(2n ** 60n + 2n), [4, 5]],
  ["bigint in", (r) => r.big.in([2n ** 60n, 2n ** 60n + 1n]), [1, 2]],
  ["numeric compares as a number", (r) => r.price.gt("9.5"), [2, 3, 4, 5]],
  ["numeric eq in another spelling", (r) => r.price.eq("9.5"), [1]],
  ["numeric in", (r) => r.price.in(["9.5", "18.50"]), [1, 2]],
  ["boolean", (r) => r.on.eq(false), [2, 4]],
  ["date", (r) => r.day.lte("2024-01-02"), [1, 2]],
  ["timestamptz", (r) => r.at.gte(new Date(Date.UTC(2024, 0, 4))), [4, 5]],
  ["timestamptz in", (r) => r.at.in([new Date(Date.UTC(2024, 0, 4))]), [4]],
  ["uuid in upper case", (r) => r.uid.in([uid(1).toUpperCase()]), [1]],
];

eachEngine("every operator means the same on every engine", async ({ target }) => {
  await using engine = await openRows(target);
  await using session = engine.session();
  for (const [name, condition, expected] of CONDITIONS) {
    const found = await session.query(Row).where(condition).orderBy((r) => r.id.asc()).all();
    assertEquals(found.map((row) => row.id), expected, name);
  }
});

eachEngine(
  "null is sorted as the largest value on every engine, unless told otherwise",
  async ({ target }) => {
    await using engine = await openRows(target);
    await using session = engine.session();
    const ids = async (query: ReturnType<typeof session.query<Row>>) =>
      (await query.all()).map((row) => row.id);
    const query = session.query(Row);
    assertEquals(await ids(query.orderBy((r) => r.n.asc())), [1, 2, 3, 4, 5, 6]);
    assertEquals(await ids(query.orderBy((r) => r.n.desc())), [6, 5, 4, 3, 2, 1]);
    assertEquals(await ids(query.orderBy((r) => r.n.asc().nullsFirst())), [6, 1, 2, 3, 4, 5]);
    assertEquals(await ids(query.orderBy((r) => r.n.desc().nullsLast())), [5, 4, 3, 2, 1, 6]);
    assertEquals(await ids(query.orderBy((r) => [r.on.asc(), r.id.desc()])), [4, 2, 5, 3, 1, 6]);
    assertEquals(await ids(query.orderBy((r) => r.on).orderBy((r) => r.id)), [2, 4, 1, 3, 5, 6]);
    assertEquals(await ids(query.orderBy((r) => r.price.desc()).limit(3)), [6, 5, 4], "as numbers");
  },
);

eachEngine(
  "limit() and offset() cut the result, count() and exists() mind them",
  async ({ target }) => {
    await using engine = await openRows(target);
    await using session = engine.session();
    const query = session.query(Row).orderBy((r) => r.id.asc());
    const ids = async (q: typeof query) => (await q.all()).map((row) => row.id);
    assertEquals(await ids(query.limit(2)), [1, 2]);
    assertEquals(await ids(query.offset(4)), [5, 6]);
    assertEquals(await ids(query.limit(2).offset(5)), [6]);
    assertEquals(await ids(query.limit(0)), []);
    assertEquals(await ids(query.limit(2).limit(3)), [1, 2, 3]);
    assertEquals(await query.count(), 6);
    assertEquals(await query.limit(4).count(), 4);
    assertEquals(await query.offset(4).count(), 2);
    assertEquals(await query.limit(4).offset(5).count(), 1);
    assertEquals(await query.offset(100).count(), 0);
    assertEquals(await query.limit(0).count(), 0);
    assertEquals(await query.where((r) => r.n.gt(20)).count(), 3);
    assertEquals(await query.exists(), true);
    assertEquals(await query.limit(0).exists(), false);
    assertEquals(await query.offset(6).exists(), false);
    assertEquals(await query.where((r) => r.n.gt(1000)).exists(), false);
  },
);

eachEngine("first(), one() and oneOrNone() say what they expect", async ({ target }) => {
  await using engine = await openRows(target);
  await using session = engine.session();
  const query = session.query(Row).orderBy((r) => r.id.desc());
  const none = query.where((r) => r.id.eq(0));
  const one = query.where((r) => r.id.eq(3));
  assertEquals((await query.first())!.id, 6);
  assertEquals(await none.first(), undefined);
  assertEquals((await one.one()).id, 3);
  assertEquals((await one.oneOrNone())!.id, 3);
  assertEquals(await none.oneOrNone(), undefined);
  await assertRejects(() => none.one(), NoResultError, "Row");
  await assertRejects(() => query.one(), MultipleResultsError, "Row");
  await assertRejects(() => query.oneOrNone(), MultipleResultsError);
  assertEquals((await query.limit(1).one()).id, 6);
});

eachEngine(
  "a query is immutable, can be run again, and sends nothing before it is ended",
  async ({ target }) => {
    await using engine = await openRows(target);
    await using session = engine.session();
    const statements = await sent(engine, async () => {
      const all = session.query(Row);
      all.where((r) => r.id.eq(1)).orderBy((r) => r.id.asc()).limit(1);
      assert(!("then" in all));
      assertStrictEquals(await all, all, "awaiting it does nothing");
    });
    assertEquals(statements, []);
    const base = session.query(Row);
    const narrow = base.where((r) => r.id.lt(3));
    assertNotStrictEquals<unknown>(narrow, base);
    assertEquals([await base.count(), await narrow.count(), await narrow.count()], [6, 2, 2]);
    assertEquals(await narrow.where((r) => r.id.gt(1)).count(), 1);
  },
);

eachEngine("5,000 terms of or, of and, and of in are no problem", async ({ target }) => {
  await using engine = await openRows(target);
  await using session = engine.session();
  const many = Array.from({ length: 5000 }, (_, i) => i);
  const ids = async (condition: (r: Ref<Row>) => Condition) =>
    (await session.query(Row).where(condition).orderBy((r) => r.id.asc()).all()).map((row) =>
      row.id
    );
  assertEquals(await ids((r) => r.id.in(many)), [1, 2, 3, 4, 5, 6]);
  const terms = many;
  assertEquals(await ids((r) => anyOf(...terms.map((n) => r.id.eq(n + 2)))), [2, 3, 4, 5, 6]);
  assertEquals(await ids((r) => terms.map((n) => r.id.ne(n + 4)).reduce((a, b) => a.and(b))), [
    1,
    2,
    3,
  ]);
  assertEquals(await ids((r) => terms.map((n) => r.id.eq(n + 2)).reduce((a, b) => a.or(b))), [
    2,
    3,
    4,
    5,
    6,
  ]);
});

eachEngine("filterBy() takes values, null included, and nothing else", async ({ target }) => {
  await using engine = await openRows(target);
  await using session = engine.session();
  const ids = async (filter: object) =>
    (await session.query(Row).filterBy(filter).orderBy((r) => r.id.asc()).all()).map((row) =>
      row.id
    );
  assertEquals(await ids({ word: "alpha" }), [1]);
  assertEquals(await ids({ word: "alpha", n: 20 }), []);
  assertEquals(await ids({ n: null }), [6]);
  assertEquals(await ids({ at: new Date(Date.UTC(2024, 0, 2)), on: false }), [2]);
  assertEquals(await ids({}), [1, 2, 3, 4, 5, 6]);
  const statements = await sent(engine, async () => {
    for (
      const bad of [
        { word: { not: "" } },
        { word: { $ne: null } },
        { OR: [{}] },
        { word: ["alpha"] },
        { word: undefined },
        { word: () => "alpha" },
        { word: 1 },
        { n: "20" },
        { wrod: "alpha" },
        JSON.parse('{ "__proto__": { "word": "alpha" } }'),
        { constructor: "x" },
        { toString: "x" },
        [["word", "alpha"]],
        "word = 'alpha'",
        null,
        session.query(Row),
        Row.c.word,
      ]
    ) {
      await assertRejects(
        async () => await session.query(Row).filterBy(bad as object).all(),
        InputError,
      );
    }
  });
  assertEquals(statements, []);
  const error = assertThrows(
    () => session.query(Row).filterBy({ wrod: "x" } as object),
    InputError,
  );
  assertMatch(error.message, /word/);
});

eachEngine(
  "some(), none(), every() and count() ask about a to-many relation",
  async ({ target }) => {
    await using engine = await openLibrary(target, onePlace);
    await using session = engine.session();
    const [none, cheap, mixed] = authors(3) as [Author, Author, Author];
    cheap.books = [new Book({ title: "A", price: "1" }), new Book({ title: "B", price: "2" })];
    mixed.books = [
      new Book({ title: "A", price: "2" }),
      new Book({
        title: "C",
        price: "30",
        reviews: [new Review({ stars: 5 }), new Review({ stars: 1 })],
      }),
      new Book({ title: "D", price: "5" }),
    ];
    session.addAll([none, cheap, mixed]);
    await session.commit();
    const names = async (condition: (a: Ref<Author>) => Condition) =>
      (await session.query(Author).where(condition).orderBy((a) => a.id.asc()).all()).map((a) =>
        a.name
      );
    const [n, c, m] = [none, cheap, mixed].map((author) => author.name);
    assertEquals(await names((a) => a.books.some()), [c, m]);
    assertEquals(await names((a) => a.books.some((b) => b.price.gt("10"))), [m]);
    assertEquals(await names((a) => a.books.none()), [n]);
    assertEquals(await names((a) => a.books.none((b) => b.title.eq("C"))), [n, c]);
    assertEquals(await names((a) => a.books.every((b) => b.price.lt("10"))), [n, c]);
    assertEquals(await names((a) => a.books.count().eq(2)), [c]);
    assertEquals(await names((a) => a.books.count((b) => b.title.eq("A")).gte(1)), [c, m]);
    assertEquals(await names((a) => a.books.some((b) => b.reviews.some((r) => r.stars.eq(5)))), [
      m,
    ]);
    assertEquals(
      await names((a) => a.books.some((b) => b.title.eq("C").and(b.reviews.count().eq(2)))),
      [m],
    );
    assertEquals(await names((a) => a.books.some((b) => b.authorId.eq(a.id))), [c, m]);
    const sorted = await session.query(Author).orderBy((a) => [a.books.count().desc(), a.id.asc()])
      .all();
    assertEquals(sorted.map((a) => a.name), [m, c, n]);
  },
);

eachEngine(
  "every() counts a row on which its condition is unknown as one that fails it",
  async ({ target }) => {
    await using engine = await openLibrary(target, onePlace);
    await using session = engine.session();
    session.add(
      new Author({
        name: "A",
        books: [new Book({ title: "T" }), new Book({ title: "U", published: "2024-01-01" })],
      }),
    );
    await session.commit();
    assertEquals(
      await session.query(Author).where((a) => a.books.every((b) => b.published.gt("2000-01-01")))
        .count(),
      0,
    );
    assertEquals(
      await session.query(Author).where((a) => a.books.every((b) => b.title.gt(""))).count(),
      1,
    );
  },
);

eachEngine("a self-referential relation is told apart from its owner", async ({ target }) => {
  await using engine = await openLibrary(target, onePlace);
  await using session = engine.session();
  session.add(
    new Category({
      name: "Root",
      children: [new Category({ name: "Leaf", children: [new Category({ name: "Tip" })] })],
    }),
  );
  await session.commit();
  const names = async (condition: (c: Ref<Category>) => Condition) =>
    (await session.query(Category).where(condition).all()).map((c) => c.name);
  assertEquals(await names((c) => c.children.none()), ["Tip"]);
  assertEquals(await names((c) => c.children.some((d) => d.name.eq("Leaf"))), ["Root"]);
  assertEquals(
    await names((c) => c.children.some((d) => d.children.some((e) => e.name.ne(c.name)))),
    ["Root"],
  );
});

eachEngine("toSQL() gives the text with its values apart", async ({ target, engineName }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  const { text, params } = session.query(Category)
    .where((c) => c.name.eq("x' or 1=1 --").and(c.parentId.in([1, 2])))
    .orderBy((c) => [c.name.desc(), c.id.asc()])
    .limit(10).offset(5).toSQL();
  const columns = `"t0"."id", "t0"."name", "t0"."parent_id"`;
  if (engineName === "sqlite") {
    assertEquals(
      text,
      `select ${columns} from "categories" as "t0" where ("t0"."name" = ?1 and ` +
        `"t0"."parent_id" in (select value from json_each(?2))) ` +
        `order by "t0"."name" desc, "t0"."id" limit ?3 offset ?4`,
    );
    assertEquals(params, ["x' or 1=1 --", "[1,2]", 10, 5]);
  } else {
    assertEquals(
      text,
      `select ${columns} from "categories" as "t0" where ("t0"."name" = $1 and ` +
        `"t0"."parent_id" = any($2::integer[])) ` +
        `order by "t0"."name" desc, "t0"."id" limit $3 offset $4`,
    );
    assertEquals(params, ["x' or 1=1 --", "{1,2}", "10", "5"]);
  }
});

eachEngine(
  "the text of a statement does not depend on its values, nor on how many they are",
  async ({ target }) => {
    await using engine = await openRows(target);
    await using session = engine.session();
    const query = (ids: number[], n: number) =>
      session.query(Row).where((r) => r.id.in(ids).and(r.n.gt(n))).limit(n).toSQL().text;
    assertEquals(query([], 1), query([1, 2, 3], 100));
  },
);

eachEngine("ndjson() and toReadableStream() give every object", async ({ target }) => {
  await using engine = await openLibrary(target, onePlace);
  await using session = engine.session();
  session.addAll(authors(5, 1));
  await session.commit();
  const query = session.query(Author).orderBy((a) => a.id.asc()).window(2);
  const lines = (await new Response(query.selectin("books").ndjson()).text()).trimEnd().split("\n");
  assertEquals(lines.length, 5);
  assertEquals(JSON.parse(lines[4]!).books[0].title, "Book 5.1");
  const names: string[] = [];
  for await (const author of query.toReadableStream()) names.push(author.name);
  assertEquals(names, authors(5).map((author) => author.name));
  const reader = query.ndjson().getReader();
  await reader.read();
  await reader.cancel();
  assertEquals(engine.pool.status().checkedOut, 0);
});

eachEngine("wrong arguments are refused where they are given", async ({ target }) => {
  await using engine = await openRows(target);
  await using session = engine.session();
  const query = session.query(Row);
  type Loose = (value: unknown) => unknown;
  const statements = await sent(engine, () => {
    for (
      const bad of [
        "1; drop table rows",
        "10",
        -1,
        1.5,
        NaN,
        Infinity,
        null,
        undefined,
        2 ** 63,
        1n,
        {},
      ]
    ) {
      assertThrows(() => (query.limit.bind(query) as Loose)(bad), InputError);
      assertThrows(() => (query.offset.bind(query) as Loose)(bad), InputError);
      assertThrows(() => (query.window.bind(query) as Loose)(bad), InputError);
    }
    assertThrows(() => query.window(0), InputError);
    for (
      const bad of [
        "id desc; drop table rows",
        "name",
        1,
        null,
        {},
        [],
        () => "id",
        () => ({}),
        () => [1],
        () => ({ id: "desc" }),
      ]
    ) {
      assertThrows(() => (query.orderBy.bind(query) as Loose)(bad), InputError);
    }
    for (
      const bad of [
        "1 = 1",
        {},
        null,
        undefined,
        () => true,
        () => "1 = 1",
        () => ({}),
        () => undefined,
      ]
    ) {
      assertThrows(() => (query.where.bind(query) as Loose)(bad), InputError);
    }
    for (const bad of ["update; drop", "for update", null]) {
      assertThrows(() => (query.lock.bind(query) as Loose)(bad), InputError);
    }
  });
  assertEquals(statements, []);
});
