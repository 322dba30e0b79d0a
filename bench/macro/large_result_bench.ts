/** A large result of a few columns, as plain rows: nothing is tracked. */

import { pagesOf } from "../support/data.ts";
import { Book } from "../support/library.ts";
import { bench, type Workload } from "../support/workload.ts";

const COUNT = 200_000;

/** See above. */
export const largeResult: Workload = {
  name: "large",
  title: "200,000 rows of four columns",
  gate: 1.10,
  expected: pagesOf(COUNT),
  async raw(sql) {
    const rows = await sql`
      select id, title, price, pages from books where id <= ${COUNT}`;
    let pages = 0;
    for (const row of rows) pages += row.pages;
    return pages;
  },
  async sluice(engine) {
    await using session = engine.session();
    const rows = await session.query(Book).where((b) => b.id.lte(COUNT))
      .select((b) => ({ id: b.id, title: b.title, price: b.price, pages: b.pages })).all();
    let pages = 0;
    for (const row of rows) pages += row.pages;
    return pages;
  },
};

bench(largeResult);
