/** Relations that are replaced without being loaded: nothing that was in them is lost silently. */

import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import {
  type AsyncSession,
  belongsTo,
  entity,
  hasMany,
  hasOne,
  InputError,
  insert,
  inspect,
  integer,
  manyToMany,
  NotLoadedError,
  ReadOnlyError,
  SerializationError,
  sql,
  text,
  UsageError,
} from "@sluice/orm";
import { sent } from "../../support/library_model.ts";
import { scenarios } from "./support.ts";

class User extends entity("users", {
  name: text().primaryKey(),
  note: text().nullable(),
  badge: hasOne<Badge>("badges.userName"),
  notes: hasMany<Note>("notes.userName", { orderBy: "id" }),
  orders: hasMany<Order>("orders.userName", { cascade: "all-orphans", orderBy: "id" }),
  tags: manyToMany<Tag>("user_tags", { orderBy: "name" }),
}) {}

class Badge extends entity("badges", {
  id: integer().primaryKey().generated(),
  colour: text(),
  userName: text().nullable().references("users.name", { onUpdate: "cascade" }),
  user: belongsTo<User | null>("userName"),
}) {}

class Note extends entity("notes", {
  id: integer().primaryKey().generated(),
  line: text(),
  userName: text().nullable().references("users.name", { onUpdate: "cascade" }),
  user: belongsTo<User | null>("userName"),
}) {}

class Order extends entity("orders", {
  id: integer().primaryKey().generated(),
  what: text(),
  userName: text().references("users.name", { onUpdate: "cascade" }),
  user: belongsTo<User>("userName"),
}) {}

class Tag extends entity("tags", {
  name: text().primaryKey(),
  users: manyToMany<User>("user_tags"),
}) {}

const ENTITIES = [User, Badge, Note, Order, Tag];

/** Users with one of each, stored by a session that is not the test's. */
async function stored(session: AsyncSession, ...names: string[]): Promise<void> {
  const shared = new Tag({ name: "shared" });
  session.addAll(names.map((name) =>
    new User({
      name,
      badge: new Badge({ colour: `old ${name}` }),
      notes: [new Note({ line: `1 ${name}` }), new Note({ line: `2 ${name}` })],
      orders: [new Order({ what: `old ${name}` })],
      tags: [shared, new Tag({ name: `tag ${name}` })],
    })
  ));
  await session.commit();
}

/** What is in the relations of the database, by user. */
async function rows(session: AsyncSession): Promise<unknown> {
  const users = await session.query(User).orderBy((u) => u.name.asc())
    .selectin("badge", "notes", "orders", "tags").all();
  return users.map(({ name, badge, notes, orders, tags }) => [
    name,
    badge?.colour ?? null,
    notes.map(({ line }) => line),
    orders.map(({ what }) => what),
    tags.map(({ name }) => name),
  ]);
}

const verbs = (statements: readonly string[]) => statements.map((text) => text.split(" ")[0]);

scenarios("a relation that was never loaded is replaced", ENTITIES, (scenario) => {
  scenario(
    "by others: the old ones are read once for each relation, and let go of",
    async ({ session, engine }) => {
      await stored(session, "ada", "bob", "cleo");
      await using other = engine.session();
      const users = await other.query(User).orderBy((u) => u.name.asc()).limit(2).all();
      for (const user of users) {
        user.badge = new Badge({ colour: `new ${user.name}` });
        user.notes = [new Note({ line: `3 ${user.name}` })];
        user.orders = [new Order({ what: `new ${user.name}` })];
        user.tags = [new Tag({ name: `new ${user.name}` })];
      }
      assertEquals(other.dirty, users);
      const statements = await sent(engine, () => other.commit());
      assertEquals(verbs(statements).filter((verb) => verb === "select").length, 4, "reads");
      const { select: _, ...writes } = Object.groupBy(verbs(statements), (verb) => verb!);
      assertEquals(
        Object.entries(writes).map(([verb, all]) => [verb, all!.length]).toSorted(),
        [["delete", 2], ["insert", 5], ["update", 2]],
      );
      await using check = engine.session();
      assertEquals(await rows(check), [
        ["ada", "new ada", ["3 ada"], ["new ada"], ["new ada"]],
        ["bob", "new bob", ["3 bob"], ["new bob"], ["new bob"]],
        ["cleo", "old cleo", ["1 cleo", "2 cleo"], ["old cleo"], ["shared", "tag cleo"]],
      ]);
      assertEquals([await check.query(Badge).count(), await check.query(Order).count()], [5, 3]);
      assertEquals(await sent(engine, () => other.commit()), [], "known from here on");
    },
  );

  scenario("by nothing: what was there goes", async ({ session, engine }) => {
    await stored(session, "ada");
    await using other = engine.session();
    const user = await other.query(User).one();
    user.badge = null;
    user.notes = [];
    user.orders = [];
    user.tags = [];
    assertEquals(other.dirty, [user]);
    await other.commit();
    await using check = engine.session();
    assertEquals(await rows(check), [["ada", null, [], [], []]]);
    assertEquals([await check.query(Badge).count(), await check.query(Order).count()], [1, 0]);
  });

  scenario("by what is there in part: only the difference is written", async (context) => {
    const { session, engine } = context;
    await stored(session, "ada");
    await using other = engine.session();
    const user = await other.query(User).one();
    const shared = await other.getOrFail(Tag, "shared");
    user.badge = await other.query(Badge).one();
    user.tags = [shared];
    const statements = await sent(engine, () => other.commit());
    assertEquals(verbs(statements), ["select", "select", "delete"]);
    await using check = engine.session();
    assertEquals((await check.query(User).selectin("tags").one()).tags, [
      await check.getOrFail(Tag, "shared"),
    ]);
  });

  scenario("and its key changes with it: the old ones are found by the stored key", async (c) => {
    const { session, engine } = c;
    await stored(session, "ada");
    await using other = engine.session();
    const user = await other.query(User).one();
    user.name = "ada lovelace";
    user.badge = new Badge({ colour: "new" });
    user.tags = [];
    await other.commit();
    await using check = engine.session();
    const found = await check.query(User).selectin("badge", "tags").one();
    assertEquals([found.name, found.badge?.colour, found.tags], ["ada lovelace", "new", []]);
    const badges = await check.query(Badge).orderBy((b) => b.id.asc()).all();
    assertEquals(badges.map(({ userName }) => userName), [null, "ada lovelace"]);
  });

  scenario("inside begin(): a query flushes it", async ({ session, engine }) => {
    await stored(session, "ada");
    await using other = engine.session();
    await other.begin(async () => {
      const user = await other.query(User).one();
      user.tags = [];
      assertEquals(await other.query(Tag).where((t) => t.users.some()).count(), 0);
      user.badge = null;
    });
    assertEquals(await other.query(Badge).where((b) => b.userName.isNotNull()).count(), 0);
  });

  scenario("a rollback unloads it again", async ({ session, engine }) => {
    await stored(session, "ada");
    await using other = engine.session();
    const user = await other.query(User).one();
    await assertRejects(() =>
      other.begin(async (tx) => {
        user.tags = [];
        await assertRejects(() =>
          tx.savepoint(async () => {
            user.badge = null;
            await other.flush();
            throw new Error("inner");
          })
        );
        assertThrows(() => user.badge, NotLoadedError);
        assertEquals(user.tags as unknown, []);
        throw new Error("outer");
      })
    );
    assertThrows(() => user.tags, NotLoadedError);
    user.badge = null;
    await other.rollback();
    assertThrows(() => user.badge, NotLoadedError);
    assertEquals(await sent(engine, () => other.commit()), []);
    await using check = engine.session();
    assertEquals(await rows(check), [
      ["ada", "old ada", ["1 ada", "2 ada"], ["old ada"], ["shared", "tag ada"]],
    ]);
  });

  scenario("each attempt of a transaction begins with it as assigned", async (context) => {
    const { session, engine } = context;
    await stored(session, "ada");
    await using other = engine.session();
    const user = await other.query(User).one();
    user.tags = [];
    const seen: unknown[] = [];
    await other.begin(async (tx) => {
      await other.flush();
      seen.push(await other.query(Tag).where((t) => t.users.some()).count());
      if (tx.attempt < 2) throw new SerializationError("Again", { sqlState: "40001" });
    }, { retries: 2, retryDelay: 0 });
    assertEquals(seen, [0, 0]);
  });

  scenario("one that was loaded since loses nothing that was assigned", async (context) => {
    const { session, engine } = context;
    await stored(session, "ada");
    await using other = engine.session();
    const user = await other.query(User).one();
    const mine = new Badge({ colour: "mine" });
    user.badge = mine;
    assertStrictEquals((await other.query(User).selectin("badge").one()).badge, mine);
    assertEquals(verbs(await sent(engine, () => other.commit())).includes("select"), false);
    assertEquals(await other.query(Badge).where((b) => b.userName.isNull()).count(), 1);
  });

  scenario("detached, and attached to another session", async ({ session, engine }) => {
    await stored(session, "ada");
    const [user] = await (async () => {
      await using loading = engine.session();
      return await loading.query(User).all();
    })();
    user!.tags = [];
    await using other = engine.session();
    other.attach(user!);
    await other.commit();
    assertEquals(await other.query(Tag).where((t) => t.users.some()).count(), 0);
  });

  scenario("by a hook: refused, with the call that loads it", async ({ session, engine }) => {
    await stored(session, "ada");
    await using other = engine.session({ onUnflushedClose: "ignore" });
    const user = await other.query(User).one();
    other.on("beforeUpdate", (object) => {
      if (object instanceof User) object.badge = null;
    });
    user.note = "changed";
    await assertRejects(() => other.commit(), UsageError, '"badge" of User ada');
    assertEquals(inspect(user).state, "persistent");
    await other.load([user], "badge");
    user.note = "changed";
    await other.commit();
    assertEquals(await other.query(Badge).where((b) => b.userName.isNotNull()).count(), 0);
  });

  scenario("what may not be let go of is refused by name, and nothing is stored", async (c) => {
    const { session, engine } = c;
    await stored(session, "ada");
    await using other = engine.session();
    const user = await other.query(User).one();
    user.notes = [1] as unknown as Note[];
    await assertRejects(() => other.commit(), InputError, "User.notes");
    await using reading = engine.session({ readOnly: true, onUnflushedClose: "ignore" });
    (await reading.query(User).one()).tags = [];
    await assertRejects(() => reading.commit(), ReadOnlyError);
    await using check = engine.session();
    assertEquals((await check.query(User).selectin("notes").one()).notes.length, 2);
  });

  scenario("a session that closes with it says so", async ({ session, engine }) => {
    await stored(session, "ada");
    const other = engine.session({ onUnflushedClose: "throw" });
    (await other.query(User).one()).tags = [];
    await assertRejects(() => other.close(), UsageError, "never stored");
  });

  scenario(
    "its owner is deleted: the cascade asks for the old ones",
    async ({ session, engine }) => {
      await stored(session, "ada");
      await using other = engine.session({ onUnflushedClose: "ignore" });
      const user = await other.query(User).one();
      user.orders = [new Order({ what: "new" })];
      assertThrows(() => other.delete(user), UsageError, '"orders"');
    },
  );
});

scenarios("an object that the session has inserted holds nothing", ENTITIES, (scenario) => {
  scenario("nothing is read when its relations are assigned", async ({ session, engine }) => {
    const user = new User({ name: "ada" });
    session.add(user);
    await session.commit();
    user.badge = null;
    user.notes = [];
    assertEquals(await sent(engine, () => session.commit()), []);
    user.orders = [new Order({ what: "o" })];
    user.tags = [new Tag({ name: "t" })];
    assertEquals(
      verbs(await sent(engine, () => session.commit())),
      ["insert", "insert", "insert"],
    );
    assertEquals(await rows(session), [["ada", null, [], ["o"], ["t"]]]);
  });

  scenario("it is deleted without asking for a load", async ({ session, engine }) => {
    const user = new User({ name: "ada" });
    session.add(user);
    await session.commit();
    assert(!Object.hasOwn(user, "orders"));
    session.delete(user);
    assertEquals(verbs(await sent(engine, () => session.commit())), ["delete"]);
  });

  scenario("until something else refers to it: then it is read", async ({ session, engine }) => {
    const [ada, bob, cleo] = ["ada", "bob", "cleo"].map((name) => new User({ name })) as [
      User,
      User,
      User,
    ];
    // From the other side, in the same flush and in a later one; and by a statement.
    session.addAll([ada, bob, cleo, new Badge({ colour: "a", user: ada })]);
    await session.commit();
    session.add(new Tag({ name: "t", users: [bob] }));
    await session.commit();
    ada.badge = null;
    bob.tags = [];
    assertEquals(
      verbs(await sent(engine, () => session.commit())),
      ["select", "select", "delete", "update"],
    );
    await session.execute(insert(Note).values({ line: "n", userName: "cleo" }));
    cleo.notes = [];
    await session.commit();
    assertEquals(await session.query(Note).where((n) => n.userName.isNotNull()).count(), 0);
    session.add(new Order({ what: "o", userName: "cleo" }));
    await session.commit();
    assertThrows(() => session.delete(cleo), UsageError, '"orders"');
  });

  scenario("once it was expired, nothing is known of it", async ({ session, engine }) => {
    const user = new User({ name: "ada" });
    session.add(user);
    await session.commit();
    await engine.execute(sql`insert into orders (what, user_name) values ('theirs', 'ada')`);
    session.expire(user);
    user.orders = [];
    await session.commit();
    assertEquals(await session.query(Order).count(), 0);
  });
});
