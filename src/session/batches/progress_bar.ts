/**
 * A progress bar for terminals, for walks in batches and whatever else tells how far it is. Where
 * nobody looks, in a file or a pipe, it writes nothing.
 *
 * @module
 */

import type { Batches, BatchProgress } from "./batches.ts";

/** Where a bar is drawn: `process.stderr`, `process.stdout`, or what is like them. */
export interface ProgressStream {
  /** It is a terminal. */
  readonly isTTY?: boolean | undefined;
  /** Its width in characters. */
  readonly columns?: number | undefined;
  /** Writes text. */
  write(text: string): unknown;
}

/** How a bar looks. */
export interface ProgressBarOptions {
  /** What is in progress. */
  label?: string | undefined;
  /** How many rows there are, where the progress itself does not tell. */
  total?: number | undefined;
  /** Where it is drawn. Default: standard error, so that the program's output stays clean. */
  stream?: ProgressStream | undefined;
  /** Shortest time between two drawings, in milliseconds. Default 100. */
  interval?: number | undefined;
}

/** A bar that is told of progress; dispose it to end its line. */
export interface ProgressBar extends Disposable {
  /** Draws it. */
  (progress: Pick<BatchProgress, "rows" | "elapsed" | "rate" | "total">): void;
}

/**
 * Shows how far a walk is, while it is iterated.
 *
 * @example
 * ```ts
 * import { AsyncEngine, createAll, entity, integer, progressBar } from "@sluice/orm";
 * import { assertEquals } from "@std/assert";
 *
 * class Account extends entity("accounts", { id: integer().primaryKey(), cents: integer() }) {}
 * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Account] });
 * await createAll(engine);
 * await using session = engine.session();
 * await session.bulkInsert(Account, [{ id: 1, cents: 5 }, { id: 2, cents: 7 }]);
 *
 * const accounts = session.query(Account).commitEvery(1, { countFirst: true });
 * for await (const account of progressBar(accounts, { label: "Interest" })) account.cents++;
 * assertEquals(accounts.progress?.rows, 2);
 * ```
 */
export function progressBar<R>(batches: Batches<R>, options?: ProgressBarOptions): Batches<R>;
/**
 * A bar to be told of progress: `eachBatch(100, work, { onCommit: bar })`.
 *
 * @example
 * ```ts
 * import { progressBar } from "@sluice/orm";
 *
 * using bar = progressBar({ label: "Import", total: 200 });
 * bar({ rows: 100, elapsed: 50, rate: 2_000 });
 * ```
 */
export function progressBar(options?: ProgressBarOptions): ProgressBar;
export function progressBar<R>(
  first: Batches<R> | ProgressBarOptions = {},
  options: ProgressBarOptions = {},
): Batches<R> | ProgressBar {
  return Symbol.asyncIterator in first ? shown(first, options) : makeBar(first);
}

function shown<R>(batches: Batches<R>, options: ProgressBarOptions): Batches<R> {
  return {
    get checkpoint() {
      return batches.checkpoint;
    },
    get progress() {
      return batches.progress;
    },
    get total() {
      return batches.total;
    },
    async *[Symbol.asyncIterator]() {
      using bar = makeBar(options);
      let told: BatchProgress | undefined;
      const tell = () => {
        const { progress } = batches;
        if (progress !== undefined && progress !== told) bar(told = progress);
      };
      for await (const item of batches) {
        tell();
        yield item;
      }
      tell();
    },
  };
}

const ERASE = "\r\x1b[K";

/** Not by `node:process`: every program would load that at its start. */
function standardError(): ProgressStream {
  const { process } = globalThis as { process?: { stderr: ProgressStream } };
  return process?.stderr ?? { write: () => {} };
}

function makeBar(options: ProgressBarOptions): ProgressBar {
  const { label, stream = standardError(), interval = 100 } = options;
  let drawnAt = -Infinity;
  let last: string | undefined;
  const draw = (line: string) => stream.write(`${ERASE}${line}`);
  const bar: ProgressBar = Object.assign(
    (progress: Parameters<ProgressBar>[0]) => {
      if (stream.isTTY !== true) return;
      last = progressLine(label, { total: options.total, ...progress }, stream.columns ?? 80);
      const now = performance.now();
      if (now - drawnAt < interval) return;
      drawnAt = now;
      draw(last);
    },
    {
      [Symbol.dispose]() {
        if (last !== undefined) draw(`${last}\n`);
        last = undefined;
      },
    },
  );
  return bar;
}

/** `Label ████░░░░  50 %  100/200  2,000/s  0:01 left`, no wider than the terminal. */
function progressLine(
  label: string | undefined,
  { rows, total, rate }: Parameters<ProgressBar>[0],
  width: number,
): string {
  const head = label === undefined ? "" : `${label} `;
  const speed = `${count(rate)}/s`;
  if (total === undefined) return `${head}${count(rows)} rows  ${speed}`.slice(0, width - 1);
  // More rows can come while it runs.
  const part = total === 0 ? 1 : Math.min(1, rows / total);
  const left = rate > 0 ? `  ${duration(Math.max(0, total - rows) / rate)} left` : "";
  const tail = ` ${String(Math.floor(part * 100)).padStart(3)} %  ${count(rows)}/${
    count(total)
  }  ${speed}${left}`;
  const room = Math.max(0, Math.min(40, width - 1 - head.length - tail.length));
  const full = Math.round(part * room);
  return `${head}${"█".repeat(full)}${"░".repeat(room - full)}${tail}`.slice(0, width - 1);
}

function count(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

/** `1:05` or `2:00:09`. */
function duration(seconds: number): string {
  const whole = Math.round(seconds);
  const two = (part: number) => String(part).padStart(2, "0");
  const minutes = Math.floor(whole / 60) % 60;
  const hours = Math.floor(whole / 3600);
  return hours > 0
    ? `${hours}:${two(minutes)}:${two(whole % 60)}`
    : `${minutes}:${two(whole % 60)}`;
}
