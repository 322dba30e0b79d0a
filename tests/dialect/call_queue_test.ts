import { assert, assertEquals, assertRejects } from "@std/assert";
import { CallQueue } from "../../src/dialect/call_queue.ts";
import { StatementTimeoutError } from "../../src/errors.ts";

Deno.test("CallQueue.run() keeps the order of synchronous and asynchronous jobs", async () => {
  const queue = new CallQueue();
  const gate = Promise.withResolvers<void>();
  const order: number[] = [];
  const calls = [
    queue.run(() => void order.push(1)),
    queue.run(() => gate.promise.then(() => void order.push(2))),
    queue.run(() => void order.push(3)),
    queue.run(async () => {
      await Promise.resolve();
      order.push(4);
    }),
    queue.run(() => void order.push(5)),
  ];
  assertEquals([order, queue.busy], [[1], true]);
  gate.resolve();
  await Promise.all(calls);
  assertEquals([order, queue.busy], [[1, 2, 3, 4, 5], false]);
});

Deno.test("CallQueue.run() is not busy any more when its promise settles", async () => {
  const queue = new CallQueue();
  await queue.run(() => Promise.resolve());
  assertEquals(queue.busy, false);
  await queue.run(() => Promise.reject(new Error("x"))).catch(() =>
    assertEquals(queue.busy, false)
  );
});

Deno.test("CallQueue.run() never starts a call that was given up", async () => {
  const queue = new CallQueue();
  const gate = Promise.withResolvers<void>();
  const first = queue.run(() => gate.promise);
  const controller = new AbortController();
  let started = 0;
  const aborted = queue.run(() => started++, { signal: controller.signal });
  const late = queue.run(() => started++, { timeout: 5 });
  const reason = new Error("enough");
  controller.abort(reason);
  assert(await assertRejects(() => aborted) === reason);
  await assertRejects(() => late, StatementTimeoutError);
  gate.resolve();
  await first;
  assertEquals([started, await queue.run(() => "next")], [0, "next"]);
});

Deno.test("CallQueue.fail() rejects what runs, what waits and what comes", async () => {
  const queue = new CallQueue();
  const gate = Promise.withResolvers<void>();
  const running = queue.run(() => gate.promise);
  const waiting = queue.run(() => 1, { timeout: 10_000 });
  const reason = new Error("gone");
  queue.fail(reason);
  for (const call of [running, waiting, queue.run(() => 1)]) {
    assert(await assertRejects(() => call) === reason);
  }
  gate.resolve();
  await queue.idle();
});

Deno.test("CallQueue.refuse() lets what waits be carried out, and idle() tells when", async () => {
  const queue = new CallQueue();
  const first = queue.run(() => Promise.resolve(1));
  const second = queue.run(() => 2);
  queue.refuse(new Error("closing"));
  await assertRejects(() => queue.run(() => 3), Error, "closing");
  await queue.idle();
  assertEquals([await first, await second], [1, 2]);
});

Deno.test("CallQueue.run() lets timers and sockets have their turn in a long row of calls", async () => {
  const queue = new CallQueue();
  let ended = false;
  setTimeout(() => ended = true, 0);
  // Each call is synchronous, and so is every continuation: without turns this loop has no end.
  for (const start = performance.now(); !ended;) {
    await queue.run(() => {});
    assert(performance.now() - start < 5_000, "the timer never had its turn");
  }
});
