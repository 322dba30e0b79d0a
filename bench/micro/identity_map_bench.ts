/**
 * What the identity map costs: looking up, entering, and looking at all.
 *
 * `deno bench -A bench/micro/identity_map_bench.ts`
 */

import { IdentityMap } from "../../src/unit_of_work/identity_map.ts";
import { mapper } from "../support/mapped.ts";

const COUNT = 100_000;
const objects = Array.from({ length: COUNT }, (_, id) => ({ id }));

function filled(count: number): IdentityMap {
  const map = new IdentityMap();
  const books = map.of(mapper);
  for (let id = 0; id < count; id++) books.set(id, objects[id]!);
  return map;
}

const map = filled(COUNT);
if (map.size !== COUNT) throw new Error("Objects are lost");
let key = 0;
let seen = 0;

Deno.bench("find one of 100,000", { baseline: true }, () => {
  key = (key + 7_919) % COUNT;
  if (map.of(mapper).get(key) === undefined) throw new Error("It is not there");
});
Deno.bench("look in vain among 100,000", () => {
  if (map.of(mapper).get(-1) !== undefined) throw new Error("It cannot be there");
});
Deno.bench("enter 1,000", () => void filled(1_000));
Deno.bench("look at all 100,000", () => map.forEach(() => seen++));
