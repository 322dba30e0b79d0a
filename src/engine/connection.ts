import type {
  CallOptions,
  DriverConnection,
  DriverCursor,
  DriverResult,
  DriverStatement,
} from "../dialect/driver.ts";
import { UsageError } from "../errors.ts";
import { suppress } from "../util/suppress.ts";
import { AdvisoryLock, type AdvisoryLockOptions, lockInTransaction } from "./advisory_lock.ts";
import {
  checkBeginOptions,
  type RetryOptions,
  splitRetryOptions,
  type TransactionOptions,
} from "./begin_options.ts";
import { caught } from "../util/caught.ts";
import { holding } from "./held.ts";
import type { Link } from "./link.ts";
import type { Result } from "./result.ts";
import { type Attempt, withRetries } from "./retry.ts";
import { compile, type Executable, execute } from "./statement.ts";
import { type StreamOptions, streamRows, streamWindows } from "./stream.ts";
import { inTransaction, Transaction } from "./transaction.ts";

/**
 * How a connection stands. `failed`: its transaction can only be rolled back. `lost`: it is dead.
 * `closed`: it went back to the pool.
 */
export type ConnectionStatus = "idle" | "open" | "failed" | "lost" | "closed";

/**
 * A connection lent by the engine, to be given back by `release()` or the end of `await using`.
 *
 * Calls are carried out one after the other, in the order they were made. Once the connection is
 * lost, every call answers `ConnectionLostError`; it never reconnects behind your back.
 *
 * @example
 * ```ts
 * import { AsyncEngine, sql } from "@sluice/orm";
 * import { assertEquals } from "@std/assert";
 *
 * await using engine = new AsyncEngine("sqlite::memory:");
 * await using connection = await engine.connect();
 * await connection.execute(sql`create table notes (text text)`);
 * await connection.begin(async (tx) => {
 *   for (const text of ["a", "b", "c"]) await tx.execute(sql`insert into notes values (${text})`);
 * });
 * const seen: string[] = [];
 * for await (const note of connection.stream(sql<{ text: string }>`select text from notes`)) {
 *   seen.push(note.text);
 * }
 * assertEquals(seen, ["a", "b", "c"]);
 * ```
 */
export class Connection implements AsyncDisposable {
  readonly #link: Link;

  /** Made by `engine.connect()`. */
  constructor(link: Link) {
    this.#link = link;
  }

  /** What the database calls this connection: its process id, or a number of ours. */
  get id(): string {
    return this.#link.driver.id;
  }

  /** How it stands. */
  get status(): ConnectionStatus {
    const { closed, driver, failure, transaction } = this.#link;
    if (closed) return "closed";
    if (driver.lost) return "lost";
    if (failure !== undefined || driver.transactionStatus === "failed") return "failed";
    return transaction === undefined ? driver.transactionStatus : "open";
  }

  /**
   * Runs a statement.
   *
   * @param call Its limits; default: the engine's `statementTimeout`.
   * @throws {InputError} `INVALID_INPUT` for what is no statement, or a value that cannot be bound.
   * @throws {DatabaseError} What the database refuses, by its more exact subclasses.
   * @throws {ConnectionLostError} `CONNECTION_LOST` when the connection is lost.
   * @throws {ClosedError} `CLOSED` after its release.
   */
  execute<Row>(statement: Executable<Row>, call?: CallOptions): Promise<Result<Row>> {
    return execute(this.#link, statement, call);
  }

  /** Runs a compiled statement, for the layers above. */
  run(statement: DriverStatement, call?: CallOptions): Promise<DriverResult> {
    return this.#link.run(statement, call);
  }

  /**
   * The rows of a statement as a stream, fetched in windows by a cursor: in the open transaction, or
   * in a read-only one that ends with the stream. Leaving the loop closes the cursor.
   *
   * @example
   * ```ts
   * import { AsyncEngine, sql } from "@sluice/orm";
   * import { assertEquals } from "@std/assert";
   *
   * await using engine = new AsyncEngine("sqlite::memory:");
   * await using connection = await engine.connect();
   * const numbers = sql<{ n: number }>`
   *   with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < 1000)
   *   select n from numbers`;
   * let sum = 0;
   * for await (const { n } of connection.stream(numbers, { window: 100 })) {
   *   sum += n;
   *   if (n === 10) break;
   * }
   * assertEquals(sum, 55);
   * ```
   */
  stream<Row>(
    statement: Executable<Row>,
    options?: StreamOptions,
  ): AsyncGenerator<Row, void, void> {
    const link = this.#link;
    return streamRows<Row>(link, () => compile(statement, link.context.dialect), options);
  }

  /** The rows of a compiled statement, window by window, for the layers above. */
  windows(
    statement: DriverStatement,
    options?: StreamOptions,
  ): AsyncGenerator<DriverResult, void, void> {
    return streamWindows(this.#link, statement, options);
  }

  /** A cursor of the driver in the open transaction, for the layers above. */
  async openCursor(statement: DriverStatement, call?: CallOptions): Promise<DriverCursor> {
    if (this.#link.transaction === undefined) {
      throw new UsageError("A cursor lives in a transaction, and none is open", {
        hint: "Begin one first, or use stream()",
      });
    }
    return await this.#link.openCursor(statement, call);
  }

  /**
   * Begins a transaction; with a function, commits when that returns and rolls back when it throws.
   *
   * With `retries` the function runs again, in a new transaction, when the one before failed for no
   * fault of its own. What else it does than through the transaction is done again, too.
   *
   * @throws {UsageError} `USAGE` when one is open already: use `tx.savepoint()`.
   * @throws {InputError} `INVALID_INPUT` for an unknown option or isolation level.
   * @throws {TransactionError} `ALREADY_COMMITTED` when work with this `idempotencyKey` is stored.
   */
  begin(options?: TransactionOptions): Promise<Transaction>;
  /** Runs a function in a transaction. */
  begin<T>(fn: (tx: Transaction) => T | Promise<T>, options?: RetryOptions): Promise<T>;
  async begin<T>(
    first: TransactionOptions | ((tx: Transaction) => T | Promise<T>) = {},
    second: RetryOptions = {},
  ): Promise<Transaction | T> {
    if (typeof first !== "function") return await this.#begin(first, 1);
    const { each, ...policy } = splitRetryOptions(second);
    return await withRetries(
      // On a connection that is lost there is nothing to run again.
      { ...policy, signal: each.signal, reconnects: false },
      (attempt) => this.attempt(first, each, attempt),
    );
  }

  /**
   * Runs a function in a transaction once, for the layers above.
   *
   * @internal
   */
  async attempt<T>(
    fn: (tx: Transaction) => T | Promise<T>,
    options: TransactionOptions,
    attempt: Attempt,
  ): Promise<T> {
    const transaction = await this.#begin(options, attempt.number);
    attempt.transaction = transaction;
    return await this.hold(() => inTransaction(transaction, fn));
  }

  async #begin(given: TransactionOptions, attempt: number | undefined): Promise<Transaction> {
    const link = this.#link;
    const options = checkBeginOptions(given);
    const { signal, timeout, idempotencyKey } = options;
    const transaction = this.#made(options, attempt);
    const { keys } = link.context;
    if (idempotencyKey !== undefined && link.transaction === undefined) {
      await keys.prepare((statement) => link.run(statement, { signal }));
    }
    await link.begin(transaction, options, { signal, timeout }, attempt !== undefined);
    link.escape = options.escape ?? link.context.escape;
    if (idempotencyKey === undefined) return transaction;
    try {
      await keys.claim(idempotencyKey, (statement) => link.run(statement, { signal }));
    } catch (error) {
      await transaction.rollback().catch((failure) => suppress(error, failure));
      throw error;
    }
    // What was answered so far is of no use to anybody.
    link.answered = false;
    return transaction;
  }

  #made(options: TransactionOptions, attempt = 1): Transaction {
    const { readOnly = false, idempotencyKey } = options;
    return new Transaction(this.#link, { readOnly, attempt, idempotencyKey });
  }

  /**
   * Begins a transaction whose begin shares the round trip of its first statement, for the layers
   * above. Where begin may have to wait, for a lock on SQLite or for a key, it is waited for.
   *
   * @param attempt How often the function of a `begin()` has run, this time included; absent for a short
   * transaction of our own, whose place in the program nobody wants to know.
   */
  async beginSoon(given: TransactionOptions = {}, attempt?: number): Promise<Transaction> {
    const link = this.#link;
    const options = checkBeginOptions(given);
    if (link.context.dialect.name !== "postgres" || options.idempotencyKey !== undefined) {
      return await this.#begin(options, attempt);
    }
    const transaction = this.#made(options, attempt);
    link.beginSoon(transaction, options, attempt !== undefined);
    link.escape = options.escape ?? link.context.escape;
    return transaction;
  }

  /**
   * Runs a compiled statement that is a transaction by itself, without BEGIN and COMMIT, for the layers
   * above: it happens as a whole or not at all.
   *
   * @throws {CommitUnknownError} `COMMIT_UNKNOWN` when the connection was lost before the answer.
   * @throws {UsageError} `USAGE` when a transaction is open.
   */
  runAlone(statement: DriverStatement, call?: CallOptions): Promise<DriverResult> {
    return this.#link.runAlone(statement, call);
  }

  /**
   * From here on the open transaction answers nothing but rollback, because of `error`. For the layers
   * above, whose state can be out of step where the database's is not.
   */
  fail(error: unknown): void {
    this.#link.fail(error);
  }

  /**
   * Refuses what would be sent, without sending anything.
   *
   * @throws {PendingRollbackError} `PENDING_ROLLBACK` after a failed statement of the open transaction.
   * @throws {ClosedError} when it went back to the pool.
   */
  assertUsable(): void {
    const refusal = this.#link.refusal();
    if (refusal !== undefined) throw refusal;
  }

  /** Takes an advisory lock and keeps this connection for it, for the engine. */
  async advisoryLock(key: string | bigint, options: AdvisoryLockOptions): Promise<AdvisoryLock> {
    const link = this.#link;
    const transaction = await this.#begin({ readOnly: true, signal: options.signal }, undefined);
    link.expectLong();
    // The server must not end it for being idle: that is all it does.
    const patient = "set local idle_in_transaction_session_timeout = 0";
    await link.run({ text: patient, params: [], prepare: false }, options);
    const id = await lockInTransaction(link, key, options);
    return new AdvisoryLock(id, options.shared === true, {
      get held() {
        return transaction.open && !link.closed && link.driver.lost === undefined;
      },
      release: () => link.release(),
    });
  }

  /** Runs `fn` in an async context that is known to hold this connection, for the layers above. */
  hold<T>(fn: () => T): T {
    return holding(this.#link, fn);
  }

  /** `COPY … FROM STDIN`, for the layers above; gives the number of rows. */
  copyIn(
    text: string,
    source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    call?: CallOptions,
  ): Promise<number> {
    return caught(this.#link.copyIn(text, source, call));
  }

  /** `COPY … TO STDOUT`, for the layers above. */
  copyOut(text: string, call?: CallOptions): AsyncGenerator<Uint8Array, void, void> {
    return this.#link.copyOut(text, call);
  }

  /** Undoes what was done since a savepoint, for the layers above. */
  rollbackTo(savepoint: string): Promise<void> {
    return caught(this.#link.rollbackTo(savepoint));
  }

  /** The driver's own connection, for the layers above: COPY and whatever else only it can do. */
  get driver(): DriverConnection {
    return this.#link.driver;
  }

  /**
   * Gives the connection back to the pool. An open transaction is rolled back. Never rejects; a
   * second call does nothing.
   */
  release(): Promise<void> {
    return this.#link.release();
  }

  /** Gives the connection back to the pool. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#link.release();
  }
}
