/** Books without a database: their mapper, and rows as the wire brings them. */

import { Registry } from "../../src/mapper/registry.ts";
import type { Mapper } from "../../src/mapper/mapper.ts";
import type { HydrationTarget } from "../../src/loading/hydrate.ts";
import type { WireRow } from "../../src/sql/wire.ts";
import { IdentityMap } from "../../src/unit_of_work/identity_map.ts";
import { Author, Book } from "./library.ts";

/** The mapper of `Book`. */
export const mapper: Mapper = new Registry([Author, Book]).mapper(Book);

/** `count` rows of it, columns in its order. */
export function wireRows(count: number): WireRow[] {
  return Array.from({ length: count }, (_, i) => [
    String(i + 1),
    String(i % 1_000),
    `The book of number ${i}`,
    (i % 10_000 / 100).toFixed(2),
    String(i % 900),
    `2001-02-${String(1 + i % 28).padStart(2, "0")}`,
    i % 10 === 0 ? null : `{"isbn": "978${i}", "tags": ["a${i % 7}", "b"]}`,
  ]);
}

/** Where they are hydrated into: a session that is new. */
export function target(): HydrationTarget {
  return { owner: { closed: false }, identityMap: new IdentityMap(), dialect: "postgres" };
}
