/**
 * The engine as users know it: the core engine of connections and transactions, with entities
 * and sessions. It stands here, and not in `engine/`, because sessions are above the engine.
 *
 * @module
 */

import type { Driver } from "../dialect/driver.ts";
import { CoreEngine } from "../engine/core_engine.ts";
import type { EngineOptions } from "../engine/options.ts";
import { checkEntities, Registry } from "../mapper/registry.ts";
import type { CallOptions } from "../dialect/driver.ts";
import { compile, type Executable } from "../engine/statement.ts";
import type { EntityClass } from "../mapper/types.ts";
import { nodeIn } from "../sql/node.ts";
import type { WireRow } from "../sql/wire.ts";
import { checkNames } from "./bulk/insert_order.ts";
import { checkSource } from "./bulk/row_source.ts";
import type { RowSource, Source } from "./bulk/types.ts";
import {
  byteStream,
  copyOut,
  type CopyOutOptions,
  type CopyOutOrder,
  copyOutOrder,
} from "./copy/copy_out.ts";
import { withoutPrototype } from "../util/own.ts";
import { jsonLines, writeAnything } from "./json_lines.ts";
import { Ends } from "./queries/ends.ts";
import { AsyncSession } from "./async_session.ts";
import type { SessionOptions } from "./session_core.ts";

/** How an engine works, and what it maps. All durations are milliseconds. */
export interface AsyncEngineOptions extends EngineOptions {
  /** The entity classes. What they say of each other is checked when the engine is first used. */
  entities?: readonly unknown[] | undefined;
}

/**
 * An engine: one database, its pool of connections, and the sessions that use it. Made once per
 * program; nothing is loaded or connected before it is first used.
 *
 * URLs: `postgres://user:password@host/database`, `sqlite:./app.db`, `sqlite::memory:`,
 * `pglite:` (PostgreSQL in this process, in memory), `pglite:./data`.
 *
 * @example
 * ```ts
 * import { AsyncEngine, sql } from "@sluice/orm";
 * import { assertEquals } from "@std/assert";
 *
 * await using engine = new AsyncEngine("sqlite::memory:");
 * const result = await engine.execute(sql<{ n: number }>`select ${1} + ${2} as n`);
 * assertEquals(result.one().n, 3);
 * ```
 */
export class AsyncEngine extends CoreEngine {
  readonly #entities: readonly unknown[];
  #registry: Registry | undefined;

  /**
   * Makes an engine.
   *
   * @throws {ConfigError} `INVALID_CONFIG` for a URL or an option that is wrong.
   */
  constructor(database: string | URL | Driver, options: AsyncEngineOptions = {}) {
    super(database, options, ["entities"]);
    this.#entities = checkEntities(withoutPrototype(options).entities ?? []);
  }

  /**
   * The mapping of all entities, for the layers above.
   *
   * @throws {MappingError} `MAPPING` with every mistake at once, on first use.
   * @internal
   */
  get registry(): Registry {
    return this.#registry ??= new Registry(this.#entities);
  }

  /**
   * A new session. It holds no connection until its first statement.
   *
   * @throws {MappingError} `MAPPING` with every mistake of the entities, on first use.
   */
  session(options: SessionOptions = {}): AsyncSession {
    return new AsyncSession(
      { engine: this, dialect: this.dialect, registry: this.registry },
      options,
    );
  }

  /**
   * Copies rows of any number into a table, by `COPY … FROM STDIN` in a transaction of its own: the
   * fastest way in, with backpressure and constant memory. On SQLite it is a `bulkInsert()`.
   *
   * Rows are checked as `bulkInsert()` checks them, and defaults of the class apply. Rows that leave
   * other columns to the database than the row before begin another COPY, so sources whose rows are
   * alike are faster.
   *
   * @param rows Plain objects by property: an array, an iterable, an async iterable or a web stream.
   * @returns How many rows were stored.
   * @throws {InputError} naming the row's index when a value cannot be stored; nothing is stored then.
   * @throws {DatabaseError} naming the row's index (`error.row`) when the database refuses it.
   *
   * @example
   * ```ts
   * import { AsyncEngine, createAll, entity, integer, text } from "@sluice/orm";
   * import { assertEquals } from "@std/assert";
   *
   * class Point extends entity("points", { x: integer().primaryKey(), label: text() }) {}
   * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Point] });
   * await createAll(engine);
   *
   * async function* points() {
   *   for (let x = 0; x < 2_000; x++) yield { x, label: `point\t${x}` };
   * }
   * assertEquals(await engine.copyIn(Point, points()), 2_000);
   * ```
   */
  async copyIn<E extends object>(
    entityClass: EntityClass<E>,
    rows: RowSource<E>,
    options: CallOptions = {},
  ): Promise<number> {
    checkNames("copyIn()", options, ["signal", "timeout"]);
    checkSource("copyIn()", "rows", rows);
    const mapper = this.registry.mapper(entityClass);
    if (this.dialect.copyRows === undefined) {
      await using session = this.session();
      return await session.bulkInsert(entityClass, rows, options);
    }
    const { signal, timeout } = options;
    const { copyIn } = await import("./copy/copy_in.ts");
    await using connection = await this.connect({ signal });
    return await connection.begin(
      () => copyIn(mapper, rows as Source<object>, this.dialect, connection, { signal, timeout }),
      { signal },
    );
  }

  /**
   * The rows of an entity, a query or a `sql` statement as a stream of bytes: CSV, COPY's text format
   * or NDJSON. PostgreSQL writes them itself where the statement has no parameters; SQLite's are
   * written in the same spelling.
   *
   * A connection is held from the first read to the end of the stream, or until it is cancelled.
   *
   * @throws {InputError} for an option, or something that gives no rows.
   *
   * @example
   * ```ts
   * import { AsyncEngine, createAll, entity, integer, text } from "@sluice/orm";
   * import { assertEquals } from "@std/assert";
   *
   * class Pet extends entity("pets", { id: integer().primaryKey(), name: text().nullable() }) {}
   * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Pet] });
   * await createAll(engine);
   * await using session = engine.session();
   * await session.bulkInsert(Pet, [{ id: 1, name: 'the "Ant"' }, { id: 2, name: null }]);
   *
   * const pets = session.query(Pet).orderBy((p) => p.id);
   * const csv = await new Response(engine.copyOut(pets, { format: "csv" })).text();
   * assertEquals(csv, 'id,name\n1,"the ""Ant"""\n2,\n');
   * ```
   */
  copyOut(
    rows: Executable<unknown> | Ends<unknown> | EntityClass,
    options: CopyOutOptions = {},
  ): ReadableStream<Uint8Array> {
    if (rows instanceof Ends) return this.#copyOut(rows, rows, options);
    if (typeof rows !== "function") {
      const statement = compile(rows, this.dialect);
      return this.#stream(copyOutOrder(nodeIn(rows)!, statement, options));
    }
    // The session is only asked for the statement, and for objects where these are wanted.
    const session = this.session();
    return this.#copyOut(session.query(rows), new EntityLines(session, rows), options);
  }

  #copyOut(
    query: Ends<unknown>,
    lines: { ndjson(): ReadableStream<Uint8Array> },
    options: CopyOutOptions,
  ): ReadableStream<Uint8Array> {
    const { text, params } = query.toSQL();
    const statement = { text, params: params as WireRow };
    const order = copyOutOrder(nodeIn(query)!, statement, options);
    return order.format === "ndjson" ? lines.ndjson() : this.#stream(order);
  }

  #stream(order: CopyOutOrder): ReadableStream<Uint8Array> {
    const { signal } = order.call;
    return byteStream(copyOut(order, this.dialect, () => this.connect({ signal })));
  }
}

/** All objects of an entity as lines of JSON, with a session of their own. */
class EntityLines {
  readonly #session: AsyncSession;
  readonly #entityClass: EntityClass;

  constructor(session: AsyncSession, entityClass: EntityClass) {
    this.#session = session;
    this.#entityClass = entityClass;
  }

  ndjson(): ReadableStream<Uint8Array> {
    return jsonLines(this.#objects(), writeAnything);
  }

  async *#objects(): AsyncGenerator<object> {
    await using session = this.#session;
    yield* session.query(this.#entityClass);
  }
}
