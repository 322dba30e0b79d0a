import {
  assert,
  assertEquals,
  assertMatch,
  assertNotStrictEquals,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { FakeTime } from "@std/testing/time";
import {
  EngineDisposedError,
  InputError,
  NestedCheckoutError,
  PoolTimeoutError,
} from "../../src/errors.ts";
import type { LeakReport } from "../../src/pool/pool.ts";
import { QueuePool } from "../../src/pool/queue_pool.ts";
import { settled, Things } from "./things.ts";

Deno.test("Pool.acquire() lends the most recently used first", async () => {
  const things = new Things();
  await using pool = new QueuePool(things, { poolSize: 2 });
  const a = await pool.acquire();
  const b = await pool.acquire();
  await b.release();
  await a.release();
  await using again = await pool.acquire();
  assertStrictEquals(again.resource, a.resource);
  assertEquals(pool.status().created, 2);
});

Deno.test("Pool.tryAcquire() lends what lies idle and nothing else", async () => {
  await using pool = new QueuePool(new Things());
  assertEquals(pool.tryAcquire(), undefined);
  await (await pool.acquire()).release();
  const lease = pool.tryAcquire()!;
  assertEquals(pool.tryAcquire(), undefined);
  await lease.release();
});

Deno.test("Pool.acquire() serves 1,000 askers on 4 places in order, never making a fifth", async () => {
  const things = new Things();
  await using pool = new QueuePool(things, { poolSize: 2, maxOverflow: 2 });
  const order: number[] = [];
  await Promise.all(Array.from({ length: 1_000 }, async (_, n) => {
    await using _lease = await pool.acquire();
    order.push(n);
    if (n % 3 === 0) await undefined;
  }));
  assertEquals(order, order.toSorted((a, b) => a - b));
  assertEquals(things.peak, 4);
  assertEquals(pool.status().waited, 996);
});

Deno.test("Pool destroys overflow when it comes back and nobody waits", async () => {
  const things = new Things();
  await using pool = new QueuePool(things, { poolSize: 1, maxOverflow: 2 });
  const leases = await Promise.all([pool.acquire(), pool.acquire(), pool.acquire()]);
  assertEquals(pool.status().overflow, 2);
  for (const lease of leases) await lease.release();
  assertEquals([pool.status().size, pool.status().overflow, things.alive], [1, 0, 1]);
});

Deno.test("Pool hands overflow on instead of destroying it while somebody waits", async () => {
  const things = new Things();
  await using pool = new QueuePool(things, { poolSize: 1, maxOverflow: 3 });
  const leases = await Promise.all([1, 2, 3, 4].map(() => pool.acquire()));
  const waiters = [1, 2, 3, 4].map(() => pool.acquire());
  for (const lease of leases) lease.release();
  for (const lease of await Promise.all(waiters)) await lease.release();
  assertEquals([things.made.length, things.alive], [4, 1]);
});

Deno.test("Pool.acquire() times out with a message that explains the shortage", async () => {
  using time = new FakeTime();
  await using pool = new QueuePool(new Things(), { poolSize: 1, maxOverflow: 1 });
  await using first = await pool.acquire();
  await time.tickAsync(61_000);
  await using _second = await pool.acquire();
  first.note = "select *\n  from slow_table";
  const other = pool.acquire({ timeout: 500 });
  const failed = assertRejects(() => pool.acquire({ timeout: 200 }), PoolTimeoutError);
  await time.tickAsync(200);
  assertEquals(
    (await failed).message,
    "Cannot get a thing within 200 ms: all 2 places are taken, 1 other asker waits\n" +
      "  held for 61.2 s, last: select * from slow_table\n" +
      "  held for 200 ms, not used yet. " +
      "Give them back sooner, raise poolSize, maxOverflow or poolTimeout, " +
      "or set traceCheckouts: true to see where they were taken",
  );
  const otherFailed = assertRejects(() => other, PoolTimeoutError, "0 other askers wait");
  await time.tickAsync(300);
  await otherFailed;
  assertEquals(pool.status().timedOut, 2);
});

Deno.test("Pool.acquire() names where leases were taken with traceCheckouts", async () => {
  await using pool = new QueuePool(new Things(), {
    poolSize: 1,
    maxOverflow: 0,
    traceCheckouts: true,
  });
  async function takesOneAndKeepsIt() {
    return await pool.acquire();
  }
  await using _lease = await takesOneAndKeepsIt();
  const error = await assertRejects(() => pool.acquire({ timeout: 1 }), PoolTimeoutError);
  assertStringIncludes(error.message, "takesOneAndKeepsIt");
});

Deno.test("Pool.acquire() lists at most five holders", async () => {
  await using pool = new QueuePool(new Things(), { poolSize: 8, maxOverflow: 0 });
  await using stack = new AsyncDisposableStack();
  for (let n = 0; n < 8; n++) stack.use(await pool.acquire());
  const error = await assertRejects(() => pool.acquire({ timeout: 1 }), PoolTimeoutError);
  assertEquals(error.message.match(/held for/g)?.length, 5);
  assertStringIncludes(error.message, "and 3 more");
});

Deno.test("Pool.acquire() refuses at once a wait that its own caller makes endless", async () => {
  await using pool = new QueuePool(new Things(), { poolSize: 1, maxOverflow: 1 });
  await using a = await pool.acquire();
  const b = await pool.acquire();
  const error = await assertRejects(() => pool.acquire({ held: [a, b] }), NestedCheckoutError);
  assertMatch(error.message, /holds all 2: the wait could never end/);
  const late = assertRejects(() => pool.acquire({ held: [a], timeout: 5 }), PoolTimeoutError);
  assertStringIncludes((await late).message, "this very caller holds 1 of them");
  await b.release();
  await using _c = await pool.acquire({ held: [a, b] });
});

Deno.test("Pool.acquire() leaves the queue when aborted, and no place is lost", async () => {
  await using pool = new QueuePool(new Things(), { poolSize: 1, maxOverflow: 0 });
  for (const when of ["waiting", "same tick", "before"]) {
    const held = await pool.acquire();
    const controller = new AbortController();
    const reason = new Error(when);
    if (when === "before") controller.abort(reason);
    const waiter = assertRejects(() => pool.acquire({ signal: controller.signal }), Error, when);
    if (when === "waiting") controller.abort(reason);
    const released = held.release();
    if (when === "same tick") controller.abort(reason);
    await waiter;
    await released;
    const { checkedOut, waiting, idle } = pool.status();
    assertEquals([checkedOut, waiting, idle], [0, 0, 1]);
  }
  assertEquals(pool.status().cancelled, 3);
});

Deno.test("Pool never loses a place over 5,000 aborts at any moment", async () => {
  await using pool = new QueuePool(new Things(), { poolSize: 1, maxOverflow: 0 });
  for (let round = 0; round < 5_000; round++) {
    const held = await pool.acquire();
    const controller = new AbortController();
    const waiter = pool.acquire({ signal: controller.signal })
      .then((lease) => lease.release(), () => {});
    held.release();
    for (let turn = 0; turn < round % 9; turn++) await undefined;
    controller.abort();
    await waiter;
    // What was under way for an asker who left needs a turn to come to rest.
    if (pool.status().idle === 0) await settled();
    const { checkedOut, waiting, idle, size } = pool.status();
    assertEquals([checkedOut, waiting, idle, size], [0, 0, 1, 1]);
  }
});

Deno.test("Pool keeps what comes late for an asker who gave up while it was made", async () => {
  const things = new Things();
  await using pool = new QueuePool(things, { poolSize: 1, maxOverflow: 0 });
  const gate = Promise.withResolvers<void>();
  things.beforeCreate = () => gate.promise;
  const controller = new AbortController();
  const asker = assertRejects(() => pool.acquire({ signal: controller.signal }), DOMException);
  controller.abort();
  await asker;
  const next = pool.acquire();
  assertEquals(pool.status().waiting, 1);
  gate.resolve();
  await using lease = await next;
  assertEquals([lease.resource.id, things.made.length], [1, 1]);
});

Deno.test("Pool.acquire() fails for one when a creation fails; the next one tries anew", async () => {
  const things = new Things();
  await using pool = new QueuePool(things, { poolSize: 1, maxOverflow: 0 });
  things.beforeCreate = () =>
    things.attempts === 1 ? Promise.reject(new Error("refused")) : Promise.resolve();
  const first = assertRejects(() => pool.acquire(), Error, "refused");
  const second = pool.acquire();
  await first;
  await using _lease = await second;
  const { size, createFailed, created } = pool.status();
  assertEquals([size, createFailed, created], [1, 1, 1]);
});

Deno.test("Pool.acquire() tries once more after a transient failure", async () => {
  const things = new Things();
  things.transient = true;
  await using pool = new QueuePool(things);
  things.beforeCreate = () =>
    things.attempts === 1 ? Promise.reject(new Error("starting up")) : Promise.resolve();
  await using _lease = await pool.acquire();
  assertEquals([things.attempts, pool.status().createFailed], [2, 1]);
  things.beforeCreate = () => Promise.reject(new Error("still down"));
  await assertRejects(() => pool.acquire(), Error, "still down");
  assertEquals(things.attempts, 4);
});

Deno.test("Pool serves others while one creation hangs, which ends by its own limit", async () => {
  using time = new FakeTime();
  const things = new Things();
  await using pool = new QueuePool(things, { poolSize: 2, createTimeout: 1_000 });
  const hung = Promise.withResolvers<void>();
  let given: AbortSignal | undefined;
  things.beforeCreate = (signal) => {
    if (things.attempts > 1) return Promise.resolve();
    given = signal;
    return hung.promise;
  };
  const failed = assertRejects(() => pool.acquire(), PoolTimeoutError, "within 1000 ms");
  await (await pool.acquire()).release();
  await time.tickAsync(1_000);
  await failed;
  assert(given?.aborted);
  assertEquals(pool.status().size, 1);
  hung.resolve();
  await settled();
  assertEquals(things.alive, 1);
});

Deno.test("Pool replaces what is too old at checkout, never while it is lent", async () => {
  using time = new FakeTime();
  const things = new Things();
  await using pool = new QueuePool(things, { poolRecycle: 60_000, poolPrePing: false });
  const lease = await pool.acquire();
  await time.tickAsync(120_000);
  assertEquals(things.alive, 1);
  await lease.release();
  await using next = await pool.acquire();
  assertNotStrictEquals(next.resource, lease.resource);
  assertEquals([pool.status().recycled, things.alive], [1, 1]);
});

Deno.test("Pool spreads the replacement of what was made together", async () => {
  using time = new FakeTime();
  const things = new Things();
  await using pool = new QueuePool(things, {
    poolSize: 20,
    poolRecycle: 100_000,
    poolPrePing: false,
  });
  const all = async () => {
    const leases = await Promise.all(Array.from({ length: 20 }, () => pool.acquire()));
    for (const lease of leases) await lease.release();
  };
  await all();
  await time.tickAsync(89_999);
  await all();
  assertEquals(pool.status().recycled, 0);
  await time.tickAsync(5_000);
  await all();
  const half = pool.status().recycled;
  assert(half > 0 && half < 20, `${half} of 20 were replaced at half of the spread`);
});

Deno.test("Pool tests an idle one by default only after a second of idleness", async () => {
  using time = new FakeTime();
  const things = new Things();
  await using pool = new QueuePool(things);
  await (await pool.acquire()).release();
  await (await pool.acquire()).release();
  assertEquals(things.made[0]!.checks, 0);
  await time.tickAsync(1_000);
  await (await pool.acquire()).release();
  assertEquals(things.made[0]!.checks, 1);
});

Deno.test("Pool with poolPrePing replaces a dead one unseen", async () => {
  const things = new Things();
  await using pool = new QueuePool(things, { poolPrePing: true });
  await (await pool.acquire()).release();
  things.made[0]!.answers = false;
  await using lease = await pool.acquire();
  assertEquals([lease.resource.id, pool.status().lost, things.alive], [2, 1, 1]);
});

Deno.test("Pool ends a test that stalls, and asks none of the others that long", async () => {
  using time = new FakeTime();
  const things = new Things();
  await using pool = new QueuePool(things, { poolPrePing: true, upkeepTimeout: 1_000 });
  const leases = await Promise.all([1, 2, 3].map(() => pool.acquire()));
  for (const lease of leases) await lease.release();
  for (const thing of things.made) thing.answers = "never";
  const asker = pool.acquire();
  await time.tickAsync(1_000);
  await using lease = await asker;
  assertEquals([lease.resource.id, things.alive, pool.status().size], [4, 1, 1]);
});

Deno.test("Pool drops idle ones that die, and makes no more than needed", async () => {
  const things = new Things();
  await using pool = new QueuePool(things, { poolSize: 15 });
  const all = async () => {
    const leases = await Promise.all(Array.from({ length: 15 }, () => pool.acquire()));
    for (const lease of leases) await lease.release();
  };
  await all();
  for (const thing of things.made) thing.die();
  await settled();
  assertEquals([pool.status().size, pool.status().lost], [0, 15]);
  await all();
  assertEquals([things.made.length, things.alive], [30, 15]);
});

Deno.test("Pool doubts its older ones after a loss: idle ones are tested, lent ones retire", async () => {
  const things = new Things();
  await using pool = new QueuePool(things);
  const [a, b, c] = await Promise.all([1, 2, 3].map(() => pool.acquire()));
  await c!.release();
  a!.resource.die();
  await a!.release();
  assertEquals([a!.resource.destroyed, pool.status().lost], [true, 1]);
  await using again = await pool.acquire();
  assertStrictEquals(again.resource, c!.resource);
  assertEquals(again.resource.checks, 1);
  await b!.release();
  assertEquals(b!.resource.destroyed, true);
  await again.release();
  assertEquals(again.resource.destroyed, false);
});

Deno.test("Lease.release() and discard() do nothing the second time", async () => {
  const things = new Things();
  await using pool = new QueuePool(things);
  const lease = await pool.acquire();
  await lease.release();
  await lease.release();
  await lease.discard();
  await lease[Symbol.asyncDispose]();
  assertEquals([pool.status().idle, things.alive, lease.released], [1, 1, true]);
  const second = await pool.acquire();
  await second.discard();
  await second.release();
  assertEquals([pool.status().size, things.alive, second.resource.forced], [0, 0, true]);
});

Deno.test("Pool cleans what comes back before it lends it again", async () => {
  const things = new Things();
  await using pool = new QueuePool(things, { poolSize: 1, maxOverflow: 0 });
  const lease = await pool.acquire();
  lease.resource.dirty = true;
  const waiter = pool.acquire();
  lease.release();
  await using next = await waiter;
  assertEquals([next.resource.dirty, next.resource.id], [false, 1]);
});

Deno.test("Pool destroys what cannot be cleaned in time, and gives its place back", async () => {
  using time = new FakeTime();
  const things = new Things();
  await using pool = new QueuePool(things, { poolSize: 1, maxOverflow: 0 });
  const lease = await pool.acquire();
  lease.resource.dirty = "stuck";
  const released = lease.release();
  const waiter = pool.acquire();
  await time.tickAsync(5_000);
  await released;
  await using next = await waiter;
  assertEquals([next.resource.id, things.made[0]!.forced], [2, true]);
});

Deno.test("Pool uses force where a polite end takes too long", async () => {
  using time = new FakeTime();
  const things = new Things();
  const pool = new QueuePool(things);
  await (await pool.acquire()).release();
  things.beforeDestroy = () => new Promise(() => {});
  const closed = pool.close();
  await time.tickAsync(5_000);
  await closed;
  assertEquals([things.alive, things.made[0]!.forced], [0, true]);
});

Deno.test("Pool reports a lease held longer than leakAfter, once, with its stack", async () => {
  using time = new FakeTime();
  const leaks: LeakReport[] = [];
  await using pool = new QueuePool(new Things(), {
    leakAfter: 1_000,
    onLeak: (leak) => leaks.push(leak),
  });
  async function holdsForLong() {
    const lease = await pool.acquire();
    lease.note = "select 1";
    return lease;
  }
  await using _first = await holdsForLong();
  await time.tickAsync(600);
  const second = await pool.acquire();
  await time.tickAsync(400);
  assertEquals(leaks.map(({ kind, heldFor, note }) => [kind, heldFor, note]), [
    ["held", 1_000, "select 1"],
  ]);
  assertStringIncludes(leaks[0]!.stack!, "holdsForLong");
  await second.release();
  await time.tickAsync(10_000);
  assertEquals([leaks.length, pool.status().leaked], [1, 1]);
});

Deno.test("Pool reports a forgotten lease and regains its place", async () => {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--v8-flags=--expose-gc", new URL("forgotten_lease.ts", import.meta.url).href],
    env: { NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder();
  assertEquals(text.decode(stdout), "forgotten select 1\nmade 2 alive 1\n", text.decode(stderr));
  assertEquals(code, 0);
});

Deno.test("Pool.close() is idempotent, refuses askers and sends the waiting ones away", async () => {
  const things = new Things();
  const pool = new QueuePool(things, { poolSize: 1, maxOverflow: 0 });
  const lease = await pool.acquire();
  const waiter = assertRejects(() => pool.acquire(), EngineDisposedError);
  const closes = Array.from({ length: 10 }, () => pool.close());
  assert(closes.every((close) => close === closes[0]));
  await assertRejects(() => pool.acquire(), EngineDisposedError, "the pool is closed");
  assertEquals(pool.tryAcquire(), undefined);
  await waiter;
  assertEquals(lease.resource.destroyed, false);
  await lease.release();
  await Promise.all(closes);
  assertEquals([things.alive, pool.status().size, pool.status().closed], [0, 0, true]);
});

Deno.test("Pool.close() takes back by force what is lent beyond its limit", async () => {
  using time = new FakeTime();
  const things = new Things();
  const pool = new QueuePool(things);
  const lease = await pool.acquire();
  const closed = pool.close({ timeout: 1_000 });
  await time.tickAsync(999);
  assertEquals(things.alive, 1);
  await time.tickAsync(1);
  await closed;
  assertEquals([things.alive, lease.resource.forced, lease.released], [0, true, true]);
  await lease.release();
});

Deno.test("Pool.close() sends away who waits for a creation, and ends what comes of it", async () => {
  const things = new Things();
  const pool = new QueuePool(things);
  const gate = Promise.withResolvers<void>();
  let given: AbortSignal | undefined;
  things.beforeCreate = (signal) => {
    given = signal;
    return gate.promise;
  };
  const asker = assertRejects(() => pool.acquire(), EngineDisposedError);
  const closed = pool.close();
  await asker;
  assert(given?.aborted);
  gate.resolve();
  await closed;
  assertEquals([things.made.length, things.alive], [1, 0]);
});

Deno.test("QueuePool refuses numbers that make no sense", () => {
  const things = new Things();
  assertThrows(() => new QueuePool(things, { poolSize: -1 }), InputError, "poolSize");
  assertThrows(() => new QueuePool(things, { maxOverflow: 0.5 }), InputError, "maxOverflow");
  assertThrows(() => new QueuePool(things, { poolSize: 0, maxOverflow: 0 }), InputError);
  assertThrows(() => new QueuePool(things, { poolTimeout: NaN }), InputError, "poolTimeout");
  assertThrows(() => new QueuePool(things, { createAttempts: 0 }), InputError, "createAttempts");
});
