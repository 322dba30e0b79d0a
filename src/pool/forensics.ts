/** What the pool says when it cannot lend: how many places, who holds them, who waits. */

import type { Loan } from "./loan.ts";

const MOST_HOLDERS = 5;
const LONGEST_NOTE = 120;

/** What the message is made of. */
export interface Shortage<T> {
  /** What is lent, as one word. */
  noun: string;
  /** How many can be lent. */
  limit: number;
  /** What is lent, the longest first. */
  loans: Iterable<Loan<T>>;
  /** How many are lent. */
  lent: number;
  /** How many others wait. */
  waiting: number;
  /** How many the asker holds himself. */
  heldByAsker: number;
  /** Now, in milliseconds since the epoch. */
  now: number;
}

/** Describes a shortage in a few lines, the longest holders first. */
export function describeShortage<T>(shortage: Shortage<T>): string {
  const { noun, limit, lent, waiting, heldByAsker, now } = shortage;
  const places = limit === 1 ? "the only place is" : `all ${limit} places are`;
  const lines = [
    lent >= limit
      ? `${places} taken, ${waiting} other ${waiting === 1 ? "asker waits" : "askers wait"}`
      : `${lent} of ${limit} places are lent, the ${noun} for this asker was still being made ready`,
  ];
  if (heldByAsker > 0) {
    lines.push(`  this very caller holds ${heldByAsker} of them`);
  }
  let described = 0;
  for (const loan of shortage.loans) {
    if (described++ === MOST_HOLDERS) break;
    lines.push(`  held for ${duration(now - loan.since)}, ${lastUse(loan.note)}`);
    if (loan.stack) lines.push(loan.stack);
  }
  if (lent > MOST_HOLDERS) lines.push(`  and ${lent - MOST_HOLDERS} more`);
  return lines.join("\n");
}

function duration(ms: number): string {
  return ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`;
}

function lastUse(note: string | undefined): string {
  if (note === undefined) return "not used yet";
  const line = note.replaceAll(/\s+/g, " ").trim();
  return `last: ${line.length > LONGEST_NOTE ? `${line.slice(0, LONGEST_NOTE)}…` : line}`;
}
