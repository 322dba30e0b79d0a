/**
 * A stand-in for `jsr:@std/assert` on machines that cannot reach JSR: the same names, signatures
 * and behaviour for what our tests use. Nothing here is published.
 */

import * as node from "node:assert";
import { inspect, stripVTControlCharacters } from "node:util";
import { equal } from "./equal.ts";

export { equal };

// deno-lint-ignore no-explicit-any
type AnyArguments = any[];

/** A class, as the assertions about errors take it. */
type ErrorClassOf<E extends Error> = abstract new (...args: AnyArguments) => E;

/** Error thrown when an assertion fails. */
export class AssertionError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "AssertionError";
  }
}

function format(value: unknown): string {
  return inspect(value, { depth: Infinity, sorted: true, compact: false, maxArrayLength: 1000 });
}

function suffix(msg: string | undefined): string {
  return msg ? `: ${msg}` : ".";
}

function diff(actual: unknown, expected: unknown): string {
  const text = new node.AssertionError({ actual, expected, operator: "deepStrictEqual" }).message;
  // Its first line is a sentence of its own; ours stands there.
  return text.slice(text.indexOf("\n") + 1);
}

/** Make an assertion, error will be thrown if `expr` does not have truthy value. */
export function assert(expr: unknown, msg = ""): asserts expr {
  if (!expr) throw new AssertionError(msg);
}

/** Make an assertion, error will be thrown if `expr` have truthy value. */
export function assertFalse(expr: unknown, msg = ""): asserts expr is false {
  if (expr) throw new AssertionError(msg);
}

/** Make an assertion that `actual` and `expected` are equal, deeply. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  if (equal(actual, expected)) return;
  throw new AssertionError(`Values are not equal${suffix(msg)}\n\n${diff(actual, expected)}`);
}

/** Make an assertion that `actual` and `expected` are not equal, deeply. */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  if (!equal(actual, expected)) return;
  throw new AssertionError(
    `Expected actual: ${format(actual)} not to be: ${format(expected)}${suffix(msg)}`,
  );
}

/** Make an assertion that `actual` and `expected` are strictly equal, by `Object.is`. */
export function assertStrictEquals<T>(
  actual: unknown,
  expected: T,
  msg?: string,
): asserts actual is T {
  if (Object.is(actual, expected)) return;
  const [left, right] = [format(actual), format(expected)];
  throw new AssertionError(
    left === right
      ? `Values have the same structure but are not reference-equal${suffix(msg)}\n\n${left}\n`
      : `Values are not strictly equal${suffix(msg)}\n\n${diff(actual, expected)}`,
  );
}

/** Make an assertion that `actual` and `expected` are not strictly equal, by `Object.is`. */
export function assertNotStrictEquals<T>(actual: T, expected: T, msg?: string): void {
  if (!Object.is(actual, expected)) return;
  throw new AssertionError(
    `Expected "actual" to not be strictly equal to: ${format(actual)}${suffix(msg)}\n`,
  );
}

/** Make an assertion that `actual` is not null or undefined. */
export function assertExists<T>(actual: T, msg?: string): asserts actual is NonNullable<T> {
  if (actual !== undefined && actual !== null) return;
  throw new AssertionError(
    `Expected actual: "${actual}" to not be null or undefined${suffix(msg)}`,
  );
}

/** Make an assertion that `actual` is an instance of `expectedType`. */
export function assertInstanceOf<T extends abstract new (...args: AnyArguments) => unknown>(
  actual: unknown,
  expectedType: T,
  msg = "",
): asserts actual is InstanceType<T> {
  if (actual instanceof expectedType) return;
  let found: string;
  if (actual === null) found = "null";
  else if (actual === undefined) found = "undefined";
  else if (typeof actual === "object") found = actual.constructor?.name ?? "Object";
  else found = typeof actual;
  const expected = expectedType.name;
  throw new AssertionError(
    typeof actual === "function" || found === expected
      ? `Expected object to be an instance of "${expected}"${suffix(msg)}`
      : `Expected object to be an instance of "${expected}" but was ${
        isObjectOrNothing(actual) ? `"${found}"` : `of type "${found}"`
      }${suffix(msg)}`,
  );
}

function isObjectOrNothing(value: unknown): boolean {
  return value === undefined || typeof value === "object";
}

/** Make an assertion that `actual` is not an instance of `unexpectedType`. */
export function assertNotInstanceOf<A, T>(
  actual: A,
  unexpectedType: abstract new (...args: AnyArguments) => T,
  msg?: string,
): asserts actual is Exclude<A, T> {
  assertFalse(
    actual instanceof unexpectedType,
    `Expected object to not be an instance of "${typeof unexpectedType}"${suffix(msg)}`,
  );
}

/** Make an assertion that `actual` matches the pattern `expected`. */
export function assertMatch(actual: string, expected: RegExp, msg?: string): void {
  if (expected.test(actual)) return;
  throw new AssertionError(
    `Expected actual: "${actual}" to match: "${expected}"${suffix(msg)}`,
  );
}

/** Make an assertion that `actual` does not match the pattern `expected`. */
export function assertNotMatch(actual: string, expected: RegExp, msg?: string): void {
  if (!expected.test(actual)) return;
  throw new AssertionError(
    `Expected actual: "${actual}" to not match: "${expected}"${suffix(msg)}`,
  );
}

/** Make an assertion that `actual` includes `expected`. */
export function assertStringIncludes(actual: string, expected: string, msg?: string): void {
  if (actual.includes(expected)) return;
  throw new AssertionError(
    `Expected actual: "${actual}" to contain: "${expected}"${suffix(msg)}`,
  );
}

/** An array-like object (`Array`, `Uint8Array`, …) that is not a string. */
export type ArrayLikeArg<T> = ArrayLike<T> & object;

/** Make an assertion that `actual` includes the `expected` values, compared deeply. */
export function assertArrayIncludes<T>(
  actual: ArrayLikeArg<T>,
  expected: ArrayLikeArg<T>,
  msg?: string,
): void {
  const found = Array.from(actual);
  const missing = Array.from(expected).filter((wanted) => !found.some((one) => equal(wanted, one)));
  if (missing.length === 0) return;
  throw new AssertionError(
    `Expected actual: "${format(actual)}" to include: "${format(expected)}"${suffix(msg)}\n` +
      `missing: ${format(missing)}`,
  );
}

/** Make an assertion that `expected` is a subset of `actual`, deeply. */
export function assertObjectMatch(
  // deno-lint-ignore no-explicit-any
  actual: Record<PropertyKey, any>,
  expected: Record<PropertyKey, unknown>,
  msg?: string,
): void {
  // Both sides lose their classes on the way, so that only the properties count.
  assertEquals(common(actual, expected), common(expected, expected), msg);
}

type Loose = Record<PropertyKey, unknown>;

function isLoose(value: unknown): value is Loose {
  return typeof value === "object" && value !== null;
}

/** The part of `actual` that `expected` speaks of, as plain objects. */
function common(actual: Loose, expected: Loose): Loose {
  const seen = new WeakMap<object, object>();

  function pick(a: unknown, b: unknown): unknown {
    if (!isLoose(a) || !isLoose(b)) return a;
    if (a instanceof RegExp || a instanceof Date) return a;
    if (a instanceof Map && b instanceof Map) {
      return new Map(
        [...a].filter(([key]) => b.has(key)).map(([key, value]) => [key, pick(value, b.get(key))]),
      );
    }
    if (a instanceof Set && b instanceof Set) return a.intersection(b);
    if (ArrayBuffer.isView(a)) return a;
    return fields(a, b);
  }

  function fields(a: Loose, b: Loose): Loose {
    if (seen.get(a) === b) return a;
    seen.set(a, b);
    const picked = (Array.isArray(a) && Array.isArray(b) ? [] : {}) as Loose;
    for (const key of Reflect.ownKeys(a)) {
      if (!(key in b) || (key === "length" && Array.isArray(picked))) continue;
      Object.defineProperty(picked, key, {
        value: pick(a[key], b[key]),
        configurable: true,
        enumerable: true,
        writable: true,
      });
    }
    return picked;
  }

  for (const side of [actual, expected]) {
    if (!isLoose(side)) {
      throw new TypeError(
        `Cannot assertObjectMatch ${side === null ? null : `type ${typeof side}`}`,
      );
    }
  }
  return fields(actual, expected);
}

function assertOrder(holds: boolean, text: string, msg: string | undefined): void {
  if (!holds) throw new AssertionError(`Expect ${text}${suffix(msg)}`);
}

/** Make an assertion that `actual` is greater than `expected`. */
export function assertGreater<T>(actual: T, expected: T, msg?: string): void {
  assertOrder(actual > expected, `${format(actual)} > ${format(expected)}`, msg);
}

/** Make an assertion that `actual` is greater than or equal to `expected`. */
export function assertGreaterOrEqual<T>(actual: T, expected: T, msg?: string): void {
  assertOrder(actual >= expected, `${format(actual)} >= ${format(expected)}`, msg);
}

/** Make an assertion that `actual` is less than `expected`. */
export function assertLess<T>(actual: T, expected: T, msg?: string): void {
  assertOrder(actual < expected, `${format(actual)} < ${format(expected)}`, msg);
}

/** Make an assertion that `actual` is less than or equal to `expected`. */
export function assertLessOrEqual<T>(actual: T, expected: T, msg?: string): void {
  assertOrder(actual <= expected, `${format(actual)} <= ${format(expected)}`, msg);
}

/** Make an assertion that two numbers are almost equal: by default to a ten-millionth. */
export function assertAlmostEquals(
  actual: number,
  expected: number,
  tolerance?: number,
  msg?: string,
): void {
  if (Object.is(actual, expected)) return;
  const allowed = tolerance ?? (isFinite(expected) ? Math.abs(expected * 1e-7) : 1e-7);
  const delta = Math.abs(expected - actual);
  if (delta <= allowed) return;
  throw new AssertionError(
    `Expected actual: "${actual}" to be close to "${expected}": ` +
      `delta "${delta}" is greater than "${allowed}"${suffix(msg)}`,
  );
}

/** Make an assertion that `error` is an `Error`, of a class and with a message if these are given. */
export function assertIsError<E extends Error = Error>(
  error: unknown,
  ErrorClass?: ErrorClassOf<E>,
  msgMatches?: string | RegExp,
  msg?: string,
): asserts error is E {
  if (!(error instanceof Error)) {
    throw new AssertionError(`Expected "error" to be an Error object${suffix(msg)}`);
  }
  if (ErrorClass && !(error instanceof ErrorClass)) {
    throw new AssertionError(
      `Expected error to be instance of "${ErrorClass.name}", but was "${error.constructor?.name}"` +
        `${suffix(msg)}\n${error.stack ?? error.message}`,
    );
  }
  if (!msgMatches) return;
  const message = stripVTControlCharacters(error.message);
  const matches = typeof msgMatches === "string"
    ? message.includes(stripVTControlCharacters(msgMatches))
    : msgMatches.test(message);
  if (matches) return;
  const wanted = typeof msgMatches === "string" ? JSON.stringify(msgMatches) : String(msgMatches);
  throw new AssertionError(
    `Expected error message to include ${wanted}, but got ${JSON.stringify(error.message)}` +
      suffix(msg),
  );
}

/** What the two forms of `assertThrows` and `assertRejects` ask for. */
interface Wanted<E extends Error> {
  ErrorClass: ErrorClassOf<E> | undefined;
  msgIncludes: string | undefined;
  msg: string | undefined;
}

function readWanted<E extends Error>(
  errorClassOrMsg: ErrorClassOf<E> | string | undefined,
  msgIncludes: string | undefined,
  msg: string | undefined,
): Wanted<E> {
  return typeof errorClassOrMsg === "string"
    ? { ErrorClass: undefined, msgIncludes: undefined, msg: errorClassOrMsg }
    : { ErrorClass: errorClassOrMsg, msgIncludes, msg };
}

function checkWanted<E extends Error>(error: unknown, wanted: Wanted<E>, verb: string): void {
  if (!wanted.ErrorClass) return;
  if (!(error instanceof Error)) {
    throw new AssertionError(`A non-Error object was ${verb}${suffix(wanted.msg)}`);
  }
  assertIsError(error, wanted.ErrorClass, wanted.msgIncludes, wanted.msg);
}

/** Executes a function, expecting it to throw; gives what was thrown. */
export function assertThrows(fn: () => unknown, msg?: string): unknown;
/** Executes a function, expecting it to throw an error of a class; gives the error. */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  ErrorClass: ErrorClassOf<E>,
  msgIncludes?: string,
  msg?: string,
): E;
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  errorClassOrMsg?: ErrorClassOf<E> | string,
  msgIncludes?: string,
  msg?: string,
): unknown {
  const wanted = readWanted(errorClassOrMsg, msgIncludes, msg);
  try {
    fn();
  } catch (error) {
    checkWanted(error, wanted, "thrown");
    return error;
  }
  throw new AssertionError(`Expected function to throw${suffix(wanted.msg)}`);
}

/** Executes a function which returns a promise, expecting it to reject; gives the reason. */
export function assertRejects(fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
/** Executes a function which returns a promise, expecting it to reject with an error of a class. */
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  ErrorClass: ErrorClassOf<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export async function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  errorClassOrMsg?: ErrorClassOf<E> | string,
  msgIncludes?: string,
  msg?: string,
): Promise<unknown> {
  const wanted = readWanted(errorClassOrMsg, msgIncludes, msg);
  let promise: PromiseLike<unknown> | undefined;
  try {
    promise = fn();
  } catch {
    // Told below: a function that throws before it returns a promise did not reject.
  }
  if (typeof promise !== "object" || typeof promise?.then !== "function") {
    throw new AssertionError(`Function throws when expected to reject${suffix(wanted.msg)}`);
  }
  try {
    await promise;
  } catch (error) {
    checkWanted(error, wanted, "rejected");
    return error;
  }
  throw new AssertionError(`Expected function to reject${suffix(wanted.msg)}`);
}

/** Forcefully throws a failed assertion. */
export function fail(msg?: string): never {
  throw new AssertionError(`Failed assertion${suffix(msg)}`);
}

/** Use this to assert unreachable code. */
export function unreachable(msg?: string): never {
  throw new AssertionError(`Unreachable${suffix(msg)}`);
}
