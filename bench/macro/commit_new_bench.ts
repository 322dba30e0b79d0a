/** 10,000 new objects by `add` and `commit`, their keys given back. */

import { importRows } from "../support/import_rows.ts";
import { checksum, checksumOf, emptyImports, insertByUnnest } from "../support/imports.ts";
import { Import } from "../support/library.ts";
import { bench, type Workload } from "../support/workload.ts";

const rows = importRows(10_000);

/** See above. */
export const commitNew: Workload = {
  name: "commit",
  title: "10,000 new objects by add and commit",
  gate: 1.60,
  expected: checksumOf(rows),
  reset: emptyImports,
  verify: checksum,
  async raw(sql) {
    const objects = rows.map((row) => ({ ...row, id: 0 }));
    const returned = await insertByUnnest(sql, objects, sql`returning id`);
    returned.forEach(({ id }, i) => objects[i]!.id = id);
    if (objects.at(-1)!.id !== rows.length) throw new Error("The keys are wrong");
    return this.expected;
  },
  async sluice(engine) {
    await using session = engine.session();
    const objects = rows.map((row) => new Import(row));
    session.addAll(objects);
    await session.commit();
    if (objects.at(-1)!.id !== rows.length) throw new Error("The keys are wrong");
    return this.expected;
  },
};

bench(commitNew);
