/**
 * What borrowing from the pool costs, with something to lend that costs nothing itself.
 *
 * `deno bench -A bench/micro/pool_checkout_bench.ts`
 */

import { QueuePool } from "../../src/pool/queue_pool.ts";
import { nothing } from "../support/nothing.ts";

const pool = new QueuePool(nothing, { poolSize: 10, maxOverflow: 0 });

async function borrow(times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    const lease = await pool.acquire();
    await lease.release();
  }
}

/** As many borrowers at once as `tasks` says, 1,000 loans in all. */
async function contended(tasks: number): Promise<void> {
  await Promise.all(Array.from({ length: tasks }, () => borrow(1_000 / tasks)));
  if (pool.status().checkedOut !== 0) throw new Error("Some were not given back");
}

// Each awaits: what only returns a promise is not waited for by Deno.bench.
Deno.bench("1,000 checkouts, one after the other", { baseline: true }, async () => {
  await contended(1);
});
Deno.bench("1,000 checkouts of 10 places by 100 tasks", async () => {
  await contended(100);
});
Deno.bench("1,000 checkouts of 10 places by 1,000 tasks", async () => {
  await contended(1_000);
});
