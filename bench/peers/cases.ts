/**
 * The cases: what is done, how much of it, what must come out. Contenders name them in their
 * `cases`.
 */

import { BOOKS } from "../support/data.ts";
import { importRows } from "../support/import_rows.ts";
import { checksum, checksumOf, emptyImports } from "../support/imports.ts";
import type { Raw } from "../support/workload.ts";
import { graphOf, keyOf } from "./contender.ts";

/** See above. */
export interface Case {
  /** For `--only`, and for the contenders. */
  readonly name: string;
  /** What is done, with its number. */
  readonly title: (n: string) => string;
  /** How much, at scale 1. */
  readonly n: number;
  /** How many connections a contender may have. Default 1. */
  readonly connections?: number;
  /** `work` is measured by the contender, `http` and `start` from outside. Default `work`. */
  readonly kind?: "work" | "http" | "start";
  /** The contenders get `n` rows to be stored. */
  readonly rows?: boolean;
  /** Who can do it; without this, those who say so. */
  readonly contenders?: readonly string[];
  /** Done once. */
  readonly before?: (sql: Raw, n: number) => Promise<unknown>;
  /** Done before each round, unmeasured. */
  readonly reset?: (sql: Raw, n: number) => Promise<unknown>;
  /** What the work must give; `books` are the rows of that table. */
  readonly expected: (n: number, books: number) => number;
  /** A sum over what is in the database after the work. */
  readonly stored?: (sql: Raw) => Promise<number>;
  /** What that sum must be. */
  readonly storedExpected?: (n: number) => number;
}

/** How many rows `books` must have at a scale. */
export function booksAt(scale: number): number {
  return Math.max(10_000, Math.round(BOOKS * scale));
}

/** What book `n` weighs: see `weigh()`. */
function weightOf(n: number): number {
  return n % 900 + `The book of number ${n}`.length + (n % 10 === 0 ? 0 : 2);
}

function sumOf(n: number, one: (i: number) => number): number {
  let sum = 0;
  for (let i = 0; i < n; i++) sum += one(i);
  return sum;
}

const firstBooks = (n: number) => sumOf(n, (i) => weightOf(i + 1));
const selects = (n: number, books: number) => sumOf(n, (i) => weightOf(keyOf(i, books)));
const zero = () => 0;

/** Rows are stored in `imports`. */
const storing = {
  rows: true,
  reset: emptyImports,
  expected: zero,
  stored: checksum,
  storedExpected: (n: number) => checksumOf(importRows(n)),
} as const;

const fillShelf = (sql: Raw, n: number) =>
  sql.begin(async (sql) => {
    await sql`truncate shelf, shelf_tags`;
    await sql`insert into shelf select * from books where id <= ${n}`;
    await sql`
      insert into shelf_tags select id, 1 + (id + step * 7) % 100
      from shelf, generate_series(0, 2) as step`;
  });

const emptyCustomers = (sql: Raw) => sql`truncate customers restart identity`;
const fillCustomers = async (sql: Raw, n: number) => {
  await emptyCustomers(sql);
  await sql`
    insert into customers (name, description)
    select 'customer name ' || n - 1, 'customer description ' || n - 1
    from generate_series(1, ${n}) as n`;
  await sql.unsafe("vacuum analyze customers");
};
const customersStored = async (sql: Raw) => {
  const [row] = await sql`
    select coalesce(sum(id + length(name) + length(description)), 0)::float8 as sum from customers`;
  return row!.sum as number;
};
/** The lengths of name and description of customer `i`. */
const customerText = (i: number) => 36 - 1 + 2 * String(i).length;
const customersOf = (n: number) => sumOf(n, (i) => i + 1 + customerText(i));
const customerSum = (n: number) => sumOf(n, customerText);

/** Those of SQLAlchemy's `examples/performance`, whose `Customer` has a key, a name and a description. */
const sqlalchemy: readonly Case[] = [
  {
    name: "sqla_bulk_inserts_flush_no_pk",
    title: (n) => `bulk_inserts.flush_no_pk: ${n} objects by 1,000`,
    n: 100_000,
    reset: emptyCustomers,
    expected: zero,
    stored: customersStored,
    storedExpected: customersOf,
  },
  {
    name: "sqla_bulk_inserts_flush_pk_given",
    title: (n) => `bulk_inserts.flush_pk_given: ${n} objects by 1,000`,
    n: 100_000,
    reset: emptyCustomers,
    expected: zero,
    stored: customersStored,
    storedExpected: customersOf,
  },
  {
    name: "sqla_bulk_inserts_orm_bulk_insert",
    title: (n) => `bulk_inserts.orm_bulk_insert: ${n} rows`,
    n: 100_000,
    reset: emptyCustomers,
    expected: zero,
    stored: customersStored,
    storedExpected: customersOf,
  },
  {
    name: "sqla_bulk_updates_orm_flush",
    title: (n) => `bulk_updates.orm_flush: ${n} objects by 1,000`,
    n: 100_000,
    reset: fillCustomers,
    expected: zero,
    stored: customersStored,
    storedExpected: (n) => customersOf(n) + n * "updated".length,
  },
  {
    name: "sqla_large_resultsets_full_objects_list",
    title: (n) => `large_resultsets.full_objects_list: ${n} objects`,
    n: 500_000,
    before: fillCustomers,
    expected: customerSum,
  },
  {
    name: "sqla_large_resultsets_full_objects_chunks",
    title: (n) => `large_resultsets.full_objects_chunks: ${n} by 1,000`,
    n: 500_000,
    before: fillCustomers,
    expected: customerSum,
  },
  {
    name: "sqla_large_resultsets_columns",
    title: (n) => `large_resultsets.columns: ${n} rows`,
    n: 500_000,
    before: fillCustomers,
    expected: customerSum,
  },
  {
    name: "sqla_short_selects_orm_query",
    title: (n) => `short_selects.orm_query: ${n} selects, one session`,
    n: 10_000,
    before: fillCustomers,
    expected: customerSum,
  },
  {
    name: "sqla_single_inserts_orm_commit",
    title: (n) => `single_inserts.orm_commit: ${n} commits`,
    n: 1_000,
    reset: emptyCustomers,
    expected: zero,
    stored: customersStored,
    storedExpected: customersOf,
  },
];

/** All cases, in the order of the report. */
export const CASES: readonly Case[] = [
  {
    name: "select_one",
    title: (n) => `${n} point selects, one after the other`,
    n: 2_000,
    expected: selects,
  },
  {
    name: "select_tasks",
    title: (n) => `${n} point selects, 64 tasks, 10 connections`,
    n: 20_000,
    connections: 10,
    expected: selects,
  },
  {
    name: "authors_books",
    title: (n) => `${n} authors with their ten books each`,
    n: 1_000,
    expected: (n) => firstBooks(n * 10),
  },
  {
    name: "entities",
    title: (n) => `${n} entities of seven columns, tracked`,
    n: 100_000,
    expected: firstBooks,
  },
  {
    name: "entities_read_only",
    title: (n) => `${n} entities of seven columns, read only`,
    n: 100_000,
    expected: firstBooks,
  },
  {
    name: "stream",
    title: (n) => `stream of ${n} rows`,
    n: 1_000_000,
    expected: firstBooks,
  },
  { name: "bulk_insert_10k", title: (n) => `bulk insert of ${n} rows`, n: 10_000, ...storing },
  { name: "bulk_insert_100k", title: (n) => `bulk insert of ${n} rows`, n: 100_000, ...storing },
  {
    name: "copy_in_100k",
    title: (n) => `COPY of ${n} rows (raw: unnest)`,
    n: 100_000,
    ...storing,
  },
  {
    name: "add_commit_10k",
    title: (n) => `${n} new objects, keys given back`,
    n: 10_000,
    ...storing,
  },
  {
    name: "add_commit_100k",
    title: (n) => `${n} new objects, keys given back`,
    n: 100_000,
    ...storing,
  },
  {
    name: "change_commit",
    title: (n) => `load, change, store ${n} objects`,
    n: 1_000,
    reset: fillShelf,
    expected: zero,
    stored: async (sql) => (await sql`select sum(pages)::float8 as sum from shelf`)[0]!.sum,
    storedExpected: (n) => sumOf(n, (i) => (i + 1) % 900 + 1),
  },
  {
    name: "insert_graph",
    title: (n) => `store ${n} authors with five books each`,
    n: 1_000,
    reset: (sql) => sql`truncate graph_authors, graph_books restart identity`,
    expected: zero,
    stored: async (sql) => {
      // A book with another's author would show in the two numbers that titles and names share.
      const [row] = await sql`
        select sum(b.pages + length(b.title) + length(a.name))::float8 as sum
        from graph_books b join graph_authors a on a.id = b.author_id
          and b.title like '% of ' || substring(a.name from 8)`;
      return row!.sum;
    },
    storedExpected: (n) => {
      let sum = 0;
      for (const { name, books } of graphOf(n)) {
        for (const { title, pages } of books) sum += pages + title.length + name.length;
      }
      return sum;
    },
  },
  {
    name: "many_to_many",
    title: (n) => `${n} books with their three tags each`,
    n: 1_000,
    before: fillShelf,
    expected: (n) =>
      firstBooks(n) + sumOf(n, (i) => {
        let sum = 0;
        for (let step = 0; step < 3; step++) sum += `tag ${1 + (i + 1 + step * 7) % 100}`.length;
        return sum;
      }),
  },
  {
    name: "http",
    title: (n) => `${n} HTTP requests: an author with books, 64 at once`,
    n: 5_000,
    connections: 10,
    kind: "http",
    expected: zero,
  },
  {
    name: "cold_start",
    title: () => "start of the process to the first row",
    n: 1,
    kind: "start",
    expected: selects,
  },
  ...sqlalchemy,
];
