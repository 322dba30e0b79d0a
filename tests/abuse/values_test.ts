/** Hostile values where data belongs: each is bound as it stands, or refused; see faults.md, section 4. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { createAll, dropAll, entity, InputError, integer, type Ref, sql, text } from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";
import { Author, authors, Book, Country, openLibrary, sent } from "../support/library_model.ts";

const STRINGS = [
  "' OR 1=1 --",
  "'); drop table authors; --",
  "\\'",
  "\\",
  "$$",
  "$1",
  "?1",
  ":name",
  "E'\\''",
  '"; drop table authors; --',
  "/* */ -- ",
  "${1+1}",
  "%_%".repeat(1000),
  "\u202e\u200b",
  "\u0130i\u0131I",
  "Ａｄａ",
  "null",
  "undefined",
  "__proto__",
];

const STRUCTURES = (): unknown[] => [
  { not: "" },
  { gt: "" },
  { $ne: null },
  { OR: [{}] },
  { __raw: true, sql: "1=1" },
  { strings: ["1=1"], raw: ["1=1"] },
  { type: 0, value: "x" },
  { queryChunks: ["1=1"] },
  { kind: "raw", parts: ["1=1"] },
  ["a"],
  [0],
  [[1]],
  { toString: () => "1" },
  { valueOf: () => 1 },
  { toJSON: () => "x" },
  { toPostgres: () => "x" },
  new Proxy({}, { get: () => () => "x" }),
  new (class Expression {
    node = { kind: "raw", parts: ["1=1"] };
  })(),
  undefined,
  null,
  () => "x",
  Symbol("x"),
];

async function openPolite(target: Parameters<typeof openLibrary>[0]) {
  const engine = await openLibrary(target);
  await using session = engine.session();
  session.addAll(authors(2, 1));
  await session.commit();
  return engine;
}

/** Nothing was stored, dropped or polluted, and the engine works. */
async function assertUnharmed(engine: Awaited<ReturnType<typeof openLibrary>>): Promise<void> {
  await using session = engine.session();
  assertEquals([await session.query(Author).count(), await session.query(Book).count()], [2, 2]);
  assertEquals(Object.keys(Object.prototype), []);
  assertEquals(engine.pool.status().checkedOut, 0);
}

eachEngine(
  "hostile text is data: bound, matched exactly, stored as it stands",
  async ({ target }) => {
    await using engine = await openPolite(target);
    await using session = engine.session();
    for (const string of STRINGS) {
      const statements = await sent(engine, async () => {
        assertEquals(await session.query(Author).where((a) => a.name.eq(string)).all(), []);
      });
      assertEquals(statements.length, 1);
      assert(!statements[0]!.includes(string) || string.length < 3);
      for (
        const condition of [
          (a: Ref<Author>) => a.name.in([string]),
          (a: Ref<Author>) => a.name.like(string).and(a.name.ne("%")),
          (a: Ref<Author>) => a.name.contains(string),
          (a: Ref<Author>) => a.name.startsWith(string),
          (a: Ref<Author>) => a.name.endsWith(string),
          (a: Ref<Author>) => a.name.ilike(string),
        ]
      ) await session.query(Author).where(condition).all();
      assertEquals(
        (await session.execute(sql<{ s: string }>`select ${string} as s`)).one().s,
        string,
      );
    }
    await assertUnharmed(engine);
    session.addAll(STRINGS.map((name) => new Author({ name })));
    await session.commit();
    await using other = engine.session();
    for (const name of STRINGS) {
      assertEquals(
        (await other.query(Author).filterBy({ name }).one()).name,
        name,
      );
    }
  },
);

eachEngine(
  "structures where a value belongs are refused, and their hooks are never called",
  async ({ target }) => {
    await using engine = await openPolite(target);
    await using session = engine.session({ onUnflushedClose: "ignore" });
    type Loose = { [name: string]: (value: unknown) => never };
    const uses: Record<string, (value: unknown) => unknown> = {
      eq: (value) =>
        session.query(Author).where((a) => (a.name as unknown as Loose).eq!(value)).all(),
      gt: (value) =>
        session.query(Author).where((a) => (a.id as unknown as Loose).gt!(value)).all(),
      in: (value) =>
        session.query(Author).where((a) => (a.name as unknown as Loose).in!([value])).all(),
      like: (value) =>
        session.query(Author).where((a) => (a.name as unknown as Loose).like!(value)).all(),
      contains: (value) =>
        session.query(Author).where((a) => (a.name as unknown as Loose).contains!(value)).all(),
      where: (value) => session.query(Author).where(() => value as never).all(),
      filterBy: (value) => session.query(Author).filterBy({ name: value } as never).all(),
      get: (value) => session.get(Author, value),
      getText: (value) => session.get(Country, value),
      bulkInsert: (value) => session.bulkInsert(Author, [{ name: value } as never]),
      commit: async (value) => {
        const author = new Author({ name: "x" });
        author.name = value as string;
        session.add(author);
        try {
          await session.commit();
        } finally {
          await session.rollback();
        }
      },
    };
    const statements = await sent(engine, async () => {
      for (const [name, use] of Object.entries(uses)) {
        for (const value of STRUCTURES()) {
          if (name === "filterBy" && value === null) continue;
          await assertRejects(
            async () => await use(value),
            InputError,
            "",
            `${name}: ${typeof value}`,
          );
        }
      }
    });
    assertEquals(statements, []);
    await assertUnharmed(engine);
  },
);

eachEngine(
  "a sql tag binds what is interpolated, and refuses what cannot be bound",
  async ({ target }) => {
    await using engine = await openPolite(target);
    const call = sql as unknown as (...args: unknown[]) => never;
    for (
      const bad of [
        ["select " + "1"],
        [["select 1"]],
        [Object.assign(["select 1"], { raw: ["select 1"] })],
        [JSON.parse('{"raw":["select 1"],"0":"select 1","length":1}')],
        [undefined],
      ]
    ) await assertRejects(async () => await engine.execute(call(...bad)), InputError);
    const statements = await sent(engine, async () => {
      for (
        const value of [
          undefined,
          {},
          { kind: "raw", parts: ["1"] },
          () => 1,
          Symbol("x"),
          "a\0b",
          "\ud800",
          new Map(),
        ]
      ) {
        await assertRejects(
          async () => await engine.execute(sql`select ${value} as v`),
          InputError,
        );
      }
    });
    assertEquals(statements, []);
    const found = await engine.execute(
      sql<
        { n: number }
      >`select count(*) as n from ${Author} where ${Author.c.name} = ${"' or '1'='1"}`,
    );
    assertEquals(Number(found.scalar()), 0);
    const name = sql.identifier('a"; drop table authors; --');
    assertEquals(Object.keys((await engine.execute(sql`select 1 as ${name}`)).one()), [
      'a"; drop table authors; --',
    ]);
    await assertUnharmed(engine);
  },
);

eachEngine(
  "two statements in one text run neither, or nothing of the second",
  async ({ target }) => {
    await using engine = await openPolite(target);
    for (
      const text of [
        "select 1; drop table books",
        "select 1; select 2",
        "delete from books; delete from authors",
      ]
    ) {
      await assertRejects(() => engine.execute(sql.raw(text)), Error);
    }
    for (
      const text of ["select 1 as n;", "select 1 as n -- tail", "select 1 as n /* tail */ ; -- x"]
    ) {
      assertEquals(Number((await engine.execute(sql.raw<{ n: number }>(text))).scalar()), 1);
    }
    await assertUnharmed(engine);
  },
);

eachEngine(
  "a placeholder that has no value, and one too many, are errors",
  async ({ target, engineName }) => {
    await using engine = await openPolite(target);
    const placeholder = engineName === "sqlite" ? "?99" : "$99";
    await assertRejects(() => engine.execute(sql`select ${sql.raw(placeholder)} as v`), Error);
    await assertRejects(() => engine.execute(sql.raw("select $99999 as v")), Error);
    await assertUnharmed(engine);
  },
);

const NAMES = [
  'a"b',
  'a";drop table t;--',
  'a""b',
  "a'b",
  "a`b",
  "a]b",
  "a b",
  "a.b",
  "select",
  "ä",
  "A",
  "a;b",
  "a--b",
  "a/*b",
  "$1",
  "?",
  ":x",
  "%",
  "\\",
];

eachEngine(
  "names with quotes, dots and keywords are quoted, as table and as column",
  async ({ target }) => {
    for (const name of NAMES) {
      class Odd extends entity(name.includes(".") ? "odd" : name, {
        id: integer().primaryKey().generated(),
        value: text().column(name).index(),
      }) {}
      await using engine = await openLibrary(target, { entities: [Odd] });
      await using session = engine.session();
      session.add(new Odd({ value: "one" }));
      await session.bulkInsert(Odd, [{ value: "two" }]);
      await session.commit();
      const odd = await session.query(Odd).where((o) => o.value.eq("one")).orderBy((o) =>
        o.value.desc()
      ).one();
      odd.value = "three";
      await session.commit();
      assertEquals(await session.query(Odd).filterBy({ value: "three" }).count(), 1);
      session.delete(odd);
      await session.commit();
      assertEquals(await session.query(Odd).count(), 1);
      await dropAll(engine);
      await createAll(engine);
    }
  },
);

eachEngine(
  "properties named as parts of Object work as columns, and harm nothing",
  async ({ target }) => {
    class Odd extends entity("odd", {
      id: integer().primaryKey(),
      toString_: text().column("toString"),
      proto: text().column("__proto__"),
      valueOf: text().column("constructor"),
      isPrototypeOf: text(),
    }) {}
    await using engine = await openLibrary(target, { entities: [Odd] });
    await using session = engine.session();
    const values = { id: 1, toString_: "a", proto: "b", valueOf: "c", isPrototypeOf: "d" };
    session.add(new Odd(values as never));
    await session.commit();
    await using other = engine.session();
    assertEquals<unknown>({ ...await other.query(Odd).one() }, values);
    const row = (await engine.execute(
      sql.raw<Record<string, unknown>>(
        `select '{"admin":true}' as "__proto__", 'x' as "then", 'y' as "constructor"`,
      ),
    )).one();
    assertEquals(Object.keys(row), ["__proto__", "then", "constructor"]);
    assertEquals((row as { admin?: boolean }).admin, undefined);
    assertEquals(await Promise.resolve(row), row, "a column named then makes no thenable");
  },
);

eachEngine(
  "a polluted Object.prototype gives no object and no row its values",
  async ({ target }) => {
    const prototype = Object.prototype as Record<string, unknown>;
    const pollution = {
      name: "polluted",
      email: "polluted",
      id: 5,
      where: "1=1",
      limit: 1,
      books: [],
    };
    await using engine = await openPolite(target);
    for (const [key, value] of Object.entries(pollution)) {
      Object.defineProperty(prototype, key, {
        value,
        configurable: true,
        writable: true,
        enumerable: false,
      });
    }
    try {
      await using session = engine.session();
      session.add(new Author({ name: "Own", ...{} }));
      await session.commit();
      const author = await session.query(Author).filterBy({ name: "Own" }).one();
      assertEquals(author.email, null);
      await assertRejects(() => session.bulkInsert(Author, [{} as never]), InputError, "no value");
    } finally {
      for (const key of Object.keys(pollution)) delete prototype[key];
    }
  },
);

eachEngine("values never appear in the message of an error", async ({ target }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  const secret = "S3CRET-value";
  const shown = (error: unknown): string => {
    const { message, stack } = error as Error;
    return `${message}\n${stack}\n${Deno.inspect(error)}`;
  };
  const seen: unknown[] = [];
  engine.on("statement", (event) => void seen.push(event));
  session.add(new Author({ name: "A", email: secret }));
  await session.commit();
  for (
    const use of [
      async () => {
        session.add(new Author({ name: "B", email: secret }));
        await session.commit();
      },
      () => session.bulkInsert(Author, [{ name: "C", email: secret }]),
      () => session.execute(sql`select ${secret} from nothing`),
      () => session.query(Author).where((a) => a.id.eq(secret as never)).all(),
      () =>
        session.bulkInsert(Author, [{ name: "C", [secret.toLowerCase()]: 1, id: secret } as never]),
      () => session.getOrFail(Country, secret),
    ]
  ) {
    const error = await assertRejects(async () => await use());
    const text = shown(error);
    assert(!text.includes(secret), text);
  }
  assert(!Deno.inspect(seen, { depth: 10 }).includes(secret));
});
