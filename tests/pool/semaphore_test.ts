import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { InputError, PoolTimeoutError } from "../../src/errors.ts";
import { type Permit, Semaphore } from "../../src/pool/semaphore.ts";

Deno.test("Semaphore.acquire() hands out permits in order of arrival", async () => {
  const semaphore = new Semaphore(1);
  const first = await semaphore.acquire();
  const order: number[] = [];
  const waiters = [1, 2, 3].map(async (n) => {
    using _permit = await semaphore.acquire();
    order.push(n);
  });
  assertEquals(semaphore.waiting, 3);
  first.release();
  await Promise.all(waiters);
  assertEquals(order, [1, 2, 3]);
  assertEquals([semaphore.available, semaphore.inUse, semaphore.waiting], [1, 0, 0]);
});

Deno.test("Semaphore.tryAcquire() never overtakes somebody who waits", async () => {
  const semaphore = new Semaphore(1);
  const first = semaphore.tryAcquire()!;
  const waiter = semaphore.acquire();
  first.release();
  assertEquals(semaphore.tryAcquire(), undefined);
  (await waiter).release();
  assert(semaphore.tryAcquire());
});

Deno.test("Permit.release() counts once, however often it is called", async () => {
  const semaphore = new Semaphore(2);
  const permit = await semaphore.acquire();
  permit.release();
  permit.release();
  permit[Symbol.dispose]();
  assertEquals(semaphore.available, 2);
});

Deno.test("Semaphore.acquire() leaves the queue at once when its signal is aborted", async () => {
  const semaphore = new Semaphore(1);
  const held = await semaphore.acquire();
  const controller = new AbortController();
  const reason = new Error("enough");
  const waiter = semaphore.acquire({ signal: controller.signal });
  const next = semaphore.acquire();
  controller.abort(reason);
  assertEquals(semaphore.waiting, 1);
  assertStrictEquals(await assertRejects(() => waiter), reason);
  held.release();
  (await next).release();
  assertEquals(semaphore.available, 1);
});

Deno.test("Semaphore.acquire() takes nothing when its signal was aborted before", async () => {
  const semaphore = new Semaphore(1);
  const reason = new Error("too late");
  const error = await assertRejects(() => semaphore.acquire({ signal: AbortSignal.abort(reason) }));
  assertStrictEquals(error, reason);
  assertEquals(semaphore.available, 1);
});

Deno.test("Semaphore.acquire() gives up after its timeout and says how things stand", async () => {
  using time = new FakeTime();
  const semaphore = new Semaphore(1);
  await semaphore.acquire();
  const other = semaphore.acquire();
  const waiter = assertRejects(() => semaphore.acquire({ timeout: 50 }), PoolTimeoutError);
  await time.tickAsync(50);
  assertEquals(
    (await waiter).message,
    "Cannot acquire a permit within 50 ms: all 1 are in use, 1 more wait",
  );
  assertEquals(semaphore.waiting, 1);
  semaphore.rejectWaiting(new Error("end"));
  await assertRejects(() => other, Error, "end");
});

Deno.test("Semaphore.acquire() sets no timer for a permit that is free", async () => {
  using time = new FakeTime();
  const semaphore = new Semaphore(1);
  (await semaphore.acquire({ timeout: 50 })).release();
  assertEquals(time.next(), false);
});

Deno.test("Semaphore.acquire() calls its timer off when it is served", async () => {
  using time = new FakeTime();
  const semaphore = new Semaphore(1);
  const held = await semaphore.acquire();
  const waiter = semaphore.acquire({ timeout: 50, signal: new AbortController().signal });
  held.release();
  await waiter;
  assertEquals(time.next(), false);
});

Deno.test("Semaphore.acquire() passes a permit on when it meets an abort in the same tick", async () => {
  const semaphore = new Semaphore(1);
  for (const abortFirst of [true, false]) {
    const held = await semaphore.acquire();
    const controller = new AbortController();
    const waiter = semaphore.acquire({ signal: controller.signal });
    const next = semaphore.acquire();
    if (abortFirst) controller.abort();
    held.release();
    if (!abortFirst) controller.abort();
    await assertRejects(() => waiter, DOMException);
    (await next).release();
    assertEquals(semaphore.available, 1);
  }
});

Deno.test("Semaphore never loses a permit over 10,000 aborts at any moment", async () => {
  const semaphore = new Semaphore(2);
  let served = 0;
  for (let round = 0; round < 10_000; round++) {
    const controller = new AbortController();
    const held: Permit[] = [semaphore.tryAcquire()!, semaphore.tryAcquire()!];
    const waiter = semaphore.acquire({ signal: controller.signal }).then((permit) => {
      served++;
      permit.release();
    }, () => {});
    const turns = round % 4;
    held[0]!.release();
    for (let turn = 0; turn < turns; turn++) await undefined;
    controller.abort();
    await waiter;
    held[1]!.release();
    assertEquals([semaphore.available, semaphore.waiting], [2, 0]);
  }
  assert(served > 0 && served < 10_000, `${served} served`);
});

Deno.test("Semaphore serves 10,000 waiters on one signal, a third of whom leave", async () => {
  const semaphore = new Semaphore(4);
  const shared = new AbortController();
  const leaving = new AbortController();
  const held = [1, 2, 3, 4].map(() => semaphore.tryAcquire()!);
  let running = 0;
  let most = 0;
  const order: number[] = [];
  const waiters = Array.from({ length: 10_000 }, async (_, n) => {
    const signal = n % 3 === 0 ? leaving.signal : shared.signal;
    using _permit = await semaphore.acquire({ signal, timeout: 60_000 });
    order.push(n);
    most = Math.max(most, ++running);
    await undefined;
    running--;
  });
  const outcome = Promise.allSettled(waiters);
  leaving.abort();
  assertEquals(semaphore.waiting, 6_666);
  for (const permit of held) permit.release();
  const rejected = (await outcome).filter((result) => result.status === "rejected");
  assertEquals(rejected.length, 3_334);
  assertEquals(most, 4);
  assertEquals(order, order.toSorted((a, b) => a - b));
  assertEquals(semaphore.available, 4);
});

Deno.test("Semaphore refuses permits and timeouts that make no sense", async () => {
  for (const permits of [0, -1, 1.5, NaN]) {
    assertThrows(() => new Semaphore(permits), InputError, `${permits} permits`);
  }
  const semaphore = new Semaphore(Infinity);
  for (const timeout of [-1, NaN]) {
    await assertRejects(() => semaphore.acquire({ timeout }), InputError, `${timeout} ms`);
  }
  await semaphore.acquire({ timeout: 0 });
});
