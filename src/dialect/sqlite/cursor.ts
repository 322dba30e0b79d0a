/**
 * Cursors over SQLite.
 *
 * Not by `iterate()`: in Deno an error in the middle of it looks like a normal end, and so does a
 * closed database. The result goes to a temporary table instead, which SQLite keeps on disk, and
 * is read from there in windows: errors show when the cursor is opened, the rows are those of that
 * moment whatever is written meanwhile, and it takes less than half the time that `iterate()` does.
 *
 * @module
 */

import type { DatabaseSync } from "node:sqlite";
import { ClosedError, InputError } from "../../errors.ts";
import type { CallOptions, DriverColumn, DriverCursor, DriverResult } from "../driver.ts";
import type { BindValue } from "./bind.ts";
import { sqliteError } from "./errors.ts";
import { PreparedStatement } from "./statements.ts";

let made = 0;

/** How a cursor runs its work: in turn with the connection's other calls, writing permitted. */
export interface CursorHost {
  /** The open database. */
  readonly db: DatabaseSync;
  /** Runs `job` after the calls before it. */
  call<T>(job: () => T, options?: CallOptions): Promise<T>;
  /** Runs `job` with temporary tables permitted, in a read-only transaction too. */
  unrestricted<T>(job: () => T): T;
  /** Forgets the cursor. */
  closed(cursor: SqliteCursor): void;
}

/** A result kept in a temporary table. */
export class SqliteCursor implements DriverCursor {
  readonly #host: CursorHost;
  readonly #columns: readonly DriverColumn[];
  readonly #table: string;
  readonly #window: PreparedStatement;
  readonly #rows: number;
  #read = 0;
  #ended: Error | undefined;

  /** Runs `statement` into a temporary table. */
  constructor(host: CursorHost, statement: PreparedStatement, values: readonly BindValue[]) {
    if (statement.scan.command !== "SELECT" && statement.scan.command !== "VALUES") {
      throw new InputError(`A cursor cannot be opened for ${statement.scan.command}`, {
        hint: "Cursors read: give a SELECT or VALUES, and run other statements with run()",
      });
    }
    this.#host = host;
    this.#columns = statement.prepare(host.db).columns;
    this.#table = `temp.sluice_cursor_${++made}`;
    // Columns without a type: each value is kept as it comes.
    const names = this.#columns.map((_, i) => `c${i}`).join(", ");
    this.#rows = host.unrestricted(() => {
      host.db.prepare(`CREATE TABLE ${this.#table} (${names})`).run();
      try {
        const fill = host.db.prepare(`INSERT INTO ${this.#table} ${statement.text}`);
        return Number(fill.run(...values).changes);
      } catch (error) {
        // The transaction may be gone, and the table with it.
        if (host.db.isTransaction) host.db.prepare(`DROP TABLE ${this.#table}`).run();
        throw error;
      }
    });
    this.#window = new PreparedStatement(
      `SELECT ${names} FROM ${this.#table} WHERE rowid > ?1 ORDER BY rowid LIMIT ?2`,
    );
  }

  /** The next rows. */
  fetch(count: number, options?: CallOptions): Promise<DriverResult> {
    return this.#host.call(() => {
      if (!Number.isSafeInteger(count) || count < 1) {
        throw new InputError(`Cannot fetch ${count} rows`, { hint: "Give a whole number from 1" });
      }
      if (this.#ended) throw this.#ended;
      const rows = this.#read >= this.#rows ? [] : this.#next(count);
      return { rows, columns: this.#columns, rowCount: rows.length, command: "FETCH" };
    }, options);
  }

  /** Drops the table. */
  async close(): Promise<void> {
    if (this.#ended) return;
    await this.#host.call(() => this.end("The cursor is closed")).catch(() => {});
  }

  /** Ends it from within a call of the connection; later fetches reject with `why`. */
  end(why: string): void {
    if (this.#ended) return;
    this.forget(why);
    const { db } = this.#host;
    this.#host.unrestricted(() => db.prepare(`DROP TABLE IF EXISTS ${this.#table}`).run());
  }

  /** Ends it where its table goes by itself, with the transaction that made it. */
  forget(why: string): void {
    this.#ended = new ClosedError(why);
    this.#host.closed(this);
  }

  #next(count: number) {
    try {
      const rows = this.#window.prepare(this.#host.db).all([BigInt(this.#read), BigInt(count)]);
      this.#read += rows.length;
      return rows;
    } catch (error) {
      const failure = sqliteError(error);
      if (!failure.message.startsWith("no such table: ")) throw failure;
      this.end("The cursor ended with the savepoint in which it was opened");
      throw this.#ended;
    }
  }
}
