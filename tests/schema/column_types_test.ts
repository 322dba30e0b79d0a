/** What column types take, refuse and give, beyond the round trip. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  AsyncEngine,
  createAll,
  customType,
  entity,
  InputError,
  instant,
  integer,
  interval,
  oneOf,
  plainDate,
  sql,
  text,
  UsageError,
} from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";

const pg = (column: { spec: { type: { codec: { postgres: unknown } } } }) =>
  column.spec.type.codec.postgres as {
    encode(value: unknown, label: string): string;
    decode(wire: string): unknown;
    same(value: unknown, wire: string): boolean;
  };

Deno.test("interval() spells every duration as PostgreSQL prints it", () => {
  const { encode, same } = pg(interval());
  const cases = {
    "P1W": "P7D",
    "P14M": "P1Y2M",
    "-P1DT1.5S": "P-1DT-1.5S",
    "+PT90M": "PT1H30M",
    "P-14MT-0,5S": "P-1Y-2MT-0.5S",
    "PT0S": "PT0S",
    "P0D": "PT0S",
    "PT36H": "PT36H",
    "PT1.000000S": "PT1S",
  };
  for (const [given, canonical] of Object.entries(cases)) {
    assertEquals(encode(given, "i"), canonical, given);
    assert(same(given, canonical), `${given} is no change`);
  }
});

Deno.test("interval() refuses what is no duration, and what it could not hold exactly", () => {
  const { encode } = pg(interval());
  const bad = [
    "",
    "P",
    "PT",
    "1D",
    "P1H",
    "PT1D",
    "P1.5Y",
    "PT1.0000001S",
    "P1D1Y",
    "P2147483648D",
    5,
  ];
  for (const value of bad) {
    assertThrows(() => encode(value, "i"), InputError, "ISO 8601", `${value}`);
  }
});

Deno.test("instant() keeps microseconds, cuts nanoseconds and knows both infinities", () => {
  const { encode, decode, same } = pg(instant());
  const exact = Temporal.Instant.from("2024-01-02T03:04:05.678901999Z");
  assertEquals(encode(exact, "i"), "2024-01-02T03:04:05.678901Z");
  assert(same(exact, "2024-01-02 03:04:05.678901+00"));
  assert(!same(exact, "2024-01-02 03:04:05.6789+00"));
  assertEquals(encode(decode("infinity"), "i"), "infinity");
  assertEquals(encode(decode("-infinity"), "i"), "-infinity");
  assertEquals(String(decode("0044-03-15 12:00:00+00 BC")), "-000043-03-15T12:00:00Z");
  assertEquals(String(decode("10000-01-01 00:00:00+00")), "+010000-01-01T00:00:00Z");
  assertThrows(() => encode(new Date(), "i"), InputError, "takes a Temporal.Instant");
});

Deno.test("plainDate() takes the ISO calendar only, since a day is all that is stored", () => {
  const day = Temporal.PlainDate.from("2024-01-02").withCalendar("hebrew");
  assertThrows(() => pg(plainDate()).encode(day, "d"), InputError, "ISO calendar");
});

Deno.test("where the runtime has no Temporal, its column types say so when they are declared", () => {
  const original = Object.getOwnPropertyDescriptor(globalThis, "Temporal")!;
  Reflect.deleteProperty(globalThis, "Temporal");
  try {
    const error = assertThrows(() => instant(), UsageError, "has no Temporal");
    assertEquals(error.code, "UNSUPPORTED");
  } finally {
    Object.defineProperty(globalThis, "Temporal", original);
  }
});

Deno.test("array() follows the type and nullable(), and refuses to follow anything else", () => {
  assertThrows(() => text().unique().array(), InputError, `"unique"`);
  assertThrows(() => text().array().nullable().array(), InputError, "cannot hold null");
});

Deno.test("an array refuses null elements, holes and ragged rows that were not declared", () => {
  const { encode } = pg(integer().array());
  assertThrows(() => encode([1, null], "a"), InputError, "no null");
  assertThrows(() => encode([1, , 2], "a"), InputError, "found undefined");
  assertThrows(() => encode("{1}", "a"), InputError, "an array");
  const matrix = pg(integer().array().array());
  assertThrows(() => matrix.encode([[1], [2, 3]], "a"), InputError, "different lengths");
  assertThrows(() => matrix.encode([[]], "a"), InputError, "an empty array");
});

Deno.test("customType() names the column whose toDriver() gave no text", () => {
  const column = customType({ sql: "text", toDriver: () => 5 as never, fromDriver: String });
  assertThrows(() => pg(column).encode(1, "links.url"), InputError, "links.url");
  assertThrows(
    () => customType({ sql: "", toDriver: String, fromDriver: String }),
    InputError,
    "type's name",
  );
});

class Mood extends entity("moods", {
  id: integer().primaryKey().generated(),
  plain: oneOf("good", "bad"),
  typed: oneOf("good", "bad").enumType("mood"),
  tags: text().array(),
}) {}

class Diary extends entity("diaries", {
  id: integer().primaryKey(),
  mood: oneOf("good", "bad").enumType("mood").nullable(),
}) {}

eachEngine("a change inside an array is stored by the next commit", async ({ target }) => {
  await using engine = new AsyncEngine(target, { entities: [Mood, Diary] });
  await createAll(engine);
  await using session = engine.session();
  const mood = new Mood({ plain: "good", typed: "bad", tags: ["a"] });
  session.add(mood);
  await session.commit();
  mood.tags.push("b");
  assertEquals(session.dirty, [mood]);
  await session.commit();
  await using other = engine.session();
  assertEquals((await other.getOrFail(Mood, mood.id)).tags, ["a", "b"]);
  assertEquals(await other.query(Mood).where((m) => m.typed.in(["bad"])).count(), 1);
});

eachEngine(
  "the database too refuses a word that oneOf() does not list",
  async ({ engineName, target }) => {
    await using engine = new AsyncEngine(target, { entities: [Mood, Diary] });
    await createAll(engine);
    await createAll(engine);
    for (const column of ["plain", "typed"]) {
      const [plain, typed] = column === "plain" ? ["sad", "bad"] : ["bad", "sad"];
      const insert = sql.raw(
        `insert into moods (plain, typed, tags) values ('${plain}', '${typed}', '{}')`,
      );
      const error = await engine.execute(sql`${insert}`).then(() => undefined, (e) => e);
      assert(error !== undefined, column);
    }
    if (engineName !== "sqlite") {
      const labels = await engine.execute(sql<{ n: bigint }>`select count(*) as n from pg_enum`);
      assertEquals(labels.one().n, 2n, "the type that two tables share is made once");
    }
  },
);
