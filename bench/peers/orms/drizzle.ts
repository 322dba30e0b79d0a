/** Drizzle over npm `postgres`, prepared where its documentation says so. It has no stream. */

import { asc, eq, lte, relations, sql } from "drizzle-orm";
import {
  date,
  integer,
  jsonb,
  numeric,
  pgTable,
  primaryKey,
  serial,
  text,
} from "drizzle-orm/pg-core";
import { drizzle } from "drizzle-orm/postgres-js";
import postgres from "postgres";
import type { Meta } from "../../support/library.ts";
import {
  answering,
  concurrently,
  graphOf,
  keyOf,
  type Opened,
  pieces,
  type Task,
  TASKS,
  weigh,
  weighAll,
} from "../contender.ts";

/** So many rows of six columns have no more parameters than a statement may have. */
const CHUNK = 10_000;

const columns = {
  authorId: integer("author_id").notNull(),
  title: text().notNull(),
  price: numeric({ precision: 10, scale: 2 }).notNull(),
  pages: integer().notNull(),
  published: date().notNull(),
  meta: jsonb().$type<Meta>(),
};
const authors = pgTable("authors", { id: integer().primaryKey(), name: text().notNull() });
const books = pgTable("books", { id: integer().primaryKey(), ...columns });
const imports = pgTable("imports", { id: serial().primaryKey(), ...columns });
const shelf = pgTable("shelf", { id: integer().primaryKey(), ...columns });
const tags = pgTable("tags", { id: integer().primaryKey(), name: text().notNull() });
const shelfTags = pgTable("shelf_tags", {
  shelfId: integer("shelf_id").notNull(),
  tagId: integer("tag_id").notNull(),
}, (table) => [primaryKey({ columns: [table.shelfId, table.tagId] })]);
const graphAuthors = pgTable("graph_authors", {
  id: serial().primaryKey(),
  name: text().notNull(),
});
const graphBooks = pgTable("graph_books", {
  id: serial().primaryKey(),
  authorId: integer("author_id").notNull(),
  title: text().notNull(),
  pages: integer().notNull(),
});
const schema = {
  authors,
  books,
  shelf,
  tags,
  shelfTags,
  ofAuthor: relations(authors, ({ many }) => ({ books: many(books) })),
  ofBook: relations(books, ({ one }) => ({
    author: one(authors, { fields: [books.authorId], references: [authors.id] }),
  })),
  ofShelf: relations(shelf, ({ many }) => ({ tags: many(shelfTags) })),
  ofShelfTag: relations(shelfTags, ({ one }) => ({
    book: one(shelf, { fields: [shelfTags.shelfId], references: [shelf.id] }),
    tag: one(tags, { fields: [shelfTags.tagId], references: [tags.id] }),
  })),
};

/** See above. */
export function open({ url, connections, n, rows, books: count }: Task): Opened {
  const client = postgres(url, { max: connections });
  const db = drizzle({ client, schema });

  const byId = db.select().from(books).where(eq(books.id, sql.placeholder("id"))).prepare("by_id");
  const one = async (id: number): Promise<number> => weigh((await byId.execute({ id }))[0]!);
  const upTo = db.select().from(books).where(lte(books.id, sql.placeholder("n"))).prepare("up_to");
  const entities = async () => weighAll(await upTo.execute({ n }));
  const authorsWithBooks = db.query.authors.findMany({
    where: lte(authors.id, sql.placeholder("n")),
    with: { books: true },
  }).prepare("authors_with_books");
  const authorWithBooks = db.query.authors.findFirst({
    where: eq(authors.id, sql.placeholder("id")),
    with: { books: true },
  }).prepare("author_with_books");
  const withTags = db.query.shelf.findMany({ with: { tags: { with: { tag: true } } } })
    .prepare("with_tags");

  const bulkInsert = async () => {
    await db.transaction(async (tx) => {
      for (const piece of pieces(rows, CHUNK)) await tx.insert(imports).values(piece);
    });
    return 0;
  };
  const addCommit = async () => {
    const ids: number[] = [];
    await db.transaction(async (tx) => {
      for (const piece of pieces(rows, CHUNK)) {
        const returned = await tx.insert(imports).values(piece).returning({ id: imports.id });
        for (const { id } of returned) ids.push(id);
      }
    });
    if (ids.at(-1) !== n) throw new Error("The keys are wrong");
    return 0;
  };

  return {
    cases: {
      async select_one() {
        let sum = 0;
        for (let i = 0; i < n; i++) sum += await one(keyOf(i, count));
        return sum;
      },
      cold_start: () => one(1),
      select_tasks: () => concurrently(TASKS, n, (i) => one(keyOf(i, count))),
      async authors_books() {
        let sum = 0;
        for (const author of await authorsWithBooks.execute({ n })) sum += weighAll(author.books);
        return sum;
      },
      entities,
      entities_read_only: entities,
      bulk_insert_10k: bulkInsert,
      bulk_insert_100k: bulkInsert,
      add_commit_10k: addCommit,
      add_commit_100k: addCommit,
      async change_commit() {
        const all = await db.select().from(shelf).orderBy(asc(shelf.id));
        for (const book of all) book.pages += 1;
        for (const piece of pieces(all, 5_000)) {
          await db.insert(shelf).values(piece).onConflictDoUpdate({
            target: shelf.id,
            set: { pages: sql`excluded.pages` },
          });
        }
        return 0;
      },
      async insert_graph() {
        const graph = graphOf(n);
        await db.transaction(async (tx) => {
          const ids = await tx.insert(graphAuthors).values(graph.map(({ name }) => ({ name })))
            .returning({ id: graphAuthors.id });
          const children = graph.flatMap(({ books }, i) =>
            books.map((book) => ({ ...book, authorId: ids[i]!.id }))
          );
          for (const piece of pieces(children, CHUNK)) {
            await tx.insert(graphBooks).values(piece).returning({ id: graphBooks.id });
          }
        });
        return 0;
      },
      async many_to_many() {
        let sum = 0;
        for (const book of await withTags.execute()) {
          sum += weigh(book);
          for (const { tag } of book.tags) sum += tag.name.length;
        }
        return sum;
      },
    },
    handler: answering((id) => authorWithBooks.execute({ id })),
    close: () => client.end(),
  };
}
