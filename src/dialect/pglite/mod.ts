/**
 * PGlite for Sluice: PostgreSQL inside this process.
 *
 * @module
 */

export { type PGliteConfig, pgliteDriver, type PGliteInstance } from "./driver.ts";
export type {
  BeginOptions,
  CallOptions,
  DialectName,
  Driver,
  DriverColumn,
  DriverConnection,
  DriverCursor,
  DriverResult,
  DriverStatement,
  Isolation,
  PoolKind,
  TransactionStatus,
  WireRow,
  WireValue,
} from "../driver.ts";
