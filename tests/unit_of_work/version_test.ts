import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  AsyncEngine,
  belongsTo,
  createAll,
  customType,
  entity,
  hasMany,
  InputError,
  insert,
  instant,
  integer,
  sql,
  StaleDataError,
  text,
  timestamptz,
  update,
} from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";
import { sent } from "../support/library_model.ts";

class Page extends entity("pages", {
  id: integer().primaryKey().generated(),
  body: text(),
  version: integer().version(),
  parentId: integer().nullable().references("pages.id"),
  parent: belongsTo<Page | null>("parentId"),
  children: hasMany<Page>("pages.parentId"),
}) {}

class Note extends entity("notes", {
  id: integer().primaryKey(),
  body: text(),
  changedAt: timestamptz().defaultSql("now()").version(),
}) {}

class Mark extends entity("marks", {
  id: integer().primaryKey(),
  body: text(),
  at: instant().version(),
}) {}

async function open(target: ConstructorParameters<typeof AsyncEngine>[0]) {
  const engine = new AsyncEngine(target, { entities: [Page, Note, Mark] });
  await createAll(engine);
  return engine;
}

eachEngine("a version counts from 1, once for every flush that writes the row", async (context) => {
  await using engine = await open(context.target);
  await using session = engine.session();
  const pages = [1, 2, 3].map((n) => new Page({ body: `${n}` }));
  session.addAll(pages);
  await session.commit();
  assertEquals(pages.map(({ version }) => version), [1, 1, 1]);
  for (const page of pages.slice(1)) page.body += "!";
  const statements = await sent(engine, () => session.commit());
  assertEquals(statements.length, 1);
  assertEquals(pages.map(({ version }) => version), [1, 2, 2]);
  await session.commit();
  assertEquals(pages.map(({ version }) => version), [1, 2, 2]);
  await using other = engine.session();
  const stored = await other.query(Page).orderBy((p) => p.id.asc()).all();
  assertEquals(stored.map(({ version }) => version), [1, 2, 2]);
});

eachEngine(
  "a lost update is a StaleDataError that names the object, and nothing of it is stored",
  async ({ target }) => {
    await using engine = await open(target);
    await using mine = engine.session();
    const pages = [1, 2, 3].map((n) => new Page({ body: `${n}` }));
    mine.addAll(pages);
    await mine.commit();
    await engine.execute(
      sql`update pages set body = 'theirs', version = 2 where id = ${pages[1]!.id}`,
    );
    for (const page of pages) page.body = "mine";
    const error = await assertRejects(() => mine.commit(), StaleDataError);
    assert(error.message.includes(`Page ${pages[1]!.id} (version 1)`), error.message);
    assert(!error.message.includes(`Page ${pages[0]!.id} (`), error.message);
    // As it was before, version included.
    assertEquals(pages.map(({ body, version }) => [body, version]), [["1", 1], ["2", 1], ["3", 1]]);
    const { rows } = await engine.execute(sql`select body from pages order by id`);
    assertEquals(rows.map((row) => (row as { body: string }).body), ["1", "theirs", "3"]);
  },
);

eachEngine("a row that was changed meanwhile is not deleted", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  const pages = [1, 2, 3].map((n) => new Page({ body: `${n}` }));
  session.addAll(pages);
  await session.commit();
  await engine.execute(sql`update pages set version = 2 where id = ${pages[2]!.id}`);
  for (const page of pages) session.delete(page);
  await assertRejects(() => session.commit(), StaleDataError, `Page ${pages[2]!.id} (version 1)`);
  assertEquals(await session.query(Page).count(), 3);
  session.delete(pages[0]!);
  await session.commit();
  assertEquals(await session.query(Page).count(), 2);
});

eachEngine("rows in a ring keep their versions in step", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  const [a, b] = [new Page({ body: "a" }), new Page({ body: "b" })] as const;
  a.parent = b;
  b.parent = a;
  session.add(a);
  await session.commit();
  assertEquals([a.version, b.version], [1, 1]);
  a.body = "A";
  b.body = "B";
  await session.commit();
  assertEquals([a.version, b.version], [2, 2]);
  session.delete(a);
  session.delete(b);
  await session.commit();
  assertEquals(await session.query(Page).count(), 0);
});

eachEngine("a moment is a version, to the microsecond", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  const note = new Note({ id: 1, body: "" });
  const mark = new Mark({ id: 1, body: "" });
  session.addAll([note, mark]);
  await session.commit();
  for (const body of ["a", "b", "c"]) {
    const [noted, marked] = [note.changedAt, mark.at];
    note.body = mark.body = body;
    await session.commit();
    assert(note.changedAt > noted);
    assertEquals(Temporal.Instant.compare(mark.at, marked), 1);
  }
  await using other = engine.session();
  const [theirs] = await other.query(Note).all() as [Note];
  note.body = "mine";
  await session.commit();
  theirs.body = "theirs";
  await assertRejects(() => other.commit(), StaleDataError, "Note 1 (version ");
});

Deno.test("a version is a whole number or a moment, and one per entity", () => {
  assertThrows(() => text().version(), InputError, "integer()");
  assertThrows(
    () => entity("t", { a: integer().version(), b: integer().version() }),
    InputError,
    '"a", "b"',
  );
  assertThrows(
    () => entity("t", { a: integer().version().nullable() }),
    InputError,
    '"t.a" is a version() and nullable',
  );
});

eachEngine(
  "a version that the program sets is refused before anything is sent",
  async (context) => {
    await using engine = await open(context.target);
    await using session = engine.session();
    const page = new Page({ body: "" });
    session.add(page);
    await session.commit();
    page.version = 7;
    assertEquals(
      await sent(engine, () => assertRejects(() => session.commit(), InputError, "merge()")),
      [],
    );
    assertEquals(page.version, 1);
  },
);

eachEngine("bulkInsert() gives rows their first version", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  await session.bulkInsert(Page, [{ body: "a" }, { body: "b" }]);
  const pages = await session.query(Page).all();
  assertEquals(pages.map(({ version }) => version), [1, 1]);
});

eachEngine("bulkUpdate() counts versions, and compares those it is given", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  const stored = async () => {
    const { rows } = await engine.execute(sql<{ body: string; version: number }>`
      select body, version from pages order by id`);
    return rows.map(({ body, version }) => `${body}${version}`).join(" ");
  };
  const bodies = ["a", "b", "c"];
  await session.bulkInsert(Page, bodies.map((body, i) => ({ id: i + 1, body })));
  const page = await session.getOrFail(Page, 1);

  // One without a version is changed whatever its version; a flush that knows it by another fails.
  assertEquals(await session.bulkUpdate(Page, [{ id: 1, body: "A" }, { id: 9, body: "" }]), 1);
  assertEquals(await stored(), "A2 b1 c1");
  page.body = "mine";
  await assertRejects(() => session.commit(), StaleDataError, "Page 1 (version 1)");

  assertEquals(
    await session.bulkUpdate(Page, [{ id: 1, body: "AA", version: 2 }, { id: 2, body: "B" }]),
    2,
  );
  assertEquals(await stored(), "AA3 B2 c1");

  // All or nothing, whichever statement it is that finds the stale row.
  const rows = [
    { id: 3, body: "C" },
    { id: 1, body: "X", version: 3 },
    { id: 2, body: "X", version: 1 },
    { id: 9, body: "X", version: 1 },
  ];
  const error = await assertRejects(() => session.bulkUpdate(Page, rows), StaleDataError);
  assert(error.message.includes("not row 2"), error.message);
  assertEquals(error.row, 2);
  assertEquals(await stored(), "AA3 B2 c1");
  await session.begin(async () => {
    await assertRejects(() => session.bulkUpdate(Page, rows), StaleDataError);
  }).catch(() => {});
  assertEquals(await stored(), "AA3 B2 c1");

  // The same row again goes by the version that the first time has made.
  await session.bulkUpdate(Page, [{ id: 3, body: "D" }, { id: 3, body: "E", version: 2 }]);
  assertEquals(await stored(), "AA3 B2 E3");
  await assertRejects(
    () => session.bulkUpdate(Page, [{ id: 1, version: 3 }]),
    InputError,
    "nothing",
  );
});

eachEngine(
  "bulkUpdate() sets moments, and compares them to the microsecond",
  async ({ target }) => {
    await using engine = await open(target);
    await using session = engine.session();
    const mark = new Mark({ id: 1, body: "" });
    session.add(mark);
    await session.commit();
    const first = mark.at;
    await session.bulkUpdate(Mark, [{ id: 1, body: "a", at: first }]);
    await session.refresh(mark);
    assertEquals(Temporal.Instant.compare(mark.at, first), 1);
    const near = mark.at.add({ microseconds: 1 });
    await assertRejects(
      () => session.bulkUpdate(Mark, [{ id: 1, body: "b", at: near }]),
      StaleDataError,
    );
    const second = mark.at;
    await session.bulkUpdate(Mark, [{ id: 1, body: "c" }]);
    await session.refresh(mark);
    assertEquals([mark.body, mark.at.equals(second)], ["c", false]);
  },
);

eachEngine("bulkUpsert() and statements change versions, too", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  const stored = async () => {
    const { rows } = await engine.execute(sql<{ body: string; version: number }>`
      select body, version from pages order by id`);
    return rows.map(({ body, version }) => `${body}${version}`).join(" ");
  };
  await session.bulkUpsert(Page, [{ id: 1, body: "a" }, { id: 2, body: "b" }]);
  assertEquals(await stored(), "a1 b1");
  await session.bulkUpsert(Page, [{ id: 1, body: "A" }, { id: 3, body: "c" }]);
  assertEquals(await stored(), "A2 b1 c1");

  // One that says which version it means is stored only if the row is as it was then.
  const back = await session.bulkUpsert(Page, [
    { id: 1, body: "AA", version: 2 },
    { id: 4, body: "d", version: 7 },
    { id: 2, body: "B" },
  ], { returning: ["body", "version"] });
  assertEquals(back.map(({ body, version }) => `${body}${version}`), ["AA3", "d7", "B2"]);
  const error = await assertRejects(
    () => session.bulkUpsert(Page, [{ id: 5, body: "e" }, { id: 1, body: "X", version: 2 }]),
    StaleDataError,
  );
  assertEquals(error.row, 1);
  assertEquals(await stored(), "AA3 B2 c1 d7");

  await session.execute(update(Page).set({ body: "U" }).where((p) => p.id.in([1, 2])));
  assertEquals(await stored(), "U4 U3 c1 d7");
  await session.execute(update(Page).set({ version: 1 }).where((p) => p.id.eq(4)));
  const given = insert(Page).values([{ id: 3, body: "I" }, { id: 6, body: "n" }]);
  await session.execute(given.onConflict({ target: "id", update: ["body"] }));
  assertEquals(await stored(), "U4 U3 I2 d1 n1");
  await session.execute(insert(Mark).values({ id: 1, body: "" }));
  const mark = await session.getOrFail(Mark, 1);
  const statement = update(Mark).set({ body: "x" }).all();
  const moments = [mark.at];
  for (let i = 0; i < 2; i++) {
    await session.execute(statement);
    await session.refresh(mark);
    moments.push(mark.at);
  }
  assertEquals(new Set(moments.map(String)).size, 3);
});

class Doc extends entity("docs", {
  id: integer().primaryKey(),
  slug: text().nullable().unique(),
  revision: text().defaultSql("'1'").version({ generated: true }),
  nextId: integer().nullable().references("docs.id"),
  next: belongsTo<Doc | null>("nextId"),
}) {}

eachEngine("the database gives the versions by a trigger", async ({ target, engineName }) => {
  await using engine = new AsyncEngine(target, { entities: [Doc] });
  await createAll(engine);
  if (engineName === "sqlite") {
    await engine.execute(sql`create trigger docs_revision after update on docs begin
      update docs set revision = old.revision + 1 where id = new.id; end`);
  } else {
    await engine.execute(sql`create function next_revision() returns trigger language plpgsql as
      'begin new.revision := old.revision::int + 1; return new; end'`);
    await engine.execute(sql`create trigger docs_revision before update on docs
      for each row execute function next_revision()`);
  }
  await using session = engine.session();
  const [a, b] = [new Doc({ id: 1, slug: "a" }), new Doc({ id: 2, slug: "b" })] as const;
  // A ring: an update follows the inserts.
  a.next = b;
  b.next = a;
  session.add(a);
  await session.commit();
  assertEquals([a.revision, b.revision].sort(), ["1", "2"]);
  await session.refresh(a);
  await session.refresh(b);
  const [ra, rb] = [Number(a.revision), Number(b.revision)];

  // One lets go first, so that its row is written twice.
  [a.slug, b.slug] = [b.slug, a.slug];
  const statements = await sent(engine, () => session.commit());
  assert(statements.every((text) => !/set [^w]*"revision" =/.test(text)), statements.join("\n"));
  assertEquals([Number(a.revision) + Number(b.revision), session.dirty.length], [ra + rb + 3, 0]);
  a.slug = "c";
  await session.commit();

  // A lost update and a lost delete are noticed.
  await engine.execute(sql`update docs set slug = 'theirs' where id = 2`);
  const known = b.revision;
  b.slug = "mine";
  await assertRejects(() => session.commit(), StaleDataError, `Doc 2 (version ${known})`);
  assertEquals([b.slug, b.revision], ["a", known]);
  await assertRejects(
    () => session.bulkUpdate(Doc, [{ id: 2, slug: "mine", revision: known }]),
    StaleDataError,
  );
  await session.refresh(b);
  assertEquals(await session.bulkUpdate(Doc, [{ id: 2, slug: "d", revision: b.revision }]), 1);
  session.delete(a);
  session.delete(b);
  await assertRejects(() => session.commit(), StaleDataError, "Doc 2");
  await session.refresh(b);
  // One of the ring is cleared first, which gives it another version before it goes.
  session.delete(a);
  session.delete(b);
  await session.commit();
  assertEquals(await session.query(Doc).count(), 0);

  // merge() compares it.
  const left = new Doc({ id: 4 });
  session.add(left);
  await session.commit();
  session.expunge(left);
  left.slug = "merged";
  const merged = await session.merge(left);
  await session.commit();
  assertEquals([merged.slug, merged.revision], ["merged", "2"]);
  await assertRejects(() => session.merge(left), StaleDataError, "Doc 4 has version 2");

  session.add(new Doc({ id: 3, revision: "7" }));
  await assertRejects(() => session.commit(), InputError, "written by the database");
});

class Leaf extends entity("leaves", {
  id: integer().primaryKey(),
  name: text(),
  xmin: customType<string>({
    sql: "xid",
    toDriver: (value) => value,
    fromDriver: (value) => String(value),
  }).version({ generated: true }),
}) {}

eachEngine("a system column is a version", async ({ target }) => {
  await using engine = new AsyncEngine(target, { entities: [Leaf] });
  await engine.execute(sql`create table leaves (id integer primary key, name text not null)`);
  await using session = engine.session();
  const leaves = [1, 2, 3].map((id) => new Leaf({ id, name: "" }));
  session.addAll(leaves);
  await session.commit();
  const before = leaves.map(({ xmin }) => xmin);
  for (const leaf of leaves) leaf.name = "x";
  await session.commit();
  assert(leaves.every(({ xmin }, i) => xmin !== before[i]));
  await engine.execute(sql`update leaves set name = 'theirs' where id = 2`);
  for (const leaf of leaves) leaf.name = "y";
  await assertRejects(() => session.commit(), StaleDataError, "Leaf 2 (version ");
  for (const leaf of leaves) session.delete(leaf);
  await assertRejects(() => session.commit(), StaleDataError, "Leaf 2 (version ");
}, { only: ["pglite", "postgres"] });
