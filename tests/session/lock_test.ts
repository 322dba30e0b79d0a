import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type AsyncEngine,
  InputError,
  LockTimeoutError,
  type SessionTransaction,
  sql,
  UsageError,
} from "@sluice/orm";
import { lockId } from "../../src/engine/advisory_lock.ts";
import { eachEngine } from "../support/each_engine.ts";
import { Author, authors, openLibrary } from "../support/library_model.ts";

async function twoAuthors(engine: AsyncEngine): Promise<[number, number]> {
  await using session = engine.session();
  const [ada, bea] = authors(2) as [Author, Author];
  session.addAll([ada, bea]);
  await session.commit();
  return [ada.id, bea.id];
}

/** True if `promise` is still pending after a while. */
async function waits(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol();
  const later = new Promise((resolve) => setTimeout(() => resolve(pending), 30));
  return await Promise.race([promise.catch(() => {}), later]) === pending;
}

eachEngine("get() and lock() lock rows against others, who wait, skip or fail", async (
  { target },
) => {
  await using engine = await openLibrary(target);
  const [first, second] = await twoAuthors(engine);
  await using a = engine.session();
  await using b = engine.session();
  await using held = await a.begin();
  const ada = await a.getOrFail(Author, first, { lock: "update" });

  const inB = <T>(work: (tx: SessionTransaction) => Promise<T>) => b.begin(work);
  await assertRejects(
    () => inB(() => b.get(Author, first, { lock: "update", wait: "noWait" })),
    LockTimeoutError,
  );
  assertEquals(
    await inB(() => b.get(Author, first, { lock: "update", wait: "skipLocked" })),
    undefined,
  );
  const query = b.query(Author).orderBy((author) => author.id);
  await assertRejects(() => inB(() => query.lock("share", "noWait").all()), LockTimeoutError);
  const free = await inB(() => query.lock("update", "skipLocked").all());
  assertEquals(free.map(({ id }) => id), [second]);
  // Reading without a lock disturbs nobody.
  assertEquals((await b.query(Author).all()).length, 2);

  const waiting = b.begin(async () => {
    const author = await b.getOrFail(Author, first, { lock: "update" });
    const seen = author.name;
    author.name = "Second";
    return seen;
  });
  assert(await waits(waiting));
  ada.name = "First";
  await held.commit();
  assertEquals(await waiting, "First", "read anew once it has the lock");
}, {
  only: ["postgres"],
});

eachEngine("locks that share a row keep writers out", async ({ target }) => {
  await using engine = await openLibrary(target);
  const [id] = await twoAuthors(engine);
  await using a = engine.session();
  await using b = engine.session();
  await using inA = await a.begin();
  await using inB = await b.begin();
  await a.getOrFail(Author, id, { lock: "share" });
  await b.getOrFail(Author, id, { lock: "share", wait: "noWait" });
  await using c = engine.session();
  const writing = c.begin(() => c.get(Author, id, { lock: "update", wait: "noWait" }));
  await assertRejects(() => writing, LockTimeoutError);
  await inB.rollback();
  await inA.rollback();
}, { only: ["postgres"] });

eachEngine("locks need a transaction, and take known words only", async ({ target }) => {
  await using engine = await openLibrary(target);
  const [id] = await twoAuthors(engine);
  await using session = engine.session();
  await assertRejects(() => session.get(Author, id, { lock: "update" }), UsageError, "outside");
  await assertRejects(() => session.query(Author).lock("share").all(), UsageError, "outside");
  const bad = [
    { lock: "update; drop table authors" },
    { lock: "update", wait: "noWait; --" },
    { wait: "noWait" },
  ];
  for (const options of bad) {
    await assertRejects(
      () => session.begin(() => session.get(Author, id, options as never)),
      InputError,
    );
  }
  // On SQLite a transaction that may write is alone with the file: a lock needs no words there.
  await session.begin(async () => {
    const author = await session.getOrFail(Author, id, { lock: "update", wait: "skipLocked" });
    assertEquals((await session.query(Author).lock("share", "noWait").all()).length, 2);
    author.name = "Locked";
  });
  assertEquals((await session.getOrFail(Author, id)).name, "Locked");
});

eachEngine("on SQLite a writer waits for the transaction that holds the file", async (
  { target },
) => {
  await using engine = await openLibrary(target);
  const [id] = await twoAuthors(engine);
  await using a = engine.session();
  await using b = engine.session();
  await using held = await a.begin();
  const waiting = b.begin(() => b.getOrFail(Author, id, { lock: "update", wait: "noWait" }));
  assert(await waits(waiting), "noWait has no meaning for the lock of the whole file");
  await using c = engine.session();
  assertEquals(await c.query(Author).count(), 2, "who only reads does not wait");
  await held.rollback();
  assertEquals((await waiting).id, id);
}, { only: ["sqlite"], sqliteFile: true });

eachEngine("tx.advisoryLock() is held until the transaction ends", async (
  { target, engineName },
) => {
  await using engine = await openLibrary(target);
  await using a = engine.session();
  const inA = await a.begin();
  const lock = await inA.advisoryLock("report");
  assertEquals([lock.held, lock.shared, lock.id], [true, false, await lockId("report")]);
  await lock.release();
  assertEquals(lock.held, true, "only the transaction's end gives it back");
  if (engineName === "postgres") {
    const taken = () => engine.begin((tx) => tx.advisoryLock("report", { noWait: true }));
    await assertRejects(taken, LockTimeoutError, "taken");
    await engine.begin(async (tx) => {
      // Nothing failed there, so the transaction goes on.
      const call = tx.advisoryLock("report", { noWait: true, shared: true });
      await assertRejects(() => call, LockTimeoutError);
      await tx.advisoryLock(7n);
    });
    const slow = engine.begin((tx) => tx.advisoryLock("report", { timeout: 20 }));
    await assertRejects(() => slow, LockTimeoutError, "in time");
  }
  await inA.commit();
  assertEquals(lock.held, false);
  await engine.begin((tx) => tx.advisoryLock("report", { noWait: true }));
  if (engineName === "sqlite") {
    const reading = engine.begin((tx) => tx.advisoryLock("report"), { readOnly: true });
    const error = await assertRejects(() => reading, UsageError);
    assertEquals(error.code, "UNSUPPORTED");
  }
  const bad = ["", 7, 2n ** 63n, null] as unknown as string[];
  for (const key of bad) {
    await assertRejects(() => engine.begin((tx) => tx.advisoryLock(key)), InputError);
  }
});

eachEngine("engine.advisoryLock() has one holder at a time, or many that share", async (
  { target },
) => {
  await using engine = await openLibrary(target);
  await using other = await openLibrary(target);
  {
    await using lock = await engine.advisoryLock("job");
    assertEquals(lock.held, true);
    await assertRejects(() => other.advisoryLock("job", { noWait: true }), LockTimeoutError);
    await assertRejects(() => other.advisoryLock("job", { timeout: 20 }), LockTimeoutError);
    const given = new AbortController();
    const aborted = other.advisoryLock("job", { signal: given.signal });
    assert(await waits(aborted));
    given.abort(new Error("no time"));
    await assertRejects(() => aborted, Error, "no time");
    assertEquals(other.pool.status().checkedOut, 0);
    const waiting = other.advisoryLock("job");
    assert(await waits(waiting));
    await lock.release();
    assertEquals(lock.held, false);
    await using second = await waiting;
    assertEquals(second.held, true);
  }
  {
    await using _a = await engine.advisoryLock("job", { shared: true });
    await using _b = await other.advisoryLock("job", { shared: true, noWait: true });
  }
  assertEquals([engine.pool.status().checkedOut, other.pool.status().checkedOut], [0, 0]);
  // Its id can be worked out by any program.
  const id = sql<{ id: string }>`
    select ('x' || left(encode(sha256('job'), 'hex'), 16))::bit(64)::bigint::text as id`;
  assertEquals((await engine.execute(id)).scalar(), String(await lockId("job")));
}, { only: ["postgres"] });

eachEngine("engine.advisoryLock() is refused where it would take all there is", async (
  { target },
) => {
  await using engine = await openLibrary(target);
  const error = await assertRejects(
    () => engine.advisoryLock("job"),
    UsageError,
    "tx.advisoryLock",
  );
  assertEquals(error.code, "UNSUPPORTED");
}, { only: ["sqlite", "pglite"] });
