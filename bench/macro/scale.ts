/**
 * How time grows: with the rows of a result, with what a flush finds changed, with those who wait
 * for a connection, and with the age of a pool. `deno run -A bench/macro/scale.ts [--only=rows,flush,
 * waiters,age]` prints a Markdown table for each; what grows in proportion has a constant column.
 */

import { parseArgs } from "node:util";
import { AsyncEngine } from "../../mod.ts";
import { QueuePool } from "../../src/pool/queue_pool.ts";
import { Author, Book, Import } from "../support/library.ts";
import { nothing } from "../support/nothing.ts";
import { database } from "../support/server.ts";

const ROUNDS = 5;
const TASKS = 64;

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1]!;

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

/** The median of some rounds, after one that does not count, in milliseconds. */
async function measured(rounds: number, work: () => Promise<number>): Promise<number> {
  await work();
  const times: number[] = [];
  for (let i = 0; i < rounds; i++) times.push(await work());
  return median(times);
}

function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): void {
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(" | ")} |`;
  console.log([line(head), line(head.map(() => "--:")), ...rows.map(line), ""].join("\n"));
}

const count = (n: number): string => n.toLocaleString("en");

/** Microseconds a row, of a result of so many. */
async function rows(engine: AsyncEngine): Promise<void> {
  const lines: string[][] = [];
  for (const n of [1_000, 10_000, 100_000, 1_000_000]) {
    const books = (session: ReturnType<AsyncEngine["session"]>) =>
      session.query(Book).where((b) => b.id.lte(n));
    const tracked = async () => {
      await using session = engine.session();
      return (await books(session).all()).length;
    };
    const readOnly = async () => {
      await using session = engine.session();
      return (await books(session).readOnly().all()).length;
    };
    const stream = async () => {
      await using session = engine.session();
      let seen = 0;
      for await (const _ of books(session)) seen++;
      return seen;
    };
    const each: string[] = [];
    for (const work of [tracked, readOnly, stream]) {
      const ms = await measured(n < 1_000_000 ? ROUNDS : 1, () =>
        timed(async () => {
          if (await work() !== n) throw new Error("Rows are lost");
        }));
      each.push((1_000 * ms / n).toFixed(2));
    }
    lines.push([count(n), ...each]);
  }
  table(["rows", "tracked, µs a row", "readOnly()", "stream"], lines);
}

/** Milliseconds of a commit, by what is managed and what of it is changed. */
async function flush(engine: AsyncEngine): Promise<void> {
  const lines: (string | number)[][] = [];
  for (const managed of [1_000, 10_000, 100_000]) {
    await using session = engine.session();
    const books = await session.query(Book).where((b) => b.id.lte(managed)).all();
    for (const changed of [0, 100, 1_000, 10_000]) {
      if (changed > managed) continue;
      const ms = await measured(ROUNDS, () => {
        for (const book of books.slice(0, changed)) book.pages = book.pages % 900 + 1;
        return timed(() => session.commit());
      });
      lines.push([count(managed), count(changed), ms.toFixed(1)]);
    }
    // As they were: the tables are verified by others
    for (const book of books.slice(0, 10_000)) book.pages = book.id % 900;
    await session.commit();
  }
  table(["managed", "changed", "commit, ms"], lines);
}

/** Microseconds for each of so many who wait for one of ten places at once. */
async function waiters(): Promise<void> {
  const pool = new QueuePool(nothing, { poolSize: 10, maxOverflow: 0 });
  const one = async () => {
    const lease = await pool.acquire();
    await lease.release();
  };
  const lines: string[][] = [];
  for (const n of [100, 1_000, 10_000, 100_000]) {
    const ms = await measured(
      ROUNDS,
      () => timed(() => Promise.all(Array.from({ length: n }, one))),
    );
    lines.push([count(n), (1_000 * ms / n).toFixed(2)]);
  }
  table(["waiters", "µs each"], lines);
}

/** Selects by key in a second, by many tasks over ten connections, as the pool grows old. */
async function age(engine: AsyncEngine): Promise<void> {
  const lines: string[][] = [];
  const part = 100_000;
  for (let done = 0; done < 1_000_000; done += part) {
    let next = 0;
    const task = async () => {
      while (next < part) {
        await using session = engine.session();
        await session.getOrFail(Book, (next++ * 7_919) % 100_000 + 1);
      }
    };
    const ms = await timed(() => Promise.all(Array.from({ length: TASKS }, task)));
    lines.push([`${count(done)} to ${count(done + part)}`, count(Math.round(1_000 * part / ms))]);
  }
  table(["statements", "a second"], lines);
}

const { only } = parseArgs({ options: { only: { type: "string" } } }).values;
const wanted = only?.split(",") ?? ["rows", "flush", "waiters", "age"];
const url = await database();
const open = (poolSize: number) =>
  new AsyncEngine(url, { entities: [Author, Book, Import], poolSize, maxOverflow: 0 });

if (wanted.includes("waiters")) await waiters();
{
  await using engine = open(1);
  if (wanted.includes("rows")) await rows(engine);
  if (wanted.includes("flush")) await flush(engine);
}
{
  await using engine = open(10);
  if (wanted.includes("age")) await age(engine);
}
Deno.exit(0);
