/** `engine.copyIn()` and `copyOut()`: every value exact, both ways, in the same bytes everywhere. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  AsyncEngine,
  bigint,
  boolean,
  bytes,
  createAll,
  date,
  double,
  entity,
  InputError,
  instant,
  integer,
  json,
  numeric,
  real,
  sql,
  text,
  timestamp,
  timestamptz,
  UniqueViolationError,
} from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";
import { Random } from "../support/random.ts";

class Line extends entity("lines", {
  id: integer().primaryKey(),
  text: text().nullable(),
}) {}

class Mixed extends entity("mixed", {
  id: integer().primaryKey(),
  big: bigint().nullable(),
  exact: numeric(12, 3).nullable(),
  wide: double().nullable(),
  narrow: real().nullable(),
  yes: boolean().nullable(),
  day: date().nullable(),
  moment: timestamptz().nullable(),
  precise: instant().nullable(),
  local: timestamp().nullable(),
  data: bytes().nullable(),
  createdAt: timestamptz().defaultSql("now()"),
}) {}

type Target = ConstructorParameters<typeof AsyncEngine>[0];

async function open(target: Target, options = {}): Promise<AsyncEngine> {
  const engine = new AsyncEngine(target, { entities: [Line, Mixed], ...options });
  await createAll(engine);
  return engine;
}

const read = (stream: ReadableStream<Uint8Array>) => new Response(stream).text();

/** What has meaning in one of the formats, and what has a meaning for whoever splits lines. */
const awkward = [
  "",
  " ",
  "\\.",
  "\\N",
  "\\",
  "\\\\",
  "\t",
  "\n",
  "\r",
  "\r\n",
  "\b\f\v",
  ",",
  '"',
  '""',
  "'",
  "NULL",
  "null",
  "\ufeff",
  'a,b\tc\nd"e\\f',
  "\\t",
  "\\x41",
  "\\101",
  "é漢😀",
  "\u2028\u0085",
  "x".repeat(100_000),
  null,
];

eachEngine("copyIn() stores every text exactly, from any source", async ({ target }) => {
  await using engine = await open(target);
  const rows = awkward.map((text, id) => ({ id, text }));
  async function* slow() {
    for (const row of rows) {
      await Promise.resolve();
      yield { ...row, id: row.id + 100 };
    }
  }
  assertEquals(await engine.copyIn(Line, rows), rows.length);
  assertEquals(await engine.copyIn(Line, slow()), rows.length);
  assertEquals(
    await engine.copyIn(Line, ReadableStream.from([{ id: 999 }, { id: 998, text: "y" }])),
    2,
  );
  assertEquals(await engine.copyIn(Line, []), 0);
  await using session = engine.session();
  const stored = await session.query(Line).orderBy((l) => l.id).all();
  assertEquals(stored.slice(0, rows.length).map(({ text }) => text), awkward);
  assertEquals(stored.slice(rows.length, -2).map(({ text }) => text), awkward);
});

eachEngine("copyOut() gives what copyIn() took, in every format", async ({ target }) => {
  await using engine = await open(target);
  await engine.copyIn(Line, awkward.map((text, id) => ({ id, text })));
  await using session = engine.session();
  const query = session.query(Line).orderBy((l) => l.id);

  const csv = parseCsv(await read(engine.copyOut(query, { header: false })));
  assertEquals(csv, awkward.map((text, id) => [String(id), text]));

  const lines = (await read(engine.copyOut(query, { format: "ndjson" }))).trimEnd().split("\n");
  assertEquals(lines.map((line) => JSON.parse(line)), awkward.map((text, id) => ({ id, text })));

  const copied = await read(engine.copyOut(query, { format: "text" }));
  assertEquals(parseText(copied), awkward.map((text, id) => [String(id), text]));
});

eachEngine("with parameters, or without, the bytes are the same", async ({ target }) => {
  await using engine = await open(target);
  await engine.copyIn(Line, awkward.map((text, id) => ({ id, text })));
  await using session = engine.session();
  const plain = session.query(Line).orderBy((l) => l.id);
  const bound = plain.where((l) => l.id.gte(0));
  for (const format of ["csv", "text", "ndjson"] as const) {
    for (const header of [true, false]) {
      assertEquals(
        await read(engine.copyOut(bound, { format, header })),
        await read(engine.copyOut(plain, { format, header })),
        `${format} ${header}`,
      );
    }
  }
  const lone = sql`select text from ${Line} where id = ${2}`;
  assertEquals(await read(engine.copyOut(lone)), 'text\n"\\."\n');
});

class Listed extends entity("listed", {
  id: integer().primaryKey(),
  words: text().nullable().array(),
  flags: boolean().array(),
  moments: timestamptz().array(),
  docs: json().array(),
  matrix: real().array().array(),
}) {}

eachEngine("arrays are spelt as PostgreSQL does", async ({ target }) => {
  await using engine = new AsyncEngine(target, { entities: [Listed] });
  await createAll(engine);
  await engine.copyIn(Listed, [
    {
      id: 1,
      words: ["a", "", "null", null, "b c", 'd"e', "f\\g", "{h}", "i,j", "k\tl", "m\u00a0n", "'"],
      flags: [true, false],
      moments: [new Date("2024-02-29T12:34:56.780Z"), new Date(8.64e15)],
      docs: [[1], "x", {}],
      matrix: [[1, 2.5], [1e-7, 0]],
    },
    { id: 2, words: [], flags: [], moments: [], docs: [], matrix: [] },
  ]);
  await using session = engine.session();
  const copied = engine.copyOut(session.query(Listed).orderBy((l) => l.id), { format: "text" });
  assertEquals(
    (await read(copied)).split("\n").map((line) => line.split("\t")),
    [
      [
        "1",
        `{a,"","null",NULL,"b c","d\\\\"e","f\\\\\\\\g","{h}","i,j","k\\tl",m\u00a0n,'}`,
        "{t,f}",
        `{"2024-02-29 12:34:56.78+00",infinity}`,
        `{[1],"\\\\"x\\\\"","{}"}`,
        "{{1,2.5},{1e-07,0}}",
      ],
      ["2", "{}", "{}", "{}", "{}", "{}"],
      [""],
    ],
  );
});

eachEngine("values of every type are spelt as PostgreSQL does", async ({ target }) => {
  await using engine = await open(target);
  // Without -0, whose sign SQLite does not keep.
  const floats = [
    0,
    1,
    -1.5,
    0.1,
    1e15,
    1e14,
    123456789012345680,
    1e21,
    1e-4,
    1e-5,
    1.5e-7,
    5e-324,
    Infinity,
    -Infinity,
  ];
  const moment = new Date("2024-02-29T12:34:56.780Z");
  await engine.copyIn(Mixed, [
    ...floats.map((wide, id) => ({ id, wide, narrow: Math.fround(wide), createdAt: moment })),
    {
      id: 100,
      big: -(2n ** 63n),
      exact: "-12.5",
      yes: true,
      day: "2024-02-29",
      moment,
      precise: Temporal.Instant.from("2024-01-01T00:00:00.000001Z"),
      local: "2024-01-01T10:20:30.5",
      data: Uint8Array.of(0, 255, 16),
      createdAt: moment,
    },
    {
      id: 101,
      yes: false,
      moment: new Date(0),
      local: "2024-01-01T00:00:00",
      narrow: 16777216,
      createdAt: moment,
    },
  ]);
  await using session = engine.session();
  const csv = await read(engine.copyOut(session.query(Mixed).orderBy((m) => m.id)));
  assertEquals(csv, EXPECTED);
});

const EXPECTED = `id,big,exact,wide,narrow,yes,day,moment,precise,local,data,created_at
0,,,0,0,,,,,,,2024-02-29 12:34:56.78+00
1,,,1,1,,,,,,,2024-02-29 12:34:56.78+00
2,,,-1.5,-1.5,,,,,,,2024-02-29 12:34:56.78+00
3,,,0.1,0.1,,,,,,,2024-02-29 12:34:56.78+00
4,,,1e+15,1e+15,,,,,,,2024-02-29 12:34:56.78+00
5,,,100000000000000,1e+14,,,,,,,2024-02-29 12:34:56.78+00
6,,,1.2345678901234568e+17,1.2345679e+17,,,,,,,2024-02-29 12:34:56.78+00
7,,,1e+21,1e+21,,,,,,,2024-02-29 12:34:56.78+00
8,,,0.0001,0.0001,,,,,,,2024-02-29 12:34:56.78+00
9,,,1e-05,1e-05,,,,,,,2024-02-29 12:34:56.78+00
10,,,1.5e-07,1.5e-07,,,,,,,2024-02-29 12:34:56.78+00
11,,,5e-324,0,,,,,,,2024-02-29 12:34:56.78+00
12,,,Infinity,Infinity,,,,,,,2024-02-29 12:34:56.78+00
13,,,-Infinity,-Infinity,,,,,,,2024-02-29 12:34:56.78+00
100,-9223372036854775808,-12.500,,,t,2024-02-29,2024-02-29 12:34:56.78+00,2024-01-01 00:00:00.000001+00,2024-01-01 10:20:30.5,\\x00ff10,2024-02-29 12:34:56.78+00
101,,,,1.6777216e+07,f,,1970-01-01 00:00:00+00,,2024-01-01 00:00:00,,2024-02-29 12:34:56.78+00
`;

eachEngine(
  "rows that leave out different columns are copied in, all or none",
  async ({ target }) => {
    await using engine = await open(target);
    const rows = Array.from(
      { length: 500 },
      (_, id) => id % 5 === 0 ? { id } : { id, createdAt: new Date(0) },
    );
    assertEquals(await engine.copyIn(Mixed, rows), 500);
    await using session = engine.session();
    assertEquals(
      await session.query(Mixed).where((m) => m.createdAt.eq(new Date(0))).count(),
      400,
    );
    const more = [{ id: 5_000, createdAt: new Date(0) }, { id: 5_001 }, { id: 7 }, { id: 5_002 }];
    const error = await assertRejects(
      () => engine.copyIn(Mixed, more),
      UniqueViolationError,
      "Row 2 ",
    );
    assertEquals(error.row, 2);
    assertEquals(await session.query(Mixed).count(), 500);
  },
);

eachEngine("a bad row is named wherever it stands, and nothing is stored", async ({ target }) => {
  await using engine = await open(target);
  await engine.copyIn(Line, [{ id: -1, text: "there" }]);
  for (const at of [0, 1, 999, 1_000, 4_321]) {
    const rows = Array.from({ length: 5_000 }, (_, id) => ({ id, text: `line\n${id}` }));
    rows[at]!.id = -1;
    const refused = await assertRejects(() => engine.copyIn(Line, rows), UniqueViolationError);
    assertEquals(refused.row, at);
    rows[at]!.id = "x" as never;
    const error = await assertRejects(() => engine.copyIn(Line, rows), InputError, `Row ${at} `);
    assertEquals(error.row, at);
  }
  await using session = engine.session();
  assertEquals(await session.query(Line).count(), 1);
  assertEquals(engine.pool.status().checkedOut, 0);
});

eachEngine(
  "a source that throws, or is given up, stores nothing and is closed",
  async ({ target }) => {
    await using engine = await open(target);
    let closed = 0;
    async function* failing() {
      try {
        for (let id = 0;; id++) {
          yield { id };
          if (id === 3_000) throw new RangeError("mine");
        }
      } finally {
        closed++;
      }
    }
    await assertRejects(() => engine.copyIn(Line, failing()), RangeError, "mine");
    const abort = new AbortController();
    async function* endless() {
      try {
        for (let id = 0;; id++) {
          yield { id };
          if (id === 3_000) abort.abort(new Error("enough"));
          if (id % 100 === 0) await new Promise((resolve) => setTimeout(resolve, 0));
        }
      } finally {
        closed++;
      }
    }
    await assertRejects(
      () => engine.copyIn(Line, endless(), { signal: abort.signal }),
      Error,
      "enough",
    );
    await new Promise((resolve) => setTimeout(resolve, 20));
    assertEquals(closed, 2);
    await using session = engine.session();
    assertEquals(await session.query(Line).count(), 0);
    assertEquals(engine.pool.status().checkedOut, 0);
  },
);

eachEngine("copyOut() is read as slowly as it is read, and can be left", async ({ target }) => {
  await using engine = await open(target);
  const row = (id: number) => ({ id, text: "x".repeat(100) });
  await engine.copyIn(Line, Array.from({ length: 20_000 }, (_, id) => row(id)));
  await using session = engine.session();
  for (const rows of [Line, session.query(Line).where((l) => l.id.gte(0))]) {
    for (const format of ["csv", "ndjson"] as const) {
      const stream = engine.copyOut(rows, { format });
      assertEquals(engine.pool.status().checkedOut, 0, "nothing is sent before it is read");
      for await (const chunk of stream) {
        assert(chunk instanceof Uint8Array && chunk.length > 0);
        break;
      }
      assertEquals(engine.pool.status().checkedOut, 0, format);
    }
  }
  const whole = await read(engine.copyOut(Line, { format: "csv" }));
  assertEquals(whole.split("\n").length, 20_002);
});

eachEngine("an empty result still has its header; errors reach the reader", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  const none = session.query(Line).where((l) => l.id.lt(0));
  assertEquals(await read(engine.copyOut(none)), "id,text\n");
  assertEquals(await read(engine.copyOut(Line)), "id,text\n");
  assertEquals(await read(engine.copyOut(Line, { format: "text", header: true })), "id\ttext\n");
  assertEquals(await read(engine.copyOut(none, { format: "ndjson" })), "");
  const broken = sql`select no_such_column from ${Line} -- a comment`;
  await assertRejects(() => read(engine.copyOut(broken)));
  assertEquals(await read(engine.copyOut(sql`select 1 as n -- a comment`)), "n\n1\n");
  assertThrows(() => engine.copyOut(Line, { format: "xml" as never }), InputError, "csv");
  assertThrows(() => engine.copyOut(Line, { delimiter: ";" } as never), InputError, "delimiter");
  assertThrows(() => engine.copyOut("lines" as never), InputError);
  await assertRejects(() => engine.copyIn(Line, 5 as never), InputError, "rows");
  assertEquals(engine.pool.status().checkedOut, 0);
});

eachEngine("random rows survive a round trip by every way", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  const seed = Math.floor(Math.random() * 2 ** 31);
  const random = new Random(seed);
  const alphabet = [
    "\\",
    "N",
    ".",
    "\t",
    "\n",
    "\r",
    '"',
    ",",
    "'",
    "a",
    " ",
    "😀",
    "\u0001",
    "{",
    "}",
  ];
  const word = () => Array.from({ length: random.int(0, 7) }, () => random.pick(alphabet)).join("");
  const rows = Array.from({ length: 3_000 }, (_, id) => ({
    id,
    text: random.float() < 0.1 ? null : word(),
  }));
  await engine.copyIn(Line, rows);
  const query = session.query(Line).orderBy((l) => l.id);
  const want = rows.map(({ id, text }) => [String(id), text]);
  assertEquals(
    parseCsv(await read(engine.copyOut(query, { header: false }))),
    want,
    `seed ${seed}`,
  );
  assertEquals(
    parseText(await read(engine.copyOut(query, { format: "text" }))),
    want,
    `seed ${seed}`,
  );
  const json = (await read(engine.copyOut(query, { format: "ndjson" }))).trimEnd().split("\n");
  assertEquals(json.map((line) => JSON.parse(line)), rows, `seed ${seed}`);
});

/** CSV as RFC 4180 has it; a value without quotes that is empty is null. */
function parseCsv(csv: string): (string | null)[][] {
  const rows: (string | null)[][] = [];
  let row: (string | null)[] = [];
  let at = 0;
  while (at < csv.length) {
    if (csv[at] === '"') {
      let value = "";
      for (at++;; at++) {
        if (csv[at] === '"' && csv[at + 1] === '"') value += csv[at++];
        else if (csv[at] === '"') break;
        else value += csv[at];
      }
      at++;
      row.push(value);
    } else {
      let end = at;
      while (csv[end] !== "," && csv[end] !== "\n") end++;
      row.push(end === at ? null : csv.slice(at, end));
      at = end;
    }
    if (csv[at++] === "\n") rows.push(row), row = [];
    else if (csv[at] === "\n") row.push(null), rows.push(row), row = [], at++;
  }
  return rows;
}

/** COPY's text format. */
function parseText(copied: string): (string | null)[][] {
  const letters: Record<string, string> = { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t", v: "\v" };
  return copied.split("\n").slice(0, -1).map((line) =>
    line.split("\t").map((field) =>
      field === "\\N" ? null : field.replace(/\\(.)/g, (_, char) => letters[char] ?? char)
    )
  );
}
