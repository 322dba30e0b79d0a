import { belongsTo, entity, integer, json, manyToMany, numeric, text } from "@sluice/orm";
import type { Author } from "./author.ts";
import type { Tag } from "./tag.ts";

export class Book extends entity("books", {
  id: integer().primaryKey().generated(),
  title: text().index(),
  price: numeric(10, 2), // string in JS: exact
  meta: json<{ isbn?: string }>().nullable(),
  version: integer().version(), // optimistic concurrency
  authorId: integer().references("authors.id", { onDelete: "cascade" }),
  author: belongsTo<Author>("authorId"),
  tags: manyToMany<Tag>("book_tags"), // through a mapped or plain association table
}) {}
