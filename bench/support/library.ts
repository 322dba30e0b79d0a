/** The tables that are measured, as entities: books of seven columns, ten of them to an author. */

import { date, entity, hasMany, integer, json, numeric, text } from "../../mod.ts";

/** What a book's jsonb column holds. */
export interface Meta {
  isbn: string;
  tags: string[];
}

/** Has ten books. */
export class Author extends entity("authors", {
  id: integer().primaryKey(),
  name: text(),
  books: hasMany<Book>("books.authorId"),
}) {}

/** The columns that books and imports share. */
const bookColumns = {
  authorId: integer(),
  title: text(),
  price: numeric(10, 2),
  pages: integer(),
  published: date(),
  meta: json<Meta>().nullable(),
};

/** Is read. */
export class Book extends entity("books", {
  id: integer().primaryKey(),
  ...bookColumns,
  authorId: integer().references("authors.id").index(),
}) {}

/** Is written: the columns of a book, with a generated key. */
export class Import extends entity("imports", {
  id: integer().primaryKey().generated(),
  ...bookColumns,
}) {}
