/**
 * The process of one contender and one case. It opens the contender, says so, and does the work once
 * for every line it reads, until there are no more.
 *
 * It imports nothing but the contender: what others need must not show in its memory and its start.
 */

import { cpuUsage } from "node:process";
import { CONTENDERS, type Open, type Opened, type Task, type Work } from "./contender.ts";
import { lines, say } from "./lines.ts";

/** What a child is told. */
export interface Order extends Omit<Task, "rows"> {
  /** The name of the contender. */
  readonly contender: string;
  /** How the case is measured. */
  readonly kind: "work" | "http" | "start";
  /** Whether it stores `n` rows. */
  readonly rows: boolean;
}

/** What a child says first. */
export interface Ready {
  /** Whether the contender does the case at all. */
  readonly offered: boolean;
  /** Where it serves. */
  readonly port?: number;
}

/** What a child says of a round. */
export interface Done {
  /** Time on the clock. */
  readonly ms: number;
  /** Time of this process on any core, in milliseconds. */
  readonly cpu: number;
  /** The highest resident memory so far, in MiB. */
  readonly peak: number;
  /** The checksum. */
  readonly sum: number;
}

async function measured(work: Work): Promise<Done> {
  const before = cpuUsage();
  const started = performance.now();
  const sum = await work();
  const ms = performance.now() - started;
  const { user, system } = cpuUsage(before);
  return { ms, cpu: (user + system) / 1000, peak: await peak(), sum };
}

/** Linux tells the true peak; elsewhere what it is now must do. */
async function peak(): Promise<number> {
  const status = await Deno.readTextFile("/proc/self/status").catch(() => "");
  const kib = status.match(/VmHWM:\s+(\d+)/)?.[1];
  return kib === undefined ? Deno.memoryUsage().rss / 2 ** 20 : Number(kib) / 1024;
}

async function opened(order: Order): Promise<Opened> {
  // Not written out: the import map of a user of this file may not know what the others import.
  const path = new URL(CONTENDERS[order.contender]!, import.meta.url).href;
  const [{ open }, rows]: [{ open: Open }, Task["rows"]] = await Promise.all([
    import(path),
    order.rows
      ? import("../support/import_rows.ts").then(({ importRows }) => importRows(order.n))
      : [],
  ]);
  return await open({ ...order, rows });
}

if (import.meta.main) {
  const order: Order = JSON.parse(Deno.args[0]!);
  const contender = await opened(order);
  const server = order.kind === "http"
    ? Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      (request) => contender.handler(request),
    )
    : undefined;
  const work = server === undefined ? contender.cases[order.name] : () => Promise.resolve(0);
  if (order.kind === "start") {
    say(work === undefined ? { offered: false } : await measured(work));
  } else {
    const ready: Ready = server === undefined
      ? { offered: work !== undefined }
      : { offered: true, port: server.addr.port };
    say(ready);
    if (work !== undefined) {
      for await (const _ of lines(Deno.stdin.readable)) say(await measured(work));
    }
  }
  await server?.shutdown();
  await contender.close();
}
