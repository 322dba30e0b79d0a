/** What a run found: the contents of `peers.json`. */

/** One contender in one case. */
export interface Measured {
  /** Milliseconds of each round. */
  readonly ms: number[];
  /** Milliseconds of CPU time of the contender's process in each round; none where it is not known. */
  readonly cpu: number[];
  /** The highest resident memory of its process, in MiB; 0 where it is not known. */
  peak: number;
  /** Why there are no more rounds, if it failed. */
  failed?: string;
}

/** One case. */
export interface CaseResult {
  readonly name: string;
  readonly title: string;
  readonly n: number;
  /** By contender; one that does not offer the case is not there. */
  readonly contenders: Record<string, Measured>;
}

/** A whole run. */
export interface Results {
  readonly when: string;
  readonly machine: Readonly<Record<string, string>>;
  readonly versions: Readonly<Record<string, string>>;
  readonly scale: number;
  readonly rounds: number;
  readonly contenders: readonly string[];
  readonly cases: CaseResult[];
}

/** What all are compared with. */
export const BASE = "raw";

/** The times of a contender over those of raw, round by round. */
export function ratios(result: CaseResult, contender: string): number[] {
  const base = result.contenders[BASE]?.ms ?? [];
  const own = result.contenders[contender]?.ms ?? [];
  return own.slice(0, base.length).map((ms, round) => ms / base[round]!);
}

/** The middle one; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? sorted[middle]!
    : (sorted[middle - 1] ?? NaN) / 2 + (sorted[middle] ?? NaN) / 2;
}
