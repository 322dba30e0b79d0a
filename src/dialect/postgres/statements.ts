/**
 * What is checked in a statement before anything of it is sent, and the statements of our own.
 *
 * @module
 */

import { InputError } from "../../errors.ts";
import type { BeginOptions, DriverStatement, Isolation } from "../driver.ts";

/** More parameters than this are refused by the driver. */
const mostParams = 65_533;

const isolations: Readonly<Record<Isolation, string>> = {
  "read committed": "read committed",
  "repeatable read": "repeatable read",
  "serializable": "serializable",
};

/** The BEGIN for these options. */
export function beginText(options: BeginOptions): string {
  const { isolation, readOnly, deferrable } = options;
  let text = "begin";
  if (isolation !== undefined) {
    if (!Object.hasOwn(isolations, isolation)) {
      throw new InputError(`Unknown isolation level "${isolation}"`, {
        hint: `Known are ${Object.keys(isolations).join(", ")}`,
      });
    }
    text += ` isolation level ${isolations[isolation]}`;
  }
  if (readOnly !== undefined) text += readOnly ? " read only" : " read write";
  if (deferrable !== undefined) text += deferrable ? " deferrable" : " not deferrable";
  return text;
}

/** Why a statement is not to be sent, if it is not. */
export function whatIsWrong({ text, params }: DriverStatement): InputError | undefined {
  if (text.includes("\0")) return new InputError("An SQL text cannot contain NUL");
  if (params.length > mostParams) {
    return new InputError(
      `A statement takes at most ${mostParams} parameters, not ${params.length}`,
      {
        hint: "Send the values as arrays: `unnest($1::text[])`, `= any($1)`",
      },
    );
  }
  for (let i = 0; i < params.length; i++) {
    const value = params[i];
    if (value === null) continue;
    if (typeof value !== "string") {
      return new InputError(
        `Parameter ${i + 1} must be text or null for PostgreSQL, not ${typeof value}`,
      );
    }
    if (value.includes("\0")) {
      return new InputError(`Parameter ${i + 1} contains NUL`, {
        hint: "PostgreSQL cannot store NUL in text; remove it or use bytea",
      });
    }
    if (!value.isWellFormed()) {
      return new InputError(
        `Parameter ${i + 1} is no Unicode text: it has half of a surrogate pair`,
      );
    }
  }
  return undefined;
}
