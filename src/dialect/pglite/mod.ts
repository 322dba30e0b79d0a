/**
 * PGlite for Sluice: PostgreSQL inside this process.
 *
 * @module
 */

export { type PGliteConfig, pgliteDriver, type PGliteInstance } from "./driver.ts";
export type * from "../driver.ts";
