import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { DriverConnection } from "../../../src/dialect/driver.ts";
import { type SqliteConfig, sqliteDriver } from "../../../src/dialect/sqlite/mod.ts";
import {
  ClosedError,
  ConfigError,
  ConnectError,
  ConnectionLostError,
  InputError,
  LockTimeoutError,
  PendingRollbackError,
  ReadOnlyError,
  TransactionAbortedError,
  UniqueViolationError,
  UsageError,
} from "../../../src/errors.ts";
import { TempFolder } from "./temp_folder.ts";

const run = (c: DriverConnection, text: string, ...params: unknown[]) =>
  c.run({ text, params: params as [] });
const rows = async (c: DriverConnection, text: string) => (await run(c, text)).rows;

Deno.test("sqliteDriver() says why a file cannot be opened", async () => {
  await using folder = new TempFolder();
  const refused = async (config: SqliteConfig, code: string, words: string) => {
    const error = await assertRejects(() => sqliteDriver(config).connect(), ConnectError);
    assertEquals(error.code, code);
    assert(error.message.includes(words), error.message);
  };
  await refused({ path: folder.file("no/x.db") }, "DATABASE_NOT_FOUND", "directory does not exist");
  await refused({ path: folder.path }, "DATABASE_NOT_FOUND", "is a directory");
  await refused({ path: folder.file("x.db"), mode: "ro" }, "DATABASE_NOT_FOUND", "no such file");
  await refused({ path: folder.file("x.db"), mode: "rw" }, "DATABASE_NOT_FOUND", "no such file");
  await Deno.writeTextFile(folder.file("text.db"), "no database ".repeat(100));
  await refused({ path: folder.file("text.db") }, "CONNECT_FAILED", "not a database");
});

Deno.test({
  name: "sqliteDriver() names the missing permission",
  permissions: { read: false, write: false },
  fn: async () => {
    const error = await assertRejects(
      () => sqliteDriver({ path: "/x.db" }).connect(),
      ConnectError,
    );
    assertEquals(error.code, "PERMISSION_DENIED");
    assert(error.message.includes("--allow-read"));
  },
});

Deno.test("sqliteDriver() refuses unknown options and wrong values", () => {
  const wrong = [
    { pth: "x" },
    { path: "" },
    { path: "a\0b" },
    { path: "file:x?mode=ro" },
    { mode: "x" },
    { journalMode: "wal; drop table t" },
    { lockTimeout: -1 },
    { lockTimeout: NaN },
  ] as unknown as SqliteConfig[];
  for (const config of wrong) assertThrows(() => sqliteDriver(config), ConfigError);
});

Deno.test("sqliteDriver() sets a file to WAL with foreign keys, and never blocks for a lock", async () => {
  await using folder = new TempFolder();
  const c = await folder.connect();
  assertEquals(await rows(c, "pragma journal_mode"), [["wal"]]);
  assertEquals(await rows(c, "pragma synchronous"), [[1]]);
  assertEquals(await rows(c, "pragma foreign_keys"), [[1]]);
  assertEquals(await rows(c, "pragma busy_timeout"), [[0]]);
  const other = await folder.connect({ path: folder.file("b.db"), journalMode: "delete" });
  assertEquals(await rows(other, "pragma journal_mode"), [["delete"]]);
  assertEquals(await rows(other, "pragma synchronous"), [[2]]);
});

Deno.test("sqliteDriver() gives a database in memory one connection at a time", async () => {
  const driver = sqliteDriver();
  const c = await driver.connect();
  await assertRejects(() => driver.connect(), ConnectError);
  await c.close();
  await (await driver.connect()).close();
  assertEquals([driver.defaultPool, driver.target], ["static", ":memory:"]);
});

Deno.test("SqliteConnection.run() binds what SQLite can hold, exactly, and nothing else", async () => {
  await using folder = new TempFolder();
  const c = await folder.connect({ path: ":memory:" });
  const echo = async (value: unknown) => (await run(c, "select ?1, typeof(?1)", value)).rows[0];
  assertEquals(await echo(1), [1, "integer"]);
  assertEquals(await echo(1.5), [1.5, "real"]);
  assertEquals(await echo(1e300), [1e300, "real"]);
  assertEquals(await echo(2n ** 63n - 1n), [2n ** 63n - 1n, "integer"]);
  assertEquals(await echo(new Uint8Array([1, 0, 2])), [new Uint8Array([1, 0, 2]), "blob"]);
  assertEquals(await echo(new Uint8Array()), [new Uint8Array(), "blob"]);
  assertEquals(await echo(null), [null, "null"]);
  assert(Object.is((await echo(-0))![0], -0));
  const wrong: [unknown, string][] = [
    [new Date(), "(Date)"],
    [true, "boolean"],
    [undefined, "undefined"],
    [NaN, "NaN"],
    [{ a: 1 }, "(Object)"],
    [[1], "array"],
    [Symbol("x"), "symbol"],
    [() => 1, "function"],
    [2n ** 63n, "64 bits"],
    [Object.create(null), "an object"],
    [JSON.parse('{"constructor":{"name":"forged"}}'), "(Object)"],
  ];
  for (const [value, words] of wrong) {
    const error = await assertRejects(() => run(c, "select ?1, ?2", 1, value), InputError);
    assert(
      error.message.startsWith("Parameter ?2 is") && error.message.includes(words),
      error.message,
    );
  }
});

Deno.test("SqliteConnection.run() does not run a write twice for the sake of a large number", async () => {
  await using folder = new TempFolder();
  const c = await folder.connect();
  await run(c, "create table t (n integer)");
  const { rows: returned } = await run(c, "insert into t values (9007199254740993) returning n, 1");
  assertEquals(returned, [[2n ** 53n + 1n, 1]]);
  assertEquals(await rows(c, "select count(*) from t"), [[1]]);
  assertEquals(await rows(c, "select n, 7 from t"), [[2n ** 53n + 1n, 7]]);
});

Deno.test("SqliteConnection.run() sees new columns through a prepared statement", async () => {
  await using folder = new TempFolder();
  const [a, b] = [await folder.connect(), await folder.connect()];
  await run(a, "create table t (x)");
  await run(a, "insert into t values (1)");
  assertEquals((await run(a, "select * from t")).columns.map((c) => c.name), ["x"]);
  await run(b, "alter table t rename x to y");
  const { columns } = await run(a, "select * from t");
  assertEquals(columns.map((c) => c.name), ["y"]);
});

Deno.test("SqliteConnection.run() leaves transactions to begin(), commit() and rollback()", async () => {
  await using folder = new TempFolder();
  const c = await folder.connect();
  for (const text of ["begin", "commit", "end", " /* x */ rollback"]) {
    await assertRejects(() => run(c, text), UsageError);
  }
  assertEquals(c.transactionStatus, "idle");
});

Deno.test("SqliteConnection.run() gives table and column of a violated constraint", async () => {
  await using folder = new TempFolder();
  const c = await folder.connect();
  await run(c, "create table t (a integer primary key, b text unique, c, d, unique (c, d))");
  await run(c, "insert into t values (1, 'x', 1, 1)");
  const failing = (text: string) => assertRejects(() => run(c, text), UniqueViolationError);
  const one = await failing("insert into t values (2, 'x', 2, 2)");
  assertEquals([one.table, one.column, one.sqlState], ["t", "b", "23505"]);
  const two = await failing("insert into t values (2, 'y', 1, 1)");
  assertEquals([two.table, two.column], ["t", undefined]);
  await run(c, "create unique index t_upper on t (upper(b))");
  const three = await failing("insert into t values (2, 'X', 2, 2)");
  assertEquals(three.constraint, "t_upper");
});

Deno.test("SqliteConnection notices that SQLite rolled back, and stores nothing more", async () => {
  await using folder = new TempFolder();
  const c = await folder.connect();
  await run(c, "create table t (a integer primary key)");
  await c.begin();
  await run(c, "insert into t values (1)");
  const cursor = await c.openCursor({ text: "select a from t", params: [] });
  await assertRejects(() => run(c, "insert or rollback into t values (1)"), UniqueViolationError);
  assertEquals(c.transactionStatus, "failed");
  await assertRejects(() => run(c, "insert into t values (2)"), PendingRollbackError);
  await assertRejects(() => cursor.fetch(1), ClosedError);
  await assertRejects(() => c.commit(), TransactionAbortedError);
  assertEquals([c.transactionStatus, await rows(c, "select a from t")], ["idle", []]);
  // The writer's turn was given back.
  await run(await folder.connect(), "insert into t values (3)");
});

Deno.test("SqliteConnection.close() rolls back what is open and lets the next one write", async () => {
  await using folder = new TempFolder();
  const [a, b] = [await folder.connect(), await folder.connect()];
  await run(a, "create table t (n)");
  await a.begin();
  await run(a, "insert into t values (1)");
  const waiting = run(b, "insert into t values (2)");
  await a.close();
  await waiting;
  assertEquals(await rows(b, "select n from t"), [[2]]);
});

Deno.test("SqliteConnection.begin() lets writers of one file take turns in order of arrival", async () => {
  await using folder = new TempFolder();
  const first = await folder.connect();
  await run(first, "create table t (n)");
  const others = await Promise.all([1, 2, 3, 4].map(() => folder.connect()));
  await first.begin();
  await run(first, "insert into t values (0)");
  const work = others.map(async (c, i) => {
    await c.begin();
    await run(c, "insert into t values (?1)", i + 1);
    await c.commit();
  });
  const reader = await folder.connect();
  assertEquals(await rows(reader, "select count(*) from t"), [[0]]);
  await first.commit();
  await Promise.all(work);
  assertEquals(await rows(reader, "select n from t order by rowid"), [[0], [1], [2], [3], [4]]);
});

Deno.test("SqliteConnection.run() gives a lock up after the limit, the signal or destroy()", async () => {
  await using folder = new TempFolder();
  const holder = await folder.connect();
  await run(holder, "create table t (n)");
  await holder.begin();
  const c = await folder.connect({ path: folder.file("a.db"), lockTimeout: 30 });
  const write = { text: "insert into t values (1)", params: [] };
  await assertRejects(() => c.run(write), LockTimeoutError, "another connection of this process");
  const patient = await folder.connect();
  await assertRejects(() => patient.run(write, { timeout: 20 }), LockTimeoutError);
  const controller = new AbortController();
  const reason = new Error("enough");
  const aborted = patient.run(write, { signal: controller.signal });
  controller.abort(reason);
  assert(await assertRejects(() => aborted) === reason);
  const destroyed = patient.run(write);
  const queued = patient.run(write);
  patient.destroy();
  await assertRejects(() => destroyed, ClosedError);
  await assertRejects(() => queued, ClosedError);
  await holder.rollback();
  assertEquals((await c.run(write)).rowCount, 1);
});

Deno.test("SqliteConnection.run() waits for another process without blocking the event loop", async () => {
  await using folder = new TempFolder();
  const c = await folder.connect();
  await run(c, "create table t (n)");
  const { DatabaseSync } = await import("node:sqlite");
  // A connection past our queue is as foreign as another process.
  const foreign = new DatabaseSync(folder.file("a.db"));
  foreign.exec("begin immediate");
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  const waiting = run(c, "insert into t values (1)");
  await new Promise<void>((resolve) => setTimeout(resolve, 40));
  assertEquals(c.busy, true);
  foreign.exec("commit");
  await waiting;
  clearInterval(timer);
  assert(ticks > 5);
  foreign.exec("begin immediate");
  const error = await assertRejects(
    () => c.run({ text: "insert into t values (2)", params: [] }, { timeout: 20 }),
    LockTimeoutError,
  );
  assert(error.message.includes("another process"));
  foreign.close();
});

Deno.test("sqliteDriver() with mode ro reads, and refuses writes", async () => {
  await using folder = new TempFolder();
  const writer = await folder.connect();
  await run(writer, "create table t (n)");
  await run(writer, "insert into t values (1), (2)");
  const c = await folder.connect({ path: folder.file("a.db"), mode: "ro" });
  await assertRejects(() => run(c, "delete from t"), ReadOnlyError);
  await c.begin();
  const cursor = await c.openCursor({ text: "select n from t", params: [] });
  assertEquals((await cursor.fetch(5)).rows, [[1], [2]]);
  await c.commit();
});

Deno.test("SqliteConnection.ping() notices that the file was replaced", async () => {
  await using folder = new TempFolder();
  const c = await folder.connect();
  await run(c, "create table t (n)");
  await c.ping();
  const reasons: Error[] = [];
  c.onLost = (reason) => reasons.push(reason);
  await Deno.remove(folder.file("a.db"));
  await assertRejects(() => c.ping(), ConnectionLostError);
  assertEquals(reasons.length, 1);
  assert(c.lost === reasons[0]);
  await assertRejects(() => run(c, "select 1"), ConnectionLostError);
});

Deno.test("SqliteConnection.openCursor() keeps every value as it is, whatever column it is from", async () => {
  await using folder = new TempFolder();
  const c = await folder.connect();
  await run(c, "create table t (a text, b)");
  await run(c, "insert into t values ('1', 1), ('x', 9007199254740993)");
  await c.begin({ readOnly: true });
  const text = "select a, b from t union all select 5, x'00' order by 1";
  const cursor = await c.openCursor({ text: `${text};  -- the end`, params: [] });
  assertEquals((await cursor.fetch(9)).rows, [[5, new Uint8Array([0])], ["1", 1], [
    "x",
    2n ** 53n + 1n,
  ]]);
  await c.commit();
  assertEquals(await rows(c, "select count(*) from sqlite_temp_master"), [[0]]);
});

Deno.test("SqliteConnection.openCursor() takes a WITH and keeps its ORDER BY", async () => {
  await using folder = new TempFolder();
  const c = await folder.connect();
  await c.begin({ readOnly: true });
  const cursor = await c.openCursor({
    text: "with s(n) as (values (2), (3), (1)) select n * ?1 from s order by n desc",
    params: [10],
  });
  assertEquals((await cursor.fetch(2)).rows, [[30], [20]]);
  assertEquals((await cursor.fetch(2)).rows, [[10]]);
  await cursor.close();
  await c.commit();
});
