/** 1,000 authors with their 10,000 books. */

import type postgres from "postgres";
import { pagesOf } from "../support/data.ts";
import { Author } from "../support/library.ts";
import { bench, type Workload } from "../support/workload.ts";

const AUTHORS = 1_000;

/** See above. */
export const selectin: Workload = {
  name: "selectin",
  title: "1,000 authors with their 10,000 books",
  gate: 1.10,
  expected: pagesOf(AUTHORS * 10),
  async raw(sql) {
    const authors = await sql`select id, name from authors where id <= ${AUTHORS}`;
    const books = await sql`
      select id, author_id, title, price, pages, published, meta from books
      where author_id = any(${authors.map((author) => author.id)})`;
    const byAuthor = new Map<number, postgres.Row[]>();
    for (const author of authors) byAuthor.set(author.id, author.books = []);
    for (const book of books) byAuthor.get(book.author_id)!.push(book);
    let pages = 0;
    for (const author of authors) for (const book of author.books) pages += book.pages;
    return pages;
  },
  async sluice(engine) {
    await using session = engine.session();
    const authors = await session.query(Author).where((a) => a.id.lte(AUTHORS)).selectin("books")
      .all();
    let pages = 0;
    for (const author of authors) for (const book of author.books) pages += book.pages;
    return pages;
  },
};

bench(selectin);
