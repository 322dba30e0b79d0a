/**
 * The rows of the fault catalogue on transactions and sessions, 41 to 55. Row 48, savepoints five deep, is
 * in `tests/session/savepoint_test.ts` on every database.
 */

import {
  assert,
  assertEquals,
  assertGreater,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import {
  AsyncEngine,
  type AsyncEngineOptions,
  ClosedError,
  CommitUnknownError,
  ConnectError,
  ConnectionLostError,
  createAll,
  DeadlockError,
  entity,
  ForeignKeyViolationError,
  inspect,
  integer,
  PendingRollbackError,
  SerializationError,
  sql,
  StaleDataError,
  StatementTimeoutError,
  text,
  TransactionAbortedError,
  UniqueViolationError,
} from "@sluice/orm";
import { postgresDriver } from "../../src/dialect/postgres/driver.ts";
import type { PostgresConfig } from "../../src/dialect/postgres/options.ts";
import { Random } from "../support/random.ts";
import { type Scenario, scenario } from "./support.ts";

class Account extends entity("accounts", {
  id: integer().primaryKey(),
  balance: integer(),
}) {}

class Transfer extends entity("transfers", {
  id: text().primaryKey(),
  accountId: integer().references("accounts.id"),
}) {}

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** An engine with two accounts of 100 each. */
async function bank(
  s: Scenario,
  options: AsyncEngineOptions = {},
  config: Partial<PostgresConfig> = {},
  accounts = 2,
): Promise<AsyncEngine> {
  const all = { entities: [Account, Transfer], ...options };
  const engine = s.watch(new AsyncEngine(postgresDriver(s.config(config)), all));
  await createAll(engine);
  await using session = engine.session();
  const rows = Array.from({ length: accounts }, (_, i) => ({ id: i + 1, balance: 100 }));
  await session.bulkInsert(Account, rows);
  return engine;
}

const balances = async (s: Scenario) =>
  (await s.sql("select balance from accounts order by id")).map(({ balance }) => balance);

const backend = sql<{ pid: number }>`select pg_backend_pid() as pid`;

scenario(
  "41: a transaction whose BEGIN fails gives its place back, and can be run again",
  async (s) => {
    const engine = await bank(s, { poolSize: 1, maxOverflow: 0, poolPrePing: false });
    await using session = engine.session();
    const kill = async () => {
      const connection = await engine.connect();
      const { id } = connection;
      // Killed after its checkout, as its user cannot know
      await s.kill(id);
      return connection;
    };
    for (const how of ["begin", "beginSoon"] as const) {
      await using connection = await kill();
      await assertRejects(async () => {
        const tx = await connection[how]();
        await tx.execute(backend);
      }, ConnectionLostError);
    }
    assertEquals(engine.pool.status().checkedOut, 0);
    // Nothing of the first attempt was answered: the second one runs on another connection.
    const attempts: number[] = [];
    await session.begin(async (tx) => {
      attempts.push(tx.attempt);
      if (tx.attempt === 1) await s.kill(tx.connection.id);
      (await session.getOrFail(Account, 1)).balance = 7;
    }, { retries: 1, retryDelay: 0 });
    assertEquals([attempts, await balances(s)], [[1, 2], [7, 100]]);
  },
);

scenario(
  "42: after a statement that failed, everything but rollback is PendingRollbackError",
  async (s) => {
    const engine = await bank(s);
    await using session = engine.session();
    const tx = await session.begin();
    const failure = await assertRejects(() => session.execute(sql`select 1 / 0`));
    session.add(new Transfer({ id: "a", accountId: 1 }));
    for (
      const call of [
        () => session.flush(),
        () => session.query(Account).all(),
        () => session.get(Account, 1),
        () => session.bulkInsert(Transfer, [{ id: "b", accountId: 1 }]),
      ]
    ) {
      const error = await assertRejects(call, PendingRollbackError);
      assertStrictEquals(error.cause, failure);
    }
    await tx.rollback();
    assertEquals(await session.query(Transfer).count(), 0);
  },
);

scenario("43: the commit of a failed transaction stores nothing, and says so", async (s) => {
  const engine = await bank(s);
  await using session = engine.session();
  const aborted = session.begin(async () => {
    (await session.getOrFail(Account, 1)).balance = 0;
    await session.flush();
    await session.execute(sql`select 1 / 0`).catch(() => {});
  });
  await assertRejects(() => aborted, TransactionAbortedError);
  assertEquals(await balances(s), [100, 100]);
});

scenario("44: a deferred constraint fails the commit, and every object is as it was", async (s) => {
  const engine = await bank(s);
  const [key] = await s.sql("select conname from pg_constraint where contype = 'f'");
  await s.sql(
    `alter table transfers alter constraint ${key!.conname} deferrable initially deferred`,
  );
  await using session = engine.session();
  const account = await session.getOrFail(Account, 1);
  const transfer = new Transfer({ id: "a", accountId: 99 });
  const commit = session.begin(async () => {
    account.balance = 0;
    session.add(transfer);
    await session.flush();
    assertEquals(inspect(transfer).state, "persistent");
  });
  await assertRejects(() => commit, ForeignKeyViolationError);
  assertEquals([account.balance, inspect(transfer).state], [100, "transient"]);
  assertEquals(await session.get(Transfer, "a"), undefined);
  assertStrictEquals(await session.get(Account, 1), account);
  assertEquals([await balances(s), session.dirty], [[100, 100], []]);
});

/** Runs `work`, and breaks the link after its function, while the COMMIT is on its way. */
function losesCommit(s: Scenario, mode: "stall" | "stallBack", then: "pass" | "refuse"): void {
  s.proxy.mode = mode;
  setTimeout(() => {
    s.proxy.cut();
    s.proxy.mode = then;
  }, 30);
}

scenario("45: a lost answer to COMMIT is unknown, and with a key looked up truly", async (s) => {
  const engine = await bank(s, { poolSize: 1, maxOverflow: 0 }, { port: s.proxy.port });
  await using session = engine.session();
  const store = (mode: "stall" | "stallBack", then: "pass" | "refuse", more: object = {}) => {
    const hooks: string[] = [];
    const account = session.getOrFail(Account, 1);
    return session.begin(async (tx) => {
      tx.onCommit(() => void hooks.push(`stored ${tx.attempt}`));
      tx.onRollback(() => void hooks.push(`undone ${tx.attempt}`));
      (await account).balance++;
      await session.flush();
      if (tx.attempt === 1) losesCommit(s, mode, then);
      return hooks;
    }, { retryDelay: 0, ...more });
  };
  // Without a key nobody can tell.
  const unknown = await assertRejects(() => store("stallBack", "pass"), CommitUnknownError);
  assertEquals([unknown.idempotencyKey, await balances(s)], [undefined, [101, 100]]);
  await session.execute(backend);
  await using fresh = engine.session();
  assertEquals((await fresh.getOrFail(Account, 1)).balance, 101);
  // With one, it was stored and nobody notices; the only place of the pool is used for the look-up.
  await session.begin(() => {}, { idempotencyKey: "first" });
  await session.execute(sql`update accounts set balance = 100`);
  assertEquals(await store("stallBack", "pass", { idempotencyKey: "a" }), ["stored 1"]);
  assertEquals(await balances(s), [101, 100]);
  // Or it was not, and runs again.
  assertEquals(await store("stall", "pass", { idempotencyKey: "b", retries: 1 }), [
    "undone 1",
    "stored 2",
  ]);
  assertEquals(await balances(s), [102, 100]);
  const lost = () => store("stall", "pass", { idempotencyKey: "c" });
  const error = await assertRejects(lost, ConnectionLostError, "not stored");
  assertInstanceOf(error.cause, CommitUnknownError);
  assertEquals([await engine.isCommitted("b"), await engine.isCommitted("c")], [true, false]);
  // Where the look-up fails, too, it can be asked for later.
  const later = await assertRejects(
    () => store("stallBack", "refuse", { idempotencyKey: "d" }),
    CommitUnknownError,
  );
  s.proxy.mode = "pass";
  assertEquals([later.idempotencyKey, await later.resolve()], ["d", true]);
  assertEquals(await balances(s), [103, 100]);
});

scenario("45: a lost answer to a statement that is its own transaction is unknown", async (s) => {
  const config = { port: s.proxy.port, cancelGrace: 50 };
  const engine = await bank(s, { poolSize: 1, maxOverflow: 0, poolPrePing: false }, config);
  await using session = engine.session();
  const account = await session.getOrFail(Account, 1);
  const stored = () => s.sql("select id from transfers order by id");
  const lose = async (id: string, mode: "stall" | "stallBack") => {
    await session.execute(backend);
    losesCommit(s, mode, "pass");
    const transfer = new Transfer({ id, accountId: 1 });
    session.add(transfer);
    const error = await assertRejects(() => session.commit(), CommitUnknownError, "its own");
    assertInstanceOf(error.cause, ConnectionLostError);
    assertEquals([inspect(transfer).state, engine.pool.status().checkedOut], ["transient", 0]);
  };
  // It was stored, or it was not: nobody can tell.
  await lose("a", "stallBack");
  assertEquals(await stored(), [{ id: "a" }]);
  await lose("b", "stall");
  assertEquals(await stored(), [{ id: "a" }]);
  // So it is for one that changes a row, and for one that nobody waited for any longer.
  await session.execute(backend);
  losesCommit(s, "stallBack", "pass");
  account.balance = 7;
  await assertRejects(() => session.commit(), CommitUnknownError);
  assertEquals([account.balance, await balances(s)], [100, [7, 100]]);
  await session.refresh(account);
  s.proxy.mode = "stallBack";
  account.balance = 8;
  const late = await assertRejects(() => session.commit({ timeout: 20 }), CommitUnknownError);
  assertInstanceOf(late.cause, StatementTimeoutError);
  s.proxy.mode = "pass";
  assertEquals([account.balance, await balances(s)], [7, [8, 100]]);
  // One that was never sent is certain, and the next one is as usual.
  const lost = engine.session();
  await using held = await engine.connect();
  await s.kill(held.id);
  await assertRejects(
    () => held.runAlone({ text: "delete from accounts", params: [] }),
    ConnectionLostError,
  );
  await held.release();
  lost.add(new Transfer({ id: "c", accountId: 2 }));
  await lost.commit();
  await lost.close();
  assertEquals(await stored(), [{ id: "a" }, { id: "c" }]);
});

scenario("45: a statement that is its own transaction is cancelled as a whole", async (s) => {
  const engine = await bank(s, { poolSize: 1, maxOverflow: 0 });
  await using session = engine.session();
  const account = await session.getOrFail(Account, 1);
  const other = s.engine();
  await using connection = await other.connect();
  await using tx = await connection.begin();
  await tx.execute(sql`select * from accounts where id = 1 for update`);
  const controller = new AbortController();
  const reason = new Error("mine");
  for (const limit of [{ signal: controller.signal }, { timeout: 30 }]) {
    account.balance = 7;
    const commit = session.commit(limit);
    setTimeout(() => controller.abort(reason), 30);
    const error = await assertRejects(() => commit);
    if ("signal" in limit) assertStrictEquals(error, reason);
    else assertInstanceOf(error, StatementTimeoutError);
    assertEquals([account.balance, await balances(s)], [100, [100, 100]]);
  }
  await tx.rollback();
  account.balance = 8;
  await session.commit();
  assertEquals(await balances(s), [8, 100]);
});

scenario("46: a link lost before COMMIT was sent is a certain rollback", async (s) => {
  const engine = await bank(s);
  await using session = engine.session();
  const account = await session.getOrFail(Account, 1);
  let runs = 0;
  const work = session.begin(async (tx) => {
    runs++;
    account.balance = 0;
    await session.flush();
    await s.kill(tx.connection.id);
  }, { retries: 3, retryDelay: 0 });
  await assertRejects(() => work, ConnectionLostError);
  // It had been answered, so what it did elsewhere may rest on that: it is not run again by itself.
  assertEquals([runs, account.balance, await balances(s)], [1, 100, [100, 100]]);
  // One that only reads is.
  const read = await session.begin(async (tx) => {
    const found = await session.query(Account).all();
    if (tx.attempt === 1) await s.kill(tx.connection.id);
    await session.execute(backend);
    return [found.length, tx.attempt];
  }, { readOnly: true, retries: 1, retryDelay: 0 });
  assertEquals(read, [2, 2]);
});

scenario(
  "47: a rollback that fails hides nothing: the function's own error comes first",
  async (s) => {
    const engine = await bank(s);
    await using session = engine.session();
    const mine = new Error("mine");
    const error = await assertRejects(() =>
      session.begin(async (tx) => {
        await session.execute(sql`update accounts set balance = 0`);
        await s.kill(tx.connection.id);
        throw mine;
      })
    );
    assertStrictEquals(error, mine);
    const { suppressed } = error as { suppressed?: unknown[] };
    assertInstanceOf(suppressed?.[0], ConnectionLostError);
    assertEquals(await balances(s), [100, 100]);
  },
);

scenario(
  "49: a handle is dead after its end, and two tasks on one session take turns",
  async (s) => {
    const engine = await bank(s, { poolSize: 1, maxOverflow: 0 });
    await using session = engine.session();
    const tx = await session.begin();
    await tx.commit();
    for (const call of [() => tx.commit(), () => tx.rollback(), () => tx.savepoint(() => {})]) {
      await assertRejects(call, ClosedError);
    }
    const seen = await session.begin(() =>
      Promise.all([1, 2, 1, 2].map(async (id, i) => {
        session.add(new Transfer({ id: `t${i}`, accountId: id }));
        const account = await session.getOrFail(Account, id);
        account.balance--;
        await session.flush();
        return await session.query(Transfer).count() > i;
      }))
    );
    assertEquals([seen, await balances(s)], [[true, true, true, true], [98, 98]]);
  },
);

scenario(
  "50: a serialization failure is run again with a clean session, its effects stored once",
  async (s) => {
    const engine = await bank(s);
    await s.sql(`
    create sequence tries;
    create function unlucky() returns trigger language plpgsql as $$ begin
      if nextval('tries') <= 3 then raise 'unlucky' using errcode = '40001'; end if;
      return new;
    end $$;
    create trigger unlucky before insert on transfers for each row execute function unlucky()`);
    await using session = engine.session();
    const account = await session.getOrFail(Account, 1);
    const seen: unknown[] = [];
    const transfer = (retries: number) =>
      session.begin((tx) => {
        seen.push([tx.attempt, account.balance, session.new.length]);
        account.balance -= 10;
        session.add(new Transfer({ id: `t${tx.attempt}`, accountId: 1 }));
      }, { retries, retryDelay: 1 });
    const error = await assertRejects(() => transfer(1), SerializationError);
    assertEquals([error.attempts, account.balance], [2, 100]);
    await transfer(5);
    assertEquals(seen, [[1, 100, 0], [2, 100, 0], [1, 100, 0], [2, 100, 0]]);
    assertEquals([await balances(s), await session.query(Transfer).count()], [[90, 100], 1]);

    // Two writers, each of whom reads what the other writes.
    const options = { isolation: "serializable", retries: 20, retryDelay: 1 } as const;
    await Promise.all([1, 2, 3, 4].map(() =>
      engine.begin(async (tx) => {
        const sum = sql<{ sum: number }>`select sum(balance)::int as sum from accounts`;
        const total = (await tx.execute(sum)).scalar();
        await sleep(1);
        await tx.execute(sql`update accounts set balance = ${Number(total) + 1} where id = 2`);
      }, options)
    ));
    const [, last] = await balances(s);
    assertEquals(last, (((100 + 90 + 1) + 90 + 1) + 90 + 1) + 90 + 1, "one after the other");
  },
);

scenario("51: crossed updates deadlock, one of them runs again, and both end", async (s) => {
  const engine = await bank(s);
  const both = { first: Promise.withResolvers<void>(), second: Promise.withResolvers<void>() };
  const attempts: Record<string, number> = {};
  const transfer = (name: "first" | "second", from: number, to: number) =>
    engine.begin(async (tx) => {
      attempts[name] = tx.attempt;
      await tx.execute(sql`update accounts set balance = balance - 10 where id = ${from}`);
      both[name].resolve();
      await Promise.all([both.first.promise, both.second.promise]);
      await tx.execute(sql`update accounts set balance = balance + 10 where id = ${to}`);
    }, { retries: 3 });
  await s.sql("alter system set deadlock_timeout = '20ms'");
  await s.sql("select pg_reload_conf()");
  await Promise.all([transfer("first", 1, 2), transfer("second", 2, 1)]);
  assertEquals(await balances(s), [100, 100]);
  assertEquals(Object.values(attempts).sort(), [1, 2]);
  assertInstanceOf(new DeadlockError("x"), SerializationError);
});

scenario(
  "52: what a function does beside its transaction is done again, and attempt tells",
  async (s) => {
    const engine = await bank(s);
    const mails: number[] = [];
    let kept = 0;
    await engine.begin((tx) => {
      mails.push(tx.attempt);
      tx.onCommit(() => void kept++);
      if (tx.attempt < 3) throw new SerializationError("unlucky");
    }, { retries: 5, retryDelay: 0 });
    assertEquals(
      [mails, kept],
      [[1, 2, 3], 1],
      "onCommit() is the place for what must happen once",
    );
  },
);

class Page extends entity("pages", {
  id: integer().primaryKey(),
  body: text(),
  version: integer().version(),
}) {}

scenario(
  "53: a stale version, whoever made it so, fails the flush as a whole and names its row",
  async (s) => {
    const engine = s.watch(
      new AsyncEngine(postgresDriver(s.config({})), { entities: [Page] }),
    );
    await createAll(engine);
    await using session = engine.session();
    const pages = [1, 2, 3, 4].map((id) => new Page({ id, body: "old" }));
    session.addAll(pages);
    await session.commit();
    const stored = async () =>
      (await s.sql("select body from pages order by id")).map(({ body }) => body).join(" ");

    await using other = engine.session();
    const theirs = await other.getOrFail(Page, 1);
    theirs.body = "theirs";
    await other.commit();
    other.delete(await other.getOrFail(Page, 2));
    await other.commit();
    await s.sql(`
      create function touch() returns trigger language plpgsql as
        'begin new.version := new.version + 10; return new; end';
      create trigger touch before update on pages for each row execute function touch();
      update pages set body = 'touched' where id = 3;
    `);
    for (const page of pages) page.body = "mine";
    const error = await assertRejects(() => session.commit(), StaleDataError);
    for (const id of [1, 2, 3]) assert(error.message.includes(`Page ${id} (version 1)`));
    assert(!error.message.includes("Page 4"), error.message);
    assertEquals(error.code, "STALE_DATA");
    assertEquals(await stored(), "theirs touched old");
    assertEquals(pages.map(({ body, version }) => `${body}${version}`), Array(4).fill("old1"));

    // The same for rows that are deleted, and in a flush inside begin(), after which nothing goes on.
    await session.begin(async () => {
      pages[3]!.body = "mine";
      await session.flush();
      session.delete(pages[2]!);
      await assertRejects(() => session.flush(), StaleDataError, "Page 3 (version 1)");
      await assertRejects(() => session.query(Page).count(), PendingRollbackError);
    }).catch((error) => assertInstanceOf(error, TransactionAbortedError));
    assertEquals(await stored(), "theirs touched old");
  },
);

scenario(
  "54: read committed loses an update without a version, and none with a lock",
  async (s) => {
    const engine = await bank(s);
    const add = async (amount: number, lock: "update" | undefined, read: () => Promise<void>) => {
      await using session = engine.session();
      await session.begin(async () => {
        const account = await session.getOrFail(Account, 1, lock === undefined ? {} : { lock });
        await read();
        account.balance += amount;
      });
    };
    const together = () => {
      const all = Promise.withResolvers<void>();
      let count = 0;
      return () => (++count === 2 && all.resolve(), all.promise);
    };
    const meet = together();
    await Promise.all([add(1, undefined, meet), add(10, undefined, meet)]);
    const [lost] = await balances(s) as number[];
    assert(lost === 101 || lost === 110, "the known anomaly: one of the two is gone");
    await s.sql("update accounts set balance = 100");
    await Promise.all([add(1, "update", () => sleep(2)), add(10, "update", () => sleep(2))]);
    assertEquals(await balances(s), [111, 100]);
  },
);

scenario(
  "55: money is conserved and nothing acknowledged is lost, while backends are killed",
  async (s) => {
    const accounts = 200;
    const seconds = 3;
    const config = { applicationName: "bank" };
    const engine = await bank(s, { poolSize: 6, maxOverflow: 0 }, config, accounts);
    const killer = s.engine({ poolSize: 1 });
    const random = new Random(55);
    const acknowledged = new Set<string>();
    const unknown = new Set<string>();
    const surprising: unknown[] = [];
    let refused = 0;
    const end = performance.now() + seconds * 1_000;

    const transfer = async (id: string, keyed: boolean): Promise<void> => {
      const from = random.int(1, accounts);
      const to = 1 + (from + random.int(0, accounts - 2)) % accounts;
      await using session = engine.session({ onUnflushedClose: "ignore" });
      await session.begin(async () => {
        const [a, b] = [
          await session.getOrFail(Account, from, { lock: "update" }),
          await session.getOrFail(Account, to, { lock: "update" }),
        ];
        await sleep(10);
        const amount = random.int(1, 10);
        a.balance -= amount;
        await session.flush();
        b.balance += amount;
        session.add(new Transfer({ id, accountId: from }));
      }, { retries: 3, retryDelay: 1, ...(keyed ? { idempotencyKey: id } : {}) });
    };
    const worker = async (name: number): Promise<void> => {
      for (let n = 0; performance.now() < end; n++) {
        const id = `${name}/${n}`;
        try {
          await transfer(id, name % 2 === 0);
          acknowledged.add(id);
        } catch (error) {
          if (error instanceof CommitUnknownError) unknown.add(id);
          else if (error instanceof ConnectionLostError || error instanceof ConnectError) refused++;
          else return void surprising.push(error);
        }
      }
    };
    let kills = 0;
    const kill = async (): Promise<void> => {
      while (performance.now() < end) {
        await sleep(40);
        const one = sql`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name = 'bank'
        order by random() limit 1`;
        kills += (await killer.execute(one)).rows.length;
      }
    };
    await Promise.all([kill(), ...Array.from({ length: 6 }, (_, name) => worker(name))]);

    assertEquals(surprising, []);
    const [sum] = await s.sql("select sum(balance)::int as sum from accounts");
    assertEquals(sum!.sum, accounts * 100, "money is neither made nor lost");
    const stored = new Set((await s.sql("select id from transfers")).map(({ id }) => String(id)));
    assertEquals([...acknowledged].filter((id) => !stored.has(id)), [], "acknowledged and lost");
    const strangers = [...stored].filter((id) => !acknowledged.has(id) && !unknown.has(id));
    assertEquals(strangers, [], "stored and called lost");
    assertGreater(kills, 5);
    assertGreater(acknowledged.size, 50);
    assertGreater(refused + unknown.size, 0, "the kills hit somebody");
  },
);

scenario("53: a row deleted elsewhere is stale, and nothing of its flush is stored", async (s) => {
  const engine = await bank(s);
  await using session = engine.session();
  const all = await session.query(Account).orderBy((a) => a.id).all();
  await s.sql("delete from accounts where id = 2");
  const before = all.map(({ balance }) => balance);
  for (const account of all) account.balance = 0;
  const error = await assertRejects(() => session.commit());
  assertEquals((error as { code?: string }).code, "STALE_DATA");
  assertEquals([await balances(s), all.map(({ balance }) => balance)], [[100], before]);
  assert(!(error instanceof UniqueViolationError));
});
