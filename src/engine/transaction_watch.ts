/** Which transactions of an engine are open, and which of them for too long. */

import type { LeakReport, LeaseTask } from "../pool/pool.ts";
import { placeIn, traceHere } from "./place.ts";

/** How to watch. */
export interface TransactionWatchOptions {
  /** Report those open for longer than so many milliseconds; 0 is never. */
  readonly after: number;
  /** Keep the place that began each. */
  readonly trace: boolean;
  /** Told of each, once. */
  readonly report: (report: LeakReport) => void;
}

/** Nothing here leads to a connection, so that forgotten ones can be collected. */
class OpenTask implements LeaseTask {
  readonly since = Date.now();
  note: string | undefined;
  reported = false;
  readonly #trace: Error | undefined;

  constructor(trace: boolean) {
    this.#trace = trace ? traceHere() : undefined;
  }

  get stack(): string | undefined {
    return this.#trace === undefined ? undefined : placeIn(this.#trace).stack;
  }
}

/** Watches over the transactions of one engine. One timer serves all; without any there is none. */
export class TransactionWatch {
  readonly #options: TransactionWatchOptions;
  readonly #open = new Set<LeaseTask>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Watches over none yet. */
  constructor(options: TransactionWatchOptions) {
    this.#options = options;
  }

  /** A transaction begins. */
  begin(): LeaseTask {
    const task = new OpenTask(this.#options.trace);
    if (this.#options.after > 0) {
      this.#open.add(task);
      this.#timer ??= setTimeout(() => this.#report(), this.#wait(this.#options.after));
    }
    return task;
  }

  /** It ended, or its connection was forgotten. */
  end(task: LeaseTask): void {
    this.#open.delete(task);
    if (this.#open.size === 0) this.close();
  }

  /** Stops watching. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #report(): void {
    this.#timer = undefined;
    const now = Date.now();
    let next = Infinity;
    for (const task of this.#open as Set<OpenTask>) {
      if (task.reported) continue;
      const left = task.since + this.#options.after - now;
      if (left > 0) {
        next = Math.min(next, left);
        continue;
      }
      task.reported = true;
      const { since, note, stack } = task;
      this.#options.report({
        kind: "transaction",
        since,
        heldFor: now - since,
        note,
        stack,
        task,
      });
    }
    if (next < Infinity) this.#timer = setTimeout(() => this.#report(), this.#wait(next));
  }

  #wait(ms: number): number {
    return Math.min(ms, 2 ** 31 - 1);
  }
}
