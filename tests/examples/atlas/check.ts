/**
 * The atlas' check of itself: loads, serves, asks every route as a client would, and compares the
 * answers with numbers worked out from the raw data alone, without the database and without us.
 */

import { type AsyncEngine, createAll } from "../../../mod.ts";
import { type RawCity, type RawCountry, rawData } from "./data.ts";
import { load } from "./load.ts";
import type { RecountProgress } from "./recount.ts";
import { atlas, onError } from "./serve.ts";
import { lapText, Tally } from "./tally.ts";

/** One thing that was checked. */
export interface Finding {
  what: string;
  expected: unknown;
  found: unknown;
}

/** What a finding comes to. */
export function isRight({ expected, found }: Finding): boolean {
  return JSON.stringify(expected) === JSON.stringify(found);
}

/** Does the whole round on an engine; `say` is told how it goes. */
export async function check(
  engine: AsyncEngine,
  say: (line: string) => void = () => {},
): Promise<Finding[]> {
  const tally = new Tally(engine);
  const findings: Finding[] = [];
  const look = (what: string, expected: unknown, found: unknown) =>
    void findings.push({ what, expected, found });
  const lap = (what: string) => say(`${what.padEnd(30)} ${lapText(tally.lap())}`);

  const raw = await rawData();
  tally.lap();
  await createAll(engine);
  const loaded = await load(engine);
  lap(loaded.fresh ? "loaded" : "found loaded");
  look("countries in the database", raw.countries.length, loaded.countries);
  look("cities in the database", raw.cities.length, loaded.cities);

  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {}, onError },
    atlas(engine),
  );
  const client = new Client(`http://127.0.0.1:${server.addr.port}`);
  try {
    await checkPage(client, look);
    lap("GET /");
    await checkCountries(client, raw, look);
    lap("GET /countries");
    await checkCountry(client, raw, look);
    lap("GET /countries/:code");
    await checkLeaving(client, engine, look);
    lap("clients that leave");
    await checkRecount(client, raw, look);
    lap("POST /recount");
    await checkCities(client, raw.cities, look);
    lap("GET /cities.ndjson");
    await checkProblems(client, look);
    lap("bad requests");
  } finally {
    await server.shutdown();
  }
  look("connections still lent", 0, engine.pool.status().checkedOut);
  return findings;
}

type Look = (what: string, expected: unknown, found: unknown) => void;
type Raw = { countries: readonly RawCountry[]; cities: readonly RawCity[] };

async function checkPage(client: Client, look: Look): Promise<void> {
  for (const [path, type] of [["/", "html"], ["/style.css", "css"], ["/atlas.js", "javascript"]]) {
    const response = await client.get(path!);
    const text = await response.text();
    look(`GET ${path}`, [200, `text/${type}; charset=utf-8`, true], [
      response.status,
      response.headers.get("content-type"),
      text.length > 500,
    ]);
  }
}

async function checkCountries(client: Client, raw: Raw, look: Look): Promise<void> {
  interface Listed {
    code: string;
    name: string;
    continent: string;
    languages: string[];
    area: number;
    cityCount: number;
    cityPopulation: number;
  }
  const listed = await client.json<Listed[]>("/countries");
  const count = new Map<string, number>();
  const population = new Map<string, number>();
  for (const city of raw.cities) {
    count.set(city.country, (count.get(city.country) ?? 0) + 1);
    population.set(city.country, (population.get(city.country) ?? 0) + city.population);
  }
  const byCode = (a: { code: string }, b: { code: string }) => a.code < b.code ? -1 : 1;
  const expected = raw.countries.map((country) => ({
    code: country.cca2,
    name: country.name.common,
    continent: country.region,
    languages: Object.values(country.languages),
    area: country.area,
    cityCount: count.get(country.cca2) ?? 0,
    cityPopulation: population.get(country.cca2) ?? 0,
  }));
  const found = listed.map(
    ({ code, name, continent, languages, area, cityCount, cityPopulation }) => ({
      code,
      name,
      continent,
      languages,
      area,
      cityCount,
      cityPopulation,
    }),
  );
  look("countries", raw.countries.length, listed.length);
  look(
    "people in all cities",
    raw.cities.reduce((sum, city) => sum + city.population, 0),
    listed.reduce((sum, country) => sum + country.cityPopulation, 0),
  );
  const known = new Set(raw.countries.map((country) => country.cca2));
  look(
    "cities of no known country",
    raw.cities.filter((city) => !known.has(city.country)).length,
    raw.cities.length - listed.reduce((sum, country) => sum + country.cityCount, 0),
  );
  look(
    "countries that differ",
    0,
    differences(expected.sort(byCode), found.sort(byCode)),
  );
  for (const continent of new Set(raw.countries.map((country) => country.region))) {
    const some = await client.json<Listed[]>(`/countries?continent=${continent}`);
    look(
      `countries of ${continent}`,
      raw.countries.filter((country) => country.region === continent).map((c) => c.cca2).sort(),
      some.map((country) => country.code).sort(),
    );
  }
}

async function checkCountry(client: Client, raw: Raw, look: Look): Promise<void> {
  interface Portrait {
    name: string;
    largestCities: { name: string; population: number }[];
  }
  // A large one, one in small letters, and one without any city.
  for (const [code, path] of [["CN", "CN"], ["CH", "ch?top=3"], ["BV", "BV"]] as const) {
    const portrait = await client.json<Portrait>(`/countries/${path}`);
    const largest = raw.cities.filter((city) => city.country === code)
      .sort((a, b) => b.population - a.population || a.cityId - b.cityId)
      .slice(0, path.endsWith("top=3") ? 3 : 10)
      .map(({ name, population }) => `${name} ${population}`);
    look(
      `GET /countries/${path}`,
      [raw.countries.find((country) => country.cca2 === code)!.name.common, ...largest],
      [
        portrait.name,
        ...portrait.largestCities.map(({ name, population }) => `${name} ${population}`),
      ],
    );
  }
}

interface StreamedCity {
  id: number;
  name: string;
  alternateName: string | null;
  kind: string;
  population: number;
  latitude: number;
  longitude: number;
  countryCode: string;
  share: number | null;
  rank: number | null;
}

async function checkCities(
  client: Client,
  raw: readonly RawCity[],
  look: Look,
): Promise<void> {
  const cities = new Map(raw.map((city) => [city.cityId, city]));
  const standings = standingsOf(raw);
  let streamed = 0;
  let different = 0;
  let misjudged = 0;
  for await (const found of client.lines<StreamedCity>("/cities.ndjson")) {
    streamed++;
    const city = cities.get(found.id);
    const standing = standings.get(found.id);
    cities.delete(found.id);
    const same = city !== undefined && city.name === found.name &&
      city.altName === (found.alternateName ?? "") && city.featureCode === found.kind &&
      city.population === found.population && city.country === found.countryCode &&
      city.loc.coordinates[0] === found.longitude && city.loc.coordinates[1] === found.latitude;
    if (!same) different++;
    if (standing?.rank !== found.rank || standing.share !== found.share) misjudged++;
  }
  look("cities streamed", raw.length, streamed);
  look("cities missing in the stream", 0, cities.size);
  look("cities unlike the source", 0, different);
  look("cities with a wrong rank or share", 0, misjudged);
}

/** Ranks and shares by sorting, which is not how the recount finds them. */
function standingsOf(raw: readonly RawCity[]): Map<number, { rank: number; share: number }> {
  const standings = new Map<number, { rank: number; share: number }>();
  for (const cities of Map.groupBy(raw, (city) => city.country).values()) {
    const sum = cities.reduce((total, city) => total + city.population, 0);
    cities.sort((a, b) => b.population - a.population);
    let rank = 0;
    cities.forEach((city, i) => {
      if (city.population !== cities[i - 1]?.population) rank = i + 1;
      standings.set(city.cityId, { rank, share: sum === 0 ? 0 : city.population / sum });
    });
  }
  return standings;
}

async function checkLeaving(client: Client, engine: AsyncEngine, look: Look): Promise<void> {
  for (const [method, path] of [["GET", "/cities.ndjson"], ["POST", "/recount"]] as const) {
    const leaving = new AbortController();
    const response = await client.send(method, path, leaving.signal);
    await response.body!.getReader().read();
    leaving.abort();
    const deadline = performance.now() + 10_000;
    while (engine.pool.status().checkedOut > 0 && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    look(`lent after leaving ${method} ${path}`, 0, engine.pool.status().checkedOut);
  }
}

async function checkRecount(client: Client, raw: Raw, look: Look): Promise<void> {
  const progress: RecountProgress[] = [];
  for await (const line of client.lines<RecountProgress>("/recount", "POST")) progress.push(line);
  look("cities recounted", raw.cities.length, progress.at(-1)?.cities);
  look("batches told of one by one", progress.map((_, i) => i + 1), progress.map((p) => p.batches));
}

async function checkProblems(client: Client, look: Look): Promise<void> {
  const cases: [method: string, path: string, status: number][] = [
    ["GET", "/nowhere", 404],
    ["GET", "/countries/QQ", 404],
    ["GET", "/countries/%27%20or%201%3D1", 400],
    ["GET", "/countries/%FF", 400],
    ["GET", "/countries/A%00", 400],
    ["GET", "/countries?continent=Atlantis", 404],
    ["GET", "/countries?continent=%00", 400],
    ["GET", "/countries/CH?top=1000", 400],
    ["GET", "/recount", 405],
    ["DELETE", "/countries/CH", 405],
  ];
  for (const [method, path, status] of cases) {
    const response = await client.send(method, path);
    const { code, message } = await response.json();
    look(`${method} ${path}`, [status, "string", "string"], [
      response.status,
      typeof code,
      typeof message,
    ]);
  }
}

/** How many items of two lists of equal order differ. */
function differences(expected: readonly unknown[], found: readonly unknown[]): number {
  const length = Math.max(expected.length, found.length);
  return Array.from({ length }, (_, i) => i)
    .filter((i) => JSON.stringify(expected[i]) !== JSON.stringify(found[i])).length;
}

/** Asks a server. */
class Client {
  readonly #origin: string;

  constructor(origin: string) {
    this.#origin = origin;
  }

  send(method: string, path: string, signal: AbortSignal | null = null): Promise<Response> {
    return fetch(this.#origin + path, { method, signal });
  }

  get(path: string): Promise<Response> {
    return this.send("GET", path);
  }

  async json<T>(path: string): Promise<T> {
    const response = await this.get(path);
    if (!response.ok) throw new Error(`GET ${path}: ${await response.text()}`);
    return await response.json();
  }

  async *lines<T>(path: string, method = "GET"): AsyncGenerator<T> {
    const response = await this.send(method, path);
    if (!response.ok) throw new Error(`${method} ${path}: ${await response.text()}`);
    let rest = "";
    for await (const text of response.body!.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (const line of lines) yield JSON.parse(line);
    }
  }
}
