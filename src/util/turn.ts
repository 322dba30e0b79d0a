/**
 * Giving others a turn. Work that is done synchronously, one awaited call after the other, never
 * leaves the microtask queue: sockets, timers and signals would wait until all of it is done.
 */

import { setImmediate } from "node:timers";

/** How long synchronous work keeps the event loop, in milliseconds. */
const TURN = 10;

/**
 * How often it then goes round for the others, at some 4 µs if nobody has anything to do: a request
 * passes through sockets and streams in many steps, each of which takes a round.
 */
const ROUNDS = 10;

let began = performance.now();

/** Gives `value` at once or, when our turn is over, after everybody else had theirs. */
export function sharingTurns<T>(value: T): T | Promise<T> {
  return performance.now() - began < TURN ? value : waiting(value);
}

async function waiting<T>(value: T): Promise<T> {
  for (let round = 0; round < ROUNDS; round++) {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  began = performance.now();
  return value;
}
