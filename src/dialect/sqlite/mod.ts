/**
 * SQLite for Sluice, on the `node:sqlite` of Deno and Node.
 *
 * @module
 */

export { type SqliteConfig, sqliteDriver } from "./driver.ts";
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
