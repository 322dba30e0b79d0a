/** Keys that mean something, and change: after SQLAlchemy's suite. */

import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import {
  belongsTo,
  entity,
  ForeignKeyViolationError,
  hasMany,
  hasOne,
  inspect,
  integer,
  manyToMany,
  NoResultError,
  oneOf,
  sql,
  subclass,
  text,
  UniqueViolationError,
} from "@sluice/orm";
import { sent } from "../../support/library_model.ts";
import { members, scenarios } from "./support.ts";

class User extends entity("users", {
  username: text().primaryKey(),
  fullname: text().nullable(),
  addresses: hasMany<Address>("addresses.username", { orderBy: "email" }),
  badge: hasOne<Badge>("badges.username"),
  rooms: hasMany<Room>("rooms.username", { orderBy: "no" }),
  items: manyToMany<Item>("users_items", { orderBy: "itemname" }),
}) {}

class Address extends entity("addresses", {
  email: text().primaryKey(),
  username: text().nullable().references("users.username", { onUpdate: "cascade" }),
  user: belongsTo<User | null>("username"),
}) {}

class Badge extends entity("badges", {
  id: integer().primaryKey().generated(),
  username: text().nullable().unique().references("users.username", {
    onUpdate: "set null",
    onDelete: "set null",
  }),
  user: belongsTo<User | null>("username"),
}) {}

/** Its key holds its parent's key. */
class Room extends entity("rooms", {
  username: text().primaryKey().references("users.username", { onUpdate: "cascade" }),
  no: integer().primaryKey(),
  note: text().nullable(),
  user: belongsTo<User>("username"),
  chairs: hasMany<Chair>(["chairs.username", "chairs.roomNo"]),
}) {}

/** And refers to a key that holds another key. */
class Chair extends entity("chairs", {
  id: integer().primaryKey().generated(),
  username: text().nullable(),
  roomNo: integer().nullable(),
  room: belongsTo<Room | null>(["username", "roomNo"]),
}, {
  foreignKeys: [{
    columns: ["username", "roomNo"],
    references: ["rooms.username", "rooms.no"],
    onUpdate: "cascade",
  }],
}) {}

class Item extends entity("items", {
  itemname: text().primaryKey(),
  users: manyToMany<User>("users_items", { orderBy: "username" }),
}) {}

/** A composite key of which a part changes. */
class Version extends entity("versions", {
  code: integer().primaryKey(),
  status: integer().primaryKey(),
  name: text(),
}) {}

class Node extends entity("nodes", {
  name: text().primaryKey(),
  parentName: text().nullable().references("nodes.name", { onUpdate: "cascade" }),
  parent: belongsTo<Node | null>("parentName"),
  children: hasMany<Node>("nodes.parentName", { orderBy: "name" }),
}) {}

/** A key of its own, and a name that others refer to. */
class Account extends entity("accounts", {
  id: integer().primaryKey().generated(),
  login: text().unique(),
  full: text().nullable(),
  mails: hasMany<Mail>("mails.login", { orderBy: "id" }),
}) {}

class Mail extends entity("mails", {
  id: integer().primaryKey().generated(),
  subject: text(),
  login: text().nullable().references("accounts.login", { onUpdate: "cascade" }),
  account: belongsTo<Account | null>("login"),
}) {}

/** Refers to a key, and nothing is said of what happens when it changes. */
class Strict extends entity("stricts", {
  id: integer().primaryKey().generated(),
  username: text().nullable().references("users.username"),
  user: belongsTo<User | null>("username"),
}) {}

class Staff extends entity("staff", {
  name: text().primaryKey(),
  kind: oneOf("staff", "engineer", "manager").discriminator("staff"),
}) {}
class Engineer extends subclass(Staff, "engineer", {
  language: text(),
  bossName: text().nullable().references("staff.name", { onUpdate: "cascade" }),
  boss: belongsTo<Manager | null>("bossName"),
}) {}
class Manager extends subclass(Staff, "manager", { paperwork: text() }) {}

const ENTITIES = [
  User,
  Address,
  Badge,
  Room,
  Chair,
  Item,
  Version,
  Node,
  Account,
  Mail,
  Strict,
  Staff,
  Engineer,
  Manager,
];

scenarios("natural keys: an object whose key changes", ENTITIES, (scenario) => {
  scenario("it is found by its new key without a query, and by the old one no more", async (c) => {
    const { session, engine } = c;
    const user = new User({ username: "jack", fullname: "Jack" });
    session.add(user);
    await session.commit();
    assertStrictEquals(await session.get(User, "jack"), user);
    user.username = "ed";
    await session.commit();
    assertEquals(
      await sent(engine, async () => assertStrictEquals(await session.get(User, "ed"), user)),
      [],
    );
    assertEquals(await session.get(User, "jack"), undefined);
    await using other = engine.session();
    assertEquals((await other.getOrFail(User, "ed")).fullname, "Jack");
  });

  scenario("it is found by its old key until the flush", async ({ session }) => {
    const user = new User({ username: "jack" });
    session.add(user);
    await session.commit();
    user.username = "ed";
    assertStrictEquals(await session.get(User, "jack"), user);
    assertEquals(await session.get(User, "ed"), undefined);
    await session.rollback();
    assertEquals(user.username, "jack");
  });

  scenario("when somebody else changes it, the object is gone", async ({ session }) => {
    const user = new User({ username: "jack", fullname: "Jack" });
    session.add(user);
    await session.commit();
    await session.execute(sql`update ${User} set username = 'ed'`);
    await assertRejects(() => session.refresh(user), NoResultError, "User jack");
    session.expunge(user);
    assertEquals(await session.get(User, "jack"), undefined);
    assertEquals((await session.getOrFail(User, "ed")).fullname, "Jack");
  });

  scenario("a change after expire() needs no reading", async ({ session, engine }) => {
    const user = new User({ username: "jack", fullname: "Jack" });
    session.add(user);
    await session.commit();
    session.expire(user);
    user.username = "ed";
    assertEquals((await sent(engine, () => session.commit())).length, 1);
    await using other = engine.session();
    assertEquals((await other.getOrFail(User, "ed")).fullname, "Jack");
  });

  scenario("a key that is taken already is refused, and both objects are as before", async (c) => {
    const { session } = c;
    const [jack, ed] = [new User({ username: "jack" }), new User({ username: "ed" })];
    session.addAll([jack, ed]);
    await session.commit();
    jack.username = "ed";
    await assertRejects(() => session.commit(), UniqueViolationError);
    assertEquals([jack.username, ed.username], ["jack", "ed"]);
    assertStrictEquals(await session.get(User, "ed"), ed);
    assertStrictEquals(await session.get(User, "jack"), jack);
  });

  scenario("a deleted object's key goes to another that is there", async ({ session }) => {
    const [jack, ed] = [new User({ username: "jack" }), new User({ username: "ed" })];
    session.addAll([jack, ed]);
    await session.commit();
    session.delete(ed);
    jack.username = "ed";
    await session.commit();
    assertStrictEquals(await session.get(User, "ed"), jack);
    assertEquals(await session.query(User).count(), 1);
  });

  scenario("a new object takes the key that another gives up", async ({ session }) => {
    const old = new User({ username: "jack", fullname: "old" });
    session.add(old);
    await session.commit();
    old.username = "ed";
    const fresh = new User({ username: "jack", fullname: "new" });
    session.add(fresh);
    await session.commit();
    assertStrictEquals(await session.get(User, "jack"), fresh);
    assertStrictEquals(await session.get(User, "ed"), old);
  });

  scenario("two objects exchange their keys, and back", async ({ session }) => {
    const [a, b] = [
      new Version({ code: 1, status: 1, name: "published" }),
      new Version({ code: 1, status: 2, name: "editable" }),
    ];
    session.addAll([a, b]);
    await session.commit();
    a.status = 3;
    b.status = 1;
    await session.commit();
    assertStrictEquals(await session.get(Version, { code: 1, status: 1 }), b);
    assertStrictEquals(await session.get(Version, { code: 1, status: 3 }), a);
    a.status = 1;
    b.status = 2;
    await session.commit();
    assertStrictEquals(await session.get(Version, { code: 1, status: 1 }), a);
    assertStrictEquals(await session.get(Version, { code: 1, status: 2 }), b);
    const names = session.query(Version).orderBy((v) => v.status.asc()).select((v) => v.name);
    assertEquals(await names.all(), ["published", "editable"]);
  });

  scenario("a rollback after a flush gives the old key back", async ({ session }) => {
    const user = new User({ username: "jack", addresses: [new Address({ email: "a" })] });
    session.add(user);
    await session.commit();
    const [address] = members(user.addresses);
    await assertRejects(
      () =>
        session.begin(async () => {
          user.username = "ed";
          address!.email = "b";
          await session.flush();
          assertEquals(address!.username, "ed");
          throw new Error("undone");
        }),
      Error,
      "undone",
    );
    assertEquals([user.username, address!.email, address!.username], ["jack", "a", "jack"]);
    assertStrictEquals(await session.get(Address, "a"), address);
    user.username = "fred";
    await session.commit();
    assertEquals(address!.username, "fred");
  });
});

scenarios("natural keys: objects that refer to a key that changes", ENTITIES, (scenario) => {
  scenario("children in a loaded collection have the new key", async ({ session, engine }) => {
    const user = new User({
      username: "jack",
      addresses: [new Address({ email: "jack1" }), new Address({ email: "jack2" })],
    });
    session.add(user);
    await session.commit();
    user.username = "ed";
    assertEquals((await sent(engine, () => session.commit())).length, 1);
    assertEquals(members(user.addresses).map((a) => a.username), ["ed", "ed"]);
    assertEquals(await sent(engine, () => session.commit()), []);
    await using other = engine.session();
    assertEquals(await other.query(Address).select((a) => a.username).all(), ["ed", "ed"]);
    assertEquals(members(user.addresses).map((a) => inspect(a).modified), [false, false]);
  });

  scenario(
    "children that nobody has loaded follow in the database",
    async ({ session, engine }) => {
      session.add(new User({ username: "jack", addresses: [new Address({ email: "a" })] }));
      await session.commit();
      await using other = engine.session();
      const user = await other.getOrFail(User, "jack");
      user.username = "ed";
      assertEquals((await sent(engine, () => other.commit())).length, 1);
      const [loaded] = await other.load([user], "addresses");
      assertEquals(loaded!.addresses.map((a) => a.username), ["ed"]);
    },
  );

  scenario("children that were loaded alone have the new key", async ({ session, engine }) => {
    session.add(new User({ username: "jack", addresses: [new Address({ email: "a" })] }));
    await session.commit();
    await using other = engine.session();
    const [address, user] = [
      await other.getOrFail(Address, "a"),
      await other.getOrFail(User, "jack"),
    ];
    user.username = "ed";
    await other.commit();
    assertEquals(address.username, "ed");
    assertEquals(await sent(engine, () => other.commit()), []);
  });

  scenario("children that name their parent have the new key", async ({ session, engine }) => {
    const user = new User({ username: "jack" });
    const addresses = ["1", "2"].map((email) => new Address({ email, user }));
    session.addAll(addresses);
    await session.commit();
    user.username = "ed";
    assertEquals((await sent(engine, () => session.commit())).length, 1);
    assertEquals(addresses.map((a) => a.username), ["ed", "ed"]);
    assertEquals(addresses.map((a) => a.user), [user, user]);
    assertEquals(await sent(engine, () => session.commit()), []);
  });

  scenario("children that are taken out while the key changes go without", async (context) => {
    const { session, engine } = context;
    const user = new User({
      username: "jack",
      addresses: [new Address({ email: "1" }), new Address({ email: "2" })],
    });
    session.add(user);
    await session.commit();
    const addresses = members(user.addresses).splice(0);
    user.username = "fred";
    await session.commit();
    assertEquals(addresses.map((a) => a.username), [null, null]);
    await using other = engine.session();
    assertEquals(await other.query(Address).select((a) => a.username).all(), [null, null]);
  });

  scenario("children that are put in while the key changes have the new one", async (context) => {
    const { session, engine } = context;
    const stray = new Address({ email: "stray" });
    const user = new User({ username: "jack", addresses: [] });
    session.addAll([user, stray]);
    await session.commit();
    user.username = "ed";
    const fresh = new Address({ email: "fresh" });
    members(user.addresses).push(stray, fresh);
    await session.commit();
    assertEquals([stray.username, fresh.username], ["ed", "ed"]);
    await using other = engine.session();
    assertEquals(await other.query(Address).select((a) => a.username).all(), ["ed", "ed"]);
    assertEquals(await sent(engine, () => session.commit()), []);
  });

  scenario("a child moves to a parent whose key changes as well", async ({ session }) => {
    const moved = new Address({ email: "a" });
    const [jack, ed] = [
      new User({ username: "jack", addresses: [moved] }),
      new User({ username: "ed", addresses: [] }),
    ];
    session.addAll([jack, ed]);
    await session.commit();
    moved.user = ed;
    ed.username = "fred";
    jack.username = "john";
    await session.commit();
    assertEquals(moved.username, "fred");
    await session.refresh(moved);
    assertEquals(moved.username, "fred");
    assertEquals([members(jack.addresses), members(ed.addresses)], [[], [moved]]);
  });

  scenario("a child is pointed to another parent by hand", async ({ session, engine }) => {
    const room = new Room({ no: 1 });
    session.addAll([new User({ username: "ed", rooms: [room] }), new User({ username: "jack" })]);
    await session.commit();
    room.username = "jack";
    assertEquals((await sent(engine, () => session.commit())).length, 1);
    assertStrictEquals(await session.get(Room, { username: "jack", no: 1 }), room);
  });

  scenario("both directions of a relation are as before", async ({ session, engine }) => {
    const user = new User({ username: "jack", addresses: [] });
    session.addAll(["1", "2"].map((email) => new Address({ email, user })));
    await session.commit();
    for (const name of ["ed", "fred"]) {
      user.username = name;
      assertEquals((await sent(engine, () => session.commit())).length, 1);
      assertEquals(members(user.addresses).map((a) => [a.username, a.user]), [
        [name, user],
        [name, user],
      ]);
    }
  });

  scenario(
    "a key that is set to null by the database leaves the relation empty",
    async (context) => {
      const { session, engine } = context;
      const badge = new Badge({});
      const user = new User({ username: "jack" });
      badge.user = user;
      session.add(badge);
      await session.commit();
      user.username = "ed";
      await session.commit();
      assertEquals([badge.username, badge.user], [null, null]);
      assertEquals(await sent(engine, () => session.commit()), []);
    },
  );

  scenario(
    "a key that nothing is said about keeps its target from changing",
    async ({ session }) => {
      const user = new User({ username: "jack" });
      const strict = new Strict({ user });
      session.add(strict);
      await session.commit();
      user.username = "ed";
      await assertRejects(() => session.commit(), ForeignKeyViolationError);
      assertEquals([user.username, strict.username], ["jack", "jack"]);
      assertStrictEquals(await session.get(User, "jack"), user);
    },
  );

  scenario("links go along, from either side", async ({ session, engine }) => {
    const [i1, i2] = [new Item({ itemname: "item1" }), new Item({ itemname: "item2", users: [] })];
    const [jack, fred] = [
      new User({ username: "jack", items: [i1, i2] }),
      new User({ username: "fred" }),
    ];
    members(i2.users).push(fred);
    session.addAll([jack, fred]);
    await session.commit();
    fred.username = "ed";
    i1.itemname = "item0";
    await session.commit();
    assertEquals(await sent(engine, () => session.commit()), []);
    await using other = engine.session();
    const items = await other.query(Item).orderBy((i) => i.itemname.asc()).selectin("users").all();
    assertEquals(items.map((i) => [i.itemname, i.users.map((u) => u.username)]), [
      ["item0", ["jack"]],
      ["item2", ["ed", "jack"]],
    ]);
    const ed = items[1]!.users[0]!;
    ed.username = "wendy";
    await other.commit();
    const [loaded] = await other.load([ed], "items");
    assertEquals(loaded!.items.map((i) => i.itemname), ["item2"]);
  });

  scenario("a link is added while both keys change", async ({ session, engine }) => {
    const [user, item] = [new User({ username: "jack", items: [] }), new Item({ itemname: "a" })];
    session.addAll([user, item]);
    await session.commit();
    members(user.items).push(item);
    user.username = "ed";
    item.itemname = "b";
    await session.commit();
    await using other = engine.session();
    const found = await other.query(User).selectin("items").one();
    assertEquals([found.username, found.items.map((i) => i.itemname)], ["ed", ["b"]]);
    user.items = [];
    await session.commit();
    assertEquals(await other.query(User).where((u) => u.items.some()).count(), 0);
  });

  scenario("a tree's children follow their parent's new name", async ({ session }) => {
    const root = new Node({
      name: "n1",
      children: ["n11", "n12", "n13"].map((name) => new Node({ name })),
    });
    session.add(root);
    await session.commit();
    root.name = "new n1";
    await session.commit();
    assertEquals(members(root.children).map((n) => n.parentName), Array(3).fill("new n1"));
    const child = members(root.children)[1]!;
    child.name = "n12 new";
    root.name = "n1";
    await session.commit();
    assertEquals(child.parentName, "n1");
    assertStrictEquals(await session.get(Node, "n12 new"), child);
  });

  scenario(
    "an object's key follows where it holds its parent's, level by level",
    async (context) => {
      const { session, engine } = context;
      const chair = new Chair({});
      const room = new Room({ no: 1, chairs: [chair] });
      const other = new Room({ no: 2 });
      const user = new User({ username: "ed", rooms: [room, other] });
      session.add(user);
      await session.commit();
      user.username = "jack";
      assertEquals((await sent(engine, () => session.commit())).length, 1);
      assertEquals([room.username, other.username, chair.username], ["jack", "jack", "jack"]);
      assertStrictEquals(await session.get(Room, { username: "jack", no: 1 }), room);
      assertEquals(await session.get(Room, { username: "ed", no: 1 }), undefined);
      room.no = 3;
      await session.commit();
      assertEquals([chair.username, chair.roomNo], ["jack", 3]);
      room.note = "still there";
      await session.commit();
      assertEquals(await sent(engine, () => session.commit()), []);
    },
  );

  scenario(
    "a row whose own key and whose parent's key change in one commit",
    async ({ session }) => {
      const [r1, r2] = [new Room({ no: 1 }), new Room({ no: 2 })];
      const user = new User({ username: "ed", rooms: [r1, r2] });
      session.add(user);
      await session.commit();
      user.username = "jack";
      r2.no = 3;
      r1.note = "changed as well";
      await session.commit();
      const rooms = await session.query(Room).orderBy((r) => r.no.asc()).all();
      assertEquals(rooms.map((r) => [r.username, r.no, r.note]), [
        ["jack", 1, "changed as well"],
        ["jack", 3, null],
      ]);
      assertEquals(rooms, [r1, r2]);
    },
  );

  scenario("a parent and its child are replaced by ones with the same keys", async (context) => {
    const { session } = context;
    const room = new Room({ no: 1, user: new User({ username: "ed" }) });
    session.add(room);
    await session.commit();
    session.delete(room.user as User);
    session.delete(room);
    const fresh = new Room({ no: 1, note: "foo", user: new User({ username: "ed" }) });
    session.add(fresh);
    await session.commit();
    assertStrictEquals(await session.get(Room, { username: "ed", no: 1 }), fresh);
    assertEquals(await session.query(Room).select((r) => r.note).all(), ["foo"]);
  });

  scenario("new children of two parents, of whom one takes the other's key", async (context) => {
    const { session, engine } = context;
    const kept = new Address({ email: "kept" });
    const old = new User({ username: "jack", addresses: [kept] });
    session.add(old);
    await session.commit();
    old.username = "ed";
    const fresh = new User({ username: "jack" });
    const [of, by, hand] = [
      new Address({ email: "of", user: old }),
      new Address({ email: "by", user: fresh }),
      new Address({ email: "hand", username: "ed" }),
    ];
    session.addAll([fresh, of, by, hand]);
    await session.commit();
    assertEquals([kept, of, by, hand].map((a) => a.username), ["ed", "ed", "jack", "ed"]);
    await using other = engine.session();
    const found = await other.query(Address).orderBy((a) => a.email.asc()).all();
    assertEquals(found.map((a) => [a.email, a.username]), [
      ["by", "jack"],
      ["hand", "ed"],
      ["kept", "ed"],
      ["of", "ed"],
    ]);
    assertEquals(await sent(engine, () => session.commit()), []);
  });

  scenario("two parents exchange their keys, and the children stay with them", async (context) => {
    const { session, engine } = context;
    const [a1, a2] = [new Address({ email: "1" }), new Address({ email: "2" })];
    const [jack, ed] = [
      new User({ username: "jack", addresses: [a1] }),
      new User({ username: "ed", addresses: [a2] }),
    ];
    session.addAll([jack, ed]);
    await session.commit();
    jack.username = "tmp";
    ed.username = "jack";
    await session.commit();
    jack.username = "ed";
    await session.commit();
    assertEquals([a1.username, a2.username], ["ed", "jack"]);
    await using other = engine.session();
    const found = await other.query(Address).orderBy((a) => a.email.asc()).all();
    assertEquals(found.map((a) => a.username), ["ed", "jack"]);
    assertStrictEquals(await session.get(User, "ed"), jack);
  });

  scenario("a child that is deleted while its parent's key changes", async ({ session }) => {
    const [gone, kept] = [new Room({ no: 1 }), new Room({ no: 2 })];
    const user = new User({ username: "ed", rooms: [gone, kept] });
    session.add(user);
    await session.commit();
    user.username = "jack";
    session.delete(gone);
    await session.commit();
    assertEquals([kept.username, members(user.rooms)], ["jack", [kept]]);
    assertEquals(await session.query(Room).select((r) => r.no).all(), [2]);
  });

  scenario("a rollback brings back a relation that the database had emptied", async (context) => {
    const { session, engine } = context;
    const user = new User({ username: "jack" });
    const badge = new Badge({ user });
    session.add(badge);
    await session.commit();
    for (const change of [() => user.username = "ed", () => session.delete(user)]) {
      await assertRejects(
        () =>
          session.begin(async () => {
            change();
            await session.flush();
            assertEquals([badge.username, badge.user], [null, null]);
            throw new Error("undone");
          }),
        Error,
        "undone",
      );
      assertEquals([badge.username, badge.user, user.username], ["jack", user, "jack"]);
      assertEquals(await sent(engine, () => session.commit()), []);
    }
  });

  scenario("a name that is no key can be referred to, and changes", async ({ session, engine }) => {
    const account = new Account({
      login: "jack",
      mails: [new Mail({ subject: "1" }), new Mail({ subject: "2" })],
    });
    session.add(account);
    await session.commit();
    account.login = "ed";
    assertEquals((await sent(engine, () => session.commit())).length, 1);
    assertEquals(members(account.mails).map((m) => m.login), ["ed", "ed"]);
    members(account.mails).splice(0);
    account.login = "fred";
    await session.commit();
    assertEquals(await session.query(Mail).select((m) => m.login).all(), [null, null]);
    assertEquals(await sent(engine, () => session.commit()), []);
  });

  scenario("subclasses with natural keys, and one that refers to another", async ({ session }) => {
    const boss = new Manager({ name: "dogbert", paperwork: "lots" });
    const [e1, e2] = ["dilbert", "wally"].map((name) =>
      new Engineer({ name, language: "java", boss })
    ) as [Engineer, Engineer];
    session.addAll([e1, e2, boss]);
    await session.commit();
    boss.name = "pointy haired";
    e1.language = "scala";
    e2.language = "cobol";
    await session.commit();
    assertEquals([e1.bossName, e2.bossName], ["pointy haired", "pointy haired"]);
    e1.name = "alice";
    e1.language = "c++";
    await session.commit();
    assertStrictEquals(await session.get(Staff, "alice"), e1);
    assertStrictEquals(await session.get(Engineer, "alice"), e1);
  });
});
