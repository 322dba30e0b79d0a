/** The atlas over HTTP: a handler for `Deno.serve`. */

import {
  type AsyncEngine,
  type AsyncSession,
  ConnectionError,
  InputError,
  PoolError,
  SluiceError,
  sql,
} from "../../../mod.ts";
import { withSession } from "../../../src/server/mod.ts";
import { City, Country } from "./model.ts";
import { recount } from "./recount.ts";

const PATHS = new Set([
  "/",
  "/style.css",
  "/atlas.js",
  "/countries",
  "/countries/:code",
  "/cities.ndjson",
  "/recount",
]);

/** Handles every request of the atlas. */
export function atlas(
  engine: AsyncEngine,
): (request: Request, info?: unknown) => Promise<Response> {
  return withSession(engine, (request, session) => {
    const url = new URL(request.url);
    const code = /^\/countries\/([^/]+)$/.exec(url.pathname)?.[1];
    const path = code === undefined ? url.pathname : "/countries/:code";
    switch (`${request.method === "HEAD" ? "GET" : request.method} ${path}`) {
      case "GET /":
        return asset("index.html", "text/html");
      case "GET /style.css":
        return asset("style.css", "text/css");
      case "GET /atlas.js":
        return asset("atlas.js", "text/javascript");
      case "GET /countries":
        return countries(session, url.searchParams.get("continent"));
      case "GET /countries/:code":
        return country(session, code!, url.searchParams.get("top") ?? "10");
      case "GET /cities.ndjson":
        return lines(session.query(City).ndjson());
      case "POST /recount":
        return lines(progressOf(session));
      default:
        return PATHS.has(path)
          ? problem(405, "METHOD_NOT_ALLOWED", `${path} does not take ${request.method}`)
          : problem(404, "NOT_FOUND", `There is nothing at ${path}`);
    }
  });
}

/** What went wrong, as JSON: for `Deno.serve`'s `onError`. */
export function onError(error: unknown): Response {
  if (!(error instanceof SluiceError)) {
    console.error(error);
    return problem(500, "INTERNAL", "Something failed; see the server's log");
  }
  if (error instanceof InputError) return problem(400, error.code, error.message);
  // The database is away, or busy beyond measure: worth another try.
  const temporary = error instanceof ConnectionError || error instanceof PoolError;
  return problem(temporary ? 503 : 500, error.code, error.message);
}

async function countries(session: AsyncSession, continent: string | null): Promise<Response> {
  const query = session.query(Country).orderBy((c) => c.name.asc());
  const found = await (continent ? query.filterBy({ continent }) : query).all();
  if (found.length === 0) {
    return problem(404, "NOT_FOUND", `No country is in "${continent}"`);
  }
  const totals = await session.execute(sql<{ code: string; cities: number; population: number }>`
    select ${City.c.countryCode} as code, count(*) as cities, sum(${City.c.population}) as population
    from ${City} group by ${City.c.countryCode}`);
  const byCode = new Map(totals.rows.map((row) => [row.code, row]));
  return Response.json(found.map((country) => ({
    ...country,
    // Counts and sums can be bigint, which JSON does not have.
    cityCount: Number(byCode.get(country.code)?.cities ?? 0),
    cityPopulation: Number(byCode.get(country.code)?.population ?? 0),
  })));
}

async function country(session: AsyncSession, code: string, top: string): Promise<Response> {
  if (!/^[a-z]{2}$/i.test(code)) {
    return problem(400, "INVALID_INPUT", "A country's code has two letters");
  }
  if (!/^(?:[1-9]\d?|100)$/.test(top)) {
    return problem(400, "INVALID_INPUT", `top is a whole number from 1 to 100, not "${top}"`);
  }
  // Two statements: the country, and its largest cities by selectin.
  const country = await session.query(Country)
    .filterBy({ code: code.toUpperCase() })
    .selectin(
      "cities",
      (cities) => cities.orderBy((c) => [c.population.desc(), c.id.asc()]).limit(Number(top)),
    )
    .oneOrNone();
  if (country === undefined) return problem(404, "NOT_FOUND", `No country has the code "${code}"`);
  const { cities, ...columns } = country;
  return Response.json({ ...columns, largestCities: cities });
}

/** Runs a recount for as long as its lines are read. */
function progressOf(session: AsyncSession): ReadableStream<Uint8Array> {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const encoder = new TextEncoder();
  const write = (line: object) => writer.write(encoder.encode(`${JSON.stringify(line)}\n`));
  recount(session, write)
    .then(() => writer.close(), (error) => writer.abort(error))
    .catch(() => {}); // the reader has left
  return readable;
}

function lines(body: ReadableStream<Uint8Array>): Response {
  return new Response(body, { headers: { "content-type": "application/x-ndjson" } });
}

async function asset(name: string, type: string): Promise<Response> {
  const text = await Deno.readTextFile(new URL(`./page/${name}`, import.meta.url));
  return new Response(text, {
    headers: {
      "content-type": `${type}; charset=utf-8`,
      "content-security-policy":
        "default-src 'self'; img-src data:; base-uri 'none'; form-action 'none'",
      "x-content-type-options": "nosniff",
    },
  });
}

function problem(status: number, code: string, message: string): Response {
  return Response.json({ code, message }, { status });
}
