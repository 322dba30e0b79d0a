import { assert, assertEquals } from "@std/assert";
import { eachEngine, type EngineContext } from "./each_engine.ts";
import { runSql } from "./postgres_server.ts";

async function tables({ pglite, url }: EngineContext, sql = ""): Promise<unknown[]> {
  const query = "select relname from pg_class c join pg_namespace n on n.oid = relnamespace " +
    "where relkind = 'r' and nspname !~ '^pg_' and nspname <> 'information_schema'";
  if (sql) await (pglite ? pglite.exec(sql) : runSql(url, sql));
  return pglite ? (await pglite.query(query)).rows : await runSql(url, query);
}

for (const time of ["once", "twice"]) {
  eachEngine(`eachEngine() gives an empty database, ${time}`, async (context) => {
    assertEquals(await tables(context), []);
    const made = await tables(context, "create schema more; create table more.left_behind ()");
    assertEquals(made, [{ relname: "left_behind" }]);
  }, { except: { sqlite: "nothing of a memory database stays" } });
}

eachEngine("eachEngine() gives a SQLite file that is removed afterwards", async ({ url }) => {
  await Deno.writeTextFile(url.slice("sqlite:".length), "");
}, { only: ["sqlite"], sqliteFile: true });

for (const time of ["once", "twice"]) {
  eachEngine(`eachEngine() reaches the shared PGlite by target, ${time}`, async ({ target }) => {
    assert(typeof target === "object");
    const connection = await target.connect();
    const text = "select coalesce(to_regclass('left_behind')::text, $1)";
    assertEquals((await connection.run({ text, params: ["none"] })).rows, [["none"]]);
    await connection.run({ text: "create table left_behind ()", params: [] });
    // A test that fails may leave its transaction open.
    await connection.begin();
    connection.destroy();
  }, { only: ["pglite"] });
}
