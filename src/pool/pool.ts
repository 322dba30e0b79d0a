/**
 * What a pool is: it lends out things that are costly to make, one borrower at a time each, and
 * never more than so many. It has never heard of SQL; the engine teaches it by {@linkcode PoolResource}.
 *
 * @module
 */

/** What a new resource is told at its birth. */
export interface CreateContext {
  /** Aborted when the resource is no longer wanted: the limit is over or the pool is closing. */
  readonly signal: AbortSignal;
  /** To be called when the resource dies by itself, lent or idle. Further calls do nothing. */
  readonly onLost: () => void;
}

/** How the pool makes, tests, cleans and ends what it lends. */
export interface PoolResource<T> {
  /** What one of them is called in messages: `connection`. */
  readonly noun: string;
  /** Makes one. */
  create(context: CreateContext): Promise<T>;
  /** Tells whether a failed `create` is worth another attempt a little later. */
  retryable(error: unknown): boolean;
  /** Asks an idle one for a sign of life; rejects when there is none. */
  check(resource: T): Promise<void>;
  /** Cleans one that comes back. `true` if it may be lent again; at once where nothing is to do. */
  reset(resource: T): boolean | Promise<boolean>;
  /** Ends one: politely, or at once and without asking when `force` is set. */
  destroy(resource: T, force: boolean): Promise<void> | void;
  /** It is dead and must not be lent. */
  isLost(resource: T): boolean;
}

/** How to borrow. */
export interface PoolAcquireOptions<T> {
  /** Gives up when aborted; `acquire` rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Gives up after so many milliseconds. Default: the pool's own. 0 is no limit. */
  timeout?: number | undefined;
  /**
   * What the asker holds already. If those fill every place, the wait could never end and is refused
   * at once.
   */
  held?: readonly Lease<T>[] | undefined;
}

/** What a borrower is in the middle of, and would leave undone if he forgot the lease. */
export interface LeaseTask {
  /** Since when, in milliseconds since the epoch. */
  readonly since: number;
  /** Where it was begun, if that was recorded. */
  readonly stack: string | undefined;
  /** What was last done for it. */
  note: string | undefined;
}

/** Something lent. Held by one borrower until `release` or `discard`, or the end of `await using`. */
export interface Lease<T> extends AsyncDisposable {
  /** What is lent. */
  readonly resource: T;
  /** When it was lent, in milliseconds since the epoch. */
  readonly since: number;
  /** Where it was lent, with `traceCheckouts` or `leakAfter`. */
  readonly stack: string | undefined;
  /** It was given back, or taken back by the pool's end. */
  readonly released: boolean;
  /** What the borrower does with it, for `PoolTimeoutError` and leak reports. Set by the borrower. */
  note: string | undefined;
  /** What the borrower is in the middle of, for reports of forgotten leases. Set by the borrower. */
  task: LeaseTask | undefined;
  /** Gives it back to be cleaned and lent again. Never rejects; a second call does nothing. */
  release(): Promise<void>;
  /** Gives it back to be destroyed. Never rejects; a second call does nothing. */
  discard(): Promise<void>;
}

/** A lease that was held too long, or whose borrower forgot it. */
export interface LeakReport {
  /**
   * `held`: longer than `leakAfter`. `forgotten`: collected as garbage; the place is free again.
   * `transaction`: a transaction is open for longer than `transactionWarnAfter`.
   */
  readonly kind: "held" | "forgotten" | "transaction";
  /** When it was lent, or the transaction begun, in milliseconds since the epoch. */
  readonly since: number;
  /** For how long by now, in milliseconds. */
  readonly heldFor: number;
  /** What the borrower last did with it. */
  readonly note: string | undefined;
  /** Where it was lent or, with an open transaction, where that was begun, if it was recorded. */
  readonly stack: string | undefined;
  /** The task that a forgotten lease left undone: with an engine, its open transaction. */
  readonly task: LeaseTask | undefined;
}

/** A pool at one moment, and its counters since it was made. */
export interface PoolStatus {
  /** How many can be lent at the same time. */
  readonly limit: number;
  /** How many exist: idle, lent, or being made, tested, cleaned or ended. */
  readonly size: number;
  /** How many are lent. */
  readonly checkedOut: number;
  /** How many lie ready. */
  readonly idle: number;
  /** How many exist beyond those that the pool keeps. */
  readonly overflow: number;
  /** How many askers wait in the queue for a place. */
  readonly waiting: number;
  /** The pool is closing or closed. */
  readonly closed: boolean;
  /** Lent so far. */
  readonly checkouts: number;
  /** Checkouts that had to wait in the queue. */
  readonly waited: number;
  /** Milliseconds spent in the queue, all of them together. */
  readonly waitTime: number;
  /** Askers whose time was over before they got one. */
  readonly timedOut: number;
  /** Askers whose signal was aborted before they got one. */
  readonly cancelled: number;
  /** Made so far. */
  readonly created: number;
  /** Failed attempts to make one. */
  readonly createFailed: number;
  /** Died, or did not answer their test. */
  readonly lost: number;
  /** Replaced because of their age. */
  readonly recycled: number;
  /** Reported as leaks. */
  readonly leaked: number;
}

/** Options that every pool takes. */
export interface PoolOptions {
  /** Longest wait for a lease, in milliseconds. 0 is no limit. Default 30,000. */
  poolTimeout?: number | undefined;
  /** Longest time for one `create`, in milliseconds. 0 is no limit. Default 10,000. */
  createTimeout?: number | undefined;
  /** Attempts to create, where the error says that another may succeed. Default 2. */
  createAttempts?: number | undefined;
  /** Longest time for one `check`, `reset` or `destroy`, in milliseconds. Default 5,000. */
  upkeepTimeout?: number | undefined;
  /** Report leases held longer than so many milliseconds, with their stack. Default 0: never. */
  leakAfter?: number | undefined;
  /** Keep the stack of each checkout, for messages. Costs some microseconds each. Default false. */
  traceCheckouts?: boolean | undefined;
  /** Told of leaks. Must not throw. */
  onLeak?: ((leak: LeakReport) => void) | undefined;
}

/** Lends resources. */
export interface Pool<T> extends AsyncDisposable {
  /**
   * Borrows one: the most recently used idle one, or a new one.
   *
   * @throws {PoolTimeoutError} `POOL_TIMEOUT` when none could be had in time.
   * @throws {NestedCheckoutError} `NESTED_CHECKOUT` when the asker himself holds all places.
   * @throws {EngineDisposedError} `ENGINE_DISPOSED` when the pool is closed, also while waiting.
   */
  acquire(options?: PoolAcquireOptions<T>): Promise<Lease<T>>;
  /** Borrows one if that needs no waiting: an idle one that needs no test. */
  tryAcquire(): Lease<T> | undefined;
  /** How many are lent. */
  readonly checkedOut: number;
  /** How things stand. */
  status(): PoolStatus;
  /**
   * Refuses new askers, sends the waiting ones away, waits for what is lent up to `timeout`
   * milliseconds (default 10,000; 0 does not wait), then destroys everything. Never rejects. All
   * calls share the first one's promise.
   */
  close(options?: { timeout?: number | undefined }): Promise<void>;
}

/**
 * A pool size that suits a database on the same machine: twice the processors and one.
 *
 * @example
 * ```ts
 * import { defaultPoolSize } from "@sluice/orm";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(defaultPoolSize() % 2, 1);
 * ```
 */
export function defaultPoolSize(): number {
  return navigator.hardwareConcurrency * 2 + 1;
}
