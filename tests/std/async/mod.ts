/**
 * A stand-in for `jsr:@std/async` on machines that cannot reach JSR: the same names, signatures and
 * behaviour for what our tests use. Nothing here is published.
 */

/** Options for `delay`. */
export interface DelayOptions {
  /** Signal used to abort the delay. */
  signal?: AbortSignal;
  /** Whether the process should stay alive for the timer. Default true. */
  persistent?: boolean;
}

/** Resolves after `ms` milliseconds; rejects with the signal's reason if it is aborted before. */
export function delay(ms: number, options: DelayOptions = {}): Promise<void> {
  const { signal, persistent = true } = options;
  if (signal?.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", abort, { once: true });
    if (!persistent) Deno.unrefTimer(timer);
  });
}

/** Makes a promise abortable: it rejects with the signal's reason as soon as that is aborted. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) return Promise.reject(signal.reason);
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  return Promise.race([aborted, promise]).finally(() => signal.removeEventListener("abort", abort));
}

/** Options for `deadline`. */
export interface DeadlineOptions {
  /** Signal used to abort the deadline. */
  signal?: AbortSignal;
}

/** Rejects with a `DOMException` named `TimeoutError` if `promise` does not settle within `ms`. */
export async function deadline<T>(
  promise: Promise<T>,
  ms: number,
  options: DeadlineOptions = {},
): Promise<T> {
  // A timer of our own, cleared at the end, keeps the sanitizers quiet; AbortSignal.timeout's cannot be.
  const controller = new AbortController();
  const timer = setTimeout(
    () => controller.abort(new DOMException("Signal timed out.", "TimeoutError")),
    ms,
  );
  const signals = [controller.signal, ...(options.signal ? [options.signal] : [])];
  try {
    return await abortable(promise, AbortSignal.any(signals));
  } finally {
    clearTimeout(timer);
  }
}
