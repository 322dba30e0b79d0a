/** A stream of 1,000,000 rows in windows of 500. */

import { pagesOf } from "../support/data.ts";
import { Book } from "../support/library.ts";
import { bench, type Workload } from "../support/workload.ts";

const WINDOW = 500;

/** The stream of the first `count` rows. */
export function streamOf(count: number): Workload {
  return {
    name: "stream",
    title: `stream of ${count.toLocaleString("en")} rows in windows of ${WINDOW}`,
    gate: 1.10,
    expected: pagesOf(count),
    async raw(sql) {
      let pages = 0;
      const query = sql`
        select id, author_id, title, price, pages, published, meta from books where id <= ${count}`;
      for await (const books of query.cursor(WINDOW)) {
        for (const book of books) pages += book.pages;
      }
      return pages;
    },
    async sluice(engine) {
      let pages = 0;
      await using session = engine.session();
      for await (const book of session.query(Book).where((b) => b.id.lte(count)).window(WINDOW)) {
        pages += book.pages;
      }
      return pages;
    },
  };
}

/** See above. */
export const stream: Workload = streamOf(1_000_000);

bench(stream);
