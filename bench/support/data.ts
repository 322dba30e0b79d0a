/** The data: always the same, so that every round can be verified against what is known of it. */

import postgres from "postgres";
import { AsyncEngine, createAll } from "../../mod.ts";
import { Author, Book, Import } from "./library.ts";

/** Rows in `books`; each author has ten of them. */
export const BOOKS = 1_000_000;

/** Makes the tables and fills those that are read. */
export async function fill(url: string, books: number = BOOKS): Promise<void> {
  await using engine = new AsyncEngine(url, { entities: [Author, Book, Import] });
  await createAll(engine);
  const sql = postgres(url, { max: 1 });
  await sql`insert into authors select n, 'Author ' || n from generate_series(1, ${
    books / 10
  }) as n`;
  await sql`
    insert into books (id, author_id, title, price, pages, published, meta)
    select n, (n - 1) / 10 + 1, 'The book of number ' || n, (n % 10000) / 100.0, n % 900,
      date '2000-01-01' + n % 9000,
      case n % 10 when 0 then null else
        jsonb_build_object('isbn', '978' || n, 'tags', jsonb_build_array('a' || n % 7, 'b')) end
    from generate_series(1, ${books}) as n`;
  await sql`vacuum analyze`;
  await sql.end();
}

/** The pages of the first `count` books, summed. */
export function pagesOf(count: number): number {
  let sum = 0;
  for (let n = 1; n <= count; n++) sum += n % 900;
  return sum;
}
