/** First error wins: what fails while cleaning up after it is kept with it. */

import { SluiceError } from "../errors.ts";

/**
 * Puts `failure` into `error.suppressed`, which errors of ours have and others get. It is not
 * enumerable there, so nobody's error changes its looks.
 */
export function suppress(error: unknown, failure: unknown): void {
  if (error === failure) return;
  if (error instanceof SluiceError) {
    error.suppressed.push(failure);
    return;
  }
  if (!(error instanceof Error)) return;
  const { suppressed } = error as { suppressed?: unknown };
  if (Array.isArray(suppressed)) suppressed.push(failure);
  else if (suppressed === undefined && Object.isExtensible(error)) {
    Object.defineProperty(error, "suppressed", { value: [failure], enumerable: false });
  }
}
