/**
 * The database that is measured: a throwaway server with the settings of a small real one, which
 * every process and isolate of a run shares.
 */

import { startPostgres } from "../../tests/support/postgres_server.ts";
import { BOOKS, fill } from "./data.ts";

/** Set, it names a database to be measured instead; the tables are made anew in it. */
const OWN = "SLUICE_BENCH_URL";
/** Where isolates and child processes find what the first one has filled. */
const READY = "SLUICE_BENCH_READY";

/** The URL of the filled database; `books` are the rows to fill it with, if nobody has yet. */
export async function database(books: number = BOOKS): Promise<string> {
  const ready = Deno.env.get(READY);
  if (ready !== undefined) return ready;
  const url = Deno.env.get(OWN) ?? (await startPostgres({
    settings: {
      max_connections: "150",
      fsync: "on",
      synchronous_commit: "on",
      full_page_writes: "on",
      shared_buffers: "256MB",
      // A checkpoint in the middle of a round would be measured with it.
      checkpoint_timeout: "1h",
      max_wal_size: "8GB",
      jit: "off",
    },
  })).url;
  await fill(url, books);
  Deno.env.set(READY, url);
  return url;
}
