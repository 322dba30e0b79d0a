/** Values of aggregates, arrays and JSON, exact at every depth; and what must not compile. */

import { assertEquals, assertRejects } from "@std/assert";
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
  entity,
  type Expression,
  integer,
  json,
  max,
  numeric,
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
