/**
 * What it costs to find out whether an object differs from its row: what a flush does with every
 * object that it does not know to be clean.
 *
 * `deno bench -A bench/micro/diff_instance_bench.ts`
 */

import { hydrate } from "../../src/loading/hydrate.ts";
import type { WireRow } from "../../src/sql/wire.ts";
import type { Book } from "../support/library.ts";
import { mapper, target, wireRows } from "../support/mapped.ts";

const shape = mapper.shape("postgres");
const rows = wireRows(3);
const [noMeta, clean, changed] = hydrate(mapper, rows, target()) as [Book, Book, Book];
changed.pages++;
const differs = (book: Book, row: WireRow) => shape.changes(book, row, book.id);
if (differs(clean, rows[1]!) !== null || differs(changed, rows[2]!)?.length !== 1) {
  throw new Error("The comparison is wrong");
}

Deno.bench("clean, its jsonb null", { baseline: true }, () => void differs(noMeta, rows[0]!));
Deno.bench("clean, with jsonb", () => void differs(clean, rows[1]!));
Deno.bench("one column changed", () => void differs(changed, rows[2]!));
