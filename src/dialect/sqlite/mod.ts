/**
 * SQLite for Sluice, on the `node:sqlite` of Deno and Node.
 *
 * @module
 */

export { type SqliteConfig, sqliteDriver } from "./driver.ts";
export type * from "../driver.ts";
