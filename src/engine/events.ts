/** What an engine tells of its work, and the listeners it tells it to. */

import { InputError } from "../errors.ts";
import type { WireValue } from "../dialect/driver.ts";
import type { LeakReport } from "../pool/pool.ts";
import { didYouMean } from "../util/nearest.ts";

/** A statement ended, well or badly. */
export interface StatementEvent {
  /** Its text, with placeholders. */
  readonly sql: string;
  /** Its values, as sent. Only with `echo: "params"`: they can be anybody's secrets. */
  readonly params: readonly WireValue[] | undefined;
  /** Rows returned or changed; undefined if it failed. */
  readonly rowCount: number | undefined;
  /** From the call to the answer, in milliseconds. */
  readonly ms: number;
  /** How long its connection was waited for before, in milliseconds. */
  readonly waitedMs: number;
  /** The connection it ran on. */
  readonly connection: string;
  /** Why it failed. */
  readonly error: unknown;
}

/** A connection was lent. */
export interface CheckoutEvent {
  /** Which one. */
  readonly connection: string;
  /** How long it was waited for, in milliseconds. */
  readonly waitedMs: number;
}

/** A connection was made, or could not be made. */
export interface ConnectEvent {
  /** Which one; undefined if it failed. */
  readonly connection: string | undefined;
  /** How long that took, in milliseconds. */
  readonly ms: number;
  /** Why it failed. */
  readonly error: unknown;
}

/**
 * A transaction began or ended. A statement that is its own transaction has neither BEGIN nor COMMIT, and is
 * told as a statement: one outside of `begin()`, and a session's commit that comes to one.
 */
export interface TransactionEvent {
  /** Which of these. */
  readonly action: "begin" | "commit" | "rollback";
  /** Its connection. */
  readonly connection: string;
  /** How long that took, in milliseconds. */
  readonly ms: number;
  /** Why it failed. */
  readonly error: unknown;
}

/** A connection was lost. */
export interface LostEvent {
  /** Which one. */
  readonly connection: string;
  /** Why. */
  readonly error: Error;
}

/** A statement was sent past an open transaction, from inside its function. Once for each place. */
export interface EscapeEvent {
  /** The line that sent it. */
  readonly place: string;
  /** The stack, without our own frames. */
  readonly stack: string;
}

/** The events of an engine, by name. */
export interface EngineEvents {
  /** A statement ended. */
  statement: StatementEvent;
  /** A connection was lent. */
  checkout: CheckoutEvent;
  /** A connection was made, or not. */
  connect: ConnectEvent;
  /** A transaction began or ended. */
  transaction: TransactionEvent;
  /**
   * A connection or a transaction is held too long, or was forgotten. Printed with `console.error` if
   * nobody listens.
   */
  leak: LeakReport;
  /** A connection was lost. */
  lost: LostEvent;
  /** A statement was sent past an open transaction. Printed with `console.warn` if nobody listens. */
  escape: EscapeEvent;
}

/** Gets one kind of event. What it throws is printed with `console.error` and changes nothing. */
export type EngineListener<Name extends keyof EngineEvents> = (event: EngineEvents[Name]) => void;

type Listeners = { [Name in keyof EngineEvents]: readonly EngineListener<Name>[] };

/** Keeps the listeners of one engine. */
export class Emitter {
  readonly #listeners: Listeners = {
    statement: [],
    checkout: [],
    connect: [],
    transaction: [],
    leak: [],
    lost: [],
    escape: [],
  };

  /** Somebody listens. Asked before an event is made, so that events nobody hears cost nothing. */
  has(name: keyof EngineEvents): boolean {
    return this.#listeners[name].length > 0;
  }

  /** Adds a listener and gives a function that removes it. */
  on<Name extends keyof EngineEvents>(name: Name, listener: EngineListener<Name>): () => void {
    if (!Object.hasOwn(this.#listeners, name)) {
      throw new InputError(`There is no event "${String(name)}"`, {
        hint: didYouMean(String(name), Object.keys(this.#listeners)),
      });
    }
    if (typeof listener !== "function") {
      throw new InputError(`The listener for "${name}" is no function`);
    }
    // Wrapped, so that a function added twice is removed once at a time.
    const entry: EngineListener<Name> = (event) => listener(event);
    this.#set(name, [...this.#listeners[name], entry]);
    return () => this.#set(name, this.#listeners[name].filter((other) => other !== entry));
  }

  /** Tells everybody who listens. */
  emit<Name extends keyof EngineEvents>(name: Name, event: EngineEvents[Name]): void {
    for (const listener of this.#listeners[name]) {
      try {
        listener(event);
      } catch (error) {
        console.error(`A listener for "${name}" failed:`, error);
      }
    }
  }

  #set<Name extends keyof EngineEvents>(name: Name, listeners: readonly EngineListener<Name>[]) {
    (this.#listeners as Record<Name, readonly EngineListener<Name>[]>)[name] = listeners;
  }
}
