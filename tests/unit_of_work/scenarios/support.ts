/** Many short stories on one model: each a step of one test, on tables that are empty. */

import { AsyncEngine, type AsyncSession, createAll, type Many, sql } from "@sluice/orm";
import { eachEngine, type EngineName } from "../../support/each_engine.ts";

/** What a scenario is given. */
export interface Scenario {
  /** The database's engine. */
  readonly engine: AsyncEngine;
  /** A session of the engine, closed after the scenario. */
  readonly session: AsyncSession;
  /** Which database it is. */
  readonly engineName: EngineName;
}

/** Tells one scenario. */
export type Tell = (sentence: string, body: (scenario: Scenario) => Promise<void>) => void;

/** Registers one test per database, with the scenarios that `collect` tells as its steps. */
export function scenarios(
  name: string,
  entities: readonly unknown[],
  collect: (scenario: Tell) => void,
): void {
  const told: [string, Parameters<Tell>[1]][] = [];
  collect((sentence, body) => told.push([sentence, body]));
  eachEngine(name, async ({ target, test, engineName }) => {
    const open = async (): Promise<AsyncEngine> => {
      const engine = new AsyncEngine(target, { entities });
      await createAll(engine);
      return engine;
    };
    let engine = await open();
    try {
      for (const [sentence, body] of told) {
        await test.step({
          name: sentence,
          // The pool opens connections as it needs them; the test as a whole sees that they are closed.
          sanitizeOps: false,
          sanitizeResources: false,
          fn: async () => {
            await using session = engine.session({ onUnflushedClose: "ignore" });
            await body({ engine, session, engineName });
          },
        });
        if (engineName === "sqlite") {
          await engine.dispose();
          engine = await open();
        } else await empty(engine);
      }
    } finally {
      await engine.dispose();
    }
  });
}

/** Row by row and without a look at foreign keys: TRUNCATE makes new files, which takes PGlite long. */
async function empty(engine: AsyncEngine): Promise<void> {
  await engine.execute(sql`
    do $$ declare name text; begin
      perform set_config('session_replication_role', 'replica', true);
      for name in select tablename from pg_tables where schemaname = 'public' loop
        execute format('delete from %I', name);
      end loop;
      for name in select sequencename from pg_sequences where schemaname = 'public' loop
        perform setval(quote_ident(name), 1, false);
      end loop;
    end $$`);
}

/** The members of a relation that the test knows to be loaded. */
export function members<E>(relation: Many<E>): E[] {
  if (!Array.isArray(relation)) throw new Error("The relation is not loaded");
  return relation;
}
