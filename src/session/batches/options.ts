/** What the options of a batched walk may be. @module */

import { InputError } from "../../errors.ts";
import { describe } from "../../sql/expression.ts";
import { didYouMean } from "../../util/nearest.ts";
import type { QueryPlan } from "../query_plan.ts";
import type { EachBatchOptions } from "./batches.ts";

type Check = (value: unknown) => string | undefined;

const flag: Check = (value) => typeof value === "boolean" ? undefined : "true or false";
const text: Check = (value) => typeof value === "string" ? undefined : "a string";
const from = (least: number): Check => (value) =>
  Number.isSafeInteger(value) && (value as number) >= least
    ? undefined
    : `a whole number from ${least} up`;

const checks: { readonly [Name in keyof EachBatchOptions]-?: Check } = {
  lock: (value) => value === "update" || value === "share" ? undefined : `"update" or "share"`,
  skipLocked: flag,
  isolation: text,
  onCommit: (value) => typeof value === "function" ? undefined : "a function",
  countFirst: flag,
  pause: (value) =>
    Number.isFinite(value) && (value as number) >= 0 ? undefined : "milliseconds, from 0 up",
  retries: from(0),
  signal: (value) => value instanceof AbortSignal ? undefined : "an AbortSignal",
  resumeAfter: () => undefined,
  checkpoint: (value) =>
    typeof value === "string" && value !== "" ? undefined : `a name, as in "login-backfill"`,
  restart: flag,
  concurrency: from(1),
};

/**
 * Checks the options of a walk.
 *
 * @throws {InputError} for a name or a value that is wrong, and for what does not go together.
 */
export function checkBatchOptions(
  method: string,
  plan: QueryPlan,
  options: EachBatchOptions,
): void {
  const parallel = method === "eachBatch()";
  const known = Object.keys(checks).filter((name) => parallel || name !== "concurrency");
  for (const [name, value] of Object.entries(options)) {
    if (!known.includes(name)) {
      throw new InputError(`${method} has no option "${name}"`, {
        hint: name === "concurrency"
          ? "A loop's body runs once at a time; use eachBatch(n, async (rows, { session }) => …)"
          : didYouMean(name, known),
      });
    }
    const wanted = value === undefined ? undefined : checks[name as keyof EachBatchOptions](value);
    if (wanted === undefined) continue;
    throw new InputError(
      `The option "${name}" of ${method} must be ${wanted}, found ${describe(value)}`,
    );
  }
  if (plan.offset !== undefined) {
    throw new InputError(`${method} takes no offset()`, {
      hint: "Leave it out; where(), orderBy() and limit() are minded",
    });
  }
  if (options.skipLocked === true && options.lock === undefined && plan.lock === undefined) {
    throw new InputError(`The option "skipLocked" of ${method} says how to lock, and nothing is`, {
      hint: `Add { lock: "update" }`,
    });
  }
  if (options.checkpoint !== undefined && options.resumeAfter !== undefined) {
    throw new InputError(`${method} takes "checkpoint" or "resumeAfter", not both`, {
      hint: "A named checkpoint knows by itself where to go on",
    });
  }
  if (options.restart === true && options.checkpoint === undefined) {
    throw new InputError(`The option "restart" of ${method} belongs to a named "checkpoint"`, {
      hint: "Without one every walk begins anew",
    });
  }
  const { concurrency = 1, isolation = "read committed" } = options;
  if (concurrency > 1 && options.checkpoint !== undefined && isolation !== "read committed") {
    throw new InputError(
      `Several workers can share a named checkpoint at "read committed" only`,
      { hint: "Leave isolation out, or walk with a concurrency of 1" },
    );
  }
}
