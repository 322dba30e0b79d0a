import { BasePool } from "./base_pool.ts";
import type { PoolOptions, PoolResource } from "./pool.ts";

/**
 * A pool of exactly one for life, lent to one borrower at a time: for a database in memory, which
 * lives and dies with its connection. It is never replaced for its age; only when it is lost is
 * another one made.
 */
export class StaticPool<T> extends BasePool<T> {
  /** Makes an empty pool. */
  constructor(resource: PoolResource<T>, options: PoolOptions = {}) {
    super(
      resource,
      { limit: 1, keep: 1, recycle: 0, prePing: false, suspicious: false },
      options,
    );
  }
}
