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
  AsyncEngine,
  ClosedError,
  ConfigError,
  entity,
  InputError,
  inspect,
  InstanceStateError,
  integer,
  NoResultError,
  sql,
  text,
  UsageError,
} from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";
import { Author, authors, Book, Country, openLibrary, sent } from "../support/library_model.ts";

const onePlace = { poolSize: 1, maxOverflow: 0 };

eachEngine("get() finds an object the session has without a query", async ({ target }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  const [ada] = authors(1) as [Author];
  session.add(ada);
  await session.commit();
  const statements = await sent(engine, async () => {
    assertStrictEquals(await session.get(Author, ada.id), ada);
  });
  assertEquals(statements, []);
  await using other = engine.session();
  const loaded = await other.getOrFail(Author, ada.id);
  assertStrictEquals(await other.query(Author).one(), loaded, "one object per row");
  assertEquals(await other.get(Author, 12345), undefined);
  await assertRejects(() => other.getOrFail(Author, 12345), NoResultError, "Author");
});

eachEngine("get() refuses a key of the wrong kind before anything is sent", async ({ target }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  const statements = await sent(engine, async () => {
    for (const key of ["1", 1.5, NaN, 1n, null, undefined, {}, [1], true, 2 ** 40]) {
      await assertRejects(() => session.get(Author, key), InputError);
    }
    for (const key of [1, new String("A"), { code: "A" }, "a\0b", "\ud800"]) {
      await assertRejects(() => session.get(Country, key), InputError);
    }
  });
  assertEquals(statements, []);
});

class Seat extends entity("seats", {
  room: text().primaryKey(),
  row: text().primaryKey(),
  number: integer().primaryKey(),
  taken: text().nullable(),
}) {}

eachEngine(
  "composite keys identify, update and delete rows, and no two of them meet",
  async ({ target }) => {
    await using engine = await openLibrary(target, { entities: [Seat] });
    await using session = engine.session();
    const keys = [["a", "b"], ["a,", "b"], ["a", ",b"], ["1:a", ""], ["", "1:a"], ["é", "b"], [
      "e\u0301",
      "b",
    ]];
    const seats = keys.flatMap(([room, row]) =>
      [0, 1].map((number) => new Seat({ room: room!, row: row!, number }))
    );
    session.addAll(seats);
    await session.commit();
    await using other = engine.session();
    for (const [i, seat] of seats.entries()) {
      const { room, row, number } = seat;
      const loaded = await other.getOrFail(Seat, { room, row, number });
      assertEquals([loaded.room, loaded.row, loaded.number], [room, row, number]);
      loaded.taken = String(i);
    }
    await other.commit();
    assertEquals(
      (await engine.session().query(Seat).all()).map((seat) => seat.taken).sort(),
      seats.map((_, i) => String(i)).sort(),
    );
    other.delete(await other.getOrFail(Seat, { room: "a", row: "b", number: 1 }));
    await other.commit();
    assertEquals(await other.query(Seat).count(), seats.length - 1);
    await assertRejects(() => other.get(Seat, "a"), InputError, "composite key");
    await assertRejects(() => other.get(Seat, { room: "a", row: "b" }), InputError, "number");
  },
);

eachEngine("a session holds no connection between its calls", async ({ target }) => {
  await using engine = await openLibrary(target, onePlace);
  await using session = engine.session();
  await using other = engine.session();
  for (const s of [session, other]) {
    s.addAll(authors(2, 1));
    await s.commit();
    assertEquals(engine.pool.status().checkedOut, 0);
    await s.query(Author).selectin("books").all();
    assertEquals(engine.pool.status().checkedOut, 0);
    await s.get(Author, 1);
    await s.execute(sql`select 1 as one`);
    assertEquals(engine.pool.status().checkedOut, 0);
  }
});

eachEngine("calls made at once are carried out in order, on one connection", async ({ target }) => {
  await using engine = await openLibrary(target, onePlace);
  await using session = engine.session();
  const all = authors(5, 2);
  session.addAll(all);
  const results = await Promise.all([
    session.commit(),
    session.query(Author).count(),
    session.get(Author, 1),
    session.query(Author).selectin("books").orderBy((a) => a.id.asc()).all(),
    session.query(Book).all(),
    ...all.map((_, i) => session.get(Author, i + 1)),
  ]);
  assertEquals(results[1], 5);
  assertStrictEquals(results[2], all[0]);
  assertEquals(results[3].length, 5);
  assertStrictEquals(results[3][0], all[0]);
  assertEquals(results[4].length, 10);
});

eachEngine("two readers of one row at once get one object", async ({ target }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  session.addAll(authors(1));
  await session.commit();
  await using other = engine.session();
  const [a, b, c] = await Promise.all([
    other.get(Author, 1),
    other.query(Author).one(),
    other.query(Author).first(),
  ]);
  assert(a !== undefined && a === b && b === c);
});

eachEngine("one call that fails does not trouble the others", async ({ target }) => {
  await using engine = await openLibrary(target, onePlace);
  await using session = engine.session();
  session.addAll(authors(3));
  await session.commit();
  const results = await Promise.allSettled([
    session.query(Author).count(),
    session.execute(sql`select * from there_is_no_such_table`),
    session.query(Author).count(),
  ]);
  assertEquals(results.map((r) => r.status), ["fulfilled", "rejected", "fulfilled"]);
});

eachEngine(
  "a managed object is brought up to date by a query, unless it was changed",
  async ({ target }) => {
    await using engine = await openLibrary(target);
    await using session = engine.session();
    const [a, b] = authors(2) as [Author, Author];
    session.addAll([a, b]);
    await session.commit();
    await engine.execute(sql`update authors set name = 'Elsewhere'`);
    a.name = "Mine";
    await session.query(Author).all();
    assertEquals([a.name, b.name], ["Mine", "Elsewhere"]);
    await session.commit();
    await using other = engine.session();
    assertEquals((await other.getOrFail(Author, a.id)).name, "Mine");
  },
);

eachEngine("begin() sees its own changes: a query flushes first", async ({ target }) => {
  await using engine = await openLibrary(target, onePlace);
  await using session = engine.session();
  await session.begin(async () => {
    const [ada] = authors(1, 1) as [Author];
    session.add(ada);
    assertEquals(await session.query(Author).count(), 1);
    ada.name = "Changed";
    assert(await session.query(Author).filterBy({ name: "Changed" }).exists());
    assertEquals((await session.query(Book).all()).length, 1);
    session.delete((ada.books as Book[])[0]!);
    const rows = await session.execute(sql<{ n: number }>`select count(*) as n from ${Book}`);
    assertEquals(Number(rows.scalar()), 0);
  });
  assertEquals(await session.query(Author).count(), 1);
});

eachEngine("autoflush: false leaves the flush to you", async ({ target }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session({ autoflush: false });
  await session.begin(async () => {
    session.add(new Author({ name: "Ada" }));
    assertEquals(await session.query(Author).count(), 0);
    await session.flush();
    assertEquals(await session.query(Author).count(), 1);
    session.add(new Author({ name: "Bea" }));
  });
  assertEquals(await session.query(Author).count(), 2, "the commit flushes anyway");
});

eachEngine("outside begin() a query does not send what is pending", async ({ target }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  session.add(new Author({ name: "Ada" }));
  assertEquals(await session.query(Author).count(), 0);
  await session.commit();
  assertEquals(await session.query(Author).count(), 1);
});

eachEngine(
  "what is asked in the wrong place is refused, and says what to do instead",
  async ({ target }) => {
    await using engine = await openLibrary(target, onePlace);
    await using session = engine.session();
    session.addAll(authors(3));
    await session.commit();
    const refused = async (work: () => unknown, hint: RegExp) => {
      const error = await assertRejects(async () => await work(), UsageError);
      assertMatch(error.message, hint);
    };
    await refused(() => session.flush(), /commit\(\)/);
    await session.begin(async (tx) => {
      await refused(() => session.commit(), /transaction's own commit\(\)/);
      await refused(() => session.begin(() => {}), /savepoint/);
      await refused(() => session.query(Author).commitEvery(1), /transaction/);
      await tx.savepoint(() => {});
    });
    for await (const _ of session.query(Author)) {
      await refused(() => session.commit(), /commitEvery/);
      await refused(() => session.begin(() => {}), /commitEvery/);
      await refused(() => session.query(Author).commitEvery(1), /transaction|stream/);
      break;
    }
    await refused(() => session.get(Author, 1, { lock: "update" }), /begin\(/);
    await refused(() => session.query(Author).lock("update").all(), /begin\(/);
    assertEquals(await session.query(Author).count(), 3, "the session is usable after all that");
  },
);

eachEngine(
  "begin() gives the function's value, and commits nothing when it throws",
  async ({ target }) => {
    await using engine = await openLibrary(target, onePlace);
    await using session = engine.session();
    assertEquals(await session.begin(() => 42), 42);
    const failure = new Error("mine");
    const error = await assertRejects(() =>
      session.begin(async () => {
        session.add(new Author({ name: "Never" }));
        await session.flush();
        throw failure;
      })
    );
    assertStrictEquals(error, failure);
    assertEquals([await session.query(Author).count(), engine.pool.status().checkedOut], [0, 0]);
  },
);

eachEngine("onCommit and onRollback tell how a transaction ended", async ({ target }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  const seen: string[] = [];
  const run = (fail: boolean) =>
    session.begin((tx) => {
      tx.onCommit(() => void seen.push("commit"));
      tx.onRollback(() => void seen.push("rollback"));
      if (fail) throw new Error("mine");
    });
  await run(false);
  await assertRejects(() => run(true));
  assertEquals(seen, ["commit", "rollback"]);
});

eachEngine(
  "begin() takes isolation and readOnly, and refuses everything else",
  async ({ target }) => {
    await using engine = await openLibrary(target);
    await using session = engine.session();
    await session.begin(() => session.query(Author).count(), { isolation: "serializable" });
    await assertRejects(() =>
      session.begin(async () => {
        session.add(new Author({ name: "Ada" }));
        await session.flush();
      }, { readOnly: true })
    );
    for (
      const options of [{ isolation: "serializable; drop table authors" }, { isolated: true }, {
        readOnly: "yes",
      }]
    ) {
      await assertRejects(() => session.begin(() => {}, options as object), InputError);
    }
    assertEquals(await session.query(Author).count(), 0);
    assertEquals(engine.pool.status().checkedOut, 0);
  },
);

eachEngine(
  "after a failed statement a transaction answers nothing but its rollback",
  async ({ target }) => {
    await using engine = await openLibrary(target, onePlace);
    await using session = engine.session();
    await assertRejects(() =>
      session.begin(async () => {
        session.add(new Author({ name: "Ada" }));
        await session.flush();
        await session.execute(sql`select * from there_is_no_such_table`).catch(() => {});
        // Swallowed: the transaction must not be stored by half.
      })
    );
    assertEquals(await session.query(Author).count(), 0);
  },
  { except: { sqlite: "a failed statement leaves its transaction intact there" } },
);

eachEngine("close() detaches the objects and refuses what comes after", async ({ target }) => {
  await using engine = await openLibrary(target);
  const session = engine.session();
  const [ada] = authors(1, 1) as [Author];
  const pending = new Author({ name: "Pending" });
  session.add(ada);
  await session.commit();
  session.add(pending);
  await session.rollback();
  await session.close();
  await session.close();
  assertEquals([inspect(ada).state, inspect(pending).state], ["detached", "transient"]);
  assertEquals(ada.name, "Author 1", "a detached object keeps its values");
  for (
    const use of [
      () => session.add(pending),
      () => session.query(Author),
      () => session.delete(ada),
      () => session.commit(),
      () => session.begin(() => {}),
      () => session.get(Author, 1),
      () => session.rollback(),
    ]
  ) {
    await assertRejects(async () => await use(), ClosedError, "closed");
  }
});

eachEngine(
  "closing with unstored changes warns, throws or says nothing, as you ask",
  async ({ target }) => {
    await using engine = await openLibrary(target);
    const said: unknown[] = [];
    const { warn } = console;
    console.warn = (text: unknown) => void said.push(text);
    try {
      for (const onUnflushedClose of [undefined, "warn", "ignore"] as const) {
        const session = engine.session({ onUnflushedClose });
        session.add(new Author({ name: "Ada" }));
        await session.close();
      }
      assertEquals(said.length, 2);
      assertMatch(String(said[0]), /never stored/);
      const strict = engine.session({ onUnflushedClose: "throw" });
      strict.add(new Author({ name: "Ada" }));
      await assertRejects(() => strict.close(), UsageError, "never stored");
      await engine.session({ onUnflushedClose: "throw" }).close();
      const dirty = engine.session({ onUnflushedClose: "throw" });
      const ada = new Author({ name: "Ada" });
      dirty.add(ada);
      await dirty.commit();
      ada.name = "Changed";
      await assertRejects(() => dirty.close(), UsageError, "never stored");
      assertEquals(said.length, 2);
    } finally {
      console.warn = warn;
    }
    assertEquals(engine.pool.status().checkedOut, 0);
  },
);

eachEngine("close() waits for what is under way", async ({ target }) => {
  await using engine = await openLibrary(target);
  const session = engine.session();
  session.addAll(authors(10));
  const commit = session.commit();
  const count = session.query(Author).count();
  await session.close();
  await commit;
  assertEquals(await count, 10);
});

eachEngine("expunge() lets go of an object and its changes", async ({ target }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  const [ada, bea] = authors(2) as [Author, Author];
  session.addAll([ada, bea]);
  session.expunge(bea);
  assertEquals(inspect(bea).state, "transient");
  await session.commit();
  ada.name = "Never stored";
  session.expunge(ada);
  assertEquals(inspect(ada).state, "detached");
  await session.commit();
  const loaded = await session.query(Author).one();
  assertEquals([loaded.name, loaded === ada], ["Author 1", false]);
});

eachEngine(
  "session.new, dirty, deleted and isModified() tell what a flush would do",
  async ({ target }) => {
    await using engine = await openLibrary(target);
    await using session = engine.session({ onUnflushedClose: "ignore" });
    const [ada, bea, carl] = authors(3, 1) as [Author, Author, Author];
    session.addAll([ada, bea]);
    await session.commit();
    ada.name = "Changed";
    session.delete(bea);
    session.add(carl);
    assertEquals(session.new, [carl, ...(carl.books as Book[])]);
    assertEquals(session.dirty, [ada]);
    assertEquals(session.deleted, [bea]);
    assertEquals([ada, bea, carl].map((a) => session.isModified(a)), [true, false, true]);
  },
);

eachEngine(
  "a session's signal gives up its statements, and a commit that is given up stores nothing",
  async ({ target }) => {
    await using engine = await openLibrary(target, onePlace);
    const controller = new AbortController();
    await using session = engine.session({ signal: controller.signal, onUnflushedClose: "ignore" });
    assertEquals(await session.query(Author).count(), 0);
    const reason = new Error("the client left");
    controller.abort(reason);
    const ada = new Author({ name: "Ada" });
    session.add(ada);
    for (
      const use of [
        () => session.commit(),
        () => session.query(Author).all(),
        () => session.get(Author, 1),
      ]
    ) {
      assertStrictEquals(await assertRejects(use), reason);
    }
    assertEquals(inspect(ada).state, "transient");
    await using other = engine.session();
    assertEquals(await other.query(Author).count(), 0);
  },
);

Deno.test("session() refuses unknown options, and unknown classes by name", async () => {
  await using engine = new AsyncEngine("sqlite::memory:", { entities: [Seat] });
  const error = assertThrows(() => engine.session({ autoFlush: true } as object), InputError);
  assertMatch(error.message, /autoFlush.*autoflush/s);
  await using session = engine.session();
  assertThrows(() => session.query(Country), ConfigError, "Country");
  assertThrows(() => session.add(new Country({ code: "A", name: "A" })), ConfigError, "Country");
  assertThrows(() => session.query(class Other {} as unknown as typeof Seat), InputError);
  assertThrows(() => session.query("seats" as unknown as typeof Seat), InputError);
  assertInstanceOf(new InstanceStateError("x"), UsageError);
});
