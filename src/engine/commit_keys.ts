/**
 * Idempotency keys: the table `sluice_commits`, into which a transaction writes its key as its first
 * statement. Whoever lost the answer to its COMMIT asks the table; whoever begins the same work again
 * is refused.
 *
 * The table is made on demand, in the first schema of the search path:
 * `sluice_commits (key text primary key, committed_at timestamptz not null default now())`, on SQLite
 * with `committed_at` as an integer, milliseconds since the epoch.
 */

import { DatabaseError, InputError, TransactionError } from "../errors.ts";
import type { CallOptions, DialectName, DriverResult, DriverStatement } from "../dialect/driver.ts";

/** Runs a statement. */
export type RunStatement = (
  statement: DriverStatement,
  call?: CallOptions,
) => Promise<DriverResult>;

/** Runs `work` in a short transaction of its own, which is rolled back or committed after it. */
export type Aside = <T>(
  end: "commit" | "rollback",
  work: (run: RunStatement) => Promise<T>,
) => Promise<T>;

/** How often old keys are looked for, in milliseconds. */
const CLEANING_INTERVAL = 3_600_000;
/** Longest wait for a transaction whose answer was lost and which may still be under way. */
const LOOK_UP_TIMEOUT = 10_000;

const spellings = {
  postgres: {
    create: "create table if not exists sluice_commits " +
      "(key text primary key, committed_at timestamptz not null default now())",
    insert: "insert into sluice_commits (key) values ($1) on conflict do nothing",
    clean: "delete from sluice_commits " +
      "where committed_at < now() - $1::float8 * interval '1 millisecond'",
  },
  sqlite: {
    create: "create table if not exists sluice_commits (key text primary key, committed_at " +
      "integer not null default (cast(unixepoch('subsec') * 1000 as integer)))",
    insert: "insert into sluice_commits (key) values (?1) on conflict do nothing",
    clean: "delete from sluice_commits where committed_at < unixepoch('subsec') * 1000 - ?1",
  },
} as const;

/** The keys of one database. */
export class CommitKeys {
  readonly #dialect: DialectName;
  readonly #keep: number;
  readonly #aside: Aside;
  #ready = false;
  #cleanedAt = -Infinity;

  /** Keeps keys for `keep` milliseconds; 0 is for ever. */
  constructor(dialect: DialectName, keep: number, aside: Aside) {
    this.#dialect = dialect;
    this.#keep = keep;
    this.#aside = aside;
  }

  /** Makes the table if it is missing, and now and then forgets old keys. Outside a transaction. */
  async prepare(run: RunStatement): Promise<void> {
    if (!this.#ready) await this.#create(run);
    this.#ready = true;
    const now = performance.now();
    if (this.#keep === 0 || now - this.#cleanedAt < CLEANING_INTERVAL) return;
    this.#cleanedAt = now;
    await run(this.#statement("clean", this.#keep));
  }

  async #create(run: RunStatement): Promise<void> {
    if (this.#dialect === "postgres") {
      // Asked first: `if not exists` wants the right to create even where the table is there.
      const { rows } = await run({
        text: "select to_regclass('sluice_commits')::text",
        params: [],
      });
      if (rows[0]?.[0] !== null) return;
    }
    try {
      await run(this.#statement("create"));
    } catch (error) {
      // Two who make it at the same moment: the second one finds the names taken.
      const taken = error instanceof DatabaseError &&
        (error.sqlState === "23505" || error.sqlState === "42P07");
      if (!taken) throw error;
    }
  }

  /**
   * Writes the key as a part of the open transaction. Waits for another that writes the same one.
   *
   * @throws {TransactionError} `ALREADY_COMMITTED` when the work was stored before.
   */
  async claim(key: string, run: RunStatement): Promise<void> {
    const { rowCount } = await run(this.#statement("insert", key));
    if (rowCount === 1) return;
    throw new TransactionError("The work with this idempotency key is stored already", {
      code: "ALREADY_COMMITTED",
      hint: "Nothing is left to do; take another key if it is other work",
    });
  }

  /** True if a transaction with this key is committed; waits for one that is under way. */
  async isCommitted(key: string): Promise<boolean> {
    try {
      // Reading could miss a commit that the server is just carrying out; writing the same key
      // waits for it.
      return await this.#aside("rollback", async (run) => {
        const call = { timeout: LOOK_UP_TIMEOUT };
        const { rowCount } = await run(this.#statement("insert", key), call);
        return rowCount === 0;
      });
    } catch (error) {
      if (isMissingTable(error)) return false;
      throw error;
    }
  }

  /** Forgets keys older than so many milliseconds; gives their number. */
  async forget(olderThan: number): Promise<number> {
    if (!Number.isFinite(olderThan) || olderThan < 0) {
      throw new InputError("The age of idempotency keys is milliseconds, from 0 up");
    }
    try {
      return await this.#aside("commit", async (run) => {
        return (await run(this.#statement("clean", olderThan))).rowCount;
      });
    } catch (error) {
      if (isMissingTable(error)) return 0;
      throw error;
    }
  }

  #statement(which: "create" | "insert" | "clean", param?: string | number): DriverStatement {
    const text = spellings[this.#dialect][which];
    if (param === undefined) return { text, params: [], prepare: false };
    return { text, params: [this.#dialect === "postgres" ? String(param) : param] };
  }
}

function isMissingTable(error: unknown): boolean {
  return error instanceof DatabaseError && error.sqlState === "42P01";
}
