/**
 * What text must be to arrive in a database as it left: well-formed Unicode, no NUL. Used for
 * values; names have rules of their own in `identifier.ts`.
 *
 * @module
 */

import { InputError } from "../errors.ts";

/** Refuses text that a database would cut, replace or reject. */
export function checkText(text: string, label: string): string {
  if (text.includes("\0")) {
    throw new InputError(`The text for "${label}" contains a NUL character`, {
      hint: "Databases cannot store NUL in text; remove it or use a bytes() column",
    });
  }
  if (!text.isWellFormed()) {
    throw new InputError(`The text for "${label}" contains a lone surrogate`, {
      hint: "It would be stored as U+FFFD; call toWellFormed() if that is wanted",
    });
  }
  return text;
}
