/**
 * Dates and times between JavaScript and the ISO text of the wire, scanned by hand: no regular
 * expression, no `Date.parse`, nothing that depends on a locale or time zone.
 *
 * @module
 */

/** The `Date`s that stand for PostgreSQL's `infinity` and `-infinity`: the ends of Date's range. */
const FAR_FUTURE = 8.64e15;
const FAR_PAST = -8.64e15;

/** The digit at `i`, or NaN: NaN spreads through the sums below and is caught once at the end. */
function digit(text: string, i: number): number {
  const code = text.charCodeAt(i) - 48;
  return code >= 0 && code <= 9 ? code : NaN;
}

function two(text: string, i: number): number {
  return digit(text, i) * 10 + digit(text, i + 1);
}

/** Milliseconds since the epoch of `2024-01-02 03:04:05.678901+00`, rounded down; NaN if malformed. */
export function parseTimestamp(text: string): number {
  if (
    text.charCodeAt(4) === 45 && text.charCodeAt(7) === 45 && text.charCodeAt(13) === 58 &&
    text.charCodeAt(16) === 58
  ) {
    const year = two(text, 0) * 100 + two(text, 2);
    let end = 19;
    let millis = 0;
    if (text.charCodeAt(19) === 46) {
      millis = digit(text, 20) * 100;
      end = 21;
      let weight = 10;
      for (; end < text.length; end++) {
        const code = text.charCodeAt(end) - 48;
        if (code < 0 || code > 9) break;
        millis += Math.trunc(code * weight);
        weight = weight === 10 ? 1 : 0;
      }
    }
    const zone = offset(text, end);
    if (year >= 100 && zone === 0) {
      return Date.UTC(
        year,
        two(text, 5) - 1,
        two(text, 8),
        two(text, 11),
        two(text, 14),
        two(text, 17),
        millis,
      );
    }
  }
  return parseRare(text);
}

/** Minutes east of UTC of the zone that starts at `i`: `Z`, `+00`, `+05:30`; NaN if there is none. */
function offset(text: string, i: number): number {
  const rest = text.length - i;
  const sign = text.charCodeAt(i);
  if (rest === 1 && sign === 90) return 0;
  if (sign !== 43 && sign !== 45) return NaN;
  let minutes = NaN;
  if (rest === 3) minutes = two(text, i + 1) * 60;
  else if (rest === 6 && text.charCodeAt(i + 3) === 58) {
    minutes = two(text, i + 1) * 60 + two(text, i + 4);
  }
  return sign === 45 ? -minutes : minutes;
}

/** Infinity, years before 100 or past 9999, zones other than UTC. */
function parseRare(text: string): number {
  if (text === "infinity") return FAR_FUTURE;
  if (text === "-infinity") return FAR_PAST;
  const before = text.endsWith(" BC");
  const body = before ? text.slice(0, -3) : text;
  const dash = body.indexOf("-");
  if (dash < 4) return NaN;
  let year = Number(body.slice(0, dash));
  if (before) year = 1 - year;
  const rest = body.slice(dash + 1);
  let end = 14;
  let millis = 0;
  if (rest[end] === ".") {
    const from = ++end;
    while (end < rest.length && !Number.isNaN(digit(rest, end))) end++;
    millis = Math.trunc(Number(`0.${rest.slice(from, end)}`) * 1000);
  }
  const zone = offset(rest, end);
  const date = new Date(0);
  date.setUTCFullYear(year, two(rest, 0) - 1, two(rest, 3));
  date.setUTCHours(two(rest, 6), two(rest, 9), two(rest, 12), millis);
  return date.getTime() - zone * 60_000;
}

/** The wire text of a Date; undefined if no column can hold it exactly. */
export function formatTimestamp(date: Date): string | undefined {
  const time = date.getTime();
  if (time === FAR_FUTURE) return "infinity";
  if (time === FAR_PAST) return "-infinity";
  const year = date.getUTCFullYear();
  // NaN fails both comparisons, and so an invalid Date is refused here too.
  return year >= 1 && year <= 9999 ? date.toISOString() : undefined;
}

const DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** True if the text is a day of the calendar, `YYYY-MM-DD`, from year 1 to 9999. */
export function isDate(text: string): boolean {
  if (text.length !== 10 || text[4] !== "-" || text[7] !== "-") return false;
  const year = two(text, 0) * 100 + two(text, 2);
  const month = two(text, 5);
  const day = two(text, 8);
  if (!(year >= 1 && month >= 1 && month <= 12 && day >= 1 && day <= DAYS[month - 1]!)) {
    return false;
  }
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return month !== 2 || day < 29 || leap;
}

/**
 * `HH:MM:SS[.ffffff]` without trailing zeros, or undefined if the text is no time of day. The
 * canonical form is the one PostgreSQL prints, so that stored and read text are equal.
 */
export function canonicalTime(text: string): string | undefined {
  if (text.length < 8 || text[2] !== ":" || text[5] !== ":") return undefined;
  if (!(two(text, 0) <= 23 && two(text, 3) <= 59 && two(text, 6) <= 59)) return undefined;
  if (text.length === 8) return text;
  if (text[8] !== "." || text.length < 10 || text.length > 15) return undefined;
  for (let i = 9; i < text.length; i++) if (Number.isNaN(digit(text, i))) return undefined;
  let end = text.length;
  while (text[end - 1] === "0") end--;
  return text.slice(0, text[end - 1] === "." ? end - 1 : end);
}
