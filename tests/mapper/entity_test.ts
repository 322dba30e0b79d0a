import {
  assert,
  assertEquals,
  assertMatch,
  assertNotStrictEquals,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import {
  AsyncEngine,
  bigint,
  bytes,
  DetachedInstanceError,
  entity,
  InputError,
  inspect,
  integer,
  NotLoadedError,
  text,
  timestamptz,
} from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";
import { Author, authors, Book, Category, openLibrary, Review } from "../support/library_model.ts";

async function loadedAda(target: Parameters<typeof openLibrary>[0]) {
  const engine = await openLibrary(target);
  await using session = engine.session();
  session.add(
    new Author({
      name: "Ada Lovelace",
      createdAt: new Date(0),
      books: [new Book({ title: "Notes" })],
    }),
  );
  await session.commit();
  return engine;
}

eachEngine(
  "a loaded object is an ordinary object: its columns are its own properties",
  async ({ target }) => {
    await using engine = await loadedAda(target);
    await using session = engine.session();
    const ada = await session.query(Author).one();
    const plain = {
      id: ada.id,
      name: "Ada Lovelace",
      email: null,
      createdAt: new Date(0),
      countryCode: null,
      mood: "calm",
    };
    assertEquals<unknown>({ ...ada }, plain);
    assertEquals(structuredClone({ ...ada }), plain as typeof ada);
    assertEquals(JSON.parse(JSON.stringify(ada)), {
      ...plain,
      createdAt: "1970-01-01T00:00:00.000Z",
    });
    assertEquals(Object.keys(ada).sort(), Object.keys(plain).sort());
    assertEquals(Object.getOwnPropertySymbols(ada), []);
    const shown = Deno.inspect(ada);
    for (const part of ["Author {", "Ada Lovelace", "email: null"]) {
      assert(
        shown.includes(part),
        shown,
      );
    }
    assert(!shown.includes("state") && !shown.includes("books"), shown);
    for (const key of Object.keys(plain)) {
      const descriptor = Object.getOwnPropertyDescriptor(ada, key)!;
      assert(
        "value" in descriptor && descriptor.writable && descriptor.enumerable &&
          descriptor.configurable,
      );
    }
  },
);

eachEngine(
  "class fields, #private state, getters and methods work on loaded objects",
  async ({ target }) => {
    await using engine = await loadedAda(target);
    await using session = engine.session();
    const ada = await session.query(Author).selectin("books").one();
    assert(ada instanceof Author);
    assertEquals([ada.initials, ada.mood, ada.greet(), ada.greet(), ada.titles()], [
      "AL",
      "calm",
      1,
      2,
      ["Notes"],
    ]);
    const other = new Author({ name: "Grace Hopper" });
    assertEquals([other.initials, other.greet()], ["GH", 1]);
  },
);

eachEngine("a new object and the loaded one are equal", async ({ target }) => {
  await using engine = await loadedAda(target);
  await using session = engine.session();
  const made = new Author({ name: "Bea", createdAt: new Date(5) });
  session.add(made);
  await session.commit();
  await using other = engine.session();
  const loaded = await other.getOrFail(Author, made.id);
  assertNotStrictEquals(loaded, made);
  assertEquals(loaded, made);
});

eachEngine(
  "reading an unloaded relation throws, and names it and the call that loads it",
  async ({ target }) => {
    await using engine = await loadedAda(target);
    const session = engine.session();
    const ada = await session.query(Author).one();
    const error = assertThrows(() => ada.books, NotLoadedError, `"Author.books" is not loaded`);
    assertMatch(error.message, /\.selectin\("books"\)/);
    assertEquals(error.code, "NOT_LOADED");
    assert(!Object.hasOwn(ada, "books"));
    await session.close();
    const detached = assertThrows(() => ada.country, DetachedInstanceError, "Author.country");
    assertMatch(detached.message, /session is open/);
    assertEquals(ada.name, "Ada Lovelace");
  },
);

Deno.test("reading an unassigned relation of a new object throws; assigning it is enough", () => {
  const ada = new Author({ name: "Ada" });
  assertThrows(() => ada.books, NotLoadedError, "Author.books");
  ada.books = [];
  assertEquals(ada.books, []);
  assert(Object.hasOwn(ada, "books"));
  assertEquals(inspect(ada).state, "transient");
});

Deno.test("JSON.stringify() writes loaded relations, without going round in circles", () => {
  const ada = new Author({ name: "Ada" });
  const book = new Book({ title: "Notes", author: ada });
  ada.books = [book];
  const json = JSON.parse(JSON.stringify(ada));
  assertEquals(json.books[0].title, "Notes");
  assertEquals(json.books[0].author, undefined);
  assertEquals(JSON.parse(JSON.stringify([book]))[0].author.name, "Ada");
  const root = new Category({ name: "Root" });
  root.parent = root;
  assertEquals(JSON.parse(JSON.stringify(root)).name, "Root");
});

class Parcel extends entity("parcels", {
  id: bigint().primaryKey().generated(),
  label: bytes(),
  sentAt: timestamptz().default(() => new Date(7)),
}) {}

Deno.test("JSON.stringify() writes bigint and bytes as text", () => {
  const parcel = new Parcel({ id: 2n ** 60n, label: new Uint8Array([255, 0, 1]) });
  assertEquals(JSON.parse(JSON.stringify(parcel)), {
    id: "1152921504606846976",
    label: "/wAB",
    sentAt: "1970-01-01T00:00:00.007Z",
  });
});

Deno.test("defaults of the class are there from the start, made anew for each object", () => {
  const [a, b] = [new Parcel({ label: new Uint8Array() }), new Parcel({ label: new Uint8Array() })];
  assertEquals(a.sentAt, new Date(7));
  assertNotStrictEquals(a.sentAt, b.sentAt);
  assertEquals(new Review({ stars: 1 }).text, "");
  assertEquals(new Review({ stars: 1, text: "given" }).text, "given");
  const given: string | undefined = undefined;
  assertEquals(new Review({ stars: 1, ...(given === undefined ? {} : { text: given }) }).text, "");
});

Deno.test("new Entity() refuses names it does not know, and what is no object", () => {
  const make = Author as unknown as new (init: unknown) => Author;
  const error = assertThrows(() => new make({ name: "A", emial: "x" }), InputError, `"emial"`);
  assertMatch(error.message, /email/);
  for (const bad of [undefined, null, "Ada", 1]) assertThrows(() => new make(bad), InputError);
  assertThrows(
    () => new make(JSON.parse('{"name":"A","__proto__":{"isAdmin":true}}')),
    InputError,
    "__proto__",
  );
  assertThrows(() => new make({ name: "A", constructor: "x" }), InputError, "constructor");
  assertEquals(({} as { isAdmin?: boolean }).isAdmin, undefined);
});

Deno.test("entity() refuses names that no database can have", () => {
  const col = () => ({ id: integer().primaryKey() });
  for (const table of ["", "a\0b", "x".repeat(64), "é".repeat(32), "\ud800", ".a", "a."]) {
    assertThrows(() => entity(table, col()), InputError);
  }
  for (const column of ["", "a\0b", "x".repeat(64), "\udfff"]) {
    assertThrows(() => entity("t", { id: integer().column(column) }), InputError);
  }
  for (
    const property of ["constructor", "__proto__", "prototype", "toJSON", "then", "hasOwnProperty"]
  ) {
    assertThrows(
      () => entity("t", { ["__proto__"]: text(), ...{ [property]: text() } }),
      InputError,
      "reserved",
    );
  }
  assertThrows(
    () => entity("t", { id: "integer" } as never),
    InputError,
    "neither a column nor a relation",
  );
  assertThrows(() => entity(5 as never, {}), InputError);
  assert(entity("x".repeat(63), col()));
});

class Legacy extends entity("LEGACY items", {
  itemId: integer().primaryKey().column("ITEM-ID"),
  ISBNCode: text().column('the "code"'),
  longText: text().nullable(),
}) {}

eachEngine("names in the database: snake_case, or what you say, quoted", async ({ target }) => {
  await using engine = await openLibrary(target, { entities: [Legacy] });
  await using session = engine.session();
  session.add(new Legacy({ itemId: 1, ISBNCode: "x", longText: "y" }));
  await session.commit();
  const { text } = session.query(Legacy).where((l) => l.ISBNCode.eq("x")).orderBy((l) =>
    l.longText.asc()
  ).toSQL();
  for (const name of [`"LEGACY items"`, `"ITEM-ID"`, `"the ""code"""`, `"long_text"`]) {
    assert(text.includes(name), text);
  }
  const loaded = await session.query(Legacy).filterBy({ ISBNCode: "x" }).one();
  assertEquals([loaded.itemId, loaded.longText], [1, "y"]);
});

class Library extends entity("public.shelves", { id: integer().primaryKey(), name: text() }) {}

eachEngine("a table can be qualified by its schema", async ({ target }) => {
  await using engine = await openLibrary(target, { entities: [Library] });
  await using session = engine.session();
  session.addAll([new Library({ id: 1, name: "A" }), new Library({ id: 2, name: "B" })]);
  await session.commit();
  (await session.getOrFail(Library, 2)).name = "C";
  await session.commit();
  assert(session.query(Library).toSQL().text.includes(`"public"."shelves"`));
  assertEquals(await session.query(Library).filterBy({ name: "C" }).count(), 1);
}, { except: { sqlite: "it has no schemas but attached files" } });

Deno.test("an object's state is out of reach of its properties", async () => {
  await using engine = new AsyncEngine("sqlite::memory:", { entities: [Parcel] });
  await using session = engine.session({ onUnflushedClose: "ignore" });
  const [ada] = authors(1) as [Author];
  const copy = structuredClone({ ...ada });
  assertThrows(() => session.add(copy));
  assertThrows(() => session.add(Object.create(ada)));
  const parcel = new Parcel({ label: new Uint8Array([1]) });
  session.add(parcel);
  assertStrictEquals(session.new[0], parcel);
});
