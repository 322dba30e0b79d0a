/**
 * An SQL cursor, read in windows. Other statements can run between its fetches, which they cannot with
 * a cursor of the protocol.
 *
 * @module
 */

import { ClosedError, InputError } from "../../errors.ts";
import type { CallOptions, DriverCursor, DriverResult } from "../driver.ts";

/** The transaction that a cursor lives in. */
export interface CursorHome {
  /** Runs a parameterless statement of ours. */
  run(text: string, options?: CallOptions): Promise<DriverResult>;
  /** It is over, and its cursors with it. */
  ended(): boolean;
  /** A savepoint was rolled back to since; cursors opened after it are gone. */
  uncertain(): boolean;
}

/** A cursor that has been declared. */
export class PostgresCursor implements DriverCursor {
  /** The server works beside us. */
  readonly readsAhead = true;
  readonly #name: string;
  readonly #home: CursorHome;
  #closed: Promise<void> | undefined;

  /** For the cursor called `name`. */
  constructor(name: string, home: CursorHome) {
    this.#name = name;
    this.#home = home;
  }

  /** The next `count` rows; fewer only at the end. */
  async fetch(count: number, options?: CallOptions): Promise<DriverResult> {
    if (!Number.isInteger(count) || count < 1 || count > 2 ** 31 - 1) {
      throw new InputError(`A cursor fetches a whole number of rows from 1, not ${count}`);
    }
    if (this.#closed !== undefined) throw new ClosedError("The cursor is closed");
    if (this.#home.ended()) {
      throw new ClosedError("The cursor ended with its transaction", {
        hint: "Read it to its end before the commit",
      });
    }
    return await this.#home.run(`fetch forward ${count} from ${this.#name}`, options);
  }

  /** Closes it; idempotent, and harmless after its transaction's end. */
  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    // Closing a cursor that is gone would fail the transaction; one that is left open ends with it
    if (this.#home.ended() || this.#home.uncertain()) return;
    try {
      await this.#home.run(`close ${this.#name}`);
    } catch {
      // In a failed transaction or on a lost connection the cursor is gone anyway
    }
  }
}
