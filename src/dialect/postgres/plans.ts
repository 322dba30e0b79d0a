/**
 * Which statements are prepared on a connection, and what they are called.
 *
 * @module
 */

import type { Call } from "./call.ts";

/** The prepared statements of one connection. */
export class Plans {
  readonly #most: number;
  /** Texts that the driver has prepared. */
  readonly #prepared = new Set<string>();
  /** Statements prepared on the server, at most. */
  #count = 0;
  /** What a text is sent as since its plan was found stale: the driver takes it for a new one. */
  readonly #renamed = new Map<string, string>();

  /** Keeps at most `most`; what comes later is sent unprepared. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Decides how a call is sent. */
  choose(call: Call): void {
    call.known = call.mode === "simple";
    if (call.mode !== "prepared") return;
    if (this.#renamed.size > 0) call.text = this.#renamed.get(call.statement) ?? call.statement;
    call.known = this.#prepared.has(call.text);
    if (call.known) return;
    if (this.#count < this.#most) this.#count++;
    else call.mode = "unprepared";
  }

  /** The call has ended well, so that its text is prepared now. */
  succeeded(call: Call): void {
    if (!call.known && call.mode === "prepared") this.#prepared.add(call.text);
  }

  /** The call's plan no longer fits: from now on its text is prepared anew. */
  stale(call: Call): void {
    this.#renamed.set(call.statement, `${call.text} `);
  }
}
