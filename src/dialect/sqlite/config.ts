/** The options of the SQLite driver, checked. */

import { ConfigError } from "../../errors.ts";
import { withoutPrototype } from "../../util/own.ts";

const modes = ["rwc", "rw", "ro"] as const;
const journalModes = ["wal", "delete", "truncate", "persist"] as const;
const synchronousModes = ["off", "normal", "full", "extra"] as const;

/** Where a SQLite database is, and how it is opened. */
export interface SqliteConfig {
  /**
   * The file's path, relative to the working directory or absolute, or `:memory:`, the default.
   */
  readonly path?: string | undefined;
  /** Read, write and create (`rwc`, the default), read and write (`rw`), or read only (`ro`). */
  readonly mode?: "rwc" | "rw" | "ro" | undefined;
  /**
   * How a file keeps its transactions. Default `wal`: readers and the writer do not wait for each
   * other. A file system that cannot share memory gets what it can do, unless it is asked for by
   * name.
   */
  readonly journalMode?: "wal" | "delete" | "truncate" | "persist" | undefined;
  /**
   * When writes must be on the disk. Default `normal` with `wal`: a power cut can undo the last
   * commits and never damages the file. Otherwise `full`.
   */
  readonly synchronous?: "off" | "normal" | "full" | "extra" | undefined;
  /** Foreign keys are enforced. Default true. */
  readonly foreignKeys?: boolean | undefined;
  /** Longest wait for another writer, in milliseconds. Default 5000. */
  readonly lockTimeout?: number | undefined;
  /** Prepared statements kept by a connection. Default 200. */
  readonly statementCacheSize?: number | undefined;
}

/** The options with their defaults. */
export interface SqliteSettings {
  readonly path: string;
  readonly mode: typeof modes[number];
  readonly journalMode: typeof journalModes[number] | undefined;
  readonly synchronous: typeof synchronousModes[number] | undefined;
  readonly foreignKeys: boolean;
  readonly lockTimeout: number;
  readonly statementCacheSize: number;
}

/**
 * Checks the options and fills in the defaults.
 *
 * @throws {ConfigError}
 */
export function sqliteSettings(given: SqliteConfig): SqliteSettings {
  const config = withoutPrototype(given);
  const known = new Set([
    "path",
    "mode",
    "journalMode",
    "synchronous",
    "foreignKeys",
    "lockTimeout",
    "statementCacheSize",
  ]);
  for (const key of Object.keys(config)) {
    if (!known.has(key)) {
      throw new ConfigError(`The SQLite driver has no option "${key}"`, {
        hint: `It has: ${[...known].join(", ")}`,
      });
    }
  }
  const path = config.path ?? ":memory:";
  if (typeof path !== "string" || path === "" || path.includes("\0")) {
    throw new ConfigError("The path of a SQLite database must be a text and not empty", {
      hint: 'Give a file\'s path, or ":memory:"',
    });
  }
  if (path.startsWith("file:")) {
    throw new ConfigError(`The path "${path}" is a URI`, {
      hint: "Give the plain path of the file, and its mode as an option",
    });
  }
  return {
    path,
    mode: oneOf("mode", modes, config.mode) ?? "rwc",
    journalMode: oneOf("journalMode", journalModes, config.journalMode),
    synchronous: oneOf("synchronous", synchronousModes, config.synchronous),
    foreignKeys: config.foreignKeys ?? true,
    lockTimeout: atLeastZero("lockTimeout", config.lockTimeout) ?? 5000,
    statementCacheSize: atLeastZero("statementCacheSize", config.statementCacheSize) ?? 200,
  };
}

function oneOf<T extends string>(
  name: string,
  allowed: readonly T[],
  value: T | undefined,
): T | undefined {
  if (value === undefined || allowed.includes(value)) return value;
  throw new ConfigError(`The option "${name}" cannot be "${value}"`, {
    hint: `It can be: ${allowed.join(", ")}`,
  });
}

function atLeastZero(name: string, value: number | undefined): number | undefined {
  if (value === undefined || (Number.isFinite(value) && value >= 0)) return value;
  throw new ConfigError(`The option "${name}" cannot be ${value}`, {
    hint: "Give a number from 0",
  });
}
