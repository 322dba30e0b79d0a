/** What a pool can lend that costs nothing itself, so that the pool alone is measured. */

import type { PoolResource } from "../../src/pool/pool.ts";

/** Makes empty objects. */
export const nothing: PoolResource<object> = {
  noun: "thing",
  create: () => Promise.resolve({}),
  retryable: () => false,
  check: () => Promise.resolve(),
  reset: () => true,
  destroy: () => {},
  isLost: () => false,
};
