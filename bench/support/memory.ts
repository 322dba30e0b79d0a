/** The highest memory a stream ever took, measured in a process that does nothing else. */

import { streamOf } from "../macro/stream_bench.ts";
import { open } from "./contenders.ts";
import { database } from "./server.ts";
import { check } from "./workload.ts";

/** Streams `rows` rows in a process of its own; gives its peak in MiB. */
export async function peakMemory(side: "raw" | "sluice", rows: number): Promise<number> {
  await database(); // so that the child finds it
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", import.meta.filename!, side, String(rows)],
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`The stream of ${side} failed`);
  return Number(new TextDecoder().decode(stdout));
}

/** Of this process, in MiB. Linux tells the true peak; elsewhere what it is now must do. */
async function ownPeak(): Promise<number> {
  const status = await Deno.readTextFile("/proc/self/status").catch(() => "");
  const kib = status.match(/VmHWM:\s+(\d+)/)?.[1];
  return kib === undefined ? Deno.memoryUsage().rss / 2 ** 20 : Number(kib) / 1024;
}

if (import.meta.main) {
  const [side, rows] = Deno.args;
  const workload = streamOf(Number(rows));
  await using contenders = await open();
  const { sql, engine } = contenders;
  const result = await (side === "raw" ? workload.raw(sql) : workload.sluice(engine));
  await check(workload, sql, result);
  console.log(await ownPeak());
}
