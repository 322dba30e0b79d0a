import { entity, hasMany, integer, text, timestamptz, type With } from "@sluice/orm";
import type { Book } from "./book.ts"; // a type-only import: two entities never import each other at run time

export class Author extends entity("authors", {
  id: integer().primaryKey().generated(),
  name: text(),
  email: text().nullable().unique(),
  bio: text().nullable().deferred(),
  createdAt: timestamptz().defaultSql("now()"),
  books: hasMany<Book>("books.authorId"),
}) {
  get initials(): string {
    return this.name.split(" ").map((w) => w[0]).join("");
  }
  // callable only on an author whose books are loaded: the compiler says so
  titles(this: With<Author, "books">): string[] {
    return this.books.map((b) => b.title);
  }
}
