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
    this.#entities = checkEntities(options?.entities ?? []);
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
}
