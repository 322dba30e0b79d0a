import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import {
  type BulkRow,
  entity,
  ForeignKeyViolationError,
  InputError,
  integer,
  sql,
  text,
  UniqueViolationError,
} from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";
import { Author, authors, Book, openLibrary, sent } from "../support/library_model.ts";

const onePlace = { poolSize: 1, maxOverflow: 0 };

function* rows(count: number): Generator<BulkRow<Author>> {
  for (let i = 1; i <= count; i++) yield { name: `Author ${i}` };
}

async function* asyncRows(count: number): AsyncGenerator<BulkRow<Author>> {
  for (const row of rows(count)) {
    if (row.name.endsWith("7")) await Promise.resolve();
    yield row;
  }
}

eachEngine(
  "bulkInsert() takes arrays, iterables and async iterables, and gives the number of rows",
  async ({ target }) => {
    await using engine = await openLibrary(target, onePlace);
    await using session = engine.session();
    assertEquals(await session.bulkInsert(Author, [...rows(3)]), 3);
    assertEquals(await session.bulkInsert(Author, rows(4)), 4);
    assertEquals(await session.bulkInsert(Author, asyncRows(5)), 5);
    assertEquals(await session.bulkInsert(Author, new Set(rows(6))), 6);
    assertEquals(await session.bulkInsert(Author, []), 0);
    assertEquals(await session.query(Author).count(), 18);
    const [first] = await session.query(Author).orderBy((a) => a.id.asc()).all();
    assert(first!.createdAt instanceof Date, "defaults of the database apply");
    assertEquals([first!.email, first!.countryCode], [null, null]);
  },
);

eachEngine(
  "bulkInsert() sends large statements, in one transaction",
  async ({ target, engineName }) => {
    await using engine = await openLibrary(target);
    await using session = engine.session();
    const actions: string[] = [];
    engine.on("transaction", ({ action }) => void actions.push(action));
    const statements = await sent(engine, async () => {
      assertEquals(await session.bulkInsert(Author, asyncRows(12_000)), 12_000);
    });
    assertEquals(actions, ["begin", "commit"]);
    if (engineName !== "sqlite") assertEquals(statements.length, 3);
    else assert(statements.length < 50, `${statements.length}`);
    const { low, high } = (await engine.execute(
      sql<{ low: number; high: number }>`select min(id) as low, max(id) as high from ${Author}`,
    )).one();
    assertEquals(Number(high) - Number(low), 11_999);
  },
);

eachEngine("bulkInsert() makes no objects and touches none", async ({ target }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  const pending = new Author({ name: "Pending" });
  session.add(pending);
  await session.bulkInsert(Author, rows(2));
  assertEquals([session.new.length, await session.query(Author).count()], [1, 2]);
  await session.rollback();
});

eachEngine("rows may differ in what they give; defaults of the class apply", async ({ target }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  await session.bulkInsert(
    Author,
    [{ name: "A" }, { name: "B", email: "b" }, { id: 50, name: "C" }, {
      name: "D",
      email: undefined,
    }, { name: "E", createdAt: new Date(0) }] as BulkRow<Author>[],
  );
  const list = await session.query(Author).orderBy((a) => a.name.asc()).all();
  assertEquals(list.map((a) => a.email), [null, "b", null, null, null]);
  assertEquals([list[2]!.id, list[4]!.createdAt], [50, new Date(0)]);
  await session.bulkInsert(Book, [{ title: "T", authorId: 50 }]);
  assertEquals((await session.query(Book).one()).price, "0.00");
});

eachEngine(
  "a row that cannot be stored is named by its index, and nothing is stored",
  async ({ target }) => {
    await using engine = await openLibrary(target, onePlace);
    await using session = engine.session();
    for (
      const [bad, message] of [
        [{ name: 1 }, "authors.name"],
        [{ name: null }, "authors.name"],
        [{}, "authors.name"],
        [{ name: "a\0" }, "NUL"],
        [{ name: "A", naem: "B" }, "naem"],
        [{ name: "A", books: [] }, "books"],
        [{ name: "A", email: {} }, "authors.email"],
        [{ name: "A", id: "1" }, "authors.id"],
        [null, "null"],
        ["A", "a string"],
      ] as const
    ) {
      for (const index of [0, 2, 6001]) {
        const source = function* () {
          for (const row of rows(index)) yield row;
          yield bad as unknown as BulkRow<Author>;
        };
        const error = await assertRejects(() => session.bulkInsert(Author, source()), InputError);
        assertMatch(error.message, new RegExp(`^Row ${index} `));
        assert(error.message.includes(message), error.message);
        if (index === 2) assertEquals(await session.query(Author).count(), 0);
      }
    }
    assertEquals([await session.query(Author).count(), engine.pool.status().checkedOut], [0, 0]);
  },
);

eachEngine(
  "an error of the database, or of the source, stores nothing and closes the source",
  async ({ target }) => {
    await using engine = await openLibrary(target, onePlace);
    await using session = engine.session();
    let closed = 0;
    const source = async function* (fail: unknown) {
      try {
        yield* asyncRows(6000);
        if (fail !== undefined) throw fail;
        yield { name: "A", email: "same" };
        yield { name: "B", email: "same" };
        yield* asyncRows(20_000);
      } finally {
        closed++;
      }
    };
    await assertRejects(() => session.bulkInsert(Author, source(undefined)), UniqueViolationError);
    const failure = new Error("mine");
    assertStrictEquals(
      await assertRejects(() => session.bulkInsert(Author, source(failure))),
      failure,
    );
    assertEquals(closed, 2);
    await assertRejects(
      () => session.bulkInsert(Book, [{ title: "T", authorId: 99 }]),
      ForeignKeyViolationError,
    );
    assertEquals([await session.query(Author).count(), engine.pool.status().checkedOut], [0, 0]);
  },
);

eachEngine("the source may read from the same session, with a pool of one", async ({ target }) => {
  await using engine = await openLibrary(target, onePlace);
  await using session = engine.session();
  session.addAll(authors(5));
  await session.commit();
  const copies = async function* (): AsyncGenerator<BulkRow<Book>> {
    for await (const author of session.query(Author).orderBy((a) => a.id.asc()).window(2)) {
      assertEquals(await session.query(Author).where((a) => a.id.eq(author.id)).count(), 1);
      for (let i = 0; i < 3; i++) yield { title: `${author.name} ${i}`, authorId: author.id };
    }
  };
  assertEquals(await session.bulkInsert(Book, copies()), 15);
  assertEquals(await session.query(Book).count(), 15);
});

eachEngine("inside begin() it belongs to the transaction", async ({ target }) => {
  await using engine = await openLibrary(target, onePlace);
  await using session = engine.session();
  await assertRejects(
    () =>
      session.begin(async () => {
        session.add(new Author({ id: 1, name: "First" }));
        await session.bulkInsert(Book, [{ title: "Of a pending author", authorId: 1 }]);
        assertEquals(await session.query(Book).count(), 1);
        throw new Error("mine");
      }),
    Error,
    "mine",
  );
  assertEquals(await session.query(Book).count(), 0);
});

eachEngine("two at once, and other calls between, are carried out in order", async ({ target }) => {
  await using engine = await openLibrary(target, onePlace);
  await using session = engine.session();
  await using other = engine.session();
  const counts = await Promise.all([
    other.bulkInsert(Author, asyncRows(100)),
    session.bulkInsert(Author, asyncRows(50)),
  ]);
  assertEquals(counts, [100, 50]);
  assertEquals(await session.query(Author).count(), 150);
});

eachEngine("a signal gives it up, and nothing is stored", async ({ target }) => {
  await using engine = await openLibrary(target, onePlace);
  await using session = engine.session();
  const controller = new AbortController();
  const reason = new Error("enough");
  const source = function* () {
    yield* rows(7000);
    controller.abort(reason);
    yield* rows(7000);
  };
  const error = await assertRejects(() =>
    session.bulkInsert(Author, source(), { signal: controller.signal })
  );
  assertStrictEquals(error, reason);
  assertEquals([await session.query(Author).count(), engine.pool.status().checkedOut], [0, 0]);
});

class Token
  extends entity("tokens", { id: integer().primaryKey().generated(), note: text().nullable() }) {}

eachEngine(
  "rows without any value are rows too, by add() and by bulkInsert()",
  async ({ target }) => {
    await using engine = await openLibrary(target, { entities: [Token] });
    await using session = engine.session();
    assertEquals(await session.bulkInsert(Token, [{}, {}, {}]), 3);
    session.addAll([new Token({}), new Token({})]);
    await session.commit();
    assertEquals(await session.query(Token).count(), 5);
  },
);

eachEngine("what is no source of rows is refused", async ({ target }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  const statements = await sent(engine, async () => {
    for (const bad of [null, undefined, 5, {}, { name: "A" }, () => []]) {
      const error = await assertRejects(() => session.bulkInsert(Author, bad as unknown as []));
      assertInstanceOf(error, InputError, String(bad));
    }
    const error = await assertRejects(
      () => session.bulkInsert(Author, "abc" as unknown as []),
      InputError,
    );
    assertMatch(error.message, /a string/);
  });
  assertEquals(statements, []);
  assertEquals(engine.pool.status().checkedOut, 0);
});
