/**
 * What it costs to find out whether an object differs from its row: what a flush does with every
 * object that it does not know to be clean.
 *
 * `deno bench -A bench/micro/diff_instance_bench.ts`
 */

import { hydrate } from "../../src/loading/hydrate.ts";
import type { Book } from "../support/library.ts";
import { mapper, target, wireRows } from "../support/mapped.ts";

const shape = mapper.shape("postgres");
const rows = wireRows(3);
const [noMeta, clean, changed] = hydrate(mapper, rows, target()) as [Book, Book, Book];
changed.pages++;
if (shape.changes(clean, rows[1]!) !== null || shape.changes(changed, rows[2]!)?.length !== 1) {
  throw new Error("The comparison is wrong");
}

Deno.bench("clean, its jsonb null", { baseline: true }, () => void shape.changes(noMeta, rows[0]!));
Deno.bench("clean, with jsonb", () => void shape.changes(clean, rows[1]!));
Deno.bench("one column changed", () => void shape.changes(changed, rows[2]!));
