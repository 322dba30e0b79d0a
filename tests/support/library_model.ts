/**
 * The model that the tests of the mapper and of everything above it share: authors with their
 * books, reviews of these, a tree of categories, and countries with a key of their own.
 */

import {
  AsyncEngine,
  type AsyncEngineOptions,
  belongsTo,
  bytes,
  createAll,
  date,
  type Driver,
  entity,
  hasMany,
  integer,
  json,
  numeric,
  smallint,
  text,
  timestamptz,
  type With,
} from "@sluice/orm";

/** A natural key of text. */
export class Country extends entity("countries", {
  code: text().primaryKey(),
  name: text(),
  authors: hasMany<Author>("authors.countryCode"),
}) {}

export class Author extends entity("authors", {
  id: integer().primaryKey().generated(),
  name: text(),
  email: text().nullable().unique(),
  createdAt: timestamptz().defaultSql("now()"),
  countryCode: text().nullable().references("countries.code"),
  country: belongsTo<Country | null>("countryCode"),
  books: hasMany<Book>("books.authorId"),
}) {
  #greeted = 0;
  mood = "calm";

  get initials(): string {
    return this.name.split(" ").map((word) => word[0]).join("");
  }

  greet(): number {
    return ++this.#greeted;
  }

  titles(this: With<Author, "books">): string[] {
    return this.books.map((book) => book.title);
  }
}

export class Book extends entity("books", {
  id: integer().primaryKey().generated(),
  title: text().index(),
  price: numeric(10, 2).default("0"),
  published: date().nullable(),
  meta: json<{ isbn?: string; words?: string[] }>().nullable(),
  cover: bytes().nullable(),
  authorId: integer().references("authors.id", { onDelete: "cascade" }),
  author: belongsTo<Author>("authorId"),
  reviews: hasMany<Review>("reviews.bookId"),
}) {}

export class Review extends entity("reviews", {
  id: integer().primaryKey().generated(),
  stars: smallint(),
  text: text().default(""),
  bookId: integer().references("books.id", { onDelete: "cascade" }),
  book: belongsTo<Book>("bookId"),
  reviewerId: integer().nullable().references("authors.id", { onDelete: "set null" }),
  reviewer: belongsTo<Author | null>("reviewerId"),
}) {}

/** A tree: the root has no parent. */
export class Category extends entity("categories", {
  id: integer().primaryKey().generated(),
  name: text(),
  parentId: integer().nullable().references("categories.id"),
  parent: belongsTo<Category | null>("parentId"),
  children: hasMany<Category>("categories.parentId"),
}) {}

/** All entities of the model. */
export const LIBRARY: readonly unknown[] = [Country, Author, Book, Review, Category];

/** An engine on `target` with the tables of the model, and of `options.entities` if given instead. */
export async function openLibrary(
  target: string | Driver,
  options: AsyncEngineOptions = {},
): Promise<AsyncEngine> {
  const engine = new AsyncEngine(target, { entities: LIBRARY, ...options });
  try {
    await createAll(engine);
    return engine;
  } catch (error) {
    await engine.dispose();
    throw error;
  }
}

/** The statements that `body` sends over the engine, in order, beginnings and ends left out. */
export async function sent(engine: AsyncEngine, body: () => unknown): Promise<string[]> {
  const statements: string[] = [];
  const stop = engine.on("statement", ({ sql }) => {
    if (!/^(declare|fetch|close|savepoint|release|rollback)\b/i.test(sql)) statements.push(sql);
  });
  try {
    await body();
  } finally {
    stop();
  }
  return statements;
}

/** `count` authors with `books` books each, named `Author 1` with `Book 1.1`, … */
export function authors(count: number, books = 0): Author[] {
  return Array.from({ length: count }, (_, i) =>
    new Author({
      name: `Author ${i + 1}`,
      books: Array.from({ length: books }, (_, j) =>
        new Book({ title: `Book ${i + 1}.${j + 1}`, price: `${j + 1}.50` })),
    }));
}
