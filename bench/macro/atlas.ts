/**
 * Loading all cities of the atlas and streaming them back, against the bare driver doing the same:
 * `deno run -A bench/macro/atlas.ts [--rounds=3] [--only=sqlite,pglite,postgres]`. Prints a Markdown
 * table of medians.
 *
 * Every measurement is a process of its own, the contenders take turns, and the same tables, made
 * by `createAll`, are filled by both. The clock runs for the work alone: neither the start of
 * the process nor the connection, nor reading the source, which fills some 60 MB of either side. CPU
 * time is that of the process: the whole work of an embedded database, the client's of a server. The
 * peak is that of the whole process during the work.
 */

import { cpuUsage } from "node:process";
import { DatabaseSync } from "node:sqlite";
import { parseArgs } from "node:util";
import { PGlite } from "@electric-sql/pglite";
import postgres from "postgres";
import { AsyncEngine, createAll, dropAll } from "../../mod.ts";
import { startPostgres } from "../../tests/support/postgres_server.ts";
import { cityRows, countryRows, rawData } from "../../tests/examples/atlas/data.ts";
import { City, Country } from "../../tests/examples/atlas/model.ts";

const CITIES = 135_233;
const POPULATION = 3_133_032_118;
const CHUNK = 5_000;
const WINDOW = 500;

const SIDES = ["bare", "sluice"] as const;
const TASKS = ["load", "stream"] as const;
type Side = typeof SIDES[number];
type Task = typeof TASKS[number];

interface Measured {
  ms: number;
  /** Time of this process on any core, which a busy machine does not stretch. */
  cpu: number;
  /** Highest resident memory during the work, in MiB. */
  peak: number;
}

interface Source {
  countries: Iterable<Record<string, unknown>>;
  cities: Iterable<Record<string, unknown>>;
}

/** What came back: the proof that it is the right thing. */
interface Seen {
  cities: number;
  population: number;
}

/** One side on one database, ready to work. */
interface Contender {
  load(source: Source): Promise<void>;
  stream(): Promise<Seen>;
  close(): Promise<void>;
}

// --- the sides -----------------------------------------------------------------------------------

function sluice(url: string): Contender {
  const engine = new AsyncEngine(url, { entities: [Country, City] });
  return {
    load: async (source) => {
      await using session = engine.session();
      await session.begin(async () => {
        await session.bulkInsert(Country, source.countries as Iterable<never>);
        await session.bulkInsert(City, source.cities as Iterable<never>);
      });
    },
    stream: async () => {
      await using session = engine.session();
      const seen = { cities: 0, population: 0 };
      for await (const city of session.query(City).window(WINDOW)) {
        seen.cities++;
        seen.population += city.population;
      }
      return seen;
    },
    close: () => engine.dispose(),
  };
}

const COUNTRY = [
  ["code", "text"],
  ["name", "text"],
  ["officialName", "text"],
  ["continent", "text"],
  ["subregion", "text"],
  ["capital", "text"],
  ["languages", "jsonb"],
  ["flag", "text"],
  ["landlocked", "bool"],
  ["area", "float8"],
] as const;
const CITY = [
  ["id", "int4"],
  ["name", "text"],
  ["alternateName", "text"],
  ["kind", "text"],
  ["population", "int4"],
  ["latitude", "float8"],
  ["longitude", "float8"],
  ["countryCode", "text"],
] as const;
type Columns = readonly (readonly [property: string, type: string])[];

const snake = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const names = (columns: Columns) => columns.map(([property]) => snake(property)).join(", ");
const SELECT = `select ${names(CITY)}, share, rank from atlas_cities`;

/** The value that SQLite's driver takes. */
function sqliteValue(value: unknown): string | number | null {
  if (typeof value === "boolean") return value ? 1 : 0;
  return typeof value === "object" && value !== null
    ? JSON.stringify(value)
    : value as string | number | null;
}

function bareSqlite(url: string): Contender {
  const db = new DatabaseSync(url.slice("sqlite:".length));
  db.exec("pragma journal_mode = wal; pragma synchronous = normal");
  const insert = (table: string, columns: Columns, rows: Iterable<Record<string, unknown>>) => {
    const marks = columns.map(() => "?").join(", ");
    const statement = db.prepare(`insert into ${table} (${names(columns)}) values (${marks})`);
    for (const row of rows) statement.run(...columns.map(([name]) => sqliteValue(row[name])));
  };
  return {
    load: ({ countries, cities }) => {
      db.exec("begin immediate");
      insert("atlas_countries", COUNTRY, countries);
      insert("atlas_cities", CITY, cities);
      db.exec("commit");
      return Promise.resolve();
    },
    stream: () => {
      const seen = { cities: 0, population: 0 };
      for (const row of db.prepare(SELECT).iterate()) {
        seen.cities++;
        seen.population += row.population as number;
      }
      return Promise.resolve(seen);
    },
    close: () => Promise.resolve(db.close()),
  };
}

/** JSON and booleans travel as text: npm `postgres` makes no arrays of them. */
const asText = (type: string) => type === "jsonb" || type === "bool";

function unnest(table: string, columns: Columns): string {
  const wire = (type: string) => asText(type) ? "text" : type;
  const arrays = columns.map(([, type], i) => `$${i + 1}::${wire(type)}[]`).join(", ");
  const selected = columns.map(([name, type]) => `${snake(name)}::${type}`).join(", ");
  return `insert into ${table} (${names(columns)})
    select ${selected} from unnest(${arrays}) as t(${names(columns)})`;
}

/** The rows in chunks of columns. */
function* chunks(columns: Columns, rows: Iterable<Record<string, unknown>>) {
  const empty = (): unknown[][] => columns.map(() => []);
  let chunk = empty();
  for (const row of rows) {
    for (let i = 0; i < columns.length; i++) {
      const [name, type] = columns[i]!;
      chunk[i]!.push(asText(type) ? JSON.stringify(row[name]) : row[name]);
    }
    if (chunk[0]!.length < CHUNK) continue;
    yield chunk;
    chunk = empty();
  }
  if (chunk[0]!.length > 0) yield chunk;
}

async function barePglite(url: string): Promise<Contender> {
  const db = await PGlite.create(url.slice("pglite:".length));
  return {
    load: ({ countries, cities }) =>
      db.transaction(async (tx) => {
        for (const chunk of chunks(COUNTRY, countries)) {
          await tx.query(unnest("atlas_countries", COUNTRY), chunk);
        }
        for (const chunk of chunks(CITY, cities)) {
          await tx.query(unnest("atlas_cities", CITY), chunk);
        }
      }),
    stream: () =>
      db.transaction(async (tx) => {
        const seen = { cities: 0, population: 0 };
        await tx.query(`declare c no scroll cursor for ${SELECT}`);
        for (;;) {
          const { rows } = await tx.query<{ population: number }>(`fetch ${WINDOW} from c`);
          for (const { population } of rows) {
            seen.cities++;
            seen.population += population;
          }
          if (rows.length < WINDOW) return seen;
        }
      }),
    close: () => db.close(),
  };
}

function barePostgres(url: string): Contender {
  const sql = postgres(url, { max: 1 });
  const insert = async (
    tx: postgres.TransactionSql,
    table: string,
    columns: Columns,
    rows: Iterable<Record<string, unknown>>,
  ) => {
    const text = unnest(table, columns);
    for (const chunk of chunks(columns, rows)) {
      await tx.unsafe(text, chunk as never[], { prepare: true });
    }
  };
  return {
    load: async ({ countries, cities }) => {
      await sql.begin(async (tx) => {
        await insert(tx, "atlas_countries", COUNTRY, countries);
        await insert(tx, "atlas_cities", CITY, cities);
      });
    },
    stream: async () => {
      const seen = { cities: 0, population: 0 };
      for await (const rows of sql.unsafe(SELECT, [], { prepare: true }).cursor(WINDOW)) {
        for (const { population } of rows) {
          seen.cities++;
          seen.population += population;
        }
      }
      return seen;
    },
    close: () => sql.end(),
  };
}

async function contender(side: Side, url: string): Promise<Contender> {
  if (side === "sluice") return sluice(url);
  if (url.startsWith("sqlite:")) return bareSqlite(url);
  return url.startsWith("pglite:") ? await barePglite(url) : barePostgres(url);
}

// --- a child: one measurement --------------------------------------------------------------------

async function measure(task: Task | "empty", side: Side, url: string): Promise<Measured> {
  if (task === "empty") return await empty(url);
  const { load, stream, close } = await contender(side, url);
  const source = task === "load" ? await readSource() : undefined;
  await forgetPeak();
  const before = cpuUsage();
  const started = performance.now();
  const seen = source === undefined ? await stream() : await load(source);
  const ms = performance.now() - started;
  const { user, system } = cpuUsage(before);
  const measured = { ms, cpu: (user + system) / 1000, peak: await peakMemory() };
  if (seen && (seen.cities !== CITIES || seen.population !== POPULATION)) {
    throw new Error(`The ${task} of ${side} gave ${JSON.stringify(seen)}`);
  }
  await close();
  return measured;
}

async function readSource(): Promise<Source> {
  const raw = await rawData();
  return { countries: countryRows(raw.countries), cities: cityRows(raw.cities) };
}

async function empty(url: string): Promise<Measured> {
  await using engine = new AsyncEngine(url, { entities: [Country, City] });
  await dropAll(engine);
  await createAll(engine);
  return { ms: 0, cpu: 0, peak: 0 };
}

/** Linux counts the peak anew from here on; elsewhere this does nothing. */
async function forgetPeak(): Promise<void> {
  await Deno.writeTextFile("/proc/self/clear_refs", "5").catch(() => {});
}

async function peakMemory(): Promise<number> {
  const status = await Deno.readTextFile("/proc/self/status").catch(() => "");
  const kib = status.match(/VmHWM:\s+(\d+)/)?.[1];
  return kib === undefined ? Deno.memoryUsage().rss / 2 ** 20 : Number(kib) / 1024;
}

// --- the parent: rounds and the table ------------------------------------------------------------

async function inChild(task: Task | "empty", side: Side, url: string): Promise<Measured> {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", import.meta.filename!, `--child=${task},${side}`, url],
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`${task} of ${side} on ${url} failed`);
  return JSON.parse(new TextDecoder().decode(stdout).trim().split("\n").at(-1)!);
}

async function compare(name: string, url: string, rounds: number): Promise<void> {
  const results = new Map<string, Measured[]>();
  for (let round = 0; round < rounds; round++) {
    for (const side of round % 2 === 0 ? SIDES : SIDES.toReversed()) {
      await inChild("empty", side, url);
      for (const task of TASKS) {
        const key = `${task} ${side}`;
        results.set(key, [...(results.get(key) ?? []), await inChild(task, side, url)]);
      }
    }
  }
  for (const task of TASKS) {
    const of = (side: Side, what: keyof Measured) =>
      median(results.get(`${task} ${side}`)!.map((measured) => measured[what]));
    const cells = [
      name,
      task,
      of("bare", "ms").toFixed(0),
      of("sluice", "ms").toFixed(0),
      (of("sluice", "ms") / of("bare", "ms")).toFixed(2),
      of("bare", "cpu").toFixed(0),
      of("sluice", "cpu").toFixed(0),
      (of("sluice", "cpu") / of("bare", "cpu")).toFixed(2),
      of("bare", "peak").toFixed(0),
      of("sluice", "peak").toFixed(0),
    ];
    console.log(`| ${cells.join(" | ")} |`);
  }
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1]!;
}

const { values, positionals } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    only: { type: "string", default: "sqlite,pglite,postgres" },
    child: { type: "string" },
  },
  allowPositionals: true,
});
if (values.child !== undefined) {
  const [task, side] = values.child.split(",") as [Task, Side];
  console.log(JSON.stringify(await measure(task, side, positionals[0]!)));
} else {
  const folder = await Deno.makeTempDir({ prefix: "sluice-atlas-bench-" });
  try {
    console.log(
      "| database | work | bare ms | Sluice ms | ratio | bare CPU ms | Sluice CPU ms | ratio | " +
        "bare peak MiB | Sluice peak MiB |",
    );
    console.log("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|");
    for (const name of values.only.split(",")) {
      const url = name === "postgres"
        ? (await startPostgres({ settings: { shared_buffers: "256MB", max_wal_size: "8GB" } })).url
        : `${name}:${folder}/${name}`;
      await compare(name, url, Number(values.rounds));
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
