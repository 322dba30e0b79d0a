import { assertEquals, assertRejects } from "@std/assert";
import {
  AsyncEngine,
  belongsTo,
  CheckViolationError,
  createAll,
  dropAll,
  entity,
  ForeignKeyViolationError,
  integer,
  oneOf,
  sql,
  text,
  UniqueViolationError,
} from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";
import { Author, Book, LIBRARY, openLibrary, sent } from "../support/library_model.ts";

eachEngine(
  "createAll() leaves what exists as it is, dropAll() leaves nothing",
  async ({ target }) => {
    await using engine = await openLibrary(target);
    await using session = engine.session();
    session.add(new Author({ name: "Kept" }));
    await session.commit();
    const statements = await sent(engine, () => createAll(engine));
    assertEquals(statements.filter((text) => text.startsWith("create")), []);
    assertEquals(await session.query(Author).count(), 1);
    await dropAll(engine);
    await assertRejects(() => session.query(Author).count());
    await dropAll(engine);
    await createAll(engine);
    assertEquals(await session.query(Author).count(), 0);
  },
);

eachEngine("createAll() takes the entities in any order", async ({ target }) => {
  await using engine = await openLibrary(target, { entities: LIBRARY.toReversed() });
  await using session = engine.session();
  session.add(new Book({ title: "T", author: new Author({ name: "A" }) }));
  await session.commit();
  await dropAll(engine);
});

class Team extends entity("teams", {
  id: integer().primaryKey().generated(),
  kind: oneOf("football", "chess").default("chess"),
  name: text().unique(),
  captainId: integer().nullable().references("players.id"),
  captain: belongsTo<Player | null>("captainId"),
}) {}
class Player extends entity("players", {
  id: integer().primaryKey().generated(),
  teamId: integer().references("teams.id", { onDelete: "cascade" }),
  team: belongsTo<Team>("teamId"),
}) {}

eachEngine(
  "tables that refer to each other are made with all their keys",
  async ({ target }) => {
    await using engine = await openLibrary(target, { entities: [Team, Player] });
    await using session = engine.session();
    const team = new Team({ name: "A" });
    const captain = new Player({ team });
    team.captain = captain;
    session.add(team);
    await session.commit();
    assertEquals([team.captainId, captain.teamId], [captain.id, team.id]);
    await assertRejects(
      () => engine.execute(sql`update teams set captain_id = 99`),
      ForeignKeyViolationError,
    );
    await assertRejects(
      () => engine.execute(sql`insert into players (team_id) values (99)`),
      ForeignKeyViolationError,
    );
    await dropAll(engine);
  },
);

eachEngine("constraints of the declaration are constraints of the database", async ({ target }) => {
  await using engine = await openLibrary(target, { entities: [Team, Player] });
  await engine.execute(sql`insert into teams (kind, name) values ('chess', 'A')`);
  await assertRejects(
    () => engine.execute(sql`insert into teams (kind, name) values ('chess', 'A')`),
    UniqueViolationError,
  );
  await assertRejects(
    () => engine.execute(sql`insert into teams (kind, name) values ('golf', 'B')`),
    CheckViolationError,
  );
  await engine.execute(sql`insert into players (team_id) select id from teams`);
  await engine.execute(sql`delete from teams`);
  assertEquals(await engine.session().query(Player).count(), 0, "on delete cascade");
});

eachEngine("an engine without entities creates nothing", async ({ target }) => {
  await using engine = new AsyncEngine(target);
  await createAll(engine);
  await dropAll(engine);
});
