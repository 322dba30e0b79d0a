/** Copies of objects that a session does not have: after SQLAlchemy's suite. */

import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import {
  belongsTo,
  bytes,
  entity,
  hasMany,
  hasOne,
  inspect,
  InstanceStateError,
  integer,
  json,
  manyToMany,
  oneOf,
  StaleDataError,
  subclass,
  text,
} from "@sluice/orm";
import { sent } from "../../support/library_model.ts";
import { members, scenarios } from "./support.ts";

class User extends entity("users", {
  id: integer().primaryKey().generated(),
  name: text(),
  addresses: hasMany<Address>("addresses.userId", { orderBy: "id" }),
  badge: hasOne<Badge>("badges.userId", { cascade: "all-orphans" }),
}) {
  get shout(): string {
    return this.name.toUpperCase();
  }
}

class Address extends entity("addresses", {
  id: integer().primaryKey().generated(),
  email: text(),
  userId: integer().nullable().references("users.id"),
  user: belongsTo<User | null>("userId"),
}) {}

class Badge extends entity("badges", {
  id: integer().primaryKey().generated(),
  userId: integer().references("users.id"),
  user: belongsTo<User>("userId"),
}) {}

/** Owns its rows. */
class Cart extends entity("carts", {
  id: integer().primaryKey(),
  name: text().default(""),
  lines: hasMany<Line>("lines.cartId", { cascade: "all-orphans", orderBy: "id" }),
}) {}

class Line extends entity("lines", {
  id: integer().primaryKey(),
  what: text(),
  cartId: integer().references("carts.id"),
}) {}

class Order extends entity("orders", {
  id: integer().primaryKey().generated(),
  name: text(),
  items: manyToMany<Item>("order_items", { orderBy: "id" }),
}) {}

class Item extends entity("items", {
  id: integer().primaryKey().generated(),
  name: text(),
  orders: manyToMany<Order>("order_items"),
}) {}

class Note extends entity("notes", {
  id: integer().primaryKey(),
  data: text().nullable(),
  list: json<string[]>().nullable(),
  blob: bytes().nullable(),
  long: text().nullable().deferred(),
}) {}

class Pair extends entity("pairs", {
  left: text().primaryKey(),
  right: text().primaryKey(),
  value: text().nullable(),
}) {}

class Page extends entity("pages", {
  id: integer().primaryKey().generated(),
  body: text(),
  version: integer().version(),
  parentId: integer().nullable().references("pages.id"),
  parent: belongsTo<Page | null>("parentId"),
  children: hasMany<Page>("pages.parentId", { orderBy: "id" }),
}) {}

class Employee extends entity("employees", {
  id: integer().primaryKey(),
  kind: oneOf("employee", "manager").discriminator("employee"),
  data: text().nullable(),
}) {}
class Manager extends subclass(Employee, "manager", { reports: integer().nullable() }) {}

const ENTITIES = [
  User,
  Address,
  Badge,
  Cart,
  Line,
  Order,
  Item,
  Note,
  Pair,
  Page,
  Employee,
  Manager,
];

scenarios("merge: new objects", ENTITIES, (scenario) => {
  scenario("one with a key that has no row becomes pending, as a copy", async ({ session }) => {
    const given = new User({ id: 7, name: "fred" });
    const merged = await session.merge(given);
    assert(merged !== given);
    assertEquals([inspect(merged).state, inspect(given).state], ["pending", "transient"]);
    await session.commit();
    assertEquals((await session.getOrFail(User, 7)).name, "fred");
    assertStrictEquals(await session.get(User, 7), merged);
  });

  scenario("one without a key is copied without a query", async ({ session, engine }) => {
    assertEquals(await sent(engine, () => session.merge(new User({ name: "fred" }))), []);
    assertEquals(session.new.length, 1);
    await session.commit();
    assertEquals(await session.query(User).count(), 1);
  });

  scenario("one with half of a composite key is copied without a query", async (context) => {
    const { session, engine } = context;
    const pair = new Pair({ left: "a", right: undefined as never });
    assertEquals(await sent(engine, () => session.merge(pair)), []);
  });

  scenario("its collection comes with it, all of it new", async ({ session, engine }) => {
    const given = new User({
      id: 7,
      name: "fred",
      addresses: [new Address({ email: "1" }), new Address({ email: "2" })],
    });
    const merged = await session.merge(given);
    assertEquals(session.new.length, 3);
    assert(members(merged.addresses)[0] !== members(given.addresses)[0]);
    await session.commit();
    assertEquals(members(merged.addresses).map((a) => a.userId), [7, 7]);
    assertEquals<unknown>(members(given.addresses).map((a) => a.userId), [undefined, undefined]);
    assertEquals(await sent(engine, () => session.commit()), []);
  });

  scenario("an object graph with references in both directions is copied once", async (context) => {
    const { session } = context;
    const user = new User({ name: "u" });
    const address = new Address({ email: "a", user });
    user.addresses = [address, address];
    const merged = await session.merge(address);
    assertEquals(session.new.length, 2);
    assertStrictEquals(members((merged.user as User).addresses)[0], merged);
    await session.commit();
    assertEquals(await session.query(Address).count(), 1);
  });

  scenario("merged twice before the flush it is the same object", async ({ session }) => {
    const first = await session.merge(new User({ id: 1, name: "ed" }));
    const address = new Address({ email: "x", user: first });
    session.add(address);
    const second = await session.merge(new User({ id: 1, name: "jack" }));
    assertStrictEquals(second, first);
    assertStrictEquals(address.user, first);
    await session.commit();
    assertEquals(await session.query(User).select((u) => u.name).all(), ["jack"]);
  });

  scenario("inside a transaction it finds what is not flushed yet", async ({ session }) => {
    await session.begin(async () => {
      session.add(new Note({ id: 1, data: "pending" }));
      const merged = await session.merge(new Note({ id: 1, data: "merged" }));
      assertEquals(merged.data, "merged");
    });
    assertEquals(await session.query(Note).select((n) => n.data).all(), ["merged"]);
  });
});

scenarios("merge: objects that have a row", ENTITIES, (scenario) => {
  scenario("a new object with the key of a row changes that row", async ({ session, engine }) => {
    session.add(new User({ id: 7, name: "fred" }));
    await session.commit();
    await using other = engine.session();
    const merged = await other.merge(new User({ id: 7, name: "fred jones" }));
    assertEquals([inspect(merged).state, other.dirty], ["persistent", [merged]]);
    await other.commit();
    assertEquals(await other.query(User).select((u) => u.name).all(), ["fred jones"]);
  });

  scenario("a new object says null where nothing was given, a detached one what it has", async ({
    session,
    engine,
  }) => {
    const note = new Note({ id: 1, data: "foo", list: ["a"] });
    session.add(note);
    await session.commit();
    await using other = engine.session();
    const detached = await other.getOrFail(Note, 1);
    other.expunge(detached);
    assertStrictEquals(await session.merge(new Note({ id: 1, data: "bar" })), note);
    assertEquals([note.data, note.list], ["bar", null]);
    await session.commit();
    await session.merge(detached);
    assertEquals([note.data, note.list], ["foo", ["a"]]);
    await session.commit();
    assertEquals(await session.query(Note).select((n) => n.data).all(), ["foo"]);
  });

  scenario("an unchanged object says nothing", async ({ session, engine }) => {
    const user = new User({ name: "u", addresses: [new Address({ email: "a" })] });
    session.add(user);
    await session.commit();
    await using other = engine.session();
    const merged = await other.merge(user);
    assertEquals([merged.name, members(merged.addresses)[0]!.email], ["u", "a"]);
    assertEquals(await sent(engine, () => other.commit()), []);
    assertEquals(other.dirty, []);
  });

  scenario("a collection becomes what it is in the copied object, orphans go", async (context) => {
    const { session, engine } = context;
    session.add(
      new Cart({ id: 7, lines: [new Line({ id: 1, what: "1" }), new Line({ id: 2, what: "2" })] }),
    );
    await session.commit();
    await using other = engine.session();
    await other.merge(
      new Cart({ id: 7, lines: [new Line({ id: 3, what: "3" }), new Line({ id: 4, what: "4" })] }),
    );
    await other.commit();
    const lines = other.query(Line).orderBy((l) => l.id.asc());
    assertEquals((await lines.all()).map((l) => [l.id, l.cartId]), [[3, 7], [4, 7]]);
  });

  scenario(
    "a collection grows by a new member, and the others stay",
    async ({ session, engine }) => {
      session.add(new Cart({ id: 7, lines: [new Line({ id: 1, what: "1" })] }));
      await session.commit();
      await using other = engine.session();
      await other.merge(
        new Cart({
          id: 7,
          lines: [new Line({ id: 1, what: "1" }), new Line({ id: 2, what: "2" })],
        }),
      );
      const statements = await sent(engine, () => other.commit());
      assertEquals(statements.map((text) => text.split(" ", 1)[0]), ["insert"]);
      assertEquals(await other.query(Line).count(), 2);
    },
  );

  scenario("a detached graph that was changed is stored again", async ({ session, engine }) => {
    const [gone, kept] = [new Address({ email: "1" }), new Address({ email: "2" })];
    const user = new User({ name: "fred", addresses: [gone, kept] });
    session.add(user);
    await session.commit();
    await session.close();
    user.name = "fred jones";
    members(user.addresses).push(new Address({ email: "3" }));
    members(user.addresses).shift();
    await using other = engine.session();
    const merged = await other.merge(user);
    await other.commit();
    assertEquals(members(merged.addresses).map((a) => a.email), ["2", "3"]);
    assertEquals((await other.getOrFail(Address, gone.id)).userId, null);
    assertEquals(merged.shout, "FRED JONES");
  });

  scenario("another session's changes arrive, whoever has not stored them yet", async (context) => {
    const { session, engine } = context;
    const user = new User({
      name: "fred",
      addresses: [new Address({ email: "1" }), new Address({ email: "2" })],
    });
    session.add(user);
    await session.commit();
    await using second = engine.session();
    const loaded = await second.getOrFail(User, user.id);
    user.name = "fred2";
    members(user.addresses)[1]!.email = "changed";
    assertStrictEquals(await second.merge(user), loaded);
    assertEquals([loaded.name, members(loaded.addresses)[1]!.email], ["fred2", "changed"]);
    await second.commit();
    await using third = engine.session();
    const found = await third.query(User).selectin("addresses").one();
    assertEquals([found.name, found.addresses[1]!.email], ["fred2", "changed"]);
    assertEquals(session.dirty.length, 2, "the original is left as it is");
    await session.rollback();
  });

  scenario("a session's own object is given back as it is, changes and all", async (context) => {
    const { session, engine } = context;
    const user = new User({ name: "u" });
    session.add(user);
    await session.commit();
    user.name = "mine";
    assertEquals(
      await sent(engine, async () => assertStrictEquals(await session.merge(user), user)),
      [],
    );
    assertEquals(user.name, "mine");
  });

  scenario("a reference moves to another object", async ({ session, engine }) => {
    const [u1, u2] = [new User({ name: "u1" }), new User({ name: "u2" })];
    const address = new Address({ email: "a", user: u1 });
    session.addAll([address, u2]);
    await session.commit();
    address.user = u2;
    await using other = engine.session();
    const merged = await other.merge(address);
    assertEquals(other.dirty, [merged]);
    await other.commit();
    assertEquals(merged.userId, u2.id);
    assertStrictEquals(merged.user, await other.get(User, u2.id));
    await session.rollback();
  });

  scenario("null for a value, a reference and a single related object", async (context) => {
    const { session, engine } = context;
    const user = new User({ name: "u", badge: new Badge({}) });
    const address = new Address({ email: "a", user });
    session.addAll([user, address]);
    await session.commit();
    await using other = engine.session();
    await other.merge(new User({ id: user.id, name: "u", badge: null }));
    const merged = await other.merge(new Address({ id: address.id, email: "a", user: null }));
    await other.commit();
    assertEquals([merged.userId, await other.query(Badge).count()], [null, 0]);
  });

  scenario(
    "one to one: the related object is copied into the one that is there",
    async (context) => {
      const { session, engine } = context;
      const user = new User({ name: "u", badge: new Badge({}) });
      session.add(user);
      await session.commit();
      await using other = engine.session();
      const loaded = await other.query(User).selectin("badge").one();
      loaded.name = "changed";
      assertStrictEquals(await session.merge(loaded), user);
      assertEquals(user.name, "changed");
      assertEquals((user.badge as Badge).id, loaded.badge!.id);
      await session.commit();
      assertEquals(await session.query(Badge).count(), 1);
      await other.rollback();
    },
  );

  scenario("links come along, and so do those that were removed", async ({ session, engine }) => {
    const [i1, i2] = [new Item({ name: "1" }), new Item({ name: "2" })];
    const order = new Order({ name: "o", items: [i1, i2] });
    session.add(order);
    await session.commit();
    await session.close();
    i2.name = "changed";
    members(order.items).shift();
    members(order.items).push(new Item({ name: "3" }));
    await using other = engine.session();
    await other.merge(order);
    await other.commit();
    await using third = engine.session();
    const found = await third.query(Order).selectin("items").one();
    assertEquals(found.items.map((i) => i.name), ["changed", "3"]);
    assertEquals(await third.query(Item).count(), 3);
  });

  scenario("what is not loaded in the copied object is left alone", async ({ session, engine }) => {
    session.add(new Cart({ id: 1, lines: [new Line({ id: 1, what: "1" })] }));
    await session.commit();
    await using second = engine.session();
    const bare = await second.getOrFail(Cart, 1);
    bare.name = "changed";
    await using third = engine.session();
    const full = await third.query(Cart).selectin("lines").one();
    assertStrictEquals(await third.merge(bare), full);
    await third.commit();
    assertEquals([full.name, full.lines.length], ["changed", 1]);
    await second.rollback();
  });

  scenario("deferred columns are copied where they were read", async ({ session, engine }) => {
    session.add(new Note({ id: 1, data: "a", long: "long" }));
    await session.commit();
    await using second = engine.session();
    const note = await second.getOrFail(Note, 1);
    await using third = engine.session();
    const merged = await third.merge(note);
    assertEquals([third.dirty, Object.hasOwn(merged, "long")], [[], false]);
    note.long = "longer";
    await third.merge(note);
    await third.commit();
    assertEquals(await third.query(Note).select((n) => n.long).all(), ["longer"]);
    await second.rollback();
  });

  scenario("JSON and bytes are copies of their own", async ({ session, engine }) => {
    const note = new Note({ id: 1, list: ["this", "is"], blob: new Uint8Array([1, 2]) });
    session.add(note);
    await session.commit();
    await using other = engine.session();
    note.list = ["this", "was"];
    note.blob![0] = 9;
    const merged = await other.merge(note);
    assertEquals([merged.list, merged.blob], [["this", "was"], new Uint8Array([9, 2])]);
    note.list.push("mine");
    note.blob![1] = 9;
    assertEquals([merged.list, merged.blob], [["this", "was"], new Uint8Array([9, 2])]);
    await other.commit();
    await session.rollback();
  });

  scenario("an object of a subclass is copied as one", async ({ session, engine }) => {
    session.add(new Manager({ id: 55, data: "original", reports: 3 }));
    await session.commit();
    await using other = engine.session();
    const merged = await other.merge(new Manager({ id: 55, data: "updated", reports: 4 }));
    assert(merged instanceof Manager);
    assertEquals([merged.data, merged.reports], ["updated", 4]);
    await other.commit();
    const found = await other.query(Employee).one();
    assertStrictEquals(found, merged);
  });

  scenario("many objects are read with one query for each class and relation", async (context) => {
    const { session, engine } = context;
    const cart = new Cart({
      id: 1,
      lines: [1, 2, 3, 4, 5].map((id) => new Line({ id, what: `${id}` })),
    });
    session.add(cart);
    await session.commit();
    await session.close();
    await using other = engine.session();
    const statements = await sent(engine, () => other.merge(cart));
    assert(statements.length <= 3, statements.join("\n"));
  });
});

scenarios("merge: what cannot be merged, and versions", ENTITIES, (scenario) => {
  scenario("an object that this session deletes is refused", async ({ session }) => {
    const note = new Note({ id: 1 });
    session.add(note);
    await session.commit();
    session.delete(note);
    await assertRejects(
      () => session.merge(new Note({ id: 1, data: "x" })),
      InstanceStateError,
      "Note 1 is deleted",
    );
    assertEquals(session.deleted, [note]);
  });

  scenario("a detached object whose row is gone becomes a new one", async ({ session, engine }) => {
    const note = new Note({ id: 1, data: "kept" });
    session.add(note);
    await session.commit();
    await session.close();
    await using other = engine.session();
    await other.bulkDelete(Note, [1]);
    const merged = await other.merge(note);
    assertEquals(inspect(merged).state, "pending");
    await other.commit();
    assertEquals(await other.query(Note).select((n) => n.data).all(), ["kept"]);
  });

  scenario("without a version the latest state is changed", async ({ session }) => {
    const page = new Page({ body: "1" });
    session.add(page);
    await session.commit();
    page.body = "2";
    await session.commit();
    assertStrictEquals(await session.merge(new Page({ id: page.id, body: "3" })), page);
    await session.commit();
    assertEquals([page.body, page.version], ["3", 3]);
  });

  scenario("with the right version it is changed, and the version goes on", async ({ session }) => {
    const page = new Page({ body: "1" });
    session.add(page);
    await session.commit();
    page.body = "2";
    await session.commit();
    await session.merge(new Page({ id: page.id, body: "3", version: 2 }));
    await session.commit();
    assertEquals([page.body, page.version], ["3", 3]);
  });

  for (const known of [true, false]) {
    scenario(
      `with an old version nothing is copied, ${known ? "known" : "not known"} to the session`,
      async ({ session, engine }) => {
        const page = new Page({ body: "1", children: [new Page({ body: "child" })] });
        session.add(page);
        await session.commit();
        page.body = "2";
        await session.commit();
        await using other = engine.session();
        if (known) await other.query(Page).all();
        const stale = new Page({ id: page.id, body: "3", version: 1 });
        stale.children = [new Page({ id: members(page.children)[0]!.id, body: "changed" })];
        await assertRejects(() => other.merge(stale), StaleDataError, "version 1");
        assertEquals([other.dirty, other.new], [[], []]);
      },
    );
  }

  scenario(
    "a detached object with an old version is refused, its graph with it",
    async (context) => {
      const { session, engine } = context;
      const page = new Page({ body: "1", children: [new Page({ body: "child" })] });
      session.add(page);
      await session.commit();
      await session.close();
      await using other = engine.session();
      const theirs = await other.getOrFail(Page, members(page.children)[0]!.id);
      theirs.body = "theirs";
      await other.commit();
      page.body = "mine";
      await using third = engine.session();
      await assertRejects(() => third.merge(page), StaleDataError, "Page 2");
      assertEquals(third.dirty, []);
    },
  );

  scenario("a detached object with a version whose row is gone is refused", async (context) => {
    const { session, engine } = context;
    const page = new Page({ body: "1" });
    session.add(page);
    await session.commit();
    await session.close();
    await using other = engine.session();
    await other.bulkDelete(Page, [page.id]);
    await assertRejects(() => other.merge(page), StaleDataError, "deleted by somebody else");
    assertEquals(other.new, []);
  });
});
