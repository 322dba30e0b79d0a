/** Groups of columns: plain objects, stored in columns of their own. */

import { assertEquals, assertThrows } from "@std/assert";
import {
  AsyncEngine,
  bigint,
  createAll,
  type Driver,
  embedded,
  entity,
  InputError,
  integer,
  json,
  text,
} from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";
import { sent } from "../support/library_model.ts";

class Shop extends entity("shops", {
  id: integer().primaryKey().generated(),
  name: text().default("shop"),
  address: embedded({
    street: text(),
    city: text().default("Springfield"),
    tags: json<string[]>().nullable(),
  }),
  owner: embedded({ name: text(), balance: bigint().default(0n) }).prefix("own_").nullable(),
}) {}

async function open(target: string | Driver): Promise<AsyncEngine> {
  const engine = new AsyncEngine(target, { entities: [Shop] });
  await createAll(engine);
  return engine;
}

eachEngine(
  "a group is stored in columns of its own and loaded as a plain object",
  async ({ target }) => {
    await using engine = await open(target);
    await using session = engine.session();
    const shop = new Shop({ address: { street: "Main St 1" } });
    assertEquals({ ...shop.address }, { street: "Main St 1", city: "Springfield", tags: null });
    assertEquals(shop.owner, null);
    session.addAll([
      shop,
      new Shop({ address: { street: "B", tags: ["x"] }, owner: { name: "Bo" } }),
    ]);
    const [insert] = await sent(engine, () => session.commit());
    for (const name of ["address_street", "address_city", "own_name"]) {
      assertEquals(insert!.includes(`"${name}"`), true, name);
    }
    assertEquals(session.dirty, []);
    await using other = engine.session();
    const shops = await other.query(Shop).orderBy((s) => s.id.asc()).all();
    assertEquals(shops.map(({ address, owner }) => ({ address, owner })), [
      { address: { street: "Main St 1", city: "Springfield", tags: null }, owner: null },
      {
        address: { street: "B", city: "Springfield", tags: ["x"] },
        owner: { name: "Bo", balance: 0n },
      },
    ]);
    assertEquals(Object.keys(shops[0]!), ["id", "name", "address", "owner"]);
    assertEquals(JSON.parse(JSON.stringify(shops[1])).owner, { name: "Bo", balance: "0" });
    assertEquals(other.dirty, []);
  },
);

eachEngine(
  "a change inside a group updates its column only; a group can be replaced",
  async ({ target }) => {
    await using engine = await open(target);
    await using session = engine.session();
    const shop = new Shop({ address: { street: "A" } });
    session.add(shop);
    await session.commit();
    shop.address.city = "Shelbyville";
    const [update] = await sent(engine, () => session.commit());
    assertEquals([update!.includes("address_city"), update!.includes("address_street")], [
      true,
      false,
    ]);
    shop.owner = { name: "Ann", balance: 5n };
    shop.address = { street: "C", city: "D", tags: ["y"] };
    await session.commit();
    shop.address.tags!.push("z");
    assertEquals(session.dirty, [shop]);
    await session.commit();
    await using other = engine.session();
    const found = await other.getOrFail(Shop, shop.id);
    assertEquals(found.owner, { name: "Ann", balance: 5n });
    assertEquals(found.address, { street: "C", city: "D", tags: ["y", "z"] });
    found.owner = null;
    await other.commit();
    found.address.city = "X";
    await other.rollback();
    assertEquals(found.address.city, "D");
    assertEquals(await other.query(Shop).where((s) => s.owner.name.isNull()).count(), 1);
  },
);

eachEngine("conditions, orders and plain rows reach into a group", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  await session.bulkInsert(Shop, [
    { address: { street: "B", city: "X", tags: null }, owner: null },
    { address: { street: "A", city: "Y", tags: ["t"] }, owner: { name: "Ann", balance: 1n } },
  ]);
  const found = await session.query(Shop).where((s) => s.address.city.eq("Y")).one();
  assertEquals(found.owner, { name: "Ann", balance: 1n });
  const rows = await session.query(Shop).orderBy((s) => s.address.street.asc())
    .select((s) => ({ street: s.address.street })).all();
  assertEquals(rows, [{ street: "A" }, { street: "B" }]);
});

Deno.test("a group refuses keys, unknown names and what is no object", () => {
  assertThrows(
    () => entity("x", { id: integer().primaryKey(), g: embedded({ k: integer().primaryKey() }) }),
    InputError,
    `"x.g.k" is a key`,
  );
  assertThrows(() => new Shop({ address: { stret: "A" } as never }), InputError, `"street"`);
  assertThrows(() => new Shop({ address: 5 as never }), InputError, "expects an object");
});
