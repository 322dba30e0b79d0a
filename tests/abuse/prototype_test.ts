/** Row 43 of the abuse catalogue: options are what their caller wrote, whoever else writes to `Object.prototype`. */

import { assertEquals, assertRejects } from "@std/assert";
import { AsyncEngine, createAll, entity, hasMany, integer, sql, text } from "../../mod.ts";
import { settingsOf } from "../../src/dialect/postgres/options.ts";
import { sqliteSettings } from "../../src/dialect/sqlite/config.ts";
import { engineSettings } from "../../src/engine/options.ts";
import { eachEngine } from "../support/each_engine.ts";

/** Runs `body` while every object seems to have these properties. */
async function polluted<T>(
  values: Record<string, unknown>,
  body: () => T | Promise<T>,
): Promise<T> {
  const spoilt = Object.prototype as Record<string, unknown>;
  // Not enumerable, as a careful attacker would have them: a loop over names does not meet them.
  for (const [name, value] of Object.entries(values)) {
    Object.defineProperty(spoilt, name, { value, configurable: true, writable: true });
  }
  try {
    return await body();
  } finally {
    for (const name of Object.keys(values)) delete spoilt[name];
  }
}

Deno.test("settings are those of a clean program, whatever Object.prototype says", async () => {
  const given = { host: "db.example", user: "me", tls: {} };
  const { password: _, ...clean } = settingsOf(given);
  assertEquals(clean.tls, { mode: "verify-full" });
  const spoilt = await polluted({
    mode: "disable",
    ca: "theirs",
    servername: "theirs.example",
    database: "theirs",
    applicationName: "theirs",
    searchPath: ["theirs"],
    parameters: { role: "postgres" },
    prepared: false,
    wire: "driver",
    port: 1,
    connectTimeout: 1,
    cancelGrace: 1,
    closeTimeout: 1,
    maxPrepared: 0,
    keepAlive: 0,
  }, () => {
    const { password: _, ...settings } = settingsOf(given);
    return settings;
  });
  assertEquals({ ...spoilt }, { ...clean });
  assertEquals({ ...spoilt.tls }, { mode: "verify-full" });

  const sqlite = sqliteSettings({ path: "a.db" });
  const lax = { mode: "ro", journalMode: "delete", synchronous: "off", foreignKeys: false };
  assertEquals(
    await polluted(
      { ...lax, lockTimeout: 0, statementCacheSize: 0 },
      () => sqliteSettings({ path: "a.db" }),
    ),
    sqlite,
  );

  const engine = engineSettings({ poolSize: 3 });
  const other = {
    maxOverflow: 0,
    poolTimeout: 1,
    poolRecycle: 1,
    poolPrePing: false,
    pool: "null",
    echo: "params",
    statementTimeout: 1,
    connectTimeout: 1,
    leakAfter: 1,
    traceCheckouts: true,
    disposeTimeout: 1,
    escape: "allow",
    transactionWarnAfter: 1,
    keepIdempotencyKeys: 1,
    shareConnections: false,
  };
  assertEquals(await polluted(other, () => engineSettings({ poolSize: 3 })), engine);
});

eachEngine(
  "sessions, transactions, entities and calls read their own options only",
  async ({ target }) => {
    const make = () => {
      class Page extends entity("pages", {
        id: integer().primaryKey(),
        title: text(),
        notes: hasMany<Note>("notes.pageId"),
      }) {}
      class Note extends entity("notes", {
        id: integer().primaryKey(),
        pageId: integer().references("pages.id"),
      }) {}
      return { Page, Note };
    };
    const { Page, Note } = await polluted({
      readOnly: true,
      cascade: "all",
      orderBy: "nothing",
      unique: [["nothing"]],
      indexes: [["nothing"]],
      checks: ["false"],
      foreignKeys: [{ columns: ["id"], references: "nothing.id" }],
      filters: { nothing: () => sql`false` },
      computed: { nothing: () => sql`1` },
      hooks: { beforeInsert: () => Promise.reject(new Error("theirs")) },
    }, make);
    await using engine = new AsyncEngine(target, { entities: [Page, Note] });
    await createAll(engine);
    const session = await polluted(
      { readOnly: true, autoflush: false, onUnflushedClose: "throw", signal: AbortSignal.abort() },
      () => engine.session(),
    );
    await using _session = session;
    await session.bulkInsert(Page, [{ id: 1, title: "one" }, { id: 2, title: "two" }]);

    const begin = {
      readOnly: true,
      deferrable: true,
      isolation: "serializable; drop table pages",
      idempotencyKey: "theirs",
      retries: 5,
    };
    let runs = 0;
    await assertRejects(() =>
      polluted(begin, () =>
        session.begin(async () => {
          runs++;
          session.add(new Page({ id: 3, title: "three" }));
          assertEquals(await session.query(Page).count(), 3);
          await session.execute(sql`insert into pages (id, title) values (1, 'again')`);
        })), Error);
    assertEquals(runs, 1);
    await polluted(
      begin,
      () => session.begin(() => session.add(new Page({ id: 3, title: "three" }))),
    );
    assertEquals(await session.query(Page).where((page) => page.title.eq("three")).count(), 1);

    const call = {
      lock: "update; drop table pages",
      wait: "skipLocked",
      after: "theirs",
      before: "theirs",
      analyze: true,
      checkpoint: "theirs",
      resumeAfter: "theirs",
      countFirst: "theirs",
    };
    await polluted(call, async () => {
      await using fresh = engine.session();
      assertEquals((await fresh.getOrFail(Page, 1)).title, "one");
      const pages = session.query(Page).orderBy((page) => page.id);
      assertEquals((await pages.page({ size: 2 })).items.length, 2);
      assertEquals(typeof await pages.explain(), "string");
      for await (const page of pages.commitEvery(2)) page.title += "!";
    });
    const bulk = { returning: ["id"], onConflict: "theirs", target: ["title"], update: ["id"] };
    await polluted(bulk, async () => {
      assertEquals(await session.bulkInsert(Page, [{ id: 4, title: "four" }]), 1);
      assertEquals(await session.bulkUpsert(Page, [{ id: 4, title: "fourth" }]), 1);
    });
    await using after = engine.session();
    const titles = (await after.query(Page).orderBy((page) => page.id).all()).map((p) => p.title);
    assertEquals(titles, ["one!", "two!", "three!", "fourth"]);
  },
);
