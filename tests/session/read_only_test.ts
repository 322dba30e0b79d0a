import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ReadOnlyError, sql, UsageError } from "@sluice/orm";
import { isWrite } from "../../src/engine/read_only.ts";
import { eachEngine } from "../support/each_engine.ts";
import { Author, openLibrary, sent } from "../support/library_model.ts";

eachEngine("a read-only session refuses every write before it is sent", async (
  { target, engineName },
) => {
  await using engine = await openLibrary(target);
  await using writer = engine.session();
  writer.add(new Author({ name: "Ada" }));
  await writer.commit();

  await using session = engine.session({ readOnly: true });
  const statements = await sent(engine, async () => {
    assertThrows(() => session.add(new Author({ name: "Bea" })), ReadOnlyError);
    assertThrows(() => session.addAll([new Author({ name: "Bea" })]), ReadOnlyError);
    const ada = await session.query(Author).one();
    assertThrows(() => session.delete(ada), ReadOnlyError);
    ada.name = "Changed";
    await assertRejects(() => session.commit(), ReadOnlyError);
    await assertRejects(() => session.begin(() => session.query(Author).all()), ReadOnlyError);
    assertEquals(ada.name, "Ada", "a transaction that failed puts its objects back");
    await assertRejects(() => session.bulkInsert(Author, [{ name: "Bea" }]), ReadOnlyError);
    await assertRejects(() => session.execute(sql`insert into authors values (1)`), ReadOnlyError);
    await assertRejects(
      () => session.begin(() => session.execute(sql`-- as\n /* b */ DELETE from authors`)),
      ReadOnlyError,
    );
    await session.commit();
  });
  assertEquals(statements.filter((text) => !text.startsWith("select")), []);

  // What hides its writing from us, the database refuses; nothing is left behind by that.
  if (engineName !== "sqlite") {
    const hidden = sql`with gone as (delete from authors returning id) select count(*) from gone`;
    await assertRejects(() => session.execute(hidden), ReadOnlyError);
  }
  const count = sql<{ n: number }>`select count(*) as n from authors`;
  assertEquals(Number((await session.execute(count)).scalar()), 1);
  for await (const author of session.query(Author)) {
    assertEquals(author.name, "Ada");
    await session.execute(count);
  }
  await session.begin(async (tx) =>
    assertEquals([tx.readOnly, await session.query(Author).count()], [true, 1])
  );
  await assertRejects(() => session.begin({ readOnly: false }), UsageError);
  assertEquals(engine.pool.status().checkedOut, 0);
});

eachEngine("begin({ readOnly }) refuses writes of its session, and stays usable", async (
  { target },
) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  await session.begin(async () => {
    await assertRejects(() => session.execute(sql`update authors set name = 'x'`), ReadOnlyError);
    assertThrows(() => session.add(new Author({ name: "Bea" })), ReadOnlyError);
    assertEquals(await session.query(Author).count(), 0);
  }, { readOnly: true });
  // Changes made before belong to no read-only transaction: they are refused, not forgotten.
  const bea = new Author({ name: "Bea" });
  session.add(bea);
  await assertRejects(() => session.begin(() => {}, { readOnly: true }), ReadOnlyError);
  session.add(bea);
  await session.commit();
  assertEquals(await session.query(Author).count(), 1);
});

Deno.test("isWrite() looks at the first word of a statement", () => {
  const writes = [
    "insert into t values (1)",
    "  \n\tUPDATE t set a = 1",
    "/* select */ -- select\n delete from t",
    "(truncate t)",
    "create table t (a int)",
    "MERGE INTO t using s on true when matched then do nothing",
    "drop\ntable t",
  ];
  const reads = [
    "select 1",
    "with a as (select 1) select * from a",
    "values (1)",
    "inserted",
    "-- insert",
    "/* insert",
    "",
    "(select 1) union (select 2)",
    "explain select 1",
    "updates",
  ];
  assertEquals(writes.filter((text) => !isWrite(text)), []);
  assertEquals(reads.filter(isWrite), []);
});
