/** What goes along when objects are added, deleted and taken out: after SQLAlchemy's suite. */

import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import {
  AsyncEngine,
  type AsyncSession,
  belongsTo,
  createAll,
  entity,
  type EntityClass,
  hasMany,
  hasOne,
  InputError,
  inspect,
  InstanceStateError,
  integer,
  manyToMany,
  MappingError,
  text,
  UsageError,
} from "@sluice/orm";
import { sent } from "../../support/library_model.ts";
import { members, scenarios } from "./support.ts";

class User extends entity("users", {
  id: integer().primaryKey().generated(),
  name: text(),
  orders: hasMany<Order>("orders.userId", { cascade: "all-orphans", orderBy: "id" }),
  addresses: hasMany<Address>("addresses.userId", { cascade: "all-orphans", orderBy: "id" }),
  invoices: hasMany<Invoice>("invoices.userId", { cascade: "all", orderBy: "id" }),
  bells: hasMany<Bell>("bells.userId", { orderBy: "id" }),
  profile: hasOne<Profile>("profiles.userId", { cascade: "all-orphans" }),
}) {}

/** Nothing without its user. */
class Order extends entity("orders", {
  id: integer().primaryKey().generated(),
  text: text(),
  userId: integer().references("users.id"),
  user: belongsTo<User>("userId"),
  lines: hasMany<Line>("lines.orderId", { cascade: "all-orphans", orderBy: "id" }),
}) {}

class Line extends entity("lines", {
  id: integer().primaryKey().generated(),
  what: text(),
  orderId: integer().references("orders.id"),
  order: belongsTo<Order>("orderId"),
}) {}

/** Could be without a user, and yet goes with it. */
class Address extends entity("addresses", {
  id: integer().primaryKey().generated(),
  email: text(),
  userId: integer().nullable().references("users.id"),
  user: belongsTo<User | null>("userId"),
  bells: hasMany<Bell>("bells.addressId", { orderBy: "id" }),
}) {}

class Profile extends entity("profiles", {
  id: integer().primaryKey().generated(),
  bio: text(),
  userId: integer().unique().references("users.id"),
  user: belongsTo<User>("userId"),
}) {}

/** Goes with its user, but not when taken out. */
class Invoice extends entity("invoices", {
  id: integer().primaryKey().generated(),
  text: text(),
  userId: integer().nullable().references("users.id"),
}) {}

/** Only saved along. */
class Bell extends entity("bells", {
  id: integer().primaryKey().generated(),
  sound: text(),
  addressId: integer().nullable().references("addresses.id"),
  address: belongsTo<Address | null>("addressId"),
  userId: integer().nullable().references("users.id"),
}) {}

class Trip extends entity("trips", {
  id: integer().primaryKey().generated(),
  name: text(),
  routeId: integer().nullable().references("routes.id"),
  route: belongsTo<Route | null>("routeId", { cascade: "all" }),
}) {}

class Route extends entity("routes", {
  id: integer().primaryKey().generated(),
  name: text(),
  chartId: integer().nullable().references("charts.id"),
  chart: belongsTo<Chart | null>("chartId", { cascade: "all" }),
}) {}

class Chart extends entity("charts", {
  id: integer().primaryKey().generated(),
  name: text(),
}) {}

class Node extends entity("nodes", {
  id: integer().primaryKey().generated(),
  parentId: integer().nullable().references("nodes.id"),
  parent: belongsTo<Node | null>("parentId"),
  children: hasMany<Node>("nodes.parentId", { cascade: "all-orphans", orderBy: "id" }),
}) {}

class Team extends entity("teams", {
  id: integer().primaryKey().generated(),
  name: text(),
  players: manyToMany<Player>("team_players", {
    target: "players",
    cascade: "all",
    orderBy: "id",
  }),
}) {}

class Player extends entity("players", {
  id: integer().primaryKey().generated(),
  name: text(),
  shirts: hasMany<Shirt>("shirts.playerId", { cascade: "all-orphans" }),
}) {}

class Shirt extends entity("shirts", {
  id: integer().primaryKey().generated(),
  playerId: integer().nullable().references("players.id"),
}) {}

/** Owned by two. */
class Customer extends entity("customers", {
  id: integer().primaryKey().generated(),
  sellerId: integer().nullable().references("sellers.id"),
  seller: belongsTo<Seller | null>("sellerId"),
  shopId: integer().nullable().references("shops.id"),
  shop: belongsTo<Shop | null>("shopId"),
}) {}

class Seller extends entity("sellers", {
  id: integer().primaryKey().generated(),
  customers: hasMany<Customer>("customers.sellerId", { cascade: "all-orphans" }),
}) {}

class Shop extends entity("shops", {
  id: integer().primaryKey().generated(),
  customers: hasMany<Customer>("customers.shopId", { cascade: "all-orphans" }),
}) {}

const ENTITIES = [
  User,
  Order,
  Line,
  Address,
  Profile,
  Invoice,
  Bell,
  Trip,
  Route,
  Chart,
  Node,
  Team,
  Player,
  Shirt,
  Customer,
  Seller,
  Shop,
];

/** A user of whom all that hangs on it is known. */
function jack(values: Partial<ConstructorParameters<typeof User>[0]> = {}): User {
  return new User({
    name: "jack",
    orders: [],
    addresses: [],
    invoices: [],
    bells: [],
    profile: null,
    ...values,
  });
}

const order = (text: string): Order => new Order({ text, lines: [] });
const address = (email: string): Address => new Address({ email, bells: [] });

async function counts(session: AsyncSession, ...classes: EntityClass<object>[]): Promise<number[]> {
  const all: number[] = [];
  for (const entityClass of classes) all.push(await session.query(entityClass).count());
  return all;
}

scenarios("cascade: collections that own their members", ENTITIES, (scenario) => {
  scenario("a new collection is stored with its owner", async ({ session }) => {
    const user = jack({ orders: [order("1"), order("2")] });
    session.add(user);
    assertEquals(session.new.length, 3);
    await session.commit();
    const found = await session.query(Order).orderBy((o) => o.id.asc()).all();
    assertEquals(found.map(({ text, userId }) => [text, userId]), [["1", user.id], ["2", user.id]]);
  });

  scenario(
    "a collection that is replaced before the first flush was never there",
    async (context) => {
      const { session } = context;
      const user = jack({ orders: [order("1"), order("2")] });
      session.add(user);
      for (const old of members(user.orders)) session.delete(old);
      user.orders = [order("3")];
      await session.commit();
      assertEquals(await session.query(Order).select((o) => o.text).all(), ["3"]);
    },
  );

  scenario("an assigned collection deletes the members that are not in it", async ({ session }) => {
    const [kept, dropped] = [order("kept"), order("dropped")];
    const user = jack({ orders: [kept, dropped] });
    session.add(user);
    await session.commit();
    user.orders = [kept, order("new")];
    await session.commit();
    assertEquals(inspect(dropped).state, "detached");
    const texts = session.query(Order).orderBy((o) => o.id.asc()).select((o) => o.text);
    assertEquals(await texts.all(), ["kept", "new"]);
  });

  scenario("an emptied collection deletes all members, and keeps the owner", async (context) => {
    const { session, engine } = context;
    const user = jack({ orders: [order("1"), order("2")], addresses: [address("a")] });
    session.add(user);
    await session.commit();
    members(user.orders).length = 0;
    user.addresses = [];
    const statements = await sent(engine, () => session.commit());
    assertEquals(statements.map((text) => text.slice(0, 6)), ["delete", "delete"]);
    assertEquals(await counts(session, User, Order, Address), [1, 0, 0]);
  });

  scenario("a member without an owner is refused where its key takes no null", async (context) => {
    const { session, engine } = context;
    session.add(order("alone"));
    const statements = await sent(
      engine,
      () => assertRejects(() => session.commit(), InputError, "orders.userId"),
    );
    assertEquals(statements, []);
    session.add(address("alone"));
    await session.commit();
    assertEquals(await counts(session, Address), [1]);
  });

  scenario("new and removed members of a detached owner come back with it", async (context) => {
    const { engine } = context;
    const [o1, o2, o3] = [order("1"), order("2"), order("3")];
    const user = jack({ orders: [o1, o2] });
    {
      await using session = engine.session();
      session.add(user);
      await session.commit();
    }
    members(user.orders).push(o3);
    members(user.orders).shift();
    await using session = engine.session();
    session.attach(user);
    await session.commit();
    const texts = session.query(Order).orderBy((o) => o.id.asc()).select((o) => o.text);
    assertEquals(await texts.all(), ["2", "3"]);
  });

  scenario("a new member that is taken out before the flush is not stored", async ({ session }) => {
    const user = jack();
    session.add(user);
    await session.commit();
    members(user.orders).push(order("never"));
    members(user.orders).pop();
    await session.commit();
    assertEquals(await counts(session, Order), [0]);
  });

  scenario("a new member that was flushed and is taken out is deleted", async ({ session }) => {
    const user = jack();
    session.add(user);
    await session.begin(async () => {
      const fresh = order("1");
      members(user.orders).push(fresh);
      await session.flush();
      assertEquals(inspect(fresh).state, "persistent");
      members(user.orders).pop();
      await session.flush();
      assertEquals(inspect(fresh).state, "deleted");
    });
    assertEquals(await counts(session, User, Order), [1, 0]);
  });

  scenario("an owner takes its members along, level by level", async ({ session, engine }) => {
    const first = new Order({
      text: "1",
      lines: [new Line({ what: "a" }), new Line({ what: "b" })],
    });
    const user = jack({
      orders: [first, order("2")],
      addresses: [address("a")],
      profile: new Profile({ bio: "" }),
    });
    session.add(user);
    await session.commit();
    session.delete(user);
    assertEquals(session.deleted.length, 7);
    const statements = await sent(engine, () => session.commit());
    assertEquals(statements.length, 5, "one for each class");
    assertEquals(await counts(session, User, Order, Line, Address, Profile), [0, 0, 0, 0, 0]);
  });

  scenario("a cascade over members that are not loaded says which, before it deletes", async ({
    session,
    engine,
  }) => {
    session.add(jack({ orders: [order("1")] }));
    await session.commit();
    await using other = engine.session();
    const user = await other.query(User).one();
    assertThrows(() => other.delete(user), UsageError, '"orders"');
    assertEquals(other.deleted, []);
    const everything = ["orders.lines", "addresses", "invoices", "bells", "profile"] as const;
    await other.load([user], ...everything);
    other.delete(user);
    await other.commit();
    assertEquals(await counts(other, User, Order), [0, 0]);
  });

  scenario("a member that was taken out goes with its owner all the same", async ({ session }) => {
    const user = jack({ orders: [order("1"), order("2")] });
    session.add(user);
    await session.commit();
    members(user.orders).shift();
    session.delete(user);
    await session.commit();
    assertEquals(await counts(session, User, Order), [0, 0]);
  });

  scenario("a member that found another owner survives the old one", async ({ session }) => {
    const moved = order("moved");
    const user = jack({ orders: [moved, order("2")] });
    session.add(user);
    await session.commit();
    members(user.orders).shift();
    session.delete(user);
    assert(!session.deleted.includes(moved));
    const next = jack({ orders: [moved] });
    session.add(next);
    await session.commit();
    assertEquals(await counts(session, User, Order), [1, 1]);
    assertEquals(moved.userId, next.id);
  });

  scenario(
    "what is not loaded stays so when new objects are stored",
    async ({ session, engine }) => {
      const user = new User({ name: "u" });
      session.add(user);
      await session.commit();
      assert(!Object.hasOwn(user, "orders"));
      const home = new Address({ email: "a", user });
      session.add(home);
      await session.commit();
      assert(!Object.hasOwn(user, "addresses"));
      const bell = new Bell({ sound: "d1", addressId: home.id });
      session.add(bell);
      await session.commit();
      assert(!Object.hasOwn(bell, "address"));
      const [loaded] = await session.load([bell], "address");
      assertStrictEquals(loaded!.address, home);
      assertEquals(await sent(engine, () => session.commit()), []);
    },
  );

  scenario(
    "members that own others take them along when they are taken out",
    async ({ session }) => {
      const [n1, n2, n3, n4] = Array.from({ length: 4 }, () => new Node({ children: [] })) as [
        Node,
        Node,
        Node,
        Node,
      ];
      n1.children = [n2, n3];
      n3.children = [n4];
      session.add(n1);
      await session.commit();
      assertEquals(await counts(session, Node), [4]);
      members(n1.children).pop();
      await session.commit();
      assertEquals(await counts(session, Node), [2]);
      assertEquals([inspect(n3).state, inspect(n4).state], ["detached", "detached"]);
    },
  );

  scenario(
    "members that were changed and reordered are no orphans",
    async ({ session, engine }) => {
      const user = jack({ addresses: ["1", "2", "3"].map(address) });
      session.add(user);
      await session.commit();
      await using other = engine.session();
      const found = await other.query(User).selectin("addresses").one();
      found.addresses.reverse();
      found.addresses[0]!.email = "changed";
      const statements = await sent(engine, () => other.commit());
      assertEquals(statements.map((text) => text.slice(0, 6)), ["update"]);
      assertEquals(await counts(other, Address), [3]);
    },
  );

  scenario("one to one: the object that is replaced is deleted", async ({ session }) => {
    const user = jack({ profile: new Profile({ bio: "old" }) });
    session.add(user);
    await session.commit();
    const old = user.profile as Profile;
    user.profile = new Profile({ bio: "new" });
    await session.commit();
    assertEquals(inspect(old).state, "detached");
    assertEquals(await session.query(Profile).select((p) => p.bio).all(), ["new"]);
    user.profile = null;
    await session.commit();
    assertEquals(await counts(session, User, Profile), [1, 0]);
  });

  scenario("an object that is owned twice goes when either owner drops it", async ({ session }) => {
    const customer = new Customer({});
    const seller = new Seller({ customers: [customer] });
    const shop = new Shop({ customers: [customer] });
    session.addAll([seller, shop]);
    await session.commit();
    assertEquals([customer.sellerId, customer.shopId], [seller.id, shop.id]);
    members(seller.customers).pop();
    await session.commit();
    assertEquals(await counts(session, Customer, Seller, Shop), [0, 1, 1]);
    assertEquals(members(shop.customers), []);
  });

  scenario(
    "an object that could be owned twice may have one owner, or none",
    async ({ session }) => {
      session.addAll([
        new Seller({ customers: [new Customer({})] }),
        new Shop({ customers: [new Customer({})] }),
        new Customer({}),
      ]);
      await session.commit();
      assertEquals(await counts(session, Customer), [3]);
    },
  );

  scenario("a reference that is emptied makes no orphan, where the owner is not loaded", async ({
    session,
    engine,
  }) => {
    session.add(new Seller({ customers: [new Customer({})] }));
    await session.commit();
    await using other = engine.session();
    const customer = await other.query(Customer).one();
    customer.seller = null;
    await other.commit();
    assertEquals(await counts(other, Customer), [1]);
    assertEquals(customer.sellerId, null);
  });

  scenario(
    "a reference that is emptied makes an orphan, where the owner's collection is loaded",
    async ({
      session,
    }) => {
      const customer = new Customer({});
      const seller = new Seller({ customers: [customer] });
      session.add(seller);
      await session.commit();
      customer.seller = null;
      await session.commit();
      assertEquals(members(seller.customers), []);
      assertEquals([inspect(customer).state, await session.query(Customer).count()], [
        "detached",
        0,
      ]);
    },
  );
});

scenarios("cascade: members that change hands while the old owner goes", ENTITIES, (scenario) => {
  for (const first of ["the old owner goes", "the new owner comes"]) {
    scenario(`a collection that owns, ${first} first`, async ({ session }) => {
      const moved = order("moved");
      const [old, next] = [jack({ orders: [moved] }), jack()];
      session.add(old);
      await session.commit();
      if (first === "the old owner goes") session.delete(old);
      next.orders = [moved];
      session.add(next);
      if (first === "the new owner comes") {
        members(old.orders).pop();
        session.delete(old);
      }
      await session.commit();
      assertEquals(await session.query(Order).select((o) => o.userId).all(), [next.id]);
      assertEquals(await counts(session, User), [1]);
    });

    scenario(`one to one, ${first} first`, async ({ session }) => {
      const moved = new Profile({ bio: "" });
      const [old, next] = [jack({ profile: moved }), jack()];
      session.add(old);
      await session.commit();
      if (first === "the old owner goes") session.delete(old);
      next.profile = moved;
      session.add(next);
      if (first === "the new owner comes") {
        old.profile = null;
        session.delete(old);
      }
      await session.commit();
      assertEquals(await session.query(Profile).select((p) => p.userId).all(), [next.id]);
    });
  }

  scenario("without any deletion the member is simply the new owner's", async ({ session }) => {
    const moved = order("moved");
    const profile = new Profile({ bio: "" });
    const [old, next] = [jack({ orders: [moved], profile }), jack()];
    session.addAll([old, next]);
    await session.commit();
    members(next.orders).push(moved);
    next.profile = profile;
    await session.commit();
    assertEquals([moved.userId, profile.userId], [next.id, next.id]);
    assertEquals([members(old.orders), old.profile], [[], null]);
    assertEquals(await counts(session, Order, Profile), [1, 1]);
  });

  scenario("a member moves by its reference, and both collections follow", async ({ session }) => {
    const moved = order("moved");
    const [old, next] = [jack({ orders: [moved] }), jack()];
    session.addAll([old, next]);
    await session.commit();
    moved.user = next;
    await session.commit();
    assertEquals([members(old.orders), members(next.orders)], [[], [moved]]);
    assertEquals(await counts(session, Order), [1]);
  });
});

scenarios("cascade: what is only saved along, or only deleted along", ENTITIES, (scenario) => {
  scenario("what was taken out of a collection that does not own it stays", async ({ session }) => {
    const [taken, left] = [new Invoice({ text: "1" }), new Invoice({ text: "2" })];
    const user = jack({ invoices: [taken, left] });
    session.add(user);
    await session.commit();
    members(user.invoices).shift();
    session.delete(user);
    await session.commit();
    assertEquals([inspect(taken).state, taken.userId], ["persistent", null]);
    assertEquals(await session.query(Invoice).select((i) => i.text).all(), ["1"]);
  });

  scenario(
    "a reference takes along what it leads to, level by level",
    async ({ session, engine }) => {
      const trip = new Trip({
        name: "1",
        route: new Route({ name: "1", chart: new Chart({ name: "1" }) }),
      });
      const other = new Trip({
        name: "2",
        route: new Route({ name: "2", chart: new Chart({ name: "2" }) }),
      });
      session.addAll([trip, other]);
      await session.commit();
      session.delete(trip);
      assertEquals((await sent(engine, () => session.commit())).length, 3);
      assertEquals(await session.query(Trip).select((t) => t.name).all(), ["2"]);
      assertEquals(await session.query(Route).select((r) => r.name).all(), ["2"]);
      assertEquals(await session.query(Chart).select((c) => c.name).all(), ["2"]);
    },
  );

  scenario("a reference that leads nowhere ends the cascade", async ({ session }) => {
    const trip = new Trip({ name: "1", route: new Route({ name: "1" }) });
    session.addAll([trip, new Trip({ name: "2" })]);
    await session.commit();
    for (const found of await session.query(Trip).all()) session.delete(found);
    await session.commit();
    assertEquals(await counts(session, Trip, Route), [0, 0]);
  });

  scenario("what a reference let go of before stays", async ({ session }) => {
    const [chart, route] = [new Chart({ name: "1" }), new Route({ name: "1" })];
    route.chart = chart;
    const trip = new Trip({ name: "1", route });
    session.add(trip);
    await session.commit();
    trip.route = null;
    session.delete(trip);
    await session.commit();
    assertEquals(await counts(session, Trip, Route, Chart), [0, 1, 1]);
    const again = new Trip({ name: "2", route });
    session.add(again);
    await session.commit();
    route.chart = null;
    session.delete(again);
    await session.commit();
    assertEquals(await counts(session, Trip, Route, Chart), [0, 0, 1]);
  });

  scenario("what only refers is no part of a deletion", async ({ session }) => {
    const home = address("a");
    session.add(new Bell({ sound: "ding", address: home }));
    session.add(home);
    await session.commit();
    const bell = await session.query(Bell).one();
    session.delete(bell);
    await session.commit();
    assertEquals(await counts(session, Bell, Address), [0, 1]);
  });

  scenario("links with a cascade take the linked objects and theirs along", async ({ session }) => {
    const team = new Team({
      name: "a",
      players: [new Player({ name: "b", shirts: [new Shirt({})] })],
    });
    session.add(team);
    await session.commit();
    session.delete(team);
    await session.commit();
    assertEquals(await counts(session, Team, Player, Shirt), [0, 0, 0]);
  });

  scenario("an object that is unlinked stays, whatever the cascade", async ({ session }) => {
    const team = new Team({ name: "a", players: [new Player({ name: "b", shirts: [] })] });
    session.add(team);
    await session.commit();
    team.players = [];
    await session.commit();
    assertEquals(await counts(session, Team, Player), [1, 1]);
  });

  scenario("add() finds new objects over any relation, in both directions", async ({ session }) => {
    const bell = new Bell({ sound: "ding" });
    const home = new Address({ email: "a", bells: [bell] });
    const user = new User({ name: "u" });
    home.user = user;
    session.add(home);
    assertEquals(new Set(session.new), new Set([home, bell, user]));
    await session.commit();
    assertEquals([home.userId, bell.addressId], [user.id, home.id]);
  });

  scenario("a new object does not join because it names one that is there", async ({ session }) => {
    const user = jack();
    session.add(user);
    await session.commit();
    const home = new Address({ email: "a", user });
    assertEquals([session.new, inspect(home).state], [[], "transient"]);
    await session.commit();
    assertEquals(await counts(session, Address), [0]);
    session.add(home);
    await session.commit();
    assertEquals(members(user.addresses), [home]);
  });

  scenario("objects put into relations of pending ones join at the flush", async ({ session }) => {
    const user = jack();
    session.add(user);
    members(user.orders).push(order("later"));
    user.profile = new Profile({ bio: "later" });
    assertEquals(session.new, [user]);
    await session.commit();
    assertEquals(await counts(session, Order, Profile), [1, 1]);
  });

  scenario(
    "null and strangers in a collection are refused, and left as they are",
    async (context) => {
      const { session, engine } = context;
      for (const wrong of [null, undefined, {}, "text", address("a")]) {
        const orders = [wrong] as unknown as Order[];
        const fresh = jack({ orders });
        assertThrows(() => session.add(fresh), InputError, "User.orders");
        assertEquals([session.new, fresh.orders], [[], orders]);
      }
      const user = jack();
      session.add(user);
      await session.commit();
      (user.orders as unknown[]).push(null);
      const statements = await sent(
        engine,
        () => assertRejects(() => session.commit(), InputError, "User.orders"),
      );
      assertEquals([statements, user.orders], [[], []]);
    },
  );

  scenario("a collection that is no array is refused", async ({ session }) => {
    const user = jack();
    session.add(user);
    await session.commit();
    user.orders = null as never;
    await assertRejects(() => session.commit(), InputError, "must be an array");
    assertEquals(user.orders, []);
  });

  scenario("a relation to an object that was let go of is refused by name", async (context) => {
    const { session, engine } = context;
    const home = address("a");
    session.add(home);
    await session.commit();
    session.expunge(home);
    const user = jack();
    session.add(user);
    await session.commit();
    members(user.addresses).push(home);
    const statements = await sent(
      engine,
      () => assertRejects(() => session.commit(), InstanceStateError, `Address ${home.id}`),
    );
    assertEquals([statements, user.addresses], [[], []]);
    session.attach(home);
    members(user.addresses).push(home);
    await session.commit();
    assertEquals(home.userId, user.id);
  });

  scenario(
    "a relation to another session's object is refused, and nothing joins",
    async (context) => {
      const { session, engine } = context;
      await using other = engine.session();
      const theirs = address("theirs");
      other.add(theirs);
      await other.commit();
      const user = jack({ addresses: [address("mine"), theirs] });
      assertThrows(() => session.add(user), InstanceStateError, "in another session");
      assertEquals(session.new, []);
      assertEquals(inspect(user).state, "transient");
    },
  );

  scenario(
    "delete() of what was found over a pending object forgets all of it",
    async (context) => {
      const { session, engine } = context;
      const user = jack({ orders: [order("1"), order("2")] });
      session.add(user);
      session.delete(user);
      assertEquals(session.new, []);
      assertEquals(await sent(engine, () => session.commit()), []);
      session.add(user);
      await session.commit();
      assertEquals(await counts(session, User, Order), [1, 2]);
    },
  );

  scenario("a rollback brings orphans back into their collection", async ({ session }) => {
    const [o1, o2] = [order("1"), order("2")];
    const user = jack({ orders: [o1, o2] });
    session.add(user);
    await session.commit();
    const orders = members(user.orders);
    await assertRejects(
      () =>
        session.begin(async () => {
          orders.pop();
          await session.flush();
          assertEquals(inspect(o2).state, "deleted");
          session.delete(user);
          await session.flush();
          throw new Error("undone");
        }),
      Error,
      "undone",
    );
    assertEquals(orders, [o1, o2]);
    assertEquals([inspect(user).state, inspect(o2).state], ["persistent", "persistent"]);
    orders.pop();
    await session.commit();
    assertEquals(await counts(session, Order), [1]);
  });
});

Deno.test("cascade: a cascade that makes no sense is a MappingError", async () => {
  class Part extends entity("parts", {
    id: integer().primaryKey().generated(),
    wholeId: integer().nullable().references("wholes.id"),
    whole: belongsTo<Whole | null>("wholeId", { cascade: "all-orphans" }),
  }) {}
  class Whole extends entity("wholes", {
    id: integer().primaryKey().generated(),
    parts: manyToMany<Part>("whole_parts", { target: "parts", cascade: "all-orphans" }),
  }) {}
  await using engine = new AsyncEngine("sqlite::memory:", { entities: [Part, Whole] });
  const error = await assertRejects(() => createAll(engine), MappingError, "all-orphans");
  assert(error.message.includes("Part.whole") && error.message.includes("Whole.parts"));
});
