/**
 * Which leases this very async context holds, so that a checkout which could never be served is
 * refused at once. Known only inside callbacks such as `begin(fn)`: a plain `connect()` must not
 * change the context of its caller.
 */

import { AsyncLocalStorage } from "node:async_hooks";
import type { DriverConnection } from "../dialect/driver.ts";
import type { Lease } from "../pool/pool.ts";

type ConnectionLease = Lease<DriverConnection>;

const held = new AsyncLocalStorage<readonly ConnectionLease[]>();

/** Runs `fn` in a context that holds `lease` too. */
export function holding<T>(lease: ConnectionLease, fn: () => T): T {
  const others = held.getStore()?.filter((other) => !other.released && other !== lease) ?? [];
  return held.run([...others, lease], fn);
}

/** The leases that this context holds, of whatever engine. */
export function heldHere(): readonly ConnectionLease[] {
  return held.getStore() ?? [];
}
