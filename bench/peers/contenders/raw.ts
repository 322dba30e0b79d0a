/** Npm `postgres` as one writes it by hand: object rows, its own parsers, its own pool. */

import postgres from "postgres";
import { insertByUnnest } from "../../support/imports.ts";
import {
  answering,
  type Book,
  concurrently,
  type Customer,
  customersOf,
  type GraphAuthor,
  graphOf,
  keyOf,
  lengths,
  type Opened,
  pieces,
  type Task,
  TASKS,
  weighAll,
} from "../contender.ts";

/** What is inserted by one statement. */
const CHUNK = 10_000;

type Row = postgres.Row;

/** See above. */
export function open({ url, connections, n, rows, books }: Task): Opened {
  const sql = postgres(url, { max: connections });

  const one = async (id: number): Promise<number> =>
    weighAll(
      await sql<Book[]>`
        select id, author_id, title, price, pages, published, meta from books where id = ${id}`,
    );
  const tasks = () => concurrently(TASKS, n, (i) => one(keyOf(i, books)));

  const entities = async () =>
    weighAll(
      await sql<Book[]>`
        select id, author_id, title, price, pages, published, meta from books where id <= ${n}`,
    );

  const bulkInsert = async () => {
    await sql.begin(async (sql) => {
      for (const piece of pieces(rows, CHUNK)) await insertByUnnest(sql, piece);
    });
    return 0;
  };

  const addCommit = async () => {
    const objects = rows.map((row) => ({ ...row, id: 0 }));
    await sql.begin(async (sql) => {
      for (const piece of pieces(objects, CHUNK)) {
        const returned = await insertByUnnest(sql, piece, sql`returning id`);
        returned.forEach(({ id }, i) => piece[i]!.id = id);
      }
    });
    if (objects.at(-1)!.id !== n) throw new Error("The keys are wrong");
    return 0;
  };

  const customers =
    (piece: readonly Customer[], returning = sql``) =>
    (sql: postgres.TransactionSql | postgres.Sql) =>
      sql<{ id: number }[]>`
        insert into customers (name, description) select * from unnest(
          ${piece.map((row) => row.name)}::text[], ${
        piece.map((row) => row.description)
      }::text[]) ${returning}`;

  return {
    cases: {
      async select_one() {
        let sum = 0;
        for (let i = 0; i < n; i++) sum += await one(keyOf(i, books));
        return sum;
      },
      cold_start: () => one(1),
      select_tasks: tasks,
      async authors_books() {
        const authors = await sql`select id, name from authors where id <= ${n}`;
        const books = await sql`
          select id, author_id, title, price, pages, published, meta from books
          where author_id = any(${authors.map((author) => author.id)})`;
        const byAuthor = new Map<number, Row[]>();
        for (const author of authors) byAuthor.set(author.id, author.books = []);
        for (const book of books) byAuthor.get(book.author_id)!.push(book);
        let sum = 0;
        for (const author of authors) sum += weighAll(author.books);
        return sum;
      },
      entities,
      entities_read_only: entities,
      async stream() {
        let sum = 0;
        const query = sql<Book[]>`
          select id, author_id, title, price, pages, published, meta from books where id <= ${n}`;
        for await (const books of query.cursor(500)) sum += weighAll(books);
        return sum;
      },
      bulk_insert_10k: bulkInsert,
      bulk_insert_100k: bulkInsert,
      copy_in_100k: bulkInsert,
      add_commit_10k: addCommit,
      add_commit_100k: addCommit,
      async change_commit() {
        const books = await sql`
          select id, author_id, title, price, pages, published, meta from shelf`;
        for (const book of books) book.pages += 1;
        await sql`
          update shelf set pages = changed.pages from unnest(
            ${books.map((book) => book.id)}::int[], ${books.map((book) => book.pages)}::int[]
          ) as changed (id, pages) where shelf.id = changed.id`;
        return 0;
      },
      insert_graph: async () => {
        const authors: (GraphAuthor & { id?: number })[] = graphOf(n);
        await sql.begin(async (sql) => {
          const returned = await sql`
            insert into graph_authors (name)
            select * from unnest(${authors.map((author) => author.name)}::text[]) returning id`;
          returned.forEach(({ id }, i) => authors[i]!.id = id);
          const books = authors.flatMap(({ id, books }) =>
            books.map((book) => ({ ...book, authorId: id! }))
          );
          await sql`
            insert into graph_books (author_id, title, pages) select * from unnest(
              ${books.map((book) => book.authorId)}::int[],
              ${books.map((book) => book.title)}::text[],
              ${books.map((book) => book.pages)}::int[]) returning id`;
        });
        return 0;
      },
      async many_to_many() {
        const books = await sql<(Book & { tags: Row[] })[]>`
          select id, author_id, title, price, pages, published, meta from shelf`;
        const tags = await sql`
          select shelf_tags.shelf_id, tags.id, tags.name from shelf_tags
          join tags on tags.id = shelf_tags.tag_id
          where shelf_tags.shelf_id = any(${books.map((book) => book.id)})`;
        const byId = new Map<number, Row[]>();
        for (const book of books) byId.set(book.id, book.tags = []);
        for (const tag of tags) byId.get(tag.shelf_id)!.push(tag);
        let sum = weighAll(books);
        for (const book of books) for (const tag of book.tags) sum += tag.name.length;
        return sum;
      },
      async sqla_bulk_inserts_flush_no_pk() {
        await sql.begin(async (tx) => {
          for (const piece of pieces(customersOf(n), 1_000)) {
            await customers(piece, sql`returning id`)(tx);
          }
        });
        return 0;
      },
      async sqla_bulk_inserts_flush_pk_given() {
        await sql.begin(async (sql) => {
          for (const piece of pieces(customersOf(n), 1_000)) {
            await sql`
              insert into customers (id, name, description)
              select * from unnest(${piece.map((row) => row.id)}::int[],
                ${piece.map((row) => row.name)}::text[],
                ${piece.map((row) => row.description)}::text[])`;
          }
        });
        return 0;
      },
      async sqla_bulk_inserts_orm_bulk_insert() {
        await sql.begin(async (tx) => {
          for (const piece of pieces(customersOf(n), CHUNK)) await customers(piece)(tx);
        });
        return 0;
      },
      async sqla_bulk_updates_orm_flush() {
        await sql.begin(async (sql) => {
          for (let first = 1; first <= n; first += 1_000) {
            const rows = await sql<Customer[]>`
              select id, name, description from customers
              where id between ${first} and ${first + 999}`;
            for (const row of rows) row.description += "updated";
            await sql`
              update customers set description = changed.description from unnest(
                ${rows.map((row) => row.id)}::int[],
                ${rows.map((row) => row.description)}::text[]
              ) as changed (id, description) where customers.id = changed.id`;
          }
        });
        return 0;
      },
      sqla_large_resultsets_full_objects_list: async () =>
        lengths(await sql<Customer[]>`select id, name, description from customers`),
      async sqla_large_resultsets_full_objects_chunks() {
        let sum = 0;
        const query = sql<Customer[]>`select id, name, description from customers`;
        for await (const rows of query.cursor(1_000)) sum += lengths(rows);
        return sum;
      },
      sqla_large_resultsets_columns: async () =>
        lengths(await sql<Customer[]>`select name, description from customers`),
      async sqla_short_selects_orm_query() {
        let sum = 0;
        for (let i = 0; i < n; i++) {
          sum += lengths(
            await sql<Customer[]>`
              select id, name, description from customers where id = ${keyOf(i, n)}`,
          );
        }
        return sum;
      },
      async sqla_single_inserts_orm_commit() {
        for (const { name, description } of customersOf(n)) {
          await sql`
            insert into customers (name, description) values (${name}, ${description})
            returning id`;
        }
        return 0;
      },
    },
    handler: answering(async (id) => {
      const [[author], books] = await Promise.all([
        sql`select id, name from authors where id = ${id}`,
        sql`
          select id, author_id, title, price, pages, published, meta from books
          where author_id = ${id}`,
      ]);
      return { ...author, books };
    }),
    close: () => sql.end(),
  };
}
