/**
 * What is stored is what comes back, for every column type, on every database, whichever way it
 * goes in and out. The values are random; a failure names the seed to run it with again.
 */

import { assertEquals } from "@std/assert";
import {
  AsyncEngine,
  belongsTo,
  bigint,
  boolean,
  bytes,
  type Column,
  createAll,
  customType,
  date,
  double,
  dropAll,
  entity,
  type Expression,
  hasMany,
  instant,
  integer,
  interval,
  json,
  jsonAgg,
  jsonObject,
  numeric,
  oneOf,
  plainDate,
  plainDateTime,
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
import { copiedFields } from "../support/copy_text.ts";
import { Random } from "../support/random.ts";

interface Inet {
  readonly address: string;
}

/** A column of each type, by name: declared the same way twice, nullable the second time. */
const inet = (): Column<Inet> =>
  customType<Inet>({
    sql: "inet",
    toDriver: ({ address }) => address,
    fromDriver: (address) => ({ address }),
  });
const color = () => oneOf("red", "it's", 'a "b" \\').enumType("color");

type Make = (random: Random) => unknown;

const date4 = (r: Random) =>
  `${r.int(1, 9999).toString().padStart(4, "0")}-${pad(r.int(1, 12))}-${pad(r.int(1, 28))}`;
const time6 = (r: Random) => {
  const micros = r.pick(["", `.${r.int(1, 9)}`, `.00000${r.int(1, 9)}`, `.12345${r.int(1, 9)}`]);
  return `${pad(r.int(0, 23))}:${pad(r.int(0, 59))}:${pad(r.int(0, 59))}${micros}`;
};
const pad = (n: number) => String(n).padStart(2, "0");
const decimal = (r: Random) =>
  `${r.pick(["", "-"])}${r.int(1, 9)}${r.digits(r.int(0, 20))}.${r.digits(9)}${r.int(1, 9)}`;
const json4 = (r: Random): unknown =>
  r.pick<() => unknown>([
    () => JSON.parse(`{"__proto__": ${r.int(0, 9)}, "then": [null, true, 0.5]}`),
    () => [r.text(), { a: { b: [] } }],
    () => r.text(),
    () => 0,
    () => false,
  ])();

const makers = {
  int: (r) => r.pick([0, -1, 2 ** 31 - 1, -(2 ** 31), r.int(-1e6, 1e6)]),
  small: (r) => r.pick([0, 2 ** 15 - 1, -(2 ** 15), r.int(-99, 99)]),
  big: (r) => r.pick([0n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n + 1n, BigInt(r.int(-9, 9))]),
  num: decimal,
  flag: (r) => r.bool(),
  dbl: (r) => r.pick([0, -0, Infinity, -Infinity, 5e-324, 1.7976931348623157e308, r.float() * 1e9]),
  flt: (r) => Math.fround(r.float() * 1000),
  txt: (r) => r.text(),
  short: (r) => [...r.text()].slice(0, 3).join(""),
  hue: (r) => r.pick(["red", "it's", 'a "b" \\']),
  id4: (r) => r.uuid(),
  raw: (r) => r.bytes(),
  doc: json4,
  day: (r) => r.pick(["infinity", "-infinity", "2024-02-29", date4(r)]),
  clock: time6,
  local: (r) => `${date4(r)}T${time6(r)}`,
  moment: (r) =>
    r.pick([
      new Date(8.64e15),
      new Date(-8.64e15),
      new Date(`${date4(r)}T00:00:00.${r.int(100, 999)}Z`),
    ]),
  exact: (r) => Temporal.Instant.from(`${date4(r)}T${time6(r)}Z`),
  pday: (r) => Temporal.PlainDate.from(date4(r)),
  plocal: (r) => Temporal.PlainDateTime.from(`${date4(r)}T${time6(r)}`),
  span: (r) =>
    r.pick([
      "PT0S",
      "P1Y2M3DT4H5M6.789S",
      "P-1Y-2M3DT-4H",
      "PT-0.000001S",
      `P${r.int(1, 999)}D`,
      "PT2562047788H54.775807S",
    ]),
  host: (r) => ({ address: `10.0.${r.int(0, 255)}.${r.int(1, 255)}` }),
} satisfies Record<string, Make>;
type Kind = keyof typeof makers;
const kinds = Object.keys(makers) as Kind[];

class Owner extends entity("owners", {
  id: integer().primaryKey(),
  things: hasMany<Thing>("things.ownerId"),
}) {}

class Thing extends entity("things", {
  id: integer().primaryKey(),
  ownerId: integer().references("owners.id"),
  owner: belongsTo<Owner>("ownerId"),
  int: integer(),
  small: smallint(),
  big: bigint(),
  num: numeric(40, 10),
  flag: boolean(),
  dbl: double(),
  flt: real(),
  txt: text(),
  short: varchar(3),
  hue: color(),
  id4: uuid(),
  raw: bytes(),
  doc: json(),
  day: date(),
  clock: time(),
  local: timestamp(),
  moment: timestamptz(),
  exact: instant(),
  pday: plainDate(),
  plocal: plainDateTime(),
  span: interval(),
  host: inet(),
}) {}

class Lists extends entity("lists", {
  id: integer().primaryKey(),
  int: integer().nullable().array(),
  small: smallint().nullable().array(),
  big: bigint().nullable().array(),
  num: numeric(40, 10).nullable().array(),
  flag: boolean().nullable().array(),
  dbl: double().nullable().array(),
  flt: real().nullable().array(),
  txt: text().nullable().array(),
  short: varchar(3).nullable().array(),
  hue: color().nullable().array(),
  id4: uuid().nullable().array(),
  raw: bytes().nullable().array(),
  doc: json().nullable().array(),
  day: date().nullable().array(),
  clock: time().nullable().array(),
  local: timestamp().nullable().array(),
  moment: timestamptz().nullable().array(),
  exact: instant().nullable().array(),
  pday: plainDate().nullable().array(),
  plocal: plainDateTime().nullable().array(),
  span: interval().nullable().array(),
  host: inet().nullable().array(),
  matrix: integer().array().array().nullable(),
  words: text().nullable().array().array().nullable(),
}) {}

class Gaps extends entity("gaps", {
  id: integer().primaryKey(),
  int: integer().nullable(),
  small: smallint().nullable(),
  big: bigint().nullable(),
  num: numeric(40, 10).nullable(),
  flag: boolean().nullable(),
  dbl: double().nullable(),
  flt: real().nullable(),
  txt: text().nullable(),
  short: varchar(3).nullable(),
  hue: color().nullable(),
  id4: uuid().nullable(),
  raw: bytes().nullable(),
  doc: json().nullable(),
  day: date().nullable(),
  clock: time().nullable(),
  local: timestamp().nullable(),
  moment: timestamptz().nullable(),
  exact: instant().nullable(),
  pday: plainDate().nullable(),
  plocal: plainDateTime().nullable(),
  span: interval().nullable(),
  host: inet().nullable(),
}) {}

const seed = Number(Deno.env.get("SLUICE_SEED") ?? Math.trunc(Math.random() * 2 ** 31));
const entities = [Owner, Thing, Lists, Gaps];

function values(random: Random): Record<Kind, unknown> {
  return Object.fromEntries(kinds.map((kind) => [kind, makers[kind](random)])) as Record<
    Kind,
    unknown
  >;
}

function lists(random: Random): Record<string, unknown> {
  return Object.fromEntries(kinds.map((kind) => [
    kind,
    Array.from(
      { length: random.int(0, 4) },
      () => random.int(0, 4) === 0 ? null : makers[kind](random),
    ),
  ]));
}

/** What is compared: a row by its values, with Temporal's as their text. */
function plain(object: object): Record<string, unknown> {
  const fields = { ...object };
  return JSON.parse(JSON.stringify(fields, (_key, value) => {
    if (typeof value === "bigint") return `${value}n`;
    if (typeof value === "number" && (Object.is(value, -0) || !Number.isFinite(value))) {
      return Object.is(value, -0) ? "-0" : String(value);
    }
    return value instanceof Uint8Array ? `bytes ${value}` : value;
  }));
}

/** Columns as `select()` takes them. */
function pick(names: readonly string[], refs: object): Record<string, Expression<unknown>> {
  return Object.fromEntries(
    names.map((name) => [name, (refs as Record<string, Expression<unknown>>)[name]!]),
  );
}

async function check(what: string, body: () => Promise<void>): Promise<void> {
  try {
    await body();
  } catch (error) {
    throw new Error(`${what}; run again with SLUICE_SEED=${seed}`, { cause: error });
  }
}

const SETTINGS = [
  "datestyle = 'SQL, DMY'",
  "timezone = 'America/New_York'",
  "bytea_output = 'escape'",
  "intervalstyle = 'sql_standard'",
  "extra_float_digits = 0",
];

eachEngine(
  "every column type comes back as it was stored, by every way",
  async ({ engineName, target }) => {
    const random = new Random(seed);
    await using engine = new AsyncEngine(target, { entities });
    await createAll(engine);
    if (engineName === "postgres") {
      const name =
        (await engine.execute(sql<{ n: string }>`select current_database() as n`)).one().n;
      for (const setting of SETTINGS) {
        await engine.execute(sql`${sql.raw(`alter database "${name}" set ${setting}`)}`);
      }
    }
    await check("round trip", async () => {
      const rows = Array.from(
        { length: 12 },
        (_, i) => ({ id: i, ownerId: i % 3, ...values(random) }),
      );
      const arrays = Array.from({ length: 12 }, (_, i) => ({
        id: i,
        ...lists(random),
        matrix: random.pick([[], null, [[1, 2], [3, 4]], [[random.int(0, 9)]]]),
        words: random.pick([[], [["a,b", null], ["", "NULL"]], [['"', "\\"]]]),
      }));
      // SQLite's REAL columns keep no sign of zero.
      if (engineName === "sqlite") { for (const row of rows) if (row.dbl === 0) row.dbl = 0; }
      const empty = Object.fromEntries(kinds.map((kind) => [kind, null]));
      {
        await using session = engine.session();
        session.addAll([0, 1, 2].map((id) => new Owner({ id })));
        // Half by the unit of work, one row alone too, the others in bulk and by COPY.
        session.addAll(rows.slice(0, 5).map((row) => new Thing(row as never)));
        session.addAll(arrays.slice(0, 5).map((row) => new Lists(row as never)));
        session.addAll([new Gaps({ id: 0 }), new Gaps({ id: 1, ...values(random) } as never)]);
        await session.commit();
        session.add(new Thing(rows[5] as never));
        session.add(new Lists(arrays[5] as never));
        await session.commit();
        assertEquals(session.dirty, [], "what was written counts as unchanged");
        await session.bulkInsert(Thing, rows.slice(6, 9) as never);
        await session.bulkInsert(Lists, arrays.slice(6, 9) as never);
        await engine.copyIn(Thing, rows.slice(9) as never);
        await engine.copyIn(Lists, arrays.slice(9) as never);
      }
      await using session = engine.session();
      const things = await session.query(Thing).orderBy((t) => t.id.asc()).all();
      assertEquals(things.map(plain), rows.map(plain), "top level");
      const found = await session.query(Lists).orderBy((l) => l.id.asc()).all();
      assertEquals(found.map(plain), arrays.map(plain), "arrays");
      const gap = await session.getOrFail(Gaps, 0);
      assertEquals({ ...gap }, { id: 0, ...empty } as never, "null stays null");
      assertEquals(session.dirty, [], "what was loaded counts as unchanged");

      await using other = engine.session();
      const owners = await other.query(Owner).selectin("things").all();
      const nested = owners.flatMap((o) => o.things).sort((a, b) => a.id - b.id);
      assertEquals(nested.map(plain), rows.map(plain), "selectin");
      await using joining = engine.session();
      const joined = (await joining.query(Owner).joined("things").all())
        .flatMap((o) => o.things).sort((a, b) => a.id - b.id);
      assertEquals(joined.map(plain), rows.map(plain), "joined");
      const limited = (await joining.query(Owner).selectin("things", (q) => q.offset(0)).all())
        .flatMap((o) => o.things).sort((a, b) => a.id - b.id);
      assertEquals(limited.map(plain), rows.map(plain), "selectin with a limit per parent");

      const objects = await joining.query(Thing).select((t) =>
        jsonAgg(pick(["id", "ownerId", ...kinds], t)).orderBy(t.id)
      ).one();
      assertEquals((objects as object[]).map(plain), rows.map(plain), "in one JSON");
      const listed = await joining.query(Lists).select((l) =>
        jsonObject(pick(["id", ...kinds, "matrix", "words"], l))
      ).orderBy((l) => l.id).all();
      assertEquals((listed as object[]).map(plain), arrays.map(plain), "arrays in JSON");

      for (const [entityClass, expected] of [[Thing, rows], [Lists, arrays]] as const) {
        const names = Object.keys(expected[0]!);
        const query = joining.query<object>(entityClass)
          .select((e) => pick(names, e)).orderBy((e) => pick(["id"], e).id!);
        const copied = (await copiedFields(engine, query)).map((fields) => {
          const values = fields.map((field, i) => {
            const column = (entityClass.fields as Record<string, unknown>)[names[i]!];
            const { type } = (column as Column<unknown>).spec;
            return [names[i]!, field === null ? null : type.codec.postgres.decode(field)];
          });
          return Object.fromEntries(values);
        });
        assertEquals(copied.map(plain), expected.map(plain), "copyOut()");
      }

      // Every value replaced by another, by one statement for many rows and for one row.
      const next = rows.map((row) => ({ ...row, ...values(random) }));
      if (engineName === "sqlite") { for (const row of next) if (row.dbl === 0) row.dbl = 0; }
      things.forEach((thing, i) => Object.assign(thing, next[i]));
      await session.commit();
      assertEquals(session.dirty, []);
      await using third = engine.session();
      assertEquals(
        (await third.query(Thing).orderBy((t) => t.id.asc()).all()).map(plain),
        next.map(plain),
        "update",
      );
      for (const kind of kinds) {
        if (kind === "doc") continue;
        const equal = await third.query(Thing).filterBy({ id: 3 }).where((t) =>
          (t[kind] as typeof t.int).eq(next[3]![kind] as number)
        ).all();
        assertEquals(equal.length, 1, `${kind} equals what was stored`);
        // A custom type's object is none that a request could not bring along.
        if (kind === "host") continue;
        const filtered = third.query(Thing).filterBy({ id: 3, [kind]: next[3]![kind] });
        assertEquals(await filtered.count(), 1, `${kind} by filterBy()`);
      }
    });
    await dropAll(engine);
    await createAll(engine);
  },
);
