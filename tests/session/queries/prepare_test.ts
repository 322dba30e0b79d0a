/** Prepared queries, on each database. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { InputError, prepare, sql, UsageError } from "@sluice/orm";
import { eachEngine } from "../../support/each_engine.ts";
import { Author, Book, openStocked } from "./model.ts";

eachEngine("prepare() builds a query once, and binds values by name", async ({ target }) => {
  await using engine = await openStocked(target);
  await using session = engine.session();
  let built = 0;
  const found = prepare((p: { name: string; ids: number[]; most: number }, s) => {
    built++;
    return s.query(Author)
      .where((a) => a.name.contains(p.name).and(a.id.in(p.ids)))
      .orderBy((a) => a.id.desc())
      .limit(p.most);
  });
  const names = async (values: { name: string; ids: number[]; most: number }) =>
    (await found(session, values).all()).map((author) => author.name);
  assertEquals(await names({ name: "d", ids: [1, 2, 3], most: 5 }), ["Cyd", "Ada"]);
  assertEquals(await names({ name: "d", ids: [1, 2, 3], most: 1 }), ["Cyd"]);
  assertEquals(await names({ name: "%", ids: [1, 2, 3], most: 1 }), []);
  assertEquals(await names({ name: "", ids: [], most: 1 }), []);
  assertEquals(await found(session, { name: "d", ids: [1, 3], most: 1 }).count(), 1);
  assert(await found(session, { name: "d", ids: [1], most: 1 }).exists());
  assertEquals((await found(session, { name: "d", ids: [1], most: 1 }).one()).name, "Ada");
  await using other = engine.session();
  assertEquals((await found(other, { name: "B", ids: [2], most: 1 }).one()).name, "Bob");
  assertEquals(built, 1);
});

eachEngine(
  "a prepared query for rows, with parameters in expressions and pages",
  async ({ target }) => {
    await using engine = await openStocked(target);
    await using session = engine.session();
    const byPrice = prepare((p: { price: string; mark: string }, s) =>
      s.query(Book)
        .where((b) => b.price.gte(p.price).and(sql<boolean>`${p.mark} = ${"x"}`))
        .select((b) => ({ title: b.title.concat(p.mark) }))
        .orderBy((b) => b.title)
    );
    assertEquals(await byPrice(session, { price: "9.5", mark: "x" }).all(), [
      { title: "Enginesx" },
      { title: "Notesx" },
    ]);
    assertEquals(await byPrice(session, { price: "9.5", mark: "y" }).all(), []);
    const page = await byPrice(session, { price: "1", mark: "x" }).page({ size: 2 });
    const next = await byPrice(session, { price: "1", mark: "x" }).page({
      size: 2,
      after: page.next,
    });
    assertEquals(next.items, [{ title: "Notesx" }]);
  },
);

eachEngine("values of prepared queries are checked before anything is sent", async ({ target }) => {
  await using engine = await openStocked(target);
  await using session = engine.session();
  const byId = prepare((p: { id: number }, s) => s.query(Author).where((a) => a.id.eq(p.id)));
  for (const id of ["1", 1.5, null, undefined, {}, [1]]) {
    await assertRejects(() => byId(session, { id: id as number }).all(), InputError);
  }
  assertThrows(() => byId(session, { id: 1, ip: 2 } as never), InputError, `"id"`);
  assertThrows(() => byId(session, JSON.parse(`{"__proto__": 1}`)), InputError);
  await assertRejects(async () => await byId(session, {} as never).all(), InputError, `"id"`);
  assertThrows(() => byId(session, { id: 1 }).commitEvery(5), UsageError, "prepared");
  const computed = prepare((p: { name: string }, s) =>
    s.query(Author).where((a) => a.name.eq(`${p.name}!`))
  );
  assertThrows(() => computed(session, { name: "x" }), InputError, "while the query was prepared");
});
