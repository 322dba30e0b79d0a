/** Pages by keyset, on each database. */

import { assertEquals, assertRejects } from "@std/assert";
import {
  AsyncEngine,
  count,
  createAll,
  entity,
  InputError,
  integer,
  numeric,
  type Page,
  sql,
  text,
  timestamptz,
} from "@sluice/orm";
import { eachEngine } from "../../support/each_engine.ts";
import { Book, openStocked } from "./model.ts";

class Item extends entity("items", {
  id: integer().primaryKey().generated(),
  kind: text().nullable(),
  price: numeric(10, 2),
  at: timestamptz(),
}) {}

/** All pages, forwards and then backwards; both ways the same rows. */
async function walk<R extends { id: number }>(
  page: (
    options: { size: number; after?: string | undefined; before?: string | undefined },
  ) => Promise<Page<R>>,
  size: number,
): Promise<number[]> {
  const forwards: number[][] = [];
  let last = await page({ size });
  assertEquals(last.hasPrevious, false);
  for (;;) {
    forwards.push(last.items.map((item) => item.id));
    if (!last.hasNext) break;
    last = await page({ size, after: last.next });
    assertEquals(last.hasPrevious, true);
  }
  const backwards = [last.items.map((item) => item.id)];
  while (last.hasPrevious) {
    last = await page({ size, before: last.previous });
    backwards.unshift(last.items.map((item) => item.id));
  }
  assertEquals(backwards.flat(), forwards.flat());
  return forwards.flat();
}

eachEngine(
  "page() walks mixed directions and nulls, each row once, both ways",
  async ({ target }) => {
    await using engine = new AsyncEngine(target, { entities: [Item] });
    await createAll(engine);
    await using session = engine.session();
    await session.bulkInsert(
      Item,
      Array.from({ length: 23 }, (_, i) => ({
        kind: i % 4 === 0 ? null : `kind ${i % 3}`,
        price: `${(i * 7) % 5}.50`,
        at: new Date(1_700_000_000_000 + (i % 2)),
      })),
    );
    const all = session.query(Item);
    const orders = [
      all,
      all.orderBy((i) => [i.kind.asc(), i.price.desc()]),
      all.orderBy((i) => [i.kind.desc(), i.price.asc()]),
      all.orderBy((i) => [i.kind.asc().nullsFirst(), i.at.desc()]),
      all.orderBy((i) => [i.kind.desc().nullsLast(), i.id.desc()]),
      all.orderBy((i) => [i.price.desc(), i.id.desc()]),
    ];
    for (const query of orders) {
      const expected = (await query.orderBy((i) => i.id).all()).map((item) => item.id);
      for (const size of [1, 4, 23, 50]) {
        assertEquals(await walk((options) => query.page(options), size), expected);
        const rows = query.select((i) => ({ id: i.id }));
        assertEquals(await walk((options) => rows.page(options), size), expected);
      }
    }
  },
);

eachEngine("a page begins exactly after a microsecond", async ({ target }) => {
  await using engine = new AsyncEngine(target, { entities: [Item] });
  await createAll(engine);
  for (let i = 0; i < 4; i++) {
    await engine.execute(
      sql`insert into items (price, at) values ('1.00', ${
        sql.raw(`'2024-01-01 00:00:00.00000${i}+00'`)
      })`,
    );
  }
  await using session = engine.session();
  const query = session.query(Item).orderBy((i) => i.at);
  assertEquals(await walk((options) => query.page(options), 1), [1, 2, 3, 4]);
}, { except: { sqlite: "its moments are our own text, to the millisecond" } });

eachEngine("pages over relations and groups", async ({ target }) => {
  await using engine = await openStocked(target);
  await using session = engine.session();
  const byAuthor = session.query(Book).orderBy((b) => [b.author.name.desc(), b.published]);
  const first = await byAuthor.page({ size: 2 });
  assertEquals(first.items.map((book) => book.title), ["Bobbing", "Notes"]);
  const second = await byAuthor.page({ size: 2, after: first.next });
  assertEquals(second.items.map((book) => book.title), ["Engines"]);
  const groups = session.query(Book).groupBy((b) => b.authorId)
    .select((b) => ({ id: b.authorId, books: count() }))
    .orderBy((b) => [count().desc(), b.authorId]);
  assertEquals(await walk((options) => groups.page(options), 1), [1, 2]);
});

eachEngine("a token that is forged, changed or of another order is refused", async ({ target }) => {
  await using engine = await openStocked(target);
  await using session = engine.session();
  const query = session.query(Book).orderBy((b) => b.title);
  const { next } = await query.page({ size: 1 });
  const foreign = (await session.query(Book).orderBy((b) => b.price).page({ size: 1 })).next!;
  const raw = atob(next!.replaceAll("-", "+").replaceAll("_", "/"));
  const changed = btoa(raw.replace("Bobbing", "Cabbing"));
  for (
    const token of ["", "x", foreign, changed, btoa("[1]"), "%%%", 5, {}, next + "A".repeat(70_000)]
  ) {
    await assertRejects(() => query.page({ size: 1, after: token as string }), InputError, "token");
  }
  for (const size of [0, -1, 1.5, "1", undefined]) {
    await assertRejects(async () => await query.page({ size: size as number }), InputError, "size");
  }
  await assertRejects(
    async () => await query.page({ size: 1, after: next!, before: next! }),
    InputError,
  );
  await assertRejects(async () => await query.limit(3).page({ size: 1 }), InputError, "limit()");
  await assertRejects(
    async () =>
      await query.select((b) => b.title).distinct().orderBy((b) => b.title).page(
        { size: 1, sizes: 2 } as never,
      ),
    InputError,
    "option",
  );
});
