/**
 * What a permit costs: free, handed on, and with a long queue behind it, which must make no
 * difference to the one that is served.
 *
 * `deno bench -A bench/micro/semaphore_bench.ts`
 */

import { Semaphore } from "../../mod.ts";

const free = new Semaphore(10);

/** Hands a permit on 10,000 times while `waiting` others wait; who was served asks again. */
async function handOn(waiting: number): Promise<void> {
  const semaphore = new Semaphore(1);
  let left = 10_000;
  const ask = async (): Promise<void> => {
    while (left > 0) {
      using _permit = await semaphore.acquire();
      left--;
    }
  };
  await Promise.all(Array.from({ length: waiting + 1 }, ask));
  if (semaphore.available !== 1) throw new Error("A permit is lost");
}

Deno.bench("a free permit, without waiting", { baseline: true }, () => {
  using permit = free.tryAcquire();
  if (permit === undefined) throw new Error("None is free");
});
Deno.bench("a free permit, awaited", async () => {
  using _permit = await free.acquire();
});
// Each awaits: what only returns a promise is not waited for by Deno.bench.
Deno.bench("10,000 permits handed on, 10 waiting", { group: "queue", baseline: true }, async () => {
  await handOn(10);
});
Deno.bench("10,000 permits handed on, 10,000 waiting", { group: "queue" }, async () => {
  await handOn(10_000);
});
