/** Many sessions at once on few connections: what a server does. */

import { Author } from "../support/library.ts";
import { bench, type Workload } from "../support/workload.ts";

const SESSIONS = 1_000;
const AT_ONCE = 64;
/** The pages of an author's ten books, for the first `SESSIONS` authors. */
const PAGES = Array.from({ length: SESSIONS * 10 }, (_, i) => (i + 1) % 900)
  .reduce((sum, pages) => sum + pages, 0);

/** Calls `one` for each of the first authors, `AT_ONCE` at a time; sums what it gives. */
async function forEachAuthor(one: (id: number) => Promise<number>): Promise<number> {
  let next = 1;
  let sum = 0;
  const task = async (): Promise<void> => {
    while (next <= SESSIONS) {
      const pages = await one(next++);
      sum += pages;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, task));
  return sum;
}

/** See above. */
export const concurrentSessions: Workload = {
  name: "sessions",
  title: "1,000 sessions for an author and his books, 64 at once, 10 connections",
  gate: 1.10,
  connections: 10,
  expected: PAGES,
  raw: (sql) =>
    forEachAuthor(async (id) => {
      const [[author], books] = await Promise.all([
        sql`select id, name from authors where id = ${id}`,
        sql`
          select id, author_id, title, price, pages, published, meta from books
          where author_id = ${id}`,
      ]);
      author!.books = books;
      return books.reduce((sum, book) => sum + book.pages, 0);
    }),
  sluice: (engine) =>
    forEachAuthor(async (id) => {
      await using session = engine.session();
      const author = await session.query(Author).where((a) => a.id.eq(id)).selectin("books").one();
      return author.books.reduce((sum, book) => sum + book.pages, 0);
    }),
};

bench(concurrentSessions);
