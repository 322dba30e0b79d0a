/** 1,000 authors with their 10,000 books by one join, rows folded back into their authors. */

import type postgres from "postgres";
import { pagesOf } from "../support/data.ts";
import { Author } from "../support/library.ts";
import { bench, type Workload } from "../support/workload.ts";

const AUTHORS = 1_000;

/** See above. */
export const joinedLoad: Workload = {
  name: "joined",
  title: "1,000 authors with their 10,000 books, joined",
  gate: 1.10,
  expected: pagesOf(AUTHORS * 10),
  async raw(sql) {
    const rows = await sql`
      select a.id as a_id, a.name,
        b.id, b.author_id, b.title, b.price, b.pages, b.published, b.meta
      from authors a left join books b on b.author_id = a.id where a.id <= ${AUTHORS}`;
    const authors = new Map<number, { id: number; name: string; books: postgres.Row[] }>();
    for (const { a_id, name, ...book } of rows) {
      let author = authors.get(a_id);
      if (author === undefined) authors.set(a_id, author = { id: a_id, name, books: [] });
      if (book.id !== null) author.books.push(book);
    }
    let pages = 0;
    for (const author of authors.values()) for (const book of author.books) pages += book.pages;
    return pages;
  },
  async sluice(engine) {
    await using session = engine.session();
    const authors = await session.query(Author).where((a) => a.id.lte(AUTHORS)).joined("books")
      .all();
    let pages = 0;
    for (const author of authors) for (const book of author.books) pages += book.pages;
    return pages;
  },
};

bench(joinedLoad);
