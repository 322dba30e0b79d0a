/**
 * `Query<E, R>`: what to load, as an immutable value. Nothing happens until it is iterated or
 * ended; the session that made it carries it out.
 *
 * @module
 */

import { InputError, UsageError } from "../errors.ts";
import type { DriverStatement } from "../dialect/driver.ts";
import { checkFilters } from "../mapper/filters.ts";
import {
  addPath,
  type PathEnd,
  type PathTree,
  relationsOf,
  wholeRelation,
} from "../loading/paths.ts";
import type { Executable } from "../engine/statement.ts";
import type { Result } from "../engine/result.ts";
import type {
  EntityClass,
  Filter,
  NullableRef,
  Only,
  Path,
  PathTarget,
  ReadNames,
  Ref,
  With,
  WithRefined,
} from "../mapper/types.ts";
import {
  allOf,
  type Condition,
  conditionNode,
  describe,
  Expression,
  type Subquery,
} from "../sql/expression.ts";
import { type HasNode, nodeOf, type SelectNode } from "../sql/node.ts";
import { orderNodes } from "../sql/operand.ts";
import type { Selection } from "../sql/selection.ts";
import type { WireRow } from "../sql/wire.ts";
import { chooseColumns } from "../loading/columns.ts";
import type {
  Batches,
  BatchInfo,
  BatchOptions,
  BatchProgress,
  EachBatchOptions,
} from "./batches/batches.ts";
import { within } from "../mapper/callbacks.ts";
import { namesOneRow } from "./key_condition.ts";
import { type Binding, bindStatement, rebind } from "./queries/binding.ts";
import { checkCount, countNode } from "./queries/counts.ts";
import { Ends } from "./queries/ends.ts";
import { type ExplainOptions, explainStatement, readExplanation } from "./queries/explain.ts";
import { type Page, type PageOptions, readPage } from "./queries/page.ts";
import type { RowRunner } from "./queries/row_plan.ts";
import type { OrderTerms } from "./queries/clauses.ts";
import { filterCondition } from "./queries/filter_by.ts";
import { From } from "./queries/from.ts";
import { refinedEnd } from "./queries/refinement.ts";
import type { Rows } from "./queries/rows.ts";
import type { Select } from "./queries/select.ts";
import type { NullableSelection } from "./queries/selection.ts";
import { pathsOf, planFor, type QueryPlan, selectOf } from "./query_plan.ts";
import { refsOf } from "../mapper/refs.ts";
import { withoutPrototype } from "../util/own.ts";

/** What a query needs of its session. */
export interface QueryRunner {
  /** All objects. */
  all(plan: QueryPlan): Promise<object[]>;
  /** The objects one after the other, read in windows. */
  stream(plan: QueryPlan): AsyncIterableIterator<object>;
  /** How many rows there are. */
  count(plan: QueryPlan): Promise<number>;
  /** Whether there is a row. */
  exists(plan: QueryPlan): Promise<boolean>;
  /** The statement that would be sent. */
  toSQL(plan: QueryPlan): DriverStatement;
  /** Makes objects of rows that were read, with the relations of the plan. */
  load(plan: QueryPlan, rows: WireRow[]): Promise<object[]>;
  /** Reads plain rows. */
  readonly rows: RowRunner;
  /** A walk that gives its rows one by one. */
  commitEvery(plan: QueryPlan, size: number, options: BatchOptions): Batches<object>;
  /** A walk that gives its rows batch by batch. */
  inBatches(plan: QueryPlan, size: number, options: BatchOptions): Batches<object[]>;
  /** A walk by a function. */
  eachBatch(
    plan: QueryPlan,
    size: number,
    work: (objects: object[], info: BatchInfo & { readonly session: unknown }) => unknown,
    options: EachBatchOptions,
  ): Promise<BatchProgress | undefined>;
}

/** The session of a batch, as the function of `eachBatch()` gets it. */
export interface BatchSession {
  /** Takes in a new object. */
  add(object: object): void;
  /** Takes in several. */
  addAll(objects: Iterable<object>): void;
  /** Marks an object to be deleted. */
  delete(object: object): void;
  /** A query for the objects of a class. */
  query<E extends object>(entityClass: EntityClass<E>): Query<E>;
  /** The object with this primary key, or undefined. */
  get<E extends object>(entityClass: EntityClass<E>, key: unknown): Promise<E | undefined>;
  /** Runs a statement in the batch's transaction, after a flush. */
  execute<Row>(statement: Executable<Row>): Promise<Result<Row>>;
}

/** What the function of `eachBatch()` is told beside its rows. */
export interface BatchContext extends BatchInfo {
  /** The session whose objects the rows are; with `concurrency` it is the worker's own. */
  readonly session: BatchSession;
}

/**
 * A query for entities `E` that gives `R`: `E` with the relations that were asked for.
 *
 * It is immutable, lazy and can be used again. It is an async iterable and not a promise: end it
 * with `for await`, `.all()`, `.first()`, …
 *
 * @example
 * ```ts
 * import { AsyncEngine, createAll, entity, integer, text } from "@sluice/orm";
 * import { assertEquals } from "@std/assert";
 *
 * class Pet extends entity("pets", { id: integer().primaryKey().generated(), name: text() }) {}
 *
 * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Pet] });
 * await createAll(engine);
 * await using session = engine.session();
 * session.addAll([new Pet({ name: "Ant" }), new Pet({ name: "Bee" })]);
 * await session.commit();
 *
 * const query = session.query(Pet).where((p) => p.name.ne("Ant")).orderBy((p) => p.name.asc());
 * assertEquals((await query.all()).map((pet) => pet.name), ["Bee"]);
 * ```
 */
export class Query<E extends object, R extends object = E> extends Ends<R>
  implements HasNode, Subquery<R> {
  readonly #runner: QueryRunner;
  readonly #plan: QueryPlan;
  /** For the compiler's eyes only. */
  declare readonly rowType?: R;

  /** Queries are made by `session.query()`. */
  constructor(runner: QueryRunner, plan: QueryPlan) {
    super();
    this.#runner = runner;
    this.#plan = plan;
  }

  /** What it gives, for messages. */
  protected override get resultName(): string {
    return this.#plan.mapper.name;
  }

  /**
   * The statement.
   *
   * @internal
   */
  get [nodeOf](): SelectNode {
    return selectOf(this.#plan);
  }

  /**
   * The relations that come along.
   *
   * @internal
   */
  get [pathsOf](): PathTree {
    return this.#plan.paths;
  }

  /**
   * The query as one of another session, with the values of its parameters.
   *
   * @internal
   */
  [rebind](runner: QueryRunner, binding: Binding): Query<E, R> {
    return new Query(runner, { ...this.#plan, binding });
  }

  #within<T>(what: string, callback: (entity: Ref<E>) => T): T {
    const { mapper, source } = this.#plan;
    return within(what, [source], [refsOf(mapper, source) as Ref<E>], callback);
  }

  #with(change: Partial<QueryPlan>): Query<E, R> {
    return new Query(this.#runner, { ...this.#plan, ...change });
  }

  /** Only rows that meet the condition, and those of earlier calls. */
  where(condition: (entity: Ref<E>) => Condition): Query<E, R> {
    return this.#and(this.#within("where()", condition), "where()");
  }

  /**
   * Only rows whose columns have these values; null asks for null. Takes values and nothing
   * else, so that no request body can smuggle in an operator.
   *
   * @throws {InputError} for a name that is no column, an object where a value belongs, or undefined.
   */
  filterBy(values: Filter<E>): Query<E, R> {
    const { mapper, source } = this.#plan;
    const names = mapper.columns.map((column) => column.property);
    const condition = filterCondition(values, refsOf(mapper, source), names, mapper.name);
    return this.#and(condition, "filterBy()");
  }

  #and(condition: Condition, method: string): Query<E, R> {
    const node = conditionNode(condition, method);
    const { where } = this.#plan;
    return this.#with({
      where: where === undefined ? node : allOf(new Expression<boolean>(where), condition)[nodeOf],
    });
  }

  /**
   * Only objects of a subclass, and of those that extend it, whose columns and relations can be used
   * from here on.
   *
   * @throws {InputError} when the class does not extend that of the query.
   */
  ofType<S extends E>(entityClass: EntityClass<S>): Query<S, R & S> {
    const { mapper } = this.#plan;
    const found = mapper.classes.values().find((each) => each.entityClass === entityClass);
    if (found === undefined || found === mapper) {
      throw new InputError(
        `ofType() of ${mapper.name} was given ${describe(entityClass)}, which does not extend it`,
        { hint: "Pass a class made with subclass(), and list it in the engine's entities" },
      );
    }
    const { columns: before } = this.#plan;
    const columns = before && chooseColumns(found, before.names, before.beside, "ofType()");
    return new Query<S, R & S>(this.#runner, { ...this.#plan, mapper: found, columns });
  }

  /**
   * Loads some columns instead of all; the primary key, foreign keys and the version come along
   * in any case. A group of columns and a computed column are named as their property is.
   *
   * Reading another column does not compile, and throws a `NotLoadedError`; assigning one stores it.
   * No commit writes what was not loaded. `session.load(objects, "bio")` loads it afterwards, as does
   * any later query that reads it. An object that the session has already keeps all it has.
   *
   * @throws {InputError} when a name is not that of a column.
   *
   * @example Titles only
   * ```ts
   * import { AsyncEngine, createAll, entity, integer, NotLoadedError, text } from "@sluice/orm";
   * import { assertEquals, assertThrows } from "@std/assert";
   *
   * class Page extends entity("pages", {
   *   id: integer().primaryKey().generated(),
   *   title: text(),
   *   body: text(),
   * }) {}
   * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Page] });
   * await createAll(engine);
   * await using session = engine.session();
   * await session.bulkInsert(Page, [{ title: "Notes", body: "…" }]);
   *
   * const page = await session.query(Page).only("id", "title").one();
   * assertEquals(page.title, "Notes");
   * assertThrows(() => page.body, NotLoadedError);
   * const [whole] = await session.load([page], "body");
   * assertEquals(whole?.body.length, 1);
   * ```
   */
  only<K extends ReadNames<E>>(...columns: K[]): Query<E, Only<R, K>> {
    const { mapper } = this.#plan;
    const choice = chooseColumns(mapper, columns, false, "only()");
    return new Query<E, Only<R, K>>(this.#runner, { ...this.#plan, columns: choice });
  }

  /**
   * Loads deferred columns along with the others: those of earlier `only()` and `undefer()`, or
   * those that are loaded by default.
   *
   * @throws {InputError} when a name is not that of a column.
   */
  undefer<K extends ReadNames<E>>(...columns: K[]): Query<E, With<R, K>> {
    const { mapper, columns: { names, beside } = { names: [], beside: true } } = this.#plan;
    const choice = chooseColumns(mapper, [...names, ...columns], beside, "undefer()");
    return new Query<E, With<R, K>>(this.#runner, { ...this.#plan, columns: choice });
  }

  /** Sorts, after the terms of earlier calls. */
  orderBy(order: (entity: Ref<E>) => OrderTerms): Query<E, R> {
    const terms = orderNodes(this.#within("orderBy()", order), "orderBy()");
    return this.#with({ orderBy: [...this.#plan.orderBy, ...terms] });
  }

  /**
   * Without the filters of these names, of this entity and of all that the query reaches.
   *
   * @throws {InputError} when none of them has a filter of that name.
   */
  unfiltered(...names: string[]): Query<E, R> {
    checkFilters(names, this.#plan.mapper);
    return this.#with({ unfiltered: [...this.#plan.unfiltered ?? [], ...names] });
  }

  /** At most `count` rows. */
  limit(count: number): Query<E, R> {
    return this.#with({ limit: countNode("limit()", count) });
  }

  /** Without the first `count` rows. */
  offset(count: number): Query<E, R> {
    return this.#with({ offset: countNode("offset()", count) });
  }

  /**
   * Loads a relation along with the objects, but only those that the refinement leaves, in its order,
   * and of these the columns that its `only()` names. A limit is one per parent. Still one
   * statement, whatever the number of objects.
   *
   * The collection then holds some of what there is: what is missing in it is not removed by a
   * commit, and `session.load()` loads it anew.
   *
   * @throws {InputError} when the path names no relation, or one to a single object is to be filtered.
   *
   * @example The three dearest books of each author
   * ```ts
   * import { AsyncEngine, createAll, entity, hasMany, integer, text } from "@sluice/orm";
   * import { assertEquals } from "@std/assert";
   *
   * class Author extends entity("authors", {
   *   id: integer().primaryKey().generated(),
   *   name: text(),
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
   * for (const name of ["Ada", "Bea"]) {
   *   const books = [5, 9, 7, 1].map((price) => new Book({ price }));
   *   session.add(new Author({ name, books }));
   * }
   * await session.commit();
   *
   * const authors = await session.query(Author)
   *   .selectin("books", (q) => q.orderBy((b) => b.price.desc()).limit(3)).all();
   * assertEquals(authors.map((a) => a.books.map((b) => b.price)), [[9, 7, 5], [9, 7, 5]]);
   * ```
   */
  selectin<P extends string, S extends object>(
    path: Path<E, P>,
    refine: (related: Query<PathTarget<E, P>>) => Query<PathTarget<E, P>, S>,
  ): Query<E, WithRefined<R, P, S>>;
  /**
   * Loads relations along with the objects: one statement per path and window, whatever the
   * number of objects.
   *
   * @throws {InputError} when a path names no relation.
   */
  selectin<P extends string = never>(...paths: Path<E, P>[]): Query<E, With<R, P>>;
  selectin(...paths: readonly unknown[]): Query<E, never> {
    return this.#loading(paths, "selectin");
  }

  /**
   * Loads a relation to many in the same statement, but only those objects that the refinement
   * leaves, in its order. There is no limit per parent: that is for `selectin()`.
   *
   * @throws {InputError} when the path names no relation, or one to a single object is to be filtered.
   */
  joined<P extends string, S extends object>(
    path: Path<E, P>,
    refine: (related: Query<PathTarget<E, P>>) => Query<PathTarget<E, P>, S>,
  ): Query<E, WithRefined<R, P, S>>;
  /**
   * Loads relations in the same statement, by left joins. Good for relations to one object; a relation
   * to many repeats its parent's columns in every row, and several of them multiply, where
   * `selectin()` is the better choice.
   *
   * A limit still counts the query's own objects. A stream cannot join relations to many.
   *
   * @throws {InputError} when a path names no relation.
   *
   * @example
   * ```ts
   * import { AsyncEngine, belongsTo, createAll, entity, integer, text } from "@sluice/orm";
   * import { assertEquals } from "@std/assert";
   *
   * class Author extends entity("authors", { id: integer().primaryKey(), name: text() }) {}
   * class Book extends entity("books", {
   *   id: integer().primaryKey(),
   *   authorId: integer().references("authors.id"),
   *   author: belongsTo<Author>("authorId"),
   * }) {}
   * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Author, Book] });
   * await createAll(engine);
   * await using session = engine.session();
   * session.add(new Book({ id: 1, author: new Author({ id: 1, name: "Ada" }) }));
   * await session.commit();
   *
   * await using other = engine.session();
   * const book = await other.query(Book).joined("author").one();
   * assertEquals(book.author.name, "Ada");
   * ```
   */
  joined<P extends string = never>(...paths: Path<E, P>[]): Query<E, With<R, P>>;
  joined(...paths: readonly unknown[]): Query<E, never> {
    return this.#loading(paths, "joined");
  }

  #loading(given: readonly unknown[], strategy: PathEnd["strategy"]): Query<E, never> {
    const { mapper, paths } = this.#plan;
    const refine = given.length === 2 && typeof given[1] === "function" ? given[1] : undefined;
    const end = refine === undefined
      ? { ...wholeRelation, strategy }
      : this.#refined(given[0], refine as (q: unknown) => unknown, strategy);
    const named = refine === undefined ? given : given.slice(0, 1);
    const tree = named.reduce((tree: PathTree, path) => addPath(tree, mapper, path, end), paths);
    return new Query<E, never>(this.#runner, { ...this.#plan, paths: tree });
  }

  /** What a refinement says of the last step of a path. */
  #refined(
    path: unknown,
    refine: (q: unknown) => unknown,
    strategy: PathEnd["strategy"],
  ): PathEnd {
    const relation = relationsOf(this.#plan.mapper, path).at(-1)!;
    const { target } = relation;
    const plan = planFor(target, { ...target.source });
    const refined = refine(new Query(this.#runner, plan));
    if (!(refined instanceof Query) || refined.#plan.source !== plan.source) {
      throw new InputError(
        `The refinement of "${path}" gave ${describe(refined)}, and not the query it was given`,
        {
          hint: "Write it as (q) => q.where(…).orderBy(…).limit(3). It loads objects, of some " +
            "columns with only(…): for plain rows, use session.query(…).select(…)",
        },
      );
    }
    return refinedEnd(path as string, relation, strategy, plan, refined.#plan);
  }

  /** Locks the rows until the transaction ends; only inside `begin()`. SQLite locks everything anyway. */
  lock(strength: "update" | "share", wait?: "skipLocked" | "noWait"): Query<E, R> {
    if (strength !== "update" && strength !== "share") {
      throw new InputError(`lock() takes "update" or "share", found ${describe(strength)}`);
    }
    if (wait !== undefined && wait !== "skipLocked" && wait !== "noWait") {
      throw new InputError(`lock() waits by "skipLocked" or "noWait", found ${describe(wait)}`);
    }
    return this.#with({ lock: { strength, wait } });
  }

  /**
   * Objects that are only to be read: no session knows them, changes to them are never stored, and
   * nothing is kept to compare them with, so that reading many takes less time and memory. A row that
   * several paths lead to is one object in the result, and another one in the next.
   *
   * The objects are typed as `Readonly`. `merge()` takes them; `add()`, `delete()` and `load()` do not.
   *
   * @example
   * ```ts
   * import { AsyncEngine, createAll, entity, inspect, integer, text } from "@sluice/orm";
   * import { assertEquals } from "@std/assert";
   *
   * class Pet extends entity("pets", { id: integer().primaryKey().generated(), name: text() }) {}
   * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Pet] });
   * await createAll(engine);
   * await using session = engine.session();
   * await session.bulkInsert(Pet, [{ name: "Ant" }, { name: "Bee" }]);
   *
   * const pets = await session.query(Pet).orderBy((p) => p.id.asc()).readOnly().all();
   * assertEquals(pets.map((pet) => pet.name), ["Ant", "Bee"]);
   * assertEquals(inspect(pets[0]!).state, "readOnly");
   * ```
   */
  readOnly(): Query<E, Readonly<R>> {
    // The same objects as far as it can be told at run time: what is less is what may be done to them.
    return this.#with({ readOnly: true }) as unknown as Query<E, Readonly<R>>;
  }

  /** How many rows a stream fetches at a time. Default 500. */
  window(rows: number): Query<E, R> {
    return this.#with({ window: checkCount("window()", rows, 1) });
  }

  /** Gives up when the signal aborts: the statement is cancelled and the signal's reason thrown. */
  signal(signal: AbortSignal): Query<E, R> {
    return this.#with({ signal });
  }

  /** Longest time for each statement of the query, in milliseconds. */
  timeout(ms: number): Query<E, R> {
    return this.#with({ timeout: checkCount("timeout()", ms, 1) });
  }

  // --- columns only --------------------------------------------------------------------------------

  /**
   * Plain rows instead of objects: columns, expressions and aggregates by name; objects nest, and a
   * single column gives plain values. The rows are typed, and belong to nobody.
   */
  select<const S extends Selection | Expression<unknown>>(
    columns: (entity: Ref<E>) => S,
  ): Select<[Ref<E>], S> {
    return this.#from("select()").select(columns);
  }

  /** Joins an entity, a query for rows or a CTE, to `select()` from both. */
  join<O extends object>(
    entity: EntityClass<O>,
    on: (entity: Ref<E>, other: Ref<O>) => Condition,
  ): From<[Ref<E>, Ref<O>]>;
  /** Joins a query for rows or a CTE. */
  join<S>(rows: Rows<S>, on: (entity: Ref<E>, other: S) => Condition): From<[Ref<E>, S]>;
  join(other: never, on: (...refs: never) => Condition): From<never> {
    return this.#from("join()").join(other, on as never) as From<never>;
  }

  /** As `join()`, but rows without a partner stay; the other's columns are null there. */
  leftJoin<O extends object>(
    entity: EntityClass<O>,
    on: (entity: Ref<E>, other: Ref<O>) => Condition,
  ): From<[Ref<E>, NullableRef<O>]>;
  /** As `join()`, but rows without a partner stay. */
  leftJoin<S>(
    rows: Rows<S>,
    on: (entity: Ref<E>, other: S) => Condition,
  ): From<[Ref<E>, NullableSelection<S>]>;
  leftJoin(other: never, on: (...refs: never) => Condition): From<never> {
    return this.#from("leftJoin()").leftJoin(other, on as never) as From<never>;
  }

  /**
   * Joins a query that refers to this entity, run for each of its rows (PostgreSQL). Build it
   * inside the callback.
   */
  joinLateral<S>(rows: (entity: Ref<E>) => Rows<S>): From<[Ref<E>, S]> {
    return this.#from("joinLateral()").joinLateral(rows);
  }
  /** As `joinLateral()`, but rows for which the query gives none stay. */
  leftJoinLateral<S>(rows: (entity: Ref<E>) => Rows<S>): From<[Ref<E>, NullableSelection<S>]> {
    return this.#from("leftJoinLateral()").leftJoinLateral(rows);
  }

  /** Rows with equal values of these become one, to `select()` from. */
  groupBy(
    by: (entity: Ref<E>) => Expression<unknown> | readonly Expression<unknown>[],
  ): From<[Ref<E>]> {
    return this.#from("groupBy()").groupBy(by);
  }

  #from(what: string): From<[Ref<E>]> {
    const { mapper, source, paths, window, signal, timeout, binding } = this.#plan;
    if (paths.size > 0) {
      throw new UsageError(`${what} gives rows, which have no relations to load`, {
        hint: "Leave selectin() out, and select the columns of relations",
      });
    }
    return new From<[Ref<E>]>(this.#runner.rows, {
      select: { ...selectOf(this.#plan), columns: [] },
      sources: [source],
      refs: [refsOf(mapper, source)],
      root: mapper,
      window,
      signal,
      timeout,
      binding,
    });
  }

  // --- ends ----------------------------------------------------------------------------------------

  /**
   * The objects as they arrive, read from a cursor in windows. Memory is bounded by the window:
   * unchanged objects of earlier windows are let go of. The session stays usable inside the loop.
   */
  override [Symbol.asyncIterator](): AsyncIterableIterator<R> {
    return this.#runner.stream(this.#plan) as AsyncIterableIterator<R>;
  }

  /** All objects. */
  override async all(): Promise<R[]> {
    return await this.#runner.all(this.#plan) as R[];
  }

  /** At most `count` of the results. */
  protected override async take(count: number): Promise<R[]> {
    const { limit, mapper, source, where } = this.#plan;
    // Without a limit, what is joined needs no subquery around its parents
    const limited = typeof limit === "object" ||
      limit === undefined && namesOneRow(mapper, source, where);
    const plan = limited ? this.#plan : { ...this.#plan, limit: Math.min(limit ?? count, count) };
    return await this.#runner.all(plan) as R[];
  }

  /** How many rows there are, limit and offset minded. */
  override count(): Promise<number> {
    return this.#runner.count(this.#plan);
  }

  /** Whether there is at least one row. */
  override exists(): Promise<boolean> {
    return this.#runner.exists(this.#plan);
  }

  /**
   * A page of objects, read from where another ended: `{ size, after: previous.next }`. The order
   * is the query's own, whatever its directions and nulls, completed by the primary key; the token
   * is opaque, and exact to the microsecond.
   *
   * @throws {InputError} for a token that is not of this query.
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
   * await session.bulkInsert(Pet, ["Ant", "Bee", "Cat"].map((name) => ({ name })));
   *
   * const pets = session.query(Pet).orderBy((p) => p.name.desc());
   * const first = await pets.page({ size: 2 });
   * assertEquals(first.items.map((p) => p.name), ["Cat", "Bee"]);
   * const second = await pets.page({ size: 2, after: first.next });
   * assertEquals(second.items.map((p) => p.name), ["Ant"]);
   * assertEquals(second.hasNext, false);
   * ```
   */
  page(options: PageOptions): Promise<Page<R>> {
    const { rows } = this.#runner;
    const limits = { ...this.#plan, locks: this.#plan.lock !== undefined };
    return readPage({
      select: this[nodeOf],
      key: this.#plan.mapper,
      dialect: rows.dialect,
      fetch: (page) =>
        rows.run(bindStatement(this.#plan.binding, undefined, () => rows.compile(page)), limits),
      build: async (found) => await this.#runner.load(this.#plan, found) as R[],
    }, options);
  }

  /** The statement that would be sent, its values apart from the text. */
  override toSQL(): { readonly text: string; readonly params: readonly unknown[] } {
    const { text, params } = this.#runner.toSQL(this.#plan);
    return { text, params };
  }

  /** How the database would go about it. */
  override explain(options: ExplainOptions & { format: "json" }): Promise<unknown>;
  /** How the database would go about it, as text. */
  override explain(options?: ExplainOptions & { format?: "text" }): Promise<string>;
  override async explain(given: ExplainOptions = {}): Promise<unknown> {
    const options = withoutPrototype(given);
    const { rows } = this.#runner;
    const { name } = rows.dialect;
    const statement = explainStatement(this.#runner.toSQL(this.#plan), name, options);
    return readExplanation(await rows.run(statement, this.#plan), name, options);
  }

  // --- batches -------------------------------------------------------------------------------------

  /**
   * Walks all rows in batches of `size`, each in a short transaction of its own, for long updates:
   * what the loop changes is stored batch by batch, and locks are held for one batch only.
   *
   * The walk follows the query's order, completed by the primary key where that is not unique, or
   * the primary key alone. Each batch begins after the last row of the one before, whatever was
   * inserted or deleted meanwhile: rows that come to stand behind it are visited, rows before it
   * are not, and none is visited twice, unless the loop itself moves a row ahead by changing a
   * column of that order.
   *
   * Leaving the loop, by `break` or by an error of its own, rolls the unfinished batch back; the
   * walk's `checkpoint` says where to go on.
   *
   * @throws {BatchError} `BATCH` when a batch cannot be read or stored, with the checkpoint of the last commit.
   * @throws {InputError} `INVALID_INPUT` for an order or an option that is wrong.
   *
   * @example
   * ```ts
   * import { AsyncEngine, createAll, entity, integer } from "@sluice/orm";
   * import { assertEquals } from "@std/assert";
   *
   * class Account extends entity("accounts", { id: integer().primaryKey(), cents: integer() }) {}
   * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Account] });
   * await createAll(engine);
   * await using session = engine.session();
   * await session.bulkInsert(Account, [{ id: 1, cents: 5 }, { id: 2, cents: 7 }, { id: 3, cents: 0 }]);
   *
   * const accounts = session.query(Account).commitEvery(2, { checkpoint: "interest" });
   * for await (const account of accounts) account.cents += 1;
   * assertEquals(accounts.progress?.batches, 2);
   * assertEquals((await session.query(Account).all()).map((a) => a.cents), [6, 8, 1]);
   * ```
   */
  commitEvery(size: number, options: BatchOptions = {}): Batches<R> {
    checkCount("commitEvery()", size, 1);
    this.#refuseBinding("commitEvery()");
    return this.#runner.commitEvery(this.#plan, size, options) as Batches<R>;
  }

  /**
   * As `commitEvery()`, and gives the rows as one array a batch.
   *
   * @throws {BatchError} `BATCH` when a batch cannot be read or stored.
   *
   * @example
   * ```ts
   * import { AsyncEngine, createAll, entity, integer } from "@sluice/orm";
   * import { assertEquals } from "@std/assert";
   *
   * class Account extends entity("accounts", { id: integer().primaryKey(), cents: integer() }) {}
   * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Account] });
   * await createAll(engine);
   * await using session = engine.session();
   * await session.bulkInsert(Account, [{ id: 1, cents: 5 }, { id: 2, cents: 7 }, { id: 3, cents: 0 }]);
   *
   * const sizes: number[] = [];
   * const newestFirst = session.query(Account).orderBy((a) => a.id.desc());
   * for await (const accounts of newestFirst.inBatches(2)) sizes.push(accounts.length);
   * assertEquals(sizes, [2, 1]);
   * ```
   */
  inBatches(size: number, options: BatchOptions = {}): Batches<R[]> {
    checkCount("inBatches()", size, 1);
    this.#refuseBinding("inBatches()");
    return this.#runner.inBatches(this.#plan, size, options) as Batches<R[]>;
  }

  /**
   * As `inBatches()`, but hands each batch to a function. A function, unlike the body of a loop, can be
   * run again when its transaction met a serialization failure or a deadlock (`retries`), and
   * several times at once (`concurrency`).
   *
   * @returns How far the walk came; undefined if there was nothing to do.
   * @throws {BatchError} `BATCH` when a batch failed. Other workers finish the batches they have in hand.
   *
   * @example
   * ```ts
   * import { AsyncEngine, createAll, entity, integer } from "@sluice/orm";
   * import { assertEquals } from "@std/assert";
   *
   * class Account extends entity("accounts", { id: integer().primaryKey(), cents: integer() }) {}
   * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Account] });
   * await createAll(engine);
   * await using session = engine.session();
   * await session.bulkInsert(Account, [{ id: 1, cents: 5 }, { id: 2, cents: 7 }, { id: 3, cents: 0 }]);
   *
   * const done = await session.query(Account).eachBatch(2, (accounts, { session }) => {
   *   for (const account of accounts) if (account.cents === 0) session.delete(account);
   * }, { retries: 3 });
   * assertEquals(done?.rows, 3);
   * assertEquals(await session.query(Account).count(), 2);
   * ```
   */
  async eachBatch(
    size: number,
    work: (rows: R[], context: BatchContext) => unknown,
    options: EachBatchOptions = {},
  ): Promise<BatchProgress | undefined> {
    checkCount("eachBatch()", size, 1);
    this.#refuseBinding("eachBatch()");
    if (typeof work !== "function") {
      throw new InputError(`eachBatch() expects a function, found ${describe(work)}`, {
        hint: "Write it as eachBatch(100, async (rows) => { … })",
      });
    }
    return await this.#runner.eachBatch(
      this.#plan,
      size,
      (rows, info) => work(rows as R[], info as BatchContext),
      options,
    );
  }

  #refuseBinding(what: string): void {
    if (this.#plan.binding === undefined) return;
    throw new UsageError(`${what} cannot walk a prepared query`, {
      hint: "Build it with session.query(), with the values in place",
    });
  }
}
