/** Single-table inheritance: `subclass(Animal, "dog", { … })`. */

import { assert, assertEquals, assertFalse, assertRejects, assertThrows } from "@std/assert";
import {
  AsyncEngine,
  belongsTo,
  createAll,
  DecodeError,
  deleteFrom,
  type Driver,
  entity,
  hasMany,
  InputError,
  integer,
  MappingError,
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
  const rename = await session.execute(update(Dog).set({ name: "Pup" }).all());
  assertEquals(rename.rowCount, 1, "only rows of the subclass");
  assertEquals((await session.execute(deleteFrom(Cat).all())).rowCount, 0);
  await session.bulkInsert(Cat, [{ name: "Kit", lives: 3 }]);
  assertEquals((await session.query(Cat).one()).lives, 3);
});

Deno.test("mistakes with subclasses are told", async () => {
  assertThrows(() => subclass(Owner, "x", {}), InputError, "discriminator");
  assertThrows(() => subclass(Dog, "puppy", {}), InputError, "discriminator");
  assertThrows(() => subclass(Pet, "x", { name: text() }), InputError, `"name"`);
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

eachEngine("a row of an unknown subclass cannot be read", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  await session.execute(sql`update pets set kind = ${"bird"} where name = ${"Tom"}`);
  await assertRejects(() => session.query(Pet).all(), DecodeError, "does not know");
});
