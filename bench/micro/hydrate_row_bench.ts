/**
 * What a row costs on its way from the wire's text to a tracked object: 1,000 rows an iteration.
 *
 * `deno bench -A bench/micro/hydrate_row_bench.ts`
 */

import { hydrate } from "../../src/loading/hydrate.ts";
import type { WireRow } from "../../src/sql/wire.ts";
import { mapper, target, wireRows } from "../support/mapped.ts";

const rows = wireRows(1_000);
const again = target();
const objects = hydrate(mapper, rows, again);
if (objects.length !== 1_000 || again.identityMap!.size !== 1_000) throw new Error("Rows are lost");

function byHand([id, authorId, title, price, pages, published, meta]: WireRow): object {
  return {
    id: Number(id),
    authorId: Number(authorId),
    title,
    price,
    pages: Number(pages),
    published,
    meta: meta === null ? null : JSON.parse(meta as string),
  };
}

Deno.bench("1,000 rows to plain objects by hand", { baseline: true }, () => void rows.map(byHand));
Deno.bench("1,000 rows to new objects of a session", () => void hydrate(mapper, rows, target()));
Deno.bench("1,000 rows of objects it has already", () => void hydrate(mapper, rows, again));
