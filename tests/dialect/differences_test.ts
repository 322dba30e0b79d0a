/** The README's table of what the databases do differently: each of its lines is tried. */

import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import {
  type AsyncEngine,
  type AsyncSession,
  bytes,
  type Condition,
  deleteFrom,
  double,
  entity,
  InputError,
  insert,
  integer,
  json,
  matches,
  numeric,
  stringAgg,
  sum,
  text,
  textRank,
  UsageError,
  value,
} from "@sluice/orm";
import { eachEngine, type EngineName } from "../support/each_engine.ts";
import { openLibrary, sent } from "../support/library_model.ts";

class Item extends entity("items", {
  id: integer().primaryKey(),
  kind: text(),
  price: numeric(30, 10).default("0"),
  weight: double().default(0),
  tags: text().array().default(() => []),
  meta: json<Record<string, unknown>>().default(() => ({})),
  hash: bytes().nullable(),
  count: integer().defaultSql("3"),
}) {}

interface Trial {
  readonly engine: AsyncEngine;
  readonly session: AsyncSession;
  readonly on: EngineName;
}

const items = (session: AsyncSession) => session.query(Item).orderBy((i) => i.id.asc());
const ids = (session: AsyncSession, condition: (i: typeof Item.c) => Condition) =>
  session.query(Item).where(condition as never).select((i) => i.id).orderBy((i) => i.id).all();

/**
 * What is tried for each line. Where the table says "refused", the trial has to be; what is different
 * and not refused, the trial itself looks at.
 */
const TRIALS: Record<string, (trial: Trial) => Promise<unknown>> = {
  "`distinctOn()`": ({ session }) =>
    session.query(Item).select((i) => i.id).distinctOn((i) => i.kind).orderBy((i) => [i.kind])
      .all(),
  "`joinLateral()`": ({ session }) =>
    session.query(Item).joinLateral((i) =>
      session.query(Item).where((j) => j.id.eq(i.id)).select((j) => ({ id: j.id }))
    ).select((_, j) => j.id).all(),
  "`insert()`, `update()`, `deleteFrom()` as a CTE": ({ session }) =>
    session.from(
      deleteFrom(Item).where((i) => i.id.eq(99)).returning((i) => ({ id: i.id })).cte(),
    ).select((gone) => gone.id).all(),
  "`insert().values()` of rows with different columns": ({ engine }) =>
    engine.execute(
      insert(Item).values([{ id: 50, kind: "x", count: 1 }, { id: 51, kind: "x" }]),
    ),
  "`contains()`, `containedBy()`, `overlaps()` of arrays": async ({ session }) => {
    const each: ((i: typeof Item.c) => Condition)[] = [
      (i) => i.tags.contains(["a"]),
      (i) => i.tags.containedBy(["a"]),
      (i) => i.tags.overlaps(["a"]),
    ];
    await together(each.map((condition) => ids(session, condition)));
  },
  "`contains()` of JSON": ({ session }) => ids(session, (i) => i.meta.contains({ a: 1 })),
  'JSON keys with `"`, `\\` or control characters': ({ session }) =>
    together(['"', "\\", "\n"].map((key) => ids(session, (i) => i.meta.hasKey(key)))),
  "`matches()`, `textRank()`": ({ session }) =>
    together([
      ids(session, (i) => matches([i.kind], "ant")),
      items(session).select((i) => textRank([i.kind], "ant")).all(),
    ]),
  "`mod()` of `numeric`": ({ session }) => ids(session, (i) => i.price.mod("2").eq("1")),
  "`stringAgg().distinct()`": ({ session }) =>
    session.query(Item).select((i) => stringAgg(i.kind, "|").distinct()).all(),
  "`explain({ analyze: true })`": ({ session }) => items(session).explain({ analyze: true }),
  "`eachBatch()` with `concurrency`": ({ session }) =>
    items(session).eachBatch(1, () => {}, { concurrency: 2 }).catch((error) => {
      throw error.cause ?? error;
    }),
  "`engine.advisoryLock()`": async ({ engine }) => {
    await using _lock = await engine.advisoryLock("k");
  },
  "`tx.advisoryLock()`": async ({ engine, on }) => {
    const statements = await sent(engine, () => engine.begin((tx) => tx.advisoryLock("k")));
    assertEquals(statements.some((text) => text.includes("advisory")), on !== "sqlite");
  },
  "`lock()`": async ({ engine, session, on }) => {
    const statements = await sent(
      engine,
      () => session.begin(() => items(session).lock("update").all()),
    );
    assertEquals(statements.some((text) => text.includes("for update")), on !== "sqlite");
  },
  "isolation levels": async ({ engine }) => {
    for (const isolation of ["read committed", "repeatable read", "serializable"] as const) {
      await engine.begin(() => Promise.resolve(), { isolation });
    }
  },
  "`copyIn()`, `copyOut()`": async ({ engine }) => {
    assertEquals(await engine.copyIn(Item, [{ id: 60, kind: "copied", count: 0 }]), 1);
    const query = engine.session().query(Item).where((i) => i.id.eq(60))
      .select((i) => ({ id: i.id, kind: i.kind, weight: i.weight }));
    const bytes = await new Response(engine.copyOut(query)).text();
    assertEquals(bytes.split("\n")[1], "60,copied,0");
  },
  "arrays": async ({ session, on }) => {
    const [row] = await session.query(Item).where((i) => i.id.eq(1))
      .select((i) => i.tags.cast("text")).all();
    assertEquals(row, on === "sqlite" ? '["a","b"]' : "{a,b}");
    assertEquals(await ids(session, (i) => i.tags.hasElement("a")), [1]);
  },
  "lists of bytes, as keys of relations": async ({ session }) => {
    const hashes = [new Uint8Array([0, 255]), new Uint8Array()];
    assertEquals(await ids(session, (i) => i.hash.in(hashes)), [1]);
  },
  "arithmetic, `sum()` and `avg()` of `numeric`": async ({ session, on }) => {
    const total = await session.query(Item).where((i) => i.id.lte(2))
      .select((i) => sum(i.price)).scalar();
    assertEquals(total === "12345678901234567890.0000000001", on !== "sqlite");
    assertEquals(Number(total), 12345678901234567890);
  },
  "`ilike()`, `lower()`, `upper()`": async ({ session, on }) => {
    const row = await session.query(Item).where((i) => i.id.eq(1)).select(() => ({
      upper: value("éa").upper(),
      lower: value("ÉA").lower(),
      alike: value("A").ilike("a"),
    })).one();
    if (on === "sqlite") assertEquals(row, { upper: "éA", lower: "Éa", alike: true });
    else assertEquals([row.upper.at(-1), row.lower.at(-1), row.alike], ["A", "a", true]);
  },
  "`NaN` of `double()`": async ({ session, on }) => {
    const store = () => session.bulkInsert(Item, [{ id: 70, kind: "x", weight: NaN }]);
    if (on === "sqlite") await assertRejects(store, InputError, "NaN");
    await store().catch((cause) => {
      throw new UsageError("As the table says", { code: "UNSUPPORTED", hint: "", cause });
    });
  },
  "the sign of zero of `double()`": async ({ session, on }) => {
    await session.bulkInsert(Item, [{ id: 80, kind: "x", weight: -0 }]);
    const { weight } = await session.getOrFail(Item, 80);
    assertStrictEquals(Object.is(weight, -0), on !== "sqlite");
  },
  "nested conditions": async ({ session, on }) => {
    const nested = (depth: number) => {
      let condition = value(1).eq(1);
      for (let i = 0; i < depth; i++) condition = condition.not().or(value(i).eq(-1));
      return session.query(Item).where(() => condition).count();
    };
    await nested(400);
    await assertRejects(() => nested(1_001), InputError, on === "sqlite" ? "900" : "1000");
  },
};

/** Every one has to end alike: all well, or all with the error of the first. */
async function together(work: readonly Promise<unknown>[]): Promise<void> {
  const results = await Promise.allSettled(work);
  const refused = results.filter((result) => result.status === "rejected");
  assert(refused.length === 0 || refused.length === work.length, "some are refused, some are not");
  if (refused.length > 0) throw refused[0]!.reason;
}

/** The table's lines: the feature, and what is said of each database. */
async function lines(): Promise<Map<string, Record<EngineName, string>>> {
  const readme = await Deno.readTextFile(new URL("../../README.md", import.meta.url));
  const section = readme.split("### What they do differently")[1]!.split("\n## ")[0]!;
  const rows = section.split("\n").filter((line) => line.startsWith("| ")).slice(2);
  return new Map(rows.map((row) => {
    const [feature, postgres, pglite, sqlite] = row.slice(2, -2).split(" | ").map((c) => c.trim());
    return [feature!, { postgres: postgres!, pglite: pglite!, sqlite: sqlite! }];
  }));
}

Deno.test("every line of the table is tried, and everything tried is a line", async () => {
  assertEquals([...(await lines()).keys()], Object.keys(TRIALS));
});

eachEngine("the databases differ as the README says", async ({ target, engineName, test }) => {
  await using engine = await openLibrary(target, { entities: [Item] });
  await using setup = engine.session();
  await setup.bulkInsert(Item, [
    {
      id: 1,
      kind: "ant",
      price: "12345678901234567890",
      tags: ["a", "b"],
      meta: { a: 1 },
      hash: new Uint8Array([0, 255]),
    },
    { id: 2, kind: "ant", price: "0.0000000001" },
    { id: 3, kind: "bee" },
  ]);
  for (const [feature, says] of await lines()) {
    await test.step(feature, async () => {
      await using session = engine.session();
      const trial = () => TRIALS[feature]!({ engine, session, on: engineName });
      if (!says[engineName].startsWith("refused")) return void await trial();
      const error = await assertRejects(trial, UsageError);
      assertEquals(error.code, "UNSUPPORTED");
    });
  }
});
