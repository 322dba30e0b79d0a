/** The PGlite driver: PostgreSQL inside this process. */

import { ConfigError, ConnectError } from "../../errors.ts";
import { deadline } from "../../util/deadline.ts";
import { withoutPrototype } from "../../util/own.ts";
import type { CallOptions, Driver, DriverConnection } from "../driver.ts";
import { PGliteConnection } from "./connection.ts";
import { type DirectoryLock, lockDirectory } from "./lock.ts";
import { type PGliteInstance, Session } from "./session.ts";

export type { PGliteInstance } from "./session.ts";

/** Where a PGlite database is. */
export interface PGliteConfig {
  /** The data directory; made if it does not exist. Absent: a database in memory. */
  readonly directory?: string | undefined;
  /**
   * An instance of `PGlite` that you made, with extensions for instance. It stays yours: the driver
   * does not close it. Do not use it yourself while a transaction of ours is open.
   */
  readonly instance?: PGliteInstance | undefined;
  /** Statements kept prepared. Default 200. */
  readonly statementCacheSize?: number | undefined;
}

/**
 * A driver for PGlite: PostgreSQL, compiled to WebAssembly, in this process.
 *
 * An instance has one session, so the driver has one connection at a time. Statements are
 * synchronous inside: they block the event loop while they run, and a deadline or signal can end
 * the wait for a turn, never the statement. The output of a COPY is held in memory; so is its
 * input, unless it is in the default text format.
 *
 * npm `@electric-sql/pglite` is loaded when the first connection is made.
 *
 * @throws {ConfigError} When an option is unknown or has a wrong value.
 *
 * @example A database in memory
 * ```ts
 * import { pgliteDriver } from "@sluice/orm/pglite";
 * import { assertEquals } from "@std/assert";
 *
 * const driver = pgliteDriver({});
 * const connection = await driver.connect();
 * const { rows } = await connection.run({ text: "select $1::int + 1", params: ["41"] });
 * assertEquals(rows, [["42"]]);
 * await connection.close();
 * await driver.close();
 * ```
 */
export function pgliteDriver(config: PGliteConfig = {}): Driver {
  return new PGliteDriver(config);
}

class PGliteDriver implements Driver {
  readonly name = "pglite";
  readonly dialect = "postgres";
  readonly defaultPool = "static";
  readonly target: string;
  readonly #config: PGliteConfig;
  readonly #cacheSize: number;
  #instance: Promise<PGliteInstance> | undefined;
  #lock: DirectoryLock | undefined;
  #lent = false;

  constructor(given: PGliteConfig) {
    const config = withoutPrototype(given);
    for (const key of Object.keys(config)) {
      if (key !== "directory" && key !== "instance" && key !== "statementCacheSize") {
        throw new ConfigError(`The PGlite driver has no option "${key}"`, {
          hint: "It has: directory, instance, statementCacheSize",
        });
      }
    }
    const { directory, instance, statementCacheSize = 200 } = config;
    if (directory !== undefined && (directory === "" || directory.includes("\0"))) {
      throw new ConfigError("The directory of a PGlite database must be a text and not empty", {
        hint: "Give a directory's path, or leave it out for a database in memory",
      });
    }
    if (directory !== undefined && instance !== undefined) {
      throw new ConfigError("A PGlite database was given as directory and as instance", {
        hint: "Give one of them",
      });
    }
    if (!(statementCacheSize >= 0)) {
      throw new ConfigError(`The option "statementCacheSize" cannot be ${statementCacheSize}`, {
        hint: "Give a number from 0",
      });
    }
    this.#config = config;
    this.#cacheSize = statementCacheSize;
    this.target = directory ?? (instance ? "an instance given" : ":memory:");
  }

  async connect(options: CallOptions = {}): Promise<DriverConnection> {
    options.signal?.throwIfAborted();
    if (this.#lent) {
      throw new ConnectError("PGlite has one session, and its connection is open already", {
        hint: 'Share that connection: an engine on PGlite uses the "static" pool',
      });
    }
    this.#lent = true;
    const returned = () => {
      this.#lent = false;
    };
    // An instance that comes late is kept for the next one who asks.
    const connecting = this.#connect();
    return await deadline(connecting, {
      ...options,
      onTimeout: () =>
        new ConnectError(`PGlite did not start within ${options.timeout} ms`, {
          code: "CONNECT_TIMEOUT",
        }),
      onLate: (connection) => connection.destroy(),
    }).catch((error) => {
      // If it is only late, `destroy()` gives it back; if it failed, this does.
      connecting.catch(returned);
      throw error;
    });
  }

  async close(): Promise<void> {
    const opening = this.#instance;
    this.#instance = undefined;
    try {
      if (opening && !this.#config.instance) await (await opening).close();
    } catch {
      // It never started, or broke down: there is nothing left to close.
    } finally {
      this.#unlock();
    }
  }

  async #connect(): Promise<DriverConnection> {
    const given = this.#config.instance;
    const instance = given ?? await this.#open();
    const session = new Session(instance, given !== undefined, this.#cacheSize);
    try {
      await session.start();
    } catch (error) {
      throw this.#failure(error);
    }
    return new PGliteConnection(session, (lost) => {
      this.#lent = false;
      if (lost) this.#forget();
    });
  }

  async #open(): Promise<PGliteInstance> {
    this.#instance ??= this.#create();
    try {
      return await this.#instance;
    } catch (error) {
      this.#forget();
      throw this.#failure(error);
    }
  }

  async #create(): Promise<PGliteInstance> {
    const { directory } = this.#config;
    if (directory !== undefined) this.#lock = lockDirectory(directory);
    const { PGlite } = await import("@electric-sql/pglite");
    return await PGlite.create(this.#lock ? { dataDir: this.#lock.directory } : {});
  }

  /** The next connection makes another instance. */
  #forget(): void {
    this.#instance = undefined;
    this.#unlock();
  }

  #unlock(): void {
    this.#lock?.unlock();
    this.#lock = undefined;
  }

  #failure(error: unknown): ConnectError {
    if (error instanceof ConnectError) return error;
    const { name, message } = error instanceof Error ? error : { name: "", message: String(error) };
    if (name === "NotCapable" || name === "PermissionDenied") {
      return new ConnectError(
        `Cannot open PGlite "${this.target}": permission is missing (${message})`,
        {
          code: "PERMISSION_DENIED",
          hint: "On Deno run with --allow-read, and --allow-write for the directory and its parent",
          cause: error,
        },
      );
    }
    return new ConnectError(`Cannot open PGlite "${this.target}": ${message}`, {
      hint:
        "Check that the directory may be written and that npm @electric-sql/pglite is installed",
      cause: error,
    });
  }
}
