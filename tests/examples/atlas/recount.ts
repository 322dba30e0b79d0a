/** The long job: gives every city its rank and its share among the cities of its country. */

import { type AsyncSession, sql } from "../../../mod.ts";
import { City } from "./model.ts";

/** Cities in a transaction: few enough for locks to be short, enough for speed. */
const BATCH = 5_000;

/** What the job tells after each batch. */
export interface RecountProgress {
  cities: number;
  batches: number;
  citiesPerSecond: number;
  /** Where another recount could go on, would this one be cut off. */
  checkpoint: string;
}

/**
 * Walks all cities in batches, each in a transaction of its own. `onProgress` is called between
 * them, while nothing is locked, and the next batch waits for it: a slow listener blocks nobody.
 */
export async function recount(
  session: AsyncSession,
  onProgress: (progress: RecountProgress) => Promise<void>,
): Promise<void> {
  const populations = await populationsByCountry(session);
  const cities = session.query(City).commitEvery(BATCH, {
    lock: "update",
    onCommit: ({ rows, batches, rate, checkpoint }) =>
      onProgress({ cities: rows, batches, citiesPerSecond: Math.round(rate), checkpoint }),
  });
  for await (const city of cities) {
    const { sorted, total } = populations.get(city.countryCode)!;
    city.rank = larger(sorted, city.population) + 1;
    city.share = total === 0 ? 0 : city.population / total;
  }
}

/** The populations of a country's cities, largest first, and their sum. */
interface Populations {
  sorted: number[];
  total: number;
}

async function populationsByCountry(session: AsyncSession): Promise<Map<string, Populations>> {
  const byCountry = new Map<string, Populations>();
  // Two columns of each city: too little to make objects of them.
  const all = await session.execute(sql<{ code: string; population: number }>`
    select ${City.c.countryCode} as code, ${City.c.population} as population from ${City}
    order by ${City.c.population} desc`);
  for (const { code, population } of all) {
    let entry = byCountry.get(code);
    if (entry === undefined) byCountry.set(code, entry = { sorted: [], total: 0 });
    entry.sorted.push(population);
    entry.total += population;
  }
  return byCountry;
}

/** How many numbers of a descending list are larger than `limit`. */
function larger(sorted: readonly number[], limit: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! > limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
