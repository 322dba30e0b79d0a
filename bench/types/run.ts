/**
 * What the types of Sluice, Drizzle and MikroORM cost the compiler: `deno task bench:types`.
 *
 *     --sizes=10,100,500        how many entities
 *     --contenders=sluice       some contenders: sluice, drizzle, mikroOrm
 *     --rounds=3                how often; the largest size is measured once if it takes more than a minute
 *     --out=DIR                 where the results go; bench/results for a whole run, else a new folder
 */

import os from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Contender } from "./contender.ts";
import { drizzle } from "./contenders/drizzle.ts";
import { mikroOrm } from "./contenders/mikro_orm.ts";
import { sluice } from "./contenders/sluice.ts";
import { compile, install, run, versions, writeProgram } from "./library.ts";
import { report } from "./report.ts";
import { type Measured, parse, type Results } from "./results.ts";

/** A contender whose round takes longer than so many milliseconds gets no second one of that size. */
const LONG = 60_000;

const QUERIES = 3;

const { values } = parseArgs({
  options: {
    sizes: { type: "string", default: "10,100,500" },
    contenders: { type: "string", default: "sluice,drizzle,mikroOrm" },
    rounds: { type: "string", default: "3" },
    out: { type: "string" },
  },
});
const known: Record<string, Contender> = { sluice, drizzle, mikroOrm };
const contenders = values.contenders.split(",").map((name) => {
  const found = known[name];
  if (found === undefined) throw new Error(`Unknown: ${name}. Known are ${Object.keys(known)}`);
  return found;
});
const sizes = [0, ...values.sizes.split(",").map(Number)].sort((a, b) => a - b);
const rounds = Number(values.rounds);

const whole = values.sizes === "10,100,500" && contenders.length === 3;
const out = values.out ??
  (whole
    ? new URL("../results", import.meta.url).pathname
    : await Deno.makeTempDir({ prefix: "sluice-types-results-" }));
await Deno.mkdir(out, { recursive: true });

const folder = await Deno.makeTempDir({ prefix: "sluice-types-" });
try {
  await install(folder, contenders);
  const results: Results = {
    when: new Date().toISOString().slice(0, 16).replace("T", " "),
    machine: {
      [`${os.cpus().length} cores of`]: os.cpus()[0]?.model.trim() ?? "an unknown processor",
      "load average": os.loadavg().map((load) => load.toFixed(1)).join(" "),
      Deno: `${Deno.version.deno} (TypeScript ${Deno.version.typescript})`,
    },
    versions: versions(contenders),
    queries: QUERIES,
    contenders: Object.fromEntries(
      contenders.map(({ title }) => [
        title,
        sizes.map((entities): Measured => ({ entities, rounds: [], denoMs: [] })),
      ]),
    ),
  };
  for (const [at, size] of sizes.entries()) {
    const left = new Set(contenders);
    for (let round = 0; round < rounds; round++) {
      // Each contender is the first as often as the others.
      const turn = round % contenders.length;
      for (const contender of [...contenders.slice(turn), ...contenders.slice(0, turn)]) {
        if (!left.has(contender)) continue;
        const measured = results.contenders[contender.title]![at]!;
        const program = join(folder, `${contender.title}-${size}-${round}`);
        await writeProgram(program, contender.program(size));
        const printed = await compile(folder, program, "--extendedDiagnostics")
          .catch((error: Error) => {
            measured.failed = error.message;
            Deno.exitCode = 1;
          });
        if (printed === undefined) {
          console.error(`${contender.title}, ${size}: ${measured.failed}`);
          left.delete(contender);
          continue;
        }
        const diagnostics = parse(printed);
        measured.rounds.push(diagnostics);
        if (contender === sluice) measured.denoMs.push(await denoCheck(program));
        if (diagnostics.totalMs > LONG) left.delete(contender);
        const { instantiations, totalMs } = diagnostics;
        console.log(`${contender.title}, ${size}: ${instantiations} in ${totalMs / 1000} s`);
        await Deno.remove(program, { recursive: true });
        await Deno.writeTextFile(join(out, "types.json"), JSON.stringify(results, null, 1) + "\n");
        await Deno.writeTextFile(join(out, "types.md"), report(results));
      }
    }
  }
  console.log(`\nThe results are in ${out}: types.md, types.json`);
} finally {
  await Deno.remove(folder, { recursive: true });
}

/** The time of a check in a folder that Deno has not seen, and so remembers nothing of. */
async function denoCheck(program: string): Promise<number> {
  const started = performance.now();
  await run(["check", "-q", "."], program);
  return performance.now() - started;
}
