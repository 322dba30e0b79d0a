/** Deferred columns: left out when objects are loaded, and written only when they were assigned. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  AsyncEngine,
  createAll,
  DetachedInstanceError,
  type Driver,
  entity,
  InputError,
  integer,
  NotLoadedError,
  text,
} from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";
import { sent } from "../support/library_model.ts";

class Person extends entity("people", {
  id: integer().primaryKey().generated(),
  bio: text().nullable().deferred(),
  photo: text().deferred(),
  name: text(),
}) {}

async function open(target: string | Driver): Promise<AsyncEngine> {
  const engine = new AsyncEngine(target, { entities: [Person] });
  await createAll(engine);
  await using session = engine.session();
  session.addAll([
    new Person({ name: "Ada", bio: "long", photo: "large" }),
    new Person({ name: "Bob", photo: "small" }),
  ]);
  await session.commit();
  return engine;
}

eachEngine("a deferred column is not selected, and reading it throws", async ({ target }) => {
  await using engine = await open(target);
  const session = engine.session();
  let ada: Person | undefined;
  const [statement] = await sent(engine, async () => {
    ada = await session.query(Person).where((p) => p.name.eq("Ada")).one();
  });
  assert(!statement!.includes("bio") && !statement!.includes("photo"), statement);
  assertEquals({ ...ada! } as unknown, { id: ada!.id, name: "Ada" });
  const error = assertThrows(() => ada!.bio, NotLoadedError, `"Person.bio" is deferred`);
  assert(!(error instanceof DetachedInstanceError));
  // @ts-expect-error a deferred column may not be loaded
  assertThrows(() => ada!.bio?.length, NotLoadedError);
  assertEquals(session.dirty, []);
  await session.close();
  assertThrows(() => ada!.bio, DetachedInstanceError);
});

eachEngine(
  "a deferred column that was assigned is stored, the others stay as they are",
  async ({ target }) => {
    await using engine = await open(target);
    await using session = engine.session();
    const ada = await session.query(Person).where((p) => p.name.eq("Ada")).one();
    ada.bio = "short";
    assertEquals(session.dirty, [ada]);
    const statements = await sent(engine, () => session.commit());
    const update = statements.find((text) => text.startsWith("update"))!;
    assert(update.includes("bio") && !update.includes("photo"), update);
    assertEquals(ada.bio, "short");
    assertEquals(session.dirty, []);
    // Loaded again without it, it keeps its value.
    await session.query(Person).all();
    assertEquals(ada.bio, "short");
    assertEquals(session.dirty, []);
    await using other = engine.session();
    const rows = await other.query(Person).orderBy((p) => p.id.asc())
      .select((p) => ({ bio: p.bio, photo: p.photo })).all();
    assertEquals(rows, [{ bio: "short", photo: "large" }, { bio: null, photo: "small" }]);
    assertEquals(await other.query(Person).where((p) => p.bio.eq("short")).count(), 1);
  },
);

eachEngine("a rollback makes an assigned deferred column unloaded again", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  const ada = await session.query(Person).where((p) => p.name.eq("Ada")).one();
  ada.bio = "short";
  await session.rollback();
  assertThrows(() => ada.bio, NotLoadedError);
  assertEquals(session.dirty, []);
  const error = await session.begin(async () => {
    ada.bio = "short";
    await session.flush();
    throw new Error("no");
  }).catch((error) => error);
  assertEquals(error.message, "no");
  assertThrows(() => ada.bio, NotLoadedError);
});

Deno.test("a new object has its deferred columns, and is told when one lacks a value", async () => {
  await using engine = await open("sqlite::memory:");
  await using session = engine.session({ onUnflushedClose: "ignore" });
  assertEquals(new Person({ name: "x", photo: "p" }).photo, "p");
  session.add(new Person({ name: "x" } as never));
  const error = await session.commit().catch((error) => error);
  assert(error instanceof InputError && error.message.includes(`"people.photo" has no value`));
});

Deno.test("deferred() comes last, and not on a key", () => {
  assertThrows(() => integer().primaryKey().deferred(), InputError, "primary key");
  assertThrows(
    () => entity("x", { id: integer().primaryKey(), bio: text().deferred().unique() }),
    InputError,
    "deferred() last",
  );
});
