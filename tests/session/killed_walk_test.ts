/**
 * Row 64 of the fault catalogue with real processes: a walk with a named checkpoint is killed at
 * random moments, started again until it ends, and has visited every row exactly once.
 */

import { assert, assertEquals } from "@std/assert";
import { AsyncEngine, createAll, sql } from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";
import { Ticket } from "./killed_walk_model.ts";

const program = new URL("killed_walk.ts", import.meta.url).pathname;
const TICKETS = 1_400;

/** Runs the program, and kills it so long after its first commit; false if it was killed in time. */
async function run(url: string, form: string, killAfter: number | undefined): Promise<boolean> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--quiet", program, url, form],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  for await (const _committed of child.stdout) {
    if (killAfter === undefined) continue;
    await new Promise((resolve) => setTimeout(resolve, killAfter));
    child.kill("SIGKILL");
    break;
  }
  const { code, signal } = await child.status;
  assert(code === 0 || signal === "SIGKILL", `it ended by itself with ${code}`);
  return code === 0;
}

for (const form of ["loop", "workers"] as const) {
  eachEngine(`a ${form} that is killed again and again visits every row once`, async ({ url }) => {
    await using engine = new AsyncEngine(url, { entities: [Ticket] });
    await createAll(engine);
    {
      await using session = engine.session();
      await session.bulkInsert(
        Ticket,
        Array.from({ length: TICKETS }, (_, id) => ({ id, code: `t${(id * 31) % TICKETS}` })),
      );
    }
    const visits = async () => {
      const result = await engine.execute(
        sql<{ n: number }>`select sum(times) as n from ${Ticket}`,
      );
      return Number(result.scalar());
    };
    let kills = 0;
    while (!await run(url, form, kills < 4 ? Math.random() * 60 : undefined)) {
      kills++;
      const done = await visits();
      assert(done > 0 && done <= TICKETS);
    }
    const times = sql<{ times: number; n: number }>`
      select times, count(*) as n from ${Ticket} group by times`;
    const { rows } = await engine.execute(times);
    assertEquals(rows.map(({ times, n }) => [Number(times), Number(n)]), [[1, TICKETS]]);
    assert(kills > 0, "it was never killed");
  }, {
    sqliteFile: true,
    only: form === "loop" ? ["sqlite", "postgres"] : ["postgres"],
  });
}
