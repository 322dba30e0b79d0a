import { assertEquals, assertStrictEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { StaticPool } from "../../src/pool/static_pool.ts";
import { Things } from "./things.ts";

Deno.test("StaticPool lends the same one for life, to one borrower at a time", async () => {
  using time = new FakeTime();
  const things = new Things();
  await using pool = new StaticPool(things);
  const first = await pool.acquire();
  const waiter = pool.acquire();
  assertEquals(pool.status().waiting, 1);
  await first.release();
  const second = await waiter;
  assertStrictEquals(second.resource, first.resource);
  await second.release();
  await time.tickAsync(100 * 3_600_000);
  await using third = await pool.acquire();
  assertStrictEquals(third.resource, first.resource);
  assertEquals([third.resource.checks, things.made.length], [0, 1]);
});

Deno.test("StaticPool makes another one only when the first is lost", async () => {
  const things = new Things();
  await using pool = new StaticPool(things);
  const lease = await pool.acquire();
  lease.resource.die();
  await lease.release();
  await using next = await pool.acquire();
  assertEquals([next.resource.id, things.alive, pool.status().lost], [2, 1, 1]);
});
