/** A folder for database files, removed at the end with every connection that was made in it. */

import type { DriverConnection } from "../../../src/dialect/driver.ts";
import { type SqliteConfig, sqliteDriver } from "../../../src/dialect/sqlite/mod.ts";

/** Take it with `await using`. */
export class TempFolder implements AsyncDisposable {
  readonly path: string = Deno.makeTempDirSync({ prefix: "sluice-sqlite-" });
  readonly #connections: DriverConnection[] = [];

  /** The path of a file in it. */
  file(name: string): string {
    return `${this.path}/${name}`;
  }

  /** A connection to `a.db` in it, or as `config` says. */
  async connect(config: SqliteConfig = { path: this.file("a.db") }): Promise<DriverConnection> {
    const connection = await sqliteDriver(config).connect();
    this.#connections.push(connection);
    return connection;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of this.#connections) await connection.close();
    await Deno.remove(this.path, { recursive: true });
  }
}
