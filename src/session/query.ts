/**
 * `Query<E, R>`: what to load, as an immutable value. Nothing happens until it is iterated or
 * ended; the session that made it carries it out.
 *
 * @module
 */

import { InputError, MultipleResultsError, NoResultError } from "../errors.ts";
import type { DriverStatement } from "../dialect/driver.ts";
import { addPaths } from "../loading/paths.ts";
import type { Executable } from "../engine/statement.ts";
import type { Result } from "../engine/result.ts";
import type { EntityClass, Filter, Path, Ref, With } from "../mapper/types.ts";
import {
  allOf,
  type Condition,
  conditionNode,
  describe,
  Expression,
  isSql,
  Order,
} from "../sql/expression.ts";
import { nodeOf } from "../sql/node.ts";
import { didYouMean } from "../util/nearest.ts";
import type {
  Batches,
  BatchInfo,
  BatchOptions,
  BatchProgress,
  EachBatchOptions,
} from "./batches/batches.ts";
import { jsonLines } from "./json_lines.ts";
import type { QueryPlan } from "./query_plan.ts";
import { refs } from "./refs.ts";

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
export class Query<E extends object, R extends object = E> implements AsyncIterable<R> {
  readonly #runner: QueryRunner;
  readonly #plan: QueryPlan;

  /** Queries are made by `session.query()`. */
  constructor(runner: QueryRunner, plan: QueryPlan) {
    this.#runner = runner;
    this.#plan = plan;
  }

  #with(change: Partial<QueryPlan>): Query<E, R> {
    return new Query(this.#runner, { ...this.#plan, ...change });
  }

  /** Only rows that meet the condition, and those of earlier calls. */
  where(condition: (entity: Ref<E>) => Condition): Query<E, R> {
    if (typeof condition !== "function") {
      throw new InputError(`where() expects a function, found ${describe(condition)}`, {
        hint: "Write it as where((a) => a.name.eq(name))",
      });
    }
    return this.#and(condition(refs(this.#plan.mapper) as Ref<E>), "where()");
  }

  /**
   * Only rows whose columns have these values; null asks for null. Takes values and nothing
   * else, so that no request body can smuggle in an operator.
   *
   * @throws {InputError} for a name that is no column, an object where a value belongs, or undefined.
   */
  filterBy(values: Filter<E>): Query<E, R> {
    const { mapper } = this.#plan;
    if (!isPlainObject(values)) {
      throw new InputError(`filterBy() expects an object of values, found ${describe(values)}`, {
        hint: "Write it as filterBy({ name: value })",
      });
    }
    const conditions = Object.entries(values).map(([property, value]) => {
      const column = mapper.column(property);
      if (column === undefined) {
        throw new InputError(
          `filterBy() names "${property}", and ${mapper.name} has no such column`,
          {
            hint: didYouMean(property, mapper.columns.map((c) => c.property)),
          },
        );
      }
      const ref = refs(mapper)[property] as Expression<unknown>;
      if (value === null) return ref.isNull();
      const isValue = typeof value !== "object" || value instanceof Date ||
        value instanceof Uint8Array;
      if (!isValue || typeof value === "function" || value === undefined) {
        throw new InputError(
          `filterBy() expects a value for "${column.label}", found ${describe(value)}`,
          {
            hint: value === undefined
              ? "Leave the property out when there is no value"
              : "Use where() for anything but equality",
          },
        );
      }
      return ref.eq(value);
    });
    return this.#and(allOf(...conditions), "filterBy()");
  }

  #and(condition: Condition, method: string): Query<E, R> {
    const node = conditionNode(condition, method);
    const { where } = this.#plan;
    return this.#with({
      where: where === undefined ? node : allOf(new Expression<boolean>(where), condition)[nodeOf],
    });
  }

  /** Sorts, after the terms of earlier calls. */
  orderBy(
    order: (
      entity: Ref<E>,
    ) => Order | Expression<unknown> | readonly (Order | Expression<unknown>)[],
  ): Query<E, R> {
    if (typeof order !== "function") {
      throw new InputError(`orderBy() expects a function, found ${describe(order)}`, {
        hint: "Write it as orderBy((a) => a.name.asc())",
      });
    }
    const given = order(refs(this.#plan.mapper) as Ref<E>);
    const terms = (Array.isArray(given) ? given : [given]).map((term: unknown) => {
      if (term instanceof Order) return term[nodeOf];
      if (term instanceof Expression) return term.asc()[nodeOf];
      throw new InputError(`orderBy() expects columns, found ${describe(term)}`, {
        hint: "Write it as orderBy((a) => [a.name.asc(), a.id.desc()])",
      });
    });
    return this.#with({ orderBy: [...this.#plan.orderBy, ...terms] });
  }

  /** At most `count` rows. */
  limit(count: number): Query<E, R> {
    return this.#with({ limit: checkCount("limit()", count, 0) });
  }

  /** Without the first `count` rows. */
  offset(count: number): Query<E, R> {
    return this.#with({ offset: checkCount("offset()", count, 0) });
  }

  /**
   * Loads relations along with the objects: one statement per path and window, whatever the
   * number of objects.
   *
   * @throws {InputError} when a path names no relation.
   */
  selectin<P extends Path<E>>(...paths: P[]): Query<E, With<R, P>> {
    const tree = addPaths(this.#plan.paths, this.#plan.mapper, paths);
    return new Query<E, With<R, P>>(this.#runner, { ...this.#plan, paths: tree });
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

  /**
   * The objects as they arrive, read from a cursor in windows. Memory is bounded by the window:
   * unchanged objects of earlier windows are let go of. The session stays usable inside the loop.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<R> {
    return this.#runner.stream(this.#plan) as AsyncIterableIterator<R>;
  }

  /** All objects. */
  async all(): Promise<R[]> {
    return await this.#runner.all(this.#plan) as R[];
  }

  /** The first object, or undefined. */
  async first(): Promise<R | undefined> {
    const limit = Math.min(this.#plan.limit ?? 1, 1);
    return (await this.#runner.all({ ...this.#plan, limit }) as R[])[0];
  }

  /**
   * The only object.
   *
   * @throws {NoResultError} when there is none.
   * @throws {MultipleResultsError} when there are more.
   */
  async one(): Promise<R> {
    const object = await this.oneOrNone();
    if (object !== undefined) return object;
    throw new NoResultError(`No ${this.#plan.mapper.name} meets the condition`, {
      hint: "Use first() or oneOrNone() where that is expected",
    });
  }

  /**
   * The only object, or undefined.
   *
   * @throws {MultipleResultsError} when there are more.
   */
  async oneOrNone(): Promise<R | undefined> {
    const limit = Math.min(this.#plan.limit ?? 2, 2);
    const objects = await this.#runner.all({ ...this.#plan, limit }) as R[];
    if (objects.length <= 1) return objects[0];
    throw new MultipleResultsError(`More than one ${this.#plan.mapper.name} meets the condition`, {
      hint: "Narrow the condition, or use first()",
    });
  }

  /** How many rows there are, limit and offset minded. */
  count(): Promise<number> {
    return this.#runner.count(this.#plan);
  }

  /** Whether there is at least one row. */
  exists(): Promise<boolean> {
    return this.#runner.exists(this.#plan);
  }

  /** The statement that would be sent, its values apart from the text. */
  toSQL(): { readonly text: string; readonly params: readonly unknown[] } {
    const { text, params } = this.#runner.toSQL(this.#plan);
    return { text, params };
  }

  /** The objects as a web stream, with backpressure down to the cursor. */
  toReadableStream(): ReadableStream<R> {
    return ReadableStream.from(this);
  }

  /** The objects as lines of JSON (NDJSON) in UTF-8, for a `Response`. */
  ndjson(): ReadableStream<Uint8Array> {
    return jsonLines(this);
  }

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
}

/** A literal or parsed JSON: what else there is (a query, a Map) has no values by column. */
function isPlainObject(value: unknown): value is object {
  if (typeof value !== "object" || value === null || isSql(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function checkCount(what: string, value: unknown, min: number): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < min) {
    throw new InputError(`${what} takes a whole number from ${min} up, found ${describe(value)}`, {
      hint: "Convert and check the number first",
    });
  }
  return value;
}
