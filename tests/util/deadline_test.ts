import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { deadline, delay } from "../../src/util/deadline.ts";

const onTimeout = () => new Error("too long");

Deno.test("deadline() settles as the promise does, and leaves no timer", async () => {
  using time = new FakeTime();
  assertEquals(await deadline(Promise.resolve(1), { timeout: 10, onTimeout }), 1);
  await assertRejects(
    () => deadline(Promise.reject(new Error("no")), { timeout: 10, onTimeout }),
    Error,
    "no",
  );
  assertEquals(time.next(), false);
});

Deno.test("deadline() rejects when the time is over and hands a late value on", async () => {
  using time = new FakeTime();
  const late: number[] = [];
  const slow = Promise.withResolvers<number>();
  const failed = assertRejects(
    () => deadline(slow.promise, { timeout: 10, onTimeout, onLate: (value) => late.push(value) }),
    Error,
    "too long",
  );
  await time.tickAsync(10);
  await failed;
  slow.resolve(5);
  await slow.promise;
  assertEquals(late, [5]);
});

Deno.test("deadline() rejects with the signal's reason, before and while waiting", async () => {
  const reason = new Error("stop");
  const never = new Promise<void>(() => {});
  const before = AbortSignal.abort(reason);
  const error = await assertRejects(() => deadline(never, { signal: before, onTimeout }));
  assertStrictEquals(error, reason);
  const controller = new AbortController();
  const waiting = assertRejects(() => deadline(never, { signal: controller.signal, onTimeout }));
  controller.abort(reason);
  assertStrictEquals(await waiting, reason);
});

Deno.test("deadline() takes no limit, and limits longer than a timer can be", async () => {
  using time = new FakeTime();
  for (const timeout of [undefined, 0, Infinity]) {
    const slow = Promise.withResolvers<number>();
    const promise = deadline(slow.promise, { timeout, onTimeout });
    await time.tickAsync(1_000_000);
    slow.resolve(1);
    assertEquals(await promise, 1);
  }
  const promise = deadline(delay(10), { timeout: 2 ** 40, onTimeout });
  await time.tickAsync(10);
  await promise;
});

Deno.test("delay() waits, and ends at once with the signal's reason", async () => {
  using time = new FakeTime();
  const done = delay(100);
  await time.tickAsync(100);
  await done;
  const controller = new AbortController();
  const stopped = assertRejects(() => delay(100, controller.signal), Error, "stop");
  controller.abort(new Error("stop"));
  await stopped;
  await assertRejects(() => delay(100, controller.signal), Error, "stop");
});
