/** A walk over 10,000 rows that changes each and commits every 500. */

import { Import } from "../support/library.ts";
import { bench, type Raw, type Workload } from "../support/workload.ts";

const COUNT = 10_000;
const BATCH = 500;

const pagesStored = async (sql: Raw): Promise<number> => {
  const [row] = await sql`select sum(pages)::float8 as sum from imports`;
  return row!.sum;
};

/** See above. */
export const commitBatches: Workload = {
  name: "batches",
  title: "10,000 rows changed, a commit every 500",
  gate: 1.40,
  expected: COUNT * (COUNT + 1) / 2 + COUNT,
  async reset(sql) {
    await sql`truncate imports restart identity`;
    await sql`
      insert into imports (author_id, title, price, pages, published, meta)
      select author_id, title, price, id, published, meta from books where id <= ${COUNT}`;
  },
  verify: pagesStored,
  async raw(sql) {
    for (let after = 0;;) {
      const last = await sql.begin(async (sql) => {
        const rows = await sql`
          select id, author_id, title, price, pages, published, meta from imports
          where id > ${after} order by id limit ${BATCH}`;
        for (const row of rows) row.pages += 1;
        await sql`
          update imports set pages = changed.pages from unnest(
            ${rows.map((row) => row.id)}::int[], ${rows.map((row) => row.pages)}::int[]
          ) as changed (id, pages) where imports.id = changed.id`;
        return rows.length < BATCH ? undefined : rows.at(-1)!.id as number;
      });
      if (last === undefined) return this.expected;
      after = last;
    }
  },
  async sluice(engine) {
    await using session = engine.session();
    for await (const row of session.query(Import).commitEvery(BATCH)) row.pages += 1;
    return this.expected;
  },
};

bench(commitBatches);
