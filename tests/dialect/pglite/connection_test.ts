import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { DriverConnection } from "../../../src/dialect/driver.ts";
import { canBeCut, lastRowEnd } from "../../../src/dialect/pglite/copy.ts";
import {
  type PGliteConfig,
  pgliteDriver,
  type PGliteInstance,
} from "../../../src/dialect/pglite/mod.ts";
import {
  ClosedError,
  ConfigError,
  ConnectError,
  ConnectionLostError,
  DatabaseError,
  InputError,
  StatementTimeoutError,
  UsageError,
} from "../../../src/errors.ts";
import { eachEngine, type EngineContext } from "../../support/each_engine.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const run = (c: DriverConnection, text: string, ...params: unknown[]) =>
  c.run({ text, params: params as [] });
const rows = async (c: DriverConnection, text: string) => (await run(c, text)).rows;

function onPGlite(
  name: string,
  body: (c: DriverConnection, context: EngineContext) => Promise<void>,
) {
  eachEngine(name, async (context) => {
    const driver = pgliteDriver({ instance: context.pglite! });
    const connection = await driver.connect();
    try {
      await body(connection, context);
    } finally {
      await connection.close();
      await driver.close();
    }
  }, { only: ["pglite"] });
}

Deno.test("pgliteDriver() refuses unknown options and wrong values", () => {
  const wrong = [{ dir: "x" }, { directory: "" }, { directory: "a\0" }, { statementCacheSize: -1 }];
  for (const config of wrong) assertThrows(() => pgliteDriver(config as PGliteConfig), ConfigError);
});

eachEngine("pgliteDriver() has one connection at a time, and says so", async ({ pglite }) => {
  const driver = pgliteDriver({ instance: pglite! });
  const first = await driver.connect();
  const error = await assertRejects(() => driver.connect(), ConnectError);
  assert(error.message.includes("static"));
  await first.close();
  const second = await driver.connect();
  second.destroy();
  await (await driver.connect()).close();
}, { only: ["pglite"] });

onPGlite("PGliteConnection gives every value as text, whatever PGlite's parsers do", async (c) => {
  const text = "select 1::int8, 9007199254740993::int8, true, '2024-01-02'::date, " +
    "'{1,NULL}'::int[], '\\x00ff'::bytea, null, '{\"a\":1}'::jsonb, interval '1 day'";
  assertEquals(await rows(c, text), [[
    "1",
    "9007199254740993",
    "t",
    "2024-01-02",
    "{1,NULL}",
    "\\x00ff",
    null,
    '{"a": 1}',
    "P1D",
  ]]);
});

onPGlite("PGliteConnection keeps its settings through RESET ALL and DISCARD ALL", async (c) => {
  const settings = () =>
    rows(c, "select current_setting('DateStyle'), current_setting('IntervalStyle')");
  for (const text of ["reset all", "discard all", "deallocate all"]) {
    await run(c, text);
    assertEquals(await settings(), [["ISO, YMD", "iso_8601"]]);
  }
});

onPGlite("PGliteConnection.run() survives a change of the table behind a statement", async (c) => {
  await run(c, "create table t (a int)");
  assertEquals((await run(c, "select * from t")).columns.map((x) => x.name), ["a"]);
  await run(c, "alter table t add b int");
  assertEquals((await run(c, "select * from t")).columns.map((x) => x.name), ["a", "b"]);
});

onPGlite("PGliteConnection.run() forgets the statement longest unused", async (_, { pglite }) => {
  const driver = pgliteDriver({ instance: pglite!, statementCacheSize: 2 });
  const c = await driver.connect();
  for (let round = 0; round < 3; round++) {
    for (const n of [1, 2, 3, 4]) assertEquals(await rows(c, `select ${n}`), [[String(n)]]);
  }
  const counted = await rows(c, "select count(*) from pg_prepared_statements");
  assertEquals(counted, [["2"]]);
  await c.close();
  const { rows: left } = await pglite!.query("select 1 from pg_prepared_statements");
  assertEquals(left, []);
});

onPGlite("PGliteConnection.run() refuses values that are not text, naming them", async (c) => {
  for (const value of [1, 1n, true, new Date(), undefined, new Uint8Array(1), { a: 1 }]) {
    const error = await assertRejects(() => run(c, "select $1", value), InputError);
    assert(error.message.startsWith("Parameter $1 is"), error.message);
  }
});

onPGlite("PGliteConnection.run() refuses COPY and lives on", async (c) => {
  await run(c, "create table t (a int)");
  await assertRejects(() => run(c, "copy t from stdin"), DatabaseError, "use copyIn()");
  await assertRejects(() => run(c, "copy (select 1) to stdout"), InputError, "copyOut()");
  assertEquals([await rows(c, "select 1"), c.lost], [[["1"]], undefined]);
});

onPGlite("PGliteConnection.begin() takes the levels it knows and nothing else", async (c) => {
  for (const isolation of ["read committed", "repeatable read", "serializable"] as const) {
    await c.begin({ isolation, readOnly: true, deferrable: true });
    assertEquals(await rows(c, "show transaction_isolation"), [[isolation]]);
    await c.rollback();
  }
  const isolation = "serializable; drop table t" as "serializable";
  await assertRejects(() => c.begin({ isolation }), InputError);
  assertEquals(c.transactionStatus, "idle");
});

onPGlite("PGliteConnection.copyIn() refuses use of the connection by its own source", async (c) => {
  await run(c, "create table t (a int)");
  async function* source() {
    yield bytes("1\n");
    await run(c, "select 1");
  }
  const error = await assertRejects(() => c.copyIn!("copy t from stdin", source()), UsageError);
  assert(error.message.includes("source of a COPY"));
  assertEquals(await rows(c, "select count(*) from t"), [["0"]]);
});

onPGlite("PGliteConnection.copyIn() is given up while its source makes it wait", async (c) => {
  await run(c, "create table t (a int)");
  let returned = 0;
  const never = (): AsyncIterable<Uint8Array> => ({
    [Symbol.asyncIterator]: () => ({
      next: () => new Promise(() => {}),
      return: () => {
        returned++;
        return Promise.resolve({ done: true, value: undefined });
      },
    }),
  });
  const text = "copy t from stdin";
  await assertRejects(() => c.copyIn!(text, never(), { timeout: 5 }), StatementTimeoutError);
  const controller = new AbortController();
  const reason = new Error("enough");
  const aborted = c.copyIn!(text, never(), { signal: controller.signal });
  controller.abort(reason);
  assert(await assertRejects(() => aborted) === reason);
  assertEquals([await rows(c, "select 1"), returned], [[["1"]], 2]);
  const destroyed = c.copyIn!(text, never());
  c.destroy();
  await assertRejects(() => destroyed, ClosedError);
});

onPGlite("PGliteConnection.copyIn() that fails inside a transaction fails it", async (c) => {
  await run(c, "create table t (a int)");
  await c.begin();
  const mine = new Error("mine");
  const error = await assertRejects(() =>
    c.copyIn!(
      "copy t from stdin",
      (function* () {
        yield bytes("1\n");
        throw mine;
      })(),
    )
  );
  assertEquals([error === mine, c.transactionStatus], [true, "failed"]);
  await c.rollback();
});

onPGlite(
  "PGliteConnection is lost when PGlite breaks down, and says so once",
  async (_, context) => {
    const real = context.pglite!;
    let broken = false;
    const faulty: PGliteInstance = {
      execProtocolRawSync: (message) => {
        if (broken) throw new WebAssembly.RuntimeError("unreachable");
        return real.execProtocolRawSync(message);
      },
      runExclusive: (task) => real.runExclusive(task),
      syncToFs: () => real.syncToFs(),
      close: () => real.close(),
    };
    const driver = pgliteDriver({ instance: faulty });
    const c = await driver.connect();
    const reasons: Error[] = [];
    c.onLost = (reason) => reasons.push(reason);
    broken = true;
    const calls = [run(c, "select 1"), run(c, "select 2")];
    for (const call of calls) await assertRejects(() => call, ConnectionLostError);
    assertEquals([reasons.length, c.lost === reasons[0]], [1, true]);
    await assertRejects(() => c.begin(), ConnectionLostError);
    await c.close();
    broken = false;
    await (await driver.connect()).close();
  },
);

Deno.test("lastRowEnd() cuts after a row and never inside of one", () => {
  const cases: [string, number][] = [
    ["", 0],
    ["abc", 0],
    ["a\nb", 2],
    ["a\nb\n", 4],
    ["a\\\n", 0],
    ["a\\\\\n", 4],
    ["a\nb\\\nc", 2],
    ["\n", 1],
    ["\\\n", 0],
  ];
  for (const [text, end] of cases) assertEquals(lastRowEnd(bytes(text)), end, text);
});

Deno.test("canBeCut() knows the text format by the lack of options", () => {
  assert(canBeCut('copy "t" (a, b) FROM STDIN'));
  assert(canBeCut("copy t from\n stdin ; "));
  for (const options of ["with (format csv)", "csv", "binary", "with (header)", "where a > 1"]) {
    assert(!canBeCut(`copy t from stdin ${options}`));
  }
});
