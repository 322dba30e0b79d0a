import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { ConnectionLostError, inspect, sql } from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";
import { runSql } from "../support/postgres_server.ts";
import { Author, authors, Book, openLibrary, sent } from "../support/library_model.ts";

const onePlace = { poolSize: 1, maxOverflow: 0 };

/** A library of `count` authors with two books each. */
async function openFilled(target: Parameters<typeof openLibrary>[0], count: number) {
  const engine = await openLibrary(target, onePlace);
  await using session = engine.session();
  session.addAll(authors(count, 2));
  await session.commit();
  return engine;
}

const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1);

eachEngine("for await gives every object in order, whatever the window", async ({ target }) => {
  await using engine = await openFilled(target, 10);
  await using session = engine.session();
  for (const window of [1, 3, 5, 10, 500]) {
    const ids: number[] = [];
    for await (const author of session.query(Author).orderBy((a) => a.id.asc()).window(window)) {
      ids.push(author.id);
    }
    assertEquals(ids, upTo(10));
    assertEquals(engine.pool.status().checkedOut, 0);
  }
  for await (const _ of session.query(Author).where((a) => a.id.lt(0))) {
    throw new Error("none expected");
  }
});

eachEngine("selectin loads once per window and path", async ({ target }) => {
  await using engine = await openFilled(target, 10);
  await using session = engine.session();
  const query = session.query(Author).orderBy((a) => a.id.asc()).window(4).selectin("books.author");
  const statements = await sent(engine, async () => {
    let count = 0;
    for await (const author of query) {
      assertEquals(author.books.length, 2);
      assertStrictEquals(author.books[0]!.author, author);
      count++;
    }
    assertEquals(count, 10);
  });
  // Three windows: 4, 4 and 2 authors.
  assertEquals(statements.filter((text) => text.includes('from "books"')).length, 3);
  assertEquals(
    statements.filter((text) => text.includes("= any") || text.includes("json_each")).length,
    6,
  );
});

eachEngine(
  "the session stays usable inside the loop, on the same connection",
  async ({ target }) => {
    await using engine = await openFilled(target, 5);
    await using session = engine.session();
    const seen: string[] = [];
    for await (const author of session.query(Author).orderBy((a) => a.id.asc()).window(2)) {
      assertEquals(engine.pool.status().checkedOut, 1);
      const books = await session.query(Book).filterBy({ authorId: author.id }).orderBy((b) =>
        b.id.asc()
      ).all();
      for await (
        const book of session.query(Book).where((b) => b.authorId.eq(author.id)).window(1)
      ) {
        assert(books.includes(book));
        seen.push(book.title);
      }
      assertStrictEquals(await session.get(Author, author.id), author);
      await session.execute(sql`select 1 as one`);
    }
    assertEquals(seen.length, 10);
  },
);

eachEngine("two streams of one session take turns", async ({ target }) => {
  await using engine = await openFilled(target, 7);
  await using session = engine.session();
  const query = session.query(Author).orderBy((a) => a.id.asc()).window(2);
  const read = async () => {
    const ids: number[] = [];
    for await (const author of query) {
      ids.push(author.id);
      await Promise.resolve();
    }
    return ids;
  };
  assertEquals(await Promise.all([read(), read(), query.count()]), [upTo(7), upTo(7), 7]);
  assertEquals(engine.pool.status().checkedOut, 0);
});

eachEngine(
  "a flush inside the loop of a transaction runs between the fetches",
  async ({ target }) => {
    await using engine = await openFilled(target, 6);
    await using session = engine.session();
    await session.begin(async () => {
      for await (const author of session.query(Author).orderBy((a) => a.id.asc()).window(2)) {
        author.name = author.name.toUpperCase();
        session.add(new Book({ title: "Extra", author }));
        await session.flush();
        assertEquals(await session.query(Book).filterBy({ authorId: author.id }).count(), 3);
      }
    });
    await using other = engine.session();
    assertEquals(await other.query(Author).where((a) => a.name.like("AUTHOR%")).count(), 6);
    assertEquals(await other.query(Book).count(), 18);
  },
);

eachEngine(
  "leaving the loop by break or throw closes the cursor and returns the connection",
  async ({ target }) => {
    await using engine = await openFilled(target, 10);
    await using session = engine.session();
    for await (const _ of session.query(Author).window(2)) break;
    assertEquals(engine.pool.status().checkedOut, 0);
    const failure = new Error("mine");
    const error = await assertRejects(async () => {
      for await (const _ of session.query(Author).window(2)) throw failure;
    });
    assertStrictEquals(error, failure);
    assertEquals(engine.pool.status().checkedOut, 0);
    assertEquals(await session.query(Author).count(), 10);
  },
);

eachEngine(
  "return() before the first next(), twice, and next() after it are harmless",
  async ({ target }) => {
    await using engine = await openFilled(target, 3);
    await using session = engine.session();
    const statements = await sent(engine, async () => {
      const stream = session.query(Author)[Symbol.asyncIterator]();
      assertEquals(await stream.return!(), { done: true, value: undefined });
      assertEquals(await stream.return!(), { done: true, value: undefined });
      assertEquals(await stream.next(), { done: true, value: undefined });
    });
    assertEquals(statements, []);
    const stream = session.query(Author)[Symbol.asyncIterator]();
    await stream.next();
    await stream.return!();
    await stream.return!();
    assertEquals(await stream.next(), { done: true, value: undefined });
    assertEquals(engine.pool.status().checkedOut, 0);
  },
);

eachEngine(
  "several next() at once are served in order, and the end is told to all",
  async ({ target }) => {
    await using engine = await openFilled(target, 5);
    await using session = engine.session();
    const stream = session.query(Author).orderBy((a) => a.id.asc()).window(2)
      [Symbol.asyncIterator]();
    const results = await Promise.all(Array.from({ length: 8 }, () => stream.next()));
    assertEquals(results.map((result) => result.done ? 0 : result.value.id), [
      1,
      2,
      3,
      4,
      5,
      0,
      0,
      0,
    ]);
    const other = session.query(Author).window(2)[Symbol.asyncIterator]();
    const [first, end] = await Promise.all([other.next(), other.return!()]);
    assertEquals([first.done, end.done], [false, true]);
    assertEquals(engine.pool.status().checkedOut, 0);
  },
);

eachEngine(
  "unchanged objects of earlier windows are let go of, changed ones stay",
  async ({ target }) => {
    await using engine = await openFilled(target, 6);
    await using session = engine.session();
    const all: Author[] = [];
    for await (
      const author of session.query(Author).orderBy((a) => a.id.asc()).window(2).selectin("books")
    ) {
      if (author.id === 2) author.name = "Changed";
      if (author.id === 3) author.books[0]!.title = "Changed";
      all.push(author);
    }
    const state = (object: object) => inspect(object).state;
    assertEquals(all.slice(0, 4).map(state), ["detached", "persistent", "detached", "detached"]);
    assertEquals((all[2]!.books as Book[]).map(state), ["persistent", "detached"]);
    assertEquals(session.dirty.length, 2);
    await session.commit();
    await using other = engine.session();
    assertEquals((await other.getOrFail(Author, 2)).name, "Changed");
    assertEquals(await other.query(Book).filterBy({ title: "Changed" }).count(), 1);
  },
);

eachEngine(
  "objects that the session had before stay, however long the stream",
  async ({ target }) => {
    await using engine = await openFilled(target, 6);
    await using session = engine.session();
    const second = await session.getOrFail(Author, 2);
    for await (const author of session.query(Author).orderBy((a) => a.id.asc()).window(1)) {
      if (author.id === 2) assertStrictEquals(author, second);
    }
    assertEquals(inspect(second).state, "persistent");
  },
);

eachEngine(
  "a stream inside begin() sees what was flushed, and ends with its transaction",
  async ({ target }) => {
    await using engine = await openFilled(target, 3);
    await using session = engine.session();
    await assertRejects(
      () =>
        session.begin(async () => {
          session.add(new Author({ name: "New" }));
          const names: string[] = [];
          for await (
            const author of session.query(Author).orderBy((a) => a.id.asc()).window(1)
          ) names.push(author.name);
          assertEquals(names.at(-1), "New");
          for await (const _ of session.query(Author).window(1)) throw new Error("mine");
        }),
      Error,
      "mine",
    );
    assertEquals([await session.query(Author).count(), engine.pool.status().checkedOut], [3, 0]);
    const tx = await session.begin();
    const stream = session.query(Author).window(1)[Symbol.asyncIterator]();
    await stream.next();
    await tx.commit();
    assertEquals((await stream.next()).done, true);
    assertEquals(engine.pool.status().checkedOut, 0);
  },
);

eachEngine("closing the session ends its streams", async ({ target }) => {
  await using engine = await openFilled(target, 5);
  const session = engine.session();
  const stream = session.query(Author).window(1)[Symbol.asyncIterator]();
  await stream.next();
  await session.close();
  assertEquals(engine.pool.status().checkedOut, 0);
  assertEquals((await stream.next()).done, true);
});

eachEngine("a signal ends a stream with its reason", async ({ target }) => {
  await using engine = await openFilled(target, 10);
  await using session = engine.session();
  const controller = new AbortController();
  const reason = new Error("enough");
  let count = 0;
  const error = await assertRejects(async () => {
    for await (const _ of session.query(Author).window(2).signal(controller.signal)) {
      if (++count === 3) controller.abort(reason);
    }
  });
  assertStrictEquals(error, reason);
  assertEquals(count, 4, "the window that was there is handed out");
  assertEquals([await session.query(Author).count(), engine.pool.status().checkedOut], [10, 0]);
  assertStrictEquals(
    await assertRejects(() => session.query(Author).signal(controller.signal).all()),
    reason,
  );
});

eachEngine(
  "a failure in the middle is thrown once, and leaves the session usable",
  async ({ target }) => {
    await using engine = await openFilled(target, 5);
    await using session = engine.session();
    const stream = session.query(Author)
      .where(() => sql<boolean>`1 / (id - 4) < 10`)
      .orderBy((a) => a.id.asc()).window(1)[Symbol.asyncIterator]();
    let ids = 0;
    await assertRejects(async () => {
      for (;;) {
        const next = await stream.next();
        if (next.done) throw new Error("ended as if complete");
        ids++;
      }
    });
    assert(ids <= 3);
    assertEquals((await stream.next()).done, true);
    assertEquals([await session.query(Author).count(), engine.pool.status().checkedOut], [5, 0]);
  },
  { except: { sqlite: "a division by zero is null there" } },
);

eachEngine(
  "a backend that dies between two windows is an error, never the end",
  async ({ target, url }) => {
    await using engine = await openFilled(target, 10);
    await using session = engine.session();
    let count = 0;
    const error = await assertRejects(async () => {
      for await (const _ of session.query(Author).window(2)) {
        if (++count === 2) {
          await runSql(
            url,
            `select pg_terminate_backend(pid) from pg_stat_activity
            where datname = current_database() and pid <> pg_backend_pid()`,
          );
        }
      }
    });
    assertInstanceOf(error, ConnectionLostError);
    assert(count < 10);
    assertEquals(
      await session.query(Author).count(),
      10,
      "the next statement has a new connection",
    );
  },
  { only: ["postgres"] },
);
