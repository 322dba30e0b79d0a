/**
 * Which statements are prepared on a connection, and what they are called.
 *
 * @module
 */

import type { Call } from "./call.ts";

/** The prepared statements of one connection. */
export class Plans {
  readonly #most: number;
  /** The texts that were sent to be prepared, and whether the driver is known to have them. */
  readonly #texts = new Map<string, boolean>();
  /** What a text is sent as since its plan was found stale: the driver takes it for a new one. */
  readonly #renamed = new Map<string, string>();

  /** Keeps at most `most`; what comes later is sent unprepared. */
  constructor(most: number) {
    this.#most = most;
  }

  /** The call's text is prepared, or never will be: a second one need not wait for the first. */
  settled(call: Call): boolean {
    return call.mode !== "prepared" || this.#texts.get(call.statement) === true ||
      this.#texts.size >= this.#most;
  }

  /** Decides how a call is sent. */
  choose(call: Call): void {
    call.known = call.mode === "simple";
    if (call.mode !== "prepared") return;
    if (this.#renamed.size > 0) call.text = this.#renamed.get(call.statement) ?? call.statement;
    const known = this.#texts.get(call.text);
    call.known = known === true;
    if (known !== undefined) return;
    if (this.#texts.size < this.#most) this.#texts.set(call.text, false);
    else call.mode = "unprepared";
  }

  /** The call has ended well, so that its text is prepared now. */
  succeeded(call: Call): void {
    if (!call.known && call.mode === "prepared") this.#texts.set(call.text, true);
  }

  /** The server refused the call. A text that it did not understand was not prepared. */
  refused(call: Call, state: string | undefined): void {
    if (!call.known && !call.parsed && call.mode === "prepared" && state?.startsWith("42")) {
      this.#texts.delete(call.text);
    }
  }

  /** The call's plan no longer fits: from now on its text is prepared anew. */
  stale(call: Call): void {
    this.#renamed.set(call.statement, `${call.text} `);
  }
}
