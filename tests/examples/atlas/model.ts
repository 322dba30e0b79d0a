/** The two tables of the atlas. */

import { belongsTo, boolean, double, entity, hasMany, integer, json, text } from "../../../mod.ts";

/** A country or territory with an ISO 3166-1 code of two letters, which is its key. */
export class Country extends entity("atlas_countries", {
  code: text().primaryKey(),
  name: text(),
  officialName: text(),
  continent: text().index(),
  subregion: text().nullable(),
  capital: text().nullable(),
  languages: json<string[]>(),
  flag: text(),
  landlocked: boolean(),
  /** In square kilometres. */
  area: double(),
  cities: hasMany<City>("atlas_cities.countryCode"),
}) {}

/** A place where people live, by its id in GeoNames. */
export class City extends entity("atlas_cities", {
  id: integer().primaryKey(),
  name: text(),
  alternateName: text().nullable(),
  /** What GeoNames calls a feature code: `PPLC` is a capital. */
  kind: text(),
  population: integer(),
  latitude: double(),
  longitude: double(),
  countryCode: text().references("atlas_countries.code").index(),
  /** Its part of all people in its country's cities, from 0 to 1. Null before the first recount. */
  share: double().nullable(),
  /** Its place among its country's cities; cities of equal size share one. */
  rank: integer().nullable(),
  country: belongsTo<Country>("countryCode"),
}) {}
