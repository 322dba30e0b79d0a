/**
 * The session: the object a program holds. A unit of work over plain objects, on a connection
 * that is borrowed late and returned early.
 *
 * @module
 */

import { ClosedError, InputError, NoResultError, UsageError } from "../errors.ts";
import type { Dialect } from "../dialect/dialect.ts";
import type { CallOptions, DriverStatement } from "../dialect/driver.ts";
import type { Connection } from "../engine/connection.ts";
import type { Result } from "../engine/result.ts";
import type { Executable } from "../engine/statement.ts";
import type { TransactionOptions } from "../engine/transaction.ts";
import { hydrate } from "../loading/hydrate.ts";
import { type Loader, loadPaths, selectAll } from "../loading/selectin.ts";
import { type InstanceStatus, Managed } from "../mapper/instance_state.ts";
import type { Mapper } from "../mapper/mapper.ts";
import type { Registry } from "../mapper/registry.ts";
import type { EntityClass } from "../mapper/types.ts";
import { nodeOf, type SelectNode } from "../sql/node.ts";
import type { WireRow } from "../sql/wire.ts";
import { UnitOfWork } from "../unit_of_work/unit_of_work.ts";
import { suppress } from "../util/suppress.ts";
import { didYouMean } from "../util/nearest.ts";
import { bulkInsert, type RowSource } from "./bulk.ts";
import { type Batches, type BatchOptions, commitBatches } from "./commit_batches.ts";
import { keyCondition } from "./key_condition.ts";
import { Query, type QueryRunner } from "./query.ts";
import { planFor, type QueryPlan, selectOf } from "./query_plan.ts";
import { SessionStream } from "./session_stream.ts";
import { SessionTransaction, type TransactionOwner } from "./session_transaction.ts";
import { type ConnectionSource, Turnstile } from "./turnstile.ts";

/** How a session works. */
export interface SessionOptions {
  /** Inside `begin()`, a query flushes first, so that it sees your changes. Default true. */
  autoflush?: boolean | undefined;
  /** What `close()` does with changes that were never flushed. Default `"warn"`. */
  onUnflushedClose?: "warn" | "throw" | "ignore" | undefined;
  /** Gives up every statement of the session. */
  signal?: AbortSignal | undefined;
}

/** How an object is fetched by key. */
export interface GetOptions extends CallOptions {
  /** Locks the row and reads it anew; only inside `begin()`. */
  lock?: "update" | "share" | undefined;
}

/** What a session is made from. */
export interface SessionContext {
  /** Where connections come from. */
  readonly engine: ConnectionSource;
  /** The database's spelling. */
  readonly dialect: Dialect;
  /** The entities; resolved on first use. */
  readonly registry: Registry;
}

/**
 * A session, made by `engine.session()`. One object per row, changes tracked, nothing sent before
 * `commit()` or, inside `begin()`, the next flush. Outside `begin()` it holds no connection
 * between statements.
 *
 * Several calls at once are safe: they are carried out in call order, on one connection.
 *
 * @example
 * ```ts
 * import { AsyncEngine, createAll, entity, integer, text } from "@sluice/orm";
 * import { assertEquals, assertStrictEquals } from "@std/assert";
 *
 * class Pet extends entity("pets", { id: integer().primaryKey().generated(), name: text() }) {}
 * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Pet] });
 * await createAll(engine);
 * await using session = engine.session();
 *
 * const ant = new Pet({ name: "Ant" });
 * session.add(ant);
 * await session.commit(); // INSERT; the key is filled in
 * ant.name = "Anteater";
 * await session.commit(); // UPDATE of what changed
 * assertStrictEquals(await session.get(Pet, ant.id), ant); // no query
 * assertEquals((await session.query(Pet).one()).name, "Anteater");
 * ```
 */
export class AsyncSession implements QueryRunner, TransactionOwner, AsyncDisposable {
  readonly #context: SessionContext;
  readonly #options: SessionOptions;
  readonly #turnstile: Turnstile;
  readonly #owner = { closed: false };
  readonly #work: UnitOfWork;
  readonly #streams = new Set<SessionStream>();
  #transaction: SessionTransaction | undefined;

  /** Made by `engine.session()`. */
  constructor(context: SessionContext, options: SessionOptions = {}) {
    checkOptions(options);
    this.#context = context;
    this.#options = options;
    this.#turnstile = new Turnstile(context.engine);
    this.#work = new UnitOfWork(this.#owner, context.registry, context.dialect);
  }

  // --- objects -----------------------------------------------------------------------------------

  /** Takes in a new object, and all new objects that hang on it, to be inserted by the next flush. */
  add(object: object): void {
    this.#assertOpen();
    this.#work.add(object);
  }

  /** Takes in several. */
  addAll(objects: Iterable<object>): void {
    this.#assertOpen();
    for (const object of objects) this.#work.add(object);
  }

  /** Marks an object to be deleted by the next flush. */
  delete(object: object): void {
    this.#assertOpen();
    this.#work.delete(object);
  }

  /** Lets go of an object: it is detached, and its changes are not stored. */
  expunge(object: object): void {
    this.#work.expunge(object);
  }

  /** Objects to be inserted by the next flush. */
  get new(): readonly object[] {
    return this.#work.pending;
  }

  /** Objects that differ from their rows. */
  get dirty(): readonly object[] {
    return this.#work.dirty;
  }

  /** Objects to be deleted by the next flush. */
  get deleted(): readonly object[] {
    return this.#work.deleted;
  }

  /** True if the object is new or differs from its row. */
  isModified(object: object): boolean {
    return this.#work.isModified(object);
  }

  // --- reading -----------------------------------------------------------------------------------

  /** A query for the objects of a class. */
  query<E extends object>(entityClass: EntityClass<E>): Query<E> {
    this.#assertOpen();
    const plan = planFor(this.#context.registry.mapper(entityClass));
    return new Query<E>(this, { ...plan, signal: this.#options.signal });
  }

  /**
   * The object with this primary key, or undefined. One that the session already has costs no
   * query. Composite keys are objects by property.
   */
  async get<E extends object>(
    entityClass: EntityClass<E>,
    key: unknown,
    options: GetOptions = {},
  ): Promise<E | undefined> {
    this.#assertOpen();
    const { dialect, registry } = this.#context;
    const mapper = registry.mapper(entityClass);
    const keyRow = mapper.keyRow(key, dialect.name);
    if (options.lock === undefined) {
      const known = this.#work.identityMap.of(mapper).get(mapper.identityOf(keyRow, dialect.name));
      if (known !== undefined) return known as E;
    } else this.#assertLockable();
    const call = this.#call(options);
    const found = await this.#turnstile.run(async (connection) => {
      await this.#autoflush(connection, call);
      const { text } = byKey(mapper, dialect, options.lock);
      const { rows } = await connection.run({ text, params: keyRow }, call);
      return this.#hydrate(mapper, rows);
    }, call);
    return found[0] as E | undefined;
  }

  /**
   * The object with this primary key.
   *
   * @throws {NoResultError} when there is none.
   */
  async getOrFail<E extends object>(
    entityClass: EntityClass<E>,
    key: unknown,
    options: GetOptions = {},
  ): Promise<E> {
    const object = await this.get(entityClass, key, options);
    if (object !== undefined) return object;
    const { name } = this.#context.registry.mapper(entityClass);
    throw new NoResultError(`There is no ${name} with this key`, {
      hint: "Use get() where that is expected",
    });
  }

  /** Runs a statement on the session's connection; inside `begin()`, after a flush. */
  execute<Row>(statement: Executable<Row>, options: CallOptions = {}): Promise<Result<Row>> {
    this.#assertOpen();
    const call = this.#call(options);
    return this.#turnstile.run(async (connection) => {
      await this.#autoflush(connection, call);
      return await connection.execute(statement, call);
    }, call);
  }

  // --- writing -----------------------------------------------------------------------------------

  /**
   * Stores all changes in one short transaction. Without changes nothing is sent.
   *
   * When it fails, nothing is stored and every object is as it was before: new ones are transient
   * again, changed ones have their old values.
   *
   * @throws {UsageError} inside `begin()` or a stream's loop.
   * @throws {IntegrityError} when a constraint is violated.
   * @throws {StaleDataError} when a row to be changed is no longer there.
   */
  commit(options: CallOptions = {}): Promise<void> {
    this.#assertOpen();
    this.#assertIdle("commit()", "Use the transaction's own commit()");
    const call = this.#call(options);
    return this.#turnstile.exclusive(async (borrow) => {
      this.#work.begin();
      try {
        const plan = this.#work.plan();
        if (plan !== undefined) {
          const connection = await borrow();
          const transaction = await connection.beginSoon(call);
          try {
            await this.#work.flush(plan, connection, call);
          } catch (error) {
            await transaction.rollback().catch((failure) => suppress(error, failure));
            throw error;
          }
          await transaction.commit(call);
        }
      } catch (error) {
        this.#work.rollback();
        throw error;
      }
      this.#work.commit();
    }, call);
  }

  /**
   * Forgets all changes: objects are as they were when the transaction began or, outside
   * `begin()`, when they were last loaded or stored. Ends an open transaction.
   */
  async rollback(): Promise<void> {
    this.#assertOpen();
    if (this.#transaction !== undefined) return await this.#transaction.rollback();
    await this.#turnstile.exclusive(() => {
      this.#work.begin();
      this.#work.rollback();
      return Promise.resolve();
    });
  }

  /**
   * Sends what is pending, inside `begin()`. Queries do so by themselves.
   *
   * @throws {UsageError} outside `begin()`, where `commit()` is the word.
   */
  flush(options: CallOptions = {}): Promise<void> {
    this.#assertOpen();
    if (this.#transaction === undefined) {
      throw new UsageError("flush() was called outside a transaction", {
        hint: "Use commit(), or call flush() inside session.begin(async () => { … })",
      });
    }
    const call = this.#call(options);
    return this.#turnstile.run((connection) => this.#flush(connection, call), call);
  }

  /** Begins a transaction, which is committed when `fn` returns and rolled back when it throws. */
  begin<T>(
    fn: (tx: SessionTransaction) => T | Promise<T>,
    options?: TransactionOptions,
  ): Promise<T>;
  /** Begins a transaction, to be ended by its `commit()`; disposing it rolls back. */
  begin(options?: TransactionOptions): Promise<SessionTransaction>;
  begin<T>(
    first: TransactionOptions | ((tx: SessionTransaction) => T | Promise<T>) = {},
    second: TransactionOptions = {},
  ): Promise<T | SessionTransaction> {
    this.#assertOpen();
    return typeof first === "function"
      ? this.#begin("begin()", first, second, true)
      : this.#beginTransaction("begin()", first, true).then(([transaction]) => transaction);
  }

  async #begin<T>(
    what: string,
    fn: (tx: SessionTransaction) => T | Promise<T>,
    options: TransactionOptions,
    tracks: boolean,
  ): Promise<T> {
    const [transaction, connection] = await this.#beginTransaction(what, options, tracks);
    try {
      const value = await connection.hold(() => fn(transaction));
      if (transaction.open) await transaction.commit();
      return value;
    } catch (error) {
      if (transaction.open) {
        await transaction.rollback().catch((failure) => suppress(error, failure));
      }
      throw error;
    }
  }

  async #beginTransaction(
    what: string,
    options: TransactionOptions,
    tracks: boolean,
  ): Promise<[SessionTransaction, Connection]> {
    this.#assertIdle(what, "Use tx.savepoint() inside a transaction");
    const call = this.#call(options);
    const release = await this.#turnstile.hold(call);
    try {
      return await this.#turnstile.run(async (connection) => {
        this.#assertIdle(what, "Use tx.savepoint() inside a transaction");
        const inner = await connection.beginSoon({ ...options, signal: call.signal });
        if (tracks) this.#work.begin();
        this.#transaction = new SessionTransaction(this, inner, release, tracks);
        return [this.#transaction, connection];
      }, call);
    } catch (error) {
      await release();
      throw error;
    }
  }

  /** For `SessionTransaction`. */
  async commitTransaction(transaction: SessionTransaction): Promise<void> {
    await this.#closeStreams();
    await this.#endTransaction(transaction, async (connection) => {
      const { inner, tracks } = transaction;
      try {
        if (tracks) await this.#flush(connection, this.#call({}));
        await inner.commit();
      } catch (error) {
        if (inner.open) await inner.rollback().catch((failure) => suppress(error, failure));
        if (tracks) this.#work.rollback();
        throw error;
      }
      if (tracks) this.#work.commit();
    });
  }

  /** For `SessionTransaction`. */
  async rollbackTransaction(transaction: SessionTransaction): Promise<void> {
    await this.#closeStreams();
    await this.#endTransaction(transaction, async () => {
      try {
        await transaction.inner.rollback();
      } finally {
        if (transaction.tracks) this.#work.rollback();
      }
    });
  }

  async #endTransaction(
    transaction: SessionTransaction,
    work: (connection: Connection) => Promise<void>,
  ): Promise<void> {
    if (this.#transaction !== transaction) {
      throw new ClosedError("This transaction has ended", { hint: "Begin another one" });
    }
    try {
      // Without the session's signal: an ended request must still be able to roll back.
      await this.#turnstile.run(async (connection) => {
        try {
          await work(connection);
        } finally {
          this.#transaction = undefined;
        }
      });
    } finally {
      await transaction.release();
    }
  }

  /** For `SessionTransaction`. */
  async savepoint<T>(transaction: SessionTransaction, fn: () => T | Promise<T>): Promise<T> {
    const call = this.#call({});
    // What was changed before belongs to the outer transaction and must survive.
    await this.#turnstile.run((connection) => this.#flush(connection, call), call);
    return await transaction.inner.savepoint(async () => {
      this.#work.begin();
      try {
        const value = await fn();
        await this.#turnstile.run((connection) => this.#flush(connection, call), call);
        this.#work.commit();
        return value;
      } catch (error) {
        this.#work.rollback();
        throw error;
      }
    });
  }

  /**
   * Inserts many rows without making objects of them: array-bound on PostgreSQL, in one
   * transaction, with constant memory whatever the length of the source.
   *
   * @param rows Plain objects by property: an array, an iterable or an async iterable.
   * @returns How many rows were inserted.
   * @throws {InputError} naming the row's index when a value cannot be stored; nothing is stored then.
   */
  bulkInsert<E extends object>(
    entityClass: EntityClass<E>,
    rows: RowSource<E>,
    options: CallOptions = {},
  ): Promise<number> {
    this.#assertOpen();
    const mapper = this.#context.registry.mapper(entityClass);
    const call = this.#call(options);
    // Rows are gathered between the statements, so that the source may read from this session.
    const insert = () =>
      bulkInsert(
        mapper,
        rows as RowSource<object>,
        this.#context.dialect,
        (statement) =>
          this.#turnstile.run(
            async (connection) => (await connection.run(statement, call)).rowCount,
            call,
          ),
      );
    return this.#transaction === undefined
      ? this.#begin("bulkInsert()", insert, call, false)
      : this.#turnstile.run((connection) => this.#autoflush(connection, call), call).then(insert);
  }

  /** Ends the session: an open transaction is rolled back, streams are closed, objects detached. */
  async close(): Promise<void> {
    if (this.#owner.closed) return;
    const unflushed = this.#transaction === undefined && this.#work.hasChanges;
    this.#owner.closed = true;
    await this.#closeStreams();
    await this.#transaction?.rollback().catch(() => {});
    await this.#turnstile.close();
    this.#work.close();
    if (unflushed) this.#reportUnflushed();
  }

  /** As `close()`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  // --- for Query ---------------------------------------------------------------------------------

  /** For `Query`. */
  all(plan: QueryPlan, added?: object[]): Promise<object[]> {
    const call = this.#begun(plan);
    return this.#turnstile.run(async (connection) => {
      await this.#autoflush(connection, call);
      const { rows } = await connection.run(this.toSQL(plan), call);
      const objects = this.#hydrate(plan.mapper, rows, added);
      if (plan.paths.size > 0) {
        await loadPaths(objects, plan.paths, this.#loader(connection, call, added));
      }
      return objects;
    }, call);
  }

  /** For `Query`. */
  stream(plan: QueryPlan): SessionStream {
    const call = this.#begun(plan);
    let release: (() => Promise<void>) | undefined;
    let windows: ReturnType<Connection["windows"]> | undefined;
    let added: object[] = [];
    const stream = new SessionStream({
      open: async () => {
        this.#assertOpen();
        release = await this.#turnstile.hold(call);
        this.#streams.add(stream);
        await this.#turnstile.run(async (connection) => {
          await this.#autoflush(connection, call);
          windows = connection.windows(this.toSQL(plan), { ...call, window: plan.window });
        }, call);
      },
      next: () =>
        this.#turnstile.run(async (connection) => {
          const next = await windows!.next();
          if (next.done) return [];
          added = [];
          const objects = this.#hydrate(plan.mapper, next.value.rows, added);
          if (plan.paths.size > 0) {
            await loadPaths(objects, plan.paths, this.#loader(connection, call, added));
          }
          return objects;
        }, call),
      passed: () => {
        for (const object of added) if (this.#work.isClean(object)) this.#work.expunge(object);
        added = [];
      },
      close: async () => {
        this.#streams.delete(stream);
        try {
          await this.#turnstile.run(async () => void await windows?.return());
        } finally {
          await release?.();
        }
      },
    }, plan.window);
    return stream;
  }

  /** For `Query`. */
  async count(plan: QueryPlan): Promise<number> {
    const counted: SelectNode = {
      ...selectOf(plan, selectAll(plan.mapper)),
      columns: [{ kind: "raw", parts: ["count(*)"] }],
      orderBy: [],
      limit: undefined,
      offset: undefined,
      lock: undefined,
    };
    const total = Number((await this.#select(plan, counted))[0]![0]);
    const rest = Math.max(0, total - (plan.offset ?? 0));
    return Math.min(rest, plan.limit ?? rest);
  }

  /** For `Query`. */
  async exists(plan: QueryPlan): Promise<boolean> {
    const rows = await this.#select(plan, {
      ...selectOf(plan, selectAll(plan.mapper)),
      columns: [{ kind: "raw", parts: ["1"] }],
      orderBy: [],
      limit: Math.min(plan.limit ?? 1, 1),
      lock: undefined,
    });
    return rows.length > 0;
  }

  /** For `Query`. */
  toSQL(plan: QueryPlan): DriverStatement {
    return this.#context.dialect.compile(selectOf(plan, selectAll(plan.mapper)));
  }

  /** For `Query`. */
  batches(plan: QueryPlan, size: number, options: BatchOptions): Batches<object> {
    this.#assertIdle("commitEvery()", "Its batches are transactions of their own");
    return commitBatches(this, this.#context.dialect, plan, size, options);
  }

  #select(plan: QueryPlan, select: SelectNode): Promise<WireRow[]> {
    const call = this.#begun(plan);
    return this.#turnstile.run(async (connection) => {
      await this.#autoflush(connection, call);
      return (await connection.run(this.#context.dialect.compile(select), call)).rows;
    }, call);
  }

  // --- inside ------------------------------------------------------------------------------------

  #hydrate(mapper: Mapper, rows: WireRow[], added?: object[]): object[] {
    return hydrate(mapper, rows, this.#target(added));
  }

  #target(added?: object[]) {
    return {
      owner: this.#owner,
      identityMap: this.#work.identityMap,
      dialect: this.#context.dialect.name,
      added,
    };
  }

  #loader(connection: Connection, call: CallOptions, added?: object[]): Loader {
    return {
      ...this.#target(added),
      select: async (select) =>
        (await connection.run(this.#context.dialect.compile(select), call)).rows,
    };
  }

  async #autoflush(connection: Connection, call: CallOptions): Promise<void> {
    if (!this.#transaction?.tracks || this.#options.autoflush === false) return;
    await this.#flush(connection, call);
  }

  async #flush(connection: Connection, call: CallOptions): Promise<void> {
    const plan = this.#work.plan();
    if (plan !== undefined) await this.#work.flush(plan, connection, call);
  }

  #call(options: CallOptions): CallOptions {
    const own = this.#options.signal;
    const { signal = own, timeout } = options;
    if (signal === undefined) return timeout === undefined ? noLimits : { timeout };
    return {
      signal: own === undefined || own === signal ? signal : AbortSignal.any([own, signal]),
      timeout,
    };
  }

  #begun(plan: QueryPlan): CallOptions {
    this.#assertOpen();
    if (plan.lock !== undefined) this.#assertLockable();
    return this.#call(plan);
  }

  #assertOpen(): void {
    if (!this.#owner.closed) return;
    throw new ClosedError("The session is closed", {
      hint: "Make a new one with engine.session()",
    });
  }

  #assertLockable(): void {
    if (this.#transaction !== undefined) return;
    throw new UsageError("A lock was asked for outside a transaction, where it would end at once", {
      hint: "Lock inside session.begin(async () => { … })",
    });
  }

  /** Refuses what needs the connection to itself while a transaction or a stream has it. */
  #assertIdle(what: string, insideTransaction: string): void {
    if (this.#transaction !== undefined) {
      throw new UsageError(`${what} was called inside a transaction`, { hint: insideTransaction });
    }
    if (this.#streams.size > 0) {
      throw new UsageError(`${what} was called inside a stream's loop`, {
        hint: "Use .commitEvery(n) for long updates, or collect with .all() first",
      });
    }
  }

  async #closeStreams(): Promise<void> {
    for (const stream of this.#streams) await stream.return().catch(() => {});
  }

  #reportUnflushed(): void {
    const message = "A session was closed with changes that were never stored";
    const hint = "Call commit() before, or rollback() to show that they are not wanted";
    switch (this.#options.onUnflushedClose ?? "warn") {
      case "throw":
        throw new UsageError(message, { hint });
      case "warn":
        console.warn(`Sluice: ${message}. ${hint}`);
    }
  }
}

const noLimits: CallOptions = {};

const texts = new WeakMap<Mapper, Map<string, DriverStatement>>();

/** `select … where key = …`, compiled once for each mapper, dialect and lock. */
function byKey(mapper: Mapper, dialect: Dialect, lock: GetOptions["lock"]): DriverStatement {
  let cached = texts.get(mapper);
  if (cached === undefined) texts.set(mapper, cached = new Map());
  const id = `${dialect.name} ${lock}`;
  let statement = cached.get(id);
  if (statement === undefined) {
    statement = dialect.compile({
      ...selectAll(mapper),
      where: keyCondition(mapper)[nodeOf],
      lock: lock === undefined ? undefined : { strength: lock, wait: undefined },
    });
    cached.set(id, statement);
  }
  return statement;
}

const known = ["autoflush", "onUnflushedClose", "signal"];

function checkOptions(options: SessionOptions): void {
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    throw new InputError(`A session has no option "${name}"`, { hint: didYouMean(name, known) });
  }
}

/** Where an object stands: transient, pending, persistent, deleted or detached. */
export function inspect(object: object): { readonly status: InstanceStatus } {
  return { status: Managed.stateOf(object)?.status ?? "transient" };
}
