/** Rows that somebody else changed meanwhile: after SQLAlchemy's suite. */

import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import {
  belongsTo,
  date,
  entity,
  hasMany,
  hasOne,
  InputError,
  inspect,
  integer,
  manyToMany,
  oneOf,
  sql,
  StaleDataError,
  subclass,
  text,
  timestamptz,
} from "@sluice/orm";
import { sent } from "../../support/library_model.ts";
import { members, scenarios } from "./support.ts";

class Foo extends entity("foos", {
  id: integer().primaryKey().generated(),
  version: integer().version(),
  value: text(),
  tags: manyToMany<Tag>("foo_tags", { target: "tags" }),
}) {}

class Tag extends entity("tags", { id: integer().primaryKey().generated() }) {}

/** A tree of versions, without children of its own to mind. */
class Node extends entity("nodes", {
  id: integer().primaryKey().generated(),
  version: integer().version(),
  data: text().default(""),
  parentId: integer().nullable().references("nodes.id"),
  parent: belongsTo<Node | null>("parentId"),
  children: hasMany<Node>("nodes.parentId", { orderBy: "id" }),
}) {}

class Album extends entity("albums", {
  id: text().primaryKey(),
  version: integer().version(),
  name: text().nullable(),
  cover: hasOne<Cover>("covers.albumId", { cascade: "all-orphans" }),
  songs: hasMany<Song>("songs.albumId", { orderBy: "id" }),
}) {}

/** Its key is its album's. */
class Cover extends entity("covers", {
  albumId: text().primaryKey().references("albums.id", { onUpdate: "cascade" }),
  version: integer().version(),
  data: text().nullable(),
}) {}

class Song extends entity("songs", {
  id: integer().primaryKey().generated(),
  albumId: text().nullable().references("albums.id", { onUpdate: "cascade" }),
  album: belongsTo<Album | null>("albumId"),
}) {}

/** A key of a type of its own. */
class Day extends entity("days", {
  day: date().primaryKey(),
  version: integer().version(),
  value: text(),
}) {}

class Moment extends entity("moments", {
  id: integer().primaryKey(),
  value: text(),
  at: timestamptz().version(),
}) {}

class Base extends entity("bases", {
  id: integer().primaryKey(),
  kind: oneOf("base", "sub").discriminator("base"),
  version: integer().version(),
  data: text().nullable(),
}) {}
class Sub extends subclass(Base, "sub", { more: text().nullable() }) {}

const ENTITIES = [Foo, Tag, Node, Album, Cover, Song, Day, Moment, Base, Sub];

scenarios("versioning: updates and deletes", ENTITIES, (scenario) => {
  scenario(
    "the second of two updates is refused, and can be done over",
    async ({ session, engine }) => {
      const [f1, f2] = [new Foo({ value: "f1" }), new Foo({ value: "f2" })];
      session.addAll([f1, f2]);
      await session.commit();
      f1.value = "f1 rev 2";
      await session.commit();
      await using other = engine.session();
      const theirs = await other.getOrFail(Foo, f1.id);
      theirs.value = "f1 rev 3";
      await other.commit();
      f1.value = "f1 rev 3 mine";
      await assertRejects(() => session.commit(), StaleDataError, `Foo ${f1.id} (version 2)`);
      assertEquals([f1.value, f1.version], ["f1 rev 2", 2]);
      await session.refresh(f1);
      assertEquals([f1.value, f1.version], ["f1 rev 3", 3]);
      f1.value = "f1 rev 4";
      await session.commit();
      assertEquals(f1.version, 4);
    },
  );

  scenario(
    "a delete of what was changed meanwhile is refused, and all with it",
    async (context) => {
      const { session, engine } = context;
      const [f1, f2] = [new Foo({ value: "f1" }), new Foo({ value: "f2" })];
      session.addAll([f1, f2]);
      await session.commit();
      await using other = engine.session();
      (await other.getOrFail(Foo, f1.id)).value = "theirs";
      await other.commit();
      session.delete(f1);
      session.delete(f2);
      const error = await assertRejects(() => session.commit(), StaleDataError);
      assert(error.message.includes(`Foo ${f1.id}`) && !error.message.includes(`Foo ${f2.id}`));
      assertEquals([inspect(f1).state, inspect(f2).state], ["persistent", "persistent"]);
      assertEquals(await session.query(Foo).count(), 2);
    },
  );

  scenario("several rows count on together, each its own", async ({ session, engine }) => {
    const foos = ["1", "2", "3", "4"].map((value) => new Foo({ value }));
    session.addAll(foos);
    await session.commit();
    foos[0]!.value = "ahead";
    await session.commit();
    for (const foo of foos) foo.value += " changed";
    assertEquals((await sent(engine, () => session.commit())).length, 1);
    assertEquals(foos.map(({ version }) => version), [3, 2, 2, 2]);
    const stored = await session.query(Foo).orderBy((f) => f.id.asc()).select((f) => f.version)
      .all();
    assertEquals(stored, [3, 2, 2, 2]);
  });

  scenario("one stale row among many is named, and none is written", async ({ session }) => {
    const foos = Array.from({ length: 8 }, (_, i) => new Foo({ value: `${i}` }));
    session.addAll(foos);
    await session.commit();
    await session.execute(sql`update ${Foo} set version = 9 where ${Foo.c.id} = ${foos[3]!.id}`);
    for (const foo of foos) foo.value = "changed";
    const error = await assertRejects(() => session.commit(), StaleDataError);
    assert(error.message.includes(`Foo ${foos[3]!.id} (version 1)`), error.message);
    assert(!error.message.includes(`Foo ${foos[4]!.id} `), error.message);
    const written = session.query(Foo).where((f) => f.value.eq("changed"));
    assertEquals(await written.count(), 0);
    assertEquals(foos.map(({ version }) => version), Array(8).fill(1));
  });

  scenario("a row that is gone is as stale as one that was changed", async ({ session }) => {
    const foo = new Foo({ value: "1" });
    session.add(foo);
    await session.commit();
    await session.execute(sql`delete from ${Foo}`);
    foo.value = "2";
    await assertRejects(() => session.commit(), StaleDataError);
    session.delete(foo);
    await assertRejects(() => session.commit(), StaleDataError);
  });

  scenario("a version is not to be set by hand, up, down or to nothing", async (context) => {
    const { session, engine } = context;
    const foo = new Foo({ value: "1" });
    session.add(foo);
    await session.commit();
    for (const version of [2, 0, null, undefined]) {
      foo.version = version as number;
      foo.value = "changed";
      const statements = await sent(
        engine,
        () => assertRejects(() => session.commit(), InputError, "version"),
      );
      assertEquals([statements, foo.version, foo.value], [[], 1, "1"]);
    }
  });

  scenario(
    "a query brings an unchanged object up to date, and keeps a changed one",
    async (context) => {
      const { session, engine } = context;
      const [clean, dirty] = [new Foo({ value: "1" }), new Foo({ value: "2" })];
      session.addAll([clean, dirty]);
      await session.commit();
      await using other = engine.session();
      for (const foo of await other.query(Foo).all()) foo.value += " theirs";
      await other.commit();
      dirty.value = "mine";
      await session.query(Foo).all();
      assertEquals([clean.value, clean.version], ["1 theirs", 2]);
      assertEquals(dirty.value, "mine");
      await assertRejects(() => session.commit(), StaleDataError, `Foo ${dirty.id}`);
    },
  );

  scenario(
    "a locked read sees the latest version, and its update is not stale",
    async (context) => {
      const { session, engine, engineName } = context;
      if (engineName === "sqlite") return;
      const foo = new Foo({ value: "1" });
      session.add(foo);
      await session.commit();
      if (engineName === "postgres") {
        await using other = engine.session();
        (await other.getOrFail(Foo, foo.id)).value = "theirs";
        await other.commit();
      }
      await session.begin(async () => {
        const locked = await session.getOrFail(Foo, foo.id, { lock: "update" });
        assertStrictEquals(locked, foo);
        locked.value = `${locked.value} and mine`;
      });
      assertEquals(foo.version, engineName === "postgres" ? 3 : 2);
    },
  );

  scenario("a rollback takes the version back, and a savepoint's its own", async ({ session }) => {
    const foo = new Foo({ value: "1" });
    session.add(foo);
    await session.commit();
    await assertRejects(
      () =>
        session.begin(async (tx) => {
          foo.value = "2";
          await session.flush();
          assertEquals(foo.version, 2);
          await assertRejects(
            () =>
              tx.savepoint(async () => {
                foo.value = "3";
                await session.flush();
                assertEquals(foo.version, 3);
                throw new Error("inner");
              }),
            Error,
            "inner",
          );
          assertEquals([foo.value, foo.version], ["2", 2]);
          throw new Error("outer");
        }),
      Error,
      "outer",
    );
    assertEquals([foo.value, foo.version], ["1", 1]);
    foo.value = "4";
    await session.commit();
    assertEquals(foo.version, 2);
  });

  scenario("two flushes of one transaction count twice", async ({ session }) => {
    const foo = new Foo({ value: "1" });
    session.add(foo);
    await session.begin(async () => {
      await session.flush();
      foo.value = "2";
      await session.flush();
      foo.value = "3";
    });
    assertEquals(foo.version, 3);
  });

  scenario("a detached object that was changed meanwhile cannot be stored", async (context) => {
    const { session, engine } = context;
    const foo = new Foo({ value: "1" });
    session.add(foo);
    await session.commit();
    await session.close();
    {
      await using other = engine.session();
      (await other.getOrFail(Foo, foo.id)).value = "theirs";
      await other.commit();
    }
    foo.value = "mine";
    await using other = engine.session();
    other.attach(foo);
    await assertRejects(() => other.commit(), StaleDataError, `Foo ${foo.id} (version 1)`);
  });
});

scenarios("versioning: relations, keys and subclasses", ENTITIES, (scenario) => {
  scenario("a parent does not count when children come and go", async ({ session }) => {
    const album = new Album({ id: "a", songs: [] });
    session.add(album);
    await session.commit();
    session.add(new Song({ album }));
    await session.commit();
    members(album.songs).push(new Song({}));
    await session.commit();
    members(album.songs).splice(0);
    await session.commit();
    assertEquals(album.version, 1);
    await session.refresh(album);
    assertEquals(album.version, 1);
  });

  scenario("an object does not count when its links change", async ({ session }) => {
    const foo = new Foo({ value: "1", tags: [new Tag({})] });
    session.add(foo);
    await session.commit();
    members(foo.tags).push(new Tag({}));
    await session.commit();
    foo.tags = [];
    await session.commit();
    assertEquals(foo.version, 1);
  });

  scenario("a child counts when its parent changes, from whichever side", async ({ session }) => {
    const [n1, n2, n3] = [1, 2, 3].map(() => new Node({ children: [] })) as [Node, Node, Node];
    session.addAll([n1, n2, n3]);
    await session.commit();
    members(n1.children).push(n2);
    await session.commit();
    assertEquals([n1.version, n2.version], [1, 2]);
    n2.parent = n3;
    await session.commit();
    assertEquals([n1.version, n2.version, n3.version], [1, 3, 1]);
    members(n3.children).pop();
    n2.data = "and more, in one";
    await session.commit();
    assertEquals(n2.version, 4);
  });

  scenario(
    "an object whose key waits for a ring is new once, with version 1",
    async ({ session }) => {
      const [n1, n2] = [new Node({}), new Node({})];
      n1.parent = n2;
      n2.parent = n1;
      session.add(n1);
      await session.commit();
      assertEquals([n1.version, n2.version], [1, 1]);
      await session.refresh(n1);
      await session.refresh(n2);
      assertEquals([n1.version, n2.version], [1, 1]);
    },
  );

  scenario("a changed key is guarded, too", async ({ session }) => {
    const [n1, n2] = [new Node({ children: [] }), new Node({})];
    session.addAll([n1, n2]);
    await session.commit();
    await session.execute(sql`update ${Node} set version = 3 where ${Node.c.id} = ${n2.id}`);
    members(n1.children).push(n2);
    await assertRejects(() => session.commit(), StaleDataError, `Node ${n2.id} (version 1)`);
    assertEquals([members(n1.children), n2.parentId], [[], null]);
  });

  scenario("rows in a ring are deleted only as they were read", async ({ session }) => {
    const [n1, n2] = [new Node({}), new Node({})];
    n1.parent = n2;
    n2.parent = n1;
    session.add(n1);
    await session.commit();
    await session.execute(sql`update ${Node} set version = 3 where ${Node.c.id} = ${n2.id}`);
    session.delete(n1);
    session.delete(n2);
    await assertRejects(() => session.commit(), StaleDataError);
    assertEquals(await session.query(Node).count(), 2);
    await session.refresh(n2);
    session.delete(n1);
    session.delete(n2);
    await session.commit();
    assertEquals(await session.query(Node).count(), 0);
  });

  scenario("a new object takes a deleted one's key, and counts from 1", async ({ session }) => {
    const old = new Album({ id: "P1", name: "version 1", cover: null });
    session.add(old);
    await session.commit();
    old.name = "version 2";
    await session.commit();
    session.delete(old);
    const fresh = new Album({ id: "P1", name: "another" });
    session.add(fresh);
    await session.commit();
    assertEquals(fresh.version, 1);
    assertStrictEquals(await session.get(Album, "P1"), fresh);
  });

  scenario("a child with its parent's key is replaced, and counts from 1", async ({ session }) => {
    const album = new Album({ id: "P1", cover: new Cover({ data: "1" }) });
    session.add(album);
    await session.commit();
    (album.cover as Cover).data = "2";
    await session.commit();
    album.cover = new Cover({ data: "another" });
    await session.commit();
    assertEquals((album.cover as Cover).version, 1);
    const covers = await session.query(Cover).all();
    assertEquals(covers.map((c) => [c.data, c.version]), [["another", 1]]);
    assertEquals(album.version, 1);
  });

  scenario("a key that changes is found with its version", async ({ session }) => {
    const cover = new Cover({ data: "1" });
    const album = new Album({ id: "P1", cover });
    session.add(album);
    await session.commit();
    album.id = "P2";
    await session.commit();
    assertEquals([album.version, cover.albumId, cover.version], [2, "P2", 1]);
    cover.data = "2";
    await session.commit();
    assertEquals(cover.version, 2);
    await session.execute(sql`update ${Album} set version = 9`);
    album.id = "P3";
    await assertRejects(() => session.commit(), StaleDataError);
    assertEquals([album.id, cover.albumId], ["P2", "P2"]);
  });

  scenario("a key of a type of its own is found with its version", async ({ session }) => {
    const day = new Day({ day: "2026-11-22", value: "1" });
    session.add(day);
    await session.commit();
    day.value = "2";
    await session.commit();
    assertEquals(day.version, 2);
    day.day = "2026-11-23";
    await session.commit();
    assertEquals(day.version, 3);
    session.delete(day);
    await session.commit();
    assertEquals(await session.query(Day).count(), 0);
  });

  scenario(
    "a moment as version: the lost update is seen, however soon it comes",
    async (context) => {
      const { session, engine } = context;
      const moment = new Moment({ id: 1, value: "1" });
      session.add(moment);
      await session.commit();
      await using other = engine.session();
      const theirs = await other.getOrFail(Moment, 1);
      theirs.value = "theirs";
      await other.commit();
      assert(theirs.at > moment.at);
      moment.value = "mine";
      await assertRejects(() => session.commit(), StaleDataError, "Moment 1");
    },
  );

  scenario("a subclass shares its base's version, whichever columns change", async (context) => {
    const { session, engine } = context;
    const [base, sub] = [new Base({ id: 1, data: "b" }), new Sub({ id: 2, data: "s", more: "m" })];
    session.addAll([base, sub]);
    await session.commit();
    sub.more = "more";
    base.data = "data";
    await session.commit();
    assertEquals([base.version, sub.version], [2, 2]);
    sub.data = "data";
    await session.commit();
    assertEquals(sub.version, 3);
    await using other = engine.session();
    const theirs = await other.getOrFail(Base, 2);
    assert(theirs instanceof Sub);
    theirs.more = "theirs";
    await other.commit();
    sub.data = "mine";
    await assertRejects(() => session.commit(), StaleDataError, "Sub 2 (version 3)");
    session.delete(sub);
    await assertRejects(() => session.commit(), StaleDataError, "Sub 2 (version 3)");
  });

  scenario("what changes nothing does not count", async ({ session, engine }) => {
    const foo = new Foo({ value: "1" });
    session.add(foo);
    await session.commit();
    foo.value = "2";
    foo.value = "1";
    assertEquals(await sent(engine, () => session.commit()), []);
    assertEquals(foo.version, 1);
  });

  scenario(
    "a failure elsewhere in the flush leaves every version as it was",
    async ({ session }) => {
      const [foo, album] = [new Foo({ value: "1" }), new Album({ id: "a" })];
      session.addAll([foo, album]);
      await session.commit();
      foo.value = "2";
      session.add(new Album({ id: "a" }));
      await assertRejects(() => session.commit());
      assertEquals([foo.value, foo.version], ["1", 1]);
      foo.value = "2";
      await session.commit();
      assertEquals(foo.version, 2);
    },
  );
});
