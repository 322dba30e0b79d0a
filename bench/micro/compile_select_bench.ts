/**
 * What building and compiling a query costs, beside running it prepared: nothing is sent.
 *
 * `deno bench -A bench/micro/compile_select_bench.ts`
 */

import {
  AsyncEngine,
  belongsTo,
  entity,
  hasMany,
  integer,
  numeric,
  prepare,
  text,
} from "@sluice/orm";

class Author extends entity("authors", {
  id: integer().primaryKey().generated(),
  name: text(),
  email: text().nullable(),
  city: text().nullable(),
  books: hasMany<Book>("books.authorId"),
}) {}
class Book extends entity("books", {
  id: integer().primaryKey().generated(),
  title: text(),
  price: numeric(10, 2),
  authorId: integer().references("authors.id"),
  author: belongsTo<Author>("authorId"),
}) {}

const engine = new AsyncEngine("postgres://nobody@localhost/never_connected", {
  entities: [Author, Book],
});
const session = engine.session();
const simple = () =>
  session.query(Author).where((a) => a.name.eq("Ada")).orderBy((a) => a.id).limit(10);
const rich = () =>
  session.query(Book)
    .where((b) => b.author.name.startsWith("A").and(b.price.gt("5")))
    .select((b) => ({ title: b.title, author: b.author.name, others: b.author.books.count() }))
    .orderBy((b) => b.title)
    .limit(10);
const built = simple();
const prepared = prepare((p: { name: string }, s) =>
  s.query(Author).where((a) => a.name.eq(p.name)).orderBy((a) => a.id).limit(10)
);

Deno.bench("build a simple query", () => void simple());
Deno.bench("compile a simple query", { baseline: true }, () => void built.toSQL());
Deno.bench("build and compile a simple query", () => void simple().toSQL());
Deno.bench("bind a prepared query", () => void prepared(session, { name: "Ada" }).toSQL());
Deno.bench("build and compile a query with joins and subqueries", () => void rich().toSQL());
