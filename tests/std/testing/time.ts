/**
 * A stand-in for `jsr:@std/testing/time` on machines that cannot reach JSR: the same names,
 * signatures and behaviour for what our tests use. Nothing here is published.
 */

/** An error related to faking time. */
export class TimeError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "TimeError";
  }
}

/** Options for `FakeTime`. */
export interface FakeTimeOptions {
  /** How fast fake time runs by itself, relative to real time. Default 0: only by `tick`. */
  advanceRate: number;
  /** How often fake time is moved on, in milliseconds of real time. Default 10. */
  advanceFrequency?: number;
}

// deno-lint-ignore no-explicit-any
type Callback = (...args: any[]) => unknown;

interface Timer {
  id: number;
  callback: Callback;
  args: unknown[];
  due: number;
  delay: number;
  repeat: boolean;
}

const real = {
  Date: globalThis.Date,
  setTimeout: globalThis.setTimeout,
  clearTimeout: globalThis.clearTimeout,
  setInterval: globalThis.setInterval,
  clearInterval: globalThis.clearInterval,
  abortSignalTimeout: AbortSignal.timeout,
};

let time: FakeTime | undefined;
let now = 0;
let startedAt = 0;
let lastId = 0;
let timers = new Map<number, Timer>();
let advancing: ReturnType<typeof setInterval> | undefined;

function setTimer(callback: Callback, delay: number, args: unknown[], repeat: boolean): number {
  if (!time) {
    throw new TimeError(`Cannot set ${repeat ? "interval" : "timeout"}: time is not faked`);
  }
  const rounded = Math.max(repeat ? 1 : 0, Math.floor(Number(delay) || 0));
  const id = ++lastId;
  timers.set(id, { id, callback, args, due: now + rounded, delay: rounded, repeat });
  return id;
}

function clearTimer(id?: unknown): void {
  if (!time) throw new TimeError("Cannot clear timer: time is not faked");
  if (typeof id === "number") timers.delete(id);
}

/** The next timer to fire. A map keeps its order, so of two due at once the older comes first. */
function nextTimer(): Timer | undefined {
  let next: Timer | undefined;
  for (const timer of timers.values()) if (!next || timer.due < next.due) next = timer;
  return next;
}

const FakeDate: DateConstructor = new Proxy(real.Date, {
  construct: (target, args, newTarget) =>
    Reflect.construct(target, args.length === 0 ? [FakeDate.now()] : args, newTarget),
  apply: () => new real.Date(FakeDate.now()).toString(),
  get: (target, key, receiver) =>
    key === "now" ? () => time ? now : target.now() : Reflect.get(target, key, receiver),
});

function overrideGlobals(): void {
  globalThis.Date = FakeDate;
  globalThis.setTimeout =
    ((callback: Callback, delay = 0, ...args: unknown[]) =>
      setTimer(callback, delay, args, false)) as unknown as typeof setTimeout;
  globalThis.setInterval =
    ((callback: Callback, delay = 0, ...args: unknown[]) =>
      setTimer(callback, delay, args, true)) as unknown as typeof setInterval;
  globalThis.clearTimeout = clearTimer;
  globalThis.clearInterval = clearTimer;
  AbortSignal.timeout = (delay) => {
    const controller = new AbortController();
    const abort = () => controller.abort(new DOMException("Signal timed out.", "TimeoutError"));
    setTimer(abort, delay, [], false);
    return controller.signal;
  };
}

function restoreGlobals(): void {
  globalThis.Date = real.Date;
  globalThis.setTimeout = real.setTimeout;
  globalThis.clearTimeout = real.clearTimeout;
  globalThis.setInterval = real.setInterval;
  globalThis.clearInterval = real.clearInterval;
  AbortSignal.timeout = real.abortSignalTimeout;
}

/** Overrides the real Date object and timer functions with fake ones that it controls. */
export class FakeTime {
  constructor(start?: number | string | Date | null, options?: FakeTimeOptions) {
    if (time) throw new TimeError("Cannot construct FakeTime: time is already faked");
    const started = start === undefined || start === null
      ? real.Date.now()
      : typeof start === "number"
      ? Math.floor(start)
      : new real.Date(start).valueOf();
    if (Number.isNaN(started)) {
      throw new TimeError(`Cannot construct FakeTime: invalid start time ${start}`);
    }
    startedAt = now = started;
    timers = new Map();
    time = this;
    overrideGlobals();
    const rate = Math.max(0, options?.advanceRate ?? 0);
    const frequency = Math.max(0, options?.advanceFrequency ?? 10);
    advancing = rate > 0
      ? real.setInterval.call(null, () => this.tick(rate * frequency), frequency)
      : undefined;
  }

  /** Restores real time. */
  static restore(): void {
    if (!time) throw new TimeError("Cannot restore time: time is already restored");
    time.restore();
  }

  /** Restores real time temporarily until `callback` returns and resolves. */
  static async restoreFor<T>(
    // deno-lint-ignore no-explicit-any
    callback: (...args: any[]) => Promise<T> | T,
    // deno-lint-ignore no-explicit-any
    ...args: any[]
  ): Promise<T> {
    if (!time) throw new TimeError("Cannot restore time: time is not faked");
    restoreGlobals();
    try {
      return await callback.apply(null, args);
    } finally {
      overrideGlobals();
    }
  }

  /** Fake milliseconds since 1970. Setting it calls, in order, what became due. */
  get now(): number {
    return now;
  }
  set now(value: number) {
    if (value < now) {
      throw new RangeError(
        `Cannot set current time in the past, time must be >= ${now}: received ${value}`,
      );
    }
    for (let timer = nextTimer(); timer && timer.due <= value; timer = nextTimer()) {
      now = timer.due;
      timers.delete(timer.id);
      if (timer.repeat) timers.set(timer.id, { ...timer, due: timer.due + timer.delay });
      timer.callback.apply(null, timer.args);
    }
    now = value;
  }

  /** When fake time began. */
  get start(): number {
    return startedAt;
  }

  /** Resolves after the given number of milliseconds of real time. */
  delay(ms: number, options: { signal?: AbortSignal } = {}): Promise<void> {
    const { signal } = options;
    if (signal?.aborted) {
      return Promise.reject(new DOMException("Delay was aborted.", "AbortError"));
    }
    return new Promise((resolve, reject) => {
      const abort = () => {
        real.clearTimeout.call(null, timer);
        reject(new DOMException("Delay was aborted.", "AbortError"));
      };
      const timer = real.setTimeout.call(null, () => {
        signal?.removeEventListener("abort", abort);
        resolve();
      }, ms);
      signal?.addEventListener("abort", abort, { once: true });
    });
  }

  /** Runs all pending microtasks. */
  async runMicrotasks(): Promise<void> {
    await this.delay(0);
  }

  /** Adds milliseconds to the fake time, calling what becomes due. */
  tick(ms = 0): void {
    this.now += ms;
  }

  /** Runs all pending microtasks, then adds milliseconds to the fake time. */
  async tickAsync(ms = 0): Promise<void> {
    await this.runMicrotasks();
    this.now += ms;
  }

  /** Advances time to the next timer; tells whether there was one. */
  next(): boolean {
    const timer = nextTimer();
    if (timer) this.now = timer.due;
    return timer !== undefined;
  }

  /** Runs all pending microtasks, then advances time to the next timer. */
  async nextAsync(): Promise<boolean> {
    await this.runMicrotasks();
    return this.next();
  }

  /** Advances time until no timer is left. */
  runAll(): void {
    while (timers.size > 0) this.next();
  }

  /** Advances time until no timer is left, running all pending microtasks before each. */
  async runAllAsync(): Promise<void> {
    while (timers.size > 0) await this.nextAsync();
  }

  /** Restores time related global functions to their original state. */
  restore(): void {
    if (!time) throw new TimeError("Cannot restore time: time is already restored");
    time = undefined;
    restoreGlobals();
    if (advancing !== undefined) clearInterval(advancing);
  }

  /** Restores real time at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.restore();
  }
}
