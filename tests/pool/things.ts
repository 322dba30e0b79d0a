/** Something to lend that is no database: things with a number, and every step counted. */

import type { PoolResource } from "../../src/pool/pool.ts";

export class Thing {
  lost = false;
  destroyed = false;
  forced = false;
  dirty: boolean | "stuck" = false;
  answers: boolean | "never" = true;
  checks = 0;
  resets = 0;

  constructor(readonly id: number, readonly onLost: () => void) {}

  /** Dies by itself. */
  die(): void {
    this.lost = true;
    this.onLost();
  }
}

export class Things implements PoolResource<Thing> {
  readonly noun = "thing";
  readonly made: Thing[] = [];
  /** Exist now, and the most there ever were. */
  alive = 0;
  peak = 0;
  attempts = 0;
  transient = false;
  /** Replaced by a test that wants to hold a creation up or to let it fail. */
  beforeCreate: (signal: AbortSignal) => Promise<void> = () => Promise.resolve();
  beforeDestroy: (thing: Thing) => Promise<void> = () => Promise.resolve();

  async create(context: { signal: AbortSignal; onLost: () => void }): Promise<Thing> {
    this.attempts++;
    await this.beforeCreate(context.signal);
    const thing = new Thing(this.made.length + 1, context.onLost);
    this.made.push(thing);
    this.alive++;
    this.peak = Math.max(this.peak, this.alive);
    return thing;
  }

  retryable(): boolean {
    return this.transient;
  }

  check(thing: Thing): Promise<void> {
    thing.checks++;
    if (thing.answers === "never") return new Promise(() => {});
    return thing.answers && !thing.lost ? Promise.resolve() : Promise.reject(new Error("dead"));
  }

  reset(thing: Thing): boolean | Promise<boolean> {
    thing.resets++;
    if (thing.dirty === "stuck") return new Promise(() => {});
    if (!thing.dirty) return true;
    thing.dirty = false;
    return Promise.resolve(true);
  }

  async destroy(thing: Thing, force: boolean): Promise<void> {
    if (!force) await this.beforeDestroy(thing);
    thing.forced = force;
    if (thing.destroyed) return;
    thing.destroyed = true;
    this.alive--;
  }

  isLost(thing: Thing): boolean {
    return thing.lost;
  }
}

/** Lets everything run that is ready to run, timers not included. */
export function settled(): Promise<void> {
  const channel = new MessageChannel();
  return new Promise((resolve) => {
    channel.port1.onmessage = () => {
      channel.port1.close();
      channel.port2.close();
      resolve();
    };
    channel.port2.postMessage(0);
  });
}
