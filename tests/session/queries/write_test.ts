/** `insert()`, `update()` and `deleteFrom()` as values, on each database. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  count,
  deleteFrom,
  embedded,
  entity,
  exists,
  type Expression,
  InputError,
  insert,
  integer,
  text,
  update,
  UsageError,
  value,
} from "@sluice/orm";
import { eachEngine } from "../../support/each_engine.ts";
import { openLibrary } from "../../support/library_model.ts";
import { Author, Book, openStocked, Review } from "./model.ts";

eachEngine(
  "insert() takes rows, defaults and expressions, and gives typed rows back",
  async ({ target }) => {
    await using engine = await openStocked(target);
    await using session = engine.session();
    const statement = insert(Author).values([
      { name: "Dot", email: "dot@example.com", createdAt: new Date(0) },
      { name: value("eve").upper(), email: null, createdAt: new Date(1) },
    ]).returning((a) => ({ id: a.id, name: a.name, at: a.createdAt }));
    const { rows } = await session.execute(statement);
    assertEquals(rows, [
      { id: 4, name: "Dot", at: new Date(0) },
      { id: 5, name: "EVE", at: new Date(1) },
    ]);
    const again = insert(Author).values({ name: "Dot 2", email: "dot@example.com" })
      .onConflict({ target: "email", update: ["name"] }).returning((a) => a.id);
    assertEquals((await engine.execute(again)).rows, [4]);
    const ignored = insert(Author).values({ name: "x", email: "dot@example.com" })
      .onConflict({ target: "email" });
    assertEquals((await engine.execute(ignored)).rowCount, 0);
  },
);

eachEngine("insert().from() stores the rows of a query", async ({ target }) => {
  await using engine = await openStocked(target);
  await using session = engine.session();
  const query = session.query(Book).where((b) => b.author.name.eq("Ada"))
    .select((b) => ({ bookId: b.id, stars: b.id.add(1).cast("smallint"), text: b.title }));
  const result = await session.execute(insert(Review).from(query).returning((r) => r.text));
  assertEquals([...result.rows].sort(), ["Engines", "Notes"]);
  assertEquals(await session.query(Review).count(), 4);
});

eachEngine("update() sets values and expressions of the rows it finds", async ({ target }) => {
  await using engine = await openStocked(target);
  await using session = engine.session();
  const statement = update(Author)
    .set((a) => ({ name: a.name.concat("!"), email: null }))
    .where((a) => exists(session.query(Book).where((b) => b.authorId.eq(a.id))))
    .where((a) => a.id.lt(2))
    .returning((a) => ({ name: a.name, email: a.email }));
  assertEquals((await session.execute(statement)).rows, [{ name: "Ada!", email: null }]);
  const all = update(Book).set({ published: "2020-01-01" }).all();
  assertEquals((await session.execute(all)).rowCount, 3);
});

eachEngine("deleteFrom() deletes the rows it finds", async ({ target }) => {
  await using engine = await openStocked(target);
  await using session = engine.session();
  const statement = deleteFrom(Review).where((r) => r.stars.lt(4)).returning((r) => r.stars);
  assertEquals((await session.execute(statement)).rows, [3]);
  assertEquals((await session.execute(deleteFrom(Review).all())).rowCount, 1);
});

eachEngine(
  "statements that change rows stand in CTEs on PostgreSQL",
  async ({ target, engineName }) => {
    await using engine = await openStocked(target);
    await using session = engine.session();
    const gone = deleteFrom(Review).where((r) => r.stars.lt(4)).returning((r) => ({ id: r.id }))
      .cte();
    const query = session.from(gone).select(() => count());
    if (engineName === "sqlite") {
      await assertRejects(() => query.scalar(), UsageError, "session.begin()");
      assertEquals(await session.query(Review).count(), 2);
    } else {
      assertEquals(await query.scalar(), 1);
      assertEquals(await session.query(Review).count(), 1);
    }
  },
);

eachEngine("rows are chosen over relations by a subquery, which the refusal names", async ({
  target,
}) => {
  await using engine = await openStocked(target);
  await using session = engine.session();
  const byAda = (b: { author: { name: Expression<string> } }) => b.author.name.eq("Ada");
  const refused = (make: () => unknown, what: string) =>
    assertThrows(make, UsageError, `${what}() knows the columns of "books", and "author" is a`);
  refused(() => update(Book).set({ price: "1" }).where(byAda as never), "update");
  refused(() => deleteFrom(Book).where(byAda as never), "deleteFrom");
  refused(
    () =>
      insert(Book).values({ title: "x" }).returning((b) => (b as unknown as Book).author as never),
    "insert",
  );
  const ids = session.query(Book).where(byAda).select((b) => b.id);
  const cheaper = update(Book).set({ price: "1.00" }).where((b) => b.id.in(ids));
  assertEquals((await session.execute(cheaper)).rowCount, 2);
  assertEquals((await session.execute(deleteFrom(Book).where((b) => b.id.in(ids)))).rowCount, 2);
});

eachEngine("the columns of a group stand in their group", async ({ target }) => {
  class Shop extends entity("shops", {
    id: integer().primaryKey(),
    address: embedded({ street: text(), city: text() }),
  }) {}
  await using engine = await openLibrary(target, { entities: [Shop] });
  await using session = engine.session();
  session.add(new Shop({ id: 1, address: { street: "Main St", city: "Ulm" } }));
  await session.commit();
  const statement = deleteFrom(Shop).where((s) => s.address.city.eq("Ulm"))
    .returning((s) => s.address.street);
  assertEquals((await session.execute(statement)).rows, ["Main St"]);
});

eachEngine("what is wrong is refused before anything is sent", async ({ target, engineName }) => {
  await using engine = await openStocked(target);
  const refused = async (statement: Parameters<typeof engine.execute>[0]) =>
    await assertRejects(async () => await engine.execute(statement), InputError);
  await refused(update(Author).set({ name: "x" }));
  await refused(deleteFrom(Author));
  await refused(insert(Author).values({ name: { toString: () => "x" } as never }));
  await refused(insert(Author).values({ name: JSON.parse(`{"kind":"raw","parts":["1"]}`) }));
  assertThrows(() => insert(Author).values([]), InputError);
  assertThrows(() => insert(Author).values({ name: null as never }), InputError, "null");
  assertThrows(() => insert(Author).values({ nam: "x" } as never), InputError, `"name"`);
  assertThrows(() => insert(Author).values({ name: "x", __proto__x: 1 } as never), InputError);
  assertThrows(() => update(Author).set({}), InputError);
  assertThrows(() => update(Author).set({ books: [] } as never), InputError);
  assertThrows(
    () =>
      insert(Author as never).values({ name: "x" } as never).onConflict({
        target: "id) do nothing --" as never,
      }),
    InputError,
  );
  assertThrows(() => insert({} as never), InputError);
  const mixed = insert(Author).values([{ name: "x", createdAt: new Date(0) }, { name: "y" }]);
  if (engineName === "sqlite") {
    await assertRejects(async () => await engine.execute(mixed), UsageError, "same columns");
  } else assert((await engine.execute(mixed)).rowCount === 2);
});
