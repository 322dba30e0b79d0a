import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import {
  AsyncEngine,
  belongsTo,
  createAll,
  entity,
  hasMany,
  inspect,
  InstanceStateError,
  integer,
  json,
  manyToMany,
  NoResultError,
  NotLoadedError,
  sql,
  StaleDataError,
  text,
} from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";
import { sent } from "../support/library_model.ts";

class Shelf extends entity("shelves", {
  id: integer().primaryKey().generated(),
  name: text(),
  items: hasMany<Item>("items.shelfId"),
}) {}

class Item extends entity("items", {
  id: integer().primaryKey().generated(),
  name: text(),
  data: json<{ n: number }>().nullable(),
  version: integer().version(),
  shelfId: integer().references("shelves.id"),
  shelf: belongsTo<Shelf>("shelfId"),
  labels: manyToMany<Label>("item_labels"),
}) {}

class Label extends entity("labels", { name: text().primaryKey() }) {}

class ItemLabel extends entity("item_labels", {
  itemId: integer().primaryKey().references("items.id"),
  labelName: text().primaryKey().references("labels.name"),
}) {}

async function open(target: ConstructorParameters<typeof AsyncEngine>[0]) {
  const engine = new AsyncEngine(target, { entities: [Shelf, Item, Label, ItemLabel] });
  await createAll(engine);
  await using session = engine.session();
  session.add(
    new Shelf({
      name: "Top",
      items: [
        new Item({ name: "a", labels: [new Label({ name: "red" }), new Label({ name: "big" })] }),
        new Item({ name: "b", data: { n: 1 } }),
      ],
    }),
  );
  await session.commit();
  return engine;
}

function names(items: unknown): string[] {
  return (items as Item[]).map(({ name }) => name).sort();
}

/** A shelf with its items, without a session. */
async function detachedShelf(engine: AsyncEngine) {
  await using session = engine.session();
  return await session.query(Shelf).selectin("items.labels").one();
}

eachEngine("refresh() forgets changes and reads row and loaded relations anew", async (context) => {
  await using engine = await open(context.target);
  await using session = engine.session();
  const shelf = await session.query(Shelf).selectin("items").one();
  shelf.name = "Mine";
  shelf.items.pop();
  await engine.execute(sql`update shelves set name = 'Theirs'`);
  await engine.execute(
    sql`insert into items (name, version, shelf_id) values ('c', 1, ${shelf.id})`,
  );
  assertStrictEquals<unknown>(await session.refresh(shelf), shelf);
  assertEquals([shelf.name, names(shelf.items)], ["Theirs", ["a", "b", "c"]]);
  assertEquals(await sent(engine, () => session.commit()), []);

  const item = await session.getOrFail(Item, shelf.items[0]!.id);
  const loaded = await session.refresh(item, "labels", "shelf");
  assertEquals([loaded.labels.length, loaded.shelf === shelf], [2, true]);
});

eachEngine("refresh() refuses what is not persistent, and says when a row is gone", async (c) => {
  await using engine = await open(c.target);
  await using session = engine.session();
  await assertRejects(
    () => session.refresh(new Shelf({ name: "" })),
    InstanceStateError,
    "transient and cannot be refreshed",
  );
  const item = await session.query(Item).where((i) => i.name.eq("b")).one();
  await engine.execute(sql`delete from items where name = 'b'`);
  await assertRejects(() => session.refresh(item), NoResultError, `Item ${item.id}`);
});

eachEngine("refresh() inside a transaction does not store what it forgets", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  await session.begin(async () => {
    const shelf = await session.getOrFail(Shelf, 1);
    shelf.name = "Mine";
    await session.refresh(shelf);
    assertEquals(shelf.name, "Top");
  });
});

eachEngine("expire() makes get() read the row anew, once", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  const shelf = await session.query(Shelf).selectin("items").one();
  shelf.name = "Mine";
  await engine.execute(sql`update shelves set name = 'Theirs'`);
  session.expire(shelf);
  assertEquals(shelf.name, "Top");
  assertThrows(() => (shelf as { items: unknown }).items, NotLoadedError);
  assertStrictEquals<unknown>(await session.get(Shelf, shelf.id), shelf);
  assertEquals(shelf.name, "Theirs");
  assertEquals(await sent(engine, () => session.get(Shelf, shelf.id)), []);
});

eachEngine("attach() takes a detached graph back, with what was changed", async ({ target }) => {
  await using engine = await open(target);
  const shelf = await detachedShelf(engine);
  shelf.name = "Changed";
  shelf.items[0]!.name = "A";
  shelf.items.push(new Item({ name: "new" }) as never);
  await using session = engine.session();
  session.attach(shelf);
  assertEquals(inspect(shelf.items[1]!).state, "persistent");
  assertStrictEquals<unknown>(await session.get(Shelf, shelf.id), shelf);
  await session.commit();
  const stored = await detachedShelf(engine);
  assertEquals([stored.name, names(stored.items)], ["Changed", ["A", "b", "new"]]);
});

eachEngine("attach() notices what was changed meanwhile", async ({ target }) => {
  await using engine = await open(target);
  const shelf = await detachedShelf(engine);
  const item = shelf.items[0]!;
  await engine.execute(sql`update items set version = 2`);
  await using session = engine.session();
  session.attach(item);
  item.name = "mine";
  await assertRejects(() => session.commit(), StaleDataError, "(version 1)");
});

eachEngine("attach() refuses every other state, and then takes nothing", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  assertThrows(() => session.attach(new Label({ name: "x" })), InstanceStateError, "transient");
  const shelf = await detachedShelf(engine);
  const known = await session.getOrFail(Item, shelf.items[1]!.id);
  assertThrows(() => session.attach(shelf), InstanceStateError, "another object");
  assertEquals(inspect(shelf).state, "detached");
  await using other = engine.session();
  assertThrows(() => other.attach(known), InstanceStateError, "in another session");
  session.attach(known); // its own: nothing to do
  session.delete(known);
  await session.commit();
  assertThrows(() => other.attach(known), InstanceStateError, "was deleted");
});

eachEngine("merge() copies a detached graph into the session's objects", async ({ target }) => {
  await using engine = await open(target);
  const shelf = await detachedShelf(engine);
  await using session = engine.session();
  const mine = await session.getOrFail(Shelf, shelf.id);
  shelf.name = "Merged";
  shelf.items[1]!.data!.n = 2;
  shelf.items[0]!.labels.pop();
  shelf.items.push(new Item({ name: "new" }) as never);
  const merged = await session.merge(shelf);
  assertStrictEquals<unknown>(merged, mine);
  assertEquals([mine.name, names(mine.items)], ["Merged", ["a", "b", "new"]]);
  assert((mine.items as Item[]).every((item, i) => item !== shelf.items[i]));
  assertEquals(inspect(shelf).state, "detached");
  await session.commit();
  const stored = await detachedShelf(engine);
  assertEquals(
    stored.items.map(({ data, labels }) => [data?.n, labels.length]).sort(),
    [
      [undefined, 0],
      [undefined, 1],
      [2, 0],
    ].sort(),
  );
});

eachEngine(
  "merge() takes out of a collection what the copied one does not have",
  async (context) => {
    await using engine = await open(context.target);
    const { id, items: [item] } = await detachedShelf(engine);
    await using session = engine.session();
    // A plain graph, as a form might send it: with the keys of rows, and a label that is new.
    const merged = await session.merge(
      new Item({
        id: item!.id,
        name: "a",
        shelfId: id,
        version: 1,
        labels: [new Label({ name: "big" }), new Label({ name: "old" })],
      }),
    );
    await session.commit();
    assertEquals([merged.version, merged.shelfId], [1, id]);
    const [stored] = (await detachedShelf(engine)).items.filter(({ name }) => name === "a");
    assertEquals(stored!.labels.map(({ name }) => name).sort(), ["big", "old"]);
  },
);

eachEngine("merge() compares versions before it copies anything", async ({ target }) => {
  await using engine = await open(target);
  const shelf = await detachedShelf(engine);
  shelf.name = "Mine";
  shelf.items[0]!.name = "mine";
  await engine.execute(sql`update items set version = 2 where id = ${shelf.items[0]!.id}`);
  await using session = engine.session();
  const error = await assertRejects(() => session.merge(shelf), StaleDataError, "version 2");
  assert(error.message.includes("version 1"));
  assertEquals([session.dirty, session.new], [[], []]);
  await engine.execute(sql`delete from item_labels`);
  await engine.execute(sql`delete from items`);
  await using other = engine.session();
  await assertRejects(() => other.merge(shelf), StaleDataError, "deleted by somebody else");
});

eachEngine("merge() of an object without a row makes a new one", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  const plain = new Shelf({ name: "Low", items: [new Item({ name: "c" })] });
  const merged = await session.merge(plain);
  assert(merged !== plain);
  assertEquals([inspect(plain).state, inspect(merged).state], ["transient", "pending"]);
  assertEquals(session.new.length, 2);
  assertStrictEquals(await session.merge(merged), merged);
  await session.commit();
  const label = await session.merge(new Label({ name: "x" }));
  assertStrictEquals(await session.merge(new Label({ name: "x" })), label);
  await session.rollback();
});

eachEngine("inspect() tells state and history of an object", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  const shelf = await session.query(Shelf).selectin("items").one();
  assertEquals(inspect(shelf), { state: "persistent", modified: false, fields: {} });
  shelf.name = "Mine";
  const [first, second] = shelf.items as [Item, Item];
  shelf.items.pop();
  assertEquals(inspect(shelf).fields.name, { old: "Top", new: "Mine" });
  assertEquals(inspect(shelf).fields.items, { old: [first, second], new: [first] });
  session.delete(first);
  assertEquals(inspect(first).state, "deleted");
  await session.rollback();
  assertEquals([inspect(first).state, inspect(shelf).modified], ["persistent", false]);
  const label = new Label({ name: "x" });
  session.add(label);
  assertEquals(inspect(label), {
    state: "pending",
    modified: true,
    fields: { name: { old: undefined, new: "x" } },
  });
  await session.rollback();
});
