/** How a transaction is to begin: the options, and what is checked of them. */

import { InputError } from "../errors.ts";
import type { BeginOptions, CallOptions } from "../dialect/driver.ts";
import { didYouMean } from "../util/nearest.ts";
import { ownOptions, withoutPrototype } from "../util/own.ts";

/**
 * What to do with a statement that is sent past an open transaction, from inside its function: fail
 * it, tell of it once for each place in the program, or let it be.
 */
export type EscapeMode = "throw" | "warn" | "allow";

/** How a transaction begins, and the limits on its begin. */
export interface TransactionOptions extends BeginOptions, CallOptions {
  /**
   * What to do with statements that are sent past it from inside its function. Default: the
   * engine's `escape`.
   */
  escape?: EscapeMode | undefined;
  /**
   * A name for this piece of work, 1 to 200 characters, unique over all of it. It is stored in the
   * table `sluice_commits` by the transaction itself, so that a lost answer to COMMIT can be looked
   * up, and the same work cannot be stored twice.
   */
  idempotencyKey?: string | undefined;
}

/** How a function runs in a transaction. */
export interface RetryOptions extends TransactionOptions {
  /**
   * How often the function may run again, each time in a new transaction: after a serialization
   * failure, a deadlock, once after a stale plan, and after a lost connection where nothing of it
   * was answered yet or it is read-only. Default 0.
   */
  retries?: number | undefined;
  /**
   * The first pause before it runs again, in milliseconds. Each pause is twice the one before up to a
   * second, and shortened by chance by up to a half. Default 10.
   */
  retryDelay?: number | undefined;
}

const beginOptions = [
  "isolation",
  "readOnly",
  "deferrable",
  "signal",
  "timeout",
  "escape",
  "idempotencyKey",
];
const retryOptions = ["retries", "retryDelay"];
const isolations = ["read committed", "repeatable read", "serializable"];
const escapes = ["throw", "warn", "allow"];
const LONGEST_KEY = 200;

/**
 * Checks how a transaction is to begin, and gives the options on which nothing but its caller had a say.
 *
 * @throws {InputError} `INVALID_INPUT` for an unknown option or a value that makes no sense.
 */
export function checkBeginOptions(given: TransactionOptions): TransactionOptions {
  for (const name of Object.keys(given)) {
    if (beginOptions.includes(name)) continue;
    if (retryOptions.includes(name)) {
      throw new InputError(`The option "${name}" needs a function that can run again`, {
        hint: "Write begin(async (tx) => { … }, options)",
      });
    }
    throw new InputError(`A transaction has no option "${name}"`, {
      hint: didYouMean(name, [...beginOptions, ...retryOptions]),
    });
  }
  const options = ownOptions(given, beginOptions);
  const { isolation, readOnly, deferrable, escape } = options;
  if (isolation !== undefined && !isolations.includes(isolation)) {
    throw new InputError("The isolation level is unknown", { hint: oneOf(isolations) });
  }
  if (escape !== undefined && !escapes.includes(escape)) {
    throw new InputError('The option "escape" of a transaction is unknown', {
      hint: oneOf(escapes),
    });
  }
  for (const [name, value] of Object.entries({ readOnly, deferrable })) {
    if (value !== undefined && typeof value !== "boolean") {
      throw new InputError(`The option "${name}" of a transaction must be true or false`);
    }
  }
  if (options.idempotencyKey !== undefined) checkKey(options.idempotencyKey, readOnly);
  return options;
}

function checkKey(key: unknown, readOnly: boolean | undefined): void {
  if (typeof key !== "string" || key === "" || key.length > LONGEST_KEY || key.includes("\0")) {
    throw new InputError(`An idempotency key is a text of 1 to ${LONGEST_KEY} characters`, {
      hint: "Take an id that the work has anyway: of an order, of a message",
    });
  }
  if (readOnly) {
    throw new InputError("A read-only transaction stores nothing, and so no idempotency key");
  }
}

/**
 * Parts the options of the repetition from those of each transaction.
 *
 * @throws {InputError} `INVALID_INPUT` for a value that makes no sense.
 */
export function splitRetryOptions(
  options: RetryOptions,
): { retries: number; retryDelay: number; each: TransactionOptions } {
  const { retries = 0, retryDelay = 10, ...each } = withoutPrototype(options);
  if (retries !== Infinity && (!Number.isSafeInteger(retries) || retries < 0)) {
    throw new InputError('The option "retries" of a transaction is a whole number from 0 up');
  }
  if (!Number.isFinite(retryDelay) || retryDelay < 0) {
    throw new InputError('The option "retryDelay" of a transaction is milliseconds, from 0 up');
  }
  return { retries, retryDelay, each: withoutPrototype(each) };
}

function oneOf(names: readonly string[]): string {
  return `It can be ${names.map((name) => `"${name}"`).join(", ")}`;
}
