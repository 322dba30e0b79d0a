import { BasePool, count } from "./base_pool.ts";
import type { PoolOptions, PoolResource } from "./pool.ts";

/** Options of a {@linkcode NullPool}. */
export interface NullPoolOptions extends PoolOptions {
  /** How many may be lent at the same time. Default: no limit. */
  max?: number | undefined;
}

/** Keeps nothing: one is made for each checkout and destroyed after it. For an external pooler. */
export class NullPool<T> extends BasePool<T> {
  /**
   * Makes a pool.
   *
   * @throws {InputError} `INVALID_INPUT` when `max` is no whole number from 1 up.
   */
  constructor(resource: PoolResource<T>, options: NullPoolOptions = {}) {
    super(resource, {
      limit: count("max", options.max, Infinity, 1),
      keep: 0,
      recycle: 0,
      prePing: false,
      suspicious: false,
    }, options);
  }
}
