/** Opens a database file, and says plainly why it could not be opened. */

import { existsSync, realpathSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { ConnectError } from "../../errors.ts";
import type { SqliteSettings } from "./config.ts";
import { resultCode } from "./errors.ts";

/** An open database and where it is. */
export interface OpenDatabase {
  /** The handle. */
  readonly db: DatabaseSync;
  /** The file's real path; undefined in memory. */
  readonly file: string | undefined;
  /** Changes when the file is replaced by another one; undefined in memory. */
  readonly fileId: string | undefined;
}

/**
 * Opens the database; sets nothing yet.
 *
 * @throws {ConnectError}
 */
export function openDatabase(settings: SqliteSettings): OpenDatabase {
  const { path, mode } = settings;
  try {
    if (path === ":memory:") {
      return { db: open(path, settings), file: undefined, fileId: undefined };
    }
    const file = resolve(path);
    refuseUnusable(file, mode !== "rwc");
    const db = open(file, settings);
    return { db, file: realpathSync(file), fileId: fileId(file) };
  } catch (error) {
    throw connectError(error, path);
  }
}

function open(path: string, settings: SqliteSettings): DatabaseSync {
  return new DatabaseSync(path, {
    readOnly: settings.mode === "ro",
    enableForeignKeyConstraints: settings.foreignKeys,
  });
}

/** SQLite has one sentence for all of these. */
function refuseUnusable(file: string, mustExist: boolean): void {
  if (existsSync(file)) {
    if (statSync(file).isDirectory()) {
      throw new ConnectError(`Cannot open "${file}": it is a directory`, {
        code: "DATABASE_NOT_FOUND",
        hint: "Give the path of a file in it",
      });
    }
  } else if (mustExist) {
    throw new ConnectError(`Cannot open "${file}": there is no such file`, {
      code: "DATABASE_NOT_FOUND",
      hint: 'Check the path, or let it be created with mode "rwc"',
    });
  } else if (!existsSync(dirname(file))) {
    throw new ConnectError(`Cannot create "${file}": its directory does not exist`, {
      code: "DATABASE_NOT_FOUND",
      hint: "Create the directory first, or check the path",
    });
  }
}

/** What tells this file from another one that took its name. */
export function fileId(file: string): string | undefined {
  const { dev, ino } = statSync(file, { throwIfNoEntry: false }) ?? {};
  return ino === undefined ? undefined : `${dev}:${ino}`;
}

/** Why a connection could not be made. */
export function connectError(error: unknown, path: string): ConnectError {
  if (error instanceof ConnectError) return error;
  const { name, message } = error instanceof Error ? error : { name: "", message: String(error) };
  if (name === "NotCapable" || name === "PermissionDenied") {
    return new ConnectError(`Cannot open "${path}": permission is missing (${message})`, {
      code: "PERMISSION_DENIED",
      hint: "On Deno run with --allow-read and --allow-write for the file and its directory",
      cause: error,
    });
  }
  const hint = resultCode(error) === 26 || resultCode(error) === 11
    ? "The file is damaged or belongs to another program"
    : "Check that the file and its directory may be read and written by this process";
  return new ConnectError(`Cannot open "${path}": ${message}`, { hint, cause: error });
}
