/** Counts what an engine sends. */

import type { AsyncEngine } from "../../../mod.ts";

/** Statements and what they took. */
export interface Lap {
  statements: number;
  /** Transactions committed. */
  commits: number;
  /** Time since the last lap, in milliseconds. */
  ms: number;
}

/** Counts statements and commits from lap to lap. */
export class Tally {
  #statements = 0;
  #commits = 0;
  #since = performance.now();

  constructor(engine: AsyncEngine) {
    engine.on("statement", () => this.#statements++);
    engine.on("transaction", ({ action, error }) => {
      if (action === "commit" && error === undefined) this.#commits++;
    });
  }

  /** What was sent since the last lap. */
  lap(): Lap {
    const now = performance.now();
    const lap = { statements: this.#statements, commits: this.#commits, ms: now - this.#since };
    this.#statements = this.#commits = 0;
    this.#since = now;
    return lap;
  }
}

/** A lap in words. */
export function lapText({ statements, commits, ms }: Lap): string {
  return `${plural(statements, "statement")}, ${plural(commits, "commit")}, ${ms.toFixed(0)} ms`;
}

function plural(count: number, noun: string): string {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}
