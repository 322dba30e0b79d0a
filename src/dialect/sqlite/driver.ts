/** The SQLite driver: files and memory, on `node:sqlite`. */

import { ConnectError, LockTimeoutError } from "../../errors.ts";
import { delay } from "../../util/deadline.ts";
import type { CallOptions, Driver, DriverConnection } from "../driver.ts";
import { type SqliteConfig, type SqliteSettings, sqliteSettings } from "./config.ts";
import { SqliteConnection } from "./connection.ts";
import { isLocked } from "./errors.ts";
import { connectError, openDatabase } from "./open.ts";

export type { SqliteConfig } from "./config.ts";

/**
 * A driver for SQLite, on the `node:sqlite` that Deno and Node bring along.
 *
 * SQLite runs inside this process and its calls are synchronous: a statement blocks the event loop
 * while it runs, and a deadline or signal can end the wait for its turn or for a lock, never the
 * statement. A transaction that may write takes the write lock when it begins, so it cannot fail
 * half-way for want of it; connections of this process queue for that lock in order of arrival,
 * other processes are waited for with growing pauses up to `lockTimeout`.
 *
 * A database in memory belongs to its one connection.
 *
 * @throws {ConfigError} When an option is unknown or has a wrong value.
 *
 * @example A database in memory
 * ```ts
 * import { sqliteDriver } from "@sluice/orm/sqlite";
 * import { assertEquals } from "@std/assert";
 *
 * const driver = sqliteDriver({ path: ":memory:" });
 * const connection = await driver.connect();
 * const { rows } = await connection.run({ text: "select ?1 + 1", params: [41] });
 * assertEquals(rows, [[42]]);
 * await connection.close();
 * await driver.close();
 * ```
 */
export function sqliteDriver(config: SqliteConfig = {}): Driver {
  const settings = sqliteSettings(config);
  const inMemory = settings.path === ":memory:";
  let opened = 0;
  return {
    name: "sqlite",
    dialect: "sqlite",
    defaultPool: inMemory ? "static" : "queue",
    target: settings.path,
    async connect(options: CallOptions = {}): Promise<DriverConnection> {
      options.signal?.throwIfAborted();
      if (inMemory && opened > 0) {
        throw new ConnectError("A SQLite database in memory has one connection, and it is open", {
          hint: "Another one would see an empty database: share this one, or use a file",
        });
      }
      const database = openDatabase(settings);
      try {
        await prepareDatabase(database.db, settings, options);
      } catch (error) {
        database.db.close();
        throw error;
      }
      opened++;
      return new SqliteConnection(database, settings, () => opened--);
    },
    close: () => Promise.resolve(),
  };
}

type Database = ReturnType<typeof openDatabase>["db"];

/** Makes the settings of a new connection; the first access to the file, too. */
async function prepareDatabase(
  db: Database,
  settings: SqliteSettings,
  { signal, timeout = Infinity }: CallOptions,
): Promise<void> {
  const until = performance.now() + Math.min(settings.lockTimeout, timeout || Infinity);
  for (let pause = 1;; pause = Math.min(pause * 2, 50)) {
    try {
      return applySettings(db, settings);
    } catch (error) {
      if (!isLocked(error)) throw connectError(error, settings.path);
      if (performance.now() > until) {
        throw new LockTimeoutError(`The database "${settings.path}" is locked`, {
          sqlState: "55P03",
          cause: error,
          hint: "End the transaction of the other process, or wait longer: { lockTimeout: 30_000 }",
        });
      }
    }
    await delay(pause * (0.5 + Math.random() / 2), signal);
  }
}

function applySettings(db: Database, settings: SqliteSettings): void {
  const pragma = (text: string): unknown =>
    Object.values(db.prepare(`PRAGMA ${text}`).get() ?? {})[0];
  // We wait for locks ourselves, without blocking the event loop.
  pragma("busy_timeout = 0");
  let journal = pragma("journal_mode");
  if (settings.path !== ":memory:" && settings.mode !== "ro") {
    const wanted = settings.journalMode ?? "wal";
    if (journal !== wanted) journal = pragma(`journal_mode = ${wanted}`);
    if (settings.journalMode !== undefined && journal !== wanted) {
      throw new ConnectError(
        `Cannot open "${settings.path}" with the journal mode "${wanted}": it stays "${journal}"`,
        { hint: "The file system cannot do it; leave the option out or choose another mode" },
      );
    }
  }
  pragma(`synchronous = ${settings.synchronous ?? (journal === "wal" ? "normal" : "full")}`);
}
