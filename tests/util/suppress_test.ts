import { assertEquals } from "@std/assert";
import { SluiceError } from "../../src/errors.ts";
import { caught } from "../../src/util/caught.ts";
import { suppress } from "../../src/util/suppress.ts";

Deno.test("suppress() keeps later failures with the first error, whoever made it", () => {
  const ours = new SluiceError("first");
  suppress(ours, "a");
  suppress(ours, ours);
  assertEquals(ours.suppressed, ["a"]);
  const foreign = new Error("first");
  suppress(foreign, "a");
  suppress(foreign, "b");
  assertEquals((foreign as { suppressed?: unknown }).suppressed, ["a", "b"]);
  assertEquals(Object.keys(foreign), []);
});

Deno.test("suppress() leaves alone what can keep nothing", () => {
  for (const value of [undefined, "text", Object.freeze(new Error("frozen"))]) suppress(value, "a");
  const taken = Object.assign(new Error("first"), { suppressed: 5 });
  suppress(taken, "a");
  assertEquals(taken.suppressed, 5);
});

Deno.test("caught() keeps an unawaited failure from ending the process, and hides it from nobody", async () => {
  const promise = caught(Promise.reject(new Error("no")));
  await new Promise((resolve) => setTimeout(resolve, 0));
  assertEquals(await promise.catch((error) => error.message), "no");
});
