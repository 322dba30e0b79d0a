/**
 * How a session reads: queries, streams, counts and lookups by key.
 *
 * @module
 */

import { InputError, UsageError } from "../errors.ts";
import type { Dialect } from "../dialect/dialect.ts";
import type { CallOptions, DriverStatement } from "../dialect/driver.ts";
import type { Connection } from "../engine/connection.ts";
import { hydrate, type HydrationTarget } from "../loading/hydrate.ts";
import { build, Building, folds, type Joined, joinPaths } from "../loading/joined.ts";
import { lacksColumns } from "../loading/related.ts";
import { selectAll } from "../loading/select.ts";
import { type Loader, loadPaths, loadRest } from "../loading/selectin.ts";
import type { Mapper } from "../mapper/mapper.ts";
import { IdentityMap } from "../unit_of_work/identity_map.ts";
import { describe } from "../sql/expression.ts";
import { nodeOf, type SelectNode } from "../sql/node.ts";
import type { WireRow } from "../sql/wire.ts";
import type {
  Batches,
  BatchOptions,
  BatchProgress,
  BatchRunner,
  EachBatchOptions,
} from "./batches/batches.ts";
import { commitEvery, inBatches } from "./batches/commit_every.ts";
import type { BatchWork } from "./batches/each_batch.ts";
import { keyCondition } from "./key_condition.ts";
import type { QueryRunner } from "./query.ts";
import { bindStatement } from "./queries/binding.ts";
import { numberOf } from "./queries/counts.ts";
import { RowReader } from "./queries/row_reader.ts";
import { type QueryPlan, selectOf } from "./query_plan.ts";
import type { SessionCore } from "./session_core.ts";
import type { Runner } from "./turnstile.ts";
import { SessionStream } from "./session_stream.ts";
import { beginTransaction } from "./transactions.ts";

/** How an object is fetched by key. */
export interface GetOptions extends CallOptions {
  /** Locks the row and reads it anew; only inside `begin()`. SQLite locks everything anyway. */
  lock?: "update" | "share" | undefined;
  /**
   * With `lock`, when somebody else has locked the row: `"skipLocked"` takes it for missing, `"noWait"`
   * fails with `LockTimeoutError`. Default: wait.
   */
  wait?: "skipLocked" | "noWait" | undefined;
}

/** The lock that is asked for. Both become part of a statement's text: nothing else may. */
function lockOf(options: GetOptions): Pick<GetOptions, "lock" | "wait"> {
  const lock = Object.hasOwn(options, "lock") ? options.lock : undefined;
  const wait = Object.hasOwn(options, "wait") ? options.wait : undefined;
  if (lock === undefined && wait === undefined) return noLock;
  if (lock !== undefined && lock !== "update" && lock !== "share") {
    throw new InputError(`The option "lock" takes "update" or "share", found ${describe(lock)}`);
  }
  if (wait !== undefined && wait !== "skipLocked" && wait !== "noWait") {
    throw new InputError(
      `The option "wait" takes "skipLocked" or "noWait", found ${describe(wait)}`,
    );
  }
  if (wait !== undefined && lock === undefined) {
    throw new InputError('The option "wait" says how to wait for a lock, and none is asked for', {
      hint: 'Ask for one: { lock: "update", wait: "noWait" }',
    });
  }
  return { lock, wait };
}

const noLock: Pick<GetOptions, "lock" | "wait"> = { lock: undefined, wait: undefined };

/** What a reader knows of the session it reads for. */
export interface ReaderFacade {
  /** The session, as users have it. */
  readonly session: unknown;
  /** How many connections there can be at the same time. */
  connections(): number;
  /** Another session on the same engine. */
  fork(): BatchRunner & AsyncDisposable;
}

/** Reads for one session. */
export class Reader implements QueryRunner {
  readonly #core: SessionCore;
  readonly #facade: ReaderFacade;
  /** Reads plain rows. */
  readonly rows: RowReader;

  /** Reads for the session of `core`. */
  constructor(core: SessionCore, facade: ReaderFacade) {
    this.#core = core;
    this.#facade = facade;
    this.rows = new RowReader(core);
  }

  /** All objects; those that were not managed before are added to `added`. */
  all(plan: QueryPlan, added?: object[]): Promise<object[]> {
    const call = this.#begun(plan);
    return this.#read(plan.lock === undefined, call, async (connection) => {
      const joined = this.#joined(plan);
      const loader = this.#loader(plan, connection, call, added);
      const building = new Building(joined, loader);
      const statement = { ...this.#statement(plan, joined), take: building.take };
      const built = building.build((await connection.run(statement, call)).rows);
      if (plan.paths.size === 0) return built.rows;
      await loadRest(built.rest, loader);
      const objects = built.rows;
      // A joined relation repeats its parent in every row.
      return joined.parts.length === 0 ? objects : [...new Set(objects)];
    });
  }

  /** The objects one after the other, read in windows. */
  stream(plan: QueryPlan): SessionStream {
    const call = this.#begun(plan);
    const collection = folds(plan.paths);
    if (collection !== undefined) {
      const { property } = collection;
      throw new UsageError(
        `A stream cannot join "${property}", a relation to many: a window could cut it`,
        { hint: `Use .selectin("${property}"), which loads once per window, or .all()` },
      );
    }
    const joined = this.#joined(plan);
    let release: (() => Promise<void>) | undefined;
    let windows: ReturnType<Connection["windows"]> | undefined;
    let added: object[] = [];
    const stream = new SessionStream({
      open: async () => {
        this.#core.assertOpen();
        release = await this.#core.turnstile.hold(call);
        this.#core.streams.add(stream);
        await this.#core.turnstile.run(async (connection) => {
          await this.#core.autoflush(connection, call);
          const statement = this.#statement(plan, joined);
          windows = connection.windows(statement, { ...call, window: plan.window });
        }, call);
      },
      next: () =>
        this.#core.turnstile.run(async (connection) => {
          const next = await windows!.next();
          if (next.done) return [];
          added = [];
          const { rows } = next.value;
          if (plan.paths.size === 0) return this.#hydrate(plan, rows, added);
          return await this.#build(joined, rows, this.#loader(plan, connection, call, added));
        }, call),
      passed: () => {
        for (const object of added) {
          if (this.#core.work.isClean(object)) this.#core.work.expunge(object);
        }
        added = [];
      },
      adopt: (parents, objects) => {
        if (!parents.some((parent) => added.includes(parent))) return false;
        for (const object of objects) added.push(object);
        return true;
      },
      close: async () => {
        this.#core.streams.delete(stream);
        try {
          await this.#core.turnstile.run(async () => void await windows?.return());
        } finally {
          await release?.();
        }
      },
    }, plan.window);
    return stream;
  }

  /** How many rows there are. */
  async count(plan: QueryPlan): Promise<number> {
    const counted: SelectNode = {
      ...selectOf(plan),
      columns: [{ kind: "raw", parts: ["count(*)"] }],
      orderBy: [],
      limit: undefined,
      offset: undefined,
      lock: undefined,
    };
    const total = Number((await this.#select(plan, "count", counted))[0]![0]);
    const rest = Math.max(0, total - (numberOf(plan.offset, plan.binding?.values) ?? 0));
    return Math.min(rest, numberOf(plan.limit, plan.binding?.values) ?? rest);
  }

  /** Whether there is a row. */
  async exists(plan: QueryPlan): Promise<boolean> {
    const limit = typeof plan.limit === "object" ? plan.limit : Math.min(plan.limit ?? 1, 1);
    const rows = await this.#select(plan, `exists ${plan.limit}`, {
      ...selectOf(plan),
      columns: [{ kind: "raw", parts: ["1"] }],
      orderBy: [],
      limit,
      lock: undefined,
    });
    return rows.length > 0;
  }

  /** The statement that would be sent. */
  toSQL(plan: QueryPlan): DriverStatement {
    return this.#statement(plan, this.#joined(plan));
  }

  #statement(plan: QueryPlan, { select }: Joined): DriverStatement {
    return bindStatement(
      plan.binding,
      `all ${plan.limit}`,
      () => this.#core.context.dialect.compile(select),
    );
  }

  #joined(plan: QueryPlan): Joined {
    const select = selectOf(plan);
    return joinPaths(select, plan.mapper, plan.source, plan.paths, plan.columns);
  }

  async #build(joined: Joined, rows: WireRow[], loader: Loader): Promise<object[]> {
    const built = build(joined, rows, loader);
    await loadRest(built.rest, loader);
    return built.rows;
  }

  /** A walk that gives its rows one by one. */
  commitEvery(plan: QueryPlan, size: number, options: BatchOptions): Batches<object> {
    this.#assertBatches("commitEvery()", plan);
    return commitEvery(this.batchRunner(), this.#core.context.dialect, plan, size, options);
  }

  /** A walk that gives its rows batch by batch. */
  inBatches(plan: QueryPlan, size: number, options: BatchOptions): Batches<object[]> {
    this.#assertBatches("inBatches()", plan);
    return inBatches(this.batchRunner(), this.#core.context.dialect, plan, size, options);
  }

  /** A walk by a function. */
  async eachBatch(
    plan: QueryPlan,
    size: number,
    work: BatchWork,
    options: EachBatchOptions,
  ): Promise<BatchProgress | undefined> {
    this.#assertBatches("eachBatch()", plan);
    const { dialect } = this.#core.context;
    const { eachBatch } = await import("./batches/each_batch.ts");
    return await eachBatch(this.batchRunner(), dialect, plan, size, work, options);
  }

  #assertBatches(what: string, { readOnly }: QueryPlan): void {
    if (readOnly) {
      throw new UsageError(`${what} commits changes, and readOnly() reads objects that have none`, {
        hint: "Leave readOnly() out, or stream the query with for await",
      });
    }
    this.#core.assertOpen();
    this.#core.assertIdle(what, "Its batches are transactions of their own");
  }

  /** What a walk in batches needs of this session. */
  batchRunner(): BatchRunner {
    const core = this.#core;
    return {
      session: this.#facade.session,
      connections: this.#facade.connections(),
      begin: (options) => beginTransaction(core, "A batch", options, true),
      all: (plan, added) => this.all(plan, added),
      count: (plan) => this.count(plan),
      expunge: (object) => core.work.expunge(object),
      run: (statement, call = core.limits({})) =>
        core.turnstile.run((connection) => connection.run(statement, call), call),
      fork: () => this.#facade.fork(),
    };
  }

  #begun(plan: QueryPlan): CallOptions {
    this.#core.assertOpen();
    if (plan.lock !== undefined) this.#core.assertLockable();
    return this.#core.limits(plan);
  }

  #select(plan: QueryPlan, purpose: string, select: SelectNode): Promise<WireRow[]> {
    const call = this.#begun(plan);
    return this.#core.turnstile.run(async (connection) => {
      await this.#core.autoflush(connection, call);
      const { dialect } = this.#core.context;
      const statement = bindStatement(plan.binding, purpose, () => dialect.compile(select));
      return (await connection.run(statement, call)).rows;
    }, call);
  }

  /** Makes objects of rows that were read, with the relations of the plan. */
  load(plan: QueryPlan, rows: WireRow[]): Promise<object[]> {
    const call = this.#begun(plan);
    const objects = this.#hydrate(plan, rows);
    if (plan.paths.size === 0) return Promise.resolve(objects);
    return this.#core.turnstile.run(async (connection) => {
      await loadPaths(objects, plan.paths, this.#loader(plan, connection, call));
      return objects;
    }, call);
  }

  /**
   * The object with this key, in an array: what a promise resolves to is asked for `then`, and an
   * entity would be asked once for each promise on the way.
   */
  find(mapper: Mapper, key: unknown, options: GetOptions): Promise<object[]> {
    const { dialect } = this.#core.context;
    const keyRow = mapper.keyRow(key, dialect.name);
    const { lock, wait } = lockOf(options);
    if (lock === undefined) {
      const known = this.#core.work.identityMap.of(mapper)
        .get(mapper.identityOf(keyRow, dialect.name));
      const fresh = known !== undefined && !this.#core.work.takeExpired(known);
      if (fresh && !lacksColumns(known)) {
        // Objects of one table share their identities, and this can be of another class.
        return Promise.resolve(known instanceof mapper.entityClass ? [known] : []);
      }
    } else this.#core.assertLockable();
    const call = this.#core.limits(options);
    return this.#read(lock === undefined, call, async (connection) => {
      const { text, params } = byKey(mapper, dialect, { lock, wait });
      // Behind the key's placeholders stand the values of the entity's filters.
      const values = [...keyRow, ...params.slice(keyRow.length)];
      const { rows } = await connection.run({ text, params: values }, call);
      return hydrate(mapper, rows, this.#target());
    });
  }

  /** Reads, after a flush where that is due; `shared` with other sessions where that can be. */
  #read<T>(
    shared: boolean,
    call: CallOptions,
    work: (connection: Runner) => Promise<T>,
  ): Promise<T> {
    const { turnstile } = this.#core;
    if (shared && turnstile.shares(call)) {
      return turnstile.read(async (connection, borrow) => {
        // Begun since this was asked for, and before its turn
        if (this.#core.transaction !== undefined) {
          await this.#core.autoflush(await borrow(), call);
        }
        return await work(connection);
      }, call);
    }
    return turnstile.run((connection) => {
      const flushed = this.#core.autoflush(connection, call);
      return flushed === undefined ? work(connection) : flushed.then(() => work(connection));
    }, call);
  }

  #hydrate(plan: QueryPlan, rows: WireRow[], added?: object[]): object[] {
    return hydrate(plan.mapper, rows, this.#target(added, plan), plan.columns);
  }

  #target(added?: object[], plan?: QueryPlan): HydrationTarget {
    const dialect = this.#core.context.dialect.name;
    if (plan?.readOnly === true) {
      // What comes along can lead to one object on several ways.
      const identityMap = plan.paths.size === 0 ? undefined : new IdentityMap();
      return { owner: undefined, identityMap, dialect };
    }
    return { owner: this.#core.owner, identityMap: this.#core.work.identityMap, dialect, added };
  }

  #loader(
    plan: QueryPlan,
    connection: Runner,
    call: CallOptions,
    added?: object[],
  ): Loader {
    const { unfiltered, binding } = plan;
    return {
      ...this.#target(added, plan),
      unfiltered,
      select: async (select, take) => {
        const { dialect } = this.#core.context;
        const statement = bindStatement(binding, undefined, () => dialect.compile(select));
        return (await connection.run({ ...statement, take }, call)).rows;
      },
    };
  }
}

const texts = new WeakMap<Mapper, Map<string, DriverStatement>>();

/** `select … where key = …`, compiled once for each mapper, dialect and lock. */
function byKey(mapper: Mapper, dialect: Dialect, { lock, wait }: GetOptions): DriverStatement {
  let cached = texts.get(mapper);
  if (cached === undefined) texts.set(mapper, cached = new Map());
  const id = `${dialect.name} ${lock} ${wait}`;
  let statement = cached.get(id);
  if (statement === undefined) {
    statement = dialect.compile({
      ...selectAll(mapper),
      where: keyCondition(mapper)[nodeOf],
      lock: lock === undefined ? undefined : { strength: lock, wait },
    });
    // A filter can give other values each time.
    if (mapper.source.filters === undefined) cached.set(id, statement);
  }
  return statement;
}
