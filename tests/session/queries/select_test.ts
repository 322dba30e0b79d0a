/** Queries for rows, on each database. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  arrayAgg,
  avg,
  boolAnd,
  boolOr,
  caseWhen,
  coalesce,
  count,
  countDistinct,
  denseRank,
  exists,
  greatest,
  InputError,
  jsonAgg,
  lag,
  least,
  matches,
  max,
  min,
  MultipleResultsError,
  nullif,
  rowNumber,
  scalar,
  sql,
  stringAgg,
  sum,
  textRank,
  UsageError,
  value,
} from "@sluice/orm";
import { eachEngine } from "../../support/each_engine.ts";
import { Author, Book, Category, openStocked, Review } from "./model.ts";

eachEngine("select() gives typed plain rows, objects nested", async ({ target }) => {
  await using engine = await openStocked(target);
  await using session = engine.session();
  const rows = await session.query(Book)
    .select((b) => ({ title: b.title, at: b.published, author: { name: b.author.name } }))
    .orderBy((b) => b.title)
    .all();
  const typed: { title: string; at: string | null; author: { name: string } }[] = rows;
  assertEquals(typed, [
    { title: "Bobbing", at: null, author: { name: "Bob" } },
    { title: "Engines", at: null, author: { name: "Ada" } },
    { title: "Notes", at: "2020-05-17", author: { name: "Ada" } },
  ]);
});

eachEngine("select() of a single expression gives plain values", async ({ target }) => {
  await using engine = await openStocked(target);
  await using session = engine.session();
  const names = session.query(Author).select((a) => a.name).orderBy((a) => a.name.desc());
  assertEquals(await names.all(), ["Cyd", "Bob", "Ada"]);
  assertEquals(await names.first(), "Cyd");
  assertEquals(await session.query(Book).select((b) => sum(b.id)).scalar(), 6);
  await assertRejects(() => names.one(), MultipleResultsError);
  const seen: string[] = [];
  for await (const name of names.window(2)) seen.push(name);
  assertEquals(seen, ["Cyd", "Bob", "Ada"]);
});

eachEngine("a to-one path joins once, however often it is used", async ({ target }) => {
  await using engine = await openStocked(target);
  await using session = engine.session();
  const query = session.query(Review)
    .where((r) => r.book.author.name.eq("Ada"))
    .select((r) => ({ stars: r.stars, title: r.book.title, country: r.book.author.country.name }))
    .orderBy((r) => [r.book.author.name, r.stars]);
  assertEquals(query.toSQL().text.match(/left join/g)?.length, 3);
  assertEquals(await query.all(), [
    { stars: 3, title: "Notes", country: "Britain" },
    { stars: 5, title: "Notes", country: "Britain" },
  ]);
  const books = session.query(Book).where((b) => b.author.name.eq("Ada"));
  assertEquals(await books.count(), 2);
  assertEquals(await books.exists(), true);
  assertEquals((await books.all()).length, 2);
});

eachEngine(
  "a to-one path works inside of to-many conditions, and of them on the outer side",
  async ({ target }) => {
    await using engine = await openStocked(target);
    await using session = engine.session();
    const reviewed = session.query(Author)
      .where((a) => a.books.some((b) => b.author.country.name.eq("Britain").and(b.reviews.some())))
      .select((a) => a.name);
    assertEquals(await reviewed.all(), ["Ada"]);
    const own = session.query(Book)
      .where((b) => b.reviews.none((r) => r.text.eq(b.author.name)))
      .select((b) => b.title);
    assertEquals((await own.all()).length, 3);
  },
);

eachEngine("to-many paths have count, sum, avg, min and max", async ({ target }) => {
  await using engine = await openStocked(target);
  await using session = engine.session();
  const rows = await session.query(Author).select((a) => ({
    name: a.name,
    books: a.books.count(),
    dear: a.books.count((b) => b.price.gt("10")),
    ids: a.books.sum((b) => b.id),
    average: a.books.avg((b) => b.id),
    first: a.books.min((b) => b.title),
    last: a.books.max((b) => b.title, (b) => b.title.ne("Notes")),
  })).orderBy((a) => a.name).all();
  assertEquals(rows, [
    { name: "Ada", books: 2, dear: 1, ids: 3, average: 1.5, first: "Engines", last: "Engines" },
    { name: "Bob", books: 1, dear: 0, ids: 3, average: 3, first: "Bobbing", last: "Bobbing" },
    { name: "Cyd", books: 0, dear: 0, ids: null, average: null, first: null, last: null },
  ]);
});

eachEngine("filterBy() chooses among joined, grouped and derived rows, too", async ({ target }) => {
  await using engine = await openStocked(target);
  await using session = engine.session();
  const joined = session.query(Book).join(Author, (b, a) => b.authorId.eq(a.id));
  const titles = joined.filterBy({ title: "Notes" }).select((b) => b.title);
  assertEquals(await titles.all(), ["Notes"]);
  const grouped = session.query(Book).groupBy((b) => b.authorId)
    .select((b) => ({ author: b.authorId, books: count() }));
  assertEquals(await grouped.filterBy({ published: null }).orderBy((b) => b.authorId).all(), [
    { author: 1, books: 1 },
    { author: 2, books: 1 },
  ]);
  const many = session.from(grouped).filterBy({ books: 2 }).select((g) => g.author);
  assertEquals(await many.all(), [1]);
  for (const bad of [{ titel: "x" }, { title: { ne: "x" } }, { author: 1 }, { title: undefined }]) {
    assertThrows(() => joined.filterBy(bad as never), InputError, "filterBy()");
    assertThrows(() => titles.filterBy(bad as never), InputError, "filterBy()");
  }
});

eachEngine("groupBy(), having() and aggregates", async ({ target }) => {
  await using engine = await openStocked(target);
  await using session = engine.session();
  const rows = await session.query(Book)
    .groupBy((b) => b.author.name)
    .select((b) => ({
      name: b.author.name,
      books: count(),
      published: count(b.published),
      cheap: count().filter(b.price.lt("10")),
      titles: stringAgg(b.title, "|").orderBy(b.title),
      ids: arrayAgg(b.id).orderBy(b.id.desc()),
      words: jsonAgg<string>(b.title).orderBy(b.title),
      all: boolAnd(b.price.lt("10")),
      any: boolOr(b.price.lt("10")),
    }))
    .having(() => count().gt(0))
    .orderBy(() => count().desc())
    .all();
  assertEquals(rows, [
    {
      name: "Ada",
      books: 2,
      published: 1,
      cheap: 1,
      titles: "Engines|Notes",
      ids: [2, 1],
      words: ["Engines", "Notes"],
      all: false,
      any: true,
    },
    {
      name: "Bob",
      books: 1,
      published: 0,
      cheap: 1,
      titles: "Bobbing",
      ids: [3],
      words: ["Bobbing"],
      all: true,
      any: true,
    },
  ]);
  const none = session.query(Book).where((b) => b.id.lt(0));
  assertEquals(
    await none.select((b) => ({ n: count(), s: sum(b.price), a: arrayAgg(b.id) })).one(),
    {
      n: 0,
      s: null,
      a: [],
    },
  );
  assertEquals(await session.query(Book).select((b) => countDistinct(b.authorId)).scalar(), 2);
});

eachEngine("window functions see the rows of their window", async ({ target }) => {
  await using engine = await openStocked(target);
  await using session = engine.session();
  const rows = await session.query(Book).select((b) => ({
    title: b.title,
    place: rowNumber().over({ partitionBy: b.authorId, orderBy: b.price.desc() }),
    rank: denseRank().over({ orderBy: b.authorId }),
    before: lag(b.title).over({ orderBy: b.id }),
    two: sum(b.id).over({ orderBy: b.id, frame: { mode: "rows", from: { preceding: 1 } } }),
    all: max(b.id).over(),
  })).orderBy((b) => b.id).all();
  assertEquals(rows, [
    { title: "Notes", place: 2, rank: 1, before: null, two: 1, all: 3 },
    { title: "Engines", place: 1, rank: 1, before: "Notes", two: 3, all: 3 },
    { title: "Bobbing", place: 1, rank: 2, before: "Engines", two: 5, all: 3 },
  ]);
});

eachEngine("text, number and choosing functions agree on all databases", async ({ target }) => {
  await using engine = await openStocked(target);
  await using session = engine.session();
  const row = await session.query(Author).where((a) => a.name.eq("Ada")).select((a) => ({
    lower: a.name.lower(),
    upper: a.name.upper().concat("!"),
    trim: value("  x ").trim(),
    sub: a.name.substring(2, 1),
    rest: a.name.substring(2),
    replace: a.name.replace("d", "dd"),
    length: a.name.length(),
    position: a.name.position("d"),
    plus: a.id.add(1).mul(4).sub(1).div(2).mod(2),
    negative: a.id.neg().abs(),
    half: a.id.cast("double").div(2).round(1),
    up: a.id.cast("double").div(2).ceil(),
    down: a.id.cast("double").div(2).floor(),
    email: coalesce(a.email, "none"),
    nothing: nullif(a.name, "Ada"),
    most: greatest(a.id, 7, 3),
    least: least(a.name, "Zoe"),
    kind: caseWhen(a.name.eq("Bob"), 1).when(a.name.eq("Ada"), 2).else(3),
    open: caseWhen(a.name.eq("Bob"), 1),
    isAda: a.name.eq("Ada"),
    text: a.id.cast("text"),
  })).one();
  assertEquals(row, {
    lower: "ada",
    upper: "ADA!",
    trim: "x",
    sub: "d",
    rest: "da",
    replace: "Adda",
    length: 3,
    position: 2,
    plus: 1,
    negative: 1,
    half: 0.5,
    up: 1,
    down: 0,
    email: "ada@example.com",
    nothing: null,
    most: 7,
    least: "Ada",
    kind: 2,
    open: null,
    isAda: true,
    text: "1",
  });
});

eachEngine("parts of dates are those of UTC", async ({ target }) => {
  await using engine = await openStocked(target);
  await using session = engine.session();
  const row = await session.query(Author).where((a) => a.name.eq("Ada")).select((a) => ({
    year: a.createdAt.extract("year"),
    quarter: a.createdAt.extract("quarter"),
    week: a.createdAt.extract("week"),
    dayOfWeek: a.createdAt.extract("dayOfWeek"),
    dayOfYear: a.createdAt.extract("dayOfYear"),
    second: a.createdAt.extract("second"),
    epoch: a.createdAt.extract("epoch"),
    hour: a.createdAt.dateTrunc("hour"),
    monday: a.createdAt.dateTrunc("week"),
    quarterDay: a.createdAt.dateTrunc("quarter"),
    month: scalar(
      session.query(Book).where((b) => b.id.eq(1)).select((b) => b.published.dateTrunc("month")),
    ),
  })).one();
  assertEquals(row, {
    year: 2024,
    quarter: 1,
    week: 10,
    dayOfWeek: 2,
    dayOfYear: 65,
    second: 12.123,
    epoch: 1709633472.123,
    hour: new Date("2024-03-05T10:00:00Z"),
    monday: new Date("2024-03-04T00:00:00Z"),
    quarterDay: new Date("2024-01-01T00:00:00Z"),
    month: "2020-05-01",
  });
});

eachEngine("JSON is read by bound paths", async ({ target, engineName }) => {
  await using engine = await openStocked(target);
  await using session = engine.session();
  const books = session.query(Book).where((b) => b.meta.isNotNull());
  assertEquals(
    await books.select((b) => ({
      isbn: b.meta.text("isbn"),
      word: b.meta.at<string>("words", 1),
      last: b.meta.text("words", -1),
      none: b.meta.at("none", "deeper"),
      length: b.meta.at("words").length(),
      has: b.meta.hasKey("isbn"),
      hasNot: b.meta.hasKey("' or 1=1 --"),
    })).one(),
    {
      isbn: "x-1",
      word: "b",
      last: "b",
      none: null,
      length: 2,
      has: true,
      hasNot: false,
    },
  );
  for (const key of ["a'b", "$.*", "**", "[*]", "a.b[0]", "__proto__", "0) or (1=1"]) {
    assertEquals(await books.where((b) => b.meta.text(key).isNotNull()).count(), 0, key);
  }
  for (const index of [1.5, 2 ** 31, NaN]) {
    assertThrows(() => books.select((b) => b.meta.at(index)), InputError, "JSON path");
  }
  const contains = books.where((b) => b.meta.contains({ isbn: "x-1" }));
  if (engineName === "sqlite") {
    const error = await assertRejects(() => contains.count(), UsageError, "text(key)");
    assertEquals(error.code, "UNSUPPORTED");
  } else assertEquals(await contains.count(), 1);
});

eachEngine("subqueries: in, notIn, exists, scalar, of the same entity too", async ({ target }) => {
  await using engine = await openStocked(target);
  await using session = engine.session();
  const writers = session.query(Book).select((b) => b.authorId);
  const names = async (query: { all(): Promise<Author[]> }) =>
    (await query.all()).map((author) => author.name).sort();
  assertEquals(await names(session.query(Author).where((a) => a.id.in(writers))), ["Ada", "Bob"]);
  assertEquals(await names(session.query(Author).where((a) => a.id.notIn(writers))), ["Cyd"]);
  assertEquals(
    await names(
      session.query(Author).where((a) =>
        exists(session.query(Author).where((b) => b.name.gt(a.name)))
      ),
    ),
    ["Ada", "Bob"],
  );
  const rows = await session.query(Author).select((a) => ({
    name: a.name,
    dearest: scalar(
      session.query(Book).where((b) => b.authorId.eq(a.id)).select((b) => max(b.title)),
    ),
  })).orderBy((a) => a.name).all();
  assertEquals(rows.map((row) => row.dearest), ["Notes", "Bobbing", null]);
  const outside = session.query(Author);
  assertThrows(
    () => session.query(Author).where((a) => exists(outside.where((b) => b.id.ne(a.id)))),
    UsageError,
    "inside the callback",
  );
  assertThrows(() => session.query(Author).where((a) => a.id.in(outside as never)), InputError);
});

eachEngine("join() and leftJoin() give both sides to later callbacks", async ({ target }) => {
  await using engine = await openStocked(target);
  await using session = engine.session();
  const rows = await session.query(Author)
    .leftJoin(Book, (a, b) => b.authorId.eq(a.id).and(b.author.name.ne("Bob")))
    .where((a) => a.name.ne("Cyd"))
    .select((a, b) => ({ name: a.name, title: b.title }))
    .orderBy((a, b) => [a.name, b.title])
    .all();
  assertEquals(rows, [
    { name: "Ada", title: "Engines" },
    { name: "Ada", title: "Notes" },
    { name: "Bob", title: null },
  ]);
  const pairs = session.query(Category)
    .join(Category, (child, parent) => child.parentId.eq(parent.id))
    .select((child, parent) => child.name.concat("<").concat(parent.name))
    .orderBy((child) => child.name);
  assertEquals(await pairs.all(), ["a<root", "aa<a", "b<root"]);
});

eachEngine("derived tables and CTEs stand in FROM and in joins", async ({ target }) => {
  await using engine = await openStocked(target);
  await using session = engine.session();
  const perAuthor = session.query(Book).groupBy((b) => b.authorId)
    .select((b) => ({ author: b.authorId, books: count() }));
  assertEquals(await session.from(perAuthor).select((p) => avg(p.books)).scalar(), 1.5);
  const shared = perAuthor.cte();
  const query = session.query(Author)
    .leftJoin(shared, (a, p) => p.author.eq(a.id))
    .where((a) => a.id.in(session.from(shared).select((p) => p.author)))
    .select((a, p) => ({ name: a.name, books: coalesce(p.books, 0) }))
    .orderBy((a) => a.name);
  assertEquals(query.toSQL().text.match(/ as \(select/g)?.length, 1);
  assertEquals(await query.all(), [{ name: "Ada", books: 2 }, { name: "Bob", books: 1 }]);
});

eachEngine("a recursive CTE walks a tree", async ({ target }) => {
  await using engine = await openStocked(target);
  await using session = engine.session();
  const tree = session.query(Category).where((c) => c.parentId.isNull())
    .select((c) => ({ id: c.id, path: c.name, depth: value(0) }))
    .recursive((self) =>
      session.query(Category).join(self, (c, up) => c.parentId.eq(up.id))
        .select((c, up) => ({
          id: c.id,
          path: up.path.concat("/").concat(c.name),
          depth: up.depth.add(1),
        }))
    );
  assertEquals(
    await session.from(tree).select((t) => ({ path: t.path, depth: t.depth })).orderBy((t) =>
      t.path
    ).all(),
    [
      { path: "root", depth: 0 },
      { path: "root/a", depth: 1 },
      { path: "root/a/aa", depth: 2 },
      { path: "root/b", depth: 1 },
    ],
  );
});

eachEngine("sets: union, unionAll, intersect, except", async ({ target }) => {
  await using engine = await openStocked(target);
  await using session = engine.session();
  const names = session.query(Author).select((a) => ({ text: a.name }));
  const short = session.query(Author).where((a) => a.name.lt("Bz")).orderBy((a) => a.name).limit(2)
    .select((a) => ({ text: a.name }));
  const texts = async (query: { all(): Promise<{ text: string }[]> }) =>
    (await query.all()).map((row) => row.text);
  assertEquals(await texts(names.union(short).orderBy((r) => r.text)), ["Ada", "Bob", "Cyd"]);
  assertEquals(await texts(names.unionAll(short).orderBy((r) => r.text).limit(2)), ["Ada", "Ada"]);
  assertEquals(await texts(names.intersect(short).orderBy((r) => r.text)), ["Ada", "Bob"]);
  assertEquals(await texts(names.except(short)), ["Cyd"]);
  assertEquals(await names.unionAll(short).count(), 5);
  const other = session.query(Author).select((a) => ({ other: a.name }));
  assertThrows(() => names.union(other as never), InputError, "different columns");
});

eachEngine("distinct() gives equal rows once", async ({ target }) => {
  await using engine = await openStocked(target);
  await using session = engine.session();
  const names = session.query(Book).select((b) => b.author.name).distinct();
  assertEquals(await names.orderBy((b) => b.author.name).all(), ["Ada", "Bob"]);
  assertEquals(await names.count(), 2);
});

eachEngine(
  "distinctOn() and lateral joins are PostgreSQL's; SQLite names the alternative",
  async ({ target, engineName }) => {
    await using engine = await openStocked(target);
    await using session = engine.session();
    const dearest = session.query(Book).select((b) => b.title)
      .distinctOn((b) => b.authorId).orderBy((b) => [b.authorId, b.price.desc()]);
    const lateral = session.query(Author)
      .leftJoinLateral((a) =>
        session.query(Book).where((b) => b.authorId.eq(a.id)).orderBy((b) => b.price.desc()).limit(
          1,
        )
          .select((b) => ({ title: b.title }))
      )
      .select((a, b) => ({ name: a.name, title: b.title }))
      .orderBy((a) => a.name);
    if (engineName === "sqlite") {
      for (const query of [dearest, lateral]) {
        const error = await assertRejects(async () => await query.all(), UsageError, "rowNumber()");
        assertEquals(error.code, "UNSUPPORTED");
      }
      return;
    }
    assertEquals(await dearest.all(), ["Engines", "Bobbing"]);
    assertEquals(await lateral.all(), [
      { name: "Ada", title: "Engines" },
      { name: "Bob", title: "Bobbing" },
      { name: "Cyd", title: null },
    ]);
  },
);

eachEngine("full text is searched as people type it", async ({ target, engineName }) => {
  await using engine = await openStocked(target);
  await using session = engine.session();
  const found = (text: string) =>
    session.query(Book)
      .where((b) => matches([b.title], text, { config: "english" }))
      .orderBy((b) => textRank([b.title], text, { config: "english" }).desc())
      .select((b) => b.title);
  if (engineName === "sqlite") {
    await assertRejects(() => found("engine").all(), UsageError, "FTS5");
    return;
  }
  assertEquals(await found("engine").all(), ["Engines"]);
  assertEquals((await found("engines or notes").all()).length, 2);
  for (const text of ["a & | !", `"unbalanced`, "'); drop table books; --", ":*"]) {
    await found(text).all();
  }
  assertThrows(() => matches([Book.c.title], "x", { config: "english'; --" as never }), InputError);
});

eachEngine(
  "the sql tag stands everywhere; its values are decoded by the database's word or typed()",
  async ({ target }) => {
    await using engine = await openStocked(target);
    await using session = engine.session();
    const row = await session.query(Author)
      .where((a) => sql<boolean>`${a.name} = ${"Ada"} or 1 = 0`.and(a.id.gt(0)))
      .select((a) => ({
        upper: sql<string>`upper(${a.name})`,
        sum: sql<number>`${41} + 1`.typed("integer"),
        at: sql<Date>`${a.createdAt}`.typed("timestamptz"),
      }))
      .one();
    assertEquals(row, { upper: "ADA", sum: 42, at: new Date("2024-03-05T10:11:12.123Z") });
  },
);

eachEngine(
  "rows with the names of an object's own machinery are plain rows",
  async ({ target }) => {
    await using engine = await openStocked(target);
    await using session = engine.session();
    const row = await session.query(Author).where((a) => a.name.eq("Ada")).select((a) => ({
      ["__proto__"]: a.name,
      constructor: a.id,
      then: { toString: a.name },
      'x", (select password)': a.id,
    })).one();
    assertEquals(Object.getPrototypeOf(row), Object.prototype);
    assertEquals(
      Object.keys(row).sort(),
      ["__proto__", "constructor", "then", 'x", (select password)'].sort(),
    );
    assertEquals(Object.getOwnPropertyDescriptor(row, "__proto__")?.value, "Ada");
  },
);

eachEngine("explain() tells the plan, as text and as JSON", async ({ target, engineName }) => {
  await using engine = await openStocked(target);
  await using session = engine.session();
  const query = session.query(Book).where((b) => b.title.eq("Notes"));
  assert((await query.explain()).length > 0);
  assert(Array.isArray(await query.select((b) => b.id).explain({ format: "json" })));
  const analyzed = query.explain({ analyze: true });
  if (engineName === "sqlite") await assertRejects(() => analyzed, UsageError);
  else assert((await analyzed).includes("actual"));
  await assertRejects(() => query.explain({ format: "xml; drop" as never }), InputError);
});

eachEngine("jsonArray() and ndjson() write rows, big integers as digits", async ({ target }) => {
  await using engine = await openStocked(target);
  await using session = engine.session();
  const query = session.query(Author).select((a) => ({ n: a.name, big: a.id.cast("bigint") }))
    .orderBy((a) => a.id).limit(2);
  assertEquals(
    await new Response(query.jsonArray()).text(),
    `[{"n":"Ada","big":"1"},{"n":"Bob","big":"2"}]`,
  );
  assertEquals(
    await new Response(query.ndjson()).text(),
    `{"n":"Ada","big":"1"}\n{"n":"Bob","big":"2"}\n`,
  );
  assertEquals(await new Response(query.where((a) => a.id.lt(0)).jsonArray()).text(), "[]");
  const objects = session.query(Category).where((c) => c.name.eq("root"));
  assertEquals(JSON.parse(await new Response(objects.jsonArray()).text()).length, 1);
});

eachEngine(
  "deep and wide conditions are spelled without overflow, or refused",
  async ({ target }) => {
    await using engine = await openStocked(target);
    await using session = engine.session();
    const deep = (levels: number) =>
      session.query(Author).where((a) => {
        let condition = a.id.gt(0);
        for (let i = 0; i < levels; i++) {
          condition = i % 2 === 0 ? condition.or(a.id.lt(-i)) : condition.and(a.id.gt(-i));
        }
        return condition;
      });
    assertEquals(await deep(300).count(), 3);
    await assertRejects(() => deep(5_000).count(), InputError, "levels deep");
    const wide = session.query(Author).where((a) =>
      Array.from({ length: 5_000 }, (_, i) => a.id.eq(i)).reduce((all, one) => all.or(one))
    );
    assertEquals(await wide.count(), 3);
  },
);

eachEngine("nothing of a request becomes structure", async ({ target }) => {
  await using engine = await openStocked(target);
  await using session = engine.session();
  const query = session.query(Author);
  for (
    const name of [
      "id desc; drop table authors",
      "1",
      "constructor",
      "__proto__",
      "name,(select 1)",
    ]
  ) {
    assertThrows(() => query.orderBy((a) => a[name as "name"]), InputError, "columns");
  }
  assertThrows(
    () => query.select((a) => a.createdAt.extract("year from now()) --" as never)),
    InputError,
  );
  assertThrows(
    () => query.select((a) => a.createdAt.dateTrunc("day', now()) --" as never)),
    InputError,
  );
  assertThrows(
    () => query.select((a) => a.name.cast("int); drop table authors" as never)),
    InputError,
  );
  assertThrows(
    () =>
      query.select((a) =>
        sum(a.id).over({ frame: { mode: "rows x" as never, from: "currentRow" } })
      ),
    InputError,
  );
  assertThrows(
    () =>
      query.select((a) =>
        sum(a.id).over({ frame: { mode: "rows", from: { preceding: "1 x" as never } } })
      ),
    InputError,
  );
  assertThrows(() => query.select((a) => min(a.name) && ({ a: "text" } as never)), InputError);
  assertThrows(() => query.select(() => JSON.parse(`{"kind":"raw","parts":["1"]}`)), InputError);
  for (const limit of ["1; drop", -1, 1.5, NaN, Infinity, 2 ** 63, "10", null]) {
    assertThrows(() => query.select((a) => a.id).limit(limit as never), InputError);
    assertThrows(() => query.select((a) => a.id).offset(limit as never), InputError);
  }
  assertEquals(await query.count(), 3);
});
