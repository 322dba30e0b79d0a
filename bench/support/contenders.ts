/** Both contenders on the filled database. */

import postgres from "postgres";
import { AsyncEngine } from "../../mod.ts";
import { Author, Book, Import } from "./library.ts";
import { database } from "./server.ts";

/** Raw and Sluice. */
export interface Contenders extends AsyncDisposable {
  readonly sql: postgres.Sql;
  readonly engine: AsyncEngine;
}

/** Opens both, with one connection each if nothing else is said. */
export async function open(connections: number = 1): Promise<Contenders> {
  const url = await database();
  const sql = postgres(url, { max: connections });
  const engine = new AsyncEngine(url, {
    entities: [Author, Book, Import],
    poolSize: connections,
    maxOverflow: 0,
  });
  return {
    sql,
    engine,
    async [Symbol.asyncDispose]() {
      await engine.dispose();
      await sql.end();
    },
  };
}
