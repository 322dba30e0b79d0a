import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { IntegrityError, sql } from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";
import { Author, Book, Country, openLibrary } from "../support/library_model.ts";

eachEngine("a new row takes the key of one that is deleted in the same flush", async (context) => {
  await using engine = await openLibrary(context.target);
  await using session = engine.session();
  const old = new Country({ code: "fr", name: "Old", authors: [] });
  session.add(old);
  await session.commit();
  session.delete(old);
  const fresh = new Country({ code: "fr", name: "New" });
  session.add(fresh);
  assertEquals(session.preview().steps.map(({ action }) => action), ["delete", "insert"]);
  await session.commit();
  assertStrictEquals<unknown>(await session.get(Country, "fr"), fresh);
  const { rows } = await engine.execute(sql`select name from countries`);
  assertEquals(rows as unknown[], [{ name: "New" }]);
});

eachEngine("an update takes the unique value of a row that is deleted", async ({ target }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  const [a, b] = ["a", "b"].map((name) =>
    new Author({ name, email: `${name}@x.y`, books: [new Book({ title: name })] })
  ) as [Author, Author];
  session.addAll([a, b]);
  await session.commit();
  // Its book goes with it, before it.
  session.delete((a.books as Book[])[0]!);
  session.delete(a);
  b.email = "a@x.y";
  await session.commit();
  assertEquals(await session.query(Author).select((x) => x.email).all(), ["a@x.y"]);
});

eachEngine("a failed flush that hands a key on restores both objects", async ({ target }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  const old = new Country({ code: "fr", name: "Old", authors: [] });
  const other = new Author({ name: "x", email: "x@x.y" });
  session.addAll([old, other]);
  await session.commit();
  session.delete(old);
  session.addAll([
    new Country({ code: "fr", name: "New" }),
    new Author({ name: "y", email: "x@x.y" }),
  ]);
  await assertRejects(() => session.commit(), IntegrityError);
  assertStrictEquals<unknown>(await session.get(Country, "fr"), old);
  old.name = "Still";
  await session.commit();
  assertEquals(await session.query(Country).select((c) => c.name).all(), ["Still"]);
});
