/**
 * Calls one after the other, in the order they were made: the queue inside a connection. Used by
 * the embedded drivers, whose databases do their work synchronously, so that a call that need not
 * wait is carried out at once. A long row of calls lets the rest of the program have its turns.
 *
 * @module
 */

import { StatementTimeoutError } from "../errors.ts";
import { caught } from "../util/caught.ts";
import { whenGivenUp } from "../util/deadline.ts";
import { sharingTurns } from "../util/turn.ts";
import type { CallOptions } from "./driver.ts";

interface Call {
  readonly start: () => void;
  readonly fail: (reason: unknown) => void;
}

/** A queue of calls. A call given up while it waits never runs. */
export class CallQueue {
  readonly #waiting = new Set<Call>();
  #running: Call | undefined;
  #refusal: Error | undefined;
  #whenIdle: (() => void) | undefined;

  /** A call is under way or waits. */
  get busy(): boolean {
    return this.#running !== undefined || this.#waiting.size > 0;
  }

  /**
   * Runs `job` after the calls before it. A refused call rejects; every promise given out is
   * already caught, so a call that nobody awaits cannot end the process.
   */
  run<T>(job: () => T | Promise<T>, options: CallOptions = {}): Promise<T> {
    return caught(
      new Promise<T>((resolve, reject) => {
        const { signal, timeout } = options;
        if (this.#refusal) return reject(this.#refusal);
        if (signal?.aborted) return reject(signal.reason);

        let stopWaiting: (() => void) | undefined;
        // Free before settling: whoever is woken may look at `busy` at once.
        const settle = (how: () => void) => {
          this.#running = undefined;
          how();
        };
        const call: Call = {
          fail: (reason) => {
            stopWaiting?.();
            reject(reason);
          },
          start: () => {
            stopWaiting?.();
            this.#running = call;
            let outcome: T | Promise<T>;
            try {
              const done = job();
              outcome = done instanceof Promise ? done.then(sharingTurns) : sharingTurns(done);
            } catch (error) {
              return settle(() => reject(error));
            }
            if (!(outcome instanceof Promise)) return settle(() => resolve(outcome));
            outcome.then(
              (value) => settle(() => resolve(value)),
              (error) => settle(() => reject(error)),
            ).then(() => this.#goOn());
          },
        };
        if (!this.busy) {
          call.start();
          // A synchronous job can have made further calls itself.
          return this.#goOn();
        }
        this.#waiting.add(call);
        if (signal || timeout) {
          stopWaiting = whenGivenUp({ signal, timeout }, (why) => {
            this.#waiting.delete(call);
            reject(
              why === "aborted" ? signal!.reason : new StatementTimeoutError(
                `The statement waited ${timeout} ms for the calls before it and was not sent`,
                { sqlState: "57014" },
              ),
            );
          });
        }
      }),
    );
  }

  /** Refuses calls from now on with `reason`; those already made are still carried out. */
  refuse(reason: Error): void {
    this.#refusal ??= reason;
  }

  /** Refuses calls from now on and rejects those under way and waiting. */
  fail(reason: Error): void {
    this.refuse(reason);
    this.#running?.fail(reason);
    for (const call of this.#waiting) call.fail(reason);
    this.#waiting.clear();
    this.#goOn();
  }

  /** Resolves when nothing runs or waits any more. */
  idle(): Promise<void> {
    if (!this.busy) return Promise.resolve();
    return new Promise((resolve) => {
      const before = this.#whenIdle;
      this.#whenIdle = () => {
        before?.();
        resolve();
      };
    });
  }

  #goOn(): void {
    for (const call of this.#waiting) {
      if (this.#running) return;
      this.#waiting.delete(call);
      call.start();
    }
    if (this.busy) return;
    const idle = this.#whenIdle;
    this.#whenIdle = undefined;
    idle?.();
  }
}
