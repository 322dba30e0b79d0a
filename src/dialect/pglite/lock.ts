/**
 * The lock on a data directory. PGlite opens one directory twice without a word and then loses
 * what one of the two writes; a file beside the directory keeps the second one out.
 *
 * @module
 */

import {
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, resolve } from "node:path";
import process from "node:process";
import { ConnectError } from "../../errors.ts";

interface Holder {
  readonly pid: number;
  /** When the process began, as the system counts it; tells a process from a later one of its number. */
  readonly began: string;
}

/** A directory that is ours until it is unlocked. */
export interface DirectoryLock {
  /** The directory's absolute path. */
  readonly directory: string;
  /** Gives it back. Idempotent. */
  unlock(): void;
}

/**
 * Locks `directory`, which need not exist yet. The lock of a process that is gone is taken over.
 *
 * @throws {ConnectError} When another driver has it open, in this process or another.
 */
export function lockDirectory(directory: string): DirectoryLock {
  const absolute = resolve(directory);
  mkdirSync(dirname(absolute), { recursive: true });
  const path = `${realDirectory(absolute)}.sluice-lock`;
  const own = JSON.stringify({ pid: process.pid, began: beginning(process.pid) ?? "" });
  for (let attempt = 0; attempt < 10; attempt++) {
    try {
      writeFileSync(path, own, { flag: "wx" });
      let locked = true;
      return {
        directory: absolute,
        unlock: () => {
          if (locked) unlinkSync(path);
          locked = false;
        },
      };
    } catch (error) {
      if ((error as { code?: string }).code !== "EEXIST") throw error;
    }
    const found = readLock(path);
    if (found === undefined) continue; // it was unlocked just now
    const holder = parseHolder(found);
    if (holder === undefined || isAlive(holder)) throw inUse(absolute, path, holder);
    takeAway(path, found);
  }
  throw inUse(absolute, path, undefined);
}

/** Two paths to one directory must find one lock. */
function realDirectory(absolute: string): string {
  try {
    return realpathSync(absolute);
  } catch {
    return resolve(realpathSync(dirname(absolute)), absolute.slice(dirname(absolute).length + 1));
  }
}

function readLock(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return undefined;
    throw error;
  }
}

/**
 * Removes a stale lock. Another process may do the same at this moment and have locked the
 * directory already, so the file is moved aside and looked at before it is given up.
 */
function takeAway(path: string, stale: string): void {
  const aside = `${path}.${process.pid}.${crypto.randomUUID()}`;
  try {
    renameSync(path, aside);
  } catch {
    return;
  }
  if (readLock(aside) === stale) unlinkSync(aside);
  else renameSync(aside, path);
}

function parseHolder(text: string): Holder | undefined {
  try {
    const { pid, began } = JSON.parse(text);
    return typeof pid === "number" && typeof began === "string" ? { pid, began } : undefined;
  } catch {
    return undefined;
  }
}

function isAlive(holder: Holder): boolean {
  const began = beginning(holder.pid);
  if (began !== undefined) return holder.began === "" || began === holder.began;
  try {
    process.kill(holder.pid, 0);
    return true;
  } catch (error) {
    // Without the permission to ask, nothing is taken away from anybody.
    return (error as { code?: string }).code !== "ESRCH";
  }
}

/** The start time in Linux's /proc; undefined where that cannot be read. */
function beginning(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
}

function inUse(directory: string, path: string, holder: Holder | undefined): ConnectError {
  const who = holder === undefined
    ? "somebody"
    : holder.pid === process.pid
    ? "this process"
    : `process ${holder.pid}`;
  return new ConnectError(`The PGlite directory "${directory}" is in use by ${who}`, {
    code: "DATABASE_IN_USE",
    hint:
      `PGlite serves one process and one engine at a time: close the other one (if it is gone for certain, delete "${path}")`,
  });
}
