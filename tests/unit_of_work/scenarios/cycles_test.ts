/** Rows and classes that refer to each other in rings: after SQLAlchemy's suites. */

import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import {
  type AsyncSession,
  belongsTo,
  entity,
  hasMany,
  hasOne,
  InputError,
  inspect,
  integer,
  manyToMany,
  oneOf,
  subclass,
  text,
} from "@sluice/orm";
import { sent } from "../../support/library_model.ts";
import { members, scenarios } from "./support.ts";

/** A tree with its leaves' data. */
class Node extends entity("nodes", {
  id: integer().primaryKey().generated(),
  data: text().default(""),
  parentId: integer().nullable().references("nodes.id"),
  parent: belongsTo<Node | null>("parentId"),
  children: hasMany<Node>("nodes.parentId", { orderBy: "id" }),
  notes: hasMany<Note>("notes.nodeId", { cascade: "all-orphans" }),
}) {}

class Note extends entity("notes", {
  id: integer().primaryKey().generated(),
  data: text(),
  nodeId: integer().references("nodes.id"),
}) {}

/** A tree that goes as a whole. */
class Branch extends entity("branches", {
  id: integer().primaryKey().generated(),
  parentId: integer().nullable().references("branches.id"),
  parent: belongsTo<Branch | null>("parentId"),
  children: hasMany<Branch>("branches.parentId", { cascade: "all" }),
}) {}

/** A tree by another column than the key. */
class Item extends entity("items", {
  id: integer().primaryKey().generated(),
  code: text().unique(),
  parentCode: text().nullable().references("items.code"),
  parent: belongsTo<Item | null>("parentCode"),
  children: hasMany<Item>("items.parentCode", { orderBy: "id" }),
}) {}

/** A list of siblings, linked in both directions, below a parent. */
class Page extends entity("pages", {
  id: integer().primaryKey().generated(),
  path: text(),
  parentId: integer().nullable().references("pages.id"),
  previousId: integer().nullable().references("pages.id"),
  nextId: integer().nullable().references("pages.id"),
  parent: belongsTo<Page | null>("parentId"),
  children: hasMany<Page>("pages.parentId", { cascade: "all", orderBy: "id" }),
  previous: belongsTo<Page | null>("previousId"),
  next: belongsTo<Page | null>("nextId"),
}) {}

class Person extends entity("people", {
  id: integer().primaryKey().generated(),
  name: text(),
  favouriteId: integer().nullable().references("balls.id"),
  favourite: belongsTo<Ball | null>("favouriteId"),
  balls: hasMany<Ball>("balls.personId", { cascade: "all-orphans", orderBy: "id" }),
}) {}

class Ball extends entity("balls", {
  id: integer().primaryKey().generated(),
  data: text().default(""),
  personId: integer().nullable().references("people.id"),
  person: belongsTo<Person | null>("personId"),
}) {}

/** Two classes that own each other's objects, and a third that needs both. */
class Left extends entity("lefts", {
  id: integer().primaryKey().generated(),
  rightId: integer().nullable().references("rights.id"),
  right: belongsTo<Right | null>("rightId"),
  rights: hasMany<Right>("rights.leftId"),
  facts: hasMany<Fact>("facts.leftId", { cascade: "all" }),
}) {}

class Right extends entity("rights", {
  id: integer().primaryKey().generated(),
  leftId: integer().nullable().references("lefts.id"),
  left: belongsTo<Left | null>("leftId"),
  lefts: hasMany<Left>("lefts.rightId"),
}) {}

class Both extends entity("boths", {
  id: integer().primaryKey().generated(),
  leftId: integer().references("lefts.id"),
  rightId: integer().references("rights.id"),
  left: belongsTo<Left>("leftId"),
  right: belongsTo<Right>("rightId"),
}) {}

class Fact extends entity("facts", {
  id: integer().primaryKey().generated(),
  data: text(),
  leftId: integer().nullable().references("lefts.id"),
}) {}

/** A parent with three favourites among three kinds of children that need it. */
class Parent extends entity("parents", {
  id: integer().primaryKey().generated(),
  name: text(),
  firstId: integer().nullable().references("firsts.id"),
  secondId: integer().nullable().references("seconds.id"),
  thirdId: integer().nullable().references("thirds.id"),
  first: belongsTo<First | null>("firstId"),
  second: belongsTo<Second | null>("secondId"),
  third: belongsTo<Third | null>("thirdId"),
  firsts: hasMany<First>("firsts.parentId", { cascade: "all" }),
  seconds: hasMany<Second>("seconds.parentId", { cascade: "all" }),
  thirds: hasMany<Third>("thirds.parentId", { cascade: "all" }),
}) {}

class First extends entity("firsts", {
  id: integer().primaryKey().generated(),
  parentId: integer().references("parents.id"),
}) {}
class Second extends entity("seconds", {
  id: integer().primaryKey().generated(),
  parentId: integer().references("parents.id"),
}) {}
class Third extends entity("thirds", {
  id: integer().primaryKey().generated(),
  parentId: integer().references("parents.id"),
}) {}

/** Subclasses of one table that refer to each other. */
class Doc extends entity("docs", {
  id: integer().primaryKey().generated(),
  kind: oneOf("doc", "draft", "final").discriminator("doc"),
  title: text(),
}) {}
class Draft extends subclass(Doc, "draft", {
  finalId: integer().nullable().references("docs.id"),
  final: belongsTo<Final | null>("finalId"),
}) {}
class Final extends subclass(Doc, "final", {
  draftId: integer().nullable().references("docs.id"),
  draft: belongsTo<Draft | null>("draftId"),
}) {}

/** Linked with itself, and with a favourite among its own. */
class Star extends entity("stars", {
  id: integer().primaryKey().generated(),
  name: text(),
  favouriteId: integer().nullable().references("stars.id"),
  favourite: belongsTo<Star | null>("favouriteId"),
  near: manyToMany<Star>("near_stars", { from: "left_id", to: "right_id", orderBy: "name" }),
  nearTo: manyToMany<Star>("near_stars", { from: "right_id", to: "left_id", orderBy: "name" }),
}) {}

/** One to one in both directions. */
class Key extends entity("keys", {
  id: integer().primaryKey().generated(),
  lockId: integer().nullable().unique().references("locks.id"),
  lock: belongsTo<Lock | null>("lockId"),
  spareLock: hasOne<Lock>("locks.spareId"),
}) {}
class Lock extends entity("locks", {
  id: integer().primaryKey().generated(),
  spareId: integer().nullable().unique().references("keys.id"),
  spare: belongsTo<Key | null>("spareId"),
  key: hasOne<Key>("keys.lockId"),
}) {}

const ENTITIES = [
  Node,
  Note,
  Branch,
  Item,
  Page,
  Person,
  Ball,
  Left,
  Right,
  Both,
  Fact,
  Parent,
  First,
  Second,
  Third,
  Doc,
  Draft,
  Final,
  Star,
  Key,
  Lock,
];

/** What was sent. The numbers of rows are powers of two, which SQLite sends as one statement, too. */
const verbs = (statements: readonly string[]): string[] =>
  statements.map((text) => text.split(" ", 1)[0]!);

const node = (data: string, children: Node[] = []): Node => new Node({ data, children, notes: [] });

async function tree(session: AsyncSession): Promise<(string | null)[][]> {
  const found = await session.query(Node).orderBy((n) => n.id.asc()).selectin("parent").all();
  return found.map(({ data, parent }) => [data, parent?.data ?? null]);
}

scenarios("cycles: trees of one table", ENTITIES, (scenario) => {
  scenario("a parent is inserted before its children, siblings together", async (context) => {
    const { session, engine } = context;
    const root = node("1", [node("2"), node("3")]);
    session.add(root);
    assertEquals(verbs(await sent(engine, () => session.commit())), ["insert", "insert"]);
    assertEquals(await tree(session), [["1", null], ["2", "1"], ["3", "1"]]);
  });

  scenario("children that name their parent come after it", async ({ session, engine }) => {
    const parent = node("1");
    session.addAll([new Node({ data: "2", parent }), new Node({ data: "3", parent })]);
    assertEquals(verbs(await sent(engine, () => session.commit())), ["insert", "insert"]);
    assertEquals(await tree(session), [["1", null], ["2", "1"], ["3", "1"]]);
  });

  scenario("a tree of three levels costs three statements", async ({ session, engine }) => {
    const root = node("1", [
      node("11"),
      node("12", [node("121"), node("122")]),
    ]);
    session.add(root);
    const statements = await sent(engine, () => session.commit());
    assertEquals(statements.length, 3);
    assertEquals((await tree(session)).filter(([, parent]) => parent === "12").length, 2);
  });

  scenario("a tree carries other objects on its leaves", async ({ session }) => {
    const leaf = node("child 2");
    leaf.notes = [new Note({ data: "a" }), new Note({ data: "b" })];
    const root = node("head", [node("child 1", [node("sub 1"), node("sub 2")]), leaf]);
    session.add(root);
    await session.commit();
    const all = await session.query(Node).all();
    for (const each of all) session.delete(each);
    await session.commit();
    assertEquals([await session.query(Node).count(), await session.query(Note).count()], [0, 0]);
  });

  scenario("children go before their parents", async ({ session, engine }) => {
    const children = [node("2"), node("3")];
    const root = node("1", children);
    session.add(root);
    await session.commit();
    for (const each of [root, ...children]) session.delete(each);
    assertEquals(verbs(await sent(engine, () => session.commit())), ["delete", "delete"]);
    assertEquals(await tree(session), []);
  });

  scenario("children that were loaded alone go before their parents, too", async (context) => {
    const { session, engine } = context;
    session.add(node("1", [node("2"), node("3")]));
    await session.commit();
    await using other = engine.session();
    for (const each of await other.query(Node).selectin("notes").all()) other.delete(each);
    assertEquals(verbs(await sent(engine, () => other.commit())), ["delete", "delete"]);
  });

  scenario("a root goes when its children let go of it", async ({ session, engine }) => {
    const children = [node("2"), node("3")];
    const root = node("1", children);
    session.add(root);
    await session.commit();
    root.children = [];
    session.delete(root);
    assertEquals(verbs(await sent(engine, () => session.commit())), ["update", "delete"]);
    assertEquals(children.map(({ parentId }) => parentId), [null, null]);
    assertEquals(await tree(session), [["2", null], ["3", null]]);
  });

  scenario("a parent that was never loaded is let go of", async ({ session, engine }) => {
    session.add(node("1", [node("2")]));
    await session.commit();
    await using other = engine.session();
    const child = await other.query(Node).where((n) => n.data.eq("2")).one();
    child.parent = null;
    assertEquals(verbs(await sent(engine, () => other.commit())), ["update"]);
    assertEquals(await tree(other), [["1", null], ["2", null]]);
  });

  scenario(
    "a new child hangs on a parent that was stored long ago",
    async ({ session, engine }) => {
      session.add(new Node({ data: "1" }));
      await session.commit();
      await using other = engine.session();
      const parent = await other.query(Node).one();
      const child = new Node({ data: "2", parent });
      other.add(child);
      await other.commit();
      assertEquals(child.parentId, parent.id);
    },
  );

  scenario("a child is replaced by one with its key", async ({ session }) => {
    const old = node("old");
    const root = node("1", [old]);
    session.add(root);
    await session.commit();
    session.delete(old);
    members(root.children).splice(0, 1, new Node({ id: old.id, data: "new" }));
    await session.commit();
    assertEquals(await tree(session), [["1", null], ["new", "1"]]);
  });

  scenario("children come and go, and then their parent", async ({ session }) => {
    const [old, fresh] = [node("2"), node("3")];
    const root = node("1", [old]);
    session.add(root);
    await session.commit();
    session.delete(old);
    members(root.children).push(fresh);
    await session.commit();
    assertEquals(members(root.children), [fresh]);
    session.delete(root);
    session.delete(fresh);
    await session.commit();
    assertEquals(await tree(session), []);
  });

  scenario("a tree that cascades goes as a whole", async ({ session, engine }) => {
    const branch = (...children: Branch[]): Branch => new Branch({ children });
    const root = branch(branch(branch()), branch(branch()));
    session.add(root);
    await session.commit();
    session.delete(root);
    assertEquals(verbs(await sent(engine, () => session.commit())), ["delete", "delete", "delete"]);
    assertEquals(await session.query(Branch).count(), 0);
  });

  scenario("a subtree moves below another parent, and its root away", async ({ session }) => {
    const [inner, outer] = [node("inner", [node("leaf")]), node("outer")];
    const root = node("root", [inner, outer]);
    session.add(root);
    await session.commit();
    members(root.children).shift();
    members(outer.children).push(inner);
    await session.commit();
    members(root.children).pop();
    session.delete(root);
    await session.commit();
    assertEquals(await tree(session), [["inner", "outer"], ["outer", null], ["leaf", "inner"]]);
  });

  scenario("parent and child change places", async ({ session }) => {
    const child = node("child");
    const parent = node("parent", [child]);
    session.add(parent);
    await session.commit();
    members(parent.children).pop();
    members(child.children).push(parent);
    await session.commit();
    assertEquals(await tree(session), [["parent", "child"], ["child", null]]);
  });

  scenario("a tree by another column than the key", async ({ session, engine }) => {
    const root = new Item({
      code: "a",
      children: [new Item({ code: "b" }), new Item({ code: "c" })],
    });
    session.add(root);
    await session.commit();
    await using other = engine.session();
    const found = await other.getOrFail(Item, root.id);
    const [loaded] = await other.load([found], "children.parent");
    assertEquals(loaded!.children.map((c) => [c.code, c.parentCode]), [["b", "a"], ["c", "a"]]);
    assertStrictEquals(loaded!.children[0]!.parent, found);
  });

  scenario("an object that is its own parent", async ({ session }) => {
    const self = node("self");
    self.parent = self;
    session.add(self);
    await session.commit();
    assertEquals(self.parentId, self.id);
    session.delete(self);
    await session.commit();
    assertEquals(await tree(session), []);
  });
});

function append(parent: Page, child: Page): void {
  const children = members(parent.children);
  const last = children.at(-1);
  if (last !== undefined) {
    last.next = child;
    child.previous = last;
  }
  children.push(child);
}

const page = (path: string): Page => new Page({ path, children: [], previous: null, next: null });

scenarios("cycles: rings of rows", ENTITIES, (scenario) => {
  scenario("siblings linked both ways are stored, mended and deleted", async (context) => {
    const { session, engine } = context;
    const [root, about, cats, stories, bruce] = ["root", "about", "cats", "stories", "bruce"]
      .map(page) as [Page, Page, Page, Page, Page];
    for (const each of [about, cats, stories, bruce]) append(root, each);
    session.add(root);
    await session.commit();
    assertEquals([about.nextId, cats.previousId, cats.nextId], [cats.id, about.id, stories.id]);

    const children = members(root.children);
    children.splice(1, 1);
    stories.previous = about;
    about.next = stories;
    session.delete(cats);
    const statements = await sent(engine, () => session.commit());
    assertEquals(verbs(statements).at(-1), "delete");
    assertEquals([about.nextId, stories.previousId], [stories.id, about.id]);
    assertEquals(await session.query(Page).count(), 4);

    session.delete(root);
    await session.commit();
    assertEquals(await session.query(Page).count(), 0);
  });

  scenario("one of two that point to each other goes", async ({ session }) => {
    const [about, cats] = [page("about"), page("cats")];
    about.next = cats;
    cats.previous = about;
    session.add(about);
    await session.commit();
    session.delete(about);
    cats.previous = null;
    await session.commit();
    assertEquals(await session.query(Page).select((p) => p.path).all(), ["cats"]);
    assertEquals(cats.previousId, null);
  });

  scenario(
    "a reference within the table is stored when its target was stored before",
    async (c) => {
      const { session, engine } = c;
      const first = page("1");
      session.add(first);
      await session.commit();
      const second = new Page({ path: "2", next: first });
      session.add(second);
      assertEquals(verbs(await sent(engine, () => session.commit())), ["insert"]);
      assertEquals(second.nextId, first.id);
    },
  );

  scenario("a ring of many rows is stored and deleted", async ({ session, engine }) => {
    const ring = Array.from({ length: 6 }, (_, i) => page(`${i}`));
    ring.forEach((each, i) => each.next = ring[(i + 1) % ring.length]!);
    session.add(ring[3]!);
    await session.commit();
    for (const [i, each] of ring.entries()) assertEquals(each.nextId, ring[(i + 1) % 6]!.id);
    assertEquals(await sent(engine, () => session.commit()), []);
    for (const each of ring) session.delete(each);
    await session.commit();
    assertEquals(await session.query(Page).count(), 0);
  });

  scenario("a person whose favourite is one of his own balls", async ({ session, engine }) => {
    const favourite = new Ball({ data: "favourite" });
    const person = new Person({
      name: "p",
      favourite,
      balls: [favourite, new Ball({})],
    });
    session.add(person);
    assertEquals(verbs(await sent(engine, () => session.commit())), ["insert", "insert", "update"]);
    assertEquals([person.favouriteId, favourite.personId], [favourite.id, person.id]);
    session.delete(person);
    const statements = await sent(engine, () => session.commit());
    assertEquals(verbs(statements), ["update", "delete", "delete", "delete"]);
    assertEquals([await session.query(Person).count(), await session.query(Ball).count()], [0, 0]);
  });

  scenario("a person with a ball and no favourite needs no second step", async (context) => {
    const { session, engine } = context;
    session.add(new Person({ name: "p", balls: [new Ball({})] }));
    assertEquals(verbs(await sent(engine, () => session.commit())), ["insert", "insert"]);
  });

  scenario(
    "a favourite that is nobody's stays when the person goes",
    async ({ session, engine }) => {
      const person = new Person({ name: "p", favourite: new Ball({}), balls: [] });
      session.add(person);
      await session.commit();
      session.delete(person);
      assertEquals(verbs(await sent(engine, () => session.commit())), ["delete"]);
      assertEquals(await session.query(Ball).count(), 1);
    },
  );

  scenario("a ball changes hands by its reference, and by a collection", async ({ session }) => {
    const [p1, p2, p3] = ["1", "2", "3"].map((name) => new Person({ name, balls: [] })) as [
      Person,
      Person,
      Person,
    ];
    const ball = new Ball({ person: p1 });
    session.addAll([p1, p2, p3, ball]);
    await session.commit();
    ball.person = p2;
    await session.commit();
    assertEquals([members(p1.balls), members(p2.balls)], [[], [ball]]);
    members(p3.balls).push(ball);
    await session.commit();
    assertStrictEquals(ball.person, p3);
    assertEquals([members(p2.balls), ball.personId], [[], p3.id]);
  });

  scenario("a reference in a ring of classes is emptied without being loaded", async (context) => {
    const { session, engine } = context;
    session.add(new Ball({ person: new Person({ name: "p" }) }));
    await session.commit();
    await using other = engine.session();
    const ball = await other.query(Ball).one();
    ball.person = null;
    assertEquals(verbs(await sent(engine, () => other.commit())), ["update"]);
    assertEquals([ball.person, ball.personId], [null, null]);
  });

  scenario("several keys of a row that have to wait are set by one update", async (context) => {
    const { session, engine } = context;
    const [first, second, third] = [new First({}), new Second({}), new Third({})];
    const parent = new Parent({
      name: "p",
      firsts: [first, new First({})],
      seconds: [second, new Second({})],
      thirds: [third, new Third({})],
      first,
      second,
      third,
    });
    session.add(parent);
    const statements = await sent(engine, () => session.commit());
    assertEquals(verbs(statements), ["insert", "insert", "insert", "insert", "update"]);
    assertEquals([parent.firstId, parent.secondId, parent.thirdId], [
      first.id,
      second.id,
      third.id,
    ]);
    parent.first = parent.second = parent.third = null;
    assertEquals(verbs(await sent(engine, () => session.commit())), ["update"]);
    parent.first = members(parent.firsts)[1]!;
    parent.third = third;
    assertEquals(verbs(await sent(engine, () => session.commit())), ["update"]);
    session.delete(parent);
    await session.commit();
    assertEquals(await session.query(First).count(), 0);
  });

  scenario("a favourite is deleted, and another one found, in one commit", async ({ session }) => {
    const [old, kept] = [new Ball({ data: "old" }), new Ball({ data: "kept" })];
    const person = new Person({ name: "p", balls: [old, kept], favourite: old });
    session.add(person);
    await session.commit();
    session.delete(old);
    person.favourite = kept;
    await session.commit();
    assertEquals(person.favouriteId, kept.id);
    assertEquals(members(person.balls), [kept]);
    session.delete(kept);
    person.favourite = new Ball({ data: "new", person });
    await session.commit();
    assertEquals(await session.query(Ball).select((b) => b.data).all(), ["new"]);
  });

  scenario("one to one in both directions", async ({ session, engine }) => {
    const key = new Key({});
    const lock = new Lock({ key, spare: key });
    session.add(lock);
    await session.commit();
    assertEquals([key.lockId, lock.spareId], [lock.id, key.id]);
    assertEquals(await sent(engine, () => session.commit()), []);
    session.delete(key);
    session.delete(lock);
    await session.commit();
    assertEquals([await session.query(Key).count(), await session.query(Lock).count()], [0, 0]);
  });

  scenario("two pairs exchange their partners", async ({ session }) => {
    const [k1, k2] = [new Key({}), new Key({})];
    const [l1, l2] = [new Lock({ key: k1 }), new Lock({ key: k2 })];
    session.addAll([l1, l2]);
    await session.commit();
    l1.key = k2;
    l2.key = k1;
    await session.commit();
    assertEquals([k1.lockId, k2.lockId], [l2.id, l1.id]);
    [k1.lock, k2.lock] = [l1, l2];
    await session.commit();
    assertEquals([k1.lockId, k2.lockId], [l1.id, l2.id]);
    assertEquals([l1.key, l2.key], [k1, k2]);
  });
});

scenarios("cycles: rings of classes", ENTITIES, (scenario) => {
  scenario("a class that needs two others of a ring, stored before it", async ({ session }) => {
    const left = new Left({ right: new Right({}) });
    session.add(left);
    await session.commit();
    const both = new Both({ left, right: left.right as Right });
    session.add(both);
    await session.commit();
    assertEquals([both.leftId, both.rightId], [left.id, left.rightId]);
  });

  scenario("a class that needs two others of a ring, partly stored before it", async (context) => {
    const { session } = context;
    const old = new Left({ right: new Right({}) });
    session.add(old);
    await session.commit();
    const [left, right] = [new Left({}), new Right({})];
    session.addAll([
      new Both({ left, right }),
      left,
      right,
      new Both({ left: old, right: old.right as Right }),
    ]);
    await session.commit();
    const all = await session.query(Both).orderBy((b) => b.id.asc()).all();
    assertEquals(all.map((b) => [b.leftId, b.rightId]), [
      [left.id, right.id],
      [old.id, old.rightId],
    ]);
  });

  scenario("collections in both directions, and one object in two of them", async ({ session }) => {
    const [a, c] = [new Left({ rights: [] }), new Left({ facts: [] })];
    const [b, d, e] = [new Right({ lefts: [] }), new Right({ lefts: [] }), new Right({})];
    members(a.rights).push(b);
    members(d.lefts).push(c);
    a.facts = [new Fact({ data: "1" }), new Fact({ data: "2" })];
    members(c.facts).push(new Fact({ data: "3" }));
    session.addAll([a, b, c, d, e]);
    await session.commit();
    assertEquals([b.leftId, c.rightId], [a.id, d.id]);
    session.delete(d);
    session.delete(c);
    await session.commit();
    assertEquals(await session.query(Fact).orderBy((f) => f.id.asc()).select((f) => f.data).all(), [
      "1",
      "2",
    ]);
    assertEquals([await session.query(Left).count(), await session.query(Right).count()], [1, 2]);
  });

  scenario("a ring of classes with a row in each direction", async ({ session, engine }) => {
    const left = new Left({ facts: [] });
    const right = new Right({ left });
    left.right = right;
    session.add(left);
    assertEquals(verbs(await sent(engine, () => session.commit())), ["insert", "insert", "update"]);
    assertEquals([left.rightId, right.leftId], [right.id, left.id]);
    session.delete(left);
    session.delete(right);
    await session.commit();
    assertEquals(inspect(left).state, "detached");
  });

  scenario("a new ring is hung into one that was stored before", async ({ session }) => {
    const left = new Left({});
    left.right = new Right({ left });
    session.add(left);
    await session.commit();
    const next = new Left({ right: left.right });
    (left.right as Right).left = next;
    session.add(next);
    await session.commit();
    const right = left.right as Right;
    assertEquals([right.leftId, next.rightId, left.rightId], [next.id, right.id, right.id]);
  });

  scenario("subclasses of one table refer to each other in a ring", async ({ session, engine }) => {
    const draft = new Draft({ title: "d" });
    const final = new Final({ title: "f", draft });
    draft.final = final;
    session.add(draft);
    await session.commit();
    assertEquals([draft.finalId, final.draftId], [final.id, draft.id]);
    await using other = engine.session();
    const docs = await other.query(Doc).orderBy((d) => d.id.asc()).all();
    assertEquals(new Set(docs.map((d) => d.constructor)), new Set([Draft, Final]));
    for (const each of docs) other.delete(each);
    await other.commit();
    assertEquals(await other.query(Doc).count(), 0);
  });

  scenario(
    "subclasses of one table are stored in the order of their references",
    async (context) => {
      const { session } = context;
      session.add(new Draft({ title: "d", final: new Final({ title: "f" }) }));
      session.add(new Doc({ title: "plain" }));
      await session.commit();
      const draft = await session.query(Draft).selectin("final").one();
      assertEquals(draft.final!.title, "f");
    },
  );

  scenario(
    "links within a class, and favourites, in every direction",
    async ({ session, engine }) => {
      const [n1, n2, n3, n4, n5] = ["1", "2", "3", "4", "5"].map((name) => new Star({ name })) as [
        Star,
        Star,
        Star,
        Star,
        Star,
      ];
      n4.favourite = n3;
      n1.favourite = n5;
      n5.favourite = n2;
      n1.near = [n2, n3, n4];
      n2.near = [n3, n5];
      n3.near = [n5, n4];
      session.addAll([n1, n2, n3, n4, n5]);
      await session.commit();
      await using other = engine.session();
      const found = await other.query(Star).orderBy((s) => s.name.asc())
        .selectin("near", "nearTo", "favourite").all();
      assertEquals(found.map((s) => s.near.map(({ name }) => name).join("")), [
        "234",
        "35",
        "45",
        "",
        "",
      ]);
      assertEquals(found.map((s) => s.nearTo.map(({ name }) => name).join("")), [
        "",
        "1",
        "12",
        "13",
        "23",
      ]);
      assertEquals(found.map((s) => s.favourite?.name ?? null), ["5", null, null, "3", "2"]);
      other.delete(found[0]!);
      await other.commit();
      assertEquals(found[1]!.nearTo, []);
      for (const star of found.slice(1)) other.delete(star);
      await other.commit();
      assertEquals(await other.query(Star).count(), 0);
    },
  );

  scenario(
    "objects of a ring that cannot be stored leave no trace",
    async ({ session, engine }) => {
      const person = new Person({ name: "p" });
      const ball = new Ball({ person });
      person.favourite = ball;
      person.name = null as never;
      session.add(person);
      assertEquals(
        await sent(engine, () => assertRejects(() => session.commit(), InputError, "people.name")),
        [],
      );
      assertEquals([inspect(person).state, inspect(ball).state], ["transient", "transient"]);
      assertEquals<unknown>([person.id, ball.id, ball.personId], [undefined, undefined, undefined]);
      person.name = "p";
      session.add(person);
      await session.commit();
      assertEquals(person.favouriteId, ball.id);
    },
  );

  scenario("a ring that was flushed and rolled back is as it was, and can be stored", async (c) => {
    const { session } = c;
    const person = new Person({ name: "p" });
    const ball = new Ball({ person });
    person.favourite = ball;
    await assertRejects(
      () =>
        session.begin(async () => {
          session.add(person);
          await session.flush();
          throw new Error("undone");
        }),
      Error,
      "undone",
    );
    assertEquals<unknown>(
      [person.id, person.favouriteId, ball.id, ball.personId],
      [undefined, undefined, undefined, undefined],
    );
    session.add(ball);
    await session.commit();
    assertEquals([person.favouriteId, ball.personId], [ball.id, person.id]);
  });
});
