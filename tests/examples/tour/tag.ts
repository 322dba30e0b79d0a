import { entity, integer, manyToMany, text } from "@sluice/orm";
import type { Book } from "./book.ts";

export class Tag extends entity("tags", {
  id: integer().primaryKey().generated(),
  label: text(),
  books: manyToMany<Book>("book_tags"),
}) {}
