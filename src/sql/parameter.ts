/**
 * A place for a value that is given when a prepared query is run.
 *
 * @module
 */

import { InputError } from "../errors.ts";

/** Stands where a value stands, until the query is run. */
export class Parameter {
  /** The name under which the value is given. */
  readonly name: string;
  /** What becomes of the value before it is encoded: the wildcards of `contains()`. */
  readonly transform: ((value: unknown) => unknown) | undefined;

  /** Made by `prepare()`. */
  constructor(name: string, transform?: (value: unknown) => unknown) {
    this.name = name;
    this.transform = transform;
  }

  /** A parameter has no value while the query is written, so text cannot be made of it. */
  [Symbol.toPrimitive](): never {
    throw new InputError(`The parameter "${this.name}" was read while the query was prepared`, {
      hint: "Use it as a value in a condition only; compute with it before you run the query",
    });
  }
}
