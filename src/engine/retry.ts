/**
 * Running a function again when its transaction failed for no fault of its own. Whoever runs it makes
 * each attempt from the start: a new transaction, and objects as they were before.
 */

import {
  CommitUnknownError,
  ConnectionLostError,
  SerializationError,
  SluiceError,
  StalePlanError,
} from "../errors.ts";
import { delay } from "../util/deadline.ts";
import { suppress } from "../util/suppress.ts";
import type { Transaction } from "./transaction.ts";

const LONGEST_PAUSE = 1_000;
/** An error wrapped more often than this is somebody else's affair. */
const DEEPEST_CAUSE = 8;

/** One run of the function. */
export interface Attempt {
  /** Counts from 1. */
  readonly number: number;
  /** Its transaction, once that has begun. Set by whoever runs it. */
  transaction: Transaction | undefined;
}

/** How often, and how long in between. */
export interface RetryPolicy {
  /** How often it may run again. */
  readonly retries: number;
  /** The first pause, in milliseconds. */
  readonly retryDelay: number;
  /** Ends a pause. */
  readonly signal: AbortSignal | undefined;
  /** A lost connection can be replaced. */
  readonly reconnects: boolean;
  /** Called before each pause: puts back what the failed attempt has changed. */
  readonly restore?: (() => void) | undefined;
}

/** Runs `run` until it succeeds, fails for good, or may not run again. */
export async function withRetries<T>(
  policy: RetryPolicy,
  run: (attempt: Attempt) => Promise<T>,
): Promise<T> {
  let stalePlans = 0;
  for (let number = 1;; number++) {
    const attempt: Attempt = { number, transaction: undefined };
    try {
      return await run(attempt);
    } catch (error) {
      const reason = reasonToRunAgain(error, attempt, policy.reconnects);
      // A plan prepared anew is fresh: one that is stale again has another cause.
      const again = reason instanceof StalePlanError ? stalePlans++ === 0 : reason !== undefined;
      if (!again || number > policy.retries || policy.signal?.aborted) {
        if (number > 1 && error instanceof SluiceError) error.attempts = number;
        throw error;
      }
      policy.restore?.();
      await pause(number, policy, error);
    }
  }
}

async function pause(number: number, policy: RetryPolicy, error: unknown): Promise<void> {
  if (policy.retryDelay === 0) return;
  const longest = Math.max(policy.retryDelay, LONGEST_PAUSE);
  const full = Math.min(policy.retryDelay * 2 ** (number - 1), longest);
  try {
    // Without chance, two that met once would meet again and again.
    await delay(full * (1 - Math.random() / 2), policy.signal);
  } catch (reason) {
    suppress(reason, error);
    throw reason;
  }
}

/** What in an error, or beneath it, says that the transaction may run again as a whole. */
function reasonToRunAgain(error: unknown, attempt: Attempt, reconnects: boolean): unknown {
  let cause = error;
  for (let depth = 0; cause instanceof Error && depth < DEEPEST_CAUSE; depth++) {
    if (cause instanceof SerializationError || cause instanceof StalePlanError) return cause;
    const { transaction } = attempt;
    if (cause instanceof ConnectionLostError) {
      const harmless = transaction === undefined || transaction.leftNoTrace;
      return reconnects && harmless ? cause : undefined;
    }
    if (cause instanceof CommitUnknownError) {
      return reconnects && transaction?.readOnly ? cause : undefined;
    }
    cause = cause.cause;
  }
  return undefined;
}
