import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import {
  BatchError,
  type BatchProgress,
  bigint,
  entity,
  InputError,
  inspect,
  integer,
  text,
  UniqueViolationError,
} from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";
import { Author, authors, Book, openLibrary, sent } from "../support/library_model.ts";

const onePlace = { poolSize: 1, maxOverflow: 0 };

async function openAuthors(target: Parameters<typeof openLibrary>[0], count: number) {
  const engine = await openLibrary(target, onePlace);
  await using session = engine.session();
  session.addAll(authors(count));
  await session.commit();
  return engine;
}

const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1);

/** The ids of the authors whose name was changed. */
async function changed(engine: Awaited<ReturnType<typeof openLibrary>>): Promise<number[]> {
  await using session = engine.session();
  const list = await session.query(Author).where((a) => a.name.like("!%")).orderBy((a) =>
    a.id.asc()
  ).all();
  return list.map((author) => author.id);
}

eachEngine(
  "commitEvery() stores the changes of each batch in a transaction of its own",
  async ({ target }) => {
    await using engine = await openAuthors(target, 10);
    await using session = engine.session();
    const ended: string[] = [];
    engine.on("transaction", ({ action }) => void ended.push(action));
    const seen: BatchProgress[] = [];
    const batches = session.query(Author).commitEvery(4, {
      onCommit: (progress) => void seen.push(progress),
    });
    const ids: number[] = [];
    const statements = await sent(engine, async () => {
      for await (const author of batches) {
        ids.push(author.id);
        author.name = `!${author.name}`;
      }
    });
    assertEquals(ids, upTo(10));
    assertEquals(await changed(engine), upTo(10));
    assertEquals(seen.map(({ rows, batches }) => [rows, batches]), [[4, 1], [8, 2], [10, 3]]);
    assert(seen.every(({ elapsed, rate }) => elapsed >= 0 && rate > 0));
    assertEquals(new Set(seen.map((progress) => progress.checkpoint)).size, 3);
    assertEquals(batches.checkpoint, seen.at(-1)!.checkpoint);
    assertEquals(ended.slice(0, 6), ["begin", "commit", "begin", "commit", "begin", "commit"]);
    assertEquals(statements.filter((text) => text.startsWith("select")).length, 3);
    assertEquals(engine.pool.status().checkedOut, 0);
    assertEquals(session.dirty, []);
  },
);

eachEngine("commitEvery() holds no more than one batch", async ({ target }) => {
  await using engine = await openAuthors(target, 9);
  await using session = engine.session();
  const kept = await session.getOrFail(Author, 2);
  const all: Author[] = [];
  for await (const author of session.query(Author).commitEvery(3)) {
    author.name = `!${author.name}`;
    all.push(author);
    assert(all.filter((one) => inspect(one).state === "persistent").length <= 4);
  }
  assertStrictEquals(all[1], kept);
  assertEquals(inspect(kept).state, "persistent", "what the session had before stays");
  assertEquals(inspect(all[8]!).state, "detached");
});

eachEngine(
  "leaving by break stores nothing of the unfinished batch, and the checkpoint goes on after the last one",
  async ({ target }) => {
    await using engine = await openAuthors(target, 10);
    await using session = engine.session();
    const batches = session.query(Author).commitEvery(3);
    for await (const author of batches) {
      author.name = `!${author.name}`;
      if (author.id === 5) break;
    }
    assertEquals(await changed(engine), upTo(3));
    assertEquals([engine.pool.status().checkedOut, session.dirty.length], [0, 0]);
    const ids: number[] = [];
    for await (
      const author of session.query(Author).commitEvery(3, { resumeAfter: batches.checkpoint })
    ) {
      ids.push(author.id);
      author.name = `!${author.name}`;
    }
    assertEquals(ids, [4, 5, 6, 7, 8, 9, 10]);
    assertEquals(await changed(engine), upTo(10));
  },
);

eachEngine(
  "an error in the loop rolls its batch back and is thrown as it is",
  async ({ target }) => {
    await using engine = await openAuthors(target, 10);
    await using session = engine.session();
    const failure = new Error("mine");
    const batches = session.query(Author).commitEvery(4);
    let last: Author | undefined;
    const error = await assertRejects(async () => {
      for await (const author of batches) {
        author.name = `!${author.name}`;
        last = author;
        if (author.id === 6) throw failure;
      }
    });
    assertStrictEquals(error, failure);
    assertEquals(last!.name, "Author 6", "the object is as it was");
    assertEquals(await changed(engine), upTo(4));
    const rest: number[] = [];
    for await (
      const author of session.query(Author).commitEvery(4, { resumeAfter: batches.checkpoint })
    ) rest.push(author.id);
    assertEquals(rest, [5, 6, 7, 8, 9, 10]);
  },
);

eachEngine(
  "a batch that cannot be stored is a BatchError with the checkpoint of the last commit",
  async ({ target }) => {
    await using engine = await openAuthors(target, 10);
    await using session = engine.session();
    const error = await assertRejects(async () => {
      for await (const author of session.query(Author).commitEvery(3)) {
        author.name = `!${author.name}`;
        if (author.id >= 7) author.email = "the same";
      }
    }, BatchError);
    assertInstanceOf(error.cause, UniqueViolationError);
    assertEquals([error.rows, error.batches], [6, 2]);
    assertMatch(error.message, /resumeAfter/);
    assertEquals(await changed(engine), upTo(6));
    const ids: number[] = [];
    for await (
      const author of session.query(Author).commitEvery(3, { resumeAfter: error.checkpoint })
    ) {
      ids.push(author.id);
      author.name = `!${author.name}`;
    }
    assertEquals(ids, [7, 8, 9, 10]);
    assertEquals(await changed(engine), upTo(10));
  },
);

eachEngine("an error of onCommit ends the walk; its batch stays stored", async ({ target }) => {
  await using engine = await openAuthors(target, 6);
  await using session = engine.session();
  const failure = new Error("mine");
  const error = await assertRejects(async () => {
    for await (
      const author of session.query(Author).commitEvery(2, {
        onCommit: ({ batches }) => {
          if (batches === 2) throw failure;
        },
      })
    ) author.name = `!${author.name}`;
  }, BatchError);
  assertStrictEquals(error.cause, failure);
  assertEquals([error.rows, error.batches], [4, 2]);
  assertEquals(await changed(engine), upTo(4));
  assertEquals(engine.pool.status().checkedOut, 0);
});

eachEngine(
  "where(), limit() and selectin() are minded, rows added behind are walked, none twice",
  async ({ target }) => {
    await using engine = await openAuthors(target, 10);
    await using session = engine.session();
    const ids: number[] = [];
    for await (
      const author of session.query(Author).where((a) => a.id.ne(3)).limit(5).selectin("books")
        .commitEvery(2)
    ) {
      ids.push(author.id);
      author.books.push(new Book({ title: `Of ${author.id}` }));
    }
    assertEquals(ids, [1, 2, 4, 5, 6]);
    assertEquals(await session.query(Book).count(), 5);
    // The loop changes what where() looks at: keyset windows skip nothing.
    const renamed: number[] = [];
    for await (
      const author of session.query(Author).where((a) => a.name.like("Author%")).commitEvery(2)
    ) {
      renamed.push(author.id);
      author.name = "Done";
    }
    assertEquals(renamed, upTo(10));
  },
);

eachEngine("nothing to walk is no batch; a size beyond the rows is one", async ({ target }) => {
  await using engine = await openAuthors(target, 3);
  await using session = engine.session();
  const seen: number[] = [];
  const onCommit = ({ rows }: BatchProgress) => void seen.push(rows);
  for await (
    const _ of session.query(Author).where((a) => a.id.lt(0)).commitEvery(2, { onCommit })
  ) throw new Error("none");
  for await (const _ of session.query(Author).limit(0).commitEvery(2, { onCommit })) {
    throw new Error("none");
  }
  assertEquals(seen, []);
  for await (const _ of session.query(Author).commitEvery(100, { onCommit }));
  assertEquals(seen, [3]);
});

eachEngine(
  "a row that is deleted, and one whose key is changed, do not stop the walk",
  async ({ target }) => {
    await using engine = await openAuthors(target, 6);
    await using session = engine.session();
    const ids: number[] = [];
    for await (const author of session.query(Author).commitEvery(2)) {
      ids.push(author.id);
      if (author.id === 2) session.delete(author);
      if (author.id === 4) author.id = 100;
    }
    assertEquals(ids, [1, 2, 3, 4, 5, 6, 100], "the new key is ahead");
    assertEquals(await session.query(Author).count(), 5);
  },
);

class Shelf extends entity("shelves", {
  room: text().primaryKey(),
  number: bigint().primaryKey(),
  books: integer().default(0),
}) {}

eachEngine("composite keys of text and bigint are walked and resumed", async ({ target }) => {
  await using engine = await openLibrary(target, { entities: [Shelf], ...onePlace });
  await using session = engine.session();
  const rooms = ["attic", "cellar", "hall's", `kitchen "a"`];
  const keys = rooms.flatMap((room) => [1n, 2n, 2n ** 60n].map((number) => ({ room, number })));
  await session.bulkInsert(Shelf, keys);
  const batches = session.query(Shelf).commitEvery(5);
  const seen: string[] = [];
  const visit = (shelf: Shelf) => {
    seen.push(`${shelf.room} ${shelf.number}`);
    shelf.books++;
  };
  for await (const shelf of batches) {
    if (seen.length === 7) break;
    visit(shelf);
  }
  seen.length = 5;
  for await (
    const shelf of session.query(Shelf).commitEvery(5, { resumeAfter: batches.checkpoint })
  ) visit(shelf);
  assertEquals(seen, keys.map(({ room, number }) => `${room} ${number}`));
  assert((await session.query(Shelf).all()).every((shelf) => shelf.books === 1));
});

eachEngine("a lock is taken for one batch only", async ({ target }) => {
  await using engine = await openAuthors(target, 4);
  await using session = engine.session();
  const statements = await sent(engine, async () => {
    for await (const author of session.query(Author).commitEvery(2, { lock: "update" })) {
      author.name += "!";
    }
  });
  assertEquals(statements.filter((text) => / for update$/.test(text)).length, 3);
}, { except: { sqlite: "it has no row locks" } });

eachEngine("the session can be used inside the loop and after it", async ({ target }) => {
  await using engine = await openAuthors(target, 4);
  await using session = engine.session();
  for await (const author of session.query(Author).commitEvery(2)) {
    session.add(new Book({ title: "B", author }));
    assertEquals(await session.query(Book).filterBy({ authorId: author.id }).count(), 1);
    await assertRejects(async () => await session.commit(), Error, "transaction");
  }
  assertEquals(await session.query(Book).count(), 4);
  session.add(new Author({ name: "After" }));
  await session.commit();
  assertEquals(await session.query(Author).count(), 5);
});

eachEngine("what cannot be walked is refused before anything is sent", async ({ target }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  const query = session.query(Author);
  const statements = await sent(engine, () => {
    for (const size of [0, -1, 1.5, NaN, "10", null]) {
      assertThrows(() => query.commitEvery(size as number), InputError);
    }
    assertThrows(
      () => query.orderBy((a) => a.books.count()).commitEvery(2),
      InputError,
      "primary key",
    );
    assertThrows(() => query.offset(1).commitEvery(2), InputError, "offset");
    assertThrows(() => query.commitEvery(2, { lock: "none" } as object), InputError);
    const error = assertThrows(
      () => query.commitEvery(2, { oncommit: () => {} } as object),
      InputError,
    );
    assertMatch(error.message, /onCommit/);
    for (
      const resumeAfter of [
        "",
        "x",
        "%%%",
        btoa("[1]"),
        btoa(`["books",1]`),
        btoa(`["authors",{"a":1}]`),
        5,
        {},
      ]
    ) {
      assertThrows(() => query.commitEvery(2, { resumeAfter } as object), InputError, "checkpoint");
    }
  });
  assertEquals(statements, []);
});
