/**
 * SQLite lets one connection write at a time. Connections of one process queue here for their
 * turn, first come first served, instead of all asking the file again and again.
 *
 * @module
 */

import { LockTimeoutError } from "../../errors.ts";
import { type WaitLimits, whenGivenUp } from "../../util/deadline.ts";

/** The turn to write to one file. */
export class WriterLock {
  readonly #waiting = new Set<() => void>();
  #held = false;
  #since = 0;

  /** Takes the lock if it is free and nobody waits. */
  tryAcquire(): boolean {
    if (this.#held) return false;
    this.#take();
    return true;
  }

  /**
   * Waits for the lock.
   *
   * @throws {LockTimeoutError} When the time is over; the signal's reason when it is aborted.
   */
  acquire(limits: WaitLimits): Promise<void> {
    if (limits.signal?.aborted) return Promise.reject(limits.signal.reason);
    if (this.tryAcquire()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const turn = () => {
        stop();
        this.#take();
        resolve();
      };
      const stop = whenGivenUp(limits, (why) => {
        this.#waiting.delete(turn);
        reject(
          why === "aborted" ? limits.signal!.reason : new LockTimeoutError(
            `The database is locked: another connection of this process has been writing for ${
              Math.round(performance.now() - this.#since)
            } ms`,
            {
              sqlState: "55P03",
              hint:
                "Commit or roll back that transaction first, or wait longer: { lockTimeout: 30_000 }",
            },
          ),
        );
      });
      this.#waiting.add(turn);
    });
  }

  /** Gives the lock to the next in line. */
  release(): void {
    this.#held = false;
    const [next] = this.#waiting;
    if (next === undefined) return;
    this.#waiting.delete(next);
    next();
  }

  #take(): void {
    this.#held = true;
    this.#since = performance.now();
  }
}

const locks = new Map<string, { readonly lock: WriterLock; users: number }>();

/** The one lock of the file at `path`, which must be its real path; forgotten when nobody uses it. */
export function useWriterLock(path: string): { lock: WriterLock; leave: () => void } {
  let entry = locks.get(path);
  if (entry === undefined) locks.set(path, entry = { lock: new WriterLock(), users: 0 });
  const used = entry;
  used.users++;
  return {
    lock: used.lock,
    leave: () => {
      if (--used.users === 0) locks.delete(path);
    },
  };
}
