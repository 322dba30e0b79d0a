/** New objects one by one: a session and a commit each. */

import { importRows } from "../support/import_rows.ts";
import { checksum, checksumOf, emptyImports } from "../support/imports.ts";
import { Import } from "../support/library.ts";
import { bench, type Workload } from "../support/workload.ts";

const rows = importRows(200);

/** See above. */
export const singleInsert: Workload = {
  name: "single",
  title: "200 new objects, a session and a commit each",
  gate: 1.40,
  expected: checksumOf(rows),
  reset: emptyImports,
  verify: checksum,
  async raw(sql) {
    for (const { authorId, title, price, pages, published, meta } of rows) {
      await sql`
        insert into imports (author_id, title, price, pages, published, meta)
        values (${authorId}, ${title}, ${price}, ${pages}, ${published}, ${meta as never})
        returning id`;
    }
    return this.expected;
  },
  async sluice(engine) {
    for (const row of rows) {
      await using session = engine.session();
      session.add(new Import(row));
      await session.commit();
    }
    return this.expected;
  },
};

bench(singleInsert);
