import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import {
  AsyncEngine,
  belongsTo,
  createAll,
  DecodeError,
  entity,
  hasMany,
  inspect,
  integer,
  lazy,
  manyToMany,
  sql,
  text,
} from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";

const COUNT = 5_000;

class Shelf extends entity("shelves", {
  id: integer().primaryKey(),
  name: text(),
  items: hasMany<Item>("items.shelfId", { orderBy: "id" }),
}) {}

class Item extends entity("items", {
  id: integer().primaryKey(),
  shelfId: integer().references("shelves.id"),
  label: text(),
  shelf: belongsTo<Shelf>("shelfId"),
  marks: manyToMany<Mark>("item_marks"),
}) {}

class Mark extends entity("marks", {
  id: integer().primaryKey(),
  items: manyToMany<Item>("item_marks"),
}) {}

const label = (n: number) => `Item number ${n}, ${"x".repeat(n % 90)}`;

/** 5,000 items on 50 shelves, each with two of three marks: more than one read of a socket. */
eachEngine("a large result is whole, in order, one object a row", async (t) => {
  await using engine = new AsyncEngine(t.target, { entities: [Shelf, Item, Mark] });
  await createAll(engine);
  await using session = engine.session();
  await session.bulkInsert(
    Shelf,
    Array.from({ length: 50 }, (_, i) => ({ id: i + 1, name: `Shelf ${i + 1}` })),
  );
  await session.bulkInsert(
    Item,
    Array.from({ length: COUNT }, (_, i) => ({
      id: i + 1,
      shelfId: i % 50 + 1,
      label: label(i + 1),
    })),
  );
  await session.bulkInsert(Mark, [1, 2, 3].map((id) => ({ id })));
  await session.execute(
    sql`insert into item_marks (item_id, mark_id) select id, 1 from items union all select id, 2 + id % 2 from items`,
  );
  const items = session.query(Item).orderBy((i) => i.id.asc());

  await t.test.step("as objects of the session", async () => {
    const all = await items.all();
    assertEquals(all.map((item) => item.id), Array.from({ length: COUNT }, (_, i) => i + 1));
    assert(all.every((item) => item.label === label(item.id)));
    assertEquals(inspect(all.at(-1)!).state, "persistent");
    assertEquals(session.dirty, []);
    const again = await items.all();
    assert(again.every((item, i) => item === all[i]));
  });

  await t.test.step("with what belongs to them", async () => {
    await using other = engine.session();
    const shelves = await other.query(Shelf).selectin("items").orderBy((s) => s.id.asc()).all();
    assertEquals(shelves.map((shelf) => shelf.items.length), shelves.map(() => COUNT / 50));
    for (const shelf of shelves) {
      assertEquals(shelf.items.map((i) => i.id), shelf.items.map((_, k) => k * 50 + shelf.id));
    }
    const marked = await other.query(Item).selectin("marks", "shelf").all();
    assert(marked.every((item) => item.marks.length === 2));
    assertStrictEquals(marked.find((item) => item.id === 51)!.shelf, shelves[0]);
    const joined = await other.query(Shelf).readOnly().joined("items").all();
    assertEquals(joined.reduce((sum, shelf) => sum + shelf.items.length, 0), COUNT);
  });

  await t.test.step("whose objects are loaded together, whatever piece they came in", async () => {
    await using other = engine.session();
    const all = await other.query(Item).all();
    let statements = 0;
    const stop = engine.on("statement", () => statements++);
    assertEquals((await lazy(all[0]!).shelf).name, `Shelf ${all[0]!.shelfId}`);
    assertEquals((await lazy(all.at(-1)!).shelf).name, `Shelf ${all.at(-1)!.shelfId}`);
    stop();
    assertEquals(statements, 1);
  });

  await t.test.step("or an error, after which the session goes on", async () => {
    await using other = engine.session();
    const cancelled = AbortSignal.abort(new Error("not wanted"));
    await assertRejects(() => other.query(Item).signal(cancelled).all(), Error, "not wanted");
    if (t.engineName === "sqlite") {
      await engine.execute(sql`update items set shelf_id = 'broken' where id = 4900`).catch(
        () => {},
      );
    } else {
      const failing = other.query(Item).orderBy((i) => i.id.asc())
        .where(() => sql<boolean>`1 / (4900 - t0.id) <= 1`);
      await assertRejects(() => failing.all(), Error, "zero");
    }
    assertEquals((await other.query(Item).where((i) => i.id.lte(10)).all()).length, 10);
  });
});

class Read extends entity("things", { id: integer().primaryKey(), size: integer() }) {}

eachEngine(
  "a value that cannot be read is an error wherever in the result it stands",
  async (t) => {
    await using engine = new AsyncEngine(t.target, { entities: [Read] });
    await engine.execute(sql`create table things (id integer primary key, size text)`);
    await engine.execute(
      t.engineName === "sqlite"
        ? sql`insert into things with recursive s(g) as (select 1 union all select g + 1 from s where g < 5000)
          select g, case g when 700 then 'large' else '1' end from s`
        : sql`insert into things select g, case g when 700 then 'large' else '1' end from generate_series(1, 5000) as g`,
    );
    await using session = engine.session();
    for (const query of [session.query(Read), session.query(Read).readOnly()]) {
      const error = await assertRejects(() => query.orderBy((r) => r.id.asc()).all(), DecodeError);
      assert(error.message.includes("things.size") && !error.message.includes("large"));
    }
    assertEquals((await session.query(Read).where((r) => r.id.eq(1)).one()).size, 1);
  },
);
