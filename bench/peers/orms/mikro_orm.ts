/** MikroORM with entities by `defineEntity`, a fork of its entity manager for every unit of work. */

import { defineEntity, MikroORM, p } from "@mikro-orm/postgresql";
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

const columns = {
  title: p.text(),
  price: p.decimal("string"),
  pages: p.integer(),
  published: p.date(),
  meta: p.json<Meta | null>().nullable(),
};
const Author = defineEntity({
  name: "Author",
  tableName: "authors",
  properties: {
    id: p.integer().primary(),
    name: p.text(),
    books: () => p.oneToMany(Book).mappedBy("author"),
  },
});
const Book = defineEntity({
  name: "Book",
  tableName: "books",
  properties: { id: p.integer().primary(), ...columns, author: () => p.manyToOne(Author) },
});
const Import = defineEntity({
  name: "Import",
  tableName: "imports",
  properties: { id: p.integer().primary().autoincrement(), ...columns, authorId: p.integer() },
});
const Tag = defineEntity({
  name: "Tag",
  tableName: "tags",
  properties: { id: p.integer().primary(), name: p.text() },
});
const ShelfBook = defineEntity({
  name: "ShelfBook",
  tableName: "shelf",
  properties: {
    id: p.integer().primary(),
    ...columns,
    authorId: p.integer(),
    tags: () =>
      p.manyToMany(Tag).pivotTable("shelf_tags").joinColumn("shelf_id")
        .inverseJoinColumn("tag_id"),
  },
});
const GraphAuthor = defineEntity({
  name: "GraphAuthor",
  tableName: "graph_authors",
  properties: {
    id: p.integer().primary().autoincrement(),
    name: p.text(),
    books: () => p.oneToMany(GraphBook).mappedBy("author"),
  },
});
const GraphBook = defineEntity({
  name: "GraphBook",
  tableName: "graph_books",
  properties: {
    id: p.integer().primary().autoincrement(),
    title: p.text(),
    pages: p.integer(),
    author: () => p.manyToOne(GraphAuthor),
  },
});

/** See above. */
export async function open({ url, connections, n, rows, books }: Task): Promise<Opened> {
  const orm = await MikroORM.init({
    clientUrl: url,
    entities: [Author, Book, Import, Tag, ShelfBook, GraphAuthor, GraphBook],
    pool: { min: 0, max: connections },
  });
  const fork = () => orm.em.fork();

  const one = async (id: number): Promise<number> => weigh(await fork().findOneOrFail(Book, id));
  const entities = async (disableIdentityMap: boolean) =>
    weighAll(await fork().find(Book, { id: { $lte: n } }, { disableIdentityMap }));

  const bulkInsert = async () => {
    await fork().transactional(async (em) => {
      for (const piece of pieces(rows, 5_000)) await em.insertMany(Import, piece);
    });
    return 0;
  };
  const addCommit = async () => {
    const em = fork();
    const objects = rows.map((row) => em.create(Import, row));
    await em.persist(objects).flush();
    if (objects.at(-1)!.id !== n) throw new Error("The keys are wrong");
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
        const authors = await fork().find(Author, { id: { $lte: n } }, { populate: ["books"] });
        let sum = 0;
        for (const author of authors) sum += weighAll(author.books);
        return sum;
      },
      entities: () => entities(false),
      entities_read_only: () => entities(true),
      async stream() {
        let sum = 0;
        const stream = fork().stream(Book, { where: { id: { $lte: n } }, chunkSize: 500 });
        for await (const book of stream) sum += weigh(book);
        return sum;
      },
      bulk_insert_10k: bulkInsert,
      bulk_insert_100k: bulkInsert,
      add_commit_10k: addCommit,
      add_commit_100k: addCommit,
      async change_commit() {
        const em = fork();
        for (const book of await em.find(ShelfBook, {})) book.pages += 1;
        await em.flush();
        return 0;
      },
      async insert_graph() {
        const em = fork();
        for (const { name, books } of graphOf(n)) {
          em.persist(em.create(GraphAuthor, { name, books: [...books] }));
        }
        await em.flush();
        return 0;
      },
      async many_to_many() {
        let sum = 0;
        for (const book of await fork().find(ShelfBook, {}, { populate: ["tags"] })) {
          sum += weigh(book);
          for (const tag of book.tags) sum += tag.name.length;
        }
        return sum;
      },
    },
    handler: answering((id) => fork().findOneOrFail(Author, id, { populate: ["books"] })),
    close: () => orm.close(),
  };
}
