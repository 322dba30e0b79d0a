/** Locks on names instead of rows, held by a transaction of PostgreSQL. */

import { InputError, LockTimeoutError, StatementTimeoutError, UsageError } from "../errors.ts";
import type { CallOptions } from "../dialect/driver.ts";
import type { Link } from "./link.ts";
import { withoutPrototype } from "../util/own.ts";

/** How to take an advisory lock. */
export interface AdvisoryLockOptions extends CallOptions {
  /** Others may hold it shared at the same time. Default false: nobody else holds it. */
  shared?: boolean | undefined;
  /** Do not wait: `LockTimeoutError` if somebody else holds it. Default false. */
  noWait?: boolean | undefined;
}

/** What stands behind a lock. */
export interface LockHolder {
  /** The transaction that holds it is open, and its connection alive. */
  readonly held: boolean;
  /** Lets go of it, where it can be let go of. */
  release(): Promise<void>;
}

/**
 * An advisory lock, made by `tx.advisoryLock()` or `engine.advisoryLock()`.
 *
 * One of a transaction is held until that ends, and giving it back earlier does nothing. One of the
 * engine is held until `release()` or the end of `await using`.
 */
export class AdvisoryLock implements AsyncDisposable {
  /** The number that stands for the key in the database. */
  readonly id: bigint;
  /** Others may hold it shared, too. */
  readonly shared: boolean;
  readonly #holder: LockHolder;

  /** Made by `advisoryLock()`. */
  constructor(id: bigint, shared: boolean, holder: LockHolder) {
    this.id = id;
    this.shared = shared;
    this.#holder = holder;
  }

  /** Still held, as far as is known here. False once its connection is lost: ask it in long work. */
  get held(): boolean {
    return this.#holder.held;
  }

  /** Lets go of it. A second call does nothing. */
  release(): Promise<void> {
    return this.#holder.release();
  }

  /** Lets go of it. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#holder.release();
  }
}

/**
 * The number that stands for a key: a bigint is itself, a text the first 8 bytes of its SHA-256 in
 * UTF-8, as a signed big-endian number, so that any program can work it out.
 *
 * @throws {InputError} `INVALID_INPUT` for anything else, or a bigint of more than 64 bits.
 */
export async function lockId(key: string | bigint): Promise<bigint> {
  if (typeof key === "bigint") {
    if (BigInt.asIntN(64, key) === key) return key;
    throw new InputError("The key of an advisory lock has more than 64 bits");
  }
  if (typeof key !== "string" || key === "") {
    throw new InputError("The key of an advisory lock is a text or a bigint", {
      hint: "As in advisoryLock(`orders:${id}`)",
    });
  }
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(key));
  return new DataView(digest).getBigInt64(0);
}

/** Takes a lock for the open transaction of a link. */
export async function lockInTransaction(
  link: Link,
  key: string | bigint,
  options: AdvisoryLockOptions,
): Promise<bigint> {
  const id = await lockId(key);
  if (link.context.dialect.name === "sqlite") {
    // Who may write is alone with the whole file: no finer lock could keep anybody out.
    if (link.transaction?.readOnly === false) return id;
    throw new UsageError("SQLite has no advisory locks for a read-only transaction", {
      code: "UNSUPPORTED",
      hint: "Begin one that may write: there is one at a time",
    });
  }
  const { shared, noWait, signal, timeout } = withoutPrototype(options);
  const name = `pg_${noWait ? "try_" : ""}advisory_xact_lock${shared ? "_shared" : ""}`;
  const text = `select ${name}($1)${noWait ? "::int" : ""}`;
  const busy = (cause?: unknown) =>
    new LockTimeoutError(
      noWait ? "The advisory lock is taken" : "The advisory lock was not to be had in time",
      { sqlState: "55P03", statement: text, cause },
    );
  try {
    const { rows } = await link.run({ text, params: [String(id)] }, { signal, timeout });
    if (noWait && rows[0]?.[0] !== "1") throw busy();
  } catch (error) {
    throw error instanceof StatementTimeoutError ? busy(error) : error;
  }
  return id;
}
