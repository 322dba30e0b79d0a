/** What is inserted: plain objects, as a program has them in hand. */

import type { Meta } from "./library.ts";

/** A row to be inserted. */
export interface ImportRow {
  authorId: number;
  title: string;
  price: string;
  pages: number;
  published: string;
  meta: Meta | null;
}

/** The first `count` of them, always the same. */
export function importRows(count: number): ImportRow[] {
  return Array.from({ length: count }, (_, i) => ({
    authorId: i % 1000,
    title: `The book of number ${i}`,
    price: (i % 10_000 / 100).toFixed(2),
    pages: i % 900,
    published: new Date(Date.UTC(2000, 0, 1 + i % 9000)).toISOString().slice(0, 10),
    meta: i % 10 === 0 ? null : { isbn: `978${i}`, tags: [`a${i % 7}`, "b"] },
  }));
}
