/** The options of an engine: what there is, what is checked, what is the default. */

import { ConfigError } from "../errors.ts";
import type { PoolKind } from "../dialect/driver.ts";
import { didYouMean } from "../util/nearest.ts";
import type { EscapeMode } from "./begin_options.ts";
import type { StatementEvent } from "./events.ts";

/**
 * How an engine works. All durations are milliseconds.
 *
 * @example
 * ```ts
 * import { AsyncEngine, type EngineOptions } from "@sluice/orm";
 *
 * const options: EngineOptions = { poolSize: 5, statementTimeout: 10_000, echo: true };
 * await using _engine = new AsyncEngine("sqlite::memory:", options);
 * ```
 */
export interface EngineOptions {
  /** Connections kept. Default 10. See `defaultPoolSize()`. */
  poolSize?: number | undefined;
  /** Further connections under load, closed when they come back. Default 20. */
  maxOverflow?: number | undefined;
  /** Longest wait for a connection: `PoolTimeoutError` after this. 0 is no limit. Default 30,000. */
  poolTimeout?: number | undefined;
  /**
   * A connection older than this, up to a tenth less, is replaced at checkout, never while lent.
   * 0 is never. Default 3,600,000.
   */
  poolRecycle?: number | undefined;
  /** Test a connection before it is lent; `"idle"`: only after 1 s of idleness. Default `"idle"`. */
  poolPrePing?: boolean | "idle" | undefined;
  /**
   * `queue` keeps connections; `static` is one connection for everybody in turn; `null` makes one
   * for each use, behind an external pooler. Default: `queue`, or `static` for databases that have
   * one connection only (in memory, PGlite).
   */
  pool?: PoolKind | undefined;
  /**
   * Log statements: `true` prints them, `"params"` with their values (and gives those to listeners
   * too), a function gets the event. Default false.
   */
  echo?: boolean | "params" | ((event: StatementEvent) => void) | undefined;
  /** Longest time for one statement, also when the link is silent. 0 is no limit. Default 300,000. */
  statementTimeout?: number | undefined;
  /** Longest time to make one connection. Default 10,000. */
  connectTimeout?: number | undefined;
  /** Report connections lent for longer than this, with their stack. 0 is never. Default 0. */
  leakAfter?: number | undefined;
  /** Keep the stack of each checkout for `PoolTimeoutError`. Costs microseconds. Default false. */
  traceCheckouts?: boolean | undefined;
  /** How long `dispose()` waits for lent connections. Default 10,000. */
  disposeTimeout?: number | undefined;
  /**
   * What to do with a statement that is sent past an open transaction, through the engine or another
   * session, from inside its function: `"throw"` refuses it, `"warn"` tells of it once for each place
   * in the program, `"allow"` lets it be. Default `"warn"`.
   */
  escape?: EscapeMode | undefined;
  /**
   * Report transactions open for longer than this, with the place that began them. 0 is never, and saves
   * each `begin()` the 6 µs that it takes to know its place. Default 30,000.
   */
  transactionWarnAfter?: number | undefined;
  /** How long idempotency keys are kept in `sluice_commits`. 0 is for ever. Default 7 days. */
  keepIdempotencyKeys?: number | undefined;
  /**
   * PostgreSQL: reads of many sessions, outside of transactions and streams, travel together on few
   * connections instead of borrowing one each, which is about twice as fast under load. Only queries for
   * objects, without a `timeout` of their own and without a lock, that took less than 20 ms when they
   * ran last. None is sent behind one that turns out to be slower, but those sent before that was known
   * wait for it; and one that is given up by its signal ends when its neighbours do. Default true.
   */
  shareConnections?: boolean | undefined;
}

/** The options with their defaults. */
export interface EngineSettings {
  readonly poolSize: number;
  readonly maxOverflow: number;
  readonly poolTimeout: number;
  readonly poolRecycle: number;
  readonly poolPrePing: boolean | "idle";
  /** Undefined: what suits the driver. */
  readonly pool: PoolKind | undefined;
  readonly echo: boolean | "params" | ((event: StatementEvent) => void);
  readonly statementTimeout: number;
  readonly connectTimeout: number;
  readonly leakAfter: number;
  readonly traceCheckouts: boolean;
  readonly disposeTimeout: number;
  readonly escape: EscapeMode;
  readonly transactionWarnAfter: number;
  readonly keepIdempotencyKeys: number;
  readonly shareConnections: boolean;
}

type Check = (value: unknown) => string | undefined;

const flag: Check = (value) => typeof value === "boolean" ? undefined : "true or false";
const ms: Check = (value) =>
  Number.isFinite(value) && (value as number) >= 0 ? undefined : "milliseconds, from 0 up";
const someMs: Check = (value) =>
  Number.isFinite(value) && (value as number) > 0 ? undefined : "milliseconds, more than 0";
const whole: Check = (value) =>
  value === Infinity || Number.isSafeInteger(value) && (value as number) >= 0
    ? undefined
    : "a whole number from 0 up";
const oneOf = (...values: unknown[]): Check => (value) =>
  values.includes(value) ? undefined : values.map((each) => JSON.stringify(each)).join(" or ");

const checks: { readonly [Name in keyof EngineOptions]-?: Check } = {
  poolSize: whole,
  maxOverflow: whole,
  poolTimeout: ms,
  poolRecycle: ms,
  poolPrePing: oneOf(true, false, "idle"),
  pool: oneOf("queue", "static", "null"),
  echo: (value) =>
    typeof value === "boolean" || value === "params" || typeof value === "function"
      ? undefined
      : 'true, false, "params" or a function',
  statementTimeout: ms,
  connectTimeout: someMs,
  leakAfter: ms,
  traceCheckouts: flag,
  disposeTimeout: ms,
  escape: oneOf("throw", "warn", "allow"),
  transactionWarnAfter: ms,
  keepIdempotencyKeys: ms,
  shareConnections: flag,
};

/**
 * Checks the options and fills in the defaults. `alsoKnown` are names that a layer above checks.
 *
 * @throws {ConfigError} `INVALID_CONFIG` for an unknown name or a value that makes no sense.
 */
export function engineSettings(
  options: object | undefined,
  alsoKnown: readonly string[] = [],
): EngineSettings {
  if (options !== undefined && (typeof options !== "object" || options === null)) {
    throw new ConfigError("The engine's options are no object", {
      hint: "Pass them as in { poolSize: 5 }",
    });
  }
  const given: Record<string, unknown> = { __proto__: null };
  for (const [name, value] of Object.entries(options ?? {})) {
    if (Object.hasOwn(checks, name)) {
      if (value === undefined) continue;
      const expected = checks[name as keyof EngineOptions](value);
      if (expected !== undefined) {
        throw new ConfigError(`The option "${name}" cannot be ${show(value)}`, {
          hint: `It must be ${expected}`,
        });
      }
      given[name] = value;
    } else if (!alsoKnown.includes(name)) {
      throw new ConfigError(`The engine has no option "${name}"`, {
        hint: didYouMean(name, [...Object.keys(checks), ...alsoKnown]),
      });
    }
  }
  const own = given as EngineOptions;
  const settings: EngineSettings = {
    poolSize: own.poolSize ?? 10,
    maxOverflow: own.maxOverflow ?? 20,
    poolTimeout: own.poolTimeout ?? 30_000,
    poolRecycle: own.poolRecycle ?? 3_600_000,
    poolPrePing: own.poolPrePing ?? "idle",
    pool: own.pool,
    echo: own.echo ?? false,
    statementTimeout: own.statementTimeout ?? 300_000,
    connectTimeout: own.connectTimeout ?? 10_000,
    leakAfter: own.leakAfter ?? 0,
    traceCheckouts: own.traceCheckouts ?? false,
    disposeTimeout: own.disposeTimeout ?? 10_000,
    escape: own.escape ?? "warn",
    transactionWarnAfter: own.transactionWarnAfter ?? 30_000,
    keepIdempotencyKeys: own.keepIdempotencyKeys ?? 7 * 24 * 3_600_000,
    shareConnections: own.shareConnections ?? true,
  };
  if (settings.poolSize + settings.maxOverflow === 0) {
    throw new ConfigError('The options "poolSize" and "maxOverflow" are both 0', {
      hint: "No connection could ever be made; raise one of them",
    });
  }
  return settings;
}

/** A value in a message: numbers and short words as they are, all else by its type. */
function show(value: unknown): string {
  if (typeof value === "number" || typeof value === "boolean" || value === null) {
    return String(value);
  }
  return typeof value === "string" && value.length <= 20 ? `"${value}"` : `a ${typeof value}`;
}
