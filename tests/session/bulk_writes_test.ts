/** Bulk writes: conflicts, RETURNING, upserts, updates, deletes, plans, and which row was at fault. */

import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import {
  AsyncEngine,
  type AsyncSession,
  bigint,
  boolean,
  CheckViolationError,
  createAll,
  DatabaseError,
  entity,
  InputError,
  integer,
  numeric,
  PendingRollbackError,
  sql,
  text,
  timestamptz,
  UniqueViolationError,
} from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";

class Item extends entity("items", {
  id: integer().primaryKey().generated(),
  code: text().unique(),
  name: text().default(() => "unnamed"),
  price: numeric(10, 2).nullable(),
  active: boolean().default(true),
  seenAt: timestamptz().nullable(),
}) {}

class Stock extends entity("stocks", {
  shop: text().primaryKey(),
  item: bigint().primaryKey(),
  count: integer(),
  note: text().nullable(),
}) {}

type Target = ConstructorParameters<typeof AsyncEngine>[0];

async function open(target: Target): Promise<AsyncEngine> {
  const engine = new AsyncEngine(target, { entities: [Item, Stock] });
  await createAll(engine);
  return engine;
}

const items = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => ({ code: `c${from + i}`, name: `Item ${from + i}` }));

const all = (session: AsyncSession) => session.query(Item).orderBy((i) => i.id).all();

eachEngine("returning gives rows in the order of the source, typed", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  const rows = Array.from({ length: 5_500 }, (_, i) => ({
    code: `c${(i * 37) % 5_500}`,
    // Every third row leaves another set of columns to the class.
    ...(i % 3 === 0 ? { id: -1 - i } : {}),
    price: i % 2 === 0 ? "1.5" : null,
  }));
  const back = await session.bulkInsert(Item, rows, {
    returning: ["id", "code", "price", "active"],
  });
  assertEquals(back.map(({ code }) => code), rows.map(({ code }) => code));
  assertEquals(back[0], { id: -1, code: "c0", price: "1.50", active: true });
  const ids: number[] = back.map(({ id }) => id);
  assertEquals(new Set(ids).size, 5_500);
  const generated = ids.filter((id) => id > 0);
  assertEquals(generated, [...generated].sort((a, b) => a - b));
});

eachEngine("onConflict leaves rows, takes columns from the new one, or sets values", async (
  { target },
) => {
  await using engine = await open(target);
  await using session = engine.session();
  await session.bulkInsert(Item, items(3));
  const again = [{ code: "c1", name: "new" }, { code: "c9", name: "nine" }];
  assertEquals(await session.bulkInsert(Item, again, { onConflict: "nothing" }), 1);
  assertEquals(
    await session.bulkInsert(Item, [{ code: "c1", name: "x" }, { code: "c10" }, { code: "c2" }], {
      onConflict: { target: "code" },
      returning: ["code"],
    }),
    [{ code: "c10" }],
  );
  const stored = await session.bulkInsert(
    Item,
    [{ code: "c2", name: "two", price: "2" }, { code: "c11", name: "eleven" }],
    {
      onConflict: {
        target: ["code"],
        update: ["name"],
        set: { active: false, seenAt: new Date(0), price: "7.00" },
      },
      returning: ["code", "name", "price", "active", "seenAt"],
    },
  );
  assertEquals(stored, [
    { code: "c2", name: "two", price: "7.00", active: false, seenAt: new Date(0) },
    { code: "c11", name: "eleven", price: null, active: true, seenAt: null },
  ]);
  const single = await session.bulkInsert(Item, [{ code: "c0" }], {
    onConflict: { target: "code", set: { active: false } },
    returning: ["active", "name"],
  });
  assertEquals(single, [{ active: false, name: "Item 0" }]);
});

eachEngine("bulkUpsert() lets the later of two rows win, by any unique columns", async (
  { target },
) => {
  await using engine = await open(target);
  await using session = engine.session();
  const stock = (item: number, count: number, note?: string) => ({
    shop: "a",
    item: BigInt(item),
    count,
    ...(note === undefined ? {} : { note }),
  });
  assertEquals(await session.bulkUpsert(Stock, [stock(1, 1, "old"), stock(2, 2)]), 2);
  await session.bulkUpsert(Stock, [stock(1, 5), stock(3, 3), stock(1, 6), stock(1, 7)], {
    update: ["count"],
  });
  assertEquals(
    (await session.query(Stock).orderBy((s) => s.item).all()).map((
      { count, note },
    ) => [count, note]),
    [[7, "old"], [2, null], [3, null]],
  );
  // What a row does not give stays as it is: no default takes its place.
  await session.bulkUpsert(Stock, [{ shop: "a", item: 1n, count: 8 }]);
  const [first] = await session.query(Stock).orderBy((s) => s.item).all();
  assertEquals([first!.count, first!.note], [8, "old"]);

  await session.bulkInsert(Item, items(2).map((item) => ({ ...item, price: "5" })));
  const back = await session.bulkUpsert(
    Item,
    [{ code: "c1", name: "b" }, { code: "n", name: "c" }],
    {
      target: "code",
      returning: ["id", "name"],
    },
  );
  assertEquals(back.map(({ name }) => name), ["b", "c"]);
  const { code, price } = await session.getOrFail(Item, back[0]!.id);
  assertEquals([code, price], ["c1", "5.00"]);
});

class Note extends entity("notes", {
  id: integer().primaryKey(),
  text: text(),
  changed: integer().default(0).onUpdate(() => 7),
}) {}

eachEngine("columns declared with onUpdate() change with every update", async ({ target }) => {
  await using engine = new AsyncEngine(target, { entities: [Note] });
  await createAll(engine);
  await using session = engine.session();
  const changed = async () => {
    const notes = sql<{ changed: number }>`select changed from notes order by id`;
    return (await engine.execute(notes)).scalars();
  };
  await session.bulkInsert(Note, [1, 2, 3].map((id) => ({ id, text: "a" })));
  assertEquals(await changed(), [0, 0, 0]);
  await session.bulkUpdate(Note, [{ id: 1, text: "b" }, { id: 2, text: "b", changed: 9 }]);
  assertEquals(await changed(), [7, 9, 0]);
  await session.bulkUpsert(Note, [{ id: 3, text: "b" }, { id: 2, text: "c" }, {
    id: 4,
    text: "d",
  }]);
  assertEquals(await changed(), [7, 7, 7, 0]);
});

eachEngine("bulkUpdate() sets what each row gives, whatever its shape", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  const ids = (await session.bulkInsert(Item, items(6_000), { returning: ["id"] })).map((r) =>
    r.id
  );
  async function* rows() {
    for (const id of ids) {
      yield id % 2 === 0 ? { id, name: `even ${id}` } : { id, price: "3.25", active: false };
    }
  }
  assertEquals(await session.bulkUpdate(Item, rows()), 6_000);
  const [even, odd] = [ids.find((id) => id % 2 === 0)!, ids.find((id) => id % 2 === 1)!];
  assertEquals((await session.getOrFail(Item, even)).name, `even ${even}`);
  const { price, active } = await session.getOrFail(Item, odd);
  assertEquals([price, active], ["3.25", false]);
  const twice = [{ id: ids[0]!, name: "first" }, { id: -1, name: "nobody" }, {
    id: ids[0]!,
    name: "last",
  }];
  assertEquals(await session.bulkUpdate(Item, twice), 2);
  await using other = engine.session();
  assertEquals((await other.getOrFail(Item, ids[0]!)).name, "last");
  await assertRejects(() => session.bulkUpdate(Item, [{ name: "x" }]), InputError, "Row 0");
  await assertRejects(() => session.bulkUpdate(Item, [{ id: 1 }]), InputError, "sets nothing");
  await assertRejects(
    () =>
      session.bulkUpdate(Item, [{ id: ids[0]!, code: "z" }, { id: ids[1]!, code: null as never }]),
    InputError,
    "Row 1",
  );
});

eachEngine(
  "bulkDelete() deletes by key, simple and composite, from any source",
  async ({ target }) => {
    await using engine = await open(target);
    await using session = engine.session();
    const ids = (await session.bulkInsert(Item, items(700), { returning: ["id"] })).map((r) =>
      r.id
    );
    const stream = ReadableStream.from([...ids.slice(0, 600), -5]);
    assertEquals(await session.bulkDelete(Item, stream), 600);
    assertEquals(await session.query(Item).count(), 100);
    await session.bulkInsert(Stock, [
      { shop: "a", item: 1n, count: 1 },
      { shop: "a", item: 2n, count: 1 },
      { shop: "b", item: 1n, count: 1 },
    ]);
    assertEquals(await session.bulkDelete(Stock, new Set([{ shop: "a", item: 2n }])), 1);
    assertEquals(await session.query(Stock).count(), 2);
    await assertRejects(() => session.bulkDelete(Item, [ids[600]!, "x"]), InputError, "Row 1");
    await assertRejects(() => session.bulkDelete(Item, 5 as never), InputError, "keys");
  },
);

eachEngine("a row that the database refuses is named, and nothing is stored", async (
  { target, engineName },
) => {
  await using engine = await open(target);
  await using session = engine.session();
  await session.bulkInsert(Item, [{ code: "taken" }]);
  for (const method of ["auto", "insert", "copy"] as const) {
    if (method === "copy" && engineName === "sqlite") continue;
    for (const at of [0, 1, 777, 4_999, 5_000, 5_999]) {
      const rows = items(6_000);
      rows[at]!.code = "taken";
      const error = await assertRejects(
        () => session.bulkInsert(Item, rows, { method }),
        UniqueViolationError,
        `Row ${at} `,
      );
      assertEquals(error.row, at, method);
      assert(error.cause instanceof UniqueViolationError);
    }
  }
  const twins = items(40);
  twins[33]!.code = twins[12]!.code;
  const error = await assertRejects(() => session.bulkInsert(Item, twins), UniqueViolationError);
  assertEquals(error.row, 33);
  assertEquals(await session.query(Item).count(), 1);

  await engine.execute(
    engineName === "sqlite"
      ? sql`create trigger cheap before insert on items when new.price > 100 begin
        select raise(abort, 'CHECK constraint failed: too dear'); end`
      : sql`alter table items add constraint cheap check (price < 100)`,
  );
  if (engineName === "sqlite") return;
  const dear = items(3_000).map((row, i) => ({ ...row, price: i === 2_222 ? "500" : "1" }));
  const refused = await assertRejects(() => session.bulkInsert(Item, dear), CheckViolationError);
  assertEquals([refused.row, refused.constraint], [2_222, "cheap"]);
  assertEquals(await session.query(Item).count(), 1);
});

eachEngine("an update that the database refuses is named, too", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  const ids = (await session.bulkInsert(Item, items(50), { returning: ["id"] })).map((r) => r.id);
  const rows = ids.slice(0, 40).map((id, i) => ({ id, code: i === 29 ? "c49" : `new ${i}` }));
  const error = await assertRejects(() => session.bulkUpdate(Item, rows), UniqueViolationError);
  assertEquals(error.row, 29);
  assertEquals((await all(session)).map(({ code }) => code), items(50).map(({ code }) => code));
});

eachEngine("inside begin() a failed bulk call leaves only rollback, or the savepoint's end", async (
  { target },
) => {
  await using engine = await open(target);
  await using session = engine.session();
  await session.bulkInsert(Item, [{ code: "taken" }]);
  const bad = [...items(10), { code: "taken" }];
  await assertRejects(() =>
    session.begin(async () => {
      await assertRejects(() => session.bulkInsert(Item, bad), UniqueViolationError, "Row 10");
      await assertRejects(() => session.query(Item).count(), PendingRollbackError);
    })
  );
  assertEquals(await session.query(Item).count(), 1);
  await session.begin(async (tx) => {
    await assertRejects(
      () => tx.savepoint(() => session.bulkInsert(Item, bad)),
      UniqueViolationError,
    );
    await session.bulkInsert(Item, items(2, 50));
  });
  assertEquals((await all(session)).map(({ code }) => code), ["taken", "c50", "c51"]);
});

eachEngine("a long source is never held: at most two chunks wait", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  let stored = 0;
  const stop = engine.on("statement", ({ rowCount, sql }) => {
    if (/^(copy|insert)/.test(sql)) stored += rowCount ?? 0;
  });
  let most = 0;
  let given = 0;
  async function* rows() {
    for (; given < 40_000; given++) {
      most = Math.max(most, given - stored);
      yield { code: `c${given}` };
    }
  }
  assertEquals(await session.bulkInsert(Item, rows()), 40_000);
  stop();
  assert(most <= 10_000, `${most} rows waited`);
});

eachEngine("bulkPlan() says what bulkInsert() then does", async ({ target, engineName }) => {
  await using engine = await open(target);
  await using session = engine.session();
  const sent: string[] = [];
  engine.on("statement", ({ sql }) => {
    if (/^(copy|insert)/.test(sql)) sent.push(sql);
  });
  const postgres = engineName !== "sqlite";
  const cases = [
    [1, {}, "values"],
    [10, {}, postgres ? "unnest" : "values"],
    [6_500, {}, postgres ? "copy" : "values"],
    [6_500, { returning: ["id"] as const }, postgres ? "unnest" : "values"],
    [6_500, { onConflict: "nothing" as const }, postgres ? "unnest" : "values"],
    [6_500, { method: "insert" as const }, postgres ? "unnest" : "values"],
  ] as const;
  for (const [count, options, method] of cases) {
    const plan = session.bulkPlan(Item, { rows: count, without: ["id"] }, options);
    assertEquals([plan.method, plan.rows, plan.table], [method, count, "items"]);
    sent.length = 0;
    await session.execute(sql`delete from ${Item}`);
    await session.bulkInsert(Item, items(count), options as object);
    assertEquals(sent.length, plan.statements, plan.explain());
    assertEquals(sent[0], plan.text);
    assertMatch(plan.explain(), /rows into items by /);
  }
});

eachEngine(
  "what cannot be meant is refused before anything is sent",
  async ({ target, engineName }) => {
    await using engine = await open(target);
    await using session = engine.session();
    const rows = [{ code: "a" }];
    const wrong: object[] = [
      { returning: "id" },
      { returning: ["nope"] },
      { returning: [5] },
      { onConflict: "ignore" },
      { onConflict: { target: "nope" } },
      { onConflict: { update: ["name"] } },
      { onConflict: { target: "code", update: ["nme"] } },
      { onConflict: { target: "code", set: { name: 5 } } },
      { onConflict: { target: "code", set: { name: null } } },
      { onConflict: { traget: "code" } },
      { method: "fast" },
      { method: "copy", returning: ["id"] },
      { retruning: ["id"] },
      ...(engineName === "sqlite" ? [{ method: "copy" }] : []),
    ];
    for (const options of wrong) {
      await assertRejects(
        () => session.bulkInsert(Item, rows, options),
        InputError,
        undefined,
        JSON.stringify(options),
      );
    }
    await assertRejects(
      () => session.bulkUpsert(Item, rows, { method: "copy" } as object),
      InputError,
    );
    await assertRejects(() => session.bulkUpdate(Item, "rows" as never), InputError);
    assertThrows(
      () => session.bulkPlan(Item, { rows: 1 }, { method: "fast" } as object),
      InputError,
    );
    assertEquals(await session.query(Item).count(), 0);
    const error = await assertRejects(
      () => session.bulkInsert(Item, [{ code: "a" }, { code: "b", name: null as never }]),
      InputError,
      "Row 1",
    );
    assertEquals(error.row, 1);
  },
);

eachEngine("a table that COPY cannot write to is inserted into", async ({ target }) => {
  await using engine = await open(target);
  await engine.execute(sql`alter table items rename to items_table`);
  await engine.execute(sql`create view items as select * from items_table`);
  await using session = engine.session();
  assertEquals(await session.bulkInsert(Item, items(2_000)), 2_000);
  await assertRejects(() => session.bulkInsert(Item, items(2_000)), DatabaseError, "Row 0 ");
}, { only: ["postgres", "pglite"] });
