/**
 * One PGlite for a whole test process: an instance takes seconds to start and hundreds of megabytes
 * that are never given back. It is made at module level, so that no test is blamed for it.
 */

import { PGlite } from "@electric-sql/pglite";
import type { Driver } from "../../src/dialect/driver.ts";
import { pgliteDriver } from "../../src/dialect/pglite/driver.ts";

leaveOutItsTimer();
const instance = await PGlite.create();

/** The shared instance, for a test that needs it bare. */
export function sharedPGlite(): PGlite {
  return instance;
}

/**
 * A driver on the shared instance, emptied first. Tests run one after the other, so each has the
 * instance for itself; its connection must be closed at the test's end.
 */
export async function freshPGlite(): Promise<Driver> {
  await instance.exec("ROLLBACK");
  const { rows } = await instance.query<{ name: string }>(
    "SELECT quote_ident(nspname) AS name FROM pg_namespace " +
      "WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'",
  );
  for (const { name } of rows) await instance.exec(`DROP SCHEMA ${name} CASCADE`);
  await instance.exec("CREATE SCHEMA public");
  await instance.exec("DISCARD ALL");
  return pgliteDriver({ instance });
}

/**
 * PGlite arms a timer of ten seconds after a statement, to write its statistics, and any test can
 * be the one that starts it or sees it end: to the sanitizers a leak. Nothing depends on it here.
 */
function leaveOutItsTimer(): void {
  const real = globalThis.setTimeout;
  const filtered = (...args: Parameters<typeof real>) => {
    const { stack } = new Error();
    return stack?.includes("__setitimer_js") ? undefined : real(...args);
  };
  globalThis.setTimeout = Object.assign(filtered, real) as typeof real;
}
