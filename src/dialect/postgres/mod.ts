/**
 * PostgreSQL, by npm `postgres`. Importing it is only needed for `postgresDriver()`: an engine with a
 * `postgres:` URL loads it by itself.
 *
 * @module
 */

export { postgresDriver } from "./driver.ts";
export type { PostgresConfig, PostgresTls, TlsMode, WireProtocol } from "./options.ts";
export type * from "../driver.ts";
