import { assertEquals } from "@std/assert";
import { NullPool } from "../../src/pool/null_pool.ts";
import { Things } from "./things.ts";

Deno.test("NullPool makes one for each checkout and destroys it after", async () => {
  const things = new Things();
  await using pool = new NullPool(things);
  const leases = await Promise.all(Array.from({ length: 50 }, () => pool.acquire()));
  assertEquals(things.alive, 50);
  for (const lease of leases) await lease.release();
  assertEquals([things.alive, pool.status().idle, pool.status().limit], [0, 0, Infinity]);
  await (await pool.acquire()).release();
  assertEquals([things.made.length, things.alive], [51, 0]);
});

Deno.test("NullPool never lends more than its maximum, and reuses nothing for those who wait", async () => {
  const things = new Things();
  await using pool = new NullPool(things, { max: 3 });
  await Promise.all(Array.from({ length: 20 }, async () => {
    await using _lease = await pool.acquire();
    await undefined;
  }));
  assertEquals([things.peak, things.made.length, things.alive], [3, 20, 0]);
});
