/** What a commit of many objects costs: its statements, and how often it waits for the database. */

import { assertEquals } from "@std/assert";
import {
  AsyncEngine,
  belongsTo,
  createAll,
  entity,
  hasMany,
  integer,
  manyToMany,
  text,
} from "@sluice/orm";
import { driverOf } from "../../src/engine/url.ts";
import { eachEngine } from "../support/each_engine.ts";
import { StatementLog } from "../support/statement_log.ts";

class Writer extends entity("writers", {
  id: integer().primaryKey().generated(),
  name: text(),
  novels: hasMany<Novel>("novels.writerId"),
}) {}

class Novel extends entity("novels", {
  id: integer().primaryKey().generated(),
  title: text(),
  writerId: integer().references("writers.id"),
  writer: belongsTo<Writer>("writerId"),
  shelves: manyToMany<Shelf>("novels_on_shelves"),
}) {}

class Shelf extends entity("shelves", {
  id: integer().primaryKey().generated(),
  label: text(),
  novels: manyToMany<Novel>("novels_on_shelves"),
}) {}

eachEngine("what a commit of thousands of objects costs", async ({ target, engineName, test }) => {
  const log = new StatementLog(typeof target === "string" ? driverOf(target) : target);
  await using engine = new AsyncEngine(log.driver, { entities: [Writer, Novel, Shelf] });
  await createAll(engine);
  await using session = engine.session();
  /** Statements, and round trips with begin and commit. */
  const cost = async (): Promise<[statements: number, roundTrips: number]> => {
    const { roundTrips } = log;
    const entries = await log.during(() => session.commit());
    const statements = entries.filter((entry) => entry !== "begin" && entry !== "commit");
    return [statements.length, log.roundTrips - roundTrips];
  };
  // SQLite binds 32,766 values at most, and each row binds its own.
  const chunked = engineName === "sqlite";

  await test.step("1,000 parents with 5,000 children inserted", async () => {
    session.addAll(
      Array.from({ length: 1_000 }, (_, i) =>
        new Writer({
          name: `Writer ${i}`,
          novels: Array.from({ length: 5 }, (_, j) => new Novel({ title: `Novel ${i}.${j}` })),
        })),
    );
    assertEquals(await cost(), chunked ? [18, 4] : [2, 3]);
  });

  await test.step("1,000 changed objects of three classes", async () => {
    session.addAll(Array.from({ length: 300 }, (_, i) => new Shelf({ label: `Shelf ${i}` })));
    await session.commit();
    const writers = await session.query(Writer).limit(300).all();
    const novels = await session.query(Novel).limit(400).all();
    const shelves = await session.query(Shelf).all();
    for (const writer of writers) writer.name += ".";
    for (const novel of novels) novel.title += ".";
    for (const shelf of shelves) shelf.label += ".";
    assertEquals(await cost(), chunked ? [11, 3] : [3, 2]);
  });

  await test.step("1,000 many-to-many links added", async () => {
    const shelves = await session.query(Shelf).orderBy((s) => s.id.asc()).limit(10)
      .selectin("novels").all();
    const novels = await session.query(Novel).orderBy((n) => n.id.asc()).limit(1_000).all();
    novels.forEach((novel, i) => shelves[i % 10]!.novels.push(novel));
    assertEquals(await cost(), chunked ? [6, 3] : [1, 1]);
    assertEquals(await session.query(Shelf).where((s) => s.novels.some()).count(), 10);
  });
});
