/** The tables that only this bench has, as entities. `library.ts` has the others. */

import {
  belongsTo,
  date,
  entity,
  hasMany,
  integer,
  json,
  manyToMany,
  numeric,
  text,
  varchar,
} from "@sluice/orm";
import type { Meta } from "../../support/library.ts";

/** Is on books. */
export class Tag extends entity("tags", { id: integer().primaryKey(), name: text() }) {}

/** A few books, to be changed, and with tags. */
export class ShelfBook extends entity("shelf", {
  id: integer().primaryKey(),
  authorId: integer(),
  title: text(),
  price: numeric(10, 2),
  pages: integer(),
  published: date(),
  meta: json<Meta>().nullable(),
  tags: manyToMany<Tag>("shelf_tags"),
}) {}

/** Which book has which tags. */
export class ShelfTag extends entity("shelf_tags", {
  shelfId: integer().primaryKey().references("shelf.id"),
  tagId: integer().primaryKey().references("tags.id"),
}) {}

/** Is stored with the books. */
export class GraphAuthor extends entity("graph_authors", {
  id: integer().primaryKey().generated(),
  name: text(),
  books: hasMany<GraphBook>("graph_books.authorId"),
}) {}

/** Is stored with the author. */
export class GraphBook extends entity("graph_books", {
  id: integer().primaryKey().generated(),
  title: text(),
  pages: integer(),
  authorId: integer().references("graph_authors.id").index(),
  author: belongsTo<GraphAuthor>("authorId"),
}) {}

/** SQLAlchemy's. */
export class Customer extends entity("customers", {
  id: integer().primaryKey().generated(),
  name: varchar(255),
  description: varchar(255),
}) {}

/** All of them. */
export const ENTITIES: readonly unknown[] = [
  Tag,
  ShelfBook,
  ShelfTag,
  GraphAuthor,
  GraphBook,
  Customer,
];
