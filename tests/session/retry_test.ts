import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import {
  CheckViolationError,
  ClosedError,
  DeadlockError,
  InputError,
  inspect,
  PendingRollbackError,
  SerializationError,
  sql,
  StalePlanError,
  TransactionAbortedError,
  TransactionError,
  UniqueViolationError,
} from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";
import { Author, authors, Book, Country, openLibrary } from "../support/library_model.ts";

const unlucky = () => new SerializationError("Unlucky", { sqlState: "40001" });

eachEngine("begin() with retries starts each attempt with the objects as they were", async (
  { target },
) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  const [ada, bea] = authors(2, 2) as [Author, Author];
  session.addAll([ada, bea]);
  await session.commit();
  {
    await using elsewhere = engine.session();
    elsewhere.add(new Country({ code: "fr", name: "France" }));
    await elsewhere.commit();
  }
  const first = (ada.books as Book[])[0]!;
  first.meta = { words: ["stored"] };
  await session.commit();

  // What is not stored when it begins: pending, changed, marked for deletion.
  const fresh = new Author({ name: "Fresh", books: [new Book({ title: "F" })] });
  session.add(fresh);
  ada.name = "Changed before";
  first.meta!.words!.push("before");
  session.delete(bea);
  for (const book of bea.books as Book[]) session.delete(book);
  const books = fresh.books as Book[];

  const seen: unknown[] = [];
  let loaded: Country | undefined;
  const attempts = await session.begin(async (tx) => {
    seen.push([
      tx.attempt,
      inspect(fresh).state,
      fresh.id,
      ada.name,
      first.meta!.words!.join(),
      inspect(bea).state,
      session.new.length,
      session.deleted.length,
      books.length,
    ]);
    const country = await session.getOrFail(Country, "fr");
    if (tx.attempt > 1) {
      assertEquals([inspect(loaded!).state, country === loaded], ["detached", false]);
    }
    loaded = country;
    country.name = `Attempt ${tx.attempt}`;
    ada.name = "Changed inside";
    first.meta!.words!.push("inside");
    books.push(new Book({ title: "G" }));
    session.add(new Author({ name: "Only of this attempt" }));
    await session.flush();
    assert(fresh.id > 0);
    first.meta!.words!.push("after the flush");
    if (tx.attempt < 3) throw unlucky();
    return tx.attempt;
  }, { retries: 5, retryDelay: 0 });

  assertEquals(attempts, 3);
  const clean = ["pending", undefined, "Changed before", "stored,before", "deleted", 2, 3, 1];
  assertEquals(seen, [[1, ...clean], [2, ...clean], [3, ...clean]]);
  await using other = engine.session();
  assertEquals(
    await other.query(Author).where((a) => a.name.eq("Only of this attempt")).count(),
    1,
  );
  assertEquals(await other.query(Author).count(), 3);
  assertEquals((await other.getOrFail(Country, "fr")).name, "Attempt 3");
  assertEquals((await other.getOrFail(Book, first.id)).meta, {
    words: ["stored", "before", "inside", "after the flush"],
  });
});

eachEngine("begin() gives up after its retries, with the attempts in the error", async (
  { target },
) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  let runs = 0;
  const error = await assertRejects(
    () =>
      session.begin(async () => {
        runs++;
        session.add(new Author({ name: "never" }));
        await session.flush();
        throw unlucky();
      }, { retries: 2, retryDelay: 0 }),
    SerializationError,
  );
  assertEquals([runs, error.attempts], [3, 3]);
  assertEquals([await session.query(Author).count(), session.new], [0, []]);
  assertEquals(engine.pool.status().checkedOut, 0);
  // Without retries it runs once, and the error tells of no attempts.
  const once = await assertRejects(() => session.begin(() => Promise.reject(unlucky())));
  assertEquals((once as SerializationError).attempts, undefined);
});

eachEngine("begin() retries what the database chose to fail, and nothing else", async (
  { target },
) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  const runsWith = async (...errors: (Error | undefined)[]) => {
    let runs = 0;
    const work = () => {
      const error = errors[runs++];
      return error === undefined ? Promise.resolve() : Promise.reject(error);
    };
    await engine.begin(work, { retries: 9, retryDelay: 0 }).catch(() => {});
    const ofEngine = runs;
    runs = 0;
    await session.begin(work, { retries: 9, retryDelay: 0 }).catch(() => {});
    assertEquals(runs, ofEngine);
    return runs;
  };
  assertEquals(await runsWith(unlucky(), new DeadlockError("Deadlock")), 3);
  assertEquals(await runsWith(new Error("wrapped", { cause: unlucky() })), 2);
  assertEquals(await runsWith(new TransactionAbortedError("x", { cause: unlucky() })), 2);
  const stale = () => new StalePlanError("Stale");
  assertEquals(await runsWith(stale()), 2);
  assertEquals(await runsWith(stale(), stale()), 2, "a plan that stays stale is no accident");
  assertEquals(await runsWith(new UniqueViolationError("Twice")), 1);
  assertEquals(await runsWith(new CheckViolationError("Bad")), 1);
  assertEquals(await runsWith(new Error("Mine")), 1);
});

eachEngine(
  "begin() runs the commit hooks of the attempt that was committed",
  async ({ target }) => {
    await using engine = await openLibrary(target);
    await using session = engine.session();
    const hooks: string[] = [];
    await session.begin((tx) => {
      tx.onCommit(() => void hooks.push(`stored by ${tx.attempt}`));
      tx.onRollback(() => void hooks.push(`undone ${tx.attempt}`));
      if (tx.attempt < 3) throw unlucky();
    }, { retries: 3, retryDelay: 0 });
    assertEquals(hooks, ["undone 1", "undone 2", "stored by 3"]);
  },
);

eachEngine("begin() with retries ends its pause when the signal aborts", async ({ target }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  const controller = new AbortController();
  // The pause follows the rollback.
  engine.on("transaction", ({ action }) => {
    if (action === "rollback") setTimeout(() => controller.abort(new Error("enough")), 1);
  });
  let runs = 0;
  const work = () => {
    runs++;
    throw unlucky();
  };
  const options = { retries: 9, retryDelay: 60_000, signal: controller.signal };
  const error = await assertRejects(() => session.begin(work, options), Error, "enough");
  assertEquals(runs, 1);
  assertInstanceOf((error as { suppressed?: unknown[] }).suppressed?.[0], SerializationError);
});

eachEngine("begin() refuses retries that make no sense", async ({ target }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  await assertRejects(() => session.begin(() => {}, { retries: -1 }), InputError, "retries");
  await assertRejects(() => session.begin(() => {}, { retryDelay: NaN }), InputError, "retryDelay");
  await assertRejects(
    () => session.begin({ retries: 2 } as never),
    InputError,
    "needs a function",
  );
  assertEquals(engine.pool.status().checkedOut, 0);
});

eachEngine("begin() with an idempotencyKey stores its work once", async ({ target }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  assertEquals(await engine.isCommitted("order 7"), false);
  const store = async () => {
    await session.begin(() => session.add(new Author({ name: "Ada" })), {
      idempotencyKey: "order 7",
    });
  };
  await assertRejects(() =>
    session.begin(() => Promise.reject(new Error("before")), { idempotencyKey: "order 7" })
  );
  await store();
  const error = await assertRejects(store, TransactionError);
  assertEquals(error.code, "ALREADY_COMMITTED");
  await assertRejects(
    () => engine.begin(() => {}, { idempotencyKey: "order 7" }),
    TransactionError,
  );
  assertEquals(await engine.isCommitted("order 7"), true);
  assertEquals(await session.query(Author).count(), 1);
  assertEquals(engine.pool.status().checkedOut, 0);

  assertEquals(await engine.forgetIdempotencyKeys(60_000), 0);
  await new Promise((resolve) => setTimeout(resolve, 3));
  assertEquals(await engine.forgetIdempotencyKeys(0), 1);
  assertEquals(await engine.isCommitted("order 7"), false);
  for (const idempotencyKey of ["", "x".repeat(201), "a\0b", 7 as unknown as string]) {
    await assertRejects(() => session.begin(() => {}, { idempotencyKey }), InputError);
  }
  await assertRejects(
    () => session.begin(() => {}, { idempotencyKey: "a", readOnly: true }),
    InputError,
  );
});

eachEngine("a flush that failed leaves nothing but rollback", async ({ target }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  session.add(new Author({ name: "Ada", email: "ada" }));
  await session.commit();
  const tx = await session.begin();
  session.add(new Author({ name: "Bea" }));
  await session.flush();
  session.add(new Author({ name: "Carl", email: "ada" }));
  const failure = await assertRejects(() => session.flush(), UniqueViolationError);
  for (
    const call of [
      () => session.query(Author).all(),
      () => session.execute(sql`select 1`),
      () => tx.savepoint(() => {}),
    ]
  ) {
    const error = await assertRejects(call, PendingRollbackError);
    assertStrictEquals(error.cause, failure);
  }
  const aborted = await assertRejects(() => tx.commit(), TransactionAbortedError);
  assertStrictEquals(aborted.cause, failure);
  assertEquals(await session.query(Author).count(), 1);
  await assertRejects(() => tx.commit(), ClosedError);

  // A savepoint that is left takes the failure with it.
  await session.begin(async (tx) => {
    await assertRejects(
      () => tx.savepoint(() => session.add(new Author({ name: "Carl", email: "ada" }))),
      UniqueViolationError,
    );
    session.add(new Author({ name: "Dora" }));
  });
  assertEquals(await session.query(Author).count(), 2);
});
