/** 100,000 objects of seven columns, loaded at once and tracked. */

import { pagesOf } from "../support/data.ts";
import { Book } from "../support/library.ts";
import { bench, type Workload } from "../support/workload.ts";

const COUNT = 100_000;

/** See above. */
export const loadTracked: Workload = {
  name: "load",
  title: "100,000 entities of seven columns, tracked",
  gate: 1.15,
  expected: pagesOf(COUNT),
  async raw(sql) {
    const books = await sql`
      select id, author_id, title, price, pages, published, meta from books where id <= ${COUNT}`;
    let pages = 0;
    for (const book of books) pages += book.pages;
    return pages;
  },
  async sluice(engine) {
    await using session = engine.session();
    const books = await session.query(Book).where((b) => b.id.lte(COUNT)).all();
    let pages = 0;
    for (const book of books) pages += book.pages;
    return pages;
  },
};

bench(loadTracked);
