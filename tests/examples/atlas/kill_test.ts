/** The atlas under load, while every backend of its database is killed again and again. */

import { assert, assertEquals } from "@std/assert";
import { AsyncEngine, createAll } from "../../../mod.ts";
import { carryOut } from "../../faults/support.ts";
import { createDatabase, dropDatabase, sharedPostgres } from "../../support/postgres_server.ts";
import { cityRows, countryRows, rawData } from "./data.ts";
import { City, Country } from "./model.ts";
import { atlas, onError } from "./serve.ts";

const database = await createDatabase(await sharedPostgres());
Deno.test.afterAll(() => dropDatabase(database));

const CITIES = 5_000;
const KILLS = 8;

/** What a request was answered with: its rows, or the code of a typed error. */
interface Answer {
  readonly status: number;
  readonly rows: number | undefined;
  readonly code: string | undefined;
}

Deno.test("The atlas answers requests in flight with typed errors while every backend is killed, and rightly after", async () => {
  await carryOut(database, async (scenario) => {
    const engine = new AsyncEngine(database, { entities: [Country, City], poolSize: 4 });
    await using _engine = engine;
    await createAll(engine);
    const raw = await rawData();
    const cities = cityRows(raw.cities).take(CITIES).toArray();
    const session = engine.session();
    await session.bulkInsert(Country, countryRows(raw.countries));
    await session.bulkInsert(City, cities);
    await session.close();

    const server = Deno.serve({ port: 0, onListen: () => {}, onError }, atlas(engine));
    const origin = `http://localhost:${server.addr.port}`;
    const right = { "/countries": 250, "/cities.ndjson": CITIES };
    const ask = async (path: keyof typeof right): Promise<Answer> => {
      const response = await fetch(`${origin}${path}`);
      try {
        const text = await response.text();
        if (response.status !== 200) {
          return { status: response.status, rows: undefined, code: JSON.parse(text).code };
        }
        const rows = path === "/countries" ? JSON.parse(text).length : text.split("\n").length - 1;
        return { status: 200, rows, code: undefined };
      } catch {
        // The answer had begun when the stream broke: it must not look complete.
        return { status: 0, rows: undefined, code: undefined };
      }
    };

    let over = false;
    const answers: (Answer & { readonly path: keyof typeof right })[] = [];
    const workers = Array.from({ length: 6 }, async (_, i) => {
      const path = i % 2 === 0 ? "/countries" : "/cities.ndjson";
      while (!over) answers.push({ ...await ask(path), path });
    });
    for (let kill = 0; kill < KILLS; kill++) {
      await new Promise((resolve) => setTimeout(resolve, 120));
      await scenario.sql(
        "select pg_terminate_backend(pid) from pg_stat_activity " +
          "where datname = current_database() and pid <> pg_backend_pid()",
      );
    }
    over = true;
    await Promise.all(workers);

    for (const { path, status, rows, code } of answers) {
      if (status === 200) assertEquals(rows, right[path], `a whole answer from ${path}`);
      else if (status !== 0) assert(code?.startsWith("CONNECT"), `${status} ${code}`);
    }
    assert(answers.some(({ status }) => status === 200), "some answers were whole");
    assert(answers.some(({ status }) => status !== 200), "some were hit");
    for (const path of ["/countries", "/cities.ndjson"] as const) {
      assertEquals(await ask(path), { status: 200, rows: right[path], code: undefined });
    }
    await server.shutdown();
    assertEquals(engine.pool.status().checkedOut, 0);
  });
});
