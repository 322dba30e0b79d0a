/** What a workload is, and how `deno bench` comes to know it. */

import type postgres from "postgres";
import type { AsyncEngine } from "../../mod.ts";
import { open } from "./contenders.ts";

/** Npm `postgres`. */
export type Raw = postgres.Sql;

/** One thing that a program does, done by both contenders. */
export interface Workload {
  /** For `--only`. */
  readonly name: string;
  /** What is done. */
  readonly title: string;
  /** How many connections each contender has. Default 1. */
  readonly connections?: number;
  /** The time of Sluice may be this multiple of raw's. */
  readonly gate: number;
  /** Done before each round of each contender, unmeasured. */
  readonly reset?: (sql: Raw) => Promise<void>;
  /** The work by hand; gives what `expected` is compared with. */
  readonly raw: (sql: Raw) => Promise<number>;
  /** The work by Sluice; gives the same. */
  readonly sluice: (engine: AsyncEngine) => Promise<number>;
  /** Looks at what is in the database after the work, unmeasured; its answer must be `expected`. */
  readonly verify?: (sql: Raw) => Promise<number>;
  /** The checksum of the work done right. */
  readonly expected: number;
}

/** Registers both contenders with `deno bench`. Does nothing under `deno run`. */
export function bench(workload: Workload): void {
  const opened = lazy(() => open(workload.connections));
  const { title, reset } = workload;
  Deno.bench({
    name: `postgres: ${title}`,
    group: workload.name,
    baseline: true,
    n: 5,
    warmup: 1,
    async fn(b) {
      const { sql } = await opened();
      await reset?.(sql);
      b.start();
      const result = await workload.raw(sql);
      b.end();
      await check(workload, sql, result);
    },
  });
  Deno.bench({
    name: `sluice: ${title}`,
    group: workload.name,
    n: 5,
    warmup: 1,
    async fn(b) {
      const { sql, engine } = await opened();
      await reset?.(sql);
      b.start();
      const result = await workload.sluice(engine);
      b.end();
      await check(workload, sql, result);
    },
  });
}

/** Throws if the work was not done, or not rightly. */
export async function check(workload: Workload, sql: Raw, result: number): Promise<void> {
  const { name, expected, verify } = workload;
  if (result !== expected) throw new Error(`${name}: ${result} instead of ${expected}`);
  const stored = await verify?.(sql) ?? expected;
  if (stored !== expected) throw new Error(`${name}: stored ${stored} instead of ${expected}`);
}

function lazy<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => made ??= make();
}
