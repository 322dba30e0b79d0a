/**
 * An SQL cursor, read in windows. Other statements can run between its fetches, which they cannot with
 * a cursor of the protocol.
 *
 * @module
 */

import { ClosedError, InputError } from "../../errors.ts";
import type { CallOptions, DriverCursor, DriverResult } from "../driver.ts";

/** The stretch of a connection's life in which a cursor can live: a transaction, or a savepoint's rest. */
export interface CursorScope {
  /** Its cursors are gone. */
  ended: boolean;
  /** Some of its cursors may be gone, with a savepoint. */
  uncertain?: boolean;
}

/** Runs a parameterless statement of ours. */
export type CursorRunner = (text: string, options?: CallOptions) => Promise<DriverResult>;

/** A cursor that has been declared. */
export class PostgresCursor implements DriverCursor {
  readonly #name: string;
  readonly #scope: CursorScope;
  readonly #run: CursorRunner;
  #closed: Promise<void> | undefined;

  /** For the cursor called `name`, which lives as long as `scope`. */
  constructor(name: string, scope: CursorScope, run: CursorRunner) {
    this.#name = name;
    this.#scope = scope;
    this.#run = run;
  }

  /** The next `count` rows; fewer only at the end. */
  async fetch(count: number, options?: CallOptions): Promise<DriverResult> {
    if (!Number.isInteger(count) || count < 1 || count > 2 ** 31 - 1) {
      throw new InputError(`A cursor fetches a whole number of rows from 1, not ${count}`);
    }
    if (this.#closed !== undefined) throw new ClosedError("The cursor is closed");
    if (this.#scope.ended) {
      throw new ClosedError("The cursor ended with its transaction", {
        hint: "Read it to its end before the commit",
      });
    }
    return await this.#run(`fetch forward ${count} from ${this.#name}`, options);
  }

  /** Closes it; idempotent, and harmless after its transaction's end. */
  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    // Closing a cursor that is gone would fail the transaction; one that is left open ends with it
    if (this.#scope.ended || this.#scope.uncertain) return;
    try {
      await this.#run(`close ${this.#name}`);
    } catch {
      // In a failed transaction or on a lost connection the cursor is gone anyway
    }
  }
}
