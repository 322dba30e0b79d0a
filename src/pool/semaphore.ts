import { InputError, PoolTimeoutError } from "../errors.ts";
import { whenGivenUp } from "../util/deadline.ts";

/** How long to wait for a permit. */
export interface AcquireOptions {
  /** Leaves the queue when aborted; `acquire` then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Leaves the queue after so many milliseconds. Without it, or with 0, waits for ever. */
  timeout?: number | undefined;
}

/** The right to be one of the few. Given back by `release()` or at the end of a `using` block. */
export interface Permit extends Disposable {
  /** Gives the permit back; a second call does nothing. */
  release(): void;
}

/** A place in the queue: a node of a doubly linked list, so that leaving costs the same anywhere. */
interface Waiter {
  previous: Waiter | undefined;
  next: Waiter | undefined;
  readonly resolve: (permit: Permit) => void;
  readonly reject: (reason: unknown) => void;
  /** Calls off its timer and its signal. */
  stop: (() => void) | undefined;
}

/**
 * Lets a limited number in at a time, first come, first served.
 *
 * Every operation costs the same whatever the length of the queue, so ten thousand waiters are no
 * trouble. Nobody can push in: while somebody waits, a permit that comes free goes to the first in
 * line and is never seen by {@linkcode Semaphore.tryAcquire}.
 *
 * @example Two at a time
 * ```ts
 * import { Semaphore } from "@sluice/orm";
 * import { assertEquals } from "@std/assert";
 *
 * const semaphore = new Semaphore(2);
 * {
 *   using _permit = await semaphore.acquire();
 *   assertEquals(semaphore.available, 1);
 * }
 * assertEquals(semaphore.available, 2);
 * ```
 *
 * @example Download many files, four at a time
 * ```ts
 * import { Semaphore } from "@sluice/orm";
 * import { assertEquals } from "@std/assert";
 *
 * const semaphore = new Semaphore(4);
 * let running = 0;
 * let most = 0;
 * await Promise.all(Array.from({ length: 20 }, async () => {
 *   using _permit = await semaphore.acquire();
 *   most = Math.max(most, ++running);
 *   await Promise.resolve();
 *   running--;
 * }));
 * assertEquals(most, 4);
 * ```
 */
export class Semaphore {
  /** How many permits there are altogether. */
  readonly permits: number;
  #inUse = 0;
  #first: Waiter | undefined;
  #last: Waiter | undefined;
  #waiting = 0;
  readonly #giveBack = () => this.#release();

  /**
   * Makes a semaphore with all its permits available.
   *
   * @param permits A whole number from 1 up, or `Infinity` for no limit.
   * @throws {InputError} `INVALID_INPUT` for any other number.
   */
  constructor(permits: number) {
    if (permits !== Infinity && (!Number.isSafeInteger(permits) || permits < 1)) {
      throw new InputError(`A semaphore cannot have ${permits} permits`, {
        hint: "Pass a whole number from 1 up, or Infinity",
      });
    }
    this.permits = permits;
  }

  /** Permits nobody has at this moment. */
  get available(): number {
    return this.permits - this.#inUse;
  }

  /** Permits somebody has, or is about to get, at this moment. */
  get inUse(): number {
    return this.#inUse;
  }

  /** How many wait in the queue at this moment. */
  get waiting(): number {
    return this.#waiting;
  }

  /**
   * Takes a permit if one is free at once.
   *
   * @example
   * ```ts
   * import { Semaphore } from "@sluice/orm";
   * import { assertEquals } from "@std/assert";
   *
   * const semaphore = new Semaphore(1);
   * using permit = semaphore.tryAcquire();
   * assertEquals(permit !== undefined, true);
   * assertEquals(semaphore.tryAcquire(), undefined);
   * ```
   */
  tryAcquire(): Permit | undefined {
    if (this.#inUse === this.permits) return undefined;
    this.#inUse++;
    return new HeldPermit(this.#giveBack);
  }

  /**
   * Waits for a permit, in order of arrival.
   *
   * Aborting or running out of time removes the caller from the queue; a permit that was on its way
   * in the same tick goes to the next in line.
   *
   * @returns A permit, given back when disposed.
   * @throws {PoolTimeoutError} `POOL_TIMEOUT` when no permit came free in time.
   * @throws The signal's reason, when it is aborted first.
   * @throws {InputError} `INVALID_INPUT` when `timeout` is negative or not a number.
   *
   * @example Give up after a while
   * ```ts
   * import { PoolTimeoutError, Semaphore } from "@sluice/orm";
   * import { assertRejects } from "@std/assert";
   *
   * const semaphore = new Semaphore(1);
   * using _permit = await semaphore.acquire();
   * await assertRejects(() => semaphore.acquire({ timeout: 5 }), PoolTimeoutError);
   * ```
   */
  acquire(options: AcquireOptions = {}): Promise<Permit> {
    const { signal, timeout } = options;
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (timeout !== undefined && !(timeout >= 0)) {
      return Promise.reject(
        new InputError(`Cannot wait ${timeout} ms for a permit`, {
          hint: "Pass a timeout of 0 (no limit) or more milliseconds",
        }),
      );
    }
    const permit = this.tryAcquire();
    if (permit) return Promise.resolve(permit);
    const promise = this.#wait(options);
    if (signal === undefined) return promise;
    return promise.then((permit) => {
      if (!signal.aborted) return permit;
      permit.release();
      throw signal.reason;
    });
  }

  /** Sends everybody in the queue away: their `acquire` rejects with `reason`. */
  rejectWaiting(reason: unknown): void {
    while (this.#first) {
      const waiter = this.#first;
      this.#remove(waiter);
      waiter.reject(reason);
    }
  }

  #wait({ signal, timeout }: AcquireOptions): Promise<Permit> {
    return new Promise((resolve, reject) => {
      const previous = this.#last;
      const waiter: Waiter = { previous, next: undefined, resolve, reject, stop: undefined };
      if (previous) previous.next = waiter;
      else this.#first = waiter;
      this.#last = waiter;
      this.#waiting++;
      if (signal === undefined && !timeout) return;
      waiter.stop = whenGivenUp({ signal, timeout }, (why) => {
        this.#remove(waiter);
        reject(why === "aborted" ? signal!.reason : this.#timeoutError(timeout!));
      });
    });
  }

  #remove(waiter: Waiter): void {
    if (waiter.previous) waiter.previous.next = waiter.next;
    else this.#first = waiter.next;
    if (waiter.next) waiter.next.previous = waiter.previous;
    else this.#last = waiter.previous;
    this.#waiting--;
    waiter.stop?.();
  }

  /** Hands the permit to the first in line without making it available in between: no overtaking. */
  #release(): void {
    const waiter = this.#first;
    if (waiter === undefined) {
      this.#inUse--;
      return;
    }
    this.#remove(waiter);
    waiter.resolve(new HeldPermit(this.#giveBack));
  }

  #timeoutError(timeout: number): PoolTimeoutError {
    return new PoolTimeoutError(
      `Cannot acquire a permit within ${timeout} ms: all ${this.permits} are in use, ` +
        `${this.#waiting} more wait`,
    );
  }
}

class HeldPermit implements Permit {
  #giveBack: (() => void) | undefined;

  constructor(giveBack: () => void) {
    this.#giveBack = giveBack;
  }

  release(): void {
    const giveBack = this.#giveBack;
    this.#giveBack = undefined;
    giveBack?.();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
