/** Filters where statements name several tables, or change rows. */

import { assertEquals, assertThrows } from "@std/assert";
import {
  AsyncEngine,
  belongsTo,
  createAll,
  deleteFrom,
  type Driver,
  entity,
  InputError,
  integer,
  text,
  update,
} from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";

class City extends entity("cities", {
  id: integer().primaryKey().generated(),
  name: text(),
  gone: integer().default(0),
}, { filters: { alive: (c) => c.gone.eq(0) } }) {}

class Person extends entity("people", {
  id: integer().primaryKey().generated(),
  name: text(),
  gone: integer().default(0),
  cityId: integer().nullable().references("cities.id"),
  city: belongsTo<City | null>("cityId"),
}, { filters: { alive: (p) => p.gone.eq(0) } }) {}

async function open(target: string | Driver): Promise<AsyncEngine> {
  const engine = new AsyncEngine(target, { entities: [City, Person] });
  await createAll(engine);
  await using session = engine.session();
  const [york, atlantis] = [
    new City({ name: "York" }),
    new City({ name: "Atlantis", gone: 1 }),
  ] as const;
  session.addAll([
    new Person({ name: "Ann", city: york }),
    new Person({ name: "Bob", city: atlantis }),
    new Person({ name: "Cid", city: york, gone: 1 }),
  ]);
  await session.commit();
  return engine;
}

eachEngine("a filter holds in the joins of navigation and of row queries", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  const cities = session.query(Person).select((p) => ({ name: p.name, city: p.city.name }))
    .orderBy((p) => p.id);
  assertEquals(await cities.all(), [{ name: "Ann", city: "York" }, { name: "Bob", city: null }]);
  const joined = session.query(Person).join(City, (p, c) => c.id.eq(p.cityId));
  assertEquals(await joined.select((p, c) => ({ p: p.name, c: c.name })).all(), [{
    p: "Ann",
    c: "York",
  }]);
  const left = session.query(City).leftJoin(Person, (c, p) => p.cityId.eq(c.id))
    .select((c, p) => ({ c: c.name, p: p.name }));
  assertEquals(await left.all(), [{ c: "York", p: "Ann" }], "hidden rows are no partners");
});

eachEngine("unfiltered() holds for a row query and all it joins", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  const pairs = session.query(City).join(Person, (c, p) => p.cityId.eq(c.id));
  const all = pairs.unfiltered("alive").select((c, p) => ({ c: c.name, p: p.name }))
    .orderBy((_c, p) => p.id);
  assertEquals(await all.all(), [{ c: "York", p: "Ann" }, { c: "Atlantis", p: "Bob" }, {
    c: "York",
    p: "Cid",
  }]);
  assertEquals(
    await session.query(Person).unfiltered("alive").select((p) => p.city.name)
      .orderBy((p) => p.id).all(),
    ["York", "Atlantis", "York"],
  );
  assertThrows(() => pairs.unfiltered("alife"), InputError, "alife");
});

eachEngine("update() and deleteFrom() leave hidden rows alone, unless told", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  const rename = update(Person).set((p) => ({ name: p.name.concat("!") })).all();
  assertEquals((await session.execute(rename)).rowCount, 2);
  assertEquals((await session.execute(rename.unfiltered("alive"))).rowCount, 3);
  const people = session.query(Person).unfiltered("alive").select((p) => p.name);
  assertEquals(await people.orderBy((p) => p.id).all(), ["Ann!!", "Bob!!", "Cid!"]);
  const remove = deleteFrom(Person).where((p) => p.name.startsWith("C"));
  assertEquals((await session.execute(remove)).rowCount, 0);
  assertEquals((await session.execute(remove.unfiltered("alive"))).rowCount, 1);
  assertThrows(() => remove.unfiltered("visible"), InputError, `no filter "visible"`);
  assertThrows(() => update(City).set({ gone: 0 }).unfiltered("dead"), InputError, "dead");
});
