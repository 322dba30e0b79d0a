/**
 * Intervals: ISO 8601 durations as text, in the one spelling PostgreSQL prints. Like PostgreSQL's
 * they hold months, days and microseconds apart, since no two of them can be converted exactly.
 *
 * @module
 */

import type { WireValue } from "../sql/wire.ts";
import { type ColumnCodec, type ColumnType, refuse } from "./types.ts";

const MAX_INT32 = 2n ** 31n;
const MAX_INT64 = 2n ** 63n;
const SECOND = 1_000_000n;
const MINUTE = 60n * SECOND;
const HOUR = 60n * MINUTE;

/** Microseconds, or months, or days of one unit, by where it stands. */
const DATE_UNITS: Readonly<Record<string, readonly ["months" | "days", bigint]>> = {
  Y: ["months", 12n],
  M: ["months", 1n],
  W: ["days", 7n],
  D: ["days", 1n],
};
const TIME_UNITS: Readonly<Record<string, bigint>> = { H: HOUR, M: MINUTE, S: SECOND };

interface Parts {
  months: bigint;
  days: bigint;
  micros: bigint;
}

/** The parts of a duration; undefined if the text is none, or is finer than microseconds. */
function parse(text: string): Parts | undefined {
  const negative = text[0] === "-";
  const sign = negative ? -1n : 1n;
  let at = negative || text[0] === "+" ? 1 : 0;
  if (text[at++] !== "P") return undefined;
  const parts: Parts = { months: 0n, days: 0n, micros: 0n };
  let inTime = false;
  let count = 0;
  // Each unit once and in its order, as the standard has it.
  let order = "YMWD";
  while (at < text.length) {
    if (text[at] === "T" && !inTime) {
      inTime = true;
      order = "HMS";
      at++;
      if (at === text.length) return undefined;
    }
    const number = /^([+-]?)(\d{1,18})(?:[.,](\d{1,9}))?/.exec(text.slice(at, at + 32));
    if (number === null) return undefined;
    at += number[0].length;
    const unit = text[at++] ?? "";
    const place = order.indexOf(unit);
    if (place < 0 || unit === "") return undefined;
    order = order.slice(place + 1);
    const [, own, whole, fraction] = number;
    const direction = own === "-" ? -sign : sign;
    if (fraction !== undefined) {
      const padded = fraction.padEnd(9, "0");
      if (unit !== "S" || !padded.endsWith("000")) return undefined;
      parts.micros += direction * BigInt(padded.slice(0, 6));
    }
    const value = direction * BigInt(whole!);
    if (inTime) parts.micros += value * TIME_UNITS[unit]!;
    else {
      const [part, factor] = DATE_UNITS[unit]!;
      parts[part] += value * factor;
    }
    count++;
  }
  return count > 0 ? parts : undefined;
}

function fits({ months, days, micros }: Parts): boolean {
  const within = (value: bigint, limit: bigint) => value >= -limit && value < limit;
  return within(months, MAX_INT32) && within(days, MAX_INT32) && within(micros, MAX_INT64);
}

/** As PostgreSQL prints it with `IntervalStyle = iso_8601`. */
function format({ months, days, micros }: Parts): string {
  const part = (value: bigint, unit: string) => value === 0n ? "" : `${value}${unit}`;
  const date = part(months / 12n, "Y") + part(months % 12n, "M") + part(days, "D");
  let time = part(micros / HOUR, "H") + part(micros % HOUR / MINUTE, "M");
  const seconds = micros % MINUTE;
  if (seconds !== 0n) {
    const size = seconds < 0n ? -seconds : seconds;
    const fraction = String(size % SECOND).padStart(6, "0").replace(/0+$/, "");
    time += `${seconds < 0n ? "-" : ""}${size / SECOND}${fraction && `.${fraction}`}S`;
  }
  if (time !== "") return `P${date}T${time}`;
  return date === "" ? "PT0S" : `P${date}`;
}

/** The canonical text of a duration; undefined if no interval holds it exactly. */
function canonical(text: string): string | undefined {
  const parts = parse(text);
  return parts !== undefined && fits(parts) ? format(parts) : undefined;
}

/** Spans of time, as ISO 8601 text. */
export const intervalColumn: ColumnType<string> = (() => {
  const codec: ColumnCodec<string> = {
    encode: (value, label) =>
      (typeof value === "string" ? canonical(value) : undefined) ??
        refuse(`an ISO 8601 duration such as "P1DT2H", to the microsecond`, value, label),
    decode: (wire: WireValue) => wire as string,
    inline: (wire) => wire,
    same: (value, wire) =>
      value === wire || (typeof value === "string" && canonical(value) === wire),
  };
  return {
    name: "interval",
    cast: { postgres: "interval", sqlite: "text" },
    ddl: { postgres: "interval", sqlite: "text" },
    codec: { postgres: codec, sqlite: codec },
  };
})();
