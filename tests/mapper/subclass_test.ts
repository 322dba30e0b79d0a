/** Single-table inheritance: `subclass(Animal, "dog", { … })`. */

import { assert, assertEquals, assertFalse, assertRejects, assertThrows } from "@std/assert";
import {
  AsyncEngine,
  belongsTo,
  bigint,
  createAll,
  DecodeError,
  deleteFrom,
  type Driver,
  entity,
  hasMany,
  InputError,
  integer,
  IntegrityError,
  MappingError,
  NotLoadedError,
  oneOf,
  sql,
  subclass,
  text,
  update,
} from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";

class Owner extends entity("owners", {
  id: integer().primaryKey().generated(),
  name: text(),
  pets: hasMany<Pet>("pets.ownerId", { orderBy: "id" }),
}) {}

class Pet extends entity("pets", {
  id: integer().primaryKey().generated(),
  kind: oneOf("dog", "cat", "bird", "pet").discriminator("pet"),
  name: text(),
  notes: text().nullable().deferred(),
  ownerId: integer().nullable().references("owners.id"),
  owner: belongsTo<Owner | null>("ownerId"),
  admirers: hasMany<Dog>("pets.friendId"),
}, { computed: { loud: (p) => p.name.upper() } }) {
  hello(): string {
    return `I am ${this.name}`;
  }
}

class Dog extends subclass(Pet, "dog", {
  breed: text(),
  friendId: integer().nullable().references("pets.id"),
  friend: belongsTo<Pet | null>("friendId"),
}) {
  tricks: string[] = [];
  override hello(): string {
    return `${super.hello()}, a ${this.breed}`;
  }
}

class Cat extends subclass(Pet, "cat", { lives: integer().default(9) }) {}

async function open(target: string | Driver): Promise<AsyncEngine> {
  const engine = new AsyncEngine(target, { entities: [Owner, Dog, Pet, Cat] });
  await createAll(engine);
  await using session = engine.session();
  const tom = new Cat({ name: "Tom" });
  session.add(
    new Owner({
      name: "Ada",
      pets: [tom, new Dog({ name: "Rex", breed: "Collie", friend: tom }), new Pet({ name: "Bo" })],
    }),
  );
  await session.commit();
  return engine;
}

eachEngine("a query of the base class gives objects of the right classes", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  const pets = await session.query(Pet).orderBy((p) => p.name.asc()).all();
  assertEquals(pets.map((p) => p.constructor), [Pet, Dog, Cat]);
  const [bo, rex, tom] = pets;
  assert(rex instanceof Dog && tom instanceof Cat && rex instanceof Pet);
  assertEquals([rex.breed, rex.kind, rex.tricks, rex.loud], ["Collie", "dog", [], "REX"]);
  assertEquals([tom.lives, tom.kind, bo!.kind], [9, "cat", "pet"]);
  assertEquals([rex.hello(), tom.hello()], ["I am Rex, a Collie", "I am Tom"]);
  assertFalse("breed" in tom, "only the columns of its class");
  assertEquals(session.dirty, []);
  const streamed: string[] = [];
  for await (const pet of session.query(Pet).orderBy((p) => p.id)) streamed.push(pet.name);
  assertEquals(streamed.toSorted(), ["Bo", "Rex", "Tom"]);
});

eachEngine("a subclass is queried, counted and got by itself", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  const dog = await session.query(Dog).where((d) => d.breed.eq("Collie").and(d.name.eq("Rex")))
    .selectin("friend", "owner").one();
  assertEquals([dog.friend?.name, dog.owner?.name], ["Tom", "Ada"]);
  assert(dog.friend instanceof Cat);
  assertEquals(await session.query(Cat).count(), 1);
  assertEquals(await session.query(Pet).ofType(Dog).where((d) => d.breed.eq("Collie")).all(), [
    dog,
  ]);
  assertEquals(await session.query(Pet).where((p) => p.name.eq("Tom")).ofType(Dog).count(), 0);
  const rows = session.query(Dog).select((d) => ({ breed: d.breed, friend: d.friend.name }));
  assertEquals(await rows.all(), [{ breed: "Collie", friend: "Tom" }]);
  assert(await session.get(Pet, dog.id) === dog);
  assert(await session.get(Dog, dog.id) === dog);
  assertEquals(await session.get(Cat, dog.id), undefined, "managed already, as another class");
  await using other = engine.session();
  assertEquals(await other.get(Cat, dog.id), undefined);
  assertThrows(() => other.query(Cat).unfiltered("\0cat"), InputError, "no filter");
  // @ts-expect-error -- an owner is no pet
  assertThrows(() => session.query(Pet).ofType(Owner), InputError, "does not extend");
});

eachEngine("a relation to the base class loads the right classes", async ({ target }) => {
  await using engine = await open(target);
  for (const strategy of ["selectin", "joined"] as const) {
    await using session = engine.session();
    const owner = await session.query(Owner)[strategy]("pets").one();
    assertEquals(owner.pets.map((p) => p.constructor.name).toSorted(), ["Cat", "Dog", "Pet"]);
    const counts = session.query(Owner).select((o) => o.pets.count((p) => p.kind.eq("dog")));
    assertEquals(await counts.scalar(), 1);
  }
});

eachEngine("a relation leads to a subclass by its own column", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  const tom = await session.query(Cat).selectin("admirers").one();
  assertEquals(tom.admirers.map((dog) => dog.breed), ["Collie"]);
  assertEquals(
    await session.query(Pet).select((p) => p.admirers.count()).orderBy((p) => p.name).all(),
    [0, 0, 1],
  );
  const pip = new Dog({ name: "Pip", breed: "Pug" });
  tom.admirers.push(pip);
  await session.commit();
  assertEquals(pip.friendId, tom.id);
  await session.refresh(pip);
  assertEquals(pip.breed, "Pug");
});

eachEngine("objects of subclasses are changed and deleted", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  const rex = await session.query(Dog).one();
  const tom = await session.query(Cat).one();
  rex.breed = "Pug";
  tom.lives = 8;
  await session.commit();
  assertEquals(await session.query(Dog).select((d) => d.breed).scalar(), "Pug");
  session.delete(tom);
  session.delete(rex);
  await session.commit();
  assertEquals(await session.query(Pet).count(), 1);
  const puppy = new Dog({ name: "Pip", breed: "Pug" });
  session.add(puppy);
  await session.commit();
  puppy.kind = "cat";
  await assertRejects(() => session.commit(), InputError, "another class");
  session.expire(puppy);
  const rename = await session.execute(update(Dog).set({ name: "Pup" }).all());
  assertEquals(rename.rowCount, 1, "only rows of the subclass");
  assertEquals((await session.execute(deleteFrom(Cat).all())).rowCount, 0);
  await session.bulkInsert(Cat, [{ name: "Kit", lives: 3 }]);
  assertEquals((await session.query(Cat).one()).lives, 3);
});

Deno.test("mistakes with subclasses are told", async () => {
  assertThrows(() => subclass(Owner, "x", {}), InputError, "discriminator");
  assertThrows(() => subclass(Pet, "bird", { name: text() }), InputError, `"name"`);
  assertThrows(() => new Dog({ name: "Rex", breed: "Pug", kind: "cat" }), InputError, `"dog"`);
  class Rival extends subclass(Pet, "dog", {}) {}
  await using engine = new AsyncEngine("sqlite::memory:", { entities: [Owner, Pet, Dog, Rival] });
  const error = await assertRejects(() => createAll(engine), MappingError);
  assertEquals(error.problems, [
    `Rival and Dog both are "dog"; give each subclass a discriminator of its own`,
  ]);
  await using orphan = new AsyncEngine("sqlite::memory:", { entities: [Dog] });
  await assertRejects(() => createAll(orphan), MappingError, "Dog is a subclass");
});

class Vehicle extends entity("vehicles", {
  id: integer().primaryKey().generated(),
  kind: text().discriminator(),
  name: text(),
  notes: text().nullable().deferred(),
}, { computed: { loud: (v) => v.name.upper() } }) {}

const hooked: string[] = [];

class Car extends subclass(Vehicle, "car", {
  seats: integer(),
  plate: text().unique(),
  serial: bigint().nullable(),
  towsId: integer().nullable().references("vehicles.id"),
  tows: belongsTo<Vehicle | null>("towsId"),
}, {
  indexes: [["name", "seats"]],
  checks: ["seats > 0"],
  filters: { roomy: (c) => c.seats.gt(1) },
  hooks: { beforeInsert: (car) => void hooked.push(`car ${car.seats}`) },
}) {}
class Taxi extends subclass(Car, "taxi", { fare: integer() }, {
  hooks: { beforeInsert: (taxi) => void hooked.push(`taxi ${taxi.fare}`) },
}) {}
class NightTaxi extends subclass(Taxi, "night", { surcharge: integer().default(5) }) {}
class Bike extends subclass(Vehicle, "bike", { gears: integer() }) {}

eachEngine("a subclass is extended in turn, with options of its own", async ({ target }) => {
  await using engine = new AsyncEngine(target, {
    entities: [NightTaxi, Bike, Taxi, Vehicle, Car],
  });
  await createAll(engine);
  await using session = engine.session();
  hooked.length = 0;
  const bike = new Bike({ name: "B", gears: 3 });
  session.addAll([
    new Car({ name: "C", seats: 4, plate: "c" }),
    new Taxi({ name: "T", seats: 5, plate: "t", fare: 3, serial: 9n, tows: bike }),
    new NightTaxi({ name: "N", seats: 6, plate: "n", fare: 4 }),
  ]);
  await session.commit();
  assertEquals(hooked, ["car 4", "car 5", "taxi 3", "car 6", "taxi 4"]);

  await using other = engine.session();
  const vehicles = await other.query(Vehicle).orderBy((v) => v.name).all();
  assertEquals(vehicles.map((v) => v.constructor), [Bike, Car, NightTaxi, Taxi]);
  assertEquals(vehicles.map((v) => v.loud), ["B", "C", "N", "T"]);
  const night = vehicles[2] as NightTaxi;
  assertEquals([night.kind, night.seats, night.fare, night.surcharge], ["night", 6, 4, 5]);
  assertThrows(() => night.notes, NotLoadedError, "deferred");
  assertEquals(other.dirty, []);
  assertEquals(await other.query(Car).count(), 3);
  assertEquals((await other.query(Taxi).orderBy((t) => t.fare).all()).map((t) => t.name), [
    "T",
    "N",
  ]);
  assertEquals(await other.query(Vehicle).ofType(Taxi).where((t) => t.fare.gt(3)).count(), 1);
  assertEquals(await other.query(Vehicle).ofType(Car).ofType(NightTaxi).count(), 1);
  const taxi = await other.query(Taxi).where((t) => t.name.eq("T")).joined("tows").one();
  assert(taxi.tows instanceof Bike);
  assertEquals(JSON.parse(JSON.stringify(taxi)).serial, "9");
  await other.execute(update(Taxi).set({ seats: 1 }).where((t) => t.name.eq("N")));
  assertEquals(await other.query(Car).count(), 2);
  assertEquals(await other.query(Vehicle).ofType(Taxi).count(), 1);
  assertEquals(await other.query(Taxi).unfiltered("roomy").count(), 2);
  for (const wrong of [{ plate: "c", seats: 2 }, { plate: "x", seats: 0 }]) {
    await using third = engine.session();
    third.add(new Car({ name: "W", ...wrong }));
    await assertRejects(() => third.commit(), IntegrityError);
  }
  other.add(new Vehicle({ name: "V" }));
  await assertRejects(() => other.commit(), InputError, "subclasses only");
});

eachEngine("a row of an unknown subclass cannot be read", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  await session.execute(sql`update pets set kind = ${"bird"} where name = ${"Tom"}`);
  await assertRejects(() => session.query(Pet).all(), DecodeError, "does not know");
});
