/**
 * Atlas: the countries and cities of the world, loaded into a database and served.
 *
 *     deno task demo --help
 */

import { AsyncEngine, createAll, SluiceError } from "../../../mod.ts";
import { check, isRight } from "./check.ts";
import { load } from "./load.ts";
import { City, Country } from "./model.ts";
import { type Options, optionsFrom, USAGE } from "./options.ts";
import { ProgressBar } from "./progress_bar.ts";
import { atlas, onError } from "./serve.ts";
import { lapText, Tally } from "./tally.ts";

async function main(options: Options): Promise<number> {
  await using folder = await temporaryFolder(options);
  await using engine = new AsyncEngine(options.url ?? `sqlite:${folder.path}/atlas.db`, {
    entities: [Country, City],
  });
  console.log(`Atlas on ${engine.target}`);
  return options.check ? await checked(engine) : await served(engine, options.port);
}

async function checked(engine: AsyncEngine): Promise<number> {
  const findings = await check(engine, (line) => console.log(`  ${line}`));
  for (const finding of findings) {
    const { what, expected, found } = finding;
    const mark = isRight(finding) ? "ok " : "BAD";
    console.log(`  ${mark} ${what.padEnd(40)} ${short(found)}`);
    if (!isRight(finding)) console.log(`      ${"expected".padEnd(40)} ${short(expected)}`);
  }
  const wrong = findings.filter((finding) => !isRight(finding)).length;
  console.log(
    wrong === 0 ? `All ${findings.length} checks hold` : `${wrong} checks FAILED`,
  );
  return wrong === 0 ? 0 : 1;
}

async function served(engine: AsyncEngine, port: number): Promise<number> {
  const tally = new Tally(engine);
  await createAll(engine);
  const bar = new ProgressBar();
  const loaded = await load(engine, (table, done, total) => bar.update(table, done, total));
  bar.end();
  console.log(
    `  ${loaded.countries} countries and ${loaded.cities.toLocaleString("en")} cities ` +
      `${loaded.fresh ? "loaded" : "were there already"}: ${lapText(tally.lap())}`,
  );

  const handler = atlas(engine);
  const server = Deno.serve({
    port,
    hostname: "127.0.0.1",
    onError,
    onListen: ({ port }) => console.log(whatToTry(`http://localhost:${port}`)),
  }, (request, info) => {
    const { pathname, search } = new URL(request.url);
    const tell = () => {
      console.log(`  ${request.method} ${pathname}${search}: ${lapText(tally.lap())}`);
    };
    tally.lap();
    info.completed.then(tell, tell);
    return handler(request, info);
  });
  await interrupted();
  console.log("\nStopping …");
  await Promise.race([server.shutdown(), new Promise((resolve) => setTimeout(resolve, 2_000))]);
  await engine.dispose({ timeout: 1_000 });
  return 0;
}

function whatToTry(origin: string): string {
  return `
Open ${origin}/ or try

  curl '${origin}/countries?continent=Oceania'
  curl '${origin}/countries/CH?top=3'
  curl '${origin}/cities.ndjson' | head -n 3
  curl -X POST '${origin}/recount'

Requests, with the statements and the time since the last line (Ctrl-C ends it):
`;
}

/** A folder for the database, if none was named; removed at the end. */
async function temporaryFolder({ url }: Options) {
  const path = url === undefined ? await Deno.makeTempDir({ prefix: "sluice-atlas-" }) : undefined;
  return {
    path,
    async [Symbol.asyncDispose]() {
      if (path !== undefined) await Deno.remove(path, { recursive: true });
    },
  };
}

function interrupted(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      Deno.addSignalListener(signal, () => resolve());
    }
  });
}

function short(value: unknown): string {
  const text = typeof value === "number" ? value.toLocaleString("en") : JSON.stringify(value);
  return text.length <= 60 ? text : `${text.slice(0, 57)}…`;
}

const options = optionsFrom(Deno.args);
if (typeof options === "string") {
  console.error(`${options}\n\n${USAGE}`);
  Deno.exit(2);
}
if (options.help) {
  console.log(USAGE);
  Deno.exit(0);
}
try {
  Deno.exit(await main(options));
} catch (error) {
  const expected = error instanceof SluiceError || error instanceof Deno.errors.AddrInUse;
  if (!expected) throw error;
  console.error(error instanceof SluiceError ? `${error.code}: ${error.message}` : portTaken());
  Deno.exit(1);
}

function portTaken(): string {
  return `The port is taken: choose another one with --port=`;
}
