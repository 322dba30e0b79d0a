/**
 * What every fault test has in common: an empty database, ways to break things, and the check
 * [A] of the fault catalogue after each: everything has settled, nothing is left behind anywhere, and
 * the next unit of work succeeds.
 */

import { assertEquals } from "@std/assert";
import { postgresDriver } from "../../src/dialect/postgres/driver.ts";
import type { PostgresConfig } from "../../src/dialect/postgres/options.ts";
import { CoreEngine } from "../../src/engine/core_engine.ts";
import type { EngineOptions } from "../../src/engine/options.ts";
import { sql } from "../../src/sql/raw.ts";
import { deadline } from "../../src/util/deadline.ts";
import { FaultyProxy } from "../support/faulty_proxy.ts";
import {
  createDatabase,
  dropDatabase,
  runSql,
  sharedPostgres,
} from "../support/postgres_server.ts";

/** No scenario may take longer, in milliseconds: something hangs then. */
const limit = 30_000;

/** What a scenario works with. */
export class Scenario {
  readonly #engines: CoreEngine[] = [];
  readonly #resources: AsyncDisposable[] = [];

  constructor(
    /** Its database. */
    readonly url: string,
    /** A network in front of it that can be broken. Pass everything on again before the end. */
    readonly proxy: FaultyProxy,
  ) {}

  /** An engine that is checked and disposed of at the end. */
  engine(options: EngineOptions = {}, config: Partial<PostgresConfig> = {}): CoreEngine {
    const engine = new CoreEngine(postgresDriver(this.config(config)), options);
    this.#engines.push(engine);
    return engine;
  }

  /** An engine whose connections lead through the proxy. */
  proxied(options: EngineOptions = {}, config: Partial<PostgresConfig> = {}): CoreEngine {
    return this.engine(options, { port: this.proxy.port, ...config });
  }

  /** Checks an engine, and disposes of it, as if it had been made here. */
  watch<E extends CoreEngine>(engine: E): E {
    this.#engines.push(engine);
    return engine;
  }

  /** Keeps something until the engines are disposed of. */
  use<T extends AsyncDisposable>(resource: T): T {
    this.#resources.push(resource);
    return resource;
  }

  /** Leaves an engine out of the check, because its server is none. */
  forget(engine: CoreEngine): void {
    this.#engines.splice(this.#engines.indexOf(engine), 1);
  }

  /** The driver's config for this database. */
  config(more: Partial<PostgresConfig> = {}): PostgresConfig {
    const { hostname, port, username, pathname } = new URL(this.url);
    return {
      host: hostname,
      port: Number(port),
      user: username,
      database: pathname.slice(1),
      ...more,
    };
  }

  /** Runs SQL over a connection that nothing happens to; gives the rows. */
  sql(text: string): Promise<Record<string, unknown>[]> {
    return runSql(this.url, text);
  }

  /** Ends a backend, and waits until it has gone. */
  async kill(pid: string): Promise<void> {
    await this.sql(`select pg_terminate_backend(${Number(pid)}, 5000)`);
  }

  /** Waits until SQL gives true as its only value. */
  async until(text: string): Promise<void> {
    for (;;) {
      const [row] = await this.sql(text);
      if (row !== undefined && Object.values(row)[0] === true) return;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  /** The check [A]. */
  async check(): Promise<void> {
    for (const engine of this.#engines) {
      const next = await engine.execute(sql<{ n: number }>`select 1 as n`);
      assertEquals(Number(next.scalar()), 1, "the next unit of work");
      const { checkedOut, waiting } = engine.pool.status();
      assertEquals({ checkedOut, waiting }, { checkedOut: 0, waiting: 0 });
    }
    const others = "datname = current_database() and pid <> pg_backend_pid()";
    const [left] = await this.sql(
      `select (select count(*) from pg_stat_activity where ${others} and state like '%transaction%')::int as open,
        (select count(*) from pg_locks l join pg_database d on d.oid = l.database
          where d.datname = current_database() and l.locktype = 'advisory')::int as locks`,
    );
    assertEquals(left, { open: 0, locks: 0 }, "left behind on the server");
    await this.dispose();
    // The server takes note of a goodbye a moment later
    await this.until(`select count(*) = 0 from pg_stat_activity where ${others}`);
  }

  /** Disposes of the engines and of everything else. */
  async dispose(): Promise<void> {
    await Promise.all(this.#engines.map((engine) => engine.dispose({ timeout: 1_000 })));
    for (const resource of this.#resources.splice(0)) await resource[Symbol.asyncDispose]();
  }
}

const database = await createDatabase(await sharedPostgres());
Deno.test.afterAll(() => dropDatabase(database));

/** Takes back what an earlier scenario that failed has left open, so that it harms no later one. */
const letGo = `
  select pg_terminate_backend(pid) from pg_stat_activity
  where datname = current_database() and pid <> pg_backend_pid();
`;

/** Registers a scenario as a test: number and sentence of its row in the fault catalogue, then the body. */
export function scenario(name: string, body: (scenario: Scenario) => Promise<void>): void {
  Deno.test(name, async () => {
    await runSql(database, letGo + "drop schema public cascade; create schema public");
    await carryOut(database, body);
  });
}

/** Carries a scenario out on this database, and checks [A]. */
export async function carryOut(
  url: string,
  body: (scenario: Scenario) => Promise<void>,
): Promise<void> {
  const unhandled: unknown[] = [];
  const onUnhandled = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    unhandled.push(event.reason);
  };
  globalThis.addEventListener("unhandledrejection", onUnhandled);
  const proxy = new FaultyProxy(url);
  const trial = new Scenario(url, proxy);
  try {
    await deadline(body(trial).then(() => trial.check()), {
      timeout: limit,
      onTimeout: () => new Error(`The scenario hangs: nothing settled within ${limit} ms`),
    });
    await new Promise((resolve) => setTimeout(resolve, 0));
    assertEquals(unhandled, [], "unhandled rejections");
  } finally {
    globalThis.removeEventListener("unhandledrejection", onUnhandled);
    await trial.dispose();
    await proxy[Symbol.asyncDispose]();
  }
}
