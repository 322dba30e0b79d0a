/** What a contender is: a module that opens a database and says how it does the cases it can do. */

import type { ImportRow } from "../support/import_rows.ts";

/** A case, as the process of one contender gets it. */
export interface Task {
  /** The name of the case. */
  readonly name: string;
  /** The database. */
  readonly url: string;
  /** How many connections there may be. */
  readonly connections: number;
  /** How many rows, objects, calls, … */
  readonly n: number;
  /** How many rows the table `books` has. */
  readonly books: number;
  /** `n` plain objects to be stored, for the cases that store such; else none. */
  readonly rows: readonly ImportRow[];
}

/** The work of one case; gives the checksum of what it saw. */
export type Work = () => Promise<number>;

/** A contender that is connected, or will be at the first statement. */
export interface Opened {
  /** By the names of cases. What it cannot do at all, or only as another case, is not there. */
  readonly cases: Readonly<Record<string, Work>>;
  /** Answers a request for an author and his books in JSON. */
  readonly handler: (request: Request) => Response | Promise<Response>;
  /** Ends its connections. */
  close(): Promise<unknown>;
}

/** What the module of a contender exports as `open`. */
export type Open = (task: Task) => Promise<Opened> | Opened;

/** The contenders and their modules; the first is what all are compared with. */
export const CONTENDERS: Readonly<Record<string, string>> = {
  raw: "./contenders/raw.ts",
  sluice: "./contenders/sluice.ts",
  drizzle: "./orms/drizzle.ts",
  kysely: "./orms/kysely.ts",
  mikroorm: "./orms/mikro_orm.ts",
};

/** A book as it is read. */
export interface Book {
  id: number;
  title: string;
  pages: number;
  meta?: { tags: string[] } | null | undefined;
}

/** What a book adds to a checksum: its jsonb must have been decoded. */
export function weigh(book: Omit<Book, "id">): number {
  return book.pages + book.title.length + (book.meta?.tags.length ?? 0);
}

/** The sum of what all books weigh. */
export function weighAll(books: Iterable<Omit<Book, "id">>): number {
  let sum = 0;
  for (const book of books) sum += weigh(book);
  return sum;
}

/** The keys of `n` point selects, spread over a table of `rows` rows; no key comes twice before all did. */
export function keyOf(i: number, rows: number): number {
  return 1 + i * 7919 % rows;
}

/** Runs `tasks` loops at once, which share the numbers from 0 to `n`; gives the sum of what they got. */
export async function concurrently(
  tasks: number,
  n: number,
  one: (i: number) => Promise<number>,
): Promise<number> {
  let next = 0;
  let sum = 0;
  const loop = async (): Promise<void> => {
    while (next < n) {
      const got = await one(next++);
      sum += got;
    }
  };
  await Promise.all(Array.from({ length: tasks }, loop));
  return sum;
}

/** The tasks of `select_tasks`. */
export const TASKS = 64;

/** The id that a request asks for. */
export function askedFor(request: Request): number {
  return Number(new URL(request.url).searchParams.get("author"));
}

/** A handler that answers with what `load` gives for the author asked for. */
export function answering(load: (id: number) => Promise<unknown>): Opened["handler"] {
  return async (request) => Response.json(await load(askedFor(request)));
}

/** An author with books, to be stored as a graph. */
export interface GraphAuthor {
  readonly name: string;
  readonly books: readonly { readonly title: string; readonly pages: number }[];
}

/** `n` of them, each with five books. */
export function graphOf(n: number): GraphAuthor[] {
  return Array.from({ length: n }, (_, i) => ({
    name: `Author ${i}`,
    books: Array.from(
      { length: 5 },
      (_, j) => ({ title: `Book ${j} of ${i}`, pages: i % 300 + j }),
    ),
  }));
}

/** The array in pieces of `size`. */
export function* pieces<T>(values: readonly T[], size: number): Generator<T[]> {
  for (let at = 0; at < values.length; at += size) yield values.slice(at, at + size);
}

/** A row of the table that stands for SQLAlchemy's `Customer`. */
export interface Customer {
  id: number;
  name: string;
  description: string;
}

/** `n` of them, keys from 1. */
export function customersOf(n: number): Customer[] {
  return Array.from({ length: n }, (_, i) => ({
    id: i + 1,
    name: `customer name ${i}`,
    description: `customer description ${i}`,
  }));
}

/** What the texts of customers add to a checksum. */
export function lengths(customers: Iterable<Omit<Customer, "id">>): number {
  let sum = 0;
  for (const { name, description } of customers) sum += name.length + description.length;
  return sum;
}
