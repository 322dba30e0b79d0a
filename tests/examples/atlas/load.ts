/** Fills an empty database with the atlas. */

import type { AsyncEngine } from "../../../mod.ts";
import { cityRows, countryRows, rawData } from "./data.ts";
import { City, Country } from "./model.ts";

/** What is in the database after loading. */
export interface Loaded {
  countries: number;
  cities: number;
  /** False if it was all there before. */
  fresh: boolean;
}

/** How loading tells of itself: called for each table with the rows it has taken in. */
export type OnRows = (table: string, done: number, total: number) => void;

/**
 * Streams all rows in, in one transaction: whatever happens, the database has all of them or none.
 * One that has them already is left as it is.
 */
export async function load(engine: AsyncEngine, onRows: OnRows = () => {}): Promise<Loaded> {
  await using session = engine.session();
  if (await session.query(City).exists()) {
    return {
      countries: await session.query(Country).count(),
      cities: await session.query(City).count(),
      fresh: false,
    };
  }
  const raw = await rawData();
  return await session.begin(async () => {
    const countryCount = raw.countries.length;
    const cityCount = raw.cities.length;
    const countries = await session.bulkInsert(
      Country,
      counted(countryRows(raw.countries), (n) => onRows("countries", n, countryCount)),
    );
    const cities = await session.bulkInsert(
      City,
      counted(cityRows(raw.cities), (n) => onRows("cities", n, cityCount)),
    );
    return { countries, cities, fresh: true };
  });
}

function* counted<T>(rows: Iterable<T>, onCount: (count: number) => void): Generator<T> {
  let count = 0;
  for (const row of rows) {
    yield row;
    if (++count % 1_000 === 0) onCount(count);
  }
  onCount(count);
}
