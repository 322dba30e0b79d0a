import {
  assert,
  assertAlmostEquals,
  assertArrayIncludes,
  assertEquals,
  AssertionError,
  assertMatch,
  assertNotEquals,
  assertObjectMatch,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { deadline, delay } from "@std/async";
import { FakeTime } from "@std/testing/time";

class Point {
  constructor(readonly x: number) {}
  get double(): number {
    return this.x * 2;
  }
}

const same: [unknown, unknown][] = [
  [0, -0],
  [NaN, NaN],
  [{ a: [1, { b: 2 }] }, { a: [1, { b: 2 }] }],
  [Object.create(null), {}],
  [new Date(5), new Date(5)],
  [new Date(NaN), new Date(NaN)],
  [new Map([["a", { b: 1 }]]), new Map([["a", { b: 1 }]])],
  [new Set([{ a: 1 }]), new Set([{ a: 1 }])],
  [new Uint8Array([1, 2]), new Uint8Array([1, 2])],
  [new Point(1), new Point(1)],
  [Temporal.PlainDate.from("2020-01-01"), Temporal.PlainDate.from("2020-01-01")],
  [new URL("http://a/"), new URL("http://a/")],
];

const different: [unknown, unknown][] = [
  [{ a: undefined }, {}],
  [{ a: undefined }, { b: undefined }],
  [1, 1n],
  [null, undefined],
  [[1], { 0: 1 }],
  [new Point(1), { x: 1 }],
  [new Point(1), new Point(2)],
  [new Date(5), new Date(6)],
  [new Map([["a", 1]]), new Map([["a", 2]])],
  [new Uint8Array([1]), new Int8Array([1])],
  [{ [Symbol.iterator]: 1 }, {}],
  [Temporal.PlainDate.from("2020-01-01"), Temporal.PlainDate.from("2020-01-02")],
  [new Error("a"), new Error("b")],
];

Deno.test("assertEquals() compares as std does", () => {
  for (const [a, b] of same) assertEquals(a, b);
  for (const [a, b] of different) assertNotEquals(a, b);
  const a: { self?: unknown } = {};
  a.self = a;
  const b: { self?: unknown } = {};
  b.self = b;
  assertEquals(a, b);
  const error = assertThrows(() => assertEquals({ a: 1 }, { a: 2 }, "why"), AssertionError);
  assertMatch(error.message, /^Values are not equal: why\n[^]*1[^]*2/);
});

Deno.test("assertObjectMatch() looks only at what is expected", () => {
  assertObjectMatch({ a: 1, b: [1, 2, { c: 3, d: 4 }] }, { b: [1, 2, { c: 3 }] });
  assertObjectMatch(new Point(1), { x: 1 });
  assertObjectMatch({ at: new Date(1) }, { at: new Date(1) });
  assertThrows(() => assertObjectMatch({ a: 1 }, { a: 1, b: 2 }), AssertionError);
  assertThrows(() => assertObjectMatch({ a: { b: 1 } }, { a: { b: 2 } }), AssertionError);
  assertThrows(() => assertObjectMatch({ at: new Date(1) }, { at: new Date(2) }), AssertionError);
});

Deno.test("assertThrows() and assertRejects() give the error and check class and message", async () => {
  const boom = new TypeError("boom");
  const throws = () => {
    throw boom;
  };
  assertStrictEquals(assertThrows(throws), boom);
  assertStrictEquals(assertThrows(throws, TypeError, "oo"), boom);
  assertThrows(() => assertThrows(throws, RangeError), AssertionError, "RangeError");
  assertThrows(() => assertThrows(throws, TypeError, "no"), AssertionError, '"no"');
  assertThrows(() => assertThrows(() => {}), AssertionError, "Expected function to throw.");
  assertStrictEquals(await assertRejects(() => Promise.reject(boom), TypeError), boom);
  await assertRejects(
    () => assertRejects(() => Promise.resolve()),
    AssertionError,
    "Expected function to reject.",
  );
  await assertRejects(
    () => assertRejects(throws as unknown as () => Promise<void>),
    AssertionError,
    "Function throws when expected to reject.",
  );
});

Deno.test("assertArrayIncludes() and assertAlmostEquals() compare deeply and closely", () => {
  assertArrayIncludes([1, { a: 1 }], [{ a: 1 }]);
  assertThrows(() => assertArrayIncludes([1], [2]), AssertionError, "missing");
  assertAlmostEquals(0.1 + 0.2, 0.3);
  assertThrows(() => assertAlmostEquals(1, 2), AssertionError);
});

Deno.test("delay() and deadline() keep their promises", async () => {
  await delay(1);
  const reason = new Error("enough");
  assertStrictEquals(
    await assertRejects(() => delay(1_000, { signal: AbortSignal.abort(reason) })),
    reason,
  );
  assertEquals(await deadline(Promise.resolve(1), 1_000), 1);
  const error = await assertRejects(
    () => deadline(new Promise(() => {}), 1),
    DOMException,
  );
  assertEquals(error.name, "TimeoutError");
});

Deno.test("FakeTime moves timers, dates and abort signals by hand", async () => {
  using time = new FakeTime(1_000);
  const seen: string[] = [];
  setTimeout(() => seen.push(`b ${Date.now()}`), 20);
  setTimeout((name: string) => seen.push(name), 10, "a");
  const interval = setInterval(() => seen.push("tick"), 15);
  clearTimeout(setTimeout(() => seen.push("never"), 5));
  const signal = AbortSignal.timeout(30);
  time.tick(20);
  assertEquals(seen, ["a", "tick", "b 1020"]);
  assertEquals(new Date().getTime(), 1_020);
  assert(new Date() instanceof Date);
  clearInterval(interval);
  await time.tickAsync(10);
  assertEquals(seen.length, 3);
  assertEquals(signal.reason.name, "TimeoutError");
  assertThrows(() => new FakeTime(), Error, "already faked");
  assert(await FakeTime.restoreFor(() => Date.now()) > 1_000_000);
  assertEquals(Date.now(), 1_030);
});
