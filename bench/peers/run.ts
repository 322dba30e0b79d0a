/**
 * Sluice, raw npm `postgres` and the peers, case by case: `deno task bench:peers`.
 *
 *     --only=stream,http         some cases; a name ending in * stands for all that begin so
 *     --contenders=sluice        some contenders; raw is always there
 *     --rounds=5 --scale=1       how often, and how much
 *     --quick                    everything once at a hundredth of the size, to see that it works
 *     --out=DIR                  where the results go; bench/results for a whole run, else a new folder
 */

import os from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import postgres from "postgres";
import { database } from "../support/server.ts";
import type { Raw } from "../support/workload.ts";
import { booksAt, type Case, CASES } from "./cases.ts";
import type { Done, Order } from "./child.ts";
import { CONTENDERS } from "./contender.ts";
import { requests } from "./http_client.ts";
import { picture } from "./picture.ts";
import { ContenderProcess } from "./process.ts";
import { report } from "./report.ts";
import { BASE, type CaseResult, median, ratios, type Results } from "./results.ts";
import { makeTables } from "./tables.ts";

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    contenders: { type: "string" },
    rounds: { type: "string" },
    scale: { type: "string" },
    quick: { type: "boolean", default: false },
    out: { type: "string" },
  },
});
const rounds = Number(values.rounds ?? (values.quick ? 1 : 5));
const scale = Number(values.scale ?? (values.quick ? 0.01 : 1));
const contenders = chosen(values.contenders, Object.keys(CONTENDERS))
  .filter((name) => name !== BASE);
contenders.unshift(BASE);
const names = chosen(values.only, CASES.map(({ name }) => name));
const whole = names.length === CASES.length && scale === 1 &&
  contenders.length === Object.keys(CONTENDERS).length;

/** The names asked for, in their own order. */
function chosen(asked: string | undefined, known: readonly string[]): string[] {
  if (asked === undefined) return [...known];
  const patterns = asked.split(",");
  const fits = (name: string, pattern: string) =>
    pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
  const unknown = patterns.filter((pattern) => !known.some((name) => fits(name, pattern)));
  if (unknown.length > 0) throw new Error(`Unknown: ${unknown}. Known are ${known.join(", ")}`);
  return known.filter((name) => patterns.some((pattern) => fits(name, pattern)));
}

/** A case whose rounds take less than so many milliseconds gets more of them. */
const SHORT = 150;

/** What the rounds of a case need. */
interface Setting {
  readonly sql: Raw;
  readonly url: string;
  readonly books: number;
}

async function measure(each: Case, setting: Setting): Promise<CaseResult> {
  const { sql, books } = setting;
  const kind = each.kind ?? "work";
  const n = kind === "start" ? 1 : Math.max(10, Math.round(each.n * scale));
  const result: CaseResult = {
    name: each.name,
    title: each.title(n.toLocaleString("en")),
    n,
    contenders: {},
  };
  await each.before?.(sql, n);
  await using stack = new AsyncDisposableStack();
  const runners = new Map<string, () => Promise<Done>>();
  for (const name of contenders) {
    if (!(each.contenders?.includes(name) ?? true)) continue;
    const order: Order = {
      contender: name,
      name: each.name,
      kind,
      url: setting.url,
      connections: each.connections ?? 1,
      n,
      books,
      rows: each.rows ?? false,
    };
    const run = kind === "start" ? () => start(order) : await runner(order, stack);
    if (run !== undefined) runners.set(name, run);
  }
  let round = 0;
  const turn = async (counts: boolean): Promise<void> => {
    for (const name of turned([...runners.keys()], round++)) {
      const measured = result.contenders[name] ??= { ms: [], cpu: [], peak: 0 };
      try {
        await each.reset?.(sql, n);
        const done = await runners.get(name)!();
        await verify(each, setting, n, done.sum);
        measured.peak = Math.max(measured.peak, done.peak);
        if (!counts) continue;
        measured.ms.push(done.ms);
        if (done.cpu > 0) measured.cpu.push(done.cpu);
      } catch (error) {
        measured.failed = error instanceof Error ? error.message : String(error);
        console.error(`${each.name}, ${name}: ${measured.failed}`);
        runners.delete(name);
        Deno.exitCode = 1;
      }
    }
  };
  const began = performance.now();
  await turn(false);
  if (!values.quick) await turn(false);
  // What is short is compiled, planned and cached after many rounds only, and varies more.
  const short = !values.quick && kind !== "start" &&
    performance.now() - began < SHORT * 2 * runners.size;
  if (short) { for (let more = 0; more < 10; more++) await turn(false); }
  for (let more = 0; more < (short ? 3 * rounds : rounds); more++) await turn(true);
  return result;
}

/** Each contender is the first as often as the others. */
function turned(names: readonly string[], by: number): string[] {
  const at = by % Math.max(1, names.length);
  return [...names.slice(at), ...names.slice(0, at)];
}

/** What does a round, or undefined if the contender does not offer the case. */
async function runner(
  order: Order,
  stack: AsyncDisposableStack,
): Promise<(() => Promise<Done>) | undefined> {
  const process = stack.use(new ContenderProcess(order));
  const { offered, port } = await process.ready();
  if (!offered) return undefined;
  if (port === undefined) return () => process.round();
  return async () => {
    const { n, books } = order;
    const ms = await requests({ port, n, connections: 64, authors: books / 10 });
    return { ...await process.round(), ms, cpu: 0 };
  };
}

/** From nothing to the first row. */
async function start(order: Order): Promise<Done> {
  const started = performance.now();
  await using process = new ContenderProcess(order);
  const said = await process.started();
  const ms = performance.now() - started;
  if ("offered" in said) throw new Error("It does not offer a start");
  return { ...said, ms, cpu: 0 };
}

async function verify(
  { expected, stored, storedExpected }: Case,
  { sql, books }: Setting,
  n: number,
  sum: number,
): Promise<void> {
  if (sum !== expected(n, books)) {
    throw new Error(`The checksum is ${sum} instead of ${expected(n, books)}`);
  }
  if (stored === undefined) return;
  const found = await stored(sql);
  if (found !== storedExpected!(n)) {
    throw new Error(`Stored is ${found} instead of ${storedExpected!(n)}`);
  }
}

async function versions(): Promise<Record<string, string>> {
  const { imports } = JSON.parse(
    await Deno.readTextFile(new URL("./deno.json", import.meta.url)),
  ) as { imports: Record<string, string> };
  const own = ["postgres", "drizzle-orm", "kysely", "pg", "@mikro-orm/core"];
  return Object.fromEntries(own.map((name) => [name, imports[name]!.split("@").at(-1)!]));
}

const url = await database(booksAt(scale));
const sql = postgres(url, { max: 1, onnotice: () => {} });
await makeTables(sql);
const [{ books, server }] = await sql<[{ books: number; server: string }]>`
  select (select count(*)::int from books) as books, current_setting('server_version') as server`;
if (books < booksAt(scale)) throw new Error(`The table books has ${books} rows only`);
const results: Results = {
  when: new Date().toISOString().slice(0, 16).replace("T", " "),
  machine: {
    [`${os.cpus().length} cores of`]: os.cpus()[0]?.model.trim() ?? "an unknown processor",
    memory: `${(os.totalmem() / 2 ** 30).toFixed(0)} GiB`,
    Deno: Deno.version.deno,
    PostgreSQL: server.split(" ")[0]!,
  },
  versions: await versions(),
  scale,
  rounds,
  contenders,
  cases: [],
};
const out = values.out ??
  (whole
    ? new URL("../results", import.meta.url).pathname
    : await Deno.makeTempDir({ prefix: "sluice-peers-" }));
await Deno.mkdir(out, { recursive: true });

for (const name of names) {
  const result = await measure(CASES.find((each) => each.name === name)!, { sql, url, books });
  results.cases.push(result);
  const line = contenders.filter((name) => result.contenders[name] !== undefined)
    .map((name) => `${name} ${median(ratios(result, name)).toFixed(2)}`);
  console.log(`${name}: ${line.join(", ")}`);
  // Each time: a run takes long, and can be broken off.
  await Deno.writeTextFile(join(out, "peers.json"), JSON.stringify(results, null, 1) + "\n");
  await Deno.writeTextFile(join(out, "peers.md"), report(results));
  await Deno.writeTextFile(join(out, "peers.svg"), picture(results));
}
await sql.end();
console.log(`\nThe results are in ${out}: peers.json, peers.md, peers.svg`);
