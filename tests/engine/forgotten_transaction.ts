// Run by transaction_watch_test.ts in a process of its own, which has the garbage collector at hand.
import { AsyncEngine, sql } from "../../mod.ts";

const engine = new AsyncEngine("sqlite::memory:", { poolTimeout: 3_000 });
await engine.execute(sql`create table notes (n integer)`);
engine.on("leak", ({ kind, note, stack, task }) => {
  console.log(kind, note, /forgotten_transaction\.ts:\d+/.test(stack ?? ""), task !== undefined);
});
await (async () => {
  const session = engine.session();
  await session.begin();
  await session.execute(sql`insert into notes values (1)`);
})();
for (let turn = 0; turn < 150 && engine.pool.status().checkedOut > 0; turn++) {
  (globalThis as unknown as { gc(): void }).gc();
  await new Promise((resolve) => setTimeout(resolve, 10));
}
// The only connection, and with it the database in memory, is gone: nothing of it is stored.
const tables = sql<{ n: number }>`select count(*) as n from sqlite_master`;
console.log("rows", (await engine.execute(tables)).scalar());
await engine.dispose();
