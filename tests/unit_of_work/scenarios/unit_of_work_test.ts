/** What a unit of work is asked to do all day: after the suites of SQLAlchemy and MikroORM. */

import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import {
  belongsTo,
  boolean,
  bytes,
  customType,
  entity,
  ForeignKeyViolationError,
  hasMany,
  hasOne,
  InputError,
  inspect,
  InstanceStateError,
  integer,
  json,
  manyToMany,
  sql,
  StaleDataError,
  text,
  UsageError,
  uuid,
} from "@sluice/orm";
import { sent } from "../../support/library_model.ts";
import { members, scenarios } from "./support.ts";

class User extends entity("users", {
  id: integer().primaryKey().generated(),
  name: text(),
  addresses: hasMany<Address>("addresses.userId", { orderBy: "id" }),
  badge: hasOne<Badge>("badges.userId"),
}) {
  get title(): string {
    return `User:${this.name}`;
  }
  set title(name: string) {
    this.name = `${name}:User`;
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
  colour: text(),
  userId: integer().nullable().unique().references("users.id", { onDelete: "set null" }),
  user: belongsTo<User | null>("userId"),
}) {}

class Word {
  constructor(readonly letters: string) {}
}

class Thing extends entity("things", {
  id: integer().primaryKey().generated(),
  code: text().unique().defaultSql("'unnamed'"),
  counter: integer().nullable().default(1),
  touched: text().default("new").onUpdate(() => "changed"),
  label: text().nullable().defaultSql("'label'"),
  notes: text().nullable().deferred(),
  flag: boolean().nullable(),
  data: json<{ name: string; on?: boolean; list?: number[] }[]>().nullable(),
  blob: bytes().nullable(),
  word: customType<Word>({
    sql: "text",
    toDriver: (word) => word.letters,
    fromDriver: (letters) => new Word(letters),
  }).nullable(),
  parts: hasMany<Part>("parts.thingCode", { orderBy: "id" }),
}) {}

/** Refers to a column that is not the key, and that the database may fill in. */
class Part extends entity("parts", {
  id: integer().primaryKey().generated(),
  name: text(),
  thingCode: text().nullable().references("things.code"),
  thing: belongsTo<Thing | null>("thingCode"),
}) {}

class Entry extends entity("entries", {
  place: text().primaryKey(),
  revision: integer().primaryKey(),
  value: text().nullable(),
}) {}

class Person extends entity("people", {
  nick: text().primaryKey(),
  site: hasOne<Site>("sites.nick", { cascade: "all-orphans" }),
}) {}

/** Its key is its parent's. */
class Site extends entity("sites", {
  nick: text().primaryKey().references("people.nick"),
  url: text().nullable(),
  person: belongsTo<Person>("nick"),
}) {}

class Folder extends entity("folders", {
  id: integer().primaryKey(),
  name: text(),
  pages: hasMany<Page>("pages.folderId", { cascade: "all-orphans", orderBy: "id" }),
  labels: manyToMany<Label>("folder_labels", { target: "labels", cascade: "all", orderBy: "id" }),
}) {}

class Page extends entity("pages", {
  id: integer().primaryKey(),
  body: text().nullable(),
  folderId: integer().references("folders.id"),
  folder: belongsTo<Folder>("folderId"),
  authorId: integer().nullable().references("users.id"),
  author: belongsTo<User | null>("authorId"),
}) {}

class Label extends entity("labels", {
  id: integer().primaryKey(),
  name: text(),
}) {}

class Shelf extends entity("shelves", {
  id: uuid().primaryKey().default(() => crypto.randomUUID()),
  boxes: hasMany<Box>("boxes.shelfId"),
}) {}

class Box extends entity("boxes", {
  id: integer().primaryKey().generated(),
  rank: integer().defaultSql("0"),
  size: integer().nullable(),
  shelfId: uuid().nullable().references("shelves.id", { onDelete: "cascade" }),
  shelf: belongsTo<Shelf | null>("shelfId"),
  insideId: integer().nullable().references("boxes.id"),
  inside: belongsTo<Box | null>("insideId", { cascade: "all" }),
}) {}

class Word2 extends entity("слова", {
  id: integer().column("ключ").primaryKey().generated(),
  text: text().column("測試"),
  nextId: integer().column("méil").nullable().references("слова.ключ"),
  next: belongsTo<Word2 | null>("nextId"),
}) {}

/** Between two owners, each of whom takes it along. */
class Member extends entity("members", {
  groupId: integer().primaryKey().references("groups.id", { onDelete: "cascade" }),
  personId: integer().primaryKey().references("persons.id", { onDelete: "cascade" }),
  since: text().default("today"),
  group: belongsTo<Group>("groupId"),
  person: belongsTo<Human>("personId"),
}) {}

class Group extends entity("groups", {
  id: integer().primaryKey(),
  members: hasMany<Member>("members.groupId", { cascade: "all-orphans" }),
}) {}

class Human extends entity("persons", {
  id: integer().primaryKey(),
  name: text().default(""),
  members: hasMany<Member>("members.personId", { cascade: "all-orphans" }),
}) {}

const ENTITIES = [
  Member,
  Group,
  Human,
  User,
  Address,
  Badge,
  Thing,
  Part,
  Entry,
  Person,
  Site,
  Folder,
  Page,
  Label,
  Shelf,
  Box,
  Word2,
];

scenarios("unit of work: values and keys", ENTITIES, (scenario) => {
  scenario("text of any script is stored, found and referred to", async ({ session, engine }) => {
    const code = "ŠĐĆČŽ 測試 🦊";
    session.add(new Thing({ code, parts: [new Part({ name: "é" }), new Part({ name: "ß" })] }));
    await session.commit();
    await using other = engine.session();
    const found = await other.query(Thing).where((t) => t.code.eq(code)).selectin("parts").one();
    assertEquals(found.parts.map(({ name, thingCode }) => [name, thingCode]), [["é", code], [
      "ß",
      code,
    ]]);
  });

  scenario("tables and columns may be named in any script", async ({ session, engine }) => {
    session.add(new Word2({ text: "два", next: new Word2({ text: "три" }) }));
    await session.commit();
    await using other = engine.session();
    const two = await other.query(Word2).where((w) => w.text.eq("два")).selectin("next").one();
    assertEquals(two.next!.text, "три");
    two.next = null;
    await other.commit();
    assertEquals(await other.query(Word2).where((w) => w.nextId.isNull()).count(), 2);
  });

  scenario(
    "equal bytes, JSON and words of one's own are no change",
    async ({ engine, session }) => {
      const fresh = () => [{ name: "Smith", on: true, list: [1, 2] }];
      session.add(
        new Thing({ blob: new Uint8Array([1, 2]), data: fresh(), word: new Word("ant") }),
      );
      await session.commit();
      await using other = engine.session();
      const thing = await other.query(Thing).one();
      thing.blob = new Uint8Array([1, 2]);
      thing.data = fresh();
      thing.word = new Word("ant");
      assertEquals(other.isModified(thing), false);
      assertEquals(await sent(engine, () => other.commit()), []);
      thing.data[0]!.on = false;
      assertEquals((await sent(engine, () => other.commit())).length, 1);
      assertEquals((await sent(engine, () => other.commit())).length, 0);
      await other.refresh(thing);
      assertEquals(thing.data, [{ name: "Smith", on: false, list: [1, 2] }]);
    },
  );

  scenario("a value of one's own type goes to null and to another", async ({ session, engine }) => {
    const thing = new Thing({ word: new Word("foo") });
    session.add(thing);
    await session.commit();
    const stored = async () => {
      await using other = engine.session();
      return (await other.query(Thing).one()).word;
    };
    thing.word = null;
    await session.commit();
    assertEquals(await stored(), null);
    thing.word = new Word("bar");
    await session.commit();
    assertEquals(await stored(), new Word("bar"));
    thing.code = "unrelated";
    const [update] = await sent(engine, () => session.commit());
    assert(!update!.includes("word"));
  });

  scenario("an empty text that stays empty is no change", async ({ session, engine }) => {
    const user = new User({ name: "" });
    session.add(user);
    await session.commit();
    user.name = "";
    assertEquals(await sent(engine, () => session.commit()), []);
  });

  scenario("booleans go there and back, and can be asked for", async ({ session }) => {
    const things = [true, false, true].map((flag, i) => new Thing({ code: `t${i}`, flag }));
    session.addAll(things);
    await session.commit();
    const on = () =>
      session.query(Thing).where((t) => t.flag.eq(true)).orderBy((t) => t.id.asc()).select((t) =>
        t.code
      ).all();
    assertEquals(await on(), ["t0", "t2"]);
    things[1]!.flag = true;
    await session.commit();
    assertEquals(await on(), ["t0", "t1", "t2"]);
    things[1]!.flag = false;
    await session.commit();
    assertEquals(await on(), ["t0", "t2"]);
  });

  scenario("objects with composite keys are found by them", async ({ session, engine }) => {
    session.addAll([
      new Entry({ place: "a", revision: 1, value: "first" }),
      new Entry({ place: "a", revision: 2, value: "second" }),
    ]);
    await session.commit();
    await using other = engine.session();
    const entry = await other.getOrFail(Entry, { place: "a", revision: 2 });
    assertEquals(entry.value, "second");
    entry.value = "changed";
    await other.commit();
    assertEquals(
      await other.query(Entry).orderBy((e) => e.revision.asc()).select((e) => e.value).all(),
      [
        "first",
        "changed",
      ],
    );
  });

  scenario("a key that is also a reference is taken from the parent", async ({ session }) => {
    const person = new Person({ nick: "ant", site: new Site({ url: "ant.example" }) });
    session.add(person);
    await session.commit();
    assertEquals(await session.query(Site).select((s) => s.nick).all(), ["ant"]);
    assertStrictEquals(await session.get(Site, "ant"), person.site);
  });

  scenario("defaults of both sides arrive with the insert", async ({ session, engine }) => {
    const things = [
      new Thing({ code: "a" }),
      new Thing({ code: "b", counter: 12 }),
      new Thing({ code: "c", label: "mine" }),
      new Thing({ code: "d", touched: "given" }),
      new Thing({}),
    ];
    session.addAll(things);
    await session.commit();
    const values = () => things.map((t) => [t.code, t.counter, t.label, t.touched]);
    assertEquals(
      await sent(engine, () => {
        assertEquals(values(), [
          ["a", 1, "label", "new"],
          ["b", 12, "label", "new"],
          ["c", 1, "mine", "new"],
          ["d", 1, "label", "given"],
          ["unnamed", 1, "label", "new"],
        ]);
      }),
      [],
    );
    const before = values();
    for (const thing of things) await session.refresh(thing);
    assertEquals(values(), before);
    assertEquals(await sent(engine, () => session.commit()), []);
  });

  scenario("null is a value, and beats every default", async ({ session }) => {
    const thing = new Thing({ counter: null, label: null });
    session.add(thing);
    await session.commit();
    await session.refresh(thing);
    assertEquals([thing.counter, thing.label], [null, null]);
  });

  scenario("what is renewed by every update is renewed by an update alone", async ({ session }) => {
    const thing = new Thing({});
    session.add(thing);
    await session.commit();
    assertEquals(thing.touched, "new");
    await session.commit();
    assertEquals(thing.touched, "new");
    thing.counter = 19;
    await session.commit();
    assertEquals(thing.touched, "changed");
    await session.refresh(thing);
    assertEquals([thing.counter, thing.touched], [19, "changed"]);
  });

  scenario("a key may refer to a value that the database makes up", async ({ session, engine }) => {
    const thing = new Thing({ parts: [new Part({ name: "first" })] });
    session.add(thing);
    await session.commit();
    assertEquals(members(thing.parts)[0]!.thingCode, "unnamed");
    members(thing.parts).push(new Part({ name: "second" }));
    await session.commit();
    await using other = engine.session();
    const found = await other.query(Thing).selectin("parts").one();
    assertEquals(found.parts.map(({ name }) => name), ["first", "second"]);
  });

  scenario("a deferred column that was never read can be set", async ({ session, engine }) => {
    session.add(new Thing({}));
    await session.commit();
    for (const notes of ["foo", "bar", null]) {
      await using other = engine.session();
      const thing = await other.query(Thing).one();
      thing.notes = notes;
      assertEquals((await sent(engine, () => other.commit())).length, 1);
      assertEquals(await other.query(Thing).select((t) => t.notes).all(), [notes]);
    }
  });

  scenario("an accessor of the class sets what is stored", async ({ session, engine }) => {
    const user = new User({ name: "" });
    user.title = "some name";
    session.add(user);
    await session.commit();
    await using other = engine.session();
    assertEquals((await other.query(User).one()).title, "User:some name:User");
  });

  scenario("values of the wrong kind are refused before anything is sent", async (context) => {
    const { session, engine } = context;
    const thing = new Thing({});
    session.add(thing);
    await session.commit();
    const wrong: Partial<Record<keyof Thing, unknown>>[] = [
      { counter: "21" },
      { counter: 1.5 },
      { counter: false },
      { code: 111 },
      { flag: 2 },
      { blob: "text" },
      { code: null },
      { code: undefined },
    ];
    for (const values of wrong) {
      Object.assign(thing, values);
      const statements = await sent(
        engine,
        () => assertRejects(() => session.commit(), InputError, Object.keys(values)[0]!),
      );
      assertEquals(statements, [], JSON.stringify(values));
      assertEquals([thing.counter, thing.code, thing.flag, thing.blob], [1, "unnamed", null, null]);
    }
  });
});

scenarios("unit of work: parents and children", ENTITIES, (scenario) => {
  scenario("a family is stored with a statement for each table", async ({ session, engine }) => {
    const user = new User({
      name: "u",
      addresses: [new Address({ email: "a" }), new Address({ email: "b" })],
    });
    session.add(user);
    const statements = await sent(engine, () => session.commit());
    assertEquals(statements.map((text) => /"(\w+)"/.exec(text)![1]), ["users", "addresses"]);
    assertEquals(members(user.addresses).map(({ userId }) => userId), [user.id, user.id]);
    members(user.addresses)[1]!.email = "c";
    assertEquals((await sent(engine, () => session.commit())).length, 1);
  });

  scenario("children bring their new parent along, once", async ({ session, engine }) => {
    const user = new User({ name: "u" });
    const addresses = ["a", "b"].map((email) => new Address({ email, user }));
    session.addAll(addresses);
    assertEquals((await sent(engine, () => session.commit())).length, 2);
    assertEquals(addresses.map(({ userId }) => userId), [user.id, user.id]);
    assertEquals(await session.query(User).count(), 1);
  });

  scenario("every child gets the key of its own parent", async ({ session }) => {
    const addresses = ["a", "b", "c"].map((email) =>
      new Address({ email, user: new User({ name: `of ${email}` }) })
    );
    session.addAll(addresses);
    await session.commit();
    const found = await session.query(Address).orderBy((a) => a.id.asc()).selectin("user").all();
    assertEquals(found.map((a) => [a.email, a.user!.name]), [
      ["a", "of a"],
      ["b", "of b"],
      ["c", "of c"],
    ]);
  });

  scenario("a child that names its parent is in the parent's collection", async ({ session }) => {
    const user = new User({ name: "u", addresses: [] });
    const address = new Address({ email: "a", user });
    session.add(address);
    await session.commit();
    assertEquals(members(user.addresses), [address]);
    address.user = null;
    await session.commit();
    assertEquals(members(user.addresses), []);
  });

  scenario("only what changed is written when children come and go", async (context) => {
    const { session, engine } = context;
    const [a1, a2, a3] = ["1", "2", "3"].map((email) => new Address({ email })) as [
      Address,
      Address,
      Address,
    ];
    const u1 = new User({ name: "u1", addresses: [a1] });
    const u2 = new User({ name: "u2", addresses: [a2] });
    session.addAll([u1, u2, a3]);
    await session.commit();
    u2.name = "renamed";
    members(u1.addresses).push(a3);
    members(u1.addresses).shift();
    const statements = await sent(engine, () => session.commit());
    assertEquals(statements.length, 2, "one for the name, one for both keys");
    assertEquals([a1.userId, a2.userId, a3.userId], [null, u2.id, u1.id]);
  });

  scenario("a child moves away from a parent that is deleted", async ({ session, engine }) => {
    const child = new Address({ email: "a" });
    const [u1, u2] = [
      new User({ name: "u1", addresses: [child] }),
      new User({ name: "u2", addresses: [] }),
    ];
    session.addAll([u1, u2]);
    await session.commit();
    members(u1.addresses).pop();
    members(u2.addresses).push(child);
    session.delete(u1);
    await session.commit();
    await using other = engine.session();
    const left = await other.query(User).selectin("addresses").all();
    assertEquals(left.map((u) => [u.name, u.addresses.length]), [["u2", 1]]);
  });

  scenario("a child moves to a parent that is new", async ({ session }) => {
    const child = new Address({ email: "a" });
    const old = new User({ name: "old", addresses: [child] });
    session.add(old);
    await session.commit();
    const next = new User({ name: "next", addresses: [child] });
    session.add(next);
    members(old.addresses).pop();
    await session.commit();
    assertEquals(child.userId, next.id);
  });

  scenario("references are set, emptied, exchanged and moved", async ({ session, engine }) => {
    const [u1, u2] = [new User({ name: "u1" }), new User({ name: "u2" })];
    const [a1, a2] = [new Address({ email: "1", user: u1 }), new Address({ email: "2" })];
    session.addAll([a1, a2, u2]);
    await session.commit();
    const stored = async () => {
      await using other = engine.session();
      const all = await other.query(Address).orderBy((a) => a.id.asc()).selectin("user").all();
      return all.map((a) => a.user?.name ?? null);
    };
    assertEquals(await stored(), ["u1", null]);
    a1.user = null;
    a2.user = u1;
    await session.commit();
    assertEquals(await stored(), [null, "u1"]);
    a2.user = u2;
    a1.user = u1;
    await session.commit();
    assertEquals(await stored(), ["u1", "u2"]);
    [a1.user, a2.user] = [u2, u1];
    await session.commit();
    assertEquals(await stored(), ["u2", "u1"]);
  });

  scenario("a reference that was never loaded can be emptied", async ({ session, engine }) => {
    session.add(new Address({ email: "a", user: new User({ name: "u" }) }));
    await session.commit();
    await using other = engine.session();
    const address = await other.query(Address).one();
    address.user = null;
    const statements = await sent(engine, () => other.commit());
    assertEquals(statements.length, 1, "without reading the user first");
    assertEquals(address.userId, null);
  });

  scenario("an update and a new parent go in one commit", async ({ session, engine }) => {
    const all = ["a", "b", "c"].map((email) =>
      new Address({ email, user: new User({ name: email }) })
    );
    session.addAll(all);
    await session.commit();
    all[1]!.email = "new@b";
    all[2]!.user = new User({ name: "newly added" });
    const statements = await sent(engine, () => session.commit());
    assertEquals(statements.map((text) => text.slice(0, 6)), ["insert", "update", "update"]);
    const last = await session.query(Address).orderBy((a) => a.id.desc()).selectin("user").first();
    assertEquals(last!.user!.name, "newly added");
  });

  scenario("one to one: both objects change, alone and together", async ({ session, engine }) => {
    const badge = new Badge({ colour: "red" });
    const user = new User({ name: "u", badge });
    session.add(user);
    await session.commit();
    user.name = "new";
    assertEquals((await sent(engine, () => session.commit())).length, 1);
    badge.colour = "blue";
    assertEquals((await sent(engine, () => session.commit())).length, 1);
    user.name = "newer";
    badge.colour = "green";
    assertEquals((await sent(engine, () => session.commit())).length, 2);
  });

  scenario("one to one: a new object takes the place of the old one", async ({ session }) => {
    const old = new Badge({ colour: "red" });
    const user = new User({ name: "u", badge: old });
    session.add(user);
    await session.commit();
    user.badge = new Badge({ colour: "blue" });
    await session.commit();
    assertEquals(old.userId, null);
    const badges = await session.query(Badge).orderBy((b) => b.id.asc()).all();
    assertEquals(badges.map((b) => [b.colour, b.userId]), [["red", null], ["blue", user.id]]);
  });

  scenario("a deleted parent empties the keys of children that may go without", async (context) => {
    const { session, engine } = context;
    const badge = new Badge({ colour: "red" });
    const user = new User({ name: "u", badge });
    session.add(user);
    await session.commit();
    session.delete(user);
    await session.commit();
    assertEquals([inspect(badge).state, badge.userId], ["persistent", null]);
    await using other = engine.session();
    assertEquals((await other.query(Badge).one()).userId, null);
    assertEquals(await sent(engine, () => session.commit()), []);
  });

  scenario("a parent goes when its loaded children let go of it", async ({ session, engine }) => {
    const user = new User({ name: "u" });
    const addresses = ["a", "b"].map((email) => new Address({ email, user }));
    session.addAll(addresses);
    await session.commit();
    session.delete(user);
    for (const address of addresses) address.user = null;
    const statements = await sent(engine, () => session.commit());
    assertEquals(statements.map((text) => text.slice(0, 6)), ["update", "delete"]);
    assertEquals(await session.query(Address).where((a) => a.userId.isNull()).count(), 2);
  });

  scenario("children go before their parent, whatever was deleted first", async (context) => {
    const { session, engine } = context;
    for (const loaded of [true, false]) {
      const user = new User({ name: "u" });
      const addresses = ["a", "b"].map((email) => new Address({ email, user }));
      session.addAll(addresses);
      await session.commit();
      await using other = engine.session();
      const doomed = loaded ? [user, ...addresses] : [
        await other.getOrFail(User, user.id),
        ...await other.query(Address).all(),
      ];
      const owner = loaded ? session : other;
      for (const object of doomed) owner.delete(object);
      const statements = await sent(engine, () => owner.commit());
      assertEquals(statements.map((text) => /"(\w+)"/.exec(text)![1]), ["addresses", "users"]);
    }
  });

  scenario("deleting children alone reads nothing of their parent", async ({ session, engine }) => {
    const user = new User({ name: "u" });
    session.addAll(["a", "b"].map((email) => new Address({ email, user })));
    await session.commit();
    await using other = engine.session();
    for (const address of await other.query(Address).all()) other.delete(address);
    assertEquals((await sent(engine, () => other.commit())).length, 1);
  });

  scenario("objects that know each other by keys alone go in order", async (context) => {
    const { session, engine } = context;
    const address = new Address({ id: 1, email: "a", userId: 1 });
    const user = new User({ id: 1, name: "u" });
    session.addAll([address, user]);
    await session.commit();
    session.delete(user);
    session.delete(address);
    const statements = await sent(engine, () => session.commit());
    assertEquals(statements.map((text) => /"(\w+)"/.exec(text)![1]), ["addresses", "users"]);
  });

  scenario("rows of one table that know each other by keys alone keep the order of add()", async ({
    session,
  }) => {
    // Of different shapes, so that one statement does not do.
    session.addAll([
      new Box({ id: 1, rank: 5 }),
      new Box({ id: 2, insideId: 1 }),
      new Box({ id: 3, insideId: 2, rank: 6 }),
      new Box({ id: 4, insideId: 3 }),
    ]);
    await session.commit();
    assertEquals(await session.query(Box).orderBy((b) => b.id.asc()).select((b) => b.rank).all(), [
      5,
      0,
      6,
      0,
    ]);
  });

  scenario("a collection that is not loaded is left alone by a commit", async (context) => {
    const { session, engine } = context;
    session.add(
      new User({ name: "u", addresses: [1, 2, 3].map((n) => new Address({ email: `${n}` })) }),
    );
    await session.commit();
    await using other = engine.session();
    const user = await other.query(User).one();
    user.name = "new";
    assertEquals((await sent(engine, () => other.commit())).length, 1);
    const [loaded] = await other.load([user], "addresses");
    assertEquals(loaded!.addresses.length, 3);
  });

  scenario("the database deletes what nobody has loaded", async ({ session, engine }) => {
    const shelf = new Shelf({ boxes: [1, 2, 3].map((size) => new Box({ size })) });
    session.add(shelf);
    await session.commit();
    await using other = engine.session();
    const found = await other.getOrFail(Shelf, shelf.id);
    other.delete(found);
    assertEquals((await sent(engine, () => other.commit())).length, 1);
    assertEquals(await other.query(Box).count(), 0);
  });

  scenario("a cascade to an object that is not loaded is refused by name", async (context) => {
    const { session, engine } = context;
    session.add(new Box({ inside: new Box({}) }));
    await session.commit();
    await using other = engine.session();
    const box = await other.query(Box).where((b) => b.insideId.isNotNull()).one();
    assertThrows(() => other.delete(box), UsageError, "inside");
    await other.load([box], "inside");
    other.delete(box);
    await other.commit();
    assertEquals(await other.query(Box).count(), 0);
  });

  scenario("children that nobody has loaded keep their parent from going", async (context) => {
    const { session, engine } = context;
    session.add(new User({ name: "u", addresses: [new Address({ email: "a" })] }));
    await session.commit();
    await using other = engine.session();
    const user = await other.query(User).one();
    other.delete(user);
    await assertRejects(() => other.commit(), ForeignKeyViolationError);
    assertEquals(inspect(user).state, "persistent");
    assertEquals(other.deleted, []);
    const [address] = (await other.load([user], "addresses"))[0]!.addresses;
    other.delete(user);
    address!.email = "new";
    await assertRejects(() => other.commit(), Error);
    assertEquals([inspect(user).state, address!.email], ["persistent", "a"]);
  });

  scenario("an existing child is put into a new parent, whoever makes its key", async (context) => {
    const { session } = context;
    const [box, address, page] = [
      new Box({}),
      new Address({ email: "a" }),
      new Page({ id: 1, folder: new Folder({ id: 1, name: "old" }) }),
    ];
    session.addAll([box, address, page]);
    await session.commit();
    const user = new User({ name: "u", addresses: [address] });
    const given = new User({ id: 70, name: "v" });
    const shelf = new Shelf({ boxes: [box] });
    const folder = new Folder({ id: 2, name: "new", pages: [page] });
    session.addAll([user, given, shelf, folder]);
    await session.commit();
    assertEquals([address.userId, box.shelfId, page.folderId], [user.id, shelf.id, 2]);
    given.addresses = [address];
    await session.commit();
    assertEquals(address.userId, 70);
  });

  scenario("a child of another parent changes hands in a transaction", async ({ session }) => {
    const [u1, u2] = [
      new User({ name: "1", addresses: [new Address({ email: "a" })] }),
      new User({ name: "2", addresses: [new Address({ email: "b" })] }),
    ];
    session.addAll([u1, u2]);
    await session.commit();
    await session.begin(async () => {
      const [address] = members(u2.addresses);
      address!.user = u1;
      await session.flush();
      assertEquals([members(u1.addresses).length, members(u2.addresses).length], [2, 0]);
    });
    assertEquals(await session.query(Address).where((a) => a.userId.eq(u1.id)).count(), 2);
  });
});

scenarios("unit of work: rows that are replaced or gone", ENTITIES, (scenario) => {
  scenario("a new parent with new children takes a deleted one's key", async ({ session }) => {
    const old = new Folder({
      id: 1,
      name: "old",
      pages: [new Page({ id: 1, body: "a" }), new Page({ id: 2, body: "b" })],
      labels: [new Label({ id: 1, name: "x" })],
    });
    session.add(old);
    await session.commit();
    session.delete(old);
    session.add(
      new Folder({
        id: 1,
        name: "new",
        pages: [new Page({ id: 3, body: "c" }), new Page({ id: 4, body: "d" })],
        labels: [new Label({ id: 3, name: "z" })],
      }),
    );
    await session.commit();
    assertEquals(await session.query(Folder).select((f) => f.name).all(), ["new"]);
    const pages = await session.query(Page).orderBy((p) => p.id.asc()).all();
    assertEquals(pages.map((p) => [p.id, p.folderId]), [[3, 1], [4, 1]]);
    assertEquals(await session.query(Label).select((l) => l.name).all(), ["z"]);
  });

  scenario("a new child takes a deleted one's key under another parent", async ({ session }) => {
    const page = new Page({
      id: 1,
      body: "old",
      folder: new Folder({ id: 1, name: "old", pages: [], labels: [] }),
    });
    session.add(page);
    await session.commit();
    session.delete(page);
    session.delete(page.folder as Folder);
    session.add(new Page({ id: 1, body: "new", folder: new Folder({ id: 2, name: "new" }) }));
    await session.commit();
    assertEquals(await session.query(Folder).select((f) => f.id).all(), [2]);
    const rest = await session.query(Page).one();
    assertEquals([rest.body, rest.folderId], ["new", 2]);
  });

  scenario(
    "a replaced child does not inherit what the old one had",
    async ({ session, engine }) => {
      const author = new User({ name: "u" });
      const folder = new Folder({
        id: 1,
        name: "f",
        pages: [new Page({ id: 1, body: "x", author })],
      });
      session.add(folder);
      await session.commit();
      folder.pages = [new Page({ id: 1, author: null })];
      await session.commit();
      await using other = engine.session();
      const page = await other.query(Page).selectin("author").one();
      assertEquals([page.body, page.author], [null, null]);
    },
  );

  scenario("a child whose key is its parent's is replaced, time and again", async ({ session }) => {
    const person = new Person({ nick: "ant", site: new Site({ url: "a" }) });
    session.add(person);
    await session.commit();
    for (const url of ["b", "c"]) {
      person.site = new Site({ url });
      await session.commit();
      assertEquals(await session.query(Site).select((s) => s.url).all(), [url]);
      assertStrictEquals(await session.get(Site, "ant"), person.site);
    }
    person.site = null;
    await session.commit();
    assertEquals(await session.query(Site).count(), 0);
  });

  scenario("what is deleted is found by the key it had", async ({ session }) => {
    const folder = new Folder({ id: 1, name: "f", pages: [], labels: [] });
    session.add(folder);
    await session.commit();
    folder.id = 5;
    session.delete(folder);
    await session.commit();
    assertEquals(await session.query(Folder).count(), 0);
  });

  scenario("an update of a row that is gone names it", async ({ session }) => {
    const folder = new Folder({ id: 1, name: "f", pages: [], labels: [] });
    session.add(folder);
    await session.commit();
    await session.execute(sql`delete from ${Folder}`);
    folder.name = "new";
    await assertRejects(() => session.commit(), StaleDataError, "Folder 1");
    assertEquals(folder.name, "f");
  });

  scenario("several rows of which one is gone: none is changed", async ({ session }) => {
    const folders = [1, 2, 3].map((id) => new Folder({ id, name: "f", pages: [], labels: [] }));
    session.addAll(folders);
    await session.commit();
    await session.execute(sql`delete from ${Folder} where ${Folder.c.id} = 2`);
    for (const folder of folders) folder.name = "new";
    await assertRejects(() => session.commit(), StaleDataError);
    assertEquals(await session.query(Folder).select((f) => f.name).all(), ["f", "f"]);
  });

  scenario("deleting rows that are gone is an error, too", async ({ session }) => {
    const folders = [1, 2].map((id) => new Folder({ id, name: "f", pages: [], labels: [] }));
    session.addAll(folders);
    await session.commit();
    await session.execute(sql`delete from ${Folder}`);
    for (const folder of folders) session.delete(folder);
    await assertRejects(() => session.commit(), StaleDataError, "2 rows of Folder");
  });

  scenario("what was deleted by a flush cannot be deleted again", async ({ session }) => {
    const folder = new Folder({ id: 1, name: "f", pages: [], labels: [] });
    session.add(folder);
    await session.commit();
    await session.begin(async () => {
      session.delete(folder);
      await session.flush();
      assertThrows(() => session.delete(folder), InstanceStateError, "deleted");
      assertThrows(() => session.add(folder), InstanceStateError, "deleted");
    });
    assertThrows(() => session.delete(folder), InstanceStateError, "detached");
  });

  scenario("objects that the database deleted along are deleted, too", async (context) => {
    const { session, engine } = context;
    const [inner, outer] = [new Box({ size: 1 }), new Box({ size: 2 })];
    const shelf = new Shelf({ boxes: [inner, outer] });
    session.add(shelf);
    await session.commit();
    await assertRejects(
      () =>
        session.begin(async () => {
          session.delete(shelf);
          assertEquals((await sent(engine, () => session.flush())).length, 1);
          assertEquals([inspect(inner).state, inspect(outer).state], ["deleted", "deleted"]);
          throw new Error("undone");
        }),
      Error,
      "undone",
    );
    assertEquals([inspect(inner).state, inspect(outer).state], ["persistent", "persistent"]);
    assertStrictEquals(await session.get(Box, inner.id), inner);
    session.delete(shelf);
    await session.commit();
    assertEquals([inspect(inner).state, inspect(outer).state], ["detached", "detached"]);
    assertEquals(await session.get(Box, inner.id), undefined);
  });

  scenario("what is deleted leaves the collections that held it", async ({ session }) => {
    const [a, b] = [new Address({ email: "a" }), new Address({ email: "b" })];
    const badge = new Badge({ colour: "red" });
    const user = new User({ name: "u", addresses: [a, b], badge });
    session.add(user);
    await session.commit();
    const addresses = members(user.addresses);
    session.delete(a);
    session.delete(badge);
    await session.commit();
    assertStrictEquals(user.addresses, addresses);
    assertEquals([addresses, user.badge], [[b], null]);
    assertEquals(session.dirty, []);
    await assertRejects(
      () =>
        session.begin(async () => {
          session.delete(b);
          await session.flush();
          assertEquals(addresses, []);
          throw new Error("undone");
        }),
      Error,
      "undone",
    );
    assertEquals(addresses, [b]);
  });

  scenario("add() twice is once, and delete() takes it back", async ({ session, engine }) => {
    const user = new User({ name: "u" });
    session.add(user);
    session.add(user);
    assertEquals(session.new, [user]);
    session.delete(user);
    assertEquals([session.new, session.deleted], [[], []]);
    assertEquals(await sent(engine, () => session.commit()), []);
    session.add(user);
    await session.commit();
    session.delete(user);
    session.delete(user);
    assertEquals(session.deleted, [user]);
    await session.commit();
    assertEquals(await session.query(User).count(), 0);
  });

  scenario(
    "rows of three levels that are linked by keys alone are read as a graph",
    async (context) => {
      const { session, engine } = context;
      session.addAll([
        new Page({ id: 1, folderId: 1234, authorId: 9 }),
        new Page({ id: 2, folderId: 1234 }),
        new Address({ email: "a", userId: 9 }),
        new User({ id: 9, name: "u" }),
        new Folder({ id: 1234, name: "f" }),
      ]);
      await session.commit();
      await using other = engine.session();
      const folder = await other.query(Folder).selectin("pages.author.addresses").one();
      assertEquals(folder.pages.map((p) => p.author?.addresses[0]?.email ?? null), ["a", null]);
    },
  );

  scenario("a child's key may be given along with its parent's, if they are the same", async ({
    session,
  }) => {
    session.add(new Person({ nick: "ant", site: new Site({ nick: "ant", url: "u" }) }));
    await session.commit();
    assertEquals(await session.query(Site).select((s) => s.nick).all(), ["ant"]);
  });

  scenario(
    "an object that was only read is not written when another refers to it",
    async (context) => {
      const { session, engine } = context;
      session.add(new User({ name: "u" }));
      await session.commit();
      await using other = engine.session();
      const user = await other.query(User).one();
      other.add(new Address({ email: "a", userId: user.id }));
      const statements = await sent(engine, () => other.commit());
      assertEquals(statements.map((text) => text.split(" ", 1)[0]), ["insert"]);
    },
  );

  scenario(
    "keys of two classes that look the same are not taken for each other",
    async (context) => {
      const { session } = context;
      const folder = new Folder({ id: 1, name: "f", pages: [], labels: [] });
      session.add(folder);
      await session.commit();
      await session.begin(() => {
        session.add(new Label({ id: 1, name: "l" }));
        session.delete(folder);
      });
      assertEquals([await session.query(Folder).count(), await session.query(Label).count()], [
        0,
        1,
      ]);
      assertEquals(await session.get(Folder, 1), undefined);
      assertEquals((await session.getOrFail(Label, 1)).name, "l");
    },
  );

  scenario(
    "a row between two owners is changed by its composite key, however loaded",
    async (c) => {
      const { session, engine } = c;
      session.add(
        new Group({ id: 1, members: [new Member({ person: new Human({ id: 2 }) })] }),
      );
      await session.commit();
      const paths = [["members"], ["members.person"], ["members.person", "members.group"]] as const;
      for (const [i, some] of paths.entries()) {
        await using other = engine.session();
        const group = await other.query(Group).selectin(...some).one();
        const [member] = members(group.members);
        member!.since = `${i}`;
        assertEquals((await sent(engine, () => other.commit())).length, 1);
        assertEquals(await other.query(Member).select((m) => m.since).all(), [`${i}`]);
      }
    },
  );

  scenario("a row between two owners is an orphan when one of them drops it", async (context) => {
    const { session, engine } = context;
    session.add(
      new Group({ id: 1, members: [new Member({ person: new Human({ id: 2 }) })] }),
    );
    await session.commit();
    await using other = engine.session();
    const group = await other.query(Group).selectin("members").one();
    const human = await other.query(Human).selectin("members").one();
    human.members = [];
    await other.commit();
    assertEquals(await sent(engine, () => other.commit()), []);
    assertEquals([await other.query(Member).count(), group.members], [0, []]);
  });

  scenario("one owner goes with what is between, and then the other one", async ({ session }) => {
    const [group, human] = [new Group({ id: 1 }), new Human({ id: 2 })];
    const member = new Member({ group, person: human });
    session.add(member);
    await session.commit();
    session.delete(group);
    await session.commit();
    assertEquals(inspect(member).state, "detached");
    human.name = "new";
    await session.commit();
    session.delete(human);
    await session.commit();
    assertEquals([await session.query(Human).count(), await session.query(Member).count()], [0, 0]);
  });

  scenario("what the database makes up reaches the right object, whatever the keys' order", async ({
    session,
  }) => {
    const things = [5, 4, 3, 2, 1].map((id) => new Thing({ id, code: `code ${id}` }));
    session.addAll(things);
    await session.commit();
    for (const [i, thing] of things.entries()) {
      assertEquals([thing.id, thing.label], [5 - i, "label"]);
      thing.counter = thing.id * 10;
    }
    await session.commit();
    const found = await session.query(Thing).orderBy((t) => t.id.asc()).all();
    assertEquals(found.map((t) => t.counter), [10, 20, 30, 40, 50]);
  });

  scenario("a second commit sends nothing", async ({ session, engine }) => {
    session.add(new Thing({}));
    await session.commit();
    const thing = await session.query(Thing).one();
    assertEquals(thing.code, "unnamed");
    assertEquals(await sent(engine, () => session.commit()), []);
  });

  scenario("objects are themselves again from the identity map, and others without it", async ({
    session,
    engine,
  }) => {
    const user = new User({ name: "u" });
    session.addAll([user, new User({ name: "v" })]);
    await session.commit();
    assertStrictEquals(await session.get(User, user.id), user);
    session.expunge(user);
    const again = await session.getOrFail(User, user.id);
    assert(again !== user && again.name === "u");
    await using other = engine.session();
    user.name = "changed while detached";
    other.attach(user);
    assertEquals(other.dirty, [user]);
    await other.commit();
    const names = await other.query(User).orderBy((u) => u.id.asc()).select((u) => u.name).all();
    assertEquals(names, ["changed while detached", "v"]);
  });

  scenario("same-shaped rows travel together, whatever lies between them", async (context) => {
    const { session, engine, engineName } = context;
    session.addAll([
      new Box({ size: 1 }),
      new Box({ size: 2 }),
      new Box({ id: 13, size: 3 }),
      new Box({ id: 14, size: 4 }),
      new Box({ id: 15, size: 5, rank: 7 }),
      new Box({ id: 16, size: 6 }),
      new Box({ size: 7 }),
    ]);
    const statements = await sent(engine, () => session.commit());
    if (engineName !== "sqlite") assertEquals(statements.length, 3);
    const sizes = session.query(Box).orderBy((b) => b.size.asc()).select((b) => b.size);
    assertEquals(await sizes.all(), [1, 2, 3, 4, 5, 6, 7]);
  });

  scenario("a hook sees the values that are about to be stored", async ({ session }) => {
    const [u1, u2] = [new User({ name: "1" }), new User({ name: "2" })];
    const address = new Address({ email: "a", user: u1 });
    session.addAll([address, u2]);
    await session.commit();
    const seen: unknown[] = [];
    session.on("beforeUpdate", (object) => {
      if (object instanceof Address) seen.push(object.userId);
    });
    address.userId = u2.id;
    await session.commit();
    assertEquals(seen, [u2.id]);
  });

  scenario("a hook adds an object to one that is about to be stored", async ({ session }) => {
    session.on("beforeInsert", (object) => {
      if (object instanceof Address && object.userId === undefined) {
        object.user = new User({ name: "dynamic" });
      }
    });
    session.on("beforeUpdate", (object) => {
      if (object instanceof Address && object.email === "remove me") session.delete(object);
    });
    const address = new Address({ email: "a" });
    session.add(address);
    await session.commit();
    assertEquals((address.user as User).name, "dynamic");
    assertEquals(address.userId, (address.user as User).id);
    address.email = "remove me";
    await session.commit();
    assertEquals([await session.query(Address).count(), await session.query(User).count()], [0, 1]);
  });

  scenario(
    "a key that is checked at the end of the transaction fails the commit",
    async (context) => {
      const { session, engine, engineName } = context;
      if (engineName === "sqlite") return;
      await engine.execute(
        sql`alter table addresses alter constraint addresses_user_id_fkey deferrable initially deferred`,
      );
      try {
        const address = new Address({ email: "a", userId: 123 });
        session.add(address);
        await assertRejects(() => session.commit(), ForeignKeyViolationError);
        assertEquals<unknown>([inspect(address).state, address.id], ["transient", undefined]);
        assertEquals(engine.pool.status().checkedOut, 0);
        address.userId = null;
        session.add(address);
        await session.commit();
        assertEquals(await session.query(Address).count(), 1);
      } finally {
        await engine.execute(
          sql`alter table addresses alter constraint addresses_user_id_fkey not deferrable`,
        );
      }
    },
  );
});
