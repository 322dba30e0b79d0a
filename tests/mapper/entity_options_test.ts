/** What concerns an entity as a whole: constraints, filters, read-only entities, onUpdate(). */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  AsyncEngine,
  belongsTo,
  CheckViolationError,
  createAll,
  type Driver,
  entity,
  hasMany,
  InputError,
  integer,
  manyToMany,
  MappingError,
  sql,
  text,
  timestamptz,
  UniqueViolationError,
  UsageError,
} from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";

class Team extends entity("teams", {
  id: integer().primaryKey().generated(),
  name: text(),
  deletedAt: timestamptz().nullable(),
  players: hasMany<Player>("players.teamId", { orderBy: "name" }),
}, { filters: { alive: (t) => t.deletedAt.isNull() } }) {}

class Player extends entity("players", {
  id: integer().primaryKey().generated(),
  name: text(),
  shirt: integer().nullable(),
  hidden: integer().default(0),
  deletedAt: timestamptz().nullable(),
  changes: integer().default(0).onUpdate(() => 7),
  teamId: integer().references("teams.id"),
  team: belongsTo<Team | null>("teamId"),
  games: manyToMany<Game>("appearances"),
}, {
  unique: [["teamId", "shirt"]],
  indexes: [["teamId", "name"], {
    columns: ["shirt"],
    where: "shirt is not null",
    name: "by_shirt",
  }],
  checks: ["shirt > 0"],
  filters: {
    alive: (p) => p.deletedAt.isNull(),
    visible: (p) => p.hidden.eq(0),
  },
}) {}

class Game extends entity("games", {
  id: integer().primaryKey().generated(),
  players: manyToMany<Player>("appearances", { orderBy: "name" }),
}) {}

class Roster extends entity("rosters", {
  id: integer().primaryKey(),
  name: text(),
}, { readOnly: true }) {}

async function open(target: string | Driver): Promise<AsyncEngine> {
  const engine = new AsyncEngine(target, { entities: [Team, Player, Game, Roster] });
  await createAll(engine);
  return engine;
}

const gone = new Date(0);

async function fill(engine: AsyncEngine): Promise<void> {
  await using session = engine.session();
  const players = [
    new Player({ name: "Ann", shirt: 1 }),
    new Player({ name: "Bob", shirt: 2, deletedAt: gone }),
    new Player({ name: "Cid", shirt: 3, hidden: 1 }),
  ];
  session.add(new Team({ name: "Reds", players }));
  session.add(new Team({ name: "Blues", deletedAt: gone, players: [new Player({ name: "Dan" })] }));
  session.add(new Game({ players }));
  await session.commit();
}

eachEngine("a filter holds in queries, counts, relations and conditions", async ({ target }) => {
  await using engine = await open(target);
  await fill(engine);
  await using session = engine.session();
  const names = (players: readonly Player[]) => players.map((p) => p.name);
  assertEquals(await session.query(Team).count(), 1);
  assertEquals(await session.query(Player).count(), 2);
  assert(!await session.query(Player).where((p) => p.name.eq("Bob")).exists());
  assertEquals(await session.get(Player, 2), undefined);
  const [team] = await session.query(Team).selectin("players").all();
  assertEquals(names(team!.players), ["Ann"]);
  const game = await session.query(Game).selectin("players").one();
  assertEquals(names(game.players), ["Ann"]);
  assertEquals(await session.query(Team).where((t) => t.players.count().eq(1)).count(), 1);
  assertEquals(
    await session.query(Game).where((g) => g.players.some((p) => p.name.eq("Cid"))).count(),
    0,
  );
  const dan = await session.query(Player).where((p) => p.name.eq("Dan")).selectin("team").one();
  assertEquals(dan.team, null, "what a filter hides cannot be loaded over a relation either");
  assertEquals(await session.query(Player).where((p) => p.team.name.eq("Blues")).count(), 0);
});

eachEngine(
  "unfiltered() switches filters off by name, for all that the query reaches",
  async ({ target }) => {
    await using engine = await open(target);
    await fill(engine);
    await using session = engine.session();
    assertEquals(await session.query(Player).unfiltered("alive").count(), 3);
    assertEquals(await session.query(Player).unfiltered("alive", "visible").count(), 4);
    const team = await session.query(Team).unfiltered("alive").where((t) => t.name.eq("Reds"))
      .selectin("players").one();
    assertEquals(team.players.map((p) => p.name), ["Ann", "Bob"]);
    const blues = session.query(Player).where((p) => p.team.name.eq("Blues"));
    assertEquals(await blues.unfiltered("alive").count(), 1);
    const game = await session.query(Game).unfiltered("visible", "alive").selectin("players").one();
    assertEquals(game.players.length, 3);
    assertThrows(() => session.query(Player).unfiltered("alife"), InputError, `"alive"`);
  },
);

eachEngine("constraints of several columns are made and kept", async ({ engineName, target }) => {
  await using engine = await open(target);
  await fill(engine);
  await using session = engine.session();
  const twice = new Player({ name: "Eve", shirt: 1, teamId: 1 });
  session.add(twice);
  await assertRejects(() => session.commit(), UniqueViolationError);
  session.add(new Player({ name: "Eve", shirt: -1, teamId: 1 }));
  await assertRejects(() => session.commit(), CheckViolationError);
  const names = engineName === "sqlite"
    ? sql`select name from sqlite_master`
    : sql`select indexname as name from pg_indexes`;
  const found = await engine.execute(
    sql<{ n: unknown }>`select count(*) as n from (${names}) as i
      where name in ('by_shirt', 'players_team_id_name_idx')`,
  );
  assertEquals(Number(found.one().n), 2);
});

eachEngine(
  "onUpdate() gives its value to changed rows only, unless another was set",
  async ({ target }) => {
    await using engine = await open(target);
    await fill(engine);
    await using session = engine.session();
    const ann = await session.query(Player).where((p) => p.name.eq("Ann")).one();
    assertEquals(ann.changes, 0);
    ann.name = "Anna";
    await session.commit();
    assertEquals(ann.changes, 7, "the object has it at once");
    assertEquals(session.dirty, []);
    ann.name = "Anne";
    ann.changes = 1;
    await session.commit();
    await using other = engine.session();
    assertEquals((await other.query(Player).where((p) => p.name.eq("Anne")).one()).changes, 1);
  },
);

eachEngine("a read-only entity is loaded, and neither stored nor made", async ({ target }) => {
  await using engine = await open(target);
  await fill(engine);
  await engine.execute(sql`create view rosters as select id, name from teams`);
  await using session = engine.session({ onUnflushedClose: "ignore" });
  const [roster] = await session.query(Roster).orderBy((r) => r.id.asc()).all();
  assertEquals(roster!.name, "Reds");
  assertThrows(() => session.add(new Roster({ id: 9, name: "x" })), UsageError, "read-only");
  assertThrows(() => session.delete(roster!), UsageError, "read-only");
  roster!.name = "other";
  await assertRejects(() => session.commit(), UsageError, "Roster is read-only");
});

Deno.test("every mistake of the mapping is listed at once, each with its mend", () => {
  class A extends entity("a", {
    id: integer().primaryKey(),
    many: manyToMany<object>("a_b"),
    self: manyToMany<object>("a_a", { target: "a" }),
    next: belongsTo<object>(["id", "x"]),
    list: hasMany<object>("b.aId", { orderBy: "tilte" }),
    direction: hasMany<object>("b.aId", { orderBy: "title down" }),
    orphans: manyToMany<object>("a_c", { target: "b", cascade: "all-orphans" }),
  }, {
    unique: [["idd" as "id"]],
    indexes: [[]],
    foreignKeys: [{ columns: ["id"], references: ["b.id", "b.aId"] }],
  }) {}
  class B extends entity("b", {
    id: integer().primaryKey(),
    title: text(),
    aId: integer().references("a.id"),
  }) {}
  const engine = new AsyncEngine("sqlite::memory:", { entities: [A, B] });
  const { problems } = assertThrows(() => engine.session(), MappingError);
  const expected = [
    "A foreign key of A has 1 columns and refers to 2",
    `A unique constraint of A: A has no column "idd"`,
    "An index of A names no column",
    `"A.many" is manyToMany("a_b"), and nothing says where it leads`,
    `"A.self" is manyToMany("a_a") and leads to its own class`,
    `"A.next" is belongsTo("id", "x"): A has no column "x"`,
    `"A.list" is ordered by "tilte": B has no column "tilte"`,
    `"A.direction" is ordered by "title down"`,
    `"A.orphans" has cascade: "all-orphans"`,
  ];
  assertEquals(problems.map((p, i) => p.slice(0, expected[i]?.length)), expected);
});
