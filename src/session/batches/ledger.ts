/**
 * The ledger of a walk: which stretches of rows are still to be done, which are in hand, and so
 * what a checkpoint has to say. In a walk with several workers, later batches can be committed
 * while an earlier one is still in hand; what is left are then several stretches.
 *
 * @module
 */

import type { WireRow } from "../../sql/wire.ts";
import type { Stretch } from "./checkpoint.ts";

/** A stretch that a worker has in hand, or that waits for one. */
export interface Window extends Stretch {
  /** Somebody works on it. */
  taken: boolean;
}

/** Which rows of a walk are still to be done. */
export class Ledger {
  /** In the walk's order; what is committed has left the list. */
  readonly #windows: Window[];

  /** Starts with what is to be done. */
  constructor(stretches: readonly Stretch[]) {
    this.#windows = stretches.map((stretch) => ({ ...stretch, taken: false }));
  }

  /** Takes the first stretch that nobody has in hand; undefined if there is none. */
  take(): Window | undefined {
    const window = this.#windows.find(({ taken }) => !taken);
    if (window !== undefined) window.taken = true;
    return window;
  }

  /** Puts a stretch back. */
  putBack(window: Window): void {
    window.taken = false;
  }

  /**
   * Cuts a taken stretch after the row that was read last, and gives the part in hand. The rest
   * waits for the next worker unless `ends`: nothing was behind that row.
   */
  cut(window: Window, last: WireRow, ends: boolean): Window {
    const whole = ends && window.upTo !== undefined;
    const upTo = whole ? window.upTo : last;
    const inHand: Window = { after: window.after, upTo, taken: true };
    // Behind the last row new ones can be inserted: where the end is open, it stays so.
    const rest: Window[] = whole ? [] : [{ after: last, upTo: window.upTo, taken: ends }];
    this.#windows.splice(this.#windows.indexOf(window), 1, inHand, ...rest);
    return inHand;
  }

  /** A stretch turned out to hold no row. */
  empty(window: Window): void {
    // An open end stays, taken for good, so that a checkpoint leads behind the last row.
    if (window.upTo !== undefined) this.committed(window);
  }

  /** A stretch is done. */
  committed(window: Window): void {
    this.#windows.splice(this.#windows.indexOf(window), 1);
  }

  /** What would be left if `done` were done; stretches that touch are one. */
  rest(done?: Window): Stretch[] {
    const rest: Stretch[] = [];
    for (const window of this.#windows) {
      if (window === done) continue;
      const { after, upTo } = window;
      const before = rest.at(-1);
      if (before !== undefined && before.upTo !== undefined && before.upTo === after) {
        rest[rest.length - 1] = { after: before.after, upTo };
      } else rest.push({ after, upTo });
    }
    return rest;
  }
}
