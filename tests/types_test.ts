/**
 * What must and must not compile. The functions are checked, never run: an expectation that no
 * longer holds is a type error, "unused @ts-expect-error directive".
 */

import {
  type AsyncSession,
  belongsTo,
  bigint,
  boolean,
  type BulkRow,
  bytes,
  date,
  double,
  entity,
  hasMany,
  type Init,
  integer,
  json,
  lazy,
  numeric,
  oneOf,
  real,
  smallint,
  subclass,
  text,
  time,
  timestamp,
  timestamptz,
  uuid,
  varchar,
  type With,
} from "@sluice/orm";
import { Author, Book, Category, Country, Review } from "./support/library_model.ts";

/** True if `A` and `B` are the same type. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true
  : false;

function isTrue<_T extends true>(): void {}

class Every extends entity("every", {
  id: integer().primaryKey().generated(),
  small: smallint(),
  big: bigint(),
  num: numeric(10, 2),
  re: real(),
  dbl: double(),
  txt: text(),
  vc: varchar(10),
  one: oneOf("a", "b"),
  bool: boolean(),
  uid: uuid(),
  blob: bytes(),
  doc: json<{ a: number }>(),
  any: json(),
  day: date(),
  tod: time(),
  local: timestamp(),
  at: timestamptz(),
  maybe: text().nullable(),
  maybeOne: oneOf("a", "b").nullable(),
  given: text().default("x"),
  made: timestamptz().defaultSql("now()"),
  refId: integer().references("every.id"),
}) {}

function _columnTypesSayWhatJavaScriptGets(e: Every) {
  isTrue<Same<typeof e.id, number>>();
  isTrue<Same<typeof e.small, number>>();
  isTrue<Same<typeof e.big, bigint>>();
  isTrue<Same<typeof e.num, string>>();
  isTrue<Same<typeof e.dbl, number>>();
  isTrue<Same<typeof e.txt, string>>();
  isTrue<Same<typeof e.one, "a" | "b">>();
  isTrue<Same<typeof e.bool, boolean>>();
  isTrue<Same<typeof e.uid, string>>();
  isTrue<Same<typeof e.blob, Uint8Array>>();
  isTrue<Same<typeof e.doc, { a: number }>>();
  isTrue<Same<typeof e.any, unknown>>();
  isTrue<Same<typeof e.day, string>>();
  isTrue<Same<typeof e.at, Date>>();
  isTrue<Same<typeof e.maybe, string | null>>();
  isTrue<Same<typeof e.maybeOne, "a" | "b" | null>>();
  isTrue<Same<typeof e.given, string>>();
  e.txt = "new";
  e.maybe = null;
  // @ts-expect-error not nullable
  e.txt = null;
  // @ts-expect-error a string
  e.txt = 1;
  // @ts-expect-error not one of the words
  e.one = "c";
  // @ts-expect-error no such column
  e.nothing;
}

function _aNewObjectNeedsWhatHasNoDefault() {
  new Author({ name: "Ada" });
  new Author({ name: "Ada", email: null, createdAt: new Date(), id: 1, books: [], country: null });
  new Author({ name: "Ada", books: [new Book({ title: "T" })] });
  new Book({ title: "T", author: new Author({ name: "A" }) });
  new Book({ title: "T", authorId: 1, price: "9.50" });
  // @ts-expect-error name is required
  new Author({});
  // @ts-expect-error name is required
  new Author();
  // @ts-expect-error no such column
  new Author({ name: "Ada", nmae: "x" });
  // @ts-expect-error price is exact: a string
  new Book({ title: "T", price: 9.5 });
  // @ts-expect-error not nullable
  new Author({ name: null });
  // @ts-expect-error books, not authors
  new Author({ name: "A", books: [new Author({ name: "B" })] });
  // @ts-expect-error a list
  new Author({ name: "A", books: new Book({ title: "T" }) });
  // @ts-expect-error an author always is there
  new Book({ title: "T", author: null });
  // @ts-expect-error with exactOptionalPropertyTypes, undefined is no value
  new Author({ name: "A", email: undefined });
  type F = typeof Country.fields;
  const init: Init<F> = { code: "GB", name: "Britain" };
  new Country(init);
}

function _anUnloadedRelationCannotBeRead(author: Author, book: Book, category: Category) {
  // @ts-expect-error not loaded
  author.books.length;
  // @ts-expect-error not loaded
  author.books[0];
  // @ts-expect-error not loaded
  for (const _ of author.books);
  // @ts-expect-error not loaded
  book.author.name;
  // @ts-expect-error not loaded
  category.parent?.name;
  // @ts-expect-error callable only with books loaded
  author.titles();
}

function _aRelationCanAlwaysBeAssigned(author: Author, book: Book, category: Category) {
  author.books = [book];
  book.author = author;
  category.parent = category;
  category.parent = null;
  category.children = [];
  // @ts-expect-error an author always is there
  book.author = null;
  // @ts-expect-error a book is no author
  book.author = book;
}

async function _selectinLoadsWhatItNames(session: AsyncSession) {
  const authors = await session.query(Author).selectin("books.reviews", "country").all();
  for (const author of authors) {
    author.titles() satisfies string[];
    for (const book of author.books) {
      book.title satisfies string;
      for (const review of book.reviews) {
        review.stars satisfies number;
        // @ts-expect-error not loaded
        review.reviewer?.name;
      }
      // @ts-expect-error not loaded
      book.author.name;
    }
    // @ts-expect-error may be null
    author.country.name;
    author.country?.name satisfies string | undefined;
  }
  const some: Author[] = authors;
  some satisfies Author[];
  const [first] = authors;
  takesAuthor(first!);
  const deep = await session.query(Review).selectin("book.author.books.reviews").one();
  deep.book.author.books[0]!.reviews[0]!.stars satisfies number;
  deep.book.author.titles();
  const tree = await session.query(Category).selectin("children.children", "parent.parent").first();
  tree!.children[0]!.children[0]!.name satisfies string;
  tree!.parent?.parent?.name satisfies string | undefined;
  // @ts-expect-error first() can find nothing
  tree.name;
  const twice = await session.query(Author).selectin("books").selectin("country").one();
  twice.titles();
  twice.country?.name;
  for await (const book of session.query(Book).selectin("author")) {
    book.author.name satisfies string;
    book.author = new Author({ name: "Other" });
  }
  // @ts-expect-error no such relation
  session.query(Author).selectin("bookz");
  // @ts-expect-error a column is no relation
  session.query(Author).selectin("name");
  // @ts-expect-error no such relation of books
  session.query(Author).selectin("books.tags");
  // @ts-expect-error a method is no relation
  session.query(Author).selectin("titles");
  // @ts-expect-error one of them is no relation
  session.query(Author).selectin("books", "name");
  // @ts-expect-error any text could be anything
  session.query(Author).selectin("books" as string);
  // As deep as one likes, and by a path that is known as one of several only.
  const six = await session.query(Category).selectin("parent.parent.parent.parent.parent.parent")
    .one();
  six.parent?.parent?.parent?.parent?.parent?.parent?.name satisfies string | undefined;
  const either = "books" as "books" | "country";
  session.query(Author).selectin(either);
  const none = await session.query(Author).selectin().one();
  // @ts-expect-error not loaded
  none.books.length;
}

type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

// Columns of which the compiler knows nothing, or that know no end.
class Loose extends entity("loose", {
  id: integer().primaryKey().generated(),
  // deno-lint-ignore no-explicit-any -- what users write
  any: json<any>(),
  // deno-lint-ignore no-explicit-any -- what users write
  maybeAny: json<any>().nullable(),
  unknown: json<unknown>(),
  maybeUnknown: json<unknown>().nullable(),
  tree: json<Json>(),
  maybeTree: json<Json>().nullable(),
  trees: json<Json[]>(),
  // deno-lint-ignore no-explicit-any -- what users write
  heavy: json<any>().deferred(),
  authorId: integer().references("authors.id"),
  author: belongsTo<Author>("authorId"),
  parentId: integer().nullable().references("loose.id"),
  parent: belongsTo<Loose | null>("parentId"),
  parts: hasMany<Loose>("loose.parentId"),
}) {}

async function _looseColumnsBreakNothing(session: AsyncSession, loose: Loose) {
  // deno-lint-ignore no-explicit-any -- what users write
  isTrue<Same<typeof loose.any, any>>();
  // deno-lint-ignore no-explicit-any -- what users write
  isTrue<Same<typeof loose.maybeAny, any>>();
  isTrue<Same<typeof loose.unknown, unknown>>();
  isTrue<Same<typeof loose.maybeUnknown, unknown>>();
  isTrue<Same<typeof loose.tree, Json>>();
  isTrue<Same<typeof loose.maybeTree, Json>>();
  isTrue<Same<typeof loose.trees, Json[]>>();
  // @ts-expect-error not loaded
  loose.author.name;
  // @ts-expect-error not loaded
  loose.parts.length;
  new Loose({ any: 1, unknown: {}, tree: { a: [1, { b: null }] }, trees: [], heavy: "x" });
  // @ts-expect-error tree is required
  new Loose({ any: 1, unknown: 1, trees: [], heavy: 1 });
  // @ts-expect-error any is required
  new Loose({ unknown: 1, tree: 1, trees: [], heavy: 1 });
  // @ts-expect-error no JSON
  new Loose({ any: 1, unknown: 1, tree: new Date(), trees: [], heavy: 1 });
  const query = session.query(Loose).where((l) =>
    l.author.name.eq("Ada").and(l.any.isNotNull(), l.tree.hasKey("a"), l.parts.count().gt(1))
  );
  const found = await query.selectin("parts.author", "parent.parts.parent").one();
  found.parts[0]!.author.name satisfies string;
  found.parent?.parts[0]?.parent?.id satisfies number | undefined;
  isTrue<Same<typeof found.tree, Json>>();
  isTrue<Same<typeof found.unknown, unknown>>();
  // @ts-expect-error not loaded
  found.author.name;
  // @ts-expect-error a column of any is no relation
  query.selectin("any");
  // @ts-expect-error nor does it lead to one
  query.selectin("any.author");
  // @ts-expect-error a column of unknown is no relation
  query.selectin("unknown");
  const row = await session.query(Loose).select((l) => ({
    any: l.any,
    unknown: l.maybeUnknown,
    tree: l.tree,
    parent: l.parent.tree,
    author: l.author.name,
  })).one();
  // deno-lint-ignore no-explicit-any -- what users write
  isTrue<Same<typeof row.any, any>>();
  isTrue<Same<typeof row.unknown, unknown>>();
  isTrue<Same<typeof row.tree, Json>>();
  isTrue<Same<typeof row.parent, Json>>();
  isTrue<Same<typeof row.author, string>>();
  (await lazy(loose).author).name satisfies string;
  const part = await session.query(Loose).only("any", "tree").one();
  isTrue<Same<typeof part.tree, Json>>();
  // @ts-expect-error not loaded
  part.trees.length;
}

class Note extends entity("notes", {
  id: integer().primaryKey().generated(),
  title: text(),
  body: text().nullable(),
  scan: bytes().deferred(),
  authorId: integer().references("authors.id"),
  author: belongsTo<Author>("authorId"),
}, { computed: { shout: (n) => n.title.upper() } }) {
  get words(): number {
    return this.title.split(" ").length;
  }
}

async function _columnsAreLoadedByName(session: AsyncSession) {
  const notes = session.query(Note);
  const part = await notes.only("id", "title").one();
  part.title satisfies string;
  part.words satisfies number;
  // @ts-expect-error not loaded
  part.body?.length;
  // @ts-expect-error not loaded
  part.authorId.toFixed();
  // @ts-expect-error not loaded
  part.shout.length;
  // @ts-expect-error not loaded
  part.scan.length;
  part.body = "assigned";
  // @ts-expect-error some columns are missing
  part satisfies Note;
  (await notes.only("scan", "shout").one()).scan.length;
  (await notes.only("scan", "shout").one()).shout satisfies string;
  (await notes.undefer("scan").one()).scan.length;
  (await notes.undefer("scan").one()) satisfies Note;
  (await notes.only("title").undefer("scan").one()).scan.length;
  const [loaded] = await session.load([part], "body", "scan", "author");
  loaded!.body?.length;
  loaded!.scan.length;
  loaded!.author.name satisfies string;
  loaded!.title satisfies string;
  // @ts-expect-error not loaded
  loaded!.shout.length;
  (await lazy(part).body)?.length;
  (await lazy(part).scan).length;
  (await lazy(part).author).name satisfies string;
  // @ts-expect-error it is loaded
  lazy(part).title;
  const both = await notes.only("title").selectin("author", (q) => q.only("name")).one();
  both.author.name satisfies string;
  both.title satisfies string;
  // @ts-expect-error not loaded
  both.author.email?.length;
  // @ts-expect-error not loaded
  both.body?.length;
  const author = await session.query(Author).selectin("books", (q) => q.only("title")).one();
  author.books[0]!.title satisfies string;
  // @ts-expect-error not loaded
  author.books[0]!.price.length;
  // @ts-expect-error a relation is no column
  notes.only("author");
  // @ts-expect-error no such column
  notes.only("titel");
  // @ts-expect-error neither a relation nor a column
  await session.load([part], "words");
}

async function _refinementsAreTyped(session: AsyncSession) {
  const authors = session.query(Author);
  const some = await authors.selectin(
    "books",
    (q) =>
      q.where((b) => b.price.gt("1")).orderBy((b) => b.title.asc()).limit(3).selectin("reviews"),
  ).one();
  some.titles();
  some.books[0]!.reviews[0]!.stars satisfies number;
  takesLoaded(some);
  // @ts-expect-error not loaded
  some.books[0]!.author.name;
  // @ts-expect-error not loaded
  some.country?.name;
  const deep = await authors.selectin("books.reviews", (q) => q.selectin("reviewer")).one();
  deep.books[0]!.reviews[0]!.reviewer?.name satisfies string | undefined;
  const one = await session.query(Book).selectin("author", (q) => q.selectin("country")).one();
  one.author.country?.name satisfies string | undefined;
  const both = await authors.selectin("country").selectin("books", (q) => q.limit(1)).one();
  both.country?.name satisfies string | undefined;
  both.books.length satisfies number;
  // @ts-expect-error no column of books
  authors.selectin("books", (q) => q.where((b) => b.name.eq("x")));
  // @ts-expect-error rows are no objects
  authors.selectin("books", (q) => q.select((b) => ({ id: b.id })));
  // @ts-expect-error another entity
  authors.selectin("books", () => session.query(Author));
  // @ts-expect-error no such relation
  authors.selectin("bookz", (q) => q.limit(1));
  // @ts-expect-error not the query, but what came of it
  authors.selectin("books", async (q) => await q.all());
}

async function _joinedLoadsAsSelectinDoes(session: AsyncSession) {
  const book = await session.query(Book).joined("author.country", "reviews").one();
  book.author.country?.name satisfies string | undefined;
  book.reviews[0]!.stars satisfies number;
  const author = await session.query(Author)
    .joined("books", (q) => q.where((b) => b.price.gt("1")).joined("author"))
    .selectin("books.reviews").one();
  takesLoaded(author);
  author.books[0]!.author.name satisfies string;
  // @ts-expect-error not loaded
  author.books[0]!.author.books.length;
  // @ts-expect-error no such relation
  session.query(Book).joined("tags");
}

async function _loadedAfterwards(session: AsyncSession, author: Author, book: Book) {
  const [loaded] = await session.load([author], "books.reviews", "country");
  loaded!.titles();
  takesLoaded(loaded!);
  loaded!.country?.name satisfies string | undefined;
  const [more] = await session.load([loaded!], "books.author");
  more!.books[0]!.author.name satisfies string;
  more!.books[0]!.reviews[0]!.stars satisfies number;
  const [some] = await session.load(
    [author],
    "books",
    (q) => q.orderBy((b) => b.price.asc()).limit(1).selectin("reviews"),
  );
  takesLoaded(some!);
  (await lazy(author).books)[0]!.title satisfies string;
  (await lazy(book).author).name satisfies string;
  (await lazy(author).country)?.name satisfies string | undefined;
  (await lazy(loaded!).books)[0]!.title satisfies string;
  const counts = await session.counts([author], "books", (b) => b.price.gt("1"));
  counts.get(author) satisfies number | undefined;
  // @ts-expect-error may be null
  (await lazy(author).country).name;
  // @ts-expect-error books are not loaded
  (await lazy(book).author).books.length;
  // @ts-expect-error a column is no relation
  lazy(author).name;
  // @ts-expect-error no such relation
  session.load([author], "bookz");
  // @ts-expect-error a list of objects
  session.load(author, "books");
  // @ts-expect-error one object: nothing to count
  session.counts([author], "country");
  // @ts-expect-error no column of books
  session.counts([author], "books", (b) => b.name.eq("x"));
}

function takesAuthor(_author: Author): void {}
function takesLoaded(author: With<Author, "books.reviews">): number {
  return author.books[0]!.reviews.length;
}

function _withIsAssignableToLess(
  deep: With<Author, "books.reviews">,
  shallow: With<Author, "books">,
  plain: Author,
) {
  takesAuthor(deep);
  takesLoaded(deep);
  const books: With<Author, "books"> = deep;
  books.titles();
  // @ts-expect-error reviews are not loaded
  takesLoaded(shallow);
  // @ts-expect-error nothing is loaded
  takesLoaded(plain);
}

function _conditionsTakeValuesOfTheirColumn(session: AsyncSession) {
  const authors = session.query(Author);
  authors.where((a) =>
    a.name.eq("Ada").and(a.id.gt(1), a.createdAt.lt(new Date())).or(a.email.isNull())
  );
  authors.where((a) => a.email.eq("x").and(a.name.in(["a"]), a.name.like("%"), a.name.eq(a.email)));
  authors.where((a) => a.books.some((b) => b.price.gt("10").and(b.reviews.count().eq(1))));
  session.query(Every).where((e) =>
    e.one.eq("a").and(e.big.eq(1n), e.bool.eq(true), e.maybeOne.in(["b"]))
  );
  // @ts-expect-error a number where a string belongs
  authors.where((a) => a.name.eq(1));
  // @ts-expect-error null is asked for by isNull()
  authors.where((a) => a.email.eq(null));
  // @ts-expect-error undefined is no value
  authors.where((a) => a.name.eq(undefined));
  // @ts-expect-error an object is no value
  authors.where((a) => a.name.eq({ not: "" }));
  // @ts-expect-error null in a list
  authors.where((a) => a.email.in([null]));
  // @ts-expect-error like() is for text
  authors.where((a) => a.id.like("1%"));
  // @ts-expect-error not one of the words
  session.query(Every).where((e) => e.one.eq("c"));
  // @ts-expect-error a condition, no boolean
  authors.where((a) => a.name === "Ada");
  // @ts-expect-error a string is no condition
  authors.where("name = 'Ada'");
  // @ts-expect-error a column that is no boolean is no condition
  authors.where((a) => a.name);
  // @ts-expect-error no such column
  authors.where((a) => a.nmae.eq("x"));
  // @ts-expect-error a getter is no column
  authors.where((a) => a.initials.eq("AL"));
  // @ts-expect-error columns of different types
  authors.where((a) => a.name.eq(a.id));
  // @ts-expect-error every() needs its condition
  authors.where((a) => a.books.every());
  // @ts-expect-error an order by name
  authors.orderBy("name");
  authors.orderBy((a) => [a.name.asc().nullsFirst(), a.id.desc(), a.books.count().desc()]);
}

function _filterByTakesValuesOnly(session: AsyncSession) {
  const authors = session.query(Author);
  authors.filterBy({ name: "Ada", email: null });
  // @ts-expect-error an operator object
  authors.filterBy({ name: { $ne: null } });
  // @ts-expect-error no such column
  authors.filterBy({ nmae: "Ada" });
  // @ts-expect-error of the wrong type
  authors.filterBy({ id: "1" });
  // @ts-expect-error not nullable
  authors.filterBy({ name: null });
  // @ts-expect-error a relation is no value
  authors.filterBy({ books: [] });
}

async function _theSessionKnowsItsClasses(session: AsyncSession) {
  (await session.get(Author, 1)) satisfies Author | undefined;
  (await session.getOrFail(Author, 1)).name satisfies string;
  (await session.query(Author).first()) satisfies Author | undefined;
  (await session.query(Author).oneOrNone()) satisfies Author | undefined;
  (await session.query(Author).count()) satisfies number;
  (await session.begin(() => "value")) satisfies string;
  for await (const author of session.query(Author).selectin("books").commitEvery(10)) {
    author.titles();
  }
  // @ts-expect-error a query is no promise
  (await session.query(Author)).length;
  // @ts-expect-error no entity
  session.query(Date).where((d) => d.getTime.eq(1));
  // @ts-expect-error not a level
  session.begin(() => {}, { isolation: "dirty" });
  // @ts-expect-error not a lock
  session.query(Author).lock("exclusive");
}

function _bulkRowsAreColumnsOnly(session: AsyncSession) {
  session.bulkInsert(Author, [{ name: "Ada" }, { name: "Bea", email: null, id: 5 }]);
  session.bulkInsert(Book, [{ title: "T", authorId: 1 }]);
  const row: BulkRow<Author> = { name: "Ada" };
  session.bulkInsert(Author, new Set([row]));
  // @ts-expect-error name is required
  session.bulkInsert(Author, [{}]);
  // @ts-expect-error no relations
  session.bulkInsert(Author, [{ name: "Ada", books: [] }]);
  // @ts-expect-error no such column
  session.bulkInsert(Author, [{ name: "Ada", nmae: "x" }]);
  // @ts-expect-error an array of rows, no row
  session.bulkInsert(Author, { name: "Ada" });
}

function _declarationsAreChecked() {
  integer().default(1);
  text().default(() => "made");
  // @ts-expect-error not a number
  integer().default("1");
  // @ts-expect-error not one of the words
  oneOf("a", "b").default("c");
  // @ts-expect-error not an action
  integer().references("a.id", { onDelete: "explode" });
  // @ts-expect-error neither a column nor a relation
  entity("t", { id: "integer" });
}

// Two classes that refer to each other by belongsTo, neither of them nullable.
class Left extends entity("lefts", {
  id: integer().primaryKey(),
  rightId: integer().references("rights.id"),
  right: belongsTo<Right>("rightId"),
}) {}
class Right extends entity("rights", {
  id: integer().primaryKey(),
  leftId: integer().references("lefts.id"),
  left: belongsTo<Left>("leftId"),
}) {}

async function _ringsOfClassesAreTyped(session: AsyncSession) {
  const left = await session.query(Left).selectin("right.left").one();
  left.right.left.id satisfies number;
  const right = await session.query(Right).selectin("left.right").one();
  right.left.right satisfies Right;
}

Deno.test("the types accept and refuse what they should: checked by the compiler", () => {});

class Animal extends entity("animals", {
  id: integer().primaryKey().generated(),
  kind: oneOf("dog", "cat", "puppy").discriminator(),
  name: text(),
  keeperId: integer().nullable().references("authors.id"),
  keeper: belongsTo<Author | null>("keeperId"),
}, {
  computed: { loud: (a) => a.name.upper() },
  filters: { named: (a) => a.name.ne("") },
  hooks: { beforeInsert: (a) => isTrue<Same<typeof a.name, string>>() },
}) {}
class Dog extends subclass(Animal, "dog", {
  breed: text(),
  rivalId: integer().nullable().references("animals.id"),
  rival: belongsTo<Animal | null>("rivalId"),
}, {
  table: "dogs",
  unique: [["breed"]],
  filters: { bred: (d) => d.breed.ne("").and(d.name.ne("")) },
  hooks: { beforeUpdate: (d) => isTrue<Same<typeof d.breed, string>>() },
}) {}
class Puppy extends subclass(Dog, "puppy", { weeks: integer() }) {}

/** Inheritance: fields, relations, discriminators, queries. */
export async function inheritance(session: AsyncSession): Promise<void> {
  const puppy = new Puppy({ name: "Pip", breed: "Pug", weeks: 7 });
  isTrue<Same<typeof puppy.weeks, number>>();
  isTrue<Same<typeof puppy.breed, string>>();
  isTrue<Same<typeof puppy.kind, "dog" | "cat" | "puppy">>();
  isTrue<Same<typeof puppy.loud, string>>();
  const animal: Animal = puppy;
  const dog: Dog = puppy;
  // @ts-expect-error -- an animal is not always a dog
  const wrong: Dog = animal;
  // @ts-expect-error -- what the base declares is required, too
  new Puppy({ breed: "Pug", weeks: 7 });
  // @ts-expect-error -- "bird" is none of the discriminator's values
  subclass(Animal, "bird", {});
  // @ts-expect-error -- no such column
  subclass(Animal, "cat", {}, { unique: [["breed"]] });
  const loaded = await session.query(Puppy).selectin("rival.keeper", "keeper").one();
  isTrue<Same<typeof loaded.weeks, number>>();
  loaded.rival?.keeper?.name;
  loaded.keeper?.name;
  const plain: Puppy = loaded;
  // @ts-expect-error -- not loaded
  plain.rival?.name;
  const dogs = await session.query(Animal).selectin("keeper").ofType(Dog)
    .where((d) => d.breed.eq("Pug").and(d.rival.name.eq("x"))).joined("rival").all();
  dogs[0]?.rival?.name;
  dogs[0]?.keeper?.name;
  const withRival = (given: With<Puppy, "rival">) => given.rival?.name;
  withRival(loaded);
  // @ts-expect-error -- an author is no animal
  session.query(Animal).ofType(Author);
  // @ts-expect-error -- the base has no breed
  session.query(Animal).where((a) => a.breed.eq("Pug"));
  await session.query(Dog).select((d) => ({ breed: d.breed, rival: d.rival.name })).all();
  void [dog, wrong];
}
