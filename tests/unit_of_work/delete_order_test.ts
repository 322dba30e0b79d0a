import { assertEquals } from "@std/assert";
import {
  AsyncEngine,
  belongsTo,
  createAll,
  entity,
  hasMany,
  inspect,
  integer,
  text,
} from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";

class Team extends entity("teams", {
  id: integer().primaryKey().generated(),
  name: text(),
  captainId: integer().nullable().references("players.id"),
  captain: belongsTo<Player | null>("captainId"),
  players: hasMany<Player>("players.teamId"),
}) {}

class Player extends entity("players", {
  id: integer().primaryKey().generated(),
  name: text(),
  teamId: integer().references("teams.id"),
  team: belongsTo<Team>("teamId"),
}) {}

eachEngine(
  "delete() clears a nullable key first where rows refer to each other in a ring",
  async ({ target }) => {
    await using engine = new AsyncEngine(target, { entities: [Team, Player] });
    await createAll(engine);
    await using session = engine.session();
    const captain = new Player({ name: "Captain" });
    const team = new Team({
      name: "Team",
      captain,
      players: [captain, new Player({ name: "Other" })],
    });
    session.add(team);
    await session.commit();
    assertEquals(team.captainId, captain.id);

    await using other = engine.session();
    const players = await other.query(Player).all();
    const [again] = await other.query(Team).all();
    for (const object of [again!, ...players]) other.delete(object);
    await other.commit();
    assertEquals([await other.query(Team).count(), await other.query(Player).count()], [0, 0]);
    assertEquals(inspect(again!).state, "detached");
  },
);

eachEngine("rollback() brings back the keys that deleting a ring cleared", async ({ target }) => {
  await using engine = new AsyncEngine(target, { entities: [Team, Player] });
  await createAll(engine);
  await using session = engine.session();
  const captain = new Player({ name: "Captain" });
  const team = new Team({ name: "Team", captain, players: [captain] });
  session.add(team);
  await session.commit();
  const tx = await session.begin();
  session.delete(captain);
  session.delete(team);
  await session.flush();
  await tx.rollback();
  assertEquals([team.captainId, captain.teamId], [captain.id, team.id]);
  assertEquals([inspect(team).state, inspect(captain).state], ["persistent", "persistent"]);
});
