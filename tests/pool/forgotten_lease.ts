// Run by queue_pool_test.ts in a process of its own, which has the garbage collector at hand.
import { QueuePool } from "../../src/pool/queue_pool.ts";
import { settled, Things } from "./things.ts";

const things = new Things();
const pool = new QueuePool(things, {
  poolSize: 1,
  maxOverflow: 0,
  onLeak: (leak) => console.log(leak.kind, leak.note),
});
await (async () => {
  const lease = await pool.acquire();
  lease.note = "select 1";
})();
for (let turn = 0; turn < 50 && pool.status().checkedOut > 0; turn++) {
  (globalThis as unknown as { gc(): void }).gc();
  await settled();
}
await (await pool.acquire({ timeout: 1_000 })).release();
console.log("made", things.made.length, "alive", things.alive);
await pool.close();
