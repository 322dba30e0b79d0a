import { ConfigError, UsageError } from "../errors.ts";
import type { Dialect } from "../dialect/dialect.ts";
import { dialectOf } from "../dialect/dialects.ts";
import type {
  CallOptions,
  Driver,
  DriverConnection,
  DriverResult,
  DriverStatement,
} from "../dialect/driver.ts";
import { NullPool } from "../pool/null_pool.ts";
import type { LeakReport, Lease, Pool, PoolStatus } from "../pool/pool.ts";
import { QueuePool } from "../pool/queue_pool.ts";
import { StaticPool } from "../pool/static_pool.ts";
import { caught } from "../util/caught.ts";
import type { AdvisoryLock, AdvisoryLockOptions } from "./advisory_lock.ts";
import { type RetryOptions, splitRetryOptions } from "./begin_options.ts";
import { CommitKeys, type RunStatement } from "./commit_keys.ts";
import { Connection } from "./connection.ts";
import { DriverResource } from "./driver_resource.ts";
import { Emitter, type EngineEvents, type EngineListener, type StatementEvent } from "./events.ts";
import { EscapeWatch } from "./escape.ts";
import { heldHere, holdingNothing, leasesHere } from "./held.ts";
import { Lanes } from "./lanes.ts";
import { Link, type LinkContext } from "./link.ts";
import { type EngineOptions, type EngineSettings, engineSettings } from "./options.ts";
import type { Result } from "./result.ts";
import { compile, type Executable, resultOf } from "./statement.ts";
import { withRetries } from "./retry.ts";
import type { Transaction } from "./transaction.ts";
import { TransactionWatch } from "./transaction_watch.ts";
import { driverOf } from "./url.ts";

/** How to borrow a connection. */
export interface ConnectOptions {
  /** Gives the wait up when aborted; `connect` rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Longest wait, in milliseconds; 0 is no limit. Default: the engine's `poolTimeout`. */
  timeout?: number | undefined;
}

/** What an engine shows of its pool. */
export interface EnginePool {
  /** How things stand, and the counters since the engine was made. */
  status(): PoolStatus;
}

/** An engine without sessions: connections, transactions and statements. `AsyncEngine` builds on it. */
export class CoreEngine implements AsyncDisposable {
  /**
   * How this database spells SQL, for the layers above.
   *
   * @internal
   */
  readonly dialect: Dialect;
  /** The database, for messages and logs: never with a password. */
  readonly target: string;
  /** The pool of connections. */
  readonly pool: EnginePool;
  readonly #driver: Driver;
  readonly #pool: Pool<DriverConnection>;
  readonly #settings: EngineSettings;
  readonly #events = new Emitter();
  readonly #context: LinkContext;
  readonly #escapes = new EscapeWatch(this.#events);
  readonly #lanes: Lanes | undefined;
  #disposed: Promise<void> | undefined;

  /**
   * Makes an engine. Nothing is loaded or connected before it is first used.
   *
   * @param alsoKnown Names of options that a layer above checks.
   * @throws {ConfigError} `INVALID_CONFIG` for a URL or an option that is wrong.
   */
  constructor(
    database: string | URL | Driver,
    options?: EngineOptions,
    alsoKnown: readonly string[] = [],
  ) {
    const settings = engineSettings(options, alsoKnown);
    const driver = isDriver(database) ? database : driverOf(database);
    this.dialect = dialectOf(driver.dialect);
    this.target = driver.target;
    this.#driver = driver;
    this.#settings = settings;
    this.#context = {
      dialect: this.dialect,
      events: this.#events,
      call: { signal: undefined, timeout: settings.statementTimeout || undefined },
      showParams: settings.echo === "params",
      escape: settings.escape,
      watch: new TransactionWatch({
        after: settings.transactionWarnAfter,
        report: (report) => this.#onLeak(report),
      }),
      keys: new CommitKeys(
        driver.dialect,
        settings.keepIdempotencyKeys,
        (end, work) => this.#aside(end, work),
      ),
    };
    this.#pool = this.#makePool();
    this.pool = { status: () => this.#pool.status() };
    const { limit } = this.#pool.status();
    if (settings.shareConnections && driver.dialect === "postgres" && limit > 1) {
      this.#lanes = new Lanes(() => this.#borrowForLane(), limit);
    }
    if (settings.echo !== false) this.#startEcho(settings.echo);
  }

  /**
   * Borrows a connection: `await using connection = await engine.connect()`.
   *
   * @throws {PoolTimeoutError} `POOL_TIMEOUT` when none came free in time.
   * @throws {NestedCheckoutError} `NESTED_CHECKOUT` inside `begin(fn)`, when its own connections take all places.
   * @throws {ConnectError} `CONNECT_FAILED` and its finer codes when none can be made.
   * @throws {EngineDisposedError} `ENGINE_DISPOSED` after `dispose()`.
   *
   * @example
   * ```ts
   * import { AsyncEngine, sql } from "@sluice/orm";
   * import { assertEquals } from "@std/assert";
   *
   * await using engine = new AsyncEngine("sqlite::memory:");
   * {
   *   await using connection = await engine.connect({ timeout: 1_000 });
   *   await connection.execute(sql`select 1`);
   *   assertEquals(engine.pool.status().checkedOut, 1);
   * }
   * assertEquals(engine.pool.status().checkedOut, 0);
   * ```
   */
  connect(options: ConnectOptions = {}): Promise<Connection> {
    let connection: Connection | undefined;
    try {
      connection = options.signal?.aborted ? undefined : this.tryConnect();
    } catch (error) {
      return caught(Promise.reject(error));
    }
    return connection === undefined ? this.#connectSlowly(options) : Promise.resolve(connection);
  }

  /** How many connections there can be at the same time, for the layers above. */
  get connections(): number {
    return this.#pool.status().limit;
  }

  /** A connection if one lies ready, for the layers above. */
  tryConnect(): Connection | undefined {
    const held = heldHere();
    if (held.length > 0) this.#escapes.check(held, this.#context);
    const lease = this.#pool.tryAcquire();
    return lease === undefined ? undefined : this.#lend(lease, 0);
  }

  /** Reads are to travel together, for the layers above: where few are under way, each goes alone. */
  get shares(): boolean {
    return this.#lanes !== undefined && this.#pool.checkedOut >= this.#lanes.most;
  }

  /**
   * Runs one read together with those of others, for the layers above: a plain SELECT of ours, with no
   * time of its own. Undefined where it needs a connection to itself.
   */
  share(
    statement: DriverStatement,
    signal?: AbortSignal,
  ): Promise<DriverResult | undefined> | undefined {
    if (this.#lanes === undefined || this.#disposed !== undefined) return undefined;
    // What sends something past an open transaction is to be noticed, not to be helped
    if (heldHere().length > 0) return undefined;
    return this.#lanes.takes(statement)
      ? this.#lanes.run(statement, signal)
      : this.#tryOut(this.#lanes, statement, signal);
  }

  /** Runs a read by itself, to see how long it takes. */
  async #tryOut(
    lanes: Lanes,
    statement: DriverStatement,
    signal: AbortSignal | undefined,
  ): Promise<DriverResult> {
    await using connection = await this.connect({ signal });
    const started = performance.now();
    const result = await connection.run(statement, { signal });
    lanes.learn(statement, performance.now() - started);
    return result;
  }

  async #borrowForLane(): Promise<Link> {
    const started = performance.now();
    const lease = await holdingNothing(() => this.#pool.acquire());
    return this.#linkOf(lease, performance.now() - started);
  }

  /**
   * Runs one statement on a connection of its own.
   *
   * @param call Its limits; `timeout` covers the wait for a connection too.
   * @throws What `connect()` and `Connection.execute()` throw.
   *
   * @example
   * ```ts
   * import { AsyncEngine, sql } from "@sluice/orm";
   * import { assertEquals } from "@std/assert";
   *
   * await using engine = new AsyncEngine("sqlite::memory:");
   * const result = await engine.execute(sql<{ n: number }>`select ${20} + ${22} as n`);
   * assertEquals(result.scalar(), 42);
   * ```
   */
  execute<Row>(statement: Executable<Row>, call: CallOptions = {}): Promise<Result<Row>> {
    let compiled: DriverStatement;
    try {
      compiled = compile(statement, this.dialect);
    } catch (error) {
      return caught(Promise.reject(error));
    }
    return caught(
      this.run(compiled, call).then((result) => resultOf(statement, result, this.dialect)),
    );
  }

  /** Runs one compiled statement on a connection of its own, for the layers above. */
  async run(statement: DriverStatement, call: CallOptions = {}): Promise<DriverResult> {
    const { signal, timeout } = call;
    signal?.throwIfAborted();
    let connection = this.tryConnect();
    let limits = call;
    if (connection === undefined) {
      const started = performance.now();
      connection = await this.#connectSlowly({ signal, timeout: timeout || undefined });
      // What is left is never 0, which would be no limit.
      if (timeout) {
        limits = { signal, timeout: Math.max(timeout - (performance.now() - started), 1) };
      }
    }
    try {
      return await connection.run(statement, limits);
    } finally {
      await connection.release();
    }
  }

  /**
   * Runs `fn` in a transaction on a connection of its own: commits when it returns, rolls back when
   * it throws.
   *
   * With `retries` it runs again, in a new transaction and if need be on a new connection, when the one
   * before failed for no fault of its own: `tx.attempt` counts. What else `fn` does, it does again, too.
   *
   * @throws What `fn` throws; what failed while rolling back is in its `suppressed`.
   * @throws What `connect()`, `Connection.begin()` and `Transaction.commit()` throw; where `retries` were
   * used up, with the number of `attempts`.
   *
   * @example
   * ```ts
   * import { AsyncEngine, sql } from "@sluice/orm";
   * import { assertEquals } from "@std/assert";
   *
   * await using engine = new AsyncEngine("sqlite::memory:");
   * await engine.execute(sql`create table accounts (id integer, balance integer)`);
   * await engine.execute(sql`insert into accounts values (1, 100), (2, 0)`);
   * await engine.begin(async (tx) => {
   *   await tx.execute(sql`update accounts set balance = balance - ${30} where id = 1`);
   *   await tx.execute(sql`update accounts set balance = balance + ${30} where id = 2`);
   * });
   * const balances = sql<{ balance: number }>`select balance from accounts order by id`;
   * assertEquals((await engine.execute(balances)).scalars(), [70, 30]);
   * ```
   */
  async begin<T>(
    fn: (tx: Transaction) => T | Promise<T>,
    options: RetryOptions = {},
  ): Promise<T> {
    if (typeof fn !== "function") {
      throw new ConfigError("engine.begin() takes the function to run in the transaction", {
        hint:
          "Without one: await using connection = await engine.connect(), then connection.begin()",
      });
    }
    const { each, ...policy } = splitRetryOptions(options);
    const { signal } = each;
    return await withRetries({ ...policy, signal, reconnects: true }, async (attempt) => {
      await using connection = await this.connect({ signal });
      return await connection.attempt(fn, each, attempt);
    });
  }

  /**
   * Takes a lock on a name, which one holder has at a time, in whatever process: `await using lock =
   * await engine.advisoryLock("nightly job")`. A text stands for the first 8 bytes of its SHA-256 (as
   * a signed big-endian number), a bigint for itself.
   *
   * It is held by a transaction on a connection of its own, so that it works behind poolers and ends
   * with the connection, however the program ends. That connection is lent until the lock is given back;
   * ask `lock.held` in long work.
   *
   * @param options.timeout Longest wait for the lock, in milliseconds.
   * @throws {LockTimeoutError} `LOCK_TIMEOUT` when it was not to be had in time, or with `noWait` at once.
   * @throws {UsageError} `UNSUPPORTED` on SQLite and PGlite, whose only writer or connection it would
   * take: use `tx.advisoryLock()`.
   *
   * @example One at a time, elsewhere not at all
   * ```ts ignore
   * import { AsyncEngine, LockTimeoutError } from "@sluice/orm";
   *
   * await using engine = new AsyncEngine("postgres://me@localhost/app");
   * try {
   *   await using _lock = await engine.advisoryLock("nightly job", { noWait: true });
   *   await nightlyJob();
   * } catch (error) {
   *   if (!(error instanceof LockTimeoutError)) throw error; // else another process is at it
   * }
   * ```
   */
  async advisoryLock(
    key: string | bigint,
    options: AdvisoryLockOptions = {},
  ): Promise<AdvisoryLock> {
    if (this.dialect.name !== "postgres" || this.#driver.defaultPool === "static") {
      throw new UsageError(`${this.target} has no advisory locks outside of transactions`, {
        code: "UNSUPPORTED",
        hint: "Take it inside one: await tx.advisoryLock(key)",
      });
    }
    const { signal } = options;
    const connection = await this.#connectSlowly({ signal });
    try {
      return await connection.advisoryLock(key, options);
    } catch (error) {
      await connection.release();
      throw error;
    }
  }

  /**
   * Whether a transaction with this `idempotencyKey` is stored. Waits for one that is just under way,
   * up to 10 s.
   */
  isCommitted(idempotencyKey: string): Promise<boolean> {
    return this.#context.keys.isCommitted(idempotencyKey);
  }

  /**
   * Forgets idempotency keys older than so many milliseconds, and gives their number. Those older than
   * the engine's `keepIdempotencyKeys` are forgotten by themselves, once an hour at most.
   */
  forgetIdempotencyKeys(olderThan: number): Promise<number> {
    return this.#context.keys.forget(olderThan);
  }

  /**
   * Listens: `statement`, `checkout`, `connect`, `transaction`, `leak`, `lost`, `escape`.
   *
   * @returns A function that stops listening.
   * @throws {InputError} `INVALID_INPUT` when there is no such event.
   *
   * @example
   * ```ts
   * import { AsyncEngine, sql } from "@sluice/orm";
   * import { assertEquals } from "@std/assert";
   *
   * await using engine = new AsyncEngine("sqlite::memory:");
   * const seen: string[] = [];
   * const stop = engine.on("statement", (event) => seen.push(event.sql));
   * await engine.execute(sql`select ${"secret"} as word`);
   * stop();
   * assertEquals(seen, ["select ?1 as word"]);
   * ```
   */
  on<Name extends keyof EngineEvents>(name: Name, listener: EngineListener<Name>): () => void {
    return this.#events.on(name, listener);
  }

  /**
   * Ends the engine: new checkouts and waiting ones get `EngineDisposedError`, lent connections may
   * finish for `timeout` milliseconds (default: `disposeTimeout`), then everything is closed. Never
   * rejects; all calls share the first one's promise.
   *
   * @example
   * ```ts
   * import { AsyncEngine, EngineDisposedError, sql } from "@sluice/orm";
   * import { assertRejects } from "@std/assert";
   *
   * const engine = new AsyncEngine("sqlite::memory:");
   * await engine.execute(sql`select 1`);
   * await engine.dispose();
   * await assertRejects(() => engine.execute(sql`select 1`), EngineDisposedError);
   * ```
   */
  dispose(options: { timeout?: number | undefined } = {}): Promise<void> {
    return this.#disposed ??= this.#dispose(options.timeout ?? this.#settings.disposeTimeout);
  }

  /** Ends the engine. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  async #dispose(timeout: number): Promise<void> {
    await this.#pool.close({ timeout });
    this.#context.watch.close();
    try {
      await this.#driver.close();
    } catch (error) {
      console.error(`The driver of ${this.target} could not be closed:`, error);
    }
  }

  async #connectSlowly({ signal, timeout }: ConnectOptions): Promise<Connection> {
    const started = performance.now();
    const lease = await this.#pool.acquire({ signal, timeout, held: leasesHere() });
    return this.#lend(lease, performance.now() - started);
  }

  /** Work of ours beside that of the caller. */
  #aside<T>(end: "commit" | "rollback", work: (run: RunStatement) => Promise<T>): Promise<T> {
    return holdingNothing(async () => {
      await using connection = await this.connect();
      await using transaction = await connection.begin();
      const value = await work((statement, call) => transaction.run(statement, call));
      if (end === "commit") await transaction.commit();
      return value;
    });
  }

  #lend(lease: Lease<DriverConnection>, waitedMs: number): Connection {
    return new Connection(this.#linkOf(lease, waitedMs));
  }

  #linkOf(lease: Lease<DriverConnection>, waitedMs: number): Link {
    if (this.#events.has("checkout")) {
      this.#events.emit("checkout", { connection: lease.resource.id, waitedMs });
    }
    return new Link(this.#context, lease, waitedMs);
  }

  #makePool(): Pool<DriverConnection> {
    const settings = this.#settings;
    const { defaultPool } = this.#driver;
    const kind = settings.pool ?? defaultPool;
    if (defaultPool === "static" && kind !== "static") {
      throw new ConfigError(
        `${this.target} has one connection only, so its pool cannot be "${kind}"`,
        {
          hint: "Leave the option out",
        },
      );
    }
    const resource = new DriverResource(this.#driver, settings.connectTimeout, this.#events);
    const common = {
      poolTimeout: settings.poolTimeout,
      // The driver keeps its own limit; the pool's is for a driver that does not.
      createTimeout: settings.connectTimeout + 1_000,
      leakAfter: settings.leakAfter,
      traceCheckouts: settings.traceCheckouts,
      onLeak: (leak: LeakReport) => this.#onLeak(leak),
    };
    switch (kind) {
      case "static":
        return new StaticPool(resource, common);
      case "null":
        return new NullPool(resource, common);
      case "queue":
        return new QueuePool(resource, {
          ...common,
          poolSize: settings.poolSize,
          maxOverflow: settings.maxOverflow,
          poolRecycle: settings.poolRecycle,
          poolPrePing: settings.poolPrePing,
        });
    }
  }

  #onLeak(leak: LeakReport): void {
    const { kind, task, heldFor, note, stack } = leak;
    if (kind === "forgotten" && task !== undefined) this.#context.watch.end(task);
    if (this.#events.has("leak")) return this.#events.emit("leak", leak);
    const what = kind === "transaction"
      ? `A transaction on ${this.target} is open for`
      : kind === "held"
      ? `A connection of ${this.target} is lent since`
      : `A connection of ${this.target} was never given back${
        task === undefined ? "" : " with a transaction open"
      } and is closed, lent for`;
    console.error(`${what} ${heldFor} ms, last: ${note ?? "not used"}${stack ? `\n${stack}` : ""}`);
  }

  #startEcho(echo: true | "params" | ((event: StatementEvent) => void)): void {
    if (typeof echo === "function") {
      this.#events.on("statement", echo);
      return;
    }
    this.#events.on("statement", (event) => console.log(statementLine(event)));
    this.#events.on("transaction", ({ action, ms, error }) => {
      console.log(`${ms.toFixed(1)} ms  ${error === undefined ? "" : "FAILED  "}${action}`);
    });
  }
}

function isDriver(database: string | URL | Driver): database is Driver {
  if (typeof database === "string" || database instanceof URL) return false;
  if (typeof database === "object" && database !== null && typeof database.connect === "function") {
    return true;
  }
  throw new ConfigError("An engine needs the URL of a database, or a driver", {
    hint: 'As in new AsyncEngine("sqlite:./app.db")',
  });
}

function statementLine({ sql, params, rowCount, ms, error }: StatementEvent): string {
  const outcome = error === undefined ? `${rowCount} rows` : "FAILED";
  const values = params === undefined || params.length === 0
    ? ""
    : `  [${params.map(showValue).join(", ")}]`;
  return `${ms.toFixed(1)} ms  ${outcome}  ${sql}${values}`;
}

function showValue(value: unknown): string {
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}
