/**
 * Giving others a turn. Work that is done synchronously, one awaited call after the other, never
 * leaves the microtask queue: sockets, timers and signals would wait until all of it is done.
 */

import { setImmediate } from "node:timers";

/** How long synchronous work keeps the event loop, in milliseconds. */
const TURN = 10;

let began = performance.now();

/** Gives `value` at once or, when our turn is over, after everybody else had theirs. */
export function sharingTurns<T>(value: T): T | Promise<T> {
  if (performance.now() - began < TURN) return value;
  return new Promise((resolve) =>
    setImmediate(() => {
      began = performance.now();
      resolve(value);
    })
  );
}
