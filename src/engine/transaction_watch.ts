/** Which transactions of an engine are open, and which of them for too long. */

import type { LeakReport, LeaseTask } from "../pool/pool.ts";
import { placeIn, traceHere } from "../util/place.ts";

/** How to watch. */
export interface TransactionWatchOptions {
  /** Report those open for longer than so many milliseconds; 0 is never. */
  readonly after: number;
  /** Told of each, once. */
  readonly report: (report: LeakReport) => void;
}

/**
 * How long a trace is kept as it is, in milliseconds. To make a text of it takes fifty times as long
 * as to take it, and most transactions end before; but it keeps every `this` of its frames, by
 * which a forgotten transaction would never be found.
 */
const TRACE_LIFETIME = 1_000;

class OpenTask implements LeaseTask {
  readonly since = Date.now();
  note: string | undefined;
  reported = false;
  #trace: Error | undefined;
  #stack: string | undefined;

  constructor(trace: Error | undefined) {
    this.#trace = trace;
  }

  get stack(): string | undefined {
    if (this.#trace !== undefined) this.#stack = placeIn(this.#trace).stack;
    this.#trace = undefined;
    return this.#stack;
  }

  /** When there is something to do about it, in milliseconds since the epoch. */
  due(after: number): number {
    if (this.#trace !== undefined) return this.since + Math.min(after, TRACE_LIFETIME);
    return this.reported ? Infinity : this.since + after;
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

  /**
   * A transaction begins.
   *
   * @param traced The program began it, and wants to know where.
   */
  begin(traced: boolean): LeaseTask {
    const { after } = this.#options;
    const task = new OpenTask(traced && after > 0 ? traceHere() : undefined);
    if (after > 0) {
      this.#open.add(task);
      if (this.#timer === undefined) this.#wait(task.due(after) - task.since);
    }
    return task;
  }

  /** It ended, or its connection was forgotten, or nobody is to mind it any more. */
  end(task: LeaseTask): void {
    this.#open.delete(task);
    if (this.#open.size === 0) this.close();
  }

  /** Stops watching. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #wait(ms: number): void {
    this.#timer = setTimeout(() => this.#look(), Math.min(ms, 2 ** 31 - 1));
  }

  #look(): void {
    this.#timer = undefined;
    const { after } = this.#options;
    const now = Date.now();
    let next = Infinity;
    for (const task of this.#open as Set<OpenTask>) {
      if (task.due(after) <= now) this.#mind(task, now);
      next = Math.min(next, task.due(after));
    }
    if (next < Infinity && this.#timer === undefined) this.#wait(Math.max(next - now, 1));
  }

  #mind(task: OpenTask, now: number): void {
    const { since, note, stack } = task;
    const heldFor = now - since;
    if (heldFor < this.#options.after || task.reported) return;
    task.reported = true;
    this.#options.report({ kind: "transaction", since, heldFor, note, stack, task });
  }
}
