/**
 * Runs a test once per database: SQLite, PGlite and PostgreSQL, each time on an empty database.
 *
 * A PostgreSQL database is made for each test file, and emptied before each test; PGlite, whose
 * start takes seconds, is one per isolate. `deno task test` therefore sets
 * `SLUICE_TEST_PGLITE=together`: then the PGlite tests of all files run in `tests/pglite_test.ts`.
 * `SLUICE_TEST_ENGINES=sqlite,postgres` leaves the others out, while you work on something.
 */

import type { PGlite } from "@electric-sql/pglite";
import type { Driver } from "../../src/dialect/driver.ts";
import { createDatabase, dropDatabase, runSql, sharedPostgres } from "./postgres_server.ts";

/** The databases, by the names of their drivers. */
export type EngineName = "sqlite" | "pglite" | "postgres";

/** Every database, in the order in which a test runs on them. */
export const ENGINE_NAMES: readonly EngineName[] = ["sqlite", "pglite", "postgres"];

/** What the body of a test is given. */
export interface EngineContext {
  /** Which database it is. */
  readonly engineName: EngineName;
  /**
   * What to make an engine from: `new AsyncEngine(target, { entities })`. An URL, or, to reach the
   * shared PGlite, a driver.
   */
  readonly target: string | Driver;
  /** How to reach it. On PGlite `pglite:`, which would make a new database: use `target`. */
  readonly url: string;
  /** The shared PGlite, when it is that. Not to be closed. */
  readonly pglite: PGlite | undefined;
  /** The test's own context, for steps. */
  readonly test: Deno.TestContext;
}

/** Where a test runs. */
export interface EachEngineOptions {
  /** On these only. */
  only?: readonly EngineName[];
  /** Not on these, and why not. The reason is listed with the test, which counts as ignored. */
  except?: Partial<Record<EngineName, string>>;
  /** SQLite in a file instead of in memory, so that there can be several connections. */
  sqliteFile?: boolean;
}

/** Registers one test per database, named `name [database]`. */
export function eachEngine(
  name: string,
  body: (context: EngineContext) => Promise<void>,
  options: EachEngineOptions = {},
): void {
  for (const engineName of options.only ?? ENGINE_NAMES) {
    if (!registersHere(engineName)) continue;
    const reason = options.except?.[engineName];
    if (engineName === "pglite" && reason === undefined) needsPglite = true;
    register({
      name: `${name} [${reason === undefined ? engineName : `not on ${engineName}: ${reason}`}]`,
      ignore: reason !== undefined,
      fn: (test) => runners[engineName](body, test, options),
    });
  }
}

/**
 * Imports test files, and registers those of their tests that run on PGlite, and no other. For
 * `tests/pglite_test.ts` alone.
 */
export async function registerPgliteTests(files: readonly URL[]): Promise<void> {
  registersHere = (engineName) => engineName === "pglite";
  // The type says that it cannot be replaced, to protect those who do not mean it.
  const deno = Deno as { test: typeof Deno.test };
  deno.test = new Proxy(register, { apply: () => {}, get: () => () => {} });
  try {
    for (const file of files) await import(file.href);
  } finally {
    deno.test = register;
  }
}

/** The tests of PGlite that belong to `tests/pglite_test.ts` in this run, rather than to their files. */
export const pgliteTogether: boolean = Deno.env.get("SLUICE_TEST_PGLITE") === "together";

const register = Deno.test;
const chosen = Deno.env.get("SLUICE_TEST_ENGINES")?.split(",");
let needsPglite = false;
let registersHere = (engineName: EngineName): boolean =>
  (!chosen || chosen.includes(engineName)) && (engineName !== "pglite" || !pgliteTogether);

type Body = (context: EngineContext) => Promise<void>;
type Runner = (body: Body, test: Deno.TestContext, options: EachEngineOptions) => Promise<void>;

const runners: Record<EngineName, Runner> = {
  sqlite: async (body, test, options) => {
    const context = (url: string) =>
      ({ engineName: "sqlite", url, target: url, pglite: undefined, test }) as const;
    if (!options.sqliteFile) return await body(context("sqlite::memory:"));
    const folder = await Deno.makeTempDir({ prefix: "sluice-sqlite-" });
    try {
      await body(context(`sqlite:${folder}/test.db`));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },

  pglite: async (body, test) => {
    const { freshPGlite, sharedPGlite } = await shared!;
    const target = await freshPGlite();
    await body({ engineName: "pglite", url: "pglite:", target, pglite: sharedPGlite(), test });
  },

  postgres: async (body, test) => {
    const url = postgresUrl instanceof Error ? noServer(postgresUrl) : postgresUrl;
    await runSql(url, LET_GO + EMPTY);
    await body({ engineName: "postgres", url, target: url, pglite: undefined, test });
  },
};

/** Imported only where a test runs on it, since the import starts it. */
let shared: Promise<typeof import("./pglite.ts")> | undefined;

// Both are made outside of the tests: what is opened inside of one would count as its leak.
const postgresUrl: string | Error = await sharedPostgres()
  .then((server) => createDatabase(server))
  .catch((error: Error) => error);

register.beforeAll(async () => {
  if (needsPglite) await (shared = import("./pglite.ts"));
});

register.afterAll(async () => {
  if (typeof postgresUrl === "string") await dropDatabase(postgresUrl);
});

function noServer(cause: Error): never {
  throw new Error(`THE TESTS HAVE NO POSTGRESQL SERVER. ${cause.message}`, { cause });
}

/** Takes back what an earlier test that failed has left open, so that its locks harm nobody. */
const LET_GO = `
  select pg_terminate_backend(pid) from pg_stat_activity
  where datname = current_database() and pid <> pg_backend_pid();
`;

/** Leaves an empty schema \`public\` and no other. Some 3 ms; a database of its own takes 30. */
const EMPTY = `
  do $$ declare name text; begin
    for name in select nspname from pg_namespace
      where nspname !~ '^pg_' and nspname <> 'information_schema'
    loop execute format('drop schema %I cascade', name); end loop;
  end $$;
  create schema public;
`;
