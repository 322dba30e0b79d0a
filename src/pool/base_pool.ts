/**
 * What the three pools share, which is nearly everything: they differ in how many may exist, how
 * many are kept, and when one is replaced or tested.
 *
 * What must hold: a place is a permit, and who holds a permit has, makes or cleans at most one
 * resource; idle resources have none. Something is made only when nothing lies idle, so there are
 * never more than the limit. What comes back is pushed to the idle ones *before* its permit is
 * freed, so that whoever is woken finds it.
 */

import {
  EngineDisposedError,
  InputError,
  NestedCheckoutError,
  PoolError,
  PoolTimeoutError,
} from "../errors.ts";
import { deadline, delay, whenGivenUp } from "../util/deadline.ts";
import { describeShortage } from "./forensics.ts";
import { type Lender, Loan, LoanLease, type Slot } from "./loan.ts";
import type {
  Lease,
  Pool,
  PoolAcquireOptions,
  PoolOptions,
  PoolResource,
  PoolStatus,
} from "./pool.ts";
import { traceHere } from "../util/place.ts";
import { type Permit, Semaphore } from "./semaphore.ts";

const DONE: Promise<void> = Promise.resolve();
/** What lies idle for longer is tested first, where only idle ones are. */
const IDLE_BEFORE_PING = 1_000;
const RETRY_DELAY = 100;

/** In what the pools differ. */
export interface PoolShape {
  /** How many can be lent at the same time. */
  limit: number;
  /** How many are kept idle. */
  keep: number;
  /** After how many milliseconds one is replaced at checkout. 0 is never. */
  recycle: number;
  /** Whether an idle one is tested before it is lent: always, never, or after a second of idleness. */
  prePing: boolean | "idle";
  /** After the loss of one, the others are doubtful: tested if idle, ended when they come back. */
  suspicious: boolean;
}

/** The one implementation of {@linkcode Pool}. */
export abstract class BasePool<T> implements Pool<T> {
  readonly #resource: PoolResource<T>;
  readonly #shape: PoolShape;
  readonly #poolTimeout: number;
  readonly #createTimeout: number;
  readonly #createAttempts: number;
  readonly #upkeepTimeout: number;
  readonly #leakAfter: number;
  readonly #trace: boolean;
  readonly #onLeak: PoolOptions["onLeak"];

  readonly #places: Semaphore;
  /** The most recently used one last. */
  readonly #idle: Slot<T>[] = [];
  /** In order of lending, so the longest held come first. */
  readonly #lent = new Set<Loan<T>>();
  #size = 0;
  /** Raised by each loss: what was made before it is doubtful. */
  #generation = 0;
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;
  /** Called when the last resource is gone, while the pool closes. */
  #onEmpty: (() => void) | undefined;
  #leakTimer: ReturnType<typeof setTimeout> | undefined;

  #checkouts = 0;
  #waited = 0;
  #waitTime = 0;
  #timedOut = 0;
  #cancelled = 0;
  #created = 0;
  #createFailed = 0;
  #lost = 0;
  #recycled = 0;
  #leaked = 0;

  readonly #forgotten = new FinalizationRegistry<Loan<T>>((loan) => {
    if (!this.#lent.has(loan)) return;
    this.#reportLeak(loan, "forgotten");
    this.#takeBack(loan, true);
  });
  readonly #lender: Lender<T> = {
    holds: (loan) => this.#lent.has(loan),
    takeBack: (loan, discard) => this.#takeBack(loan, discard),
  };

  /** Makes an empty pool. */
  constructor(resource: PoolResource<T>, shape: PoolShape, options: PoolOptions) {
    this.#resource = resource;
    this.#shape = shape;
    this.#poolTimeout = duration("poolTimeout", options.poolTimeout, 30_000);
    this.#createTimeout = duration("createTimeout", options.createTimeout, 10_000);
    this.#createAttempts = count("createAttempts", options.createAttempts, 2, 1);
    this.#upkeepTimeout = duration("upkeepTimeout", options.upkeepTimeout, 5_000);
    this.#leakAfter = duration("leakAfter", options.leakAfter, 0);
    this.#trace = options.traceCheckouts === true || this.#leakAfter > 0;
    this.#onLeak = options.onLeak;
    this.#places = new Semaphore(shape.limit);
  }

  // --- borrowing ---------------------------------------------------------------------------------

  tryAcquire(): Lease<T> | undefined {
    return this.#lendReady(() => this.#places.tryAcquire());
  }

  /** Lends the best idle one, if it can be lent as it is and there is a permit for it. */
  #lendReady(permitted: () => Permit | undefined, place = this.#here()): Lease<T> | undefined {
    const slot = this.#idle.at(-1);
    if (slot === undefined || this.#closed) return undefined;
    const now = Date.now();
    if (!this.#ready(slot, now)) return undefined;
    const permit = permitted();
    if (permit === undefined) return undefined;
    this.#idle.pop();
    return this.#lend(slot, permit, now, place);
  }

  acquire(options: PoolAcquireOptions<T> = {}): Promise<Lease<T>> {
    if (!options.signal?.aborted) {
      const lease = this.tryAcquire();
      if (lease) return Promise.resolve(lease);
    }
    return this.#acquireSlowly(options);
  }

  async #acquireSlowly(options: PoolAcquireOptions<T>): Promise<Lease<T>> {
    const { signal } = options;
    const timeout = duration("timeout", options.timeout, this.#poolTimeout);
    if (this.#closed) throw this.#disposedError();
    if (signal?.aborted) {
      this.#cancelled++;
      throw signal.reason;
    }
    const heldByAsker = options.held?.filter((lease) => !lease.released).length ?? 0;
    const started = performance.now();
    // After a wait nobody who asked is on the stack any more.
    const place = this.#here();
    const permit = this.#places.tryAcquire() ??
      await this.#waitInLine(options, timeout, heldByAsker, started);
    // Who waited gets what has just come back: nothing is left to wait for, and no limit to watch.
    const lease = signal?.aborted ? undefined : this.#lendReady(() => permit, place);
    if (lease !== undefined) return lease;
    const spent = performance.now() - started;
    // What is left is never 0, which would be no limit.
    const left = timeout === 0 ? 0 : Math.max(timeout - spent, 1);
    return await this.#lendPrepared(permit, place, signal, left, (why) => {
      if (why === "timed out") this.#timedOut++;
      else if (!this.#closed) this.#cancelled++;
      if (why === "timed out") return this.#timeoutError(timeout, heldByAsker);
      return signal?.aborted ? signal.reason : this.#disposedError();
    });
  }

  async #waitInLine(
    { signal }: PoolAcquireOptions<T>,
    timeout: number,
    heldByAsker: number,
    started: number,
  ): Promise<Permit> {
    if (heldByAsker >= this.#shape.limit) {
      throw new NestedCheckoutError(
        `Cannot get a ${this.#resource.noun} from inside a block that holds ` +
          `${this.#shape.limit === 1 ? "the only one" : `all ${this.#shape.limit}`}: ` +
          `the wait could never end\n${this.#shortage(heldByAsker)}`,
        { hint: "Use the one you hold, or raise poolSize" },
      );
    }
    this.#waited++;
    try {
      return await this.#places.acquire({ signal, timeout });
    } catch (error) {
      if (this.#closed) throw error;
      if (signal?.aborted) {
        this.#cancelled++;
        throw error;
      }
      this.#timedOut++;
      throw this.#timeoutError(timeout, heldByAsker);
    } finally {
      this.#waitTime += performance.now() - started;
    }
  }

  /**
   * Makes something ready and lends it. The asker may give up meanwhile: the work goes on, keeps its
   * place until it is done, and what comes of it lies idle for the next one.
   */
  #lendPrepared(
    permit: Permit,
    place: Error | undefined,
    signal: AbortSignal | undefined,
    timeout: number,
    giveUp: (why: "aborted" | "timed out") => unknown,
  ): Promise<Lease<T>> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted || this.#closed) {
        permit.release();
        return reject(giveUp("aborted"));
      }
      let waiting = true;
      const leave = (why: "aborted" | "timed out") => {
        if (!waiting) return;
        waiting = false;
        stop();
        reject(giveUp(why));
      };
      const stopAsker = whenGivenUp({ signal, timeout }, leave);
      const stopPool = whenGivenUp({ signal: this.#closing.signal }, leave);
      const stop = () => {
        stopAsker();
        stopPool();
      };
      this.#prepare().then((slot) => {
        if (!waiting) return void this.#keep(slot, permit);
        stop();
        resolve(this.#lend(slot, permit, Date.now(), place));
      }, (error) => {
        permit.release();
        if (!waiting) return;
        stop();
        reject(error);
      });
    });
  }

  /** The place that asks, where it is wanted. */
  #here(): Error | undefined {
    return this.#trace ? traceHere() : undefined;
  }

  #lend(slot: Slot<T>, permit: Permit, now: number, place: Error | undefined): Lease<T> {
    const loan = new Loan(slot, permit, now, place);
    this.#lent.add(loan);
    this.#checkouts++;
    const lease = new LoanLease(this.#lender, loan);
    this.#forgotten.register(lease, loan, loan);
    if (this.#leakAfter > 0) this.#watchForLeaks(now);
    return lease;
  }

  // --- making ready ------------------------------------------------------------------------------

  /** The best idle one that passes, or a new one. */
  async #prepare(): Promise<Slot<T>> {
    for (let attempt = 1;; attempt++) {
      for (let slot = this.#idle.pop(); slot; slot = this.#idle.pop()) {
        if (this.#ready(slot, Date.now()) || await this.#passes(slot)) return slot;
        await this.#end(slot, slot.lost);
      }
      try {
        return await this.#create();
      } catch (error) {
        this.#createFailed++;
        const again = attempt < this.#createAttempts && !this.#closed &&
          this.#resource.retryable(error);
        if (!again) throw error;
      }
      // Between one and two times the delay, so that those who failed together do not return together.
      await delay(RETRY_DELAY * (1 + Math.random()), this.#closing.signal);
    }
  }

  /** It can be lent as it is. */
  #ready(slot: Slot<T>, now: number): boolean {
    const { prePing } = this.#shape;
    return now < slot.recycleAt && slot.generation === this.#generation && prePing !== true &&
      (prePing === false || now - slot.idleSince < IDLE_BEFORE_PING) &&
      !this.#resource.isLost(slot.resource);
  }

  /** It is young and alive. */
  async #passes(slot: Slot<T>): Promise<boolean> {
    if (this.#resource.isLost(slot.resource)) {
      this.#noteLoss(slot);
      return false;
    }
    if (Date.now() >= slot.recycleAt) {
      this.#recycled++;
      return false;
    }
    const generation = this.#generation;
    let stalled = false;
    try {
      await deadline(this.#resource.check(slot.resource), {
        timeout: this.#upkeepTimeout,
        onTimeout: () => {
          stalled = true;
          return undefined;
        },
      });
      slot.generation = generation;
      return !this.#resource.isLost(slot.resource);
    } catch {
      this.#noteLoss(slot);
      // One that is silent has cost its asker the whole limit; the other doubtful ones are not to do
      // that one by one.
      if (stalled) { for (const other of this.#takeDoubtful()) void this.#end(other, true); }
      return false;
    }
  }

  #takeDoubtful(): Slot<T>[] {
    const doubtful = this.#idle.filter((slot) => slot.generation !== this.#generation);
    const sound = this.#idle.filter((slot) => slot.generation === this.#generation);
    this.#idle.splice(0, this.#idle.length, ...sound);
    return doubtful;
  }

  async #create(): Promise<Slot<T>> {
    const generation = this.#generation;
    const unwanted = new AbortController();
    const recycle = this.#shape.recycle;
    const now = Date.now();
    let slot: Slot<T> | undefined;
    let lostEarly = false;
    this.#size++;
    try {
      const creation = this.#resource.create({
        signal: AbortSignal.any([unwanted.signal, this.#closing.signal]),
        onLost: () => slot ? this.#onLoss(slot) : void (lostEarly = true),
      });
      const resource = await deadline(creation, {
        timeout: this.#createTimeout,
        onTimeout: () => {
          const error = new PoolTimeoutError(
            `Cannot make a ${this.#resource.noun} within ${this.#createTimeout} ms`,
          );
          unwanted.abort(error);
          return error;
        },
        onLate: (late) => void this.#destroy(late, true),
      });
      this.#created++;
      slot = {
        resource,
        generation,
        // Up to a tenth earlier, so that what was made together is not replaced together.
        recycleAt: recycle > 0 ? now + recycle * (1 - 0.1 * Math.random()) : Infinity,
        idleSince: now,
        lost: false,
      };
      if (lostEarly) this.#onLoss(slot);
      return slot;
    } catch (error) {
      this.#shrink();
      throw error;
    }
  }

  // --- coming back -------------------------------------------------------------------------------

  #takeBack(loan: Loan<T>, discard: boolean): Promise<void> {
    if (!this.#lent.delete(loan)) return DONE;
    this.#forgotten.unregister(loan);
    if (this.#leakTimer !== undefined && this.#lent.size === 0) this.#stopWatching();
    const { slot, permit } = loan;
    if (discard || this.#resource.isLost(slot.resource)) return this.#retire(slot, permit, true);
    let clean: boolean | Promise<boolean>;
    try {
      clean = this.#resource.reset(slot.resource);
    } catch {
      clean = false;
    }
    if (clean === true) return this.#keep(slot, permit);
    if (clean === false) return this.#retire(slot, permit, true);
    return deadline(clean, { timeout: this.#upkeepTimeout, onTimeout: () => undefined }).then(
      (clean) => clean ? this.#keep(slot, permit) : this.#retire(slot, permit, true),
      () => this.#retire(slot, permit, true),
    );
  }

  /** Lays a clean one down for the next asker, if it is still wanted. */
  #keep(slot: Slot<T>, permit: Permit): Promise<void> {
    const doubtful = slot.generation !== this.#generation;
    const lost = this.#resource.isLost(slot.resource);
    if (this.#closed || doubtful || lost || !this.#hasUse()) {
      return this.#retire(slot, permit, lost);
    }
    slot.idleSince = Date.now();
    this.#idle.push(slot);
    permit.release();
    return DONE;
  }

  /**
   * One more idle one is of use: somebody waits for it, or there are fewer than are kept. Those
   * that the ones just woken are about to take do not count; else they would find too few.
   */
  #hasUse(): boolean {
    const { keep } = this.#shape;
    if (keep === 0) return false;
    const woken = this.#places.inUse - (this.#size - this.#idle.length);
    return this.#places.waiting > 0 || this.#idle.length - woken < keep;
  }

  /** Ends one that was lent. Its place comes free when it is gone, so the limit always holds. */
  #retire(slot: Slot<T>, permit: Permit, force: boolean): Promise<void> {
    if (this.#resource.isLost(slot.resource)) this.#noteLoss(slot);
    return this.#end(slot, force).then(() => permit.release());
  }

  async #end(slot: Slot<T>, force: boolean): Promise<void> {
    await this.#destroy(slot.resource, force);
    this.#shrink();
  }

  /** Never rejects, and never takes longer than twice the limit for upkeep. */
  async #destroy(resource: T, force: boolean): Promise<void> {
    try {
      await deadline(Promise.resolve(this.#resource.destroy(resource, force)), {
        timeout: this.#upkeepTimeout,
        onTimeout: () => new PoolError("Destroying takes too long"),
      });
    } catch {
      // It is given up either way. If politeness did not work, force does.
      if (!force) await this.#destroy(resource, true);
    }
  }

  #shrink(): void {
    this.#size--;
    if (this.#size === 0) this.#onEmpty?.();
  }

  // --- losses and leaks --------------------------------------------------------------------------

  #onLoss(slot: Slot<T>): void {
    this.#noteLoss(slot);
    const index = this.#idle.indexOf(slot);
    if (index === -1) return;
    this.#idle.splice(index, 1);
    void this.#end(slot, true);
  }

  #noteLoss(slot: Slot<T>): void {
    if (slot.lost) return;
    slot.lost = true;
    this.#lost++;
    // The death of one that was doubtful already says nothing about those made since.
    if (this.#shape.suspicious && slot.generation === this.#generation) this.#generation++;
  }

  /** One timer for all leases: it waits for the oldest that was not reported. */
  #watchForLeaks(now: number): void {
    if (this.#leakTimer !== undefined) return;
    for (const loan of this.#lent) {
      if (loan.reported) continue;
      const left = Math.max(loan.since + this.#leakAfter - now, 1);
      this.#leakTimer = setTimeout(() => this.#reportHeld(), Math.min(left, 2 ** 31 - 1));
      return;
    }
  }

  #reportHeld(): void {
    this.#leakTimer = undefined;
    const now = Date.now();
    for (const loan of this.#lent) {
      if (now - loan.since < this.#leakAfter) break;
      if (loan.reported) continue;
      loan.reported = true;
      this.#reportLeak(loan, "held");
    }
    this.#watchForLeaks(now);
  }

  #reportLeak(loan: Loan<T>, kind: "held" | "forgotten"): void {
    this.#leaked++;
    this.#onLeak?.(loan.report(kind, Date.now()));
  }

  #stopWatching(): void {
    clearTimeout(this.#leakTimer);
    this.#leakTimer = undefined;
  }

  // --- telling -----------------------------------------------------------------------------------

  get checkedOut(): number {
    return this.#lent.size;
  }

  status(): PoolStatus {
    return {
      limit: this.#shape.limit,
      size: this.#size,
      checkedOut: this.#lent.size,
      idle: this.#idle.length,
      overflow: Math.max(this.#size - this.#shape.keep, 0),
      waiting: this.#places.waiting,
      closed: this.#closed !== undefined,
      checkouts: this.#checkouts,
      waited: this.#waited,
      waitTime: this.#waitTime,
      timedOut: this.#timedOut,
      cancelled: this.#cancelled,
      created: this.#created,
      createFailed: this.#createFailed,
      lost: this.#lost,
      recycled: this.#recycled,
      leaked: this.#leaked,
    };
  }

  #shortage(heldByAsker: number): string {
    return describeShortage({
      noun: this.#resource.noun,
      limit: this.#shape.limit,
      loans: this.#lent,
      lent: this.#lent.size,
      waiting: this.#places.waiting,
      heldByAsker,
      now: Date.now(),
    });
  }

  #timeoutError(timeout: number, heldByAsker: number): PoolTimeoutError {
    const trace = this.#trace ? "" : ", or set traceCheckouts: true to see where they were taken";
    const hint = this.#lent.size < this.#shape.limit
      ? `Allow more time, or see why a ${this.#resource.noun} is made so slowly`
      : `Give them back sooner, raise poolSize, maxOverflow or poolTimeout${trace}`;
    return new PoolTimeoutError(
      `Cannot get a ${this.#resource.noun} within ${timeout} ms: ${this.#shortage(heldByAsker)}`,
      { hint },
    );
  }

  #disposedError(): EngineDisposedError {
    return new EngineDisposedError(
      `Cannot get a ${this.#resource.noun}: the pool is closed`,
      { hint: "The engine was disposed; make a new one" },
    );
  }

  // --- the end -----------------------------------------------------------------------------------

  close(options: { timeout?: number | undefined } = {}): Promise<void> {
    return this.#closed ??= this.#close(options.timeout ?? 10_000);
  }

  async #close(timeout: number): Promise<void> {
    // Yields first, so that #closed is set for everything that the following wakes.
    await DONE;
    const error = this.#disposedError();
    this.#places.rejectWaiting(error);
    this.#closing.abort(error);
    for (const slot of this.#idle.splice(0)) void this.#end(slot, false);
    if (timeout > 0) await this.#empty(timeout);
    this.#stopWatching();
    const ends = [...this.#lent].map((loan) => this.#takeBack(loan, true));
    await Promise.all(ends);
    if (this.#size > 0) await this.#empty(2 * this.#upkeepTimeout);
  }

  /** Waits until nothing exists any more, so many milliseconds at most. */
  async #empty(timeout: number): Promise<void> {
    if (this.#size === 0) return;
    const empty = new Promise<void>((resolve) => this.#onEmpty = resolve);
    await deadline(empty, { timeout, onTimeout: () => undefined }).catch(() => {});
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function duration(name: string, value: number | undefined, otherwise: number): number {
  if (value === undefined) return otherwise;
  if (typeof value === "number" && value >= 0) return value === Infinity ? 0 : value;
  throw new InputError(`The pool's ${name} cannot be ${String(value)}`, {
    hint: "Pass milliseconds, 0 for none",
  });
}

/** Checks a number of things: whole, and `least` or more. */
export function count(
  name: string,
  value: number | undefined,
  otherwise: number,
  least: number,
): number {
  if (value === undefined) return otherwise;
  if (value === Infinity || Number.isSafeInteger(value) && value >= least) return value;
  throw new InputError(`The pool's ${name} cannot be ${String(value)}`, {
    hint: `Pass a whole number from ${least} up`,
  });
}
