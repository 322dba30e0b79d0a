/**
 * Raw npm `postgres` against Sluice, gate by gate: `deno run -A bench/macro/compare.ts [--only=get,load]
 * [--rounds=7]`. Prints a Markdown table; exits with 1 when a gate is missed.
 *
 * Both take turns in one process, so that what slows the machine slows both, and every round's
 * result is verified. Memory is measured in processes of their own.
 */

import { parseArgs } from "node:util";
import { cpuUsage } from "node:process";
import { open } from "../support/contenders.ts";
import { peakMemory } from "../support/memory.ts";
import { check, type Workload } from "../support/workload.ts";
import { bulkInsert } from "./bulk_insert_bench.ts";
import { commitBatches } from "./commit_batches_bench.ts";
import { commitNew } from "./commit_new_bench.ts";
import { concurrentSessions } from "./concurrent_sessions_bench.ts";
import { getByKey, getInSession } from "./get_by_key_bench.ts";
import { joinedLoad } from "./joined_load_bench.ts";
import { largeResult } from "./large_result_bench.ts";
import { loadTracked } from "./load_tracked_bench.ts";
import { selectin } from "./selectin_bench.ts";
import { singleInsert } from "./single_insert_bench.ts";
import { stream } from "./stream_bench.ts";

const { values } = parseArgs({
  options: { only: { type: "string" }, rounds: { type: "string", default: "7" } },
});
const only = values.only?.split(",");
const rounds = Number(values.rounds);
const workloads = [
  getByKey,
  getInSession,
  concurrentSessions,
  loadTracked,
  largeResult,
  selectin,
  joinedLoad,
  stream,
  singleInsert,
  bulkInsert,
  commitNew,
  commitBatches,
]
  .filter(({ name }) => only?.includes(name) ?? true);

/** Unmeasured rounds at the start: what is compiled, planned and cached settles. */
const WARM_UP = 2;

type Side = "raw" | "sluice";

/** Time on the clock, and time of this process on any core, in milliseconds. */
interface Times {
  readonly wall: number[];
  readonly cpu: number[];
}

async function measure(workload: Workload): Promise<boolean> {
  await using contenders = await open(workload.connections);
  const { sql, engine } = contenders;
  const times: Record<Side, Times> = {
    raw: { wall: [], cpu: [] },
    sluice: { wall: [], cpu: [] },
  };
  const run = async (side: Side, measured: boolean): Promise<void> => {
    await workload.reset?.(sql);
    const { wall, cpu } = times[side];
    const before = cpuUsage();
    const started = performance.now();
    const result = await (side === "raw" ? workload.raw(sql) : workload.sluice(engine));
    const ms = performance.now() - started;
    const { user, system } = cpuUsage(before);
    await check(workload, sql, result);
    if (!measured) return;
    wall.push(ms);
    cpu.push((user + system) / 1000);
  };
  for (let round = -WARM_UP; round < rounds; round++) {
    const order: Side[] = round % 2 === 0 ? ["raw", "sluice"] : ["sluice", "raw"];
    for (const side of order) await run(side, round >= 0);
  }
  const ratios = times.sluice.wall.map((ms, i) => ms / times.raw.wall[i]!).sort(ascending);
  const ratio = median(ratios);
  const passed = ratio <= workload.gate;
  printRow([
    workload.title,
    ratio.toFixed(2),
    ratios[0]!.toFixed(2),
    ratios.at(-1)!.toFixed(2),
    workload.gate.toFixed(2),
    passed ? "yes" : "NO",
    (Math.min(...times.sluice.wall) / Math.min(...times.raw.wall)).toFixed(2),
    (median(times.sluice.cpu) / median(times.raw.cpu)).toFixed(2),
    median(times.raw.wall).toFixed(1),
    median(times.sluice.wall).toFixed(1),
  ]);
  return passed;
}

async function measureMemory(): Promise<boolean> {
  console.log("\nPeak memory of a stream, one process each (MiB):\n");
  printRow(["", "250,000 rows", "1,000,000 rows", "growth"]);
  printRow(["---", "---:", "---:", "---:"]);
  let passed = true;
  for (const side of ["raw", "sluice"] as const) {
    const short = await peakMemory(side, 250_000);
    const long = await peakMemory(side, 1_000_000);
    // What the collector leaves lying about differs by this much from run to run.
    if (side === "sluice" && long > short * 1.25) passed = false;
    printRow([
      side,
      short.toFixed(0),
      long.toFixed(0),
      `${(100 * (long / short - 1)).toFixed(0)} %`,
    ]);
  }
  return passed;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted(ascending);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function ascending(a: number, b: number): number {
  return a - b;
}

function printRow(cells: readonly string[]): void {
  console.log(`| ${cells.join(" | ")} |`);
}

printRow([
  "workload",
  "sluice / raw",
  "min",
  "max",
  "gate",
  "met",
  "best",
  "cpu",
  "raw ms",
  "sluice ms",
]);
printRow(["---", "---:", "---:", "---:", "---:", "---", "---:", "---:", "---:", "---:"]);
let passed = true;
for (const workload of workloads) passed = await measure(workload) && passed;
if (workloads.includes(stream)) passed = await measureMemory() && passed;
Deno.exitCode = passed ? 0 : 1;
