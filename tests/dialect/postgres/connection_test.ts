import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import {
  ClosedError,
  ConnectionLostError,
  InputError,
  PendingRollbackError,
  StalePlanError,
  StatementError,
  StatementTimeoutError,
  TransactionAbortedError,
  UniqueViolationError,
  UsageError,
} from "../../../src/errors.ts";
import type { Isolation } from "../../../src/dialect/driver.ts";
import { openConnection } from "../../../src/dialect/postgres/open.ts";
import { settingsOf } from "../../../src/dialect/postgres/options.ts";
import { connect, FakeServer, wire } from "./support.ts";

Deno.test("PostgresConnection.run() gives every type as the text that PostgreSQL writes", async () => {
  await using c = await connect();
  const { rows, columns, rowCount, command } = await c.run(
    `select true as b, 7::int2, 7::int8, 1.5::float8, 'NaN'::numeric, '{"a": 1}'::json as j, '{"a":1}'::jsonb,
      '\\x00ff'::bytea, date '2024-02-01', timestamptz '2024-02-01 12:00:00.123456+02', interval '1 month 2 hours',
      '{1,null}'::int[], array['NULL', null, 'a"b'], null::text`,
  );
  assertEquals(rows, [[
    ...["t", "7", "7", "1.5", "NaN", '{"a": 1}', '{"a": 1}', "\\x00ff", "2024-02-01"],
    ...["2024-02-01 10:00:00.123456+00", "P1MT2H", "{1,NULL}", '{"NULL",NULL,"a\\"b"}', null],
  ]]);
  assertEquals([rowCount, command], [1, "SELECT"]);
  assertEquals(columns[0], { name: "b", type: 16 });
  assertEquals(columns[5], { name: "j", type: 114 });
});

Deno.test("PostgresConnection.run() sends parameters untouched, whatever their type", async () => {
  await using c = await connect();
  for (let i = 0; i < 2; i++) {
    assertEquals(
      await c.rows(
        "select $1::bool, $2::int8, $3::jsonb, $4::bytea, $5::timestamptz, $6::date, $7::int[], $8::text, $9::json",
        ["t", "9007199254740993", '{"a":[1]}', "\\xff00", "2024-02-01 00:00:00.000001+00"]
          .concat(["0044-03-15 BC", "{1,NULL}", "", "[ 1 ]"]),
      ),
      [
        ["t", "9007199254740993", '{"a": [1]}', "\\xff00", "2024-02-01 00:00:00.000001+00"]
          .concat(["0044-03-15 BC", "{1,NULL}", "", "[ 1 ]"]),
      ],
    );
  }
  assertEquals(await c.rows("select $1::text is null", [null]), [["t"]]);
});

Deno.test("PostgresConnection.run() gives the same columns array for each run of a prepared statement", async () => {
  await using c = await connect();
  const first = await c.run("select 1 as a, 2 as a");
  const second = await c.run("select 1 as a, 2 as a");
  assert(first.columns === second.columns);
  assertEquals(first.columns, [{ name: "a", type: 23 }, { name: "a", type: 23 }]);
});

Deno.test("PostgresConnection.run() gives command and count of statements without rows", async () => {
  await using c = await connect();
  const create = await c.run("create temp table t (n int)");
  assertEquals([create.command, create.rowCount, create.rows, create.columns], [
    "CREATE",
    0,
    [],
    [],
  ]);
  const insert = await c.run("insert into t select generate_series(1, 3)");
  assertEquals([insert.command, insert.rowCount], ["INSERT", 3]);
  const returning = await c.run("update t set n = n + $1::int returning n", ["1"]);
  assertEquals([returning.command, returning.rowCount, returning.rows], ["UPDATE", 3, [
    ["2"],
    ["3"],
    ["4"],
  ]]);
});

Deno.test("PostgresConnection pins the session settings that decoding relies on", async () => {
  await using c = await connect({ applicationName: "it's me", searchPath: ["public", 'a"b'] });
  const [row] = await c.rows(
    `select ${
      ["DateStyle", "IntervalStyle", "TimeZone", "bytea_output", "extra_float_digits"]
        .concat("client_encoding", "application_name", "search_path")
        .map((name) => `current_setting('${name}')`).join(", ")
    }`,
  );
  assertEquals(row, [
    "ISO, YMD",
    "iso_8601",
    "UTC",
    "hex",
    "1",
    "UTF8",
    "it's me",
    '"public", "a""b"',
  ]);
});

Deno.test("PostgresConnection.run() refuses what cannot be sent, and sends nothing of it", async () => {
  await using c = await connect();
  await assertRejects(() => c.rows("select 1\0"), InputError, "NUL");
  await assertRejects(() => c.rows("select $1", ["\ud800"]), InputError, "Parameter 1");
  await assertRejects(
    () => c.connection.run({ text: "select $1", params: [new Uint8Array()] }),
    InputError,
    "must be text or null",
  );
  await assertRejects(
    () => c.connection.run({ text: "select $1", params: [undefined as unknown as null] }),
    InputError,
    "undefined",
  );
  await assertRejects(
    () => c.rows("select 1", Array.from({ length: 65_534 }, () => "1")),
    InputError,
    "unnest",
  );
  assertEquals(await c.rows("select 1"), [["1"]]);
});

Deno.test("PostgresConnection.run() takes 65,533 parameters", async () => {
  await using c = await connect();
  const params = Array.from({ length: 65_533 }, (_, i) => String(i));
  const list = params.map((_, i) => `$${i + 1}::int`).join(",");
  assertEquals(await c.rows(`select cardinality(array[${list}])`, params), [["65533"]]);
});

Deno.test("PostgresConnection.run() refuses two statements in one text", async () => {
  await using c = await connect();
  await assertRejects(() => c.rows("select 1; select 2"), Error, "cannot insert multiple commands");
});

Deno.test("PostgresConnection carries calls out in the order in which they were made", async () => {
  await using c = await connect();
  await c.run("create temp table t (n int)");
  const calls = Array.from(
    { length: 50 },
    (_, i) => c.run("insert into t values ($1)", [String(i)]),
  );
  assertEquals(c.connection.busy, true);
  await Promise.all(calls);
  assertEquals(c.connection.busy, false);
  assertEquals(
    await c.rows("select string_agg(n::text, ',' order by ctid) from t"),
    [[Array.from({ length: 50 }, (_, i) => i).join(",")]],
  );
});

Deno.test("PostgresConnection sends a transaction in one piece when nobody waits in between", async () => {
  await using c = await connect();
  await c.run("create temp table t (n int primary key)");
  const [, one, two] = await Promise.all([
    c.connection.begin(),
    c.run("insert into t values ($1)", ["1"]),
    c.run("select pg_current_xact_id_if_assigned() is not null, $1::int", ["5"]),
    c.connection.commit(),
  ]);
  assertEquals([one.command, two.rows], ["INSERT", [["t", "5"]]]);
  assertEquals(c.connection.transactionStatus, "idle");
  assertEquals(await c.rows("select count(*) from t"), [["1"]]);
});

Deno.test("PostgresConnection reports what follows a failed statement of a pipeline as pending rollback", async () => {
  await using c = await connect();
  await c.run("create temp table t (n int primary key)");
  const [begun, good, bad, later, committed] = await Promise.allSettled([
    c.connection.begin(),
    c.run("insert into t values (1)"),
    c.run("insert into t values ($1)", ["1"]),
    c.run("insert into t values ($1)", ["2"]),
    c.connection.commit(),
  ]);
  assertEquals([begun.status, good.status], ["fulfilled", "fulfilled"]);
  const reason = (settled: PromiseSettledResult<unknown>) =>
    (settled as PromiseRejectedResult).reason;
  assertInstanceOf(reason(bad), UniqueViolationError);
  assertInstanceOf(reason(later), PendingRollbackError);
  assert(reason(later).cause === reason(bad));
  assertInstanceOf(reason(committed), TransactionAbortedError);
  assertEquals(await c.rows("select count(*) from t"), [["0"]]);
});

Deno.test("PostgresConnection.transactionStatus follows the server", async () => {
  await using c = await connect();
  const { connection } = c;
  await connection.begin();
  assertEquals(connection.transactionStatus, "open");
  await assertRejects(() => c.rows("select 1/0"));
  assertEquals(connection.transactionStatus, "failed");
  const error = await assertRejects(() => c.rows("select 1"), PendingRollbackError);
  assertStringIncludes(String(error.cause), "division by zero");
  await connection.rollback();
  assertEquals(connection.transactionStatus, "idle");
  await connection.rollback(); // harmless
});

Deno.test("PostgresConnection.begin() says what it was asked for", async () => {
  await using c = await connect();
  const show =
    "select current_setting('transaction_isolation'), current_setting('transaction_read_only'), " +
    "current_setting('transaction_deferrable')";
  const seen = async (...options: Parameters<typeof c.connection.begin>) => {
    const begun = c.connection.begin(...options);
    const [row] = await c.rows(show);
    await begun;
    await c.connection.rollback();
    return row;
  };
  assertEquals(await seen(), ["read committed", "off", "off"]);
  assertEquals(await seen({ isolation: "repeatable read", readOnly: true }), [
    "repeatable read",
    "on",
    "off",
  ]);
  assertEquals(
    await seen({ isolation: "serializable", readOnly: true, deferrable: true }),
    ["serializable", "on", "on"],
  );
  await assertRejects(
    () => c.connection.begin({ isolation: "serializable; drop table t" as Isolation }),
    InputError,
    "Unknown isolation level",
  );
});

Deno.test("PostgresConnection.begin() refuses a transaction within a transaction", async () => {
  await using c = await connect();
  await c.connection.begin();
  await assertRejects(() => c.connection.begin(), UsageError, "already open");
  await c.connection.rollback();
  await c.connection.begin();
  await c.connection.commit();
});

Deno.test("PostgresConnection is destroyed when a transaction cannot begin", async () => {
  await using server = new FakeServer(async (client) => {
    await client.welcome();
    await client.read();
    await client.send(
      wire.error("0A000", "cannot use serializable mode in a hot standby"),
      wire.ready(),
    );
  });
  const connection = await openConnection(settingsOf(server.config()));
  let told: Error | undefined;
  connection.onLost = (reason) => told = reason;
  const begun = connection.begin({ isolation: "serializable" });
  const write = connection.run({ text: "insert into t values (1)", params: [] });
  await Promise.all([
    assertRejects(() => begun, StatementError, "hot standby"),
    assertRejects(() => write, ConnectionLostError, "could not begin"),
  ]);
  assertInstanceOf(told, ConnectionLostError);
});

Deno.test("PostgresConnection.run() gives all rows of the next statement after one that failed half-way", async () => {
  await using c = await connect();
  await assertRejects(
    () => c.rows("select 1/(50-g) from generate_series(1, 100) g"),
    Error,
    "division by zero",
  );
  const { rows, rowCount } = await c.run("select 1");
  assertEquals([rows, rowCount], [[["1"]], 1]);
});

Deno.test("PostgresConnection.run() prepares anew when a table has changed, outside a transaction", async () => {
  await using c = await connect();
  await c.run("create temp table t as select 1 as a");
  assertEquals(await c.rows("select * from t"), [["1"]]);
  for (const column of ["b", "c"]) {
    await c.run(`alter table t add ${column} int default 2`);
    const { rows, columns } = await c.run("select * from t");
    assertEquals(rows[0]!.length, columns.length);
  }
  assertEquals(await c.rows("select * from t"), [["1", "2", "2"]]);
});

Deno.test("PostgresConnection.run() raises StalePlanError once when a table has changed, in a transaction", async () => {
  await using c = await connect();
  const { connection } = c;
  await c.run("create temp table t as select 1 as a");
  await c.run("create temp table log (n int)");
  await c.rows("select * from t");
  await c.run("alter table t add b int default 2");
  const settled = await Promise.allSettled([
    connection.begin(),
    c.rows("select * from t"),
    c.run("insert into log values (1)"),
    connection.commit(),
  ]);
  assertInstanceOf((settled[1] as PromiseRejectedResult).reason, StalePlanError);
  assertEquals(settled[3].status, "rejected");
  assertEquals(await c.rows("select count(*) from log"), [["0"]]); // nothing was sent again after the COMMIT
  await connection.begin();
  assertEquals(await c.rows("select * from t"), [["1", "2"]]);
  await connection.commit();
});

Deno.test("PostgresConnection never sends a failed write again behind its COMMIT", async () => {
  await using c = await connect();
  await c.run("create temp table t (a int)");
  await c.run("insert into t values ($1) returning *", ["1"]);
  await c.run("alter table t add b int");
  await Promise.allSettled([
    c.connection.begin(),
    c.run("insert into t values ($1) returning *", ["2"]),
    c.connection.commit(),
  ]);
  assertEquals(await c.rows("select count(*) from t"), [["1"]]);
});

Deno.test("PostgresConnection keeps as many statements prepared as it may", async () => {
  await using c = await connect({ maxPrepared: 5 });
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 20; i++) {
      assertEquals(await c.rows(`select ${i} + $1::int`, ["1"]), [[`${i + 1}`]]);
    }
  }
  assertEquals(await c.rows("select count(*) from pg_prepared_statements"), [["5"]]);
});

Deno.test("PostgresConnection counts a statement that fails each time as one, and a misspelt one as none", async () => {
  await using c = await connect({ maxPrepared: 3 });
  for (let i = 0; i < 5; i++) {
    await assertRejects(() => c.rows("select 1 / $1::int", ["0"]));
    await assertRejects(() => c.rows(`selec ${i}`));
  }
  await c.rows("select $1::text", ["a"]);
  assertEquals(
    await c.rows(
      "select statement from pg_prepared_statements where statement !~ 'pg_' order by 1",
    ),
    [["select $1::text"], ["select 1 / $1::int"]],
  );
});

Deno.test("PostgresConnection prepares nothing with `prepared: false`", async () => {
  await using c = await connect({ prepared: false });
  for (let i = 0; i < 3; i++) assertEquals(await c.rows("select $1::int", ["1"]), [["1"]]);
  assertEquals(await c.rows("select count(*) from pg_prepared_statements"), [["0"]]);
});

Deno.test("PostgresConnection.run() mends a statement that the server has forgotten, and names the pooler in a transaction", async () => {
  await using c = await connect();
  await c.rows("select $1::int", ["1"]);
  await c.run("deallocate all", []);
  assertEquals(await c.rows("select $1::int", ["2"]), [["2"]]);
  await c.connection.begin();
  await c.connection.run({ text: "deallocate all", params: [], prepare: false });
  const error = await assertRejects(() => c.rows("select $1::int", ["3"]), StalePlanError);
  assertStringIncludes(error.message, "`prepared: false`");
  await c.connection.rollback();
});

Deno.test("PostgresConnection.openCursor() reads in windows, with other statements in between", async () => {
  await using c = await connect();
  const { connection } = c;
  await connection.begin();
  const cursor = await connection.openCursor({
    text: "select g, $2::text from generate_series(1, $1::int) g",
    params: ["7", "x"],
  });
  const first = await cursor.fetch(5);
  assertEquals([first.rows.length, first.rowCount, first.columns.length], [5, 5, 2]);
  assertEquals(await c.rows("select 'between'"), [["between"]]);
  assertEquals((await cursor.fetch(5)).rows, [["6", "x"], ["7", "x"]]);
  assertEquals((await cursor.fetch(5)).rows, []);
  await cursor.close();
  await cursor.close();
  await assertRejects(() => cursor.fetch(1), ClosedError, "closed");
  assertEquals(await c.rows("select count(*) from pg_cursors where name <> ''"), [["0"]]);
  await connection.commit();
});

Deno.test("PostgresConnection.openCursor() leaves no prepared statements behind", async () => {
  await using c = await connect();
  await c.connection.begin();
  for (let i = 0; i < 10; i++) {
    const cursor = await c.connection.openCursor({ text: "select $1::int", params: ["1"] });
    await cursor.fetch(1 + i);
    await cursor.close();
  }
  await c.connection.commit();
  assertEquals(await c.rows("select count(*) from pg_prepared_statements"), [["1"]]);
});

Deno.test("DriverCursor.close() is harmless after the end of its transaction or savepoint", async () => {
  await using c = await connect();
  const { connection } = c;
  const open = () => connection.openCursor({ text: "select 1", params: [] });
  await connection.begin();
  const first = await open();
  await connection.commit();
  await assertRejects(() => first.fetch(1), ClosedError, "ended with its transaction");
  await connection.begin();
  await c.run("savepoint s");
  const second = await open();
  await c.run("rollback to savepoint s");
  await first.close();
  await second.close();
  await c.run("select 1");
  const third = await open();
  await assertRejects(() => c.run("select 1/0"));
  await third.close();
  await assertRejects(() => connection.commit(), TransactionAbortedError);
});

Deno.test("DriverCursor.fetch() takes whole numbers only", async () => {
  await using c = await connect();
  await c.connection.begin();
  const cursor = await c.connection.openCursor({ text: "select 1", params: [] });
  for (const count of [0, -1, 1.5, NaN, Infinity]) {
    await assertRejects(() => cursor.fetch(count), InputError);
  }
  await c.connection.rollback();
});

Deno.test("PostgresConnection gives up a statement at its limit, and stays usable", async () => {
  await using c = await connect();
  const error = await assertRejects(
    () => c.rows("select pg_sleep(30), $1::text", ["a secret"], { timeout: 20 }),
    StatementTimeoutError,
    "20 ms",
  );
  assertEquals(error.message.includes("secret"), false);
  assertEquals(c.connection.busy, false);
  assertEquals(await c.rows("select 1"), [["1"]]);
});

Deno.test("PostgresConnection gives up a statement when its signal is aborted, with the signal's reason", async () => {
  await using c = await connect();
  const controller = new AbortController();
  const call = c.rows("select pg_sleep(30)", [], { signal: controller.signal });
  setTimeout(() => controller.abort(new Error("the client left")), 20);
  await assertRejects(() => call, Error, "the client left");
  assertEquals(await c.rows("select 1"), [["1"]]);
});

Deno.test("PostgresConnection never sends a call whose signal is aborted already", async () => {
  await using c = await connect();
  await c.run("create temp table t (n int)");
  await assertRejects(
    () => c.run("insert into t values (1)", [], { signal: AbortSignal.abort() }),
    DOMException,
  );
  assertEquals(await c.rows("select count(*) from t"), [["0"]]);
});

Deno.test("PostgresConnection lets a queued call leave the line without a trace", async () => {
  await using c = await connect();
  await c.run("create temp table t (n int)");
  const controller = new AbortController();
  const slow = c.rows("select pg_sleep(0.05)");
  const queued = c.run("insert into t values (1)", [], { signal: controller.signal });
  const limited = c.run("insert into t values (2)", [], { timeout: 5 });
  const last = c.run("insert into t values (3)");
  controller.abort(new Error("never mind"));
  await assertRejects(() => queued, Error, "never mind");
  await assertRejects(() => limited, StatementTimeoutError);
  await Promise.all([slow, last]);
  assertEquals(await c.rows("select n from t"), [["3"]]);
});

Deno.test("PostgresConnection fails a pipelined transaction when a statement of it is given up", async () => {
  await using c = await connect();
  const { connection } = c;
  await c.run("create temp table t (n int)");
  const settled = await Promise.allSettled([
    connection.begin(),
    c.run("insert into t values (1)"),
    c.rows("select pg_sleep(30)", [], { timeout: 30 }),
    c.run("insert into t values (2)"),
    connection.commit(),
  ]);
  const names = settled.map((s) => s.status === "rejected" ? s.reason.name : s.status);
  assertEquals(names, [
    ...["fulfilled", "fulfilled", "StatementTimeoutError", "PendingRollbackError"],
    "TransactionAbortedError",
  ]);
  assertEquals(await c.rows("select count(*) from t"), [["0"]]);
});

Deno.test("PostgresConnection.run() refuses COPY, and says what to use", async () => {
  await using c = await connect();
  await c.run("create temp table t (n int)");
  await assertRejects(() => c.run("copy t from stdin"), UsageError, "copyIn()");
  await assertRejects(() => c.run("copy t to stdout"), UsageError, "copyOut()");
  assertEquals(await c.rows("select 1"), [["1"]]);
});

Deno.test("PostgresConnection.close() waits for what is queued, and refuses what comes later", async () => {
  await using c = await connect();
  const { connection } = c;
  let told = false;
  connection.onLost = () => told = true;
  const slow = c.rows("select pg_sleep(0.02), 'done'");
  const closed = connection.close();
  await assertRejects(() => c.rows("select 1"), ClosedError);
  assertEquals((await slow)[0]![1], "done");
  await closed;
  await connection.close();
  assertInstanceOf(connection.lost, ClosedError);
  assertEquals(told, false);
});

Deno.test("PostgresConnection.destroy() rejects what is under way, at once", async () => {
  await using c = await connect();
  const { connection } = c;
  const slow = assertRejects(() => c.rows("select pg_sleep(30)"), ConnectionLostError, "destroyed");
  const queued = assertRejects(() => c.rows("select 1"), ConnectionLostError);
  connection.destroy();
  connection.destroy();
  assertInstanceOf(connection.lost, ConnectionLostError);
  await Promise.all([slow, queued]);
  await assertRejects(() => connection.ping(), ConnectionLostError);
  await assertRejects(() => connection.begin(), ConnectionLostError);
});

Deno.test("PostgresConnection.ping() gives a sign of life", async () => {
  await using c = await connect();
  await c.connection.ping({ timeout: 1_000 });
});
