/** 100,000 plain objects to rows, without tracking. */

import { importRows } from "../support/import_rows.ts";
import { checksum, checksumOf, emptyImports, insertByUnnest } from "../support/imports.ts";
import { Import } from "../support/library.ts";
import { bench, type Workload } from "../support/workload.ts";

const rows = importRows(100_000);
/** Raw's fastest round of 1,000, 5,000, 10,000 and 100,000 in a statement; 100,000 is the slowest. */
const CHUNK = 10_000;

/** See above. */
export const bulkInsert: Workload = {
  name: "bulk",
  title: "bulk insert of 100,000 rows",
  gate: 1.05,
  expected: checksumOf(rows),
  reset: emptyImports,
  verify: checksum,
  async raw(sql) {
    await sql.begin(async (sql) => {
      for (let at = 0; at < rows.length; at += CHUNK) {
        await insertByUnnest(sql, rows.slice(at, at + CHUNK));
      }
    });
    return this.expected;
  },
  async sluice(engine) {
    await using session = engine.session();
    await session.bulkInsert(Import, rows);
    return this.expected;
  },
};

bench(bulkInsert);
