/**
 * Values on their way to a database and back: by the unit of work, by bulkInsert(), by COPY and by a
 * condition, loaded at the top, through a relation and by COPY. What comes back equals what went in.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type AsyncEngine,
  belongsTo,
  bigint,
  boolean,
  bytes,
  type Column,
  date,
  double,
  entity,
  hasMany,
  InputError,
  integer,
  json,
  numeric,
  oneOf,
  real,
  smallint,
  sql,
  text,
  time,
  timestamp,
  timestamptz,
  uuid,
  varchar,
} from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";
import { runSql } from "../support/postgres_server.ts";
import { copiedFields } from "../support/copy_text.ts";
import { openLibrary, sent } from "../support/library_model.ts";

class Owner extends entity("owners", {
  id: integer().primaryKey(),
  values: hasMany<Value>("vals.ownerId"),
}) {}

class Value extends entity("vals", {
  id: integer().primaryKey(),
  ownerId: integer().references("owners.id"),
  owner: belongsTo<Owner>("ownerId"),
  small: smallint().nullable(),
  int: integer().nullable(),
  big: bigint().nullable(),
  num: numeric().nullable(),
  money: numeric(12, 3).nullable(),
  re: real().nullable(),
  dbl: double().nullable(),
  txt: text().nullable(),
  vc: varchar(5).nullable(),
  one: oneOf("it's", 'a "quote"', "ü").nullable(),
  bool: boolean().nullable(),
  uid: uuid().nullable(),
  blob: bytes().nullable(),
  doc: json().nullable(),
  day: date().nullable(),
  tod: time().nullable(),
  local: timestamp().nullable(),
  at: timestamptz().nullable(),
}) {}

type Kind = Exclude<keyof typeof Value.fields, "id" | "ownerId" | "owner">;

const at = (text: string) => new Date(text);
const nested = (depth: number): unknown => depth === 0 ? "core" : { inner: [nested(depth - 1)] };
const ALL_BYTES = Uint8Array.from({ length: 256 }, (_, i) => i);

/** Values that come back as they went in. */
const EDGES: Record<Kind, unknown[]> = {
  small: [0, 1, -1, 32767, -32768],
  int: [0, 2 ** 31 - 1, -(2 ** 31)],
  big: [0n, 1n, -1n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)],
  num: [
    "0",
    "1",
    "-1",
    "0.1",
    "9007199254740993",
    "0.00000000000000000000000000001",
    "9".repeat(200),
    `-${"1".repeat(50)}.${"7".repeat(50)}`,
    "1.10",
  ],
  money: ["0.000", "0.001", "-0.001", "999999999.999", "-999999999.999", "1.100"],
  re: [
    0,
    1.5,
    -1.5,
    Math.fround(0.1),
    3.4028234663852886e38,
    1.401298464324817e-45,
    Infinity,
    -Infinity,
  ],
  dbl: [
    0,
    0.1,
    Number.MAX_VALUE,
    Number.MIN_VALUE,
    2 ** 53,
    1e21,
    1e-7,
    5e-324,
    Infinity,
    -Infinity,
  ],
  txt: [
    "",
    " ",
    "NULL",
    "null",
    "'",
    '"',
    "\\",
    "\\N",
    "{}",
    "{a,b}",
    ",",
    "a\nb\r\n\tc",
    "é",
    "e\u0301",
    "漢字",
    "🦀👩‍👩‍👧",
    "\u200b\u202e",
    "\u0001\u007f",
    "$1",
    "?1",
    "%_",
    "x".repeat(100_000),
  ],
  vc: ["", "12345", "🦀🦀🦀🦀🦀"],
  one: ["it's", 'a "quote"', "ü"],
  bool: [true, false],
  uid: [
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "123e4567-e89b-12d3-a456-426614174000",
  ],
  blob: [new Uint8Array(), new Uint8Array([0]), ALL_BYTES, new Uint8Array(100_000).fill(92)],
  doc: [
    {},
    [],
    "",
    "text",
    0,
    -1.5,
    1e21,
    true,
    false,
    [null],
    { a: null },
    [[[]]],
    nested(100),
    { "": 1, "é": "🦀", 'q"': "\\", "b\\": "'", "x\ny": "\u2028" },
    JSON.parse('{"__proto__": {"admin": true}, "constructor": 1}'),
    { toJSON: "a string", then: "too" },
    "\\u0000 spelt out",
    Array.from({ length: 1000 }, (_, i) => ({ i })),
  ],
  day: [
    "0001-01-01",
    "1582-10-15",
    "1900-03-01",
    "2000-02-29",
    "2024-02-29",
    "9999-12-31",
    "infinity",
    "-infinity",
  ],
  tod: ["00:00:00", "23:59:59", "23:59:59.999999", "12:00:00.5", "01:02:03.000001"],
  local: [
    "0001-01-01T00:00:00",
    "2024-03-10T02:30:00",
    "9999-12-31T23:59:59.999999",
    "2024-01-01T00:00:00.5",
    "infinity",
    "-infinity",
  ],
  at: [
    at("0001-01-01T00:00:00Z"),
    at("0099-12-31T23:59:59.999Z"),
    at("1969-12-31T23:59:59.999Z"),
    new Date(0),
    at("2024-02-29T12:34:56.789Z"),
    at("9999-12-31T23:59:59.999Z"),
    new Date(8.64e15),
    new Date(-8.64e15),
  ],
};

/** Values that no column of this type holds: refused before anything is sent. */
const REFUSED: Record<Kind, unknown[]> = {
  small: [32768, -32769, 0.5, NaN, "1", 1n, true],
  int: [2 ** 31, -(2 ** 31) - 1, 1.5, NaN, Infinity, "1", 1n, new Number(1), {}, []],
  big: [2n ** 63n, -(2n ** 63n) - 1n, 1, "1", 1.5],
  num: [
    "",
    " ",
    "1e5",
    "0x10",
    " 12 ",
    "١٢",
    "1_000",
    "NaN",
    "Infinity",
    "1.2.3",
    "--1",
    "+",
    ".",
    "1,5",
    "1e400",
    1,
    1n,
    NaN,
  ],
  money: ["0.0001", "1000000000", "9999999999.999", 1.5],
  re: ["1", 1n, "NaN"],
  dbl: ["1", 1n, {}, true],
  txt: [
    1,
    1n,
    true,
    {},
    [],
    "a\0b",
    "\0",
    "\ud800",
    "a\udc00",
    new String("a"),
    Symbol("a"),
    () => "a",
    new Date(),
  ],
  vc: ["123456", 1],
  one: ["its", "", "Ü", 0, {}],
  bool: [0, 1, "true", "t", new Boolean(true)],
  uid: [
    "",
    "123e4567e89b12d3a456426614174000",
    "{123e4567-e89b-12d3-a456-426614174000}",
    "123e4567-e89b-12d3-a456-42661417400g",
    "123e4567-e89b-12d3-a456-4266141740000",
    1,
  ],
  blob: ["", "\\x00", [1, 2], new ArrayBuffer(1), new Uint16Array(1)],
  doc: [undefined, () => 1, Symbol("x"), 1n, { a: 1n }, "a\0", { "a\0": 1 }, "\ud800", ["\udfff"]]
    .slice(1),
  day: [
    "",
    "2024-02-30",
    "2023-02-29",
    "0000-01-01",
    "10000-01-01",
    "2024-1-1",
    "2024-01-01T00:00:00",
    "tomorrow",
    "44-03-15 BC",
    0,
    new Date(),
  ],
  tod: [
    "24:00:00",
    "12:60:00",
    "12:00:60",
    "12:00",
    "1:00:00",
    "12:00:00.",
    "12:00:00.1234567",
    "12:00:00Z",
    0,
  ],
  local: [
    "2024-02-30T00:00:00",
    "2024-01-01",
    "2024-01-01T00:00:00Z",
    "2024-01-01T24:00:00",
    "2024-01-01 00:00:00",
    0,
    new Date(),
  ],
  at: [
    new Date(NaN),
    new Date(-62135596800001),
    new Date(253402300800000),
    0,
    "2024-01-01",
    "2024-01-01T00:00:00Z",
    {},
    Date,
  ],
};

const kinds = Object.keys(EDGES) as Kind[];

/** `-0` and `0` are one number to `assertEquals`, which is not what is asked here. */
function assertSame(actual: unknown, expected: unknown, message: string): void {
  if (typeof expected === "number") {
    assert(Object.is(actual, expected), `${message}: ${actual} is not ${expected}`);
  } else assertEquals(actual, expected, message);
}

interface Case {
  readonly kind: Kind;
  readonly value: unknown;
}

/** The ways in: each has rows of its own. */
const WAYS = 3;

/** The rows as COPY writes them: whatever the database, in the words of PostgreSQL. */
async function copiedOut(engine: AsyncEngine): Promise<Record<string, unknown>[]> {
  await using session = engine.session();
  const query = session.query(Value).select((v) =>
    Object.fromEntries(["id" as const, ...kinds].map((name) => [name, v[name]]))
  ).orderBy((v) => v.id);
  return (await copiedFields(engine, query)).map(([id, ...fields]) => {
    const values = fields.map((field, i) => {
      const { type } = (Value.fields[kinds[i]!] as Column<unknown, "optional">).spec;
      return [kinds[i]!, field === null ? null : type.codec.postgres.decode(field)] as const;
    });
    return { id: Number(id), ...Object.fromEntries(values) };
  });
}

/** Stores every value in a row of its own, by each way, and reads all rows back by each way. */
async function checkRoundTrip(engine: AsyncEngine, cases: readonly Case[]): Promise<void> {
  await using session = engine.session();
  session.addAll([1, 2, 3].map((id) => new Owner({ id })));
  await session.commit();
  const row = ({ kind, value }: Case, i: number, ownerId: number) =>
    ({ id: i * WAYS + ownerId, ownerId, [kind]: value }) as
      & ConstructorParameters<typeof Value>[0]
      & {
        id: number;
      };
  const made = cases.map((one, i) => new Value(row(one, i, 1)));
  session.addAll(made);
  await session.commit();
  assertEquals(await sent(engine, () => session.commit()), [], "a stored object is not changed");
  await session.bulkInsert(Value, cases.map((one, i) => row(one, i, 2)));
  const none = Object.fromEntries(kinds.map((kind) => [kind, null]));
  await engine.copyIn(Value, cases.map((one, i) => ({ ...none, ...row(one, i, 3) })));

  await using other = engine.session();
  const all = await other.query(Value).orderBy((v) => v.id.asc()).all();
  await using third = engine.session();
  const owners = await third.query(Owner).orderBy((o) => o.id.asc()).selectin("values").all();
  const related = owners.flatMap((owner) => owner.values).sort((a, b) => a.id - b.id);
  await using fourth = engine.session();
  const streamed: Value[] = [];
  for await (const value of fourth.query(Value).orderBy((v) => v.id.asc()).window(100)) {
    streamed.push(value);
  }
  const copied = await copiedOut(engine) as unknown as Value[];
  for (const [way, list] of Object.entries({ all, related, streamed, copied })) {
    assertEquals(list.length, cases.length * WAYS);
    for (const [i, { kind, value }] of cases.entries()) {
      for (const loaded of list.slice(i * WAYS, (i + 1) * WAYS)) {
        assertSame(loaded[kind], value, `${kind} by ${way}: ${Deno.inspect(value).slice(0, 100)}`);
        for (const rest of kinds) if (rest !== kind) assertEquals(loaded[rest], null);
      }
    }
  }
  assertEquals(
    other.dirty.length + third.dirty.length + fourth.dirty.length,
    0,
    "nothing loaded is changed",
  );
}

eachEngine(
  "edge values of every type come back as they went in, by every way",
  async ({ target }) => {
    await using engine = await openLibrary(target, { entities: [Owner, Value] });
    await checkRoundTrip(
      engine,
      kinds.flatMap((kind) => [...EDGES[kind], null].map((value) => ({ kind, value }))),
    );
  },
);

eachEngine("edge values are found by a condition", async ({ target }) => {
  await using engine = await openLibrary(target, { entities: [Owner, Value] });
  await using session = engine.session();
  session.add(new Owner({ id: 1 }));
  const cases = kinds.filter((kind) => kind !== "doc").flatMap((kind) =>
    EDGES[kind].slice(-3).map((value) => ({ kind, value }))
  );
  cases.forEach(({ kind, value }, id) => session.add(new Value({ id, ownerId: 1, [kind]: value })));
  await session.commit();
  for (const [id, { kind, value }] of cases.entries()) {
    const column = (v: object) => (v as Record<string, typeof Value.c.txt>)[kind]!;
    for (
      const query of [
        session.query(Value).where((v) => column(v).eq(value as string)),
        session.query(Value).where((v) => column(v).in([value as string])),
        session.query(Value).filterBy({ [kind]: value }),
      ]
    ) {
      const found = (await query.all()).map((one) => one.id);
      assert(found.includes(id), `${kind}: ${Deno.inspect(value).slice(0, 60)} is not found`);
    }
  }
});

eachEngine(
  "values that a type cannot hold are refused before anything is sent, and not shown",
  async ({ target }) => {
    await using engine = await openLibrary(target, { entities: [Owner, Value] });
    await using session = engine.session();
    session.add(new Owner({ id: 1 }));
    await session.commit();
    const statements = await sent(engine, async () => {
      for (const kind of kinds) {
        for (const value of REFUSED[kind]) {
          const init = { id: 1, ownerId: 1, [kind]: value } as
            & ConstructorParameters<typeof Value>[0]
            & { id: number };
          const shown = `${kind}: ${Deno.inspect(value)}`;
          session.add(new Value(init));
          const error = await assertRejects(
            () => session.commit(),
            InputError,
            `vals.${kind}`,
            shown,
          );
          if (typeof value === "string" && value.length > 4 && value !== "NaN") {
            assert(!error.message.includes(value), error.message);
          }
          await assertRejects(
            () => session.bulkInsert(Value, [init as never]),
            InputError,
            `vals.${kind}`,
            shown,
          );
          if (kind === "doc") {
            continue;
          }
          await assertRejects(async () =>
            await session.query(Value)
              .where((v) =>
                (v as unknown as Record<string, typeof Value.c.txt>)[kind]!.eq(value as string)
              ).all(), InputError);
        }
      }
    });
    assertEquals(statements, []);
    assertEquals(await session.query(Value).count(), 0);
  },
);

eachEngine(
  "NaN is a double on PostgreSQL, and refused where SQLite would store null",
  async ({ target, engineName }) => {
    await using engine = await openLibrary(target, { entities: [Owner, Value] });
    await using session = engine.session();
    session.addAll([new Owner({ id: 1 }), new Value({ id: 1, ownerId: 1, dbl: NaN })]);
    if (engineName === "sqlite") await assertRejects(() => session.commit(), InputError, "NaN");
    else {
      await session.commit();
      await using other = engine.session();
      assertEquals((await other.getOrFail(Value, 1)).dbl, NaN);
      assertEquals(await sent(engine, () => session.commit()), []);
    }
  },
);

eachEngine(
  "the sign of zero is kept on PostgreSQL; SQLite has none",
  async ({ target, engineName }) => {
    await using engine = await openLibrary(target, { entities: [Owner, Value] });
    await using session = engine.session();
    session.addAll([new Owner({ id: 1 }), new Value({ id: 1, ownerId: 1, dbl: -0 })]);
    await session.commit();
    await using other = engine.session();
    assertSame((await other.getOrFail(Value, 1)).dbl, engineName === "sqlite" ? 0 : -0, "dbl");
  },
);

eachEngine("numbers and UUIDs are kept in one spelling", async ({ target }) => {
  await using engine = await openLibrary(target, { entities: [Owner, Value] });
  await using session = engine.session();
  const value = new Value({
    id: 1,
    owner: new Owner({ id: 1 }),
    num: "+007.50",
    money: "-.5",
    uid: "ABCDEF00-0000-4000-8000-000000000000",
    tod: "12:00:00.500000",
  });
  session.add(value);
  await session.commit();
  assertEquals(await sent(engine, () => session.commit()), [], "another spelling is no change");
  await using other = engine.session();
  const loaded = await other.getOrFail(Value, 1);
  assertEquals([loaded.num, loaded.money, loaded.uid, loaded.tod], [
    "7.50",
    "-0.500",
    "abcdef00-0000-4000-8000-000000000000",
    "12:00:00.5",
  ]);
});

/** A small generator of random numbers (mulberry32), so that a failure can be repeated. */
function random(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t ^= t + Math.imul(t ^ (t >>> 7), 61 | t);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function randomCase(next: () => number): Case {
  const int = (max: number) => Math.floor(next() * max);
  const pick = <T>(list: readonly T[]): T => list[int(list.length)]!;
  const char = () =>
    pick([
      "a",
      "Z",
      "'",
      '"',
      "\\",
      ",",
      "{",
      "}",
      "\n",
      "é",
      "🦀",
      " ",
      "N",
      "%",
      "\u0301",
      "\u007f",
    ]);
  const word = () => Array.from({ length: int(12) }, char).join("");
  const pad = (n: number, size: number) => String(n).padStart(size, "0");
  const day = () => `${pad(1 + int(9999), 4)}-${pad(1 + int(12), 2)}-${pad(1 + int(28), 2)}`;
  const clock = () => {
    const micros = next() < 0.5 ? "" : `.${pad(1 + int(999_998), 6)}`.replace(/0+$/, "");
    return `${pad(int(24), 2)}:${pad(int(60), 2)}:${pad(int(60), 2)}${micros}`;
  };
  const doc = (depth: number): unknown => {
    switch (int(depth > 3 ? 4 : 6)) {
      case 0:
        return word();
      case 1:
        return int(1e6) / 100;
      case 2:
        return next() < 0.5;
      case 3:
        return depth === 0 ? "top" : null;
      case 4:
        return Array.from({ length: int(4) }, () => doc(depth + 1));
      default:
        return Object.fromEntries(Array.from({ length: int(4) }, () => [word(), doc(depth + 1)]));
    }
  };
  const make: Record<Kind, () => unknown> = {
    small: () => int(65536) - 32768,
    int: () => int(2 ** 32) - 2 ** 31,
    big: () => BigInt.asIntN(64, BigInt(int(2 ** 32)) << 32n | BigInt(int(2 ** 32))),
    num: () =>
      `${next() < 0.5 ? "-" : ""}${1 + int(1e9)}${next() < 0.5 ? "" : `.${pad(int(1e9), 9)}`}`,
    money: () => `${1 + int(1e8)}.${pad(int(1000), 3)}`,
    re: () => Math.fround((next() - 0.5) * 10 ** (int(60) - 30)),
    dbl: () => (next() - 0.5) * 10 ** (int(600) - 300),
    txt: word,
    vc: () => Array.from({ length: int(6) }, char).join(""),
    one: () => pick(EDGES.one),
    bool: () => next() < 0.5,
    uid: () => "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx".replace(/x/g, () => int(16).toString(16)),
    blob: () => Uint8Array.from({ length: int(40) }, () => int(256)),
    doc: () => doc(0),
    day,
    tod: clock,
    local: () => `${day()}T${clock()}`,
    at: () => new Date(int(253_402_300_799_999 + 62_135_596_800_000) - 62_135_596_800_000),
  };
  const kind = pick(kinds);
  return { kind, value: make[kind]() };
}

eachEngine("random values of every type come back as they went in", async ({ target }) => {
  const seed = Number(Deno.env.get("SLUICE_SEED") ?? crypto.getRandomValues(new Uint32Array(1))[0]);
  const next = random(seed);
  await using engine = await openLibrary(target, { entities: [Owner, Value] });
  const cases = Array.from({ length: 1500 }, () => randomCase(next));
  try {
    await checkRoundTrip(engine, cases);
  } catch (error) {
    console.error(`SLUICE_SEED=${seed} repeats it`);
    throw error;
  }
});

eachEngine("nothing depends on the settings of the server", async ({ target, url }) => {
  const name = new URL(url).pathname.slice(1);
  const settings = {
    DateStyle: "SQL, DMY",
    TimeZone: "America/New_York",
    bytea_output: "escape",
    IntervalStyle: "sql_standard",
    extra_float_digits: "-5",
    standard_conforming_strings: "off",
    default_transaction_isolation: "serializable",
  };
  for (const [key, value] of Object.entries(settings)) {
    await runSql(url, `alter database "${name}" set ${key} = '${value}'`);
  }
  try {
    await using engine = await openLibrary(target, { entities: [Owner, Value] });
    await checkRoundTrip(
      engine,
      kinds.flatMap((kind) => EDGES[kind].map((value) => ({ kind, value }))),
    );
    const row =
      (await engine.execute(sql<{ at: Date }>`select timestamptz '2024-02-01 00:00:00+00' as at`))
        .one();
    assertEquals(row.at, new Date("2024-02-01T00:00:00Z"));
  } finally {
    await runSql(url, `alter database "${name}" reset all`);
  }
}, { only: ["postgres"] });

Deno.test("every column type is in these lists", () => {
  for (const kind of kinds) {
    assert((Value.fields[kind] as Column<unknown, "optional">).spec.nullable);
  }
  assertEquals(Object.keys(REFUSED), kinds);
});
