/** The tour of Sluice, section by section: what it shows is what runs. */

import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import {
  AsyncEngine,
  BatchError,
  createAll,
  insert,
  inspect,
  lazy,
  NotLoadedError,
  sql,
  StaleDataError,
  UniqueViolationError,
  update,
  type With,
} from "@sluice/orm";
import { withSession } from "../../../src/server/mod.ts";
import { eachEngine } from "../../support/each_engine.ts";
import { Author } from "./author.ts";
import { Book } from "./book.ts";
import { Tag } from "./tag.ts";
import { User } from "./user.ts";

async function* copied() {
  for (let i = 0; i < 3; i++) yield { name: `Copied ${i}`, email: `copied${i}@example.org` };
}

eachEngine("The tour runs as it is written", async ({ target, engineName, test }) => {
  await using engine = new AsyncEngine(target, {
    entities: [Author, Book, Tag, User],
    ...(engineName === "postgres" ? { poolSize: 10, maxOverflow: 20 } : {}),
    poolTimeout: 30_000,
    poolRecycle: 3_600_000,
    poolPrePing: true,
    echo: false,
  });
  await createAll(engine);

  await test.step("3. sessions and the unit of work", async () => {
    await using session = engine.session();
    const ada = new Author({ name: "Ada", books: [new Book({ title: "Notes", price: "9.50" })] });
    session.add(ada);
    await session.commit();
    assertEquals(inspect(ada).state, "persistent");
    ada.name = "Ada Lovelace";
    await session.commit();

    const same = await session.get(Author, ada.id);
    assertStrictEquals(same, ada);
    session.delete(ada);
    await session.commit();
    assertEquals(await session.query(Author).count(), 0);
    assertEquals(await session.query(Book).count(), 0);
  });

  await test.step("1. entities", async () => {
    await using session = engine.session();
    session.addAll(["Ada Lovelace", "Alan Turing", "Grace Hopper"].map((name) =>
      new Author({
        name,
        bio: `The life of ${name}`,
        books: [
          new Book({
            title: `${name}, volume one`,
            price: "12.00",
            meta: { isbn: "978" },
            tags: [new Tag({ label: "history" })],
          }),
          new Book({ title: `${name}, volume two`, price: "8.00" }),
        ],
      })
    ));
    await session.commit();

    await using reader = engine.session();
    const author = await reader.query(Author).orderBy((a) => a.id.asc()).first();
    assert(author !== undefined);
    assertEquals(author.initials, "AL");
    assertThrows(() => (author as unknown as With<Author, "books">).books, NotLoadedError);
    const [loaded] = await reader.load([author], "books");
    assertEquals(loaded!.titles().length, 2);
    assert(JSON.stringify(loaded).includes("volume one"));
  });

  await test.step("4. transactions", async () => {
    await using session = engine.session();
    const [first] = await session.query(Book).orderBy((b) => b.id.asc()).limit(1).all();
    const id = first!.id;
    await session.begin(async (tx) => {
      const book = await session.getOrFail(Book, id, { lock: "update" });
      book.price = "12.50";
      await tx.savepoint(async () => {/* rolls back alone */});
    }, { isolation: "serializable", retries: 5 });
    assertEquals((await session.getOrFail(Book, id)).price, "12.50");

    {
      await using tx = await session.begin({ readOnly: true });
      assertEquals(await session.query(Book).count(), 6);
      await tx.commit();
    }

    await using other = engine.session();
    const mine = await session.getOrFail(Book, id);
    const theirs = await other.getOrFail(Book, id);
    mine.price = "1.00";
    await session.commit();
    theirs.price = "2.00";
    await assertRejects(() => other.commit(), StaleDataError);
    await other.rollback();
  });

  await test.step("5. queries", async () => {
    await using session = engine.session();
    const query = session.query(Author)
      .where((a) => a.name.like("A%").and(a.books.some((b) => b.price.gt("10"))))
      .orderBy((a) => [a.name.asc(), a.id.desc()])
      .selectin("books.tags")
      .limit(50);
    const labels: string[] = [];
    for await (const author of query) {
      labels.push(...author.books.flatMap((book) => book.tags.map((t) => t.label)));
    }
    assertEquals(labels, ["history"]);
    const list = await query.all();
    assertEquals(list.map((author) => author.name), ["Alan Turing"]);

    const rows = await session.query(Author).orderBy((a) => a.id.asc())
      .select((a) => ({ id: a.id, name: a.name, books: a.books.count() })).all();
    assertEquals(rows.map(({ books }) => books), [2, 2, 2]);
    assertEquals(
      (await session.query(Book).where((b) => b.author.name.eq("Alan Turing")).all()).length,
      2,
    );
    assertEquals(
      (await session.query(Author).filterBy({ name: "Grace Hopper" }).one()).id > 0,
      true,
    );
    const name = "Grace Hopper";
    const counted = await engine.execute(
      sql<{ n: number }>`select cast(count(*) as int) as n from ${Author}
        where ${Author.c.name} = ${name}`,
    );
    assertEquals(counted.scalar(), 1);
    const authors = await session.query(Author).all();
    for (const author of authors) assertEquals((await lazy(author).books).length, 2);

    const three = await session.query(Author)
      .selectin(
        "books",
        (q) => q.where((b) => b.price.gt("9")).orderBy((b) => b.title.asc()).limit(3),
      )
      .all();
    assertEquals(three.map((author) => author.books.length).reduce((a, b) => a + b), 2);
    const page = await session.query(Author).orderBy((a) => a.name.asc()).page({ size: 2 });
    assertEquals(page.items.length, 2);
  });

  await test.step("6. long-running updates", async () => {
    await using session = engine.session();
    await session.bulkInsert(
      User,
      Array.from({ length: 250 }, (_, i) => ({ name: `User ${i}`, email: `${i}@example.org` })),
    );
    const batches: number[] = [];
    for await (
      const user of session.query(User).where((u) => u.active.eq(true))
        .commitEvery(100, { lock: "update", onCommit: (b) => batches.push(b.rows) })
    ) {
      user.lastLogin = new Date();
    }
    assertEquals(batches, [100, 200, 250]);
    assertEquals(await session.query(User).where((u) => u.lastLogin.isNull()).count(), 0);

    const failing = session.query(User).inBatches(100);
    await assertRejects(
      async () => {
        for await (const users of failing) {
          if (users.some((user) => user.name === "User 120")) throw new Error("stop");
        }
      },
      Error,
      "stop",
    );
    let seen = 0;
    const rest = session.query(User).inBatches(100, { resumeAfter: failing.checkpoint! });
    for await (const users of rest) seen += users.length;
    assertEquals(seen, 150);
    const failed = await assertRejects(
      () =>
        session.query(User).eachBatch(100, (users) => {
          if (users.length < 100) throw new Error("stop");
        }),
      BatchError,
    );
    assert(failed.checkpoint !== undefined);
  });

  await test.step("7. bulk", async () => {
    await using session = engine.session();
    const rows = [{ name: "New name", email: "1@example.org" }, {
      name: "New",
      email: "new@example.org",
    }];
    await assertRejects(() => session.bulkInsert(User, rows), UniqueViolationError);
    const returned = await session.bulkInsert(User, rows, {
      onConflict: { target: "email", update: ["name"] },
      returning: ["id"],
    });
    assertEquals(returned.length, 2);
    await session.bulkUpdate(User, returned.map(({ id }) => ({ id, active: false })));
    await session.bulkDelete(User, [returned[1]!.id]);
    if (engineName === "postgres") {
      await engine.copyIn(User, copied());
      const query = session.query(User).where((u) => u.name.startsWith("Copied"));
      let csv = "";
      for await (const chunk of engine.copyOut(query, { format: "csv" })) {
        csv += new TextDecoder().decode(chunk);
      }
      assertEquals(csv.trimEnd().split("\n").length, 4);
    }
    const inserted = await session.execute(
      insert(User).values([{ name: "Last", email: "last@example.org" }]).returning((u) => u.id),
    );
    assertEquals(inserted.scalars().length, 1);
    const cutoff = new Date(Date.now() + 1_000);
    await session.execute(
      update(User).set({ active: false }).where((u) => u.lastLogin.lt(cutoff)),
    );
    assertEquals(
      await session.query(User).where((u) => u.active.eq(true).and(u.lastLogin.isNotNull()))
        .count(),
      0,
    );
  });

  await test.step("9. servers", async () => {
    const handler = withSession(engine, (_request, session) => {
      const authors = session.query(Author).selectin("books");
      return new Response(authors.ndjson(), {
        headers: { "content-type": "application/x-ndjson" },
      });
    });
    const response = await handler(new Request("http://localhost/"));
    const lines = (await response.text()).trimEnd().split("\n").map((line) => JSON.parse(line));
    assertEquals(lines.map(({ books }) => books.length), [2, 2, 2]);
  });
});
