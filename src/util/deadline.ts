/** A promise against a timeout and an `AbortSignal`. Used by the pool and the engine. */

import { onAbort } from "./abort.ts";

/** The longest delay `setTimeout` takes; a longer one would fire at once. */
const LONGEST_DELAY = 2 ** 31 - 1;

/** Why somebody stopped waiting. */
export type GivenUp = "aborted" | "timed out";

/** What can end a wait. */
export interface WaitLimits {
  /** Ends the wait when aborted. */
  signal?: AbortSignal | undefined;
  /** Ends the wait after so many milliseconds. Without it, or with 0 or `Infinity`: never. */
  timeout?: number | undefined;
}

/**
 * Calls `callback` once, when the signal is aborted or the time is over, whichever comes first.
 * Gives a function that calls it off. The signal must not be aborted yet.
 */
export function whenGivenUp(limits: WaitLimits, callback: (why: GivenUp) => void): () => void {
  const { signal, timeout } = limits;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let forget: (() => void) | undefined;
  const stop = () => {
    clearTimeout(timer);
    forget?.();
  };
  if (timeout !== undefined && timeout > 0 && timeout !== Infinity) {
    timer = setTimeout(() => {
      stop();
      callback("timed out");
    }, Math.min(timeout, LONGEST_DELAY));
  }
  if (signal !== undefined) {
    forget = onAbort(signal, () => {
      stop();
      callback("aborted");
    });
  }
  return stop;
}

/** How {@linkcode deadline} limits a promise. */
export interface DeadlineOptions<T> extends WaitLimits {
  /** Makes the error to reject with when the time is over. */
  onTimeout: () => unknown;
  /** Gets the value if it comes after all, when nobody waits for it any more. */
  onLate?: (value: T) => void;
}

/**
 * Settles as `promise` does, or rejects when the limits end the wait: with the signal's reason, or
 * with what `onTimeout` makes. The promise itself goes on; a late failure of it is dropped.
 */
export function deadline<T>(promise: PromiseLike<T>, options: DeadlineOptions<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    let waiting = true;
    const giveUp = (why: GivenUp) => {
      waiting = false;
      reject(why === "aborted" ? options.signal!.reason : options.onTimeout());
    };
    let stop: (() => void) | undefined;
    if (options.signal?.aborted) giveUp("aborted");
    else stop = whenGivenUp(options, giveUp);
    promise.then((value) => {
      stop?.();
      if (waiting) resolve(value);
      else options.onLate?.(value);
    }, (error) => {
      stop?.();
      reject(error);
    });
  });
}

/** Waits so many milliseconds; rejects with the signal's reason when it is aborted first. */
export function delay(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    whenGivenUp({ signal, timeout: Math.max(ms, 1) }, (why) => {
      if (why === "aborted") reject(signal!.reason);
      else resolve();
    });
  });
}
