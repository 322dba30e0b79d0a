import { ConfigError } from "../errors.ts";
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
import { Connection } from "./connection.ts";
import { DriverResource } from "./driver_resource.ts";
import { Emitter, type EngineEvents, type EngineListener, type StatementEvent } from "./events.ts";
import { heldHere } from "./held.ts";
import { Link, type LinkContext } from "./link.ts";
import { type EngineOptions, type EngineSettings, engineSettings } from "./options.ts";
import { Result } from "./result.ts";
import { compile, type Executable } from "./statement.ts";
import type { Transaction, TransactionOptions } from "./transaction.ts";
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
      call: settings.statementTimeout === 0 ? {} : { timeout: settings.statementTimeout },
      showParams: settings.echo === "params",
    };
    this.#pool = this.#makePool();
    this.pool = { status: () => this.#pool.status() };
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
    const connection = options.signal?.aborted ? undefined : this.tryConnect();
    return connection === undefined ? this.#connectSlowly(options) : Promise.resolve(connection);
  }

  /** A connection if one lies ready, for the layers above. */
  tryConnect(): Connection | undefined {
    const lease = this.#pool.tryAcquire();
    return lease === undefined ? undefined : this.#lend(lease, 0);
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
      this.run(compiled, call).then((result) => new Result<Row>(result, this.dialect)),
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
   * @throws What `fn` throws; what failed while rolling back is in its `suppressed`.
   * @throws What `connect()`, `Connection.begin()` and `Transaction.commit()` throw.
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
    options: TransactionOptions = {},
  ): Promise<T> {
    if (typeof fn !== "function") {
      throw new ConfigError("engine.begin() takes the function to run in the transaction", {
        hint:
          "Without one: await using connection = await engine.connect(), then connection.begin()",
      });
    }
    await using connection = await this.connect({ signal: options.signal });
    return await connection.begin(fn, options);
  }

  /**
   * Listens: `statement`, `checkout`, `connect`, `transaction`, `leak`, `lost`.
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
    try {
      await this.#driver.close();
    } catch (error) {
      console.error(`The driver of ${this.target} could not be closed:`, error);
    }
  }

  async #connectSlowly({ signal, timeout }: ConnectOptions): Promise<Connection> {
    const started = performance.now();
    const lease = await this.#pool.acquire({ signal, timeout, held: heldHere() });
    return this.#lend(lease, performance.now() - started);
  }

  #lend(lease: Lease<DriverConnection>, waitedMs: number): Connection {
    if (this.#events.has("checkout")) {
      this.#events.emit("checkout", { connection: lease.resource.id, waitedMs });
    }
    return new Connection(new Link(this.#context, lease, waitedMs));
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
    if (this.#events.has("leak")) return this.#events.emit("leak", leak);
    const what = leak.kind === "held"
      ? "is lent since"
      : "was never given back and is closed, lent for";
    console.error(
      `A connection of ${this.target} ${what} ${leak.heldFor} ms, ` +
        `last: ${leak.note ?? "not used"}${leak.stack ? `\n${leak.stack}` : ""}`,
    );
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
