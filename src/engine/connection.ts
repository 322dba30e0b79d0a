import type {
  CallOptions,
  DriverConnection,
  DriverCursor,
  DriverResult,
  DriverStatement,
} from "../dialect/driver.ts";
import { UsageError } from "../errors.ts";
import { holding } from "./held.ts";
import type { Link } from "./link.ts";
import type { Result } from "./result.ts";
import { compile, type Executable, execute } from "./statement.ts";
import { type StreamOptions, streamRows, streamWindows } from "./stream.ts";
import {
  checkBeginOptions,
  inTransaction,
  Transaction,
  type TransactionOptions,
} from "./transaction.ts";

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
   * @throws {UsageError} `USAGE` when one is open already: use `tx.savepoint()`.
   * @throws {InputError} `INVALID_INPUT` for an unknown option or isolation level.
   */
  begin(options?: TransactionOptions): Promise<Transaction>;
  /** Runs a function in a transaction. */
  begin<T>(fn: (tx: Transaction) => T | Promise<T>, options?: TransactionOptions): Promise<T>;
  async begin<T>(
    first?: TransactionOptions | ((tx: Transaction) => T | Promise<T>),
    second?: TransactionOptions,
  ): Promise<Transaction | T> {
    const options = (typeof first === "function" ? second : first) ?? {};
    const transaction = new Transaction(this.#link);
    const { signal, timeout } = options;
    await this.#link.begin(transaction, checkBeginOptions(options), { signal, timeout });
    if (typeof first !== "function") return transaction;
    return await this.hold(() => inTransaction(transaction, first));
  }

  /**
   * Begins a transaction whose begin shares the round trip of its first statement, for the layers
   * above. On SQLite, where begin may have to wait for a lock, it is waited for.
   */
  async beginSoon(options: TransactionOptions = {}): Promise<Transaction> {
    if (this.#link.context.dialect.name !== "postgres") return await this.begin(options);
    const transaction = new Transaction(this.#link);
    this.#link.beginSoon(transaction, checkBeginOptions(options));
    return transaction;
  }

  /** Runs `fn` in an async context that is known to hold this connection, for the layers above. */
  hold<T>(fn: () => T): T {
    return holding(this.#link.lease, fn);
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
