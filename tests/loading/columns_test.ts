/** Loading some columns: `only()`, `undefer()`, and `session.load()` of what is missing. */

import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import {
  type AsyncEngine,
  belongsTo,
  bytes,
  DetachedInstanceError,
  embedded,
  entity,
  hasMany,
  InputError,
  inspect,
  integer,
  json,
  lazy,
  NoResultError,
  NotLoadedError,
  subclass,
  text,
} from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";
import { openLibrary, sent } from "../support/library_model.ts";

class Shelf extends entity("shelves", {
  id: integer().primaryKey().generated(),
  code: text().unique(),
  label: text(),
  volumes: hasMany<Volume>("volumes.shelfCode"),
}) {}

class Volume extends entity("volumes", {
  id: integer().primaryKey(),
  kind: text().discriminator("volume"),
  title: text(),
  notes: text().nullable(),
  tags: json<string[]>().default(() => []),
  size: embedded({ width: integer(), height: integer() }),
  version: integer().version(),
  changed: integer().default(0).onUpdate(() => 7),
  scan: bytes().nullable().deferred(),
  shelfCode: text().references("shelves.code"),
  shelf: belongsTo<Shelf>("shelfCode"),
}, { computed: { shout: (v) => v.title.upper() } }) {}

class Atlas extends subclass(Volume, "atlas", { maps: integer() }) {}

const ENTITIES = [Shelf, Volume, Atlas];

async function open(target: Parameters<typeof openLibrary>[0]): Promise<AsyncEngine> {
  const engine = await openLibrary(target, { entities: ENTITIES });
  await using session = engine.session();
  const size = { width: 2, height: 3 };
  session.addAll(["a", "b"].map((code, i) =>
    new Shelf({
      code,
      label: `Shelf ${code}`,
      volumes: [1, 2, 3].map((n) =>
        n === 3
          ? new Atlas({ id: i * 3 + n, title: `${code}3`, size, maps: 30, notes: "n" })
          : new Volume({
            id: i * 3 + n,
            title: `${code}${n}`,
            size,
            notes: "n",
            tags: ["x"],
            scan: new Uint8Array([n]),
          })
      ),
    })
  ));
  await session.commit();
  return engine;
}

/** A column that was not loaded, as plain JavaScript reads it. */
const read = (object: object, name: string): unknown => (object as Record<string, unknown>)[name];

eachEngine("only() reads the columns it names, and those no object can do without", async ({
  target,
}) => {
  await using engine = await open(target);
  await using session = engine.session();
  const query = session.query(Volume).orderBy((v) => v.id.asc());
  let list: Awaited<ReturnType<typeof some.all>> = [];
  const some = query.only("title", "size", "shout");
  const [statement] = await sent(engine, async () => list = await some.all());
  assert(!/"(notes|tags|scan|changed|maps)"/.test(statement!), statement);
  assertEquals(list.map((v) => v.title), ["a1", "a2", "a3", "b1", "b2", "b3"]);
  const [first, , third] = list;
  assert(third instanceof Atlas && !(first instanceof Atlas));
  assertEquals({ ...first! } as unknown, {
    id: 1,
    kind: "volume",
    title: "a1",
    size: { width: 2, height: 3 },
    version: 1,
    shelfCode: "a",
    shout: "A1",
  });
  for (const name of ["notes", "tags", "changed", "scan"]) {
    assertThrows(() => read(first!, name), NotLoadedError, `"Volume.${name}"`);
  }
  assertThrows(() => read(third, "maps"), NotLoadedError, `"Atlas.maps" was not loaded`);
  assertEquals(session.dirty, []);
  assertEquals(JSON.parse(JSON.stringify(first)).title, "a1");

  const [bare] = await engine.session().query(Volume).only("id").limit(1).all();
  assertThrows(() => read(bare!, "size"), NotLoadedError);
  assertThrows(() => read(bare!, "shout"), NotLoadedError);
  // Whoever awaits an object asks it for `then`.
  assertStrictEquals(await Promise.resolve(bare), bare);

  const other = engine.session();
  const one = await other.query(Volume).only("title").where((v) => v.notes.eq("n")).first();
  await other.close();
  assertThrows(() => read(one!, "notes"), DetachedInstanceError, "no session");
  assertEquals(await query.only("title").count(), 6);
  assertEquals((await query.ofType(Atlas).only("maps").all()).map((a) => a.maps), [30, 30]);
  assertEquals((await query.only("title").ofType(Atlas).first())!.title, "a3");
});

eachEngine("a commit writes no column that was not loaded", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  const query = session.query(Volume).orderBy((v) => v.id.asc()).only("title");
  const [first, second] = await query.all();
  first!.title = "changed";
  second!.notes = "given";
  second!.size = { width: 8, height: 9 };
  assertEquals(Object.keys(inspect(second!).fields), ["notes", "size.width", "size.height"]);
  const updates = (await sent(engine, () => session.commit())).filter((s) => /^update/.test(s));
  assert(updates.length === 2 && !updates.some((s) => /"(tags|scan)"/.test(s)), String(updates));
  assertEquals([first!.version, read(first!, "changed")], [2, 7], "given by the flush");
  assertThrows(() => read(first!, "notes"), NotLoadedError);
  assertEquals(second!.notes, "given");

  first!.title = "again";
  second!.notes = "again";
  const error = await session.begin(async () => {
    await session.flush();
    await session.query(Volume).all();
    assertEquals(read(first!, "notes"), "n", "a whole load fills it");
    throw new Error("no");
  }).catch((error) => error);
  assertEquals(error.message, "no");
  assertEquals([first!.title, second!.notes], ["changed", "given"]);
  assertThrows(() => read(first!, "notes"), NotLoadedError);

  session.delete(second!);
  await session.commit();
  await using other = engine.session();
  const rows = await other.query(Volume).orderBy((v) => v.id.asc()).limit(2).all();
  assertEquals(rows.map((v) => [v.title, v.notes, v.tags]), [
    ["changed", "n", ["x"]],
    ["a3", "n", []],
  ]);
});

eachEngine("a later load fills in what is missing, and leaves what the program changed", async ({
  target,
}) => {
  await using engine = await open(target);
  await using session = engine.session();
  const query = session.query(Volume).orderBy((v) => v.id.asc());
  const [first, second] = await query.only("title").all();
  first!.title = "mine";
  second!.notes = "mine too";
  const [whole, whole2] = await query.all();
  assertStrictEquals<unknown>(whole, first);
  assertEquals([whole!.title, whole!.notes, whole!.tags], ["mine", "n", ["x"]]);
  assertEquals([whole!.shout, whole!.size.width], ["A1", 2]);
  assertEquals(whole2!.notes, "mine too");
  assertEquals(inspect(whole2!).fields, { notes: { old: "n", new: "mine too" } });
  // Read with fewer columns again, it keeps all.
  await query.only("title").all();
  assertEquals(whole!.notes, "n");
  await session.rollback();
  assertEquals([whole!.title, whole2!.notes], ["a1", "n"]);
  assertEquals(session.dirty, []);

  const [third] = await query.offset(2).limit(1).only("id").all();
  await session.refresh(third!);
  assertEquals(read(third!, "notes"), "n");
  await using fresh = engine.session();
  const [part] = await fresh.query(Volume).only("title").limit(1).all();
  fresh.expire(part!);
  assertEquals((await fresh.get(Volume, 1))!.notes, "n");

  await using target2 = engine.session();
  await using source = engine.session();
  const [loose] = await source.query(Volume).orderBy((v) => v.id.asc()).only("title").all();
  loose!.title = "merged";
  await target2.query(Volume).only("id").all();
  const merged = await target2.merge(loose as Volume);
  assertEquals([merged.title, merged.notes], ["merged", "n"]);
  target2.rollback();
  source.rollback();
});

eachEngine("session.load() loads columns: one statement for all objects that lack them", async ({
  target,
}) => {
  await using engine = await open(target);
  await using session = engine.session();
  const parts = await session.query(Volume).orderBy((v) => v.id.asc()).only("title").all();
  parts[0]!.notes = "mine";
  const statements = await sent(engine, async () => {
    const list = await session.load(parts, "notes", "scan", "size", "shelf");
    assertEquals(list.map((v) => v.notes), ["mine", "n", "n", "n", "n", "n"]);
    assertEquals(list.map((v) => v.scan?.[0]), [1, 2, undefined, 1, 2, undefined]);
    assertEquals(list.map((v) => v.size.height), [3, 3, 3, 3, 3, 3]);
    assertEquals(list.map((v) => v.shelf.label.at(-1)), ["a", "a", "a", "b", "b", "b"]);
  });
  assertEquals(statements.length, 2, "the columns of both classes, and the shelves");
  assertEquals(session.dirty, [parts[0] as object]);
  assertEquals((await sent(engine, () => session.load(parts, "notes", "scan"))).length, 0);
  assertThrows(() => read(parts[0]!, "tags"), NotLoadedError, "session.load(objects");
  assertEquals((await session.load(parts, "shout"))[0]!.shout, "A1");

  const wholes = await engine.session().query(Volume).undefer("scan").only("title").all();
  // only() says what there is.
  assertThrows(() => read(wholes[0]!, "scan"), NotLoadedError, `"Volume.scan" is deferred`);
  const undeferred = await session.query(Volume).orderBy((v) => v.id.asc()).undefer("scan").all();
  assertEquals(undeferred.map((v) => v.scan?.[0]), [1, 2, undefined, 1, 2, undefined]);
  assertEquals(undeferred[1]!.notes, "n");
  await using other = engine.session();
  const [whole] = await other.query(Volume).undefer("scan").limit(1).all();
  assertEquals([whole!.scan?.[0], whole!.notes, whole!.shout], [1, "n", "A1"]);
  const few = other.query(Volume).only("title").undefer("scan").where((v) => v.id.eq(2));
  assertEquals((await few.one()).scan, new Uint8Array([2]));

  const [gone] = await other.query(Volume).where((v) => v.id.eq(4)).only("id").all();
  await session.bulkDelete(Volume, [4]);
  await assertRejects(() => other.load([gone!], "notes"), NoResultError, "Volume 4");
  await assertRejects(() => other.load([gone!], "nots" as "notes"), InputError, "nots");
  await session.rollback();
});

eachEngine("lazy() loads a column for all that came along, get() and load() whole objects", async ({
  target,
}) => {
  await using engine = await open(target);
  await using session = engine.session();
  const parts = await session.query(Volume).orderBy((v) => v.id.asc()).only("title").all();
  let statements = await sent(engine, async () => {
    const notes: unknown[] = [];
    for (const part of parts) notes.push(await lazy(part).notes, (await lazy(part).scan)?.[0]);
    assertEquals(notes.slice(0, 6), ["n", 1, "n", 2, "n", undefined]);
  });
  assertEquals(statements.length, 2, "one for each column, whatever the class");
  await using second = engine.session();
  const [gone, there] = await second.query(Volume).orderBy((v) => v.id.asc()).only("id").all();
  await session.bulkDelete(Volume, [1]);
  assertEquals(await lazy(there!).notes, "n", "though another row is gone");
  await assertRejects(() => lazy(gone!).notes, NoResultError, "Volume 1");

  await using other = engine.session();
  const [bare] = await other.query(Volume).where((v) => v.id.eq(2)).only("title").all();
  statements = await sent(engine, async () => {
    const whole = await other.get(Volume, 2);
    assertStrictEquals<unknown>(whole, bare);
    assertEquals([whole!.notes, whole!.shout], ["n", "A2"]);
    await other.get(Volume, 2);
  });
  assertEquals(statements.length, 1);
  const shelves = await other.query(Shelf).orderBy((s) => s.id.asc())
    .selectin("volumes", (q) => q.only("title")).all();
  statements = await sent(engine, async () => {
    const loaded = await other.load(shelves as unknown as Shelf[], "volumes");
    assertEquals(loaded.map((s) => s.volumes.map((v) => v.notes)), [["n", "n"], ["n", "n", "n"]]);
    await other.load(shelves as unknown as Shelf[], "volumes");
  });
  assertEquals(statements.length, 1);
  assertEquals(other.dirty, []);
});

eachEngine("a refinement loads some columns of related objects, either way", async ({ target }) => {
  await using engine = await open(target);
  const check = async (strategy: "selectin" | "joined", count: number) => {
    await using session = engine.session();
    const query = session.query(Shelf).orderBy((s) => s.id.asc()).only("id");
    const statements = await sent(engine, async () => {
      const shelves = await query[strategy](
        "volumes",
        (q) => q.only("title").where((v) => v.id.ne(2)).orderBy((v) => v.id.desc()),
      ).all();
      assertEquals(shelves.map((s) => s.volumes.map((v) => v.title)), [
        ["a3", "a1"],
        ["b3", "b2", "b1"],
      ]);
      assertThrows(() => read(shelves[0]!, "label"), NotLoadedError);
      assertThrows(() => read(shelves[0]!.volumes[1]!, "notes"), NotLoadedError);
      assertEquals(session.dirty, []);
    });
    assertEquals(statements.length, count);
    assert(!statements.some((text) => /"(label|notes|tags)"/.test(text)), String(statements));
    const volumes = await session.query(Volume).orderBy((v) => v.id.asc()).only("title")
      [strategy]("shelf", (q) => q.only("label")).all();
    assertEquals(volumes.map((v) => v.shelf.label.at(-1)), ["a", "a", "a", "b", "b", "b"]);
  };
  await check("selectin", 2);
  await check("joined", 1);
  await using session = engine.session();
  const [shelf] = await session.query(Shelf).orderBy((s) => s.id.asc()).limit(1)
    .selectin("volumes", (q) => q.only("title").orderBy((v) => v.id.asc()).limit(1)).all();
  assertEquals(shelf!.volumes.map((v) => v.title), ["a1"]);
  const [loaded] = await session.load([shelf!], "volumes", (q) => q.only("notes"));
  assertEquals(loaded!.volumes.map((v) => v.notes), ["n", "n", "n"]);
  // The key of a shelf is another than its primary key: it is there to link by.
  await using other = engine.session();
  const bare = await other.query(Shelf).only("id").where((s) => s.code.eq("b")).one();
  const added = new Volume({
    id: 7,
    title: "b4",
    size: { width: 1, height: 1 },
    shelf: bare as Shelf,
  });
  other.add(added);
  await other.commit();
  assertEquals(added.shelfCode, "b");
});

eachEngine("streams, pages and walks read the columns of only()", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  const query = session.query(Volume).only("title");
  const titles: string[] = [];
  for await (const volume of query.orderBy((v) => v.id.asc()).window(2)) titles.push(volume.title);
  assertEquals(titles, ["a1", "a2", "a3", "b1", "b2", "b3"]);
  const { items, next } = await query.orderBy((v) => v.notes.asc()).page({ size: 4 });
  assertEquals(items.map((v) => v.title), titles.slice(0, 4));
  const second = await query.orderBy((v) => v.notes.asc()).page({ size: 4, after: next });
  assertEquals(second.items.map((v) => v.title), titles.slice(4));
  await using other = engine.session();
  const walk = other.query(Volume).only("title").orderBy((v) => v.notes.asc());
  for await (const volume of walk.commitEvery(4)) volume.title += "!";
  assertEquals(
    (await other.query(Volume).orderBy((v) => v.id.asc()).select((v) => v.title).all()).join(),
    titles.map((title) => `${title}!`).join(),
  );
});

Deno.test("only() and undefer() refuse what is no column", async () => {
  await using engine = await openLibrary("sqlite::memory:", { entities: ENTITIES });
  await using session = engine.session();
  const query = session.query(Volume);
  assertThrows(() => query.only("titel" as "title"), InputError, `"titel"`);
  assertThrows(() => query.only("shelf" as "title"), InputError, "no such column");
  assertThrows(() => query.only("size.width" as "title"), InputError);
  assertThrows(() => query.undefer(1 as unknown as "title"), InputError, "names of columns");
});
