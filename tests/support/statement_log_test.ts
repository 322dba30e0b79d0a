import { assertEquals } from "@std/assert";
import { sqliteDriver } from "../../src/dialect/sqlite/mod.ts";
import { StatementLog } from "./statement_log.ts";

Deno.test("StatementLog records what leaves for the database, in order", async () => {
  const log = new StatementLog(sqliteDriver({ path: ":memory:" }));
  const connection = await log.driver.connect();
  await connection.run({ text: "create table t (n integer)", params: [] });
  const sent = await log.during(async () => {
    await connection.begin();
    await connection.run({ text: "insert into t values (?1)", params: [7] });
    const cursor = await connection.openCursor({ text: "select n from t", params: [] });
    assertEquals((await cursor.fetch(10)).rows, [[7]]);
    await cursor.close();
    await connection.commit();
  });
  assertEquals(sent, [
    "begin",
    "insert into t values (?1)",
    "select n from t",
    "fetch 10",
    "commit",
  ]);
  assertEquals(log.all.length, 6);
  assertEquals(log.statements.length, 3);
  assertEquals(connection.transactionStatus, "idle");
  log.clear();
  assertEquals(log.all, []);
  await connection.close();
  await log.driver.close();
});
