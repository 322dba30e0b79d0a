import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import {
  type AsyncEngine,
  entity,
  InputError,
  inspect,
  InstanceStateError,
  integer,
  lazy,
  NotLoadedError,
  prepare,
  text,
  UsageError,
} from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";
import {
  Author,
  authors,
  Book,
  LIBRARY,
  openLibrary,
  Review,
  sent,
} from "../support/library_model.ts";

class Note extends entity("notes", {
  id: integer().primaryKey(),
  title: text(),
  body: text().deferred(),
}) {}

/** Three authors with two books each, the first one reviewed by the second author. */
async function fill(engine: AsyncEngine): Promise<void> {
  await using session = engine.session();
  const all = authors(3, 2);
  (all[0]!.books as Book[])[0]!.reviews = [new Review({ stars: 5, reviewer: all[1]! })];
  session.addAll(all);
  session.add(new Note({ id: 1, title: "t", body: "b" }));
  await session.commit();
}

eachEngine("readOnly() reads objects that no session knows", async (t) => {
  await using engine = await openLibrary(t.target, { entities: [...LIBRARY, Note] });
  await fill(engine);
  await using session = engine.session();
  const query = session.query(Author).orderBy((a) => a.id.asc());

  await t.test.step("with their values, their class and their fields", async () => {
    const [author] = await query.readOnly().all();
    assert(author instanceof Author);
    assertEquals([author.name, author.initials, author.mood], ["Author 1", "A1", "calm"]);
    assert(author.createdAt instanceof Date);
    assertEquals(author.greet(), 1);
    assertEquals(inspect(author), { state: "readOnly", modified: false, fields: {} });
    assertEquals(JSON.parse(JSON.stringify(author)).name, "Author 1");
  });

  await t.test.step("apart from those that the session has", async () => {
    const [mine] = await query.all();
    const [one] = await query.readOnly().all();
    const [other] = await query.readOnly().all();
    assert(one !== mine && one !== other);
    assertStrictEquals((await query.all())[0], mine);
    // And the session's own stay what they are.
    assertEquals(inspect(mine!).state, "persistent");
  });

  await t.test.step("whose changes are nobody's", async () => {
    const [author] = await query.readOnly().all();
    // @ts-expect-error: the type says so
    author!.name = "Changed";
    assertEquals(session.dirty, []);
    assertEquals(await sent(engine, () => session.commit()), []);
    assertEquals(inspect(author!).modified, false);
  });

  await t.test.step("along with what they lead to, one object for each row", async () => {
    const graph = query.readOnly().selectin("books.reviews.reviewer").selectin("country");
    const all = await graph.all();
    assertEquals(all.map((a) => a.books.length), [2, 2, 2]);
    assertEquals(all[0]!.country, null);
    const [review] = all[0]!.books[0]!.reviews;
    assertStrictEquals(review!.reviewer as unknown, all[1]);
    assertEquals(inspect(review!).state, "readOnly");
    for await (const author of graph.window(1)) assertEquals(author.books.length, 2);

    const joined = await session.query(Book).readOnly().joined("author").orderBy((b) => b.id.asc())
      .all();
    assertEquals(joined.map((b) => b.author.name).slice(1, 4), [
      "Author 1",
      "Author 2",
      "Author 2",
    ]);
    assertStrictEquals(joined[0]!.author, joined[1]!.author);
    const [folded] = await query.readOnly().joined("books").all();
    assertEquals(folded!.books.map((b) => b.title), ["Book 1.1", "Book 1.2"]);
  });

  await t.test.step("by streams, pages and prepared queries", async () => {
    const names: string[] = [];
    for await (const author of query.readOnly().window(2)) names.push(author.name);
    assertEquals(names, ["Author 1", "Author 2", "Author 3"]);
    const page = await query.readOnly().page({ size: 2 });
    assertEquals(page.items.map((item) => inspect(item).state), ["readOnly", "readOnly"]);
    assertEquals((await query.readOnly().page({ size: 2, after: page.next })).items.length, 1);
    const byName = prepare((p: { name: string }, s) =>
      s.query(Author).where((a) => a.name.eq(p.name)).readOnly()
    );
    const found = await byName(session, { name: "Author 2" }).one();
    assertEquals([found.name, inspect(found).state], ["Author 2", "readOnly"]);
  });

  await t.test.step("which say what was not loaded", async () => {
    const [author] = await query.readOnly().all();
    assertThrows(() => author!.books as unknown, NotLoadedError, "Author.books");
    await assertRejects(() => lazy(author!).books, Error, "no session");
    const [note] = await session.query(Note).readOnly().all();
    assertThrows(() => note!.body as unknown, NotLoadedError, "Note.body");
    const [partly] = await session.query(Note).only("id").readOnly().all();
    assertThrows(() => partly!.title as unknown, NotLoadedError, "Note.title");
    assertEquals((await session.query(Note).undefer("body").readOnly().one()).body, "b");
  });

  await t.test.step("which no session takes as its own", async () => {
    const [author] = await query.readOnly().all() as Author[];
    for (const request of ["add", "delete", "attach", "expire"] as const) {
      assertThrows(() => session[request](author!), InstanceStateError, "is readOnly");
    }
    await assertRejects(() => session.refresh(author!), InstanceStateError, "is readOnly");
    await assertRejects(() => session.load([author!], "books"), InstanceStateError, "is readOnly");
    await using other = engine.session({ onUnflushedClose: "ignore" });
    assertThrows(
      () => other.add(new Book({ title: "by nobody", author: author! })),
      InstanceStateError,
      "is readOnly",
    );
  });

  await t.test.step("and merge() copies into one", async () => {
    await using other = engine.session();
    const [author] = await query.readOnly().selectin("books", (q) => q.limit(1)).all();
    (author as Author).name = "Merged";
    const merged = await other.merge(author as Author);
    assertEquals([inspect(merged).state, merged.name], ["persistent", "Merged"]);
    await other.commit();
    // Of the books one was known; the rest is not taken for removed.
    assertEquals(await other.query(Book).where((b) => b.authorId.eq(author!.id)).count(), 2);
  });

  await t.test.step("by queries that do not commit in batches", async () => {
    assertThrows(() => query.readOnly().commitEvery(2), UsageError, "readOnly()");
    assertThrows(() => query.readOnly().inBatches(2), UsageError, "readOnly()");
    await assertRejects(() => query.readOnly().eachBatch(2, () => {}), UsageError, "readOnly()");
    assertThrows(
      () => query.selectin("books", (q) => q.readOnly() as unknown as typeof q),
      InputError,
      "readOnly() has no place",
    );
  });
});
