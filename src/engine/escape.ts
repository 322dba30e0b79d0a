/**
 * Notices statements that are sent past an open transaction from inside its function: the classic
 * lost write, which is stored although the transaction is rolled back. Reads are noticed alike: they
 * do not see what the transaction has written.
 */

import { UsageError } from "../errors.ts";
import type { Emitter } from "./events.ts";
import type { Link, LinkContext } from "./link.ts";
import { placeIn, traceHere } from "../util/place.ts";

/** A program that makes its code as it goes has ever new places; they must not fill the memory. */
const MOST_PLACES = 1_000;

/** Watches over the transactions of one engine. */
export class EscapeWatch {
  readonly #events: Emitter;
  readonly #told = new Set<string>();

  /** Tells of what it notices by `events`. */
  constructor(events: Emitter) {
    this.#events = events;
  }

  /**
   * Somebody borrows another connection while these are held by the functions he is called by.
   *
   * @throws {UsageError} `ESCAPED_STATEMENT` where the innermost transaction asks for it.
   */
  check(held: readonly Link[], context: LinkContext): void {
    const link = held.findLast((link) =>
      link.context === context && link.escape !== "allow" && !link.closed
    );
    if (link === undefined) return;
    const { frame, stack } = placeIn(traceHere());
    const where = frame ?? "at an unknown place, which waited for others before";
    const message = `A statement was sent past the open transaction, ${where}: it is no part of it`;
    const hint = "Use tx, or the session that began it, inside its function. " +
      'Where it is meant, begin the transaction with { escape: "allow" }';
    if (link.escape === "throw") {
      throw new UsageError(message, { code: "ESCAPED_STATEMENT", hint });
    }
    if (this.#told.has(where) || this.#told.size >= MOST_PLACES) return;
    this.#told.add(where);
    if (this.#events.has("escape")) this.#events.emit("escape", { place: where, stack });
    else console.warn(`Sluice: ${message}. ${hint}`);
  }
}
