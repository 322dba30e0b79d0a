/** Values of aggregates, arrays and JSON, exact at every depth; and what must not compile. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  arrayAgg,
  AsyncEngine,
  avg,
  bigint,
  boolean,
  bytes,
  coalesce,
  count,
  createAll,
  date,
  double,
  entity,
  type Expression,
  InputError,
  integer,
  json,
  jsonAgg,
  jsonObject,
  max,
  numeric,
  oneOf,
  type Ref,
  type RowOf,
  sum,
  text,
  timestamptz,
  UsageError,
} from "@sluice/orm";
import { eachEngine } from "../../support/each_engine.ts";

class Thing extends entity("things", {
  id: integer().primaryKey().generated(),
  big: bigint(),
  price: numeric(30, 10),
  at: timestamptz(),
  flag: boolean(),
  data: bytes(),
  meta: json<{ n: number }>(),
  tags: text().array(),
  note: text().nullable(),
}) {}

const BIG = 9_007_199_254_740_993n;
const PRICE = "12345678901234567890.0123456789";

async function openThings(
  target: ConstructorParameters<typeof AsyncEngine>[0],
): Promise<AsyncEngine> {
  const engine = new AsyncEngine(target, { entities: [Thing] });
  await createAll(engine);
  await using session = engine.session();
  const row = { big: BIG, price: PRICE, at: new Date(5), flag: true, meta: { n: 1 } };
  await session.bulkInsert(Thing, [
    { ...row, data: new Uint8Array([0, 255]), tags: ["a", 'b"c', "d,e"], note: null },
    { ...row, data: new Uint8Array(), tags: [], note: "x" },
  ]);
  return engine;
}

class Odd extends entity("odds", {
  id: integer().primaryKey(),
  dbl: double(),
  day: date(),
  kind: oneOf("a", "b"),
  bigs: bigint().array(),
  maybe: bytes().nullable(),
}) {}

eachEngine("jsonAgg() and jsonObject() give every type exactly, whatever the depth", async ({
  target,
}) => {
  await using engine = await openThings(target);
  await using session = engine.session();
  const of = (t: Ref<Thing>) => ({
    id: t.id,
    big: t.big,
    price: t.price,
    at: t.at,
    flag: t.flag,
    data: t.data,
    meta: t.meta,
    tags: t.tags,
    note: t.note,
    ['"q"']: { sum: t.id.add(1), ["__proto__"]: t.id },
  });
  const things = await session.query(Thing).orderBy((t) => t.id.asc()).all();
  const expected = things.map((t) => ({
    ...t,
    ['"q"']: { sum: t.id + 1, ["__proto__"]: t.id },
  }));
  const { all } = await session.query(Thing)
    .select((t) => ({ all: jsonAgg(of(t)).orderBy(t.id) })).one();
  assertEquals<unknown>(all, expected);
  all[0]!.big satisfies bigint;
  all[0]!.at satisfies Date;
  all[0]!['"q"'].sum satisfies number;
  assert(Object.hasOwn(all[0]!['"q"'], "__proto__"));
  assertEquals<unknown>(
    await session.query(Thing).select((t) => jsonObject(of(t))).orderBy((t) => t.id).all(),
    expected,
  );
  const filtered = await session.query(Thing).select((t) => ({
    some: jsonAgg({ big: t.big }).filter(t.note.isNotNull()),
    none: jsonAgg({ big: t.big }).filter(t.id.gt(9)),
  })).one();
  assertEquals(filtered, { some: [{ big: BIG }], none: [] });
  // Out of a derived table, and inside of another
  const derived = session.query(Thing).select((t) => ({
    id: t.id,
    object: jsonObject({ price: t.price, id: t.id }),
  }));
  assertEquals(
    await session.from(derived).select((d) => jsonAgg({ inner: d.object }).orderBy(d.id)).one(),
    [{ inner: { price: PRICE, id: 1 } }, { inner: { price: PRICE, id: 2 } }],
  );
  const noted = session.query(Thing)
    .where((t) => jsonObject({ note: t.note }).text("note").eq("x"));
  assertEquals(await noted.count(), 1);
});

eachEngine("jsonAgg() keeps what JSON has no way to write", async ({ target }) => {
  await using engine = new AsyncEngine(target, { entities: [Odd] });
  await createAll(engine);
  await using session = engine.session();
  const day = "2024-02-29";
  await session.bulkInsert(Odd, [
    { id: 1, dbl: 0.1 + 0.2, day, kind: "a", bigs: [BIG], maybe: null },
    { id: 2, dbl: Infinity, day, kind: "b", bigs: [], maybe: new Uint8Array() },
    { id: 3, dbl: -1e-300, day, kind: "b", bigs: [-BIG, 0n], maybe: new Uint8Array([92]) },
  ]);
  const objects = await session.query(Odd).orderBy((o) => o.id.asc()).all();
  const list = await session.query(Odd).select((o) => {
    const { id, dbl, day, kind, bigs, maybe } = o;
    return jsonAgg({ id, dbl, day, kind, bigs, maybe }).orderBy(o.id);
  }).one();
  assertEquals<unknown>(list, objects.map((object) => ({ ...object })));
  const bare = await session.query(Odd).select((o) => arrayAgg(o.maybe).orderBy(o.id)).one();
  assertEquals(bare, objects.map((o) => o.maybe));
  assertThrows(() => jsonObject({}), InputError, "1 to 50 names, found 0");
  assertThrows(() => jsonObject({ a: 1 as never }), InputError, 'a number as "a"');
  assertThrows(() => jsonAgg({ a: { b: null as never } }), InputError, 'null as "b"');
  assertThrows(() => jsonObject(null as never), InputError, "found null");
});

eachEngine("arrayAgg() gives every type exactly, nulls among it", async ({ target }) => {
  await using engine = await openThings(target);
  await using session = engine.session();
  const query = session.query(Thing).select((t) => ({
    big: arrayAgg(t.big),
    price: arrayAgg(t.price),
    at: arrayAgg(t.at),
    flag: arrayAgg(t.flag),
    data: arrayAgg(t.data).orderBy(t.id),
    meta: arrayAgg(t.meta),
    note: arrayAgg(t.note).orderBy(t.id),
    first: max(t.big),
  }));
  assertEquals(await query.one(), {
    big: [BIG, BIG],
    price: [PRICE, PRICE],
    at: [new Date(5), new Date(5)],
    flag: [true, true],
    data: [new Uint8Array([0, 255]), new Uint8Array()],
    meta: [{ n: 1 }, { n: 1 }],
    note: [null, "x"],
    first: BIG,
  });
});

eachEngine(
  "sums and averages keep what their column's type keeps",
  async ({ target, engineName }) => {
    await using engine = await openThings(target);
    await using session = engine.session();
    const row = await session.query(Thing).select((t) => ({
      ids: sum(t.id),
      average: avg(t.id),
      price: sum(t.price),
    })).one();
    assertEquals(row.ids, 3);
    assertEquals(row.average, 1.5);
    if (engineName === "sqlite") assertEquals(typeof row.price, "string");
    else {
      assertEquals(row.price, "24691357802469135780.0246913578");
      assertEquals(await session.query(Thing).select((t) => sum(t.big)).scalar(), 2n * BIG);
    }
  },
);

eachEngine("arrays are searched by their elements", async ({ target, engineName }) => {
  await using engine = await openThings(target);
  await using session = engine.session();
  const things = session.query(Thing);
  for (
    const [element, found] of [["a", 1], ['b"c', 1], ["d,e", 1], ["d", 0], ["{a}", 0]] as const
  ) {
    assertEquals(await things.where((t) => t.tags.hasElement(element)).count(), found, element);
  }
  const lengths = things.orderBy((t) => t.id).select((t) => t.tags.length());
  assertEquals(await lengths.all(), [3, 0]);
  const queries = [
    [things.where((t) => t.tags.contains(["a", "d,e"])), 1],
    [things.where((t) => t.tags.overlaps(["x", 'b"c'])), 1],
    [things.where((t) => t.tags.containedBy(["a"])), 1],
  ] as const;
  for (const [query, found] of queries) {
    if (engineName !== "sqlite") assertEquals(await query.count(), found);
    else await assertRejects(() => query.count(), UsageError);
  }
});

Deno.test("operators are typed by their column, rows by their selection", () => {
  const { c } = Thing;
  const typed: Expression<string> = coalesce(c.note, "none");
  const nullable: Expression<string | null> = c.note.lower().concat("x");
  type Row = RowOf<{ id: typeof c.id; deep: { note: typeof c.note; n: Expression<bigint[]> } }>;
  const row: Row = { id: 1, deep: { note: null, n: [1n] } };
  assertEquals(row.deep.n.length, 1);
  assertEquals([typed, nullable].length, 2);
  const wrong = () => [
    // @ts-expect-error A number is no text.
    c.id.like("x"),
    // @ts-expect-error A flag is no number.
    c.flag.add(1),
    // @ts-expect-error A text is no number.
    sum(c.flag),
    // @ts-expect-error Null is asked for by isNull().
    c.note.eq(null),
    // @ts-expect-error A bigint is no number.
    c.big.add(1),
    // @ts-expect-error Not a field.
    c.at.extract("years"),
    // @ts-expect-error It can be null.
    max(c.id) satisfies Expression<number>,
    // @ts-expect-error Only of booleans.
    count().and(c.flag),
  ];
  assertEquals(typeof wrong, "function");
});
