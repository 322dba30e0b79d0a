/** A commit that comes to one statement: sent without BEGIN and COMMIT, and otherwise as any other. */

import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import {
  AsyncEngine,
  createAll,
  customType,
  entity,
  ForeignKeyViolationError,
  inspect,
  integer,
  manyToMany,
  oneOf,
  sql,
  StaleDataError,
  subclass,
  text,
  UniqueViolationError,
} from "@sluice/orm";
import { driverOf } from "../../src/engine/url.ts";
import { eachEngine, type EngineContext } from "../support/each_engine.ts";
import { StatementLog } from "../support/statement_log.ts";

class Note extends entity("notes", {
  id: integer().primaryKey().generated(),
  slug: text().unique(),
  body: text().defaultSql("'empty'"),
  version: integer().version(),
  tags: manyToMany<Tag>("notes_tags"),
}) {}

class Tag extends entity("tags", {
  id: integer().primaryKey().generated(),
  label: text(),
  notes: manyToMany<Note>("notes_tags"),
}) {}

class Pet extends entity("pets", {
  id: integer().primaryKey().generated(),
  kind: oneOf("pet", "dog").discriminator("pet"),
  name: text(),
}) {}

class Dog extends subclass(Pet, "dog", { breed: text() }, { table: "dogs" }) {}

/** What the database gives it is refused here. */
class Link extends entity("links", {
  id: integer().primaryKey().generated(),
  url: customType({ sql: "text", toDriver: (url: URL) => url.href, fromDriver: (t) => new URL(t) })
    .defaultSql("'no address'"),
}) {}

/** Its foreign key is looked at when the transaction ends. */
class Entry extends entity("entries", {
  id: integer().primaryKey(),
  noteId: integer(),
}) {}

const deferred = sql`
  create table entries (
    id integer primary key,
    note_id integer not null references notes (id) deferrable initially deferred
  )`;

async function open({ target }: EngineContext) {
  const log = new StatementLog(typeof target === "string" ? driverOf(target) : target);
  const engine = new AsyncEngine(log.driver, { entities: [Note, Tag, Pet, Dog, Link, Entry] });
  await createAll(engine);
  await engine.execute(sql`drop table entries`);
  await engine.execute(deferred);
  const session = engine.session();
  /** The first words of what a commit sends. */
  const committed = async (): Promise<string> => {
    const entries = await log.during(() => session.commit());
    return entries.map((entry) => entry.split(" ")[0]!).join(" ");
  };
  const close = async () => {
    await session.close();
    await engine.dispose();
  };
  return { engine, session, committed, log, [Symbol.asyncDispose]: close };
}

eachEngine("a commit of one statement is sent without BEGIN and COMMIT", async (context) => {
  await using opened = await open(context);
  const { session, committed } = opened;
  // SQLite takes rows in powers of two, so that of several it is not known beforehand.
  const several = context.engineName === "sqlite" ? "begin insert commit" : "insert";
  const [note, tag] = [new Note({ slug: "a" }), new Tag({ label: "new" })];

  await context.test.step("a new row, with what the database gives it", async () => {
    session.add(note);
    assertEquals(await committed(), "insert");
    assertEquals([inspect(note).state, note.body, note.version], ["persistent", "empty", 1]);
    assert(note.id > 0);
    session.add(tag);
    assertEquals(await committed(), "insert");
  });
  await context.test.step("new rows of one shape", async () => {
    const notes = ["b", "c"].map((slug) => new Note({ slug }));
    session.addAll(notes);
    assertEquals(await committed(), several);
    assertEquals(notes.map(({ id }) => id - note.id), [1, 2]);
  });
  await context.test.step("a changed row", async () => {
    note.body = "full";
    assertEquals(await committed(), "update");
    assertEquals([note.version, session.dirty], [2, []]);
  });
  await context.test.step("a link made, and one taken away", async () => {
    note.tags = [tag];
    await session.commit();
    note.tags = [];
    assertEquals(await committed(), "delete");
    note.tags = [tag];
    assertEquals(await committed(), "insert");
    assertEquals(await session.query(Tag).where((t) => t.notes.some()).count(), 1);
  });
  await context.test.step("a row that goes", async () => {
    const pet = new Pet({ name: "Ant" });
    session.add(pet);
    await session.commit();
    session.delete(pet);
    assertEquals(await committed(), "delete");
    assertEquals([inspect(pet).state, await session.query(Pet).count()], ["detached", 0]);
  });
});

eachEngine("a commit of more than one statement is a transaction", async (context) => {
  await using opened = await open(context);
  const { engine, session, committed, log } = opened;
  const [a, b] = [new Note({ slug: "a" }), new Note({ slug: "b" })];
  const dog = new Dog({ name: "Rex", breed: "pug" });

  await context.test.step("rows of two classes", async () => {
    session.addAll([a, new Tag({ label: "new" })]);
    assertEquals(await committed(), "begin insert insert commit");
  });
  await context.test.step("rows of two shapes", async () => {
    session.addAll([b, new Note({ slug: "c", body: "full" })]);
    assertEquals(await committed(), "begin insert insert commit");
  });
  await context.test.step("a row in two tables", async () => {
    session.add(dog);
    assertEquals(await committed(), "begin insert insert commit");
    dog.name = "Max";
    assertEquals(await committed(), "update");
    [dog.name, dog.breed] = ["Rex", "pit"];
    assertEquals(await committed(), "begin update update commit");
    session.delete(dog);
    assertEquals(await committed(), "begin delete delete commit");
  });
  await context.test.step("a row of which the program decodes what comes back", async () => {
    session.add(new Link({ url: new URL("http://a.b/") }));
    assertEquals(await committed(), "insert");
    const link = new Link({});
    session.add(link);
    await assertRejects(committed, TypeError);
    assertEquals([inspect(link).state, await session.query(Link).count()], ["transient", 1]);
  });
  await context.test.step("two rows, of which one may be gone", async () => {
    a.body = b.body = "full";
    assertEquals(await committed(), "begin update commit");
    session.delete(a);
    session.delete(b);
    assertEquals(await committed(), "begin delete commit");
  });
  await context.test.step("a relation that is read before it is replaced", async () => {
    await using other = engine.session();
    const note = await other.query(Note).one();
    note.tags = [await other.query(Tag).one()];
    const entries = await log.during(() => other.commit());
    assertEquals([entries[0], entries.length, entries.at(-1)], ["begin", 4, "commit"]);
  });
});

eachEngine("a commit of one statement that fails leaves everything as it was", async (context) => {
  await using opened = await open(context);
  const { engine, session, committed } = opened;
  const note = new Note({ slug: "a" });
  session.add(note);
  await session.commit();
  const unharmed = async () => {
    assertEquals([engine.pool.status().checkedOut, session.dirty, session.new], [0, [], []]);
    const notes = await session.query(Note).all();
    assertEquals([notes.length, note.body], [1, "empty"]);
    assertStrictEquals(notes[0], note);
  };

  await context.test.step("a unique value that is taken", async () => {
    const second = new Note({ slug: "a" });
    session.add(second);
    await assertRejects(committed, UniqueViolationError);
    assertEquals([inspect(second).state, second.id, second.version], [
      "transient",
      undefined,
      undefined,
    ]);
    await unharmed();
  });
  await context.test.step("a constraint that is looked at in the end", async () => {
    const entry = new Entry({ id: 1, noteId: 99 });
    session.add(entry);
    await assertRejects(committed, ForeignKeyViolationError);
    assertEquals(inspect(entry).state, "transient");
    assertEquals(await session.query(Entry).count(), 0);
    entry.noteId = note.id;
    session.add(entry);
    assertEquals(await committed(), "insert");
    session.delete(entry);
    await session.commit();
    await unharmed();
  });
  await context.test.step("a row that somebody else has changed, or deleted", async () => {
    await engine.execute(sql`update notes set version = 7`);
    note.body = "full";
    await assertRejects(committed, StaleDataError);
    session.delete(note);
    await assertRejects(committed, StaleDataError);
    assertEquals(inspect(note).state, "persistent");
    await engine.execute(sql`update notes set version = 1`);
    await unharmed();
    const pet = new Pet({ name: "Ant" });
    session.add(pet);
    await session.commit();
    await engine.execute(sql`delete from pets`);
    pet.name = "Bee";
    await assertRejects(committed, StaleDataError);
    assertEquals([pet.name, inspect(pet).state], ["Ant", "persistent"]);
  });
  await context.test.step("a signal that came before", async () => {
    session.add(new Tag({ label: "new" }));
    const signal = AbortSignal.abort(new Error("mine"));
    await assertRejects(() => session.commit({ signal }), Error, "mine");
    await unharmed();
  });
});

eachEngine("a commit of one statement is told as what was sent, and hooks run", async (context) => {
  await using opened = await open(context);
  const { engine, session, committed } = opened;
  const told: string[] = [];
  engine.on("transaction", ({ action }) => void told.push(action));
  engine.on("statement", ({ sql, rowCount }) => void told.push(`${sql.split(" ")[0]} ${rowCount}`));
  session.on("beforeInsert", (object) => void ((object as Note).body = "by a hook"));
  session.on("afterCommit", (_, change) => void told.push(change));
  const note = new Note({ slug: "a" });
  session.add(note);
  assertEquals(await committed(), "insert");
  assertEquals([note.body, told], ["by a hook", ["insert 1", "insert"]]);
});

eachEngine("a commit is no part of a transaction that is about to begin", async (context) => {
  await using opened = await open(context);
  const { session, log } = opened;
  session.add(new Tag({ label: "new" }));
  const entries = await log.during(async () => {
    const [transaction] = await Promise.all([session.begin(), session.commit()]);
    await transaction.rollback();
  });
  assertEquals(entries.map((entry) => entry.split(" ")[0]), ["insert", "begin", "rollback"]);
  assertEquals(await session.query(Tag).count(), 1);
});
