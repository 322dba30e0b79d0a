/**
 * Lanes: connections on which reads of many sessions travel together, instead of each borrowing one
 * for itself. A lane is a lease like any other, held while reads are on it and given back with the
 * last of them, so that nothing has to know of lanes to count, to dispose or to look for leaks.
 *
 * What must hold: only reads take a lane, so nothing can be lost half-way. Nobody's signal hits a
 * neighbour: the driver asks the server to stop only when all that are in flight on a connection were
 * given up. None has a time of its own. Each was quick when it ran last, and none is sent behind one
 * that turns out to be slow; those sent just before that was known wait for it. Lanes take half of the pool at most, and each is
 * given back from time to time, whatever its traffic.
 */

import type { DriverResult, DriverStatement } from "../dialect/driver.ts";
import type { Link } from "./link.ts";

/** Reads in flight on one lane. */
const DEPTH = 16;
/** Lanes at the same time. More do not help: the server has its processors, and so have we. */
const MOST = Math.min(4, Math.max(2, navigator.hardwareConcurrency));
/** Where nothing was answered for so long, in milliseconds, nothing more is sent or waits. */
const SLOW = 20;
/** A lane older than this, in milliseconds, is given back, to be recycled and for those who wait. */
const AGE = 1_000;
/** So many texts are known to be quick; then it is learnt anew. */
const KNOWN = 1_000;

interface Lane {
  readonly link: Link;
  readonly since: number;
  /** When it was last answered, or began to wait for an answer. */
  moved: number;
  flying: number;
}

interface Waiting {
  readonly statement: DriverStatement;
  readonly signal: AbortSignal | undefined;
  /** Its result; or undefined: it is to borrow a connection of its own. */
  readonly resolve: (result: Promise<DriverResult> | undefined) => void;
}

/** The lanes of one engine. */
export class Lanes {
  readonly #borrow: () => Promise<Link>;
  /** Lanes there can be. */
  readonly most: number;
  readonly #lanes: Lane[] = [];
  /** Texts that took less than `SLOW` when they ran last. */
  readonly #quick = new Set<string>();
  #opening = 0;
  /** In order of arrival, from `#head` on. */
  #waiting: Waiting[] = [];
  #head = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** All was slow when it was looked at last. Once can be our own doing: a busy program reads late. */
  #stuck = false;

  /** `borrow` lends a connection; `connections` is how many there can be. */
  constructor(borrow: () => Promise<Link>, connections: number) {
    this.#borrow = borrow;
    this.most = Math.min(MOST, Math.floor(connections / 2));
  }

  /** Whether a read can be expected to hold nobody up. */
  takes({ text }: DriverStatement): boolean {
    return this.#quick.has(text);
  }

  /** Learns how long a read took, in milliseconds. */
  learn({ text }: DriverStatement, ms: number): void {
    if (ms >= SLOW) return void this.#quick.delete(text);
    if (this.#quick.size >= KNOWN && !this.#quick.has(text)) this.#quick.clear();
    this.#quick.add(text);
  }

  /** Runs a read on a lane. Undefined if it should have a connection to itself instead. */
  run(statement: DriverStatement, signal?: AbortSignal): Promise<DriverResult | undefined> {
    if (this.#head === this.#waiting.length) {
      const lane = this.#roomiest(performance.now());
      if (lane !== undefined && (lane.flying < DEPTH / 2 || !this.#canOpen())) {
        return this.#fly(lane, statement, signal);
      }
    }
    if (this.#canOpen()) void this.#open();
    this.#timer ??= setTimeout(() => this.#look(), SLOW);
    return new Promise((resolve) => this.#waiting.push({ statement, signal, resolve }));
  }

  #canOpen(): boolean {
    return this.#lanes.length + this.#opening < this.most;
  }

  #roomiest(now: number): Lane | undefined {
    let best: Lane | undefined;
    for (const lane of this.#lanes) {
      if (this.#hasRoom(lane, now) && (best === undefined || lane.flying < best.flying)) {
        best = lane;
      }
    }
    return best;
  }

  #hasRoom(lane: Lane, now: number): boolean {
    return lane.flying < DEPTH && now - lane.moved < SLOW && now - lane.since < AGE &&
      lane.link.driver.lost === undefined;
  }

  #fly(
    lane: Lane,
    statement: DriverStatement,
    signal: AbortSignal | undefined,
  ): Promise<DriverResult> {
    lane.flying++;
    return lane.link.share(statement, signal).finally(() => {
      lane.flying--;
      const now = performance.now();
      // What it waited for before was answered then
      if (now - lane.moved >= SLOW) this.learn(statement, now - lane.moved);
      lane.moved = now;
      this.#serve(lane);
    });
  }

  /** Gives a lane to those who wait; without any it goes back to the pool. */
  #serve(lane: Lane): void {
    const now = performance.now();
    while (this.#head < this.#waiting.length && this.#hasRoom(lane, now)) {
      const { statement, signal, resolve } = this.#waiting[this.#head++]!;
      resolve(this.#fly(lane, statement, signal));
    }
    if (this.#head > 1_000 || this.#head === this.#waiting.length) {
      this.#waiting.splice(0, this.#head);
      this.#head = 0;
    }
    if (this.#waiting.length === 0) this.#rest();
    if (lane.flying > 0) return;
    this.#lanes.splice(this.#lanes.indexOf(lane), 1);
    void lane.link.release();
    if (this.#waiting.length > 0 && this.#canOpen()) void this.#open();
  }

  async #open(): Promise<void> {
    this.#opening++;
    let link: Link;
    try {
      link = await this.#borrow();
    } catch {
      // Whoever waits finds out for himself what is wrong
      return this.#sendAway();
    } finally {
      this.#opening--;
    }
    if (link.driver.runShared === undefined) {
      this.#sendAway();
      return await link.release();
    }
    const now = performance.now();
    const lane = { link, since: now, moved: now, flying: 0 };
    this.#lanes.push(lane);
    this.#serve(lane);
  }

  /** Somebody waits. If all that he waits for is slow, he had better not. */
  #look(): void {
    this.#timer = undefined;
    const now = performance.now();
    const stuck = this.#opening === 0 && this.#lanes.every((lane) => now - lane.moved >= SLOW);
    if (stuck && this.#stuck) return this.#sendAway();
    this.#stuck = stuck;
    this.#timer = setTimeout(() => this.#look(), SLOW);
  }

  #sendAway(): void {
    const waiting = this.#waiting.slice(this.#head);
    this.#waiting = [];
    this.#head = 0;
    this.#rest();
    for (const { resolve } of waiting) resolve(undefined);
  }

  #rest(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#stuck = false;
  }
}
