/** Relations of every kind: stored, loaded, asked about, and kept in step in memory. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  AsyncEngine,
  belongsTo,
  createAll,
  type Driver,
  dropAll,
  entity,
  hasMany,
  hasOne,
  InputError,
  integer,
  manyToMany,
  sql,
  text,
  UsageError,
} from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";
import { sent } from "../support/library_model.ts";

class Writer extends entity("writers", {
  id: integer().primaryKey().generated(),
  name: text(),
  profile: hasOne<Profile>("profiles.writerId", { cascade: "all-orphans" }),
  written: hasMany<Novel>("novels.writerId", { orderBy: ["title desc"] }),
  edited: hasMany<Novel>("novels.editorId"),
  mentors: manyToMany<Writer>("mentoring", { from: "pupil_id", to: "mentor_id" }),
  pupils: manyToMany<Writer>("mentoring", { from: "mentor_id", to: "pupil_id" }),
}) {}

class Profile extends entity("profiles", {
  id: integer().primaryKey().generated(),
  bio: text(),
  writerId: integer().unique().references("writers.id"),
  writer: belongsTo<Writer>("writerId"),
}) {}

class Novel extends entity("novels", {
  id: integer().primaryKey().generated(),
  title: text(),
  writerId: integer().nullable().references("writers.id"),
  editorId: integer().nullable().references("writers.id"),
  writer: belongsTo<Writer | null>("writerId"),
  editor: belongsTo<Writer | null>("editorId"),
  tags: manyToMany<Tag>("novel_tags", { orderBy: "label" }),
  chapters: hasMany<Chapter>("chapters.novelId", { cascade: "all-orphans", orderBy: "no" }),
  awards: manyToMany<Award>("novel_awards"),
}) {}

class Tag extends entity("tags", {
  id: integer().primaryKey().generated(),
  label: text().unique(),
  novels: manyToMany<Novel>("novel_tags"),
}) {}

/** A composite key, and one that refers to it. */
class Chapter extends entity("chapters", {
  novelId: integer().primaryKey().references("novels.id"),
  no: integer().primaryKey(),
  title: text().default(""),
  notes: hasMany<Note>(["notes.novelId", "notes.chapterNo"]),
}) {}

class Note extends entity("notes", {
  id: integer().primaryKey().generated(),
  text: text(),
  novelId: integer().nullable(),
  chapterNo: integer().nullable(),
  chapter: belongsTo<Chapter | null>(["novelId", "chapterNo"]),
}, {
  foreignKeys: [{
    columns: ["novelId", "chapterNo"],
    references: ["chapters.novelId", "chapters.no"],
    onDelete: "set null",
  }],
}) {}

class Award extends entity("awards", {
  id: integer().primaryKey().generated(),
  name: text(),
}) {}

/** A mapped association with a column of its own. */
class NovelAward extends entity("novel_awards", {
  novelId: integer().primaryKey().references("novels.id", { onDelete: "cascade" }),
  awardId: integer().primaryKey().references("awards.id"),
  year: integer().default(2024),
}) {}

const entities = [Writer, Profile, Novel, Tag, Chapter, Note, Award, NovelAward];

async function open(target: string | Driver): Promise<AsyncEngine> {
  const engine = new AsyncEngine(target, { entities });
  await createAll(engine);
  return engine;
}

eachEngine(
  "manyToMany() stores, adds and removes links, in one statement each",
  async ({ target }) => {
    await using engine = await open(target);
    await using session = engine.session();
    const [red, blue] = [new Tag({ label: "red" }), new Tag({ label: "blue" })];
    const novels = ["A", "B", "C"].map((title) => new Novel({ title, tags: [red, blue] }));
    session.addAll(novels);
    const statements = await sent(engine, () => session.commit());
    const links = statements.filter((text) => text.includes("novel_tags"));
    assertEquals(new Set(links).size, links.length, "the rows travel together");

    await using other = engine.session();
    const found = await other.query(Novel).orderBy((n) => n.title.asc()).selectin("tags").all();
    assertEquals(found.map((n) => n.tags.map((t) => t.label)), Array(3).fill(["blue", "red"]));
    found[0]!.tags.pop();
    found[1]!.tags.push(new Tag({ label: "green" }));
    assertEquals(new Set(other.dirty), new Set(found.slice(0, 2)));
    await other.commit();
    assertEquals(other.dirty, []);

    await using third = engine.session();
    const again = await third.query(Novel).orderBy((n) => n.title.asc()).selectin("tags.novels")
      .all();
    assertEquals(again.map((n) => n.tags.map((t) => t.label)), [
      ["blue"],
      ["blue", "green", "red"],
      ["blue", "red"],
    ]);
    assertEquals(again[0]!.tags[0]!.novels.length, 3);
  },
);

eachEngine(
  "manyToMany() loads with one statement, whatever the number of parents",
  async ({ target }) => {
    await using engine = await open(target);
    await using session = engine.session();
    const tags = [new Tag({ label: "x" }), new Tag({ label: "y" })];
    session.addAll(Array.from({ length: 30 }, (_, i) => new Novel({ title: `${i}`, tags })));
    await session.commit();
    await using other = engine.session();
    const statements = await sent(engine, () => other.query(Novel).selectin("tags").all());
    assertEquals(statements.length, 2);
  },
);

eachEngine("conditions reach over manyToMany()", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  session.addAll([
    new Novel({ title: "A", tags: [new Tag({ label: "red" }), new Tag({ label: "blue" })] }),
    new Novel({ title: "B" }),
  ]);
  await session.commit();
  const titles = async (query: { all(): Promise<Novel[]> }) =>
    (await query.all()).map((n) => n.title);
  const query = session.query(Novel).orderBy((n) => n.title.asc());
  assertEquals(await titles(query.where((n) => n.tags.some((t) => t.label.eq("red")))), ["A"]);
  assertEquals(await titles(query.where((n) => n.tags.none())), ["B"]);
  assertEquals(await titles(query.where((n) => n.tags.count().eq(2))), ["A"]);
});

eachEngine("manyToMany() of a class with itself leads both ways", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  const ada = new Writer({ name: "Ada" });
  session.add(new Writer({ name: "Bob", mentors: [ada] }));
  await session.commit();
  await using other = engine.session();
  const found = await other.query(Writer).where((w) => w.name.eq("Ada")).selectin("pupils.mentors")
    .one();
  assertEquals(found.pupils.map((p) => p.name), ["Bob"]);
  assert(found.pupils[0]!.mentors[0] === found);
});

eachEngine("a mapped association keeps its own columns", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  const novel = new Novel({ title: "A", awards: [new Award({ name: "Gold" })] });
  session.add(novel);
  await session.commit();
  const link = await session.query(NovelAward).one();
  assertEquals([link.novelId, link.year], [novel.id, 2024]);
  link.year = 1999;
  await session.commit();
  await using other = engine.session();
  const found = await other.query(Novel).selectin("awards").one();
  assertEquals(found.awards.map((a) => a.name), ["Gold"]);
  assertEquals((await other.query(NovelAward).one()).year, 1999);
});

eachEngine("deleting an object takes its links along", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  const novel = new Novel({ title: "A", tags: [new Tag({ label: "red" })], chapters: [] });
  session.add(novel);
  await session.commit();
  session.delete(novel);
  await session.commit();
  assertEquals(await session.query(Tag).where((t) => t.novels.none()).count(), 1);
  const links = await engine.execute(sql<{ n: number }>`select 1 as n from novel_tags`);
  assertEquals([...links], []);
});

eachEngine("hasOne() is an object or null, and its orphan is deleted", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  session.addAll([
    new Writer({ name: "Ada", profile: new Profile({ bio: "old" }) }),
    new Writer({ name: "Bob" }),
  ]);
  await session.commit();
  await using other = engine.session();
  const [ada, bob] = await other.query(Writer).orderBy((w) => w.name.asc()).selectin("profile")
    .all();
  assertEquals(ada!.profile!.bio, "old");
  assertEquals(bob!.profile, null);
  ada!.profile = null;
  await other.commit();
  assertEquals(await other.query(Profile).count(), 0);
});

eachEngine("several relations between the same two tables keep apart", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  const [ada, bob] = [new Writer({ name: "Ada" }), new Writer({ name: "Bob" })];
  session.addAll([
    new Novel({ title: "A", writer: ada, editor: bob }),
    new Novel({ title: "B", writer: ada, editor: ada }),
  ]);
  await session.commit();
  await using other = engine.session();
  const found = await other.query(Writer).orderBy((w) => w.name.asc())
    .selectin("written", "edited").all();
  assertEquals(found.map((w) => w.written.map((n) => n.title)), [["B", "A"], []], "in their order");
  assertEquals(found.map((w) => w.edited.map((n) => n.title)), [["B"], ["A"]]);
});

eachEngine("composite keys are stored and loaded over all their columns", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  const chapter = (no: number, note: string) =>
    new Chapter({ no, notes: [new Note({ text: note })] });
  session.addAll([
    new Novel({ title: "A", chapters: [chapter(1, "n1"), chapter(2, "n2")] }),
    new Novel({ title: "B", chapters: [chapter(1, "b1")] }),
  ]);
  await session.commit();
  await using other = engine.session();
  const found = await other.query(Novel).orderBy((n) => n.title.asc()).selectin("chapters.notes")
    .all();
  assertEquals(found.map((n) => n.chapters.map((c) => c.notes.map((x) => x.text))), [
    [["n1"], ["n2"]],
    [["b1"]],
  ]);
  const note = await other.query(Note).where((n) => n.text.eq("n2")).selectin("chapter").one();
  assertEquals(note.chapter!.no, 2);
  note.chapter = null;
  await other.commit();
  assertEquals([note.novelId, note.chapterNo], [null, null]);
  assertEquals(await other.query(Chapter).where((c) => c.notes.none()).count(), 1);
});

eachEngine(
  "cascade all-orphans deletes what is taken out, and what goes along",
  async ({ target }) => {
    await using engine = await open(target);
    await using session = engine.session();
    session.add(new Novel({ title: "A", chapters: [1, 2, 3].map((no) => new Chapter({ no })) }));
    await session.commit();
    await using other = engine.session();
    const bare = await other.query(Novel).one();
    assertThrows(() => other.delete(bare), UsageError, `"chapters"`);
    const found = await other.query(Novel).selectin("chapters").one();
    found.chapters.shift();
    await other.commit();
    assertEquals((await other.query(Chapter).all()).map((c) => c.no).sort(), [2, 3]);
    other.delete(found);
    await other.commit();
    assertEquals(await other.query(Chapter).count(), 0);
  },
);

eachEngine("the other side of a relation follows where it is loaded", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  session.addAll(
    ["Ada", "Bob"].map((name) => new Writer({ name, written: [new Novel({ title: name })] })),
  );
  await session.commit();
  await using other = engine.session();
  const [ada, bob] = await other.query(Writer).orderBy((w) => w.name.asc())
    .selectin("written.writer").all();
  const novel = ada!.written[0]!;
  novel.writer = bob!;
  await other.commit();
  assertEquals(ada!.written, []);
  assert(bob!.written.includes(novel));
  assertEquals(novel.writerId, bob!.id);

  ada!.written.push(novel);
  await other.commit();
  assert(Object.is(novel.writer, ada), "the reference follows the collection");
  assert(!bob!.written.includes(novel), "and the former collection lets go of it");

  ada!.written.pop();
  await other.commit();
  assertEquals(novel.writer, null);
  assert(JSON.stringify(bob).includes("Bob"));
});

eachEngine("a rollback puts links and both sides back", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  session.add(new Novel({ title: "A", tags: [new Tag({ label: "red" })] }));
  await session.commit();
  await using other = engine.session();
  const novel = await other.query(Novel).selectin("tags.novels").one();
  const tag = novel.tags[0]!;
  await assertRejects(() =>
    other.begin(async () => {
      novel.tags.pop();
      novel.tags.push(new Tag({ label: "new" }) as typeof tag);
      await other.flush();
      assertEquals(tag.novels, []);
      throw new Error("no");
    })
  );
  assert(novel.tags.length === 1 && novel.tags[0] === tag);
  assert(tag.novels.length === 1 && tag.novels[0] === novel);
  assertEquals(await other.query(Tag).count(), 1);
});

eachEngine("dropAll() drops the tables between, too", async ({ target }) => {
  await using engine = await open(target);
  await dropAll(engine);
  await createAll(engine);
  await using session = engine.session();
  session.add(new Novel({ title: "A", tags: [] }));
  await session.commit();
});

Deno.test("an object of another class in a relation is refused before anything is sent", async () => {
  await using engine = await open("sqlite::memory:");
  await using session = engine.session();
  assertThrows(
    () => session.add(new Novel({ title: "A", tags: [new Award({ name: "x" })] as never })),
    InputError,
    `"Novel.tags" leads to Tag`,
  );
});
