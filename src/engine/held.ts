/**
 * Which connections this very async context holds, so that a checkout which could never be served is
 * refused at once, and one that was not meant is noticed. Known only inside callbacks such as
 * `begin(fn)`: a plain `connect()` must not change the context of its caller.
 */

import { AsyncLocalStorage } from "node:async_hooks";
import type { DriverConnection } from "../dialect/driver.ts";
import type { Lease } from "../pool/pool.ts";
import type { Link } from "./link.ts";

const held = new AsyncLocalStorage<readonly Link[]>();
const none: readonly Link[] = [];

/** Runs `fn` in a context that holds `link` too. */
export function holding<T>(link: Link, fn: () => T): T {
  const others = held.getStore()?.filter((other) => !other.closed && other !== link) ?? none;
  return held.run([...others, link], fn);
}

/** What this context holds, the innermost last, of whatever engine. */
export function heldHere(): readonly Link[] {
  return held.getStore() ?? none;
}

/** The leases of what this context holds. */
export function leasesHere(): readonly Lease<DriverConnection>[] {
  return heldHere().map((link) => link.lease);
}

/** Runs `fn` in a context that holds nothing: for work of our own beside that of the caller. */
export function holdingNothing<T>(fn: () => T): T {
  return held.run(none, fn);
}
