/** Random actions on a pool, with the seed printed; what must hold is checked at each step. */

import { assert, assertEquals } from "@std/assert";
import type { Lease } from "../../src/pool/pool.ts";
import { QueuePool } from "../../src/pool/queue_pool.ts";
import { settled, type Thing, Things } from "./things.ts";

function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

async function stress(seed: number, milliseconds: number): Promise<number> {
  const next = random(seed);
  const chance = (share: number) => next() < share;
  const things = new Things();
  things.transient = true;
  things.beforeCreate = async () => {
    if (chance(0.3)) await settled();
    if (chance(0.05)) throw new Error("no luck");
  };
  things.beforeDestroy = async () => {
    if (chance(0.3)) await settled();
  };
  const limit = 6;
  const pool = new QueuePool(things, { poolSize: 4, maxOverflow: 2, poolPrePing: "idle" });
  const lent = new Map<Thing, Lease<Thing>>();
  let steps = 0;

  const check = () => {
    steps++;
    const status = pool.status();
    const living = things.made.filter((thing) => !thing.destroyed && !thing.lost).length;
    assert(living <= limit, `${living} living things`);
    assert(status.checkedOut <= limit, `${status.checkedOut} lent`);
    assert(status.idle + status.checkedOut <= status.size, "more idle and lent than there are");
    assert(
      status.idle === 0 || status.waiting === 0 || status.checkedOut < limit,
      "idle and waiting",
    );
    if (things.made.length > 200) things.made.splice(0, 100);
  };

  const work = async () => {
    const controller = new AbortController();
    if (chance(0.2)) {
      const turns = Math.floor(next() * 12);
      (async () => {
        for (let turn = 0; turn < turns; turn++) await undefined;
        controller.abort();
      })();
    }
    try {
      const lease = await pool.acquire({
        signal: controller.signal,
        timeout: chance(0.05) ? 1 : 5_000,
      });
      assert(!lent.has(lease.resource), "lent twice at once");
      assert(!lease.resource.destroyed, "lent after its end");
      lent.set(lease.resource, lease);
      check();
      if (chance(0.5)) await settled();
      else await undefined;
      if (chance(0.02)) lease.resource.die();
      if (chance(0.02)) lease.resource.answers = false;
      if (chance(0.1)) lease.resource.dirty = true;
      lent.delete(lease.resource);
      const back = chance(0.1) ? lease.discard() : lease.release();
      if (chance(0.1)) void lease.release();
      if (chance(0.5)) await back;
    } catch (error) {
      if ((error as Error).name === "AssertionError") throw error;
    }
    check();
  };

  const end = performance.now() + milliseconds;
  const worker = async () => {
    while (performance.now() < end) {
      await work();
      if (chance(0.02)) things.made.findLast((thing) => !thing.destroyed)?.die();
      if (chance(0.1)) await settled();
    }
  };
  await Promise.all(Array.from({ length: 15 }, worker));
  // What askers who left had under way comes to rest.
  for (let turn = 0; turn < 20; turn++) await settled();
  const { checkedOut, waiting, size, idle } = pool.status();
  assertEquals([checkedOut, waiting, size], [0, 0, idle]);
  await pool.close();
  assertEquals([things.alive, pool.status().size], [0, 0]);
  return steps;
}

Deno.test("Pool holds its promises under random work, deaths and aborts", async () => {
  const seed = Number(Deno.env.get("SLUICE_SEED") ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`seed ${seed}`);
  const steps = await stress(seed, 1_500);
  assert(steps > 500, `${steps} steps`);
});
