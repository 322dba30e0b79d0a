/**
 * The session: the object a program holds. A unit of work over plain objects, on a connection
 * that is borrowed late and returned early.
 *
 * @module
 */

import { NoResultError, UsageError } from "../errors.ts";
import type { CallOptions } from "../dialect/driver.ts";
import type { Result } from "../engine/result.ts";
import type { Executable } from "../engine/statement.ts";
import type { RetryOptions, TransactionOptions } from "../engine/begin_options.ts";
import type {
  Declarations,
  EntityClass,
  ManyNames,
  Path,
  PathTarget,
  ReadNames,
  Ref,
  With,
  WithRefined,
} from "../mapper/types.ts";
import type { HookName } from "../mapper/entity_hooks.ts";
import type { Condition } from "../sql/expression.ts";
import type { Mapper } from "../mapper/mapper.ts";
import type { FlushPreview } from "../unit_of_work/preview.ts";
import type { SessionHook } from "../unit_of_work/hooks.ts";
import { BulkCalls } from "./bulk/bulk_calls.ts";
import type { BulkPlan, BulkPlanInput } from "./bulk/bulk_plan.ts";
import type {
  BulkColumn,
  BulkInsertOptions,
  BulkReturned,
  BulkReturningOptions,
  BulkUpsertOptions,
  BulkUpsertReturningOptions,
  BulkValues,
  RowSource,
  Source,
} from "./bulk/types.ts";
import { Query, type QueryRunner } from "./query.ts";
import { runnerOf } from "./queries/binding.ts";
import { isActive } from "../mapper/callbacks.ts";
import { type ExecuteOptions, executeStatement } from "./execute.ts";
import { From, sourceFor } from "./queries/from.ts";
import { plainSelect, type Rows } from "./queries/rows.ts";
import { planFor } from "./query_plan.ts";
import { Relations } from "./relations.ts";
import { Objects } from "./objects.ts";
import { type GetOptions, Reader } from "./reader.ts";
import {
  checkSessionOptions,
  type SessionContext,
  SessionCore,
  type SessionOptions,
} from "./session_core.ts";
import type { SessionTransaction } from "./session_transaction.ts";
import { beginTransaction, commitChanges, inTransaction } from "./transactions.ts";

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
export class AsyncSession implements AsyncDisposable {
  readonly #core: SessionCore;
  readonly #reader: Reader;
  readonly #relations: Relations;
  #bulkCalls: BulkCalls | undefined;
  #objectCalls: Objects | undefined;

  /** Made by `engine.session()`. */
  constructor(context: SessionContext, options: SessionOptions = {}) {
    this.#core = new SessionCore(context, checkSessionOptions(options));
    this.#reader = new Reader(this.#core, {
      session: this,
      connections: () => context.engine.connections,
      fork: () => {
        const { signal, readOnly } = this.#core.options;
        const session = new AsyncSession(context, { signal, readOnly, onUnflushedClose: "ignore" });
        return {
          ...session.#reader.batchRunner(),
          [Symbol.asyncDispose]: () => session.close(),
        };
      },
    });
    this.#relations = new Relations(this.#core, this.#reader);
  }

  // Made on first use: most sessions live for a few statements, and need neither.

  get #bulk(): BulkCalls {
    return this.#bulkCalls ??= new BulkCalls(this.#core);
  }

  get #objects(): Objects {
    return this.#objectCalls ??= new Objects(this.#core, this.#reader, this.#relations);
  }

  // --- objects -----------------------------------------------------------------------------------

  /** Takes in a new object, and all new objects that hang on it, to be inserted by the next flush. */
  add(object: object): void {
    this.#core.assertOpen();
    this.#core.assertWritable();
    this.#core.work.add(object);
  }

  /** Takes in several. */
  addAll(objects: Iterable<object>): void {
    this.#core.assertOpen();
    this.#core.assertWritable();
    for (const object of objects) this.#core.work.add(object);
  }

  /** Marks an object to be deleted by the next flush. */
  delete(object: object): void {
    this.#core.assertOpen();
    this.#core.assertWritable();
    this.#core.work.delete(object);
  }

  /** Lets go of an object: it is detached, and its changes are not stored. */
  expunge(object: object): void {
    this.#core.work.expunge(object);
  }

  /**
   * Calls a function when objects of this session are stored: `beforeInsert`, `beforeUpdate`,
   * `beforeDelete`, `afterCommit`. The option `hooks` of `entity()` does so for one entity, in every
   * session; see `EntityHooks` for what such functions may do.
   *
   * @returns A function that removes it.
   *
   * @example
   * ```ts
   * import { AsyncEngine, createAll, entity, integer, text } from "@sluice/orm";
   * import { assertEquals, assertRejects } from "@std/assert";
   *
   * class Pet extends entity("pets", {
   *   id: integer().primaryKey().generated(),
   *   name: text(),
   * }, {
   *   hooks: {
   *     beforeInsert(pet) {
   *       pet.name = pet.name.trim();
   *       if (pet.name === "") throw new Error("A pet needs a name");
   *     },
   *   },
   * }) {}
   * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Pet] });
   * await createAll(engine);
   * await using session = engine.session();
   * const log: string[] = [];
   * session.on("afterCommit", (object, change) => {
   *   log.push(`${change} ${object instanceof Pet ? object.name : ""}`);
   * });
   *
   * session.add(new Pet({ name: " Ant " }));
   * await session.commit();
   * assertEquals(log, ["insert Ant"]);
   * session.add(new Pet({ name: " " }));
   * await assertRejects(() => session.commit(), Error, "needs a name");
   * ```
   */
  on<Name extends HookName>(name: Name, hook: SessionHook<Name>): () => void {
    this.#core.assertOpen();
    return this.#core.work.hooks.on(name, hook);
  }

  /**
   * Takes a detached object back, and those that its loaded relations reach. What was changed since
   * it was loaded is stored by the next flush; with a `version()` column, only if the row is as it
   * was then.
   *
   * @throws {InstanceStateError} when it is transient, deleted, another session's, of another
   * database, or this session has another object for its row. `merge()` copies in such cases.
   *
   * @example
   * ```ts
   * import { AsyncEngine, createAll, entity, integer, text } from "@sluice/orm";
   * import { assertEquals } from "@std/assert";
   *
   * class Pet extends entity("pets", { id: integer().primaryKey().generated(), name: text() }) {}
   * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Pet] });
   * await createAll(engine);
   * const pet = new Pet({ name: "Ant" });
   * {
   *   await using session = engine.session();
   *   session.add(pet);
   *   await session.commit();
   * }
   * pet.name = "Bee"; // detached
   *
   * await using session = engine.session();
   * session.attach(pet);
   * await session.commit();
   * assertEquals(await session.query(Pet).select((p) => p.name).all(), ["Bee"]);
   * ```
   */
  attach(object: object): void {
    this.#core.assertOpen();
    this.#core.work.attach(object);
  }

  /**
   * Copies the state of an object that is not this session's into the one that is: a detached one,
   * another session's, or a new one with the primary key of a row. Goes over loaded relations; a
   * collection becomes what it is in the copied object. What has no row yet becomes pending. The
   * object itself is left as it is.
   *
   * @returns This session's object for the row.
   * @throws {StaleDataError} when the object has another `version()` than the row. Nothing is copied then.
   * @throws {InstanceStateError} when this session deletes the object.
   *
   * @example
   * ```ts
   * import { AsyncEngine, createAll, entity, integer, text } from "@sluice/orm";
   * import { assertEquals, assertStrictEquals } from "@std/assert";
   *
   * class Pet extends entity("pets", { id: integer().primaryKey(), name: text() }) {}
   * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Pet] });
   * await createAll(engine);
   * await using session = engine.session();
   * const pet = new Pet({ id: 1, name: "Ant" });
   * session.add(pet);
   * await session.commit();
   *
   * const merged = await session.merge(new Pet({ id: 1, name: "Bee" }));
   * assertStrictEquals(merged, pet);
   * assertEquals(pet.name, "Bee");
   * await session.commit();
   * ```
   */
  async merge<E extends object>(object: E): Promise<E> {
    return await this.#objects.merge(object) as E;
  }

  /**
   * Reads an object's row anew: its changes are forgotten, its loaded relations are loaded again,
   * and those of `paths` as well. Deferred columns are left out again.
   *
   * @returns The same object, of which the compiler now knows that the relations are loaded.
   * @throws {InstanceStateError} when the object is not persistent in this session.
   * @throws {NoResultError} when its row is no longer there.
   *
   * @example
   * ```ts
   * import { AsyncEngine, createAll, entity, integer, sql, text } from "@sluice/orm";
   * import { assertEquals } from "@std/assert";
   *
   * class Pet extends entity("pets", { id: integer().primaryKey(), name: text() }) {}
   * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Pet] });
   * await createAll(engine);
   * await using session = engine.session();
   * const pet = new Pet({ id: 1, name: "Ant" });
   * session.add(pet);
   * await session.commit();
   *
   * await session.execute(sql`update ${Pet} set name = 'Bee'`);
   * await session.refresh(pet);
   * assertEquals(pet.name, "Bee");
   * ```
   */
  async refresh<E extends object, P extends string = never>(
    object: E,
    ...paths: Path<E, P>[]
  ): Promise<With<E, P>> {
    await this.#objects.refresh(object, paths);
    return object as With<E, P>;
  }

  /**
   * Forgets an object's changes and loaded relations, and that it was read: the next `get()` reads
   * its row anew, as every query does. Sends nothing.
   *
   * @throws {InstanceStateError} when the object is not persistent in this session.
   */
  expire(object: object): void {
    this.#core.assertOpen();
    this.#core.work.expire(object);
  }

  /** Objects to be inserted by the next flush. */
  get new(): readonly object[] {
    return this.#core.work.pending;
  }

  /** Objects that differ from their rows. */
  get dirty(): readonly object[] {
    return this.#core.work.dirty;
  }

  /** Objects to be deleted by the next flush. */
  get deleted(): readonly object[] {
    return this.#core.work.deleted;
  }

  /** True if the object is new or differs from its row. */
  isModified(object: object): boolean {
    return this.#core.work.isModified(object);
  }

  // --- reading -----------------------------------------------------------------------------------

  /**
   * Its reader, for prepared queries.
   *
   * @internal
   */
  get [runnerOf](): QueryRunner {
    this.#core.assertOpen();
    return this.#reader;
  }

  /** A query for the objects of a class. */
  query<E extends object>(entityClass: EntityClass<E>): Query<E> {
    const mapper = this.#mapper(entityClass);
    // Inside a query of the same entity: a source of its own, to tell the two apart.
    const source = isActive(mapper.source) ? { ...mapper.source } : mapper.source;
    const plan = planFor(mapper, source);
    return new Query<E>(this.#reader, { ...plan, signal: this.#core.options.signal });
  }

  /**
   * A query from the rows of another, or of a common table expression: finish it with `select()`.
   *
   * @example
   * ```ts
   * import { AsyncEngine, avg, count, createAll, entity, integer, text } from "@sluice/orm";
   * import { assertEquals } from "@std/assert";
   *
   * class Pet extends entity("pets", { id: integer().primaryKey().generated(), kind: text() }) {}
   * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Pet] });
   * await createAll(engine);
   * await using session = engine.session();
   * await session.bulkInsert(Pet, [{ kind: "ant" }, { kind: "ant" }, { kind: "bee" }]);
   *
   * const kinds = session.query(Pet).groupBy((p) => p.kind).select(() => ({ pets: count() }));
   * const average = await session.from(kinds).select((k) => avg(k.pets)).scalar();
   * assertEquals(average, 1.5);
   * ```
   */
  from<S>(rows: Rows<S>): From<[S]> {
    this.#core.assertOpen();
    const { source, refs } = sourceFor(this.#reader.rows, rows, false);
    return new From<[S]>(this.#reader.rows, {
      select: plainSelect(source, []),
      sources: [source],
      refs: [refs],
      root: undefined,
      window: 500,
      signal: this.#core.options.signal,
      timeout: undefined,
      binding: undefined,
    });
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
    const [object] = await this.#reader.find(this.#mapper(entityClass), key, options);
    return object as E | undefined;
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
    const mapper = this.#mapper(entityClass);
    const [object] = await this.#reader.find(mapper, key, options);
    if (object !== undefined) return object as E;
    throw new NoResultError(`There is no ${mapper.name} with this key`, {
      hint: "Use get() where that is expected",
    });
  }

  /**
   * Loads relations of objects that the session has already: one statement per path, whatever the
   * number of objects. What is loaded is left as it is, and costs nothing; a query with
   * `.selectin()` brings it up to date.
   *
   * Columns that were deferred, or left out by `only()`, are named as they are: all of them come by
   * one statement more.
   *
   * A path can be refined, as in `.selectin()`: `session.load(authors, "books", (q) => q.limit(3))`.
   * A refined relation is always loaded anew.
   *
   * @returns The same objects, of which the compiler now knows that the relations are loaded.
   * @throws {InputError} when a path names no relation and no column.
   * @throws {InstanceStateError} when an object is not of this session, or not stored yet.
   * @throws {NoResultError} when a row whose columns are asked for is no longer there.
   *
   * @example
   * ```ts
   * import { AsyncEngine, createAll, entity, hasMany, integer, text } from "@sluice/orm";
   * import { assertEquals } from "@std/assert";
   *
   * class Author extends entity("authors", {
   *   id: integer().primaryKey().generated(),
   *   bio: text().deferred(),
   *   books: hasMany<Book>("books.authorId"),
   * }) {}
   * class Book extends entity("books", {
   *   id: integer().primaryKey().generated(),
   *   authorId: integer().references("authors.id"),
   * }) {}
   * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Author, Book] });
   * await createAll(engine);
   * await using session = engine.session();
   * session.add(new Author({ bio: "Wrote notes", books: [new Book({}), new Book({})] }));
   * await session.commit();
   *
   * await using other = engine.session();
   * const author = await other.getOrFail(Author, 1);
   * const [loaded] = await other.load([author], "books", "bio");
   * assertEquals([loaded?.bio, loaded?.books.length], ["Wrote notes", 2]);
   * ```
   */
  async load<E extends object, P extends string, S extends object>(
    objects: Iterable<E>,
    path: Path<E, P>,
    refine: (
      related: Query<PathTarget<Declarations<E>, P>>,
    ) => Query<PathTarget<Declarations<E>, P>, S>,
  ): Promise<WithRefined<E, P, S>[]>;
  /** Loads relations and columns of objects that the session has already. */
  async load<E extends object, P extends string = never>(
    objects: Iterable<E>,
    ...paths: (P extends ReadNames<E> ? P : Path<E, P>)[]
  ): Promise<With<E, P>[]>;
  async load(objects: Iterable<object>, ...paths: readonly unknown[]): Promise<never[]> {
    const all = [...objects];
    await this.#relations.load(all, paths);
    return all as never[];
  }

  /**
   * How many objects a relation of each leads to, in one statement and without loading them.
   *
   * @param relation The name of a to-many relation.
   * @param where Counts only those that meet the condition.
   * @returns A number for each of the objects.
   * @throws {InputError} when the objects have no such relation.
   * @throws {InstanceStateError} when an object is not of this session, or not stored yet.
   *
   * @example
   * ```ts
   * import { AsyncEngine, createAll, entity, hasMany, integer } from "@sluice/orm";
   * import { assertEquals } from "@std/assert";
   *
   * class Author extends entity("authors", {
   *   id: integer().primaryKey().generated(),
   *   books: hasMany<Book>("books.authorId"),
   * }) {}
   * class Book extends entity("books", {
   *   id: integer().primaryKey().generated(),
   *   price: integer(),
   *   authorId: integer().references("authors.id"),
   * }) {}
   * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Author, Book] });
   * await createAll(engine);
   * await using session = engine.session();
   * const ada = new Author({ books: [new Book({ price: 5 }), new Book({ price: 9 })] });
   * session.add(ada);
   * await session.commit();
   *
   * const books = await session.counts([ada], "books");
   * const dear = await session.counts([ada], "books", (b) => b.price.gt(6));
   * assertEquals([books.get(ada), dear.get(ada)], [2, 1]);
   * ```
   */
  async counts<E extends object, K extends ManyNames<E>>(
    objects: Iterable<E>,
    relation: K,
    where?: (related: Ref<PathTarget<Declarations<E>, K>>) => Condition,
  ): Promise<Map<E, number>> {
    return await this.#relations.counts([...new Set(objects)], relation, where);
  }

  /**
   * Runs a statement on the session's connection; inside `begin()`, after a flush.
   *
   * What an `update()`, a `deleteFrom()` or an `insert()` that updates did is seen in the objects that
   * the session has, those that foreign keys change along with them included: they are read again in the
   * same round trip. Columns that the program has changed and not stored keep its values, which the next
   * flush stores; objects whose rows are gone, or have another key now, are deleted. Collections keep
   * their members, but for those that are gone. After statements by `` sql`…` ``, which nobody can look
   * into, `refresh()` objects where it matters.
   *
   * @example
   * ```ts
   * import { AsyncEngine, createAll, entity, integer, text, update } from "@sluice/orm";
   * import { assertEquals } from "@std/assert";
   *
   * class Pet extends entity("pets", {
   *   id: integer().primaryKey(),
   *   name: text(),
   *   legs: integer(),
   * }) {}
   * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Pet] });
   * await createAll(engine);
   * await using session = engine.session();
   * const pet = new Pet({ id: 1, name: "Ant", legs: 5 });
   * session.add(pet);
   * await session.commit();
   *
   * pet.name = "Anteater"; // not stored yet
   * await session.execute(update(Pet).set({ legs: 4 }).where((p) => p.name.eq("Ant")));
   * assertEquals([pet.name, pet.legs], ["Anteater", 4]);
   * await session.commit();
   * ```
   */
  execute<Row>(statement: Executable<Row>, options: ExecuteOptions = {}): Promise<Result<Row>> {
    this.#core.assertOpen();
    return executeStatement(this.#core, statement, options);
  }

  // --- writing -----------------------------------------------------------------------------------

  /**
   * Stores all changes in one short transaction. Without changes nothing is sent. Where one statement
   * is all there is to send, it goes without BEGIN and COMMIT, in one round trip: a statement is a
   * transaction by itself.
   *
   * When it fails, nothing is stored and every object is as it was before: new ones are transient
   * again, changed ones have their old values.
   *
   * @throws {CommitUnknownError} when the connection was lost before the answer to COMMIT, or to that one
   * statement: it may be stored.
   * @throws {UsageError} inside `begin()` or a stream's loop.
   * @throws {IntegrityError} when a constraint is violated.
   * @throws {StaleDataError} when a row to be changed is no longer there.
   */
  commit(options: CallOptions = {}): Promise<void> {
    this.#core.assertOpen();
    this.#core.assertIdle("commit()", "Use the transaction's own commit()");
    return commitChanges(this.#core, options);
  }

  /**
   * Forgets all changes: objects are as they were when the transaction began or, outside
   * `begin()`, when they were last loaded or stored. Ends an open transaction.
   *
   * What was added or changed before `begin()`, and not stored, is forgotten as well: a rollback goes back
   * to what is stored, so that new objects are transient again, whenever they were added.
   */
  async rollback(): Promise<void> {
    this.#core.assertOpen();
    if (this.#core.transaction !== undefined) return await this.#core.transaction.rollback();
    await this.#core.turnstile.exclusive(() => {
      this.#core.work.begin();
      this.#core.work.rollback();
      return Promise.resolve();
    });
  }

  /**
   * Sends what is pending, inside `begin()`. Queries do so by themselves.
   *
   * @throws {UsageError} outside `begin()`, where `commit()` is the word.
   */
  flush(options: CallOptions = {}): Promise<void> {
    this.#core.assertOpen();
    if (this.#core.transaction === undefined) {
      throw new UsageError("flush() was called outside a transaction", {
        hint: "Use commit(), or call flush() inside session.begin(async () => { … })",
      });
    }
    const call = this.#core.limits(options);
    return this.#core.turnstile.run((connection) => this.#core.flush(connection, call), call);
  }

  /**
   * What the next flush would do: step by step, with objects, columns and the texts of statements;
   * `String(preview)` says it in words. Sends nothing, and calls no hooks. New objects that hang on
   * others become pending, as they would by the flush. Of a relation that was replaced without being
   * loaded, what the flush would read first is not known: only what is added is told.
   *
   * @throws {InputError} when something cannot be stored, as the flush would.
   *
   * @example
   * ```ts
   * import { AsyncEngine, createAll, entity, integer, text } from "@sluice/orm";
   * import { assertEquals } from "@std/assert";
   *
   * class Pet extends entity("pets", { id: integer().primaryKey().generated(), name: text() }) {}
   * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Pet] });
   * await createAll(engine);
   * await using session = engine.session();
   * session.addAll([new Pet({ name: "Ant" }), new Pet({ name: "Bee" })]);
   *
   * const preview = session.preview();
   * assertEquals(String(preview), "insert Pet: 2 rows (name) in 1 statement");
   * assertEquals(preview.steps[0]?.objects, session.new);
   * await session.commit();
   * assertEquals(String(session.preview()), "nothing to store");
   * ```
   */
  preview(): FlushPreview {
    this.#core.assertOpen();
    return this.#core.work.preview();
  }

  /**
   * Begins a transaction, which is committed when `fn` returns and rolled back when it throws.
   *
   * With `retries`, `fn` runs again when the transaction failed for no fault of its own: in a new one,
   * with every object as it was when the first one began, and what was loaded since let go of. What
   * else `fn` does, it does again, too; `tx.attempt` counts.
   *
   * With an `idempotencyKey`, a lost answer to COMMIT is looked up: `begin()` resolves if the
   * transaction is stored, and runs again or fails with `ConnectionLostError` if it is not.
   *
   * After a statement or a flush that failed, everything but rollback is answered by
   * `PendingRollbackError`, until the savepoint or the transaction is left. SQLite alone goes on after a
   * failed statement of `execute()`, as the database itself does.
   *
   * @throws {SerializationError} `SERIALIZATION_FAILURE`, with its `attempts`, when `retries` were used up.
   * @throws {TransactionError} `ALREADY_COMMITTED` when work with this `idempotencyKey` is stored.
   *
   * @example
   * ```ts
   * import { AsyncEngine, createAll, entity, integer, text } from "@sluice/orm";
   * import { assertEquals } from "@std/assert";
   *
   * class Pet extends entity("pets", { id: integer().primaryKey().generated(), name: text() }) {}
   * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Pet] });
   * await createAll(engine);
   * await using session = engine.session();
   *
   * const name = await session.begin((tx) => {
   *   session.add(new Pet({ name: `Ant ${tx.attempt}` }));
   *   return "Ant";
   * }, { isolation: "serializable", retries: 5, idempotencyKey: "first pet" });
   * assertEquals([name, await session.query(Pet).count()], ["Ant", 1]);
   * ```
   */
  begin<T>(fn: (tx: SessionTransaction) => T | Promise<T>, options?: RetryOptions): Promise<T>;
  /** Begins a transaction, to be ended by its `commit()`; disposing it rolls back. */
  begin(options?: TransactionOptions): Promise<SessionTransaction>;
  begin<T>(
    first: TransactionOptions | ((tx: SessionTransaction) => T | Promise<T>) = {},
    second: RetryOptions = {},
  ): Promise<T | SessionTransaction> {
    this.#core.assertOpen();
    return typeof first === "function"
      ? inTransaction(this.#core, "begin()", first, second, true)
      : beginTransaction(this.#core, "begin()", first, true);
  }

  // --- many rows ---------------------------------------------------------------------------------

  /**
   * Inserts many rows without making objects of them, in one transaction and with constant memory
   * whatever the length of the source.
   *
   * Defaults of the class apply; hooks do not. Objects that the session holds are not touched. Inside
   * `begin()` the rows belong to the open transaction, which can only be rolled back when the call
   * failed after rows were sent.
   *
   * @param rows Plain objects by property: an array, an iterable, an async iterable or a web stream.
   * @returns How many rows were stored; with `returning`, the rows that were read back, in the order of the source.
   * @throws {InputError} naming the row's index when a value cannot be stored; nothing is stored then.
   * @throws {DatabaseError} naming the row's index (`error.row`) when the database refuses it.
   *
   * @example
   * ```ts
   * import { AsyncEngine, createAll, entity, integer, text } from "@sluice/orm";
   * import { assertEquals } from "@std/assert";
   *
   * class Pet extends entity("pets", {
   *   id: integer().primaryKey().generated(),
   *   name: text().unique(),
   *   legs: integer().default(4),
   * }) {}
   * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Pet] });
   * await createAll(engine);
   * await using session = engine.session();
   *
   * assertEquals(await session.bulkInsert(Pet, [{ name: "Ant", legs: 6 }, { name: "Cat" }]), 2);
   * const stored = await session.bulkInsert(Pet, [{ name: "Ant", legs: 5 }, { name: "Dog" }], {
   *   onConflict: { target: "name", update: ["legs"] },
   *   returning: ["name", "legs"],
   * });
   * assertEquals(stored, [{ name: "Ant", legs: 5 }, { name: "Dog", legs: 4 }]);
   * ```
   */
  bulkInsert<E extends object>(
    entityClass: EntityClass<E>,
    rows: RowSource<E>,
    options?: BulkInsertOptions<E>,
  ): Promise<number>;
  /** Inserts many rows, and gives back the named columns of each. */
  bulkInsert<E extends object, const K extends BulkColumn<E>>(
    entityClass: EntityClass<E>,
    rows: RowSource<E>,
    options: BulkReturningOptions<E, K>,
  ): Promise<BulkReturned<E, K>[]>;
  bulkInsert(entityClass: EntityClass, rows: unknown, options: object = {}): Promise<unknown> {
    return this.#bulk.insert(this.#mapper(entityClass), rows as Source<object>, options);
  }

  /**
   * Inserts many rows, and updates those that are there already: as if they came one after the other,
   * so that of two rows with one key the later one wins.
   *
   * A `version()` changes with every row that is updated. A row that gives the version it was read with
   * is stored only if that is still so, or if there is none yet.
   *
   * @returns How many rows were inserted or updated; with `returning`, these rows.
   * @throws {InputError} naming the row's index when a value cannot be stored; nothing is stored then.
   * @throws {StaleDataError} naming the rows whose version is another one; nothing is stored then.
   *
   * @example
   * ```ts
   * import { AsyncEngine, createAll, entity, integer, text } from "@sluice/orm";
   * import { assertEquals } from "@std/assert";
   *
   * class Word extends entity("words", { word: text().primaryKey(), seen: integer() }) {}
   * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Word] });
   * await createAll(engine);
   * await using session = engine.session();
   *
   * await session.bulkUpsert(Word, [{ word: "a", seen: 1 }, { word: "b", seen: 1 }]);
   * await session.bulkUpsert(Word, [{ word: "b", seen: 2 }, { word: "b", seen: 3 }]);
   * assertEquals((await session.getOrFail(Word, "b")).seen, 3);
   * ```
   */
  bulkUpsert<E extends object>(
    entityClass: EntityClass<E>,
    rows: RowSource<E>,
    options?: BulkUpsertOptions<E>,
  ): Promise<number>;
  /** Inserts or updates many rows, and gives back the named columns of each. */
  bulkUpsert<E extends object, const K extends BulkColumn<E>>(
    entityClass: EntityClass<E>,
    rows: RowSource<E>,
    options: BulkUpsertReturningOptions<E, K>,
  ): Promise<BulkReturned<E, K>[]>;
  bulkUpsert(entityClass: EntityClass, rows: unknown, options: object = {}): Promise<unknown> {
    return this.#bulk.upsert(this.#mapper(entityClass), rows as Source<object>, options);
  }

  /**
   * Updates many rows by their primary keys, without loading them; each sets the columns it gives.
   * Keys that are not there are passed over. Objects that the session holds are not touched:
   * `refresh()` them.
   *
   * A `version()` changes with every row. A row that gives the version it was read with is updated only
   * if that is still so.
   *
   * @param rows Plain objects with the primary key and what is to be changed.
   * @returns How many rows were updated.
   * @throws {InputError} naming the row's index when a value cannot be stored; nothing is stored then.
   * @throws {StaleDataError} naming the rows whose version is another one, or which are gone (the first of
   * them is `error.row`); nothing is stored then.
   *
   * @example
   * ```ts
   * import { AsyncEngine, createAll, entity, integer, text } from "@sluice/orm";
   * import { assertEquals } from "@std/assert";
   *
   * class Pet extends entity("pets", { id: integer().primaryKey(), name: text() }) {}
   * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Pet] });
   * await createAll(engine);
   * await using session = engine.session();
   *
   * await session.bulkInsert(Pet, [{ id: 1, name: "Ant" }, { id: 2, name: "Bee" }]);
   * assertEquals(await session.bulkUpdate(Pet, [{ id: 2, name: "Wasp" }, { id: 9, name: "Nil" }]), 1);
   * assertEquals((await session.getOrFail(Pet, 2)).name, "Wasp");
   * ```
   */
  bulkUpdate<E extends object>(
    entityClass: EntityClass<E>,
    rows: Source<BulkValues<E>>,
    options: CallOptions = {},
  ): Promise<number> {
    return this.#bulk.update(this.#mapper(entityClass), rows as Source<object>, options);
  }

  /**
   * Deletes many rows by their primary keys, without loading them. Keys that are not there are passed
   * over. Objects that the session holds are not touched.
   *
   * @param keys Primary keys; composite ones as objects by property.
   * @returns How many rows were deleted.
   *
   * @example
   * ```ts
   * import { AsyncEngine, createAll, entity, integer, text } from "@sluice/orm";
   * import { assertEquals } from "@std/assert";
   *
   * class Pet extends entity("pets", { id: integer().primaryKey(), name: text() }) {}
   * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Pet] });
   * await createAll(engine);
   * await using session = engine.session();
   *
   * await session.bulkInsert(Pet, [{ id: 1, name: "Ant" }, { id: 2, name: "Bee" }]);
   * assertEquals(await session.bulkDelete(Pet, [1, 9]), 1);
   * ```
   */
  bulkDelete<E extends object>(
    entityClass: EntityClass<E>,
    keys: Source<unknown>,
    options: CallOptions = {},
  ): Promise<number> {
    return this.#bulk.delete(this.#mapper(entityClass), keys, options);
  }

  /**
   * How `bulkInsert()` would go about so many rows: by VALUES, unnest or COPY, in how many statements.
   * Sends nothing.
   *
   * @param options Those that `bulkInsert()` would be given.
   */
  bulkPlan<E extends object>(
    entityClass: EntityClass<E>,
    input: BulkPlanInput<BulkColumn<E>>,
    options: BulkInsertOptions<E> | BulkReturningOptions<E, BulkColumn<E>> = {},
  ): BulkPlan {
    return this.#bulk.plan(this.#mapper(entityClass), input, options);
  }

  // --- the end -----------------------------------------------------------------------------------

  /** Ends the session: an open transaction is rolled back, streams are closed, objects detached. */
  async close(): Promise<void> {
    if (this.#core.owner.closed) return;
    // Whoever gave the session up by its signal wants nothing stored any more.
    const unflushed = this.#core.transaction === undefined && this.#core.work.hasChanges &&
      this.#core.options.signal?.aborted !== true;
    this.#core.owner.closed = true;
    if (this.#core.streams.size > 0) await this.#core.closeStreams();
    if (this.#core.transaction !== undefined) {
      await this.#core.transaction.rollback().catch(() => {});
    }
    const underWay = this.#core.turnstile.close();
    if (underWay !== undefined) await underWay;
    this.#core.work.close();
    if (unflushed) this.#reportUnflushed();
  }

  /** As `close()`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #reportUnflushed(): void {
    const message = "A session was closed with changes that were never stored";
    const hint = "Call commit() before, or rollback() to show that they are not wanted";
    switch (this.#core.options.onUnflushedClose ?? "warn") {
      case "throw":
        throw new UsageError(message, { hint });
      case "warn":
        console.warn(`Sluice: ${message}. ${hint}`);
    }
  }

  #mapper(entityClass: unknown): Mapper {
    this.#core.assertOpen();
    return this.#core.context.registry.mapper(entityClass);
  }
}
