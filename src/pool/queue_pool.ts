import { BasePool, count } from "./base_pool.ts";
import type { PoolOptions, PoolResource } from "./pool.ts";

/** Options of a {@linkcode QueuePool}. */
export interface QueuePoolOptions extends PoolOptions {
  /** How many are kept. Default 10. */
  poolSize?: number | undefined;
  /** How many more may be made under load; they are destroyed when they come back. Default 20. */
  maxOverflow?: number | undefined;
  /**
   * One older than so many milliseconds, up to a tenth less, is replaced at checkout, never while
   * lent. 0 is never. Default 3,600,000.
   */
  poolRecycle?: number | undefined;
  /** Test an idle one before it is lent; `"idle"`: only after 1 s of idleness. Default `"idle"`. */
  poolPrePing?: boolean | "idle" | undefined;
}

/** The usual pool: keeps some, makes more under load, lends the most recently used first. */
export class QueuePool<T> extends BasePool<T> {
  /**
   * Makes an empty pool.
   *
   * @throws {InputError} `INVALID_INPUT` for a number out of range, or no place at all.
   */
  constructor(resource: PoolResource<T>, options: QueuePoolOptions = {}) {
    const keep = count("poolSize", options.poolSize, 10, 0);
    super(resource, {
      limit: keep + count("maxOverflow", options.maxOverflow, 20, 0),
      keep,
      recycle: options.poolRecycle ?? 3_600_000,
      prePing: options.poolPrePing ?? "idle",
      suspicious: true,
    }, options);
  }
}
