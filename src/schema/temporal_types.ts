/**
 * Columns of `Temporal` values. They travel as the same text as `timestamptz`, `date` and
 * `timestamp`, with every microsecond, which is as fine as PostgreSQL keeps them.
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import type { WireValue } from "../sql/wire.ts";
import { type ColumnCodec, type ColumnType, refuse } from "./types.ts";

/** The `Temporal` of this runtime; looked up late, so that a polyfill can come first. */
function temporal(): typeof Temporal {
  const found = (globalThis as { Temporal?: typeof Temporal }).Temporal;
  if (found !== undefined) return found;
  throw new UsageError("This runtime has no Temporal", {
    hint: "Use timestamptz(), timestamp() or date(), or a polyfill that sets globalThis.Temporal",
    code: "UNSUPPORTED",
  });
}

/** Milliseconds of the moments that stand for `infinity` and `-infinity`, as for `Date`. */
const END_OF_TIME = 8.64e15;

/**
 * The wire's text as ISO 8601 that Temporal reads: `0044-03-15 BC` becomes `-000043-03-15`, and
 * years past 9999 get a sign and six digits.
 */
function isoText(wire: string): string {
  const before = wire.endsWith(" BC");
  const text = before ? wire.slice(0, -3) : wire;
  const dash = text.indexOf("-", 1);
  if (!before && dash === 4) return text;
  const year = before ? 1 - Number(text.slice(0, dash)) : Number(text.slice(0, dash));
  const digits = String(Math.abs(year)).padStart(6, "0");
  return `${year < 0 ? "-" : "+"}${digits}${text.slice(dash)}`;
}

interface TemporalKind<T> {
  readonly name: string;
  /** The type on PostgreSQL. */
  readonly sql: string;
  /** What the column takes, for messages. */
  readonly takes: string;
  /** True if the value is of the class. */
  is(value: unknown): value is T;
  year(value: T): number;
  /** The wire's text: sorts as the values do, and has at most microseconds. */
  format(value: T): string;
  parse(iso: string): T;
  /** What stands for infinity. */
  end(sign: 1 | -1): T;
}

function temporalType<T extends { equals(other: T): boolean }>(
  kind: TemporalKind<T>,
): ColumnType<T> {
  temporal();
  const ends = [kind.end(-1), kind.end(1)] as const;
  const decode = (wire: WireValue): T => {
    if (wire === "infinity") return ends[1];
    if (wire === "-infinity") return ends[0];
    return kind.parse(isoText(wire as string));
  };
  const encode = (value: unknown, label: string): string => {
    if (!kind.is(value)) return refuse(kind.takes, value, label);
    if (value.equals(ends[1])) return "infinity";
    if (value.equals(ends[0])) return "-infinity";
    const year = kind.year(value);
    if (!(year >= 1 && year <= 9999)) {
      return refuse(`${kind.takes} from year 1 to 9999`, value, label);
    }
    return kind.format(value);
  };
  const codec: ColumnCodec<T> = {
    encode,
    decode,
    same(value, wire) {
      if (!kind.is(value)) return false;
      const stored = decode(wire);
      return value.equals(stored) || kind.format(value) === kind.format(stored);
    },
  };
  return {
    name: kind.name,
    cast: { postgres: kind.sql, sqlite: "text" },
    ddl: { postgres: kind.sql, sqlite: "text" },
    codec: { postgres: codec, sqlite: codec },
  };
}

const micros = { fractionalSecondDigits: 6, roundingMode: "floor" } as const;

/** Moments, as `Temporal.Instant`. */
export function instantColumn(): ColumnType<Temporal.Instant> {
  const { Instant } = temporal();
  return temporalType<Temporal.Instant>({
    name: "instant",
    sql: "timestamptz",
    takes: "a Temporal.Instant",
    is: (value): value is Temporal.Instant => value instanceof Instant,
    year: (value) => new Date(value.epochMilliseconds).getUTCFullYear(),
    format: (value) => value.toString(micros),
    parse: (iso) => Instant.from(iso),
    end: (sign) => Instant.fromEpochMilliseconds(sign * END_OF_TIME),
  });
}

/** Days, as `Temporal.PlainDate` of the ISO calendar. */
export function plainDateColumn(): ColumnType<Temporal.PlainDate> {
  const { PlainDate } = temporal();
  return temporalType<Temporal.PlainDate>({
    name: "plainDate",
    sql: "date",
    takes: "a Temporal.PlainDate of the ISO calendar",
    is: (value): value is Temporal.PlainDate =>
      value instanceof PlainDate && value.calendarId === "iso8601",
    year: (value) => value.year,
    format: (value) => value.toString(),
    parse: (iso) => PlainDate.from(iso),
    end: (sign) => PlainDate.from(sign > 0 ? "+275760-09-13" : "-271821-04-20"),
  });
}

/** Dates with times and no zone, as `Temporal.PlainDateTime` of the ISO calendar. */
export function plainDateTimeColumn(): ColumnType<Temporal.PlainDateTime> {
  const { PlainDateTime } = temporal();
  return temporalType<Temporal.PlainDateTime>({
    name: "plainDateTime",
    sql: "timestamp",
    takes: "a Temporal.PlainDateTime of the ISO calendar",
    is: (value): value is Temporal.PlainDateTime =>
      value instanceof PlainDateTime && value.calendarId === "iso8601",
    year: (value) => value.year,
    format: (value) => value.toString(micros),
    parse: (iso) => PlainDateTime.from(iso),
    end: (sign) => PlainDateTime.from(sign > 0 ? "+275760-09-13" : "-271821-04-20"),
  });
}
