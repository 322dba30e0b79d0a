import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  AsyncEngine,
  belongsTo,
  createAll,
  entity,
  hasMany,
  InputError,
  instant,
  integer,
  sql,
  StaleDataError,
  text,
  timestamptz,
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
