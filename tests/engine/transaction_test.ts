import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { CoreEngine } from "../../src/engine/core_engine.ts";
import type { TransactionOptions } from "../../src/engine/begin_options.ts";
import {
  ClosedError,
  ConnectionLostError,
  ForeignKeyViolationError,
  InputError,
  PendingRollbackError,
  ReadOnlyError,
  TransactionAbortedError,
  UniqueViolationError,
  UsageError,
} from "../../src/errors.ts";
import { sql } from "../../src/sql/raw.ts";
import { eachEngine, type EngineContext } from "../support/each_engine.ts";
import { runSql } from "../support/postgres_server.ts";

async function notesEngine(target: EngineContext["target"]): Promise<CoreEngine> {
  const engine = new CoreEngine(target);
  await engine.execute(sql`create table notes (note text unique)`);
  return engine;
}

const add = (note: string) => sql`insert into notes values (${note})`;

async function notes(engine: CoreEngine): Promise<unknown[]> {
  const result = await engine.execute(sql<{ note: string }>`select note from notes order by note`);
  return result.scalars();
}

eachEngine("begin(fn) commits on return, with the function's value", async ({ target }) => {
  await using engine = await notesEngine(target);
  const value = await engine.begin(async (tx) => {
    await tx.execute(add("a"));
    return 42;
  });
  assertEquals([value, await notes(engine)], [42, ["a"]]);
});

eachEngine("begin(fn) rolls back on a throw, which goes on unchanged", async ({ target }) => {
  await using engine = await notesEngine(target);
  const failed = new Error("changed my mind");
  const hooks: string[] = [];
  const error = await assertRejects(() =>
    engine.begin(async (tx) => {
      tx.onRollback(() => void hooks.push("rollback"));
      tx.onCommit(() => void hooks.push("commit"));
      await tx.execute(add("a"));
      throw failed;
    })
  );
  assertStrictEquals(error, failed);
  assertEquals([await notes(engine), hooks], [[], ["rollback"]]);
  assertEquals(engine.pool.status().checkedOut, 0);
  await assertRejects(() => engine.begin(() => Promise.reject("no error object")));
});

eachEngine("await using tx rolls back what was not committed", async ({ target }) => {
  await using engine = await notesEngine(target);
  await using connection = await engine.connect();
  {
    await using tx = await connection.begin();
    await tx.execute(add("lost"));
  }
  {
    await using tx = await connection.begin();
    await tx.execute(add("kept"));
    await tx.commit();
  }
  assertEquals(connection.status, "idle");
  await connection.release();
  assertEquals(await notes(engine), ["kept"]);
});

eachEngine("Transaction answers ClosedError after its end", async ({ target }) => {
  await using engine = await notesEngine(target);
  await using connection = await engine.connect();
  const tx = await connection.begin();
  await tx.commit();
  for (
    const call of [
      () => tx.commit(),
      () => tx.rollback(),
      () => tx.execute(sql`select 1`),
      () => tx.savepoint(() => {}),
      () => tx.run({ text: "select 1", params: [] }),
    ]
  ) {
    await assertRejects(call, ClosedError, "has been committed");
  }
  await tx[Symbol.asyncDispose]();
});

eachEngine("Connection.begin() refuses a second transaction", async ({ target }) => {
  await using engine = await notesEngine(target);
  await using connection = await engine.connect();
  await using tx = await connection.begin();
  await assertRejects(() => connection.begin(), UsageError, "tx.savepoint(fn)");
  await tx.execute(add("a"));
  await tx.commit();
});

eachEngine("After a failed statement only rollback is answered", async ({ target, engineName }) => {
  await using engine = await notesEngine(target);
  await using connection = await engine.connect();
  const tx = await connection.begin();
  await tx.execute(add("a"));
  const first = await assertRejects(() => tx.execute(add("a")), UniqueViolationError);
  if (engineName === "sqlite") {
    // SQLite undoes the statement alone, and its transaction goes on.
    await tx.execute(add("b"));
    assertEquals(connection.status, "open");
  } else {
    assertEquals(connection.status, "failed");
    const error = await assertRejects(() => tx.execute(sql`select 1`), PendingRollbackError);
    assertStrictEquals(error.cause, first);
    await assertRejects(() => connection.execute(sql`select 1`), PendingRollbackError);
    await assertRejects(() => tx.savepoint(() => {}), PendingRollbackError);
  }
  await tx.rollback();
  assertEquals(connection.status, "idle");
  await connection.execute(sql`select 1`);
});

eachEngine("Statements sent before a failure was known tell the same", async ({ target }) => {
  await using engine = await notesEngine(target);
  await using connection = await engine.connect();
  const tx = await connection.begin();
  const results = await Promise.allSettled([
    tx.execute(add("a")),
    tx.execute(add("a")),
    tx.execute(sql`select 1`),
  ]);
  assertEquals(results.map(({ status }) => status), ["fulfilled", "rejected", "rejected"]);
  const reasons = results.map((result) => result.status === "rejected" ? result.reason : undefined);
  assertInstanceOf(reasons[1], UniqueViolationError);
  assertInstanceOf(reasons[2], PendingRollbackError);
  assertStrictEquals(reasons[2].cause, reasons[1]);
  await tx.rollback();
}, { except: { sqlite: "its transaction goes on after a failed statement" } });

eachEngine("commit() of a failed transaction rolls back and says so", async ({ target }) => {
  await using engine = await notesEngine(target);
  const hooks: string[] = [];
  const error = await assertRejects(
    () =>
      engine.begin(async (tx) => {
        tx.onCommit(() => void hooks.push("commit"));
        tx.onRollback(() => void hooks.push("rollback"));
        await tx.execute(add("a"));
        await tx.execute(add("a")).catch(() => {});
      }),
    TransactionAbortedError,
  );
  assertInstanceOf(error.cause, UniqueViolationError);
  assertEquals([await notes(engine), hooks], [[], ["rollback"]]);
}, { except: { sqlite: "its transaction goes on after a failed statement" } });

eachEngine("A deferred constraint fails the commit, which is rolled back", async ({ target }) => {
  await using engine = new CoreEngine(target);
  await engine.execute(sql`create table parents (id integer primary key)`);
  await engine.execute(sql`create table children (parent integer
    references parents (id) deferrable initially deferred)`);
  await using connection = await engine.connect();
  const tx = await connection.begin();
  await tx.execute(sql`insert into children values (1)`);
  await assertRejects(() => tx.commit(), ForeignKeyViolationError);
  assertEquals([connection.status, tx.open], ["idle", false]);
  const count = await connection.execute(sql<{ n: number }>`select count(*) as n from children`);
  assertEquals(Number(count.scalar()), 0);
});

eachEngine("savepoint() undoes its function alone, five levels deep", async ({ target }) => {
  await using engine = await notesEngine(target);
  const hooks: string[] = [];
  await engine.begin(async (tx) => {
    await tx.execute(add("0"));
    const descend = async (level: number): Promise<void> => {
      await tx.savepoint(async (savepoint) => {
        savepoint.onRollback(() => void hooks.push(`undone ${level}`));
        savepoint.onCommit(() => void hooks.push(`kept ${level}`));
        await tx.execute(add(String(level)));
        if (level === 5) throw new Error("deep");
        await descend(level + 1).catch((error) => {
          if (level < 3) return;
          throw error;
        });
      });
    };
    await descend(1);
    await tx.execute(add("end"));
  });
  assertEquals(await notes(engine), ["0", "1", "2", "end"]);
  assertEquals(hooks, ["undone 5", "undone 4", "undone 3", "kept 1", "kept 2"]);
});

eachEngine("savepoint() mends a transaction after a failed statement", async ({ target }) => {
  await using engine = await notesEngine(target);
  await engine.begin(async (tx) => {
    await tx.execute(add("a"));
    const failed = tx.savepoint(() => tx.execute(add("a")));
    await assertRejects(() => failed, UniqueViolationError);
    await tx.execute(add("b"));
    assertEquals(await tx.savepoint(() => 7), 7);
  });
  assertEquals(await notes(engine), ["a", "b"]);
});

eachEngine("savepoint() whose function ignored a failure is undone", async ({ target }) => {
  await using engine = await notesEngine(target);
  await engine.begin(async (tx) => {
    await tx.execute(add("a"));
    const ignoring = tx.savepoint(async () => {
      await tx.execute(add("b"));
      await tx.execute(add("a")).catch(() => {});
    });
    await assertRejects(() => ignoring, TransactionAbortedError);
    await tx.execute(add("c"));
  });
  assertEquals(await notes(engine), ["a", "c"]);
}, { except: { sqlite: "its transaction goes on after a failed statement" } });

eachEngine("Savepoints cannot overlap, nor outlive their function", async ({ target }) => {
  await using engine = await notesEngine(target);
  await engine.begin(async (tx) => {
    const gate = Promise.withResolvers<void>();
    const first = tx.savepoint(() => gate.promise);
    await assertRejects(() => tx.savepoint(() => {}), UsageError, "cannot overlap");
    await assertRejects(() => tx.commit(), UsageError, "while a savepoint is open");
    gate.resolve();
    await first;
    const ended = await tx.savepoint((savepoint) => savepoint);
    await assertRejects(() => ended.execute(sql`select 1`), ClosedError);
    await tx.savepoint((outer) => outer.savepoint(() => tx.savepoint(() => tx.execute(add("a")))));
  });
  assertEquals(await notes(engine), ["a"]);
});

eachEngine("Transaction hooks that throw change nothing", async ({ target }) => {
  await using engine = await notesEngine(target);
  const real = console.error;
  const lines: unknown[] = [];
  console.error = (line: unknown) => void lines.push(line);
  try {
    await engine.begin(async (tx) => {
      tx.onCommit(() => Promise.reject(new Error("hook")));
      tx.onCommit(() => void lines.push("second"));
      await tx.execute(add("a"));
    });
  } finally {
    console.error = real;
  }
  assertEquals(lines, ["A function given to onCommit() failed:", "second"]);
  assertEquals(await notes(engine), ["a"]);
});

eachEngine("begin() is read-only when asked", async ({ target }) => {
  await using engine = await notesEngine(target);
  const writing = engine.begin((tx) => tx.execute(add("a")), { readOnly: true });
  await assertRejects(() => writing, ReadOnlyError);
  assertEquals(await notes(engine), []);
  await engine.execute(add("b"));
});

eachEngine(
  "begin() takes isolation levels of the standard, and nothing else",
  async ({ target }) => {
    await using engine = await notesEngine(target);
    for (const isolation of ["read committed", "repeatable read", "serializable"] as const) {
      const options = { isolation, readOnly: true, deferrable: true };
      await engine.begin(async (tx) => {
        const show = sql<
          { level: string }
        >`select current_setting('transaction_isolation') as level`;
        if (engine.dialect.name === "postgres") {
          assertEquals((await tx.execute(show)).scalar(), isolation);
        }
      }, options);
    }
    for (
      const options of [
        { isolation: "serializable; drop table notes" },
        { readonly: true },
        { readOnly: "yes" },
      ]
    ) {
      const begin = () => engine.begin(() => {}, options as unknown as TransactionOptions);
      await assertRejects(begin, InputError);
    }
    assertEquals(engine.pool.status().checkedOut, 0);
  },
);

eachEngine("beginSoon() begins without a wait, and its end is sure", async ({ target }) => {
  await using engine = await notesEngine(target);
  await using connection = await engine.connect();
  const tx = await connection.beginSoon();
  await Promise.all([tx.execute(add("a")), tx.execute(add("b"))]);
  await tx.commit();
  const second = await connection.beginSoon();
  await second.execute(add("c"));
  await second.rollback();
  await connection.release();
  assertEquals(await notes(engine), ["a", "b"]);
});

eachEngine("A transaction that the statement itself ended is noticed", async ({ target }) => {
  await using engine = await notesEngine(target);
  await using connection = await engine.connect();
  const tx = await connection.begin();
  await tx.execute(sql`rollback`);
  await assertRejects(() => tx.execute(add("a")), TransactionAbortedError, "itself ended");
  await assertRejects(() => tx.commit(), TransactionAbortedError);
  assertEquals(connection.status, "idle");
  await connection.release();
  assertEquals(await notes(engine), []);
}, { except: { sqlite: "its driver refuses such a statement" } });

Deno.test("Transactions of one engine on its only connection take turns", async () => {
  await using engine = await notesEngine("sqlite::memory:");
  await Promise.all(
    Array.from({ length: 10 }, (_, n) =>
      engine.begin(async (tx) => {
        await tx.execute(add(`${n} first`));
        await new Promise((resolve) => setTimeout(resolve, 1));
        await tx.execute(add(`${n} second`));
        if (n % 2 === 1) throw new Error("odd");
      }).catch(() => {})),
  );
  const kept = await notes(engine);
  assertEquals(kept.length, 10);
  assert(kept.every((note) => Number.parseInt(String(note)) % 2 === 0));
});

for (const how of ["begin", "beginSoon"] as const) {
  eachEngine(
    `${how}() on a connection just lost fails, and its place comes free`,
    async (context) => {
      await using engine = await notesEngine(context.target);
      {
        await using connection = await engine.connect();
        await runSql(context.url, `select pg_terminate_backend(${connection.id})`);
        await assertRejects(async () => {
          const tx = await connection[how]();
          const sent = [tx.execute(add("a")), tx.execute(add("b"))];
          await Promise.all(sent);
          await tx.commit();
        }, ConnectionLostError);
      }
      assertEquals(engine.pool.status().checkedOut, 0);
      assertEquals(await notes(engine), []);
    },
    { only: ["postgres"] },
  );
}
