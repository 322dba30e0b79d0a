/**
 * The PostgreSQL driver.
 *
 * @module
 */

import type { CallOptions, Driver, DriverConnection } from "../driver.ts";
import { openConnection } from "./open.ts";
import { type PostgresConfig, settingsOf } from "./options.ts";

/**
 * Makes connections to a PostgreSQL server. Each is one physical connection for life: it never
 * reconnects behind a transaction's back.
 *
 * Pass it to `new AsyncEngine(driver)` where a URL does not say enough: a password that changes, a
 * certificate, session parameters. No environment variable is read.
 *
 * @throws {ConfigError} When an option is unknown or makes no sense.
 *
 * @example A driver for a server with a certificate of one's own authority
 * ```ts
 * import { postgresDriver } from "@sluice/orm/postgres";
 * import { assertEquals } from "@std/assert";
 *
 * const driver = postgresDriver({
 *   host: "db.example.org",
 *   user: "app",
 *   password: () => "a token that expires",
 *   database: "shop",
 *   tls: { mode: "verify-full" },
 * });
 * assertEquals(driver.target, "postgres://app@db.example.org:5432/shop");
 * ```
 */
export function postgresDriver(config: PostgresConfig): Driver {
  const settings = settingsOf(config);
  return {
    name: "postgres",
    dialect: "postgres",
    defaultPool: "queue",
    target: settings.target,
    connect: (options?: CallOptions): Promise<DriverConnection> =>
      openConnection(settings, options),
    close: () => Promise.resolve(),
  };
}
