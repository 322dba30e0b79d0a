/** What was measured, and what is read from it. */

/** What the compiler says of one program. */
export interface Diagnostics {
  /** Types instantiated. */
  readonly instantiations: number;
  /** Types made. */
  readonly types: number;
  /** Memory used, in MiB. */
  readonly memory: number;
  /** Time for checking alone, in milliseconds. */
  readonly checkMs: number;
  /** Time for everything, in milliseconds. */
  readonly totalMs: number;
}

/** The rounds of one contender and size. */
export interface Measured {
  /** Entities in the program. */
  readonly entities: number;
  /** One a round; the counts are the same in all of them. */
  readonly rounds: Diagnostics[];
  /** Time of `deno check` by round, in milliseconds: Sluice alone. */
  readonly denoMs: number[];
  /** Why there are no more rounds. */
  failed?: string;
}

/** All results. */
export interface Results {
  /** When. */
  readonly when: string;
  /** Where. */
  readonly machine: Readonly<Record<string, string>>;
  /** Of the packages. */
  readonly versions: Readonly<Record<string, string>>;
  /** Queries each entity has. */
  readonly queries: number;
  /** By contender; the first program of each is the empty one. */
  readonly contenders: Record<string, Measured[]>;
}

/** The middle one. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

/** The median of one of the numbers. */
export function of({ rounds }: Measured, name: keyof Diagnostics): number {
  return median(rounds.map((round) => round[name]));
}

/** What one entity with its queries adds to the empty program. */
export function perEntity(
  measured: Measured,
  empty: Measured,
  value: (of: Measured) => number,
): number {
  return (value(measured) - value(empty)) / measured.entities;
}

/** Reads what `tsc --extendedDiagnostics` prints. */
export function parse(printed: string): Diagnostics {
  const number = (label: string): number => {
    const found = new RegExp(`^${label}:\\s+([\\d.]+)`, "m").exec(printed);
    if (found === null) throw new Error(`The compiler says nothing of "${label}":\n${printed}`);
    return Number(found[1]);
  };
  return {
    instantiations: number("Instantiations"),
    types: number("Types"),
    memory: Math.round(number("Memory used") / 1024),
    checkMs: Math.round(number("Check time") * 1000),
    totalMs: Math.round(number("Total time") * 1000),
  };
}
