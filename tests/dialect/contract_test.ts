/**
 * What every driver must do. The cases are written once; SQLite runs them in memory and in a file,
 * PGlite and PostgreSQL on an empty database. Exceptions are listed with their reason.
 */

import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import type { Driver, DriverConnection, DriverCursor, WireRow } from "../../src/dialect/driver.ts";
import { pgliteDriver } from "../../src/dialect/pglite/mod.ts";
import { postgresDriver } from "../../src/dialect/postgres/mod.ts";
import { sqliteDriver } from "../../src/dialect/sqlite/mod.ts";
import {
  CheckViolationError,
  ClosedError,
  DatabaseError,
  ForeignKeyViolationError,
  InputError,
  IntegrityError,
  NotNullViolationError,
  PendingRollbackError,
  ReadOnlyError,
  SluiceError,
  StatementError,
  TransactionAbortedError,
  UniqueViolationError,
} from "../../src/errors.ts";
import { eachEngine, type EachEngineOptions, type EngineContext } from "../support/each_engine.ts";

/** A driver under test, and how its SQL is spelt. */
class Subject {
  readonly driver: Driver;
  readonly #connections: DriverConnection[] = [];

  constructor(context: EngineContext) {
    this.driver = driverOf(context);
  }

  get sqlite(): boolean {
    return this.driver.dialect === "sqlite";
  }

  async connect(): Promise<DriverConnection> {
    const connection = await this.driver.connect();
    this.#connections.push(connection);
    return connection;
  }

  /** Runs `text`, in which `$1` is a parameter whatever the dialect. */
  run(connection: DriverConnection, text: string, ...values: (string | number | bigint | null)[]) {
    return connection.run(this.statement(text, ...values));
  }

  async rows(
    connection: DriverConnection,
    text: string,
    ...values: (string | number | bigint | null)[]
  ): Promise<WireRow[]> {
    return (await this.run(connection, text, ...values)).rows;
  }

  statement(text: string, ...values: (string | number | bigint | null)[]) {
    if (this.sqlite) return { text: text.replaceAll("$", "?"), params: values };
    const params = values.map((value) => value === null ? null : String(value));
    return { text, params };
  }

  /** A whole number as this wire spells it. */
  int(value: number | bigint): string | number | bigint {
    return this.sqlite ? value : String(value);
  }

  ints(...values: number[]): WireRow[] {
    return values.map((value) => [this.int(value)]);
  }

  /** The numbers from 1 to `last`. */
  series(last: number): string {
    return this.sqlite
      ? `with recursive s(g) as (select 1 union all select g + 1 from s where g < ${last}) select g from s`
      : `select g from generate_series(1, ${last}) as g`;
  }

  /** The numbers from 1, with an error at `bad`. */
  broken(last: number, bad: number): string {
    return this.sqlite
      ? `with recursive s(g) as (select 1 union all select g + 1 from s where g < ${last})
         select case g when ${bad} then abs(-9223372036854775807 - 1) else g end from s`
      : `select 1 / (${bad} - g) from generate_series(1, ${last}) as g`;
  }

  async people(connection: DriverConnection): Promise<void> {
    await this.run(
      connection,
      `create table people (
        id bigint primary key,
        name text not null,
        email text unique,
        age bigint check (age >= 0),
        boss bigint references people (id)
      )`,
    );
    await this.run(connection, "insert into people (id, name, email) values (1, 'Ada', 'a@x')");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of this.#connections) await connection.close();
    await this.driver.close();
  }
}

function driverOf(context: EngineContext): Driver {
  if (context.engineName === "pglite") return pgliteDriver({ instance: context.pglite! });
  if (context.engineName === "sqlite") {
    return sqliteDriver({ path: context.url.slice("sqlite:".length) });
  }
  const url = new URL(context.url);
  return postgresDriver({
    host: url.hostname,
    port: Number(url.port),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database: url.pathname.slice(1),
  });
}

function contract(
  name: string,
  body: (subject: Subject, connection: DriverConnection) => Promise<void>,
  options: EachEngineOptions = {},
): void {
  const run = async (context: EngineContext) => {
    await using subject = new Subject(context);
    await body(subject, await subject.connect());
  };
  const title = name.startsWith("DriverCursor") ? name : `DriverConnection.${name}`;
  eachEngine(title, run, options);
  if (options.except?.sqlite === undefined) {
    eachEngine(`${title}, in a file`, run, { only: ["sqlite"], sqliteFile: true });
  }
}

/** Reads a cursor to its end in windows. */
async function windows(cursor: DriverCursor, size: number): Promise<number[]> {
  const sizes: number[] = [];
  for (;;) {
    const { rows } = await cursor.fetch(size);
    sizes.push(rows.length);
    if (rows.length < size) return sizes;
  }
}

// --- run -----------------------------------------------------------------------------------------

contract("run() gives rows by position, columns, count and command", async (s, c) => {
  const result = await s.run(c, "select cast($1 as bigint) as n, cast(null as text) as t", 41);
  assertEquals(result.rows, [[s.int(41), null]]);
  assertEquals(result.columns.map((column) => column.name), ["n", "t"]);
  assertEquals([result.rowCount, result.command], [1, "SELECT"]);
});

contract("run() may give rows as they come in; all of them arrive once, in order", async (s, c) => {
  const taken: WireRow[] = [];
  const take = (rows: WireRow[]) => void taken.push(...rows);
  const result = await c.run({ ...s.statement(s.series(20_000)), take });
  assertEquals(result.rowCount, 20_000);
  const all = [...taken, ...result.rows].map(([n]) => Number(n));
  assertEquals(all, Array.from({ length: 20_000 }, (_, i) => i + 1));

  taken.length = 0;
  await assertRejects(() => c.run({ ...s.statement(s.broken(20_000, 15_000)), take }));
  assert(taken.length < 15_000);
  assertEquals((await s.rows(c, "select 1")).length, 1);
});

contract("run() counts what a write changed, and gives what it returns", async (s, c) => {
  await s.people(c);
  const inserted = await s.run(
    c,
    "insert into people (id, name) values ($1, 'B'), ($2, 'C')",
    2,
    3,
  );
  assertEquals([inserted.rowCount, inserted.command, inserted.rows], [2, "INSERT", []]);
  const updated = await s.run(c, "update people set age = 1 where id > $1 returning id", 1);
  assertEquals([updated.rowCount, updated.command], [2, "UPDATE"]);
  assertEquals(updated.rows, s.ints(2, 3));
  const none = await s.run(c, "delete from people where id = 99");
  assertEquals([none.rowCount, none.command], [0, "DELETE"]);
  const created = await s.run(c, "create table other (a int)");
  assertEquals([created.rowCount, created.command], [0, "CREATE"]);
});

contract("run() keeps both of two columns of one name", async (s, c) => {
  const { rows, columns } = await s.run(c, "select 'a' as x, 'b' as x");
  assertEquals([rows, columns.map((column) => column.name)], [[["a", "b"]], ["x", "x"]]);
});

contract("run() carries calls out in the order in which they were made", async (s, c) => {
  await s.run(c, "create table log (n int)");
  const calls = Array.from({ length: 20 }, (_, i) => s.run(c, "insert into log values ($1)", i));
  const seen = s.rows(c, "select count(*) from log");
  const more = s.run(c, "insert into log values (99)");
  assertEquals(await seen, s.ints(20));
  await Promise.all([...calls, more]);
});

contract("run() answers the same statement again and again, prepared or not", async (s, c) => {
  for (const prepare of [true, false, true]) {
    for (let i = 0; i < 3; i++) {
      const statement = { ...s.statement("select cast($1 as bigint) + 1", i), prepare };
      assertEquals((await c.run(statement)).rows, s.ints(i + 1));
    }
  }
});

contract("run() keeps the bounds of 64 bits and numbers beyond 2^53 exact", async (s, c) => {
  await s.run(c, "create table big (n bigint)");
  const values = [2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n + 1n, -(2n ** 53n) - 1n];
  for (const value of values) {
    assertEquals(await s.rows(c, "insert into big values ($1) returning n", value), [[
      s.int(value),
    ]]);
  }
  const rows = await s.rows(c, "select n from big");
  assertEquals(rows.map(([n]) => BigInt(n as bigint)), values);
});

contract("run() tells empty text from null and keeps all of Unicode", async (s, c) => {
  const texts = ["", "é", "日本語", "👩‍🚀", "\u{10FFFF}", "a'b\"c\\d\n\t\r", "\u202E", "$1 ?1"];
  for (const text of texts) {
    assertEquals(await s.rows(c, "select cast($1 as text), cast($2 as text)", text, null), [[
      text,
      null,
    ]]);
  }
});

contract("run() takes and gives a text of 5 MB", async (s, c) => {
  const text = "é".repeat(2_500_000);
  const [[found, length]] = await s.rows(
    c,
    "select cast($1 as text), length(cast($1 as text))",
    text,
  ) as [[string, unknown]];
  assert(found === text);
  assertEquals(Number(length), 2_500_000);
});

contract("run() refuses NUL and lone surrogates in values and text", async (s, c) => {
  await assertRejects(() => s.run(c, "select cast($1 as text)", "a\0b"), InputError);
  await assertRejects(() => s.run(c, "select cast($1 as text)", "a\ud800b"), InputError);
  await assertRejects(() => s.run(c, "select 1 \0 + 1"), InputError);
  assertEquals(await s.rows(c, "select 1"), s.ints(1));
});

contract("run() refuses a second statement in the text, and runs none", async (s, c) => {
  await s.people(c);
  await assertRejects(() => s.run(c, "delete from people; select 1"), SluiceError);
  assertEquals(await s.rows(c, "select count(*) from people"), s.ints(1));
  assertEquals(await s.rows(c, "select 1; -- no more\n"), s.ints(1));
});

contract("run() refuses the wrong number of values", async (s, c) => {
  await assertRejects(
    () => s.run(c, "select cast($1 as text), cast($2 as text)", "a"),
    SluiceError,
  );
  await assertRejects(() => s.run(c, "select cast($1 as text)", "a", "b"), SluiceError);
  assertEquals([await s.rows(c, "select 1"), c.lost], [s.ints(1), undefined]);
});

// --- errors --------------------------------------------------------------------------------------

contract("run() raises the type of each violated constraint", async (s, c) => {
  await s.people(c);
  const insert = (values: string) => s.run(c, `insert into people values ${values}`);
  const cases = [
    ["(1, 'B', null, null, null)", UniqueViolationError, "23505"],
    ["(2, 'B', 'a@x', null, null)", UniqueViolationError, "23505"],
    ["(2, null, null, null, null)", NotNullViolationError, "23502"],
    ["(2, 'B', null, -1, null)", CheckViolationError, "23514"],
    ["(2, 'B', null, null, 99)", ForeignKeyViolationError, "23503"],
  ] as const;
  for (const [values, type, state] of cases) {
    const error = await assertRejects(() => insert(values), type);
    assertInstanceOf(error, IntegrityError);
    assertEquals(error.sqlState, state);
    assert(error.cause !== undefined || !s.sqlite);
  }
  const named = await assertRejects(() => insert("(2, null, null, null, null)"), DatabaseError);
  assertEquals([named.table, named.column], ["people", "name"]);
  assertEquals(await s.rows(c, "select count(*) from people"), s.ints(1));
});

contract("run() raises StatementError for what is not understood, and goes on", async (s, c) => {
  const cases = [["selec 1", "42601"], ["select * from nowhere", "42P01"], [
    "select absent from (select 1 as a) as x",
    "42703",
  ]] as const;
  for (const [text, state] of cases) {
    const error = await assertRejects(() => s.run(c, text), StatementError);
    assertEquals([error.sqlState, error.statement], [state, text]);
    assertEquals(await s.rows(c, "select 1"), s.ints(1));
  }
});

contract(
  "run() gives no rows of a statement that failed after some, nor to the next",
  async (s, c) => {
    for (let round = 0; round < 3; round++) {
      await assertRejects(() => s.run(c, s.broken(100, 50)), DatabaseError);
      const { rows, rowCount } = await s.run(c, s.series(10));
      assertEquals([rows.length, rowCount, rows.filter(() => true).length], [10, 10, 10]);
    }
  },
);

contract("run() never shows a bound value in an error's message", async (s, c) => {
  await s.people(c);
  const error = await assertRejects(
    () => s.run(c, "insert into people (id, name, email) values ($1, 'x', $2)", 2, "a@x"),
    UniqueViolationError,
  );
  assert(!error.message.includes("a@x") && !JSON.stringify(error).includes("a@x"));
});

// --- limits --------------------------------------------------------------------------------------

contract(
  "run() with a signal aborted before rejects with its reason and sends nothing",
  async (s, c) => {
    await s.people(c);
    const reason = new Error("enough");
    const error = await assertRejects(() =>
      c.run(s.statement("delete from people"), { signal: AbortSignal.abort(reason) })
    );
    assert(error === reason);
    assertEquals(await s.rows(c, "select count(*) from people"), s.ints(1));
  },
);

contract("run() with a generous limit answers as without", async (s, c) => {
  const { signal } = new AbortController();
  assertEquals((await c.run(s.statement("select 1"), { timeout: 60_000, signal })).rows, s.ints(1));
});

// --- transactions --------------------------------------------------------------------------------

contract("begin(), commit() and rollback() move the status", async (s, c) => {
  await s.people(c);
  assertEquals(c.transactionStatus, "idle");
  await c.begin();
  assertEquals(c.transactionStatus, "open");
  await s.run(c, "update people set name = 'B'");
  await c.rollback();
  assertEquals(c.transactionStatus, "idle");
  assertEquals(await s.rows(c, "select name from people"), [["Ada"]]);
  await c.begin({ isolation: "serializable" });
  await s.run(c, "update people set name = 'C'");
  await c.commit();
  assertEquals(c.transactionStatus, "idle");
  assertEquals(await s.rows(c, "select name from people"), [["C"]]);
});

contract("begin() need not be awaited before what follows", async (s, c) => {
  await s.people(c);
  const calls = [c.begin(), s.run(c, "update people set name = 'B'"), c.commit()];
  await Promise.all(calls);
  assertEquals(await s.rows(c, "select name from people"), [["B"]]);
});

contract("begin() inside of a transaction is refused and leaves it open", async (s, c) => {
  await c.begin();
  await assertRejects(() => c.begin(), SluiceError);
  assertEquals(c.transactionStatus, "open");
  assertEquals(await s.rows(c, "select 1"), s.ints(1));
  await c.rollback();
});

contract("begin() with readOnly refuses writes", async (s, c) => {
  await s.people(c);
  await c.begin({ readOnly: true });
  assertEquals(await s.rows(c, "select count(*) from people"), s.ints(1));
  await assertRejects(() => s.run(c, "delete from people"), ReadOnlyError);
  await c.rollback();
  assertEquals((await s.run(c, "delete from people")).rowCount, 1);
});

contract("rollback() without a transaction is harmless", async (s, c) => {
  await c.rollback();
  assertEquals(await s.rows(c, "select 1"), s.ints(1));
});

contract("commit() of a failed transaction rejects and stores nothing", async (s, c) => {
  await s.people(c);
  await c.begin();
  await s.run(c, "update people set name = 'B'");
  await assertRejects(() => s.run(c, "select * from nowhere"), StatementError);
  assertEquals(c.transactionStatus, "failed");
  await assertRejects(() => s.run(c, "select 1"), PendingRollbackError);
  await assertRejects(() => c.commit(), TransactionAbortedError);
  assertEquals(c.transactionStatus, "idle");
  assertEquals(await s.rows(c, "select name from people"), [["Ada"]]);
}, { except: { sqlite: "a failed statement leaves its transaction usable" } });

contract("commit() that violates a deferred constraint rolls back", async (s, c) => {
  await s.run(c, "create table p (id bigint primary key)");
  await s.run(c, "create table q (p bigint references p (id) deferrable initially deferred)");
  await c.begin();
  await s.run(c, "insert into q values (7)");
  await assertRejects(() => c.commit(), ForeignKeyViolationError);
  assertEquals(c.transactionStatus, "idle");
  assertEquals(await s.rows(c, "select count(*) from q"), s.ints(0));
});

contract("run() of a statement that is alone happens as a whole or not at all", async (s, c) => {
  await s.run(c, "create table p (id bigint primary key)");
  await s.run(
    c,
    "create table q (p bigint unique references p (id) deferrable initially deferred)",
  );
  const alone = (text: string) => c.run({ ...s.statement(text), alone: true });
  const { rows } = await alone("insert into p values (1), (2) returning id");
  assertEquals(rows, s.ints(1, 2));
  // Its rows have come back by the time that is looked at
  await assertRejects(() => alone("insert into q values (1), (7) returning p"), IntegrityError);
  await assertRejects(() => alone("insert into q values (1), (1)"), UniqueViolationError);
  assertEquals([c.transactionStatus, await s.rows(c, "select count(*) from q")], [
    "idle",
    s.ints(0),
  ]);
  assertEquals((await alone("insert into q values (1), (2)")).rowCount, 2);
});

contract("run() takes savepoints as text", async (s, c) => {
  await s.people(c);
  await c.begin();
  await s.run(c, "savepoint a");
  await s.run(c, "update people set name = 'B'");
  await assertRejects(() => s.run(c, "insert into people (id) values (1)"), IntegrityError);
  await s.run(c, "rollback to savepoint a");
  assertEquals(c.transactionStatus, "open");
  await s.run(c, "release savepoint a");
  await s.run(c, "update people set age = 5");
  await c.commit();
  assertEquals(await s.rows(c, "select name, age from people"), [["Ada", s.int(5)]]);
});

contract("run() refuses a savepoint outside of a transaction", async (s, c) => {
  const error = await assertRejects(() => s.run(c, "savepoint a"), DatabaseError);
  assertEquals([error.sqlState, c.transactionStatus], ["25P01", "idle"]);
});

// --- cursors -------------------------------------------------------------------------------------

contract("openCursor() reads in windows, whatever their size", async (s, c) => {
  await c.begin({ readOnly: true });
  for (
    const [rows, size, expected] of [
      [200, 100, [100, 100, 0]],
      [0, 100, [0]],
      [250, 100, [100, 100, 50]],
      [1, 100, [1]],
      [3, 1, [1, 1, 1, 0]],
    ] as const
  ) {
    const text = `select g from (${s.series(300)}) as x where g <= cast($1 as bigint) order by g`;
    const cursor = await c.openCursor(s.statement(text, rows));
    assertEquals(await windows(cursor, size), [...expected]);
    await cursor.close();
  }
  await c.commit();
});

contract("DriverCursor.fetch() gives rows in order, with their columns", async (s, c) => {
  await c.begin();
  const cursor = await c.openCursor(
    s.statement(`select g, g as h from (${s.series(3)}) as x order by g desc`),
  );
  const { rows, columns, rowCount } = await cursor.fetch(2);
  assertEquals(rows, [[s.int(3), s.int(3)], [s.int(2), s.int(2)]]);
  assertEquals([columns.map((column) => column.name), rowCount], [["g", "h"], 2]);
  await cursor.close();
  await c.rollback();
});

contract("DriverCursor lets statements, writes and other cursors run between", async (s, c) => {
  await s.people(c);
  await c.begin();
  const first = await c.openCursor(s.statement(s.series(5)));
  const second = await c.openCursor(s.statement(s.series(5)));
  assertEquals((await first.fetch(2)).rows, s.ints(1, 2));
  await s.run(c, "insert into people (id, name) values (2, 'B')");
  assertEquals((await second.fetch(1)).rows, s.ints(1));
  assertEquals((await first.fetch(9)).rows, s.ints(3, 4, 5));
  assertEquals((await second.fetch(9)).rows, s.ints(2, 3, 4, 5));
  await c.commit();
  assertEquals(await s.rows(c, "select count(*) from people"), s.ints(2));
});

contract("DriverCursor does not see what is written after it was opened", async (s, c) => {
  await s.people(c);
  await c.begin();
  const cursor = await c.openCursor(s.statement("select id from people order by id"));
  await s.run(c, "insert into people (id, name) values (2, 'B'), (3, 'C')");
  assertEquals((await cursor.fetch(10)).rows, s.ints(1));
  await c.rollback();
});

contract("DriverCursor.close() may come early, twice, and after the transaction", async (s, c) => {
  await c.begin();
  const early = await c.openCursor(s.statement(s.series(10)));
  await early.fetch(1);
  await early.close();
  await early.close();
  await assertRejects(() => early.fetch(1), ClosedError);
  const late = await c.openCursor(s.statement(s.series(10)));
  await late.fetch(1);
  await c.commit();
  await assertRejects(() => late.fetch(1), SluiceError);
  await late.close();
  assertEquals([await s.rows(c, "select 1"), c.transactionStatus], [s.ints(1), "idle"]);
});

contract("DriverCursor.close() after its savepoint was rolled back is harmless", async (s, c) => {
  await c.begin();
  await s.run(c, "savepoint a");
  const cursor = await c.openCursor(s.statement(s.series(10)));
  await cursor.fetch(1);
  await s.run(c, "rollback to savepoint a");
  await cursor.close();
  assertEquals([await s.rows(c, "select 1"), c.transactionStatus], [s.ints(1), "open"]);
  await c.rollback();
});

contract("DriverCursor never ends as usual where its statement fails", async (s, c) => {
  await c.begin();
  let seen = 0;
  const error = await assertRejects(async () => {
    const cursor = await c.openCursor(s.statement(s.broken(50, 25)));
    for (;;) {
      const { rows } = await cursor.fetch(10);
      if (rows.length < 10) break;
      seen += rows.length;
    }
  }, DatabaseError);
  assert(error.sqlState?.startsWith("22"));
  assert(seen <= 20);
  await c.rollback();
  assertEquals((await s.run(c, s.series(10))).rows.length, 10);
});

contract("DriverCursor.fetch() after close() of the connection rejects", async (s, c) => {
  await c.begin();
  const cursor = await c.openCursor(s.statement(s.series(10)));
  await cursor.fetch(1);
  await c.close();
  await assertRejects(() => cursor.fetch(1), ClosedError);
  await cursor.close();
});

contract("openCursor() needs a transaction and a statement that reads", async (s, c) => {
  await s.people(c);
  await assertRejects(() => c.openCursor(s.statement(s.series(1))), SluiceError);
  await c.begin();
  await assertRejects(() => c.openCursor(s.statement("delete from people")), SluiceError);
  await c.rollback();
  assertEquals(await s.rows(c, "select count(*) from people"), s.ints(1));
});

// --- COPY ----------------------------------------------------------------------------------------

const noCopy = { except: { sqlite: "SQLite has no COPY" } } as const;
const bytes = (text: string) => new TextEncoder().encode(text);

contract("copyIn() stores rows from pieces cut anywhere", async (s, c) => {
  await s.people(c);
  const data = bytes("2\tB\n3\té\n4\ta\\nb\n");
  const pieces = Array.from(data, (_, i) => data.subarray(i, i + 1));
  assertEquals(await c.copyIn!("copy people (id, name) from stdin", pieces), 3);
  assertEquals(await s.rows(c, "select name from people order by id"), [["Ada"], ["B"], ["é"], [
    "a\nb",
  ]]);
  assertEquals(await c.copyIn!("copy people (id, name) from stdin", []), 0);
}, noCopy);

contract("copyIn() stores nothing where a row is bad, and goes on", async (s, c) => {
  await s.people(c);
  const cases = [["2\tB\nx\tC\n", "22P02"], ["2\tB\n1\tC\n", "23505"]] as const;
  for (const [data, state] of cases) {
    const error = await assertRejects(
      () => c.copyIn!("copy people (id, name) from stdin", [bytes(data)]),
      DatabaseError,
    );
    assertEquals(error.sqlState, state);
    assertEquals(await s.rows(c, "select count(*) from people"), s.ints(1));
  }
  const missing = await assertRejects(
    () => c.copyIn!("copy nowhere from stdin", []),
    DatabaseError,
  );
  assertEquals([missing.sqlState, c.lost], ["42P01", undefined]);
}, noCopy);

contract("copyIn() throws what its source throws, and stores nothing", async (s, c) => {
  await s.people(c);
  const mine = new Error("mine");
  async function* source() {
    yield bytes("2\tB\n");
    await Promise.resolve();
    throw mine;
  }
  const error = await assertRejects(() => c.copyIn!("copy people (id, name) from stdin", source()));
  assert(error === mine);
  assertEquals(await s.rows(c, "select count(*) from people"), s.ints(1));
}, noCopy);

contract("copyIn() stores megabytes, all or nothing", async (s, c) => {
  await s.run(c, "create table wide (id bigint primary key, text text)");
  function* source(rows: number) {
    for (let i = 0; i < rows; i += 100) {
      const lines = Array.from({ length: 100 }, (_, k) => `${i + k}\t${"x".repeat(500)}\n`);
      yield bytes(lines.join(""));
    }
  }
  assertEquals(await c.copyIn!("copy wide from stdin", source(20_000)), 20_000);
  await s.run(c, "truncate wide");
  function* failing() {
    yield* source(20_000);
    yield bytes("nonsense\n");
  }
  await assertRejects(() => c.copyIn!("copy wide from stdin", failing()), DatabaseError);
  assertEquals([await s.rows(c, "select count(*) from wide"), c.transactionStatus], [
    s.ints(0),
    "idle",
  ]);
}, noCopy);

contract("copyOut() gives the rows as bytes, and the connection goes on", async (s, c) => {
  const parts: Uint8Array[] = [];
  for await (const part of c.copyOut!(`copy (${s.series(1000)}) to stdout`)) parts.push(part);
  const text = new TextDecoder().decode(await new Blob(parts as BlobPart[]).arrayBuffer());
  assertEquals(text, Array.from({ length: 1000 }, (_, i) => `${i + 1}\n`).join(""));
  assertEquals(await s.rows(c, "select 1"), s.ints(1));
}, noCopy);

// --- the connection's life -----------------------------------------------------------------------

contract("busy tells whether a call is under way", async (s, c) => {
  assertEquals(c.busy, false);
  const calls = [c.begin(), s.run(c, "select 1"), c.rollback()];
  await Promise.all(calls);
  assertEquals(c.busy, false);
});

contract("ping() answers", async (_s, c) => {
  await c.ping();
  await c.ping({ timeout: 10_000 });
  assertEquals([c.lost, c.transactionStatus], [undefined, "idle"]);
});

contract("close() ends after what was called before it; then every call rejects", async (s, c) => {
  let lost = 0;
  c.onLost = () => lost++;
  const last = s.rows(c, "select 1");
  await c.close();
  await c.close();
  c.destroy();
  assertEquals(await last, s.ints(1));
  for (
    const call of [
      () => s.run(c, "select 1"),
      () => c.begin(),
      () => c.commit(),
      () => c.ping(),
      () => c.openCursor(s.statement("select 1")),
    ]
  ) await assertRejects(call, SluiceError);
  assertEquals(lost, 0);
});

contract("close() rolls back what is open", async (s, c) => {
  await s.people(c);
  await c.begin();
  await s.run(c, "delete from people");
  await c.close();
  const next = await s.connect();
  assertEquals([next.transactionStatus, await s.rows(next, "select count(*) from people")], [
    "idle",
    s.ints(1),
  ]);
}, { except: { sqlite: "a database in memory ends with its connection; for files see sqlite/" } });

contract("destroy() ends at once; what is under way and what follows rejects", async (s, c) => {
  const calls = [c.begin(), s.run(c, s.series(10)), s.run(c, s.series(10))];
  c.destroy();
  c.destroy();
  await Promise.allSettled(calls);
  await assertRejects(() => s.run(c, "select 1"), SluiceError);
  await c.close();
});

contract("run() that nobody awaits is never an unhandled rejection", async (s, c) => {
  s.run(c, "selec");
  s.run(c, "select * from nowhere");
  c.run(s.statement("select 1"), { signal: AbortSignal.abort() });
  assertEquals(await s.rows(c, "select 1"), s.ints(1));
});
