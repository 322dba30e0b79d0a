/**
 * How a session begins and ends transactions, its objects included.
 *
 * @module
 */

import { ClosedError } from "../errors.ts";
import type { CallOptions } from "../dialect/driver.ts";
import {
  checkBeginOptions,
  type RetryOptions,
  splitRetryOptions,
  type TransactionOptions,
} from "../engine/begin_options.ts";
import type { Connection } from "../engine/connection.ts";
import { type Attempt, withRetries } from "../engine/retry.ts";
import type { StatementRunner } from "../unit_of_work/flush_target.ts";
import type { Committed } from "../unit_of_work/hooks.ts";
import { isOneStatement } from "../unit_of_work/one_statement.ts";
import { StartingPoint } from "../unit_of_work/starting_point.ts";
import { suppress } from "../util/suppress.ts";
import { readOnlyOf } from "./read_only.ts";
import type { SessionCore } from "./session_core.ts";
import { SessionTransaction, type TransactionOwner } from "./session_transaction.ts";

/**
 * Begins a transaction.
 *
 * @param what What the user called, for the refusal inside another transaction.
 * @param tracks Whether the objects' changes are part of it.
 * @param attempt How often its function has run, this time included.
 */
export async function beginTransaction(
  core: SessionCore,
  what: string,
  given: TransactionOptions,
  tracks: boolean,
  attempt = 1,
): Promise<SessionTransaction> {
  const options = checkBeginOptions(given);
  const readOnly = readOnlyOf(core.options, options);
  core.assertIdle(what, "Use tx.savepoint() inside a transaction");
  const call = core.limits(options);
  const release = await core.turnstile.hold(call);
  try {
    return await core.turnstile.run(async (connection) => {
      // Somebody else may have begun one while this call waited for its turn.
      core.assertIdle(what, "Use tx.savepoint() inside a transaction");
      const inner = await connection.beginSoon({
        ...options,
        readOnly,
        signal: call.signal,
      }, attempt);
      if (tracks) core.work.begin();
      core.transaction = new SessionTransaction(owner(core), inner, {
        connection,
        release,
        tracks,
      });
      return core.transaction;
    }, call);
  } catch (error) {
    await release();
    throw error;
  }
}

/**
 * Begins a transaction, commits it when `fn` returns, and rolls it back when it throws. With `retries`
 * `fn` may run again, each time with the objects as they were when the first one began.
 */
export async function inTransaction<T>(
  core: SessionCore,
  what: string,
  fn: (tx: SessionTransaction) => T | Promise<T>,
  options: RetryOptions,
  tracks: boolean,
): Promise<T> {
  const { each, ...policy } = splitRetryOptions(options);
  if (policy.retries === 0) return await once(core, what, fn, each, tracks);
  let start: StartingPoint | undefined;
  return await withRetries({
    ...policy,
    signal: core.limits(each).signal,
    reconnects: true,
    restore: () => start?.restore(),
  }, (attempt) => {
    const begun = () => {
      if (tracks) start ??= startingPoint(core);
    };
    return once(core, what, fn, each, tracks, attempt, begun);
  });
}

async function once<T>(
  core: SessionCore,
  what: string,
  fn: (tx: SessionTransaction) => T | Promise<T>,
  options: TransactionOptions,
  tracks: boolean,
  attempt?: Attempt,
  begun?: () => void,
): Promise<T> {
  const transaction = await beginTransaction(core, what, options, tracks, attempt?.number);
  if (attempt !== undefined) attempt.transaction = transaction.inner;
  try {
    begun?.();
    const value = await transaction.connection.hold(() => fn(transaction));
    if (transaction.open) await transaction.commit();
    return value;
  } catch (error) {
    if (transaction.open) {
      await transaction.rollback().catch((failure) => suppress(error, failure));
    }
    throw error;
  }
}

/**
 * Stores all changes in one short transaction, which one statement is by itself; without changes nothing
 * is sent.
 */
export async function commitChanges(core: SessionCore, options: CallOptions): Promise<void> {
  const call = core.limits(options);
  const { work } = core;
  const { dialect } = core.context;
  const changes = await core.turnstile.exclusive(async (borrow) => {
    if (core.readOnly) {
      core.assertUnchanged();
      return [];
    }
    work.begin();
    try {
      const replaced = work.replaced().size > 0;
      const plan = replaced ? undefined : work.plan();
      if (replaced || plan !== undefined) {
        const connection = await borrow();
        if (plan !== undefined && isOneStatement(plan, dialect)) {
          await work.flush(plan, alone(connection), call);
        } else {
          await inShortTransaction(connection, call, async () => {
            if (plan !== undefined) await work.flush(plan, connection, call);
            else await core.flush(connection, call);
          });
        }
      }
    } catch (error) {
      work.rollback();
      throw error;
    }
    return work.commit();
  }, call);
  await work.hooks.committed(changes);
}

async function inShortTransaction(
  connection: Connection,
  call: CallOptions,
  work: () => Promise<void>,
): Promise<void> {
  const transaction = await connection.beginSoon(call);
  try {
    await work();
  } catch (error) {
    await transaction.rollback().catch((failure) => suppress(error, failure));
    throw error;
  }
  await transaction.commit(call);
}

/** Runs the one statement of a flush as its own transaction. */
function alone(connection: Connection): StatementRunner {
  let sent = false;
  return {
    run(statement, call) {
      // The first one is stored, and could not be taken back
      if (sent) throw new Error("BUG: a flush of one statement sends another");
      sent = true;
      return connection.runAlone(statement, call);
    },
  };
}

function startingPoint({ work, context }: SessionCore): StartingPoint {
  return new StartingPoint(
    work,
    (object) => context.registry.mapperOf(object),
    context.dialect.name,
  );
}

function owner(core: SessionCore): TransactionOwner {
  return {
    async commitTransaction(transaction) {
      await core.closeStreams();
      let changes: readonly Committed[] = [];
      await end(core, transaction, async (connection) => {
        const { inner, tracks } = transaction;
        try {
          // After a failure the objects are out of step: commit() says so, and rolls back.
          if (tracks && connection.status !== "failed") {
            await core.flush(connection, core.limits({}));
          }
          await inner.commit();
        } catch (error) {
          if (inner.open) await inner.rollback().catch((failure) => suppress(error, failure));
          if (tracks) core.work.rollback();
          throw error;
        }
        if (tracks) changes = core.work.commit();
      });
      await core.work.hooks.committed(changes);
    },
    async rollbackTransaction(transaction) {
      await core.closeStreams();
      await end(core, transaction, async () => {
        try {
          await transaction.inner.rollback();
        } finally {
          if (transaction.tracks) core.work.rollback();
        }
      });
    },
    async savepoint(transaction, fn) {
      assertCurrent(core, transaction);
      const flush = () =>
        core.turnstile.run(
          (connection) => core.flush(connection, core.limits({})),
          core.limits({}),
        );
      // What was changed before belongs to the outer transaction and must survive.
      await flush();
      return await transaction.inner.savepoint(async () => {
        core.work.begin();
        try {
          const value = await fn();
          await flush();
          core.work.commit();
          return value;
        } catch (error) {
          core.work.rollback();
          throw error;
        }
      });
    },
  };
}

function assertCurrent(core: SessionCore, transaction: SessionTransaction): void {
  if (core.transaction === transaction) return;
  throw new ClosedError("This transaction has ended", { hint: "Begin another one" });
}

/** Ends a transaction and lets go of its connection, whatever happens. */
async function end(
  core: SessionCore,
  transaction: SessionTransaction,
  work: (connection: Connection) => Promise<void>,
): Promise<void> {
  assertCurrent(core, transaction);
  try {
    // Without the session's signal: an ended request must still be able to roll back.
    await core.turnstile.run(async (connection) => {
      try {
        await work(connection);
      } finally {
        core.transaction = undefined;
      }
    });
  } finally {
    await transaction.release();
  }
}
