/**
 * One timer for all deadlines of a connection. A timer for each statement would cost a fast one more
 * than its own answer takes to read.
 *
 * @module
 */

/** Wakes somebody at the earliest of many deadlines. */
export class Watchdog {
  readonly #look: (now: number) => number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #at = Infinity;

  /** `look` is called when a deadline may have passed; it gives the next one, or `Infinity`. */
  constructor(look: (now: number) => number) {
    this.#look = look;
  }

  /**
   * Makes sure that somebody looks at `deadline`, by `performance.now()`. What was asked for earlier
   * need not be taken back: it costs one look in vain.
   */
  watch(deadline: number): void {
    if (deadline >= this.#at) return;
    clearTimeout(this.#timer);
    this.#at = deadline;
    const wait = Math.max(deadline - performance.now(), 0) + 1;
    this.#timer = setTimeout(() => {
      this.#at = Infinity;
      this.watch(this.#look(performance.now()));
    }, Math.min(wait, 2 ** 31 - 1));
  }

  /** Looks no more. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#at = -Infinity;
  }
}
