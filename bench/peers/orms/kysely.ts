/** Kysely over `pg`, the dialect its documentation begins with; relations by its JSON helper. */

import { type Generated, type JSONColumnType, Kysely, PostgresDialect } from "kysely";
import { jsonArrayFrom } from "kysely/helpers/postgres";
import pg from "pg";
import Cursor from "pg-cursor";
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

interface BookColumns {
  author_id: number;
  title: string;
  price: string;
  pages: number;
  published: Date | string;
  meta: JSONColumnType<Meta> | null;
}
interface Tables {
  authors: { id: number; name: string };
  books: BookColumns & { id: number };
  imports: BookColumns & { id: Generated<number> };
  shelf: BookColumns & { id: number };
  tags: { id: number; name: string };
  shelf_tags: { shelf_id: number; tag_id: number };
  graph_authors: { id: Generated<number>; name: string };
  graph_books: { id: Generated<number>; author_id: number; title: string; pages: number };
}

const COLUMNS = [
  "id",
  "author_id",
  "title",
  "price",
  "pages",
  "published",
  "meta",
] as const;

/** See above. */
export function open({ url, connections, n, rows, books }: Task): Opened {
  const pool = new pg.Pool({ connectionString: url, max: connections });
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool, cursor: Cursor }) });

  const one = async (id: number): Promise<number> =>
    weigh(
      await db.selectFrom("books").select(COLUMNS).where("id", "=", id).executeTakeFirstOrThrow(),
    );
  const upTo = () => db.selectFrom("books").select(COLUMNS).where("id", "<=", n);
  const entities = async () => weighAll(await upTo().execute());
  const authors = () =>
    db.selectFrom("authors").select((eb) => [
      "authors.id",
      "authors.name",
      jsonArrayFrom(
        eb.selectFrom("books").select(COLUMNS).whereRef("books.author_id", "=", "authors.id"),
      ).as("books"),
    ]);

  const values = (piece: typeof rows) =>
    piece.map(({ authorId, meta, ...row }) => ({
      ...row,
      author_id: authorId,
      meta: meta === null ? null : JSON.stringify(meta),
    }));
  const bulkInsert = async () => {
    await db.transaction().execute(async (tx) => {
      for (const piece of pieces(rows, CHUNK)) {
        await tx.insertInto("imports").values(values(piece)).execute();
      }
    });
    return 0;
  };
  const addCommit = async () => {
    const ids: number[] = [];
    await db.transaction().execute(async (tx) => {
      for (const piece of pieces(rows, CHUNK)) {
        const returned = await tx.insertInto("imports").values(values(piece)).returning("id")
          .execute();
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
        for (let i = 0; i < n; i++) sum += await one(keyOf(i, books));
        return sum;
      },
      cold_start: () => one(1),
      select_tasks: () => concurrently(TASKS, n, (i) => one(keyOf(i, books))),
      async authors_books() {
        let sum = 0;
        for (const author of await authors().where("authors.id", "<=", n).execute()) {
          sum += weighAll(author.books);
        }
        return sum;
      },
      entities,
      entities_read_only: entities,
      async stream() {
        let sum = 0;
        for await (const book of upTo().stream(500)) sum += weigh(book);
        return sum;
      },
      bulk_insert_10k: bulkInsert,
      bulk_insert_100k: bulkInsert,
      add_commit_10k: addCommit,
      add_commit_100k: addCommit,
      async change_commit() {
        const all = await db.selectFrom("shelf").select(COLUMNS).orderBy("id").execute();
        const changed = all.map((book) => ({
          ...book,
          pages: book.pages + 1,
          meta: book.meta === null ? null : JSON.stringify(book.meta),
        }));
        for (const piece of pieces(changed, 5_000)) {
          await db.insertInto("shelf").values(piece)
            .onConflict((on) =>
              on.column("id").doUpdateSet((eb) => ({ pages: eb.ref("excluded.pages") }))
            )
            .execute();
        }
        return 0;
      },
      async insert_graph() {
        const graph = graphOf(n);
        await db.transaction().execute(async (tx) => {
          const ids = await tx.insertInto("graph_authors")
            .values(graph.map(({ name }) => ({ name }))).returning("id").execute();
          const children = graph.flatMap(({ books }, i) =>
            books.map((book) => ({ ...book, author_id: ids[i]!.id }))
          );
          for (const piece of pieces(children, CHUNK)) {
            await tx.insertInto("graph_books").values(piece).returning("id").execute();
          }
        });
        return 0;
      },
      async many_to_many() {
        const all = await db.selectFrom("shelf").select(COLUMNS).select((eb) =>
          jsonArrayFrom(
            eb.selectFrom("tags").innerJoin("shelf_tags", "shelf_tags.tag_id", "tags.id")
              .select(["tags.id", "tags.name"]).whereRef("shelf_tags.shelf_id", "=", "shelf.id"),
          ).as("tags")
        ).execute();
        let sum = 0;
        for (const book of all) {
          sum += weigh(book);
          for (const tag of book.tags) sum += tag.name.length;
        }
        return sum;
      },
    },
    handler: answering((id) => authors().where("authors.id", "=", id).executeTakeFirstOrThrow()),
    close: () => db.destroy(),
  };
}
