/** Joined inheritance: `subclass(Pet, "dog", { … }, { table: "dogs" })`, and several levels of it. */

import {
  assert,
  assertEquals,
  assertFalse,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import {
  AsyncEngine,
  belongsTo,
  bigint,
  createAll,
  DecodeError,
  deleteFrom,
  type Driver,
  dropAll,
  entity,
  hasMany,
  InputError,
  insert,
  integer,
  IntegrityError,
  lazy,
  manyToMany,
  MappingError,
  oneOf,
  sql,
  StaleDataError,
  subclass,
  text,
  update,
} from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";

class Owner extends entity("owners", {
  id: integer().primaryKey().generated(),
  name: text(),
  pets: hasMany<Pet>("pets.ownerId", { orderBy: "name" }),
  dogs: hasMany<Dog>("dogs.ownerId"),
}) {}

class Tag extends entity("tags", {
  id: integer().primaryKey().generated(),
  label: text().unique(),
  pets: manyToMany<Pet>("pet_tags"),
}) {}

const stored: string[] = [];

class Pet extends entity("pets", {
  id: integer().primaryKey().generated(),
  kind: oneOf("pet", "dog", "puppy", "guide", "cat").discriminator("pet"),
  name: text(),
  notes: text().nullable().deferred(),
  version: integer().version(),
  ownerId: integer().nullable().references("owners.id"),
  owner: belongsTo<Owner | null>("ownerId"),
  tags: manyToMany<Tag>("pet_tags", { orderBy: "label" }),
}, {
  computed: { loud: (p) => p.name.upper() },
  hooks: { beforeInsert: (pet) => void stored.push(`pet ${pet.name}`) },
}) {
  hello(): string {
    return `I am ${this.name}`;
  }
}

class Dog extends subclass(Pet, "dog", {
  breed: text(),
  chip: bigint().nullable().unique(),
  friendId: integer().nullable().references("pets.id"),
  friend: belongsTo<Pet | null>("friendId"),
  collars: hasMany<Collar>("collars.dogId", { cascade: "all-orphans" }),
}, {
  table: "dogs",
  indexes: [["breed"]],
  checks: ["breed <> ''"],
  filters: { known: (d) => d.breed.ne("Unknown") },
  hooks: { beforeInsert: (dog) => void stored.push(`dog ${dog.breed}`) },
}) {
  override hello(): string {
    return `${super.hello()}, a ${this.breed}`;
  }
}

/** A table below a table. */
class Puppy extends subclass(Dog, "puppy", { weeks: integer() }, {
  table: "puppies",
  key: "puppy_id",
}) {}

/** A subclass within the table of a joined one. */
class GuideDog extends subclass(Dog, "guide", { trainer: text() }) {}

class Cat extends subclass(Pet, "cat", { lives: integer().default(9) }, { table: "cats" }) {}

class Collar extends entity("collars", {
  id: integer().primaryKey().generated(),
  colour: text(),
  dogId: integer().references("dogs.id", { onDelete: "cascade" }),
  dog: belongsTo<Dog>("dogId"),
}) {}

const entities = [Puppy, Collar, Owner, GuideDog, Tag, Dog, Pet, Cat];

async function open(target: string | Driver): Promise<AsyncEngine> {
  const engine = new AsyncEngine(target, { entities });
  await createAll(engine);
  await using session = engine.session();
  const tom = new Cat({ name: "Tom", tags: [new Tag({ label: "soft" })] });
  const rex = new Dog({
    name: "Rex",
    breed: "Collie",
    chip: 5n,
    friend: tom,
    collars: [new Collar({ colour: "red" }), new Collar({ colour: "blue" })],
  });
  session.add(
    new Owner({
      name: "Ada",
      pets: [tom, rex, new Pet({ name: "Bo" }), new Puppy({ name: "Pip", breed: "Pug", weeks: 7 })],
    }),
  );
  session.add(new GuideDog({ name: "Gus", breed: "Labrador", trainer: "Bob", friend: rex }));
  await session.commit();
  return engine;
}

/** The statements that a body sends, by their first words. */
async function sent(engine: AsyncEngine, body: () => Promise<unknown>): Promise<string[]> {
  const texts: string[] = [];
  const off = engine.on("statement", ({ sql }) => void texts.push(sql));
  await body();
  off();
  const first = /^(select|insert into "\w+"|update "\w+"|delete from "\w+")/;
  return texts.flatMap((text) => first.exec(text)?.[0] ?? []);
}

eachEngine(
  "a query of a joined base gives objects of the right classes in one statement",
  async ({ target, test }) => {
    await using engine = await open(target);

    await test.step("the base class", async () => {
      await using session = engine.session();
      let pets: Pet[] = [];
      const statements = await sent(engine, async () => {
        pets = await session.query(Pet).orderBy((p) => p.name).all();
      });
      assertEquals(statements, ["select"]);
      assertEquals(pets.map((p) => p.constructor), [Pet, GuideDog, Puppy, Dog, Cat]);
      const [bo, gus, pip, rex, tom] = pets;
      assert(gus instanceof GuideDog && pip instanceof Puppy && rex instanceof Dog);
      assert(tom instanceof Cat && gus instanceof Dog && pip instanceof Dog);
      assertEquals([pip.breed, pip.weeks, pip.kind, pip.loud], ["Pug", 7, "puppy", "PIP"]);
      assertEquals([rex.breed, rex.chip, rex.friendId, rex.loud], ["Collie", 5n, tom.id, "REX"]);
      assertEquals([gus.trainer, tom.lives, bo!.loud, bo!.kind], ["Bob", 9, "BO", "pet"]);
      assertEquals([pip.hello(), tom.hello()], ["I am Pip, a Pug", "I am Tom"]);
      assertFalse("breed" in tom || "weeks" in rex, "only the columns of its class");
      assertEquals(session.dirty, []);
      const streamed: string[] = [];
      for await (const pet of session.query(Pet).orderBy((p) => p.id).window(2)) {
        streamed.push(pet.constructor.name);
      }
      assertEquals(streamed.toSorted(), ["Cat", "Dog", "GuideDog", "Pet", "Puppy"]);
      const page = await session.query(Pet).orderBy((p) => p.name).page({ size: 2 });
      assertEquals(page.items, [bo, gus]);
      const next = await session.query(Pet).orderBy((p) => p.name).page({
        size: 3,
        after: page.next,
      });
      assertEquals(next.items, [pip, rex, tom]);
    });

    await test.step("a subclass, and those that extend it", async () => {
      await using session = engine.session();
      const dogs = session.query(Dog).orderBy((d) => d.breed);
      assertEquals((await dogs.all()).map((d) => d.constructor), [Dog, GuideDog, Puppy]);
      assertEquals(await dogs.where((d) => d.breed.eq("Pug").and(d.name.eq("Pip"))).count(), 1);
      const ofType = session.query(Pet).orderBy((p) => p.name).ofType(Dog);
      assertEquals((await ofType.all()).map((d) => d.name), ["Gus", "Pip", "Rex"]);
      assertEquals(await ofType.ofType(Puppy).where((p) => p.weeks.eq(7)).count(), 1);
      assertEquals(
        await session.query(Pet).where((p) => p.name.eq("Tom")).ofType(Dog).exists(),
        false,
      );
      const rows = session.query(Puppy).select((p) => ({
        weeks: p.weeks,
        breed: p.breed,
        n: p.name,
      }));
      assertEquals(await rows.all(), [{ weeks: 7, breed: "Pug", n: "Pip" }]);
      assertFalse(
        session.query(Dog).where((d) => d.name.eq("x")).select((d) => d.id).toSQL().text
          .includes("puppies"),
        "only tables of which a column is used are joined",
      );
      const page = await session.query(Dog).orderBy((d) => d.breed.desc()).page({ size: 1 });
      assertEquals(page.items.map((d) => d.breed), ["Pug"]);
      const rest = await session.query(Dog).orderBy((d) => d.breed.desc())
        .page({ size: 5, after: page.next });
      assertEquals(rest.items.map((d) => d.breed), ["Labrador", "Collie"]);
      // @ts-expect-error -- an owner is no pet
      assertThrows(() => session.query(Pet).ofType(Owner), InputError, "does not extend");
    });

    await test.step("get() gives one object for one key of the hierarchy", async () => {
      await using session = engine.session();
      const pip = await session.query(Puppy).one();
      const statements = await sent(engine, async () => {
        assertStrictEquals<unknown>(await session.get(Pet, pip.id), pip);
        assertStrictEquals<unknown>(await session.get(Dog, pip.id), pip);
        assertEquals(await session.get(Cat, pip.id), undefined);
      });
      assertEquals(statements, []);
      for (const entityClass of [Pet, Dog, Puppy]) {
        await using other = engine.session();
        const found = await other.getOrFail<Pet>(entityClass, pip.id);
        assert(found instanceof Puppy);
        assertEquals([found.weeks, found.breed], [7, "Pug"]);
      }
      await using other = engine.session();
      assertEquals(await other.get(Cat, pip.id), undefined);
      assertEquals(await other.get(GuideDog, pip.id), undefined);
      const kept = await other.getOrFail(Dog, pip.id);
      const reread = await sent(engine, () => other.refresh(kept));
      assertEquals(reread, ["select"]);
      other.expire(kept);
      assertStrictEquals<unknown>(await other.get(Pet, pip.id), kept);
    });

    await test.step("filters of a subclass", async () => {
      await using session = engine.session();
      await session.execute(update(Dog).set({ breed: "Unknown" }).where((d) => d.name.eq("Rex")));
      assertEquals(await session.query(Dog).count(), 2);
      assertEquals(await session.query(Dog).unfiltered("known").count(), 3);
      assertEquals(await session.query(Pet).ofType(Dog).count(), 2);
      assertEquals(await session.query(Pet).ofType(Dog).unfiltered("known").count(), 3);
      assertEquals(await session.query(Pet).count(), 5);
      // The filter is on a table beside the one that the relation leads to.
      const dogs = await session.query(Collar).select((c) => c.dog.breed).all();
      assertEquals(dogs, [null, null] as unknown[]);
      assertEquals(await session.query(Puppy).count(), 1);
      await session.execute(
        update(Dog).set({ breed: "Collie" }).unfiltered("known").where((d) => d.name.eq("Rex")),
      );
      assertThrows(() => session.query(Dog).unfiltered("\0dog"), InputError, "no filter");
    });
  },
);

eachEngine(
  "relations to and of joined classes load by every strategy",
  async ({ target, test }) => {
    await using engine = await open(target);

    await test.step("to the base class", async () => {
      for (const strategy of ["selectin", "joined"] as const) {
        await using session = engine.session();
        let owner!: Awaited<ReturnType<typeof load>>;
        const load = () => session.query(Owner)[strategy]("pets.tags").one();
        const statements = await sent(engine, async () => owner = await load());
        assertEquals(statements.length, strategy === "selectin" ? 3 : 1);
        assertEquals(owner.pets.map((p) => p.constructor.name), ["Pet", "Puppy", "Dog", "Cat"]);
        assertEquals(owner.pets[3]!.tags.map((t) => t.label), ["soft"]);
        const [pip, rex] = [owner.pets[1] as Puppy, owner.pets[2] as Dog];
        assertEquals([pip.weeks, rex.breed], [7, "Collie"]);
      }
    });

    await test.step("many to many, from the other side", async () => {
      for (const strategy of ["selectin", "joined"] as const) {
        await using session = engine.session();
        const tag = await session.query(Tag)[strategy]("pets").one();
        assert(tag.pets[0] instanceof Cat);
        assertEquals(tag.pets[0].lives, 9);
      }
    });

    await test.step("declared by a subclass, to the base class and to a subclass", async () => {
      for (const strategy of ["selectin", "joined"] as const) {
        await using session = engine.session();
        const dogs = await session.query(Dog)[strategy]("friend", "owner", "collars")
          .orderBy((d) => d.name).all();
        assertEquals(dogs.map((d) => d.friend?.constructor.name), ["Dog", undefined, "Cat"]);
        assertEquals(dogs.map((d) => d.collars.length), [0, 0, 2]);
        assertEquals(dogs.map((d) => d.owner?.name), [undefined, "Ada", "Ada"]);
        const collars = await session.query(Collar)[strategy]("dog.friend").all();
        assertStrictEquals(collars[0]!.dog, dogs[2]);
      }
      await using session = engine.session();
      const ada = await session.query(Owner).selectin(
        "dogs",
        (q) => q.orderBy((d) => d.breed.desc()),
      )
        .one();
      assertEquals(
        ada.dogs.map((d) => d.breed),
        ["Pug", "Collie"],
      );
      const few = await session.query(Owner)
        .selectin("pets", (q) => q.ofType(Dog).where((d) => d.breed.ne("Pug")).limit(3)).one();
      assertEquals(few.pets.map((d) => d.breed), ["Collie"]);
    });

    await test.step("lazily and afterwards, for objects of several classes at once", async () => {
      await using session = engine.session();
      const pets = await session.query(Pet).orderBy((p) => p.name).all();
      const names: (string | undefined)[] = [];
      const statements = await sent(engine, async () => {
        for (const pet of pets) names.push((await lazy(pet).owner)?.name);
      });
      assertEquals([names.length, statements], [5, ["select"]]);
      assertEquals(await sent(engine, () => session.load(pets, "tags")), ["select"]);
      const counted = await sent(engine, async () => {
        assertEquals([...(await session.counts(pets, "tags")).values()], [0, 0, 0, 0, 1]);
      });
      assertEquals(counted, ["select"]);
      const dogs = pets.filter((pet) => pet instanceof Dog);
      const friends = await sent(engine, async () => {
        for (const dog of dogs) await lazy(dog).friend;
      });
      assertEquals(friends.length, 1, "of those that have the relation");
    });

    await test.step("in conditions and columns", async () => {
      await using session = engine.session();
      const owners = session.query(Owner).where((o) => o.dogs.some((d) => d.breed.eq("Pug")));
      assertEquals(await owners.count(), 1);
      const rows = session.query(Collar).select((c) => ({
        breed: c.dog.breed,
        name: c.dog.name,
        friend: c.dog.friend.name,
      })).orderBy((c) => c.id).limit(1);
      assertEquals(await rows.all(), [{ breed: "Collie", name: "Rex", friend: "Tom" }]);
      const pairs = session.query(Collar)
        .join(Dog, (c, d) => d.id.eq(c.dogId).and(d.breed.eq("Collie")))
        .select((c, d) => ({ colour: c.colour, breed: d.breed })).orderBy((c) => c.colour);
      assertEquals((await pairs.all()).map((p) => p.colour), ["blue", "red"]);
      const left = session.query(Owner).leftJoin(Puppy, (o, p) => p.ownerId.eq(o.id))
        .select((o, p) => ({ owner: o.name, weeks: p.weeks }));
      assertEquals(await left.all(), [{ owner: "Ada", weeks: 7 }]);
      const { rows: found } = await session.execute(
        sql<
          { n: string }
        >`select ${Pet.c.name} as n from ${Dog} join ${Pet} on ${sql`${Dog.c.id} = "dogs"."id"`} where ${Dog.c.breed} = ${"Pug"}`,
      );
      assertEquals(found.map(({ n }) => n), ["Pip"]);
    });
  },
);

eachEngine(
  "objects of joined classes are stored, changed and deleted",
  async ({ target, test }) => {
    await using engine = await open(target);

    await test.step("the base's row first, with the generated key", async () => {
      await using session = engine.session();
      stored.length = 0;
      const dogs = [1, 2].map((n) => new Dog({ name: `D${n}`, breed: "Mix" }));
      const puppy = new Puppy({ name: "New", breed: "Mix", weeks: 1, friend: dogs[0]! });
      session.addAll([...dogs, puppy]);
      assertEquals(String(session.preview()).split("\n").map((line) => line.split(" (")[0]), [
        "insert Dog: 2 rows",
        "insert Dog: 2 rows",
        "insert Puppy: 1 row",
        "insert Puppy: 1 row",
        "insert Puppy: 1 row",
      ]);
      assertEquals(await sent(engine, () => session.commit()), [
        'insert into "pets"',
        'insert into "dogs"',
        'insert into "pets"',
        'insert into "dogs"',
        'insert into "puppies"',
      ]);
      assertEquals(stored.slice(0, 2), ["pet D1", "dog Mix"], "the hooks of the base first");
      assertEquals(puppy.friendId, dogs[0]!.id);
      await using other = engine.session();
      const read = await other.query(Puppy).where((p) => p.name.eq("New")).selectin("friend").one();
      assertEquals([read.weeks, read.breed, read.friend?.name, read.version], [1, "Mix", "D1", 1]);
    });

    await test.step("only the tables that something changed in", async () => {
      await using session = engine.session();
      const [pip, tom] = [
        await session.query(Puppy).where((p) => p.name.eq("Pip")).one(),
        await session.query(Cat).one(),
      ];
      pip.weeks = 8;
      // The version is the base's.
      assertEquals(await sent(engine, () => session.commit()), [
        'update "pets"',
        'update "puppies"',
      ]);
      assertEquals(pip.version, 2);
      tom.name = "Thomas";
      assertEquals(await sent(engine, () => session.commit()), ['update "pets"']);
      await using other = engine.session();
      const same = await other.getOrFail(Puppy, pip.id);
      assertEquals([same.weeks, same.version], [8, 2]);
      same.breed = "Terrier";
      await other.commit();
      pip.weeks = 9;
      await assertRejects(() => session.commit(), StaleDataError, "not Puppy");
      await session.refresh(pip);
      assertEquals([pip.breed, pip.weeks], ["Terrier", 8]);
    });

    await test.step("a rollback restores them", async () => {
      await using session = engine.session();
      const pip = await session.query(Dog).where((d) => d.name.eq("Pip")).one();
      const fresh = new Puppy({ name: "Gone", breed: "Pug", weeks: 3 });
      const failed = session.begin(async () => {
        pip.breed = "Poodle";
        pip.name = "Max";
        session.add(fresh);
        await session.flush();
        assertEquals(await session.query(Dog).where((d) => d.breed.eq("Poodle")).count(), 1);
        session.delete(pip);
        await session.flush();
        throw new Error("no");
      });
      await assertRejects(() => failed, Error, "no");
      assertEquals([pip.breed, pip.name, fresh.id as unknown], ["Terrier", "Pip", undefined]);
      assertEquals(session.dirty, []);
      assertStrictEquals<unknown>(await session.get(Pet, pip.id), pip);
    });

    await test.step("all rows are deleted, those of the subclass first", async () => {
      await using session = engine.session();
      const pip = await session.query(Puppy).where((p) => p.name.eq("Pip")).one();
      session.delete(pip);
      assertEquals(await sent(engine, () => session.commit()), [
        'delete from "puppies"',
        'delete from "dogs"',
        'delete from "pets"',
      ]);
      const rex = await session.query(Dog).where((d) => d.name.eq("Rex")).selectin("collars").one();
      const gus = await session.query(GuideDog).one();
      // Gus refers to Rex.
      session.delete(rex);
      session.delete(gus);
      await session.commit();
      assertEquals(await session.query(Collar).count(), 0);
      assertEquals(await session.query(Dog).count(), 3);
    });

    await test.step("a row and a unique value change hands within one flush", async () => {
      await using session = engine.session();
      const one = new Dog({ name: "One", breed: "Pug", chip: 77n });
      session.add(one);
      await session.commit();
      session.delete(one);
      session.add(new Puppy({ name: "Two", breed: "Pug", chip: 77n, weeks: 2 }));
      await session.commit();
      assertEquals(
        await session.query(Dog).where((d) => d.chip.eq(77n)).select((d) => d.name).scalar(),
        "Two",
      );
      await using other = engine.session();
      other.add(new Dog({ name: "Bad", breed: "" }));
      await assertRejects(() => other.commit(), IntegrityError);
    });

    await test.step("merge, toJSON and batches", async () => {
      await using session = engine.session();
      const two = await session.query(Puppy).where((p) => p.name.eq("Two")).selectin("friend")
        .one();
      assertEquals(JSON.parse(JSON.stringify(two)).chip, "77");
      await using other = engine.session();
      const loaded = await other.getOrFail(Puppy, two.id);
      loaded.weeks = 20;
      loaded.name = "Twenty";
      const merged = await session.merge(loaded);
      assertStrictEquals<unknown>(merged, two);
      assertEquals(await sent(engine, () => session.commit()), [
        'update "pets"',
        'update "puppies"',
      ]);
      const lengths: number[] = [];
      for await (
        const dog of session.query(Dog).orderBy((d) => d.breed).commitEvery(2, {
          onCommit: ({ rows }) => void lengths.push(rows),
        })
      ) dog.chip = BigInt(dog.id);
      assertEquals(lengths.at(-1), 4);
      assertEquals(
        await session.query(Dog).where((d) => d.chip.eq(d.id.cast("bigint"))).count(),
        4,
      );
    });
  },
);

eachEngine(
  "statements and bulk calls know the tables of a joined class",
  async ({ target, test }) => {
    await using engine = await open(target);
    await using session = engine.session();

    await test.step("update() and deleteFrom()", async () => {
      const older = update(Puppy).set((p) => ({ weeks: p.weeks.add(1) }))
        .where((p) => p.breed.eq("Pug").and(p.name.eq("Pip"))).returning((p) => ({
          id: p.id,
          weeks: p.weeks,
        }));
      assertEquals((await session.execute(older)).rows.map(({ weeks }) => weeks), [8]);
      const renamed = await session.execute(
        update(Dog).set({ name: "Dog" }).where((d) => d.breed.eq("Pug")),
      );
      assertEquals(renamed.rowCount, 1);
      assertEquals((await session.execute(update(Dog).set({ name: "Any" }).all())).rowCount, 3);
      assertThrows(() => update(Dog).set({ name: "x", breed: "y" }), InputError, "two tables");
      assertThrows(
        () => update(Dog).set((d) => ({ breed: d.name })),
        InputError,
        "not in the table",
      );
      assertThrows(() => insert(Dog), InputError, "one table");
      assertEquals(
        (await session.execute(update(Pet).set({ name: "Base" }).where((p) => p.kind.eq("cat"))))
          .rowCount,
        1,
      );
      const gone = deleteFrom(Puppy).where((p) => p.weeks.gt(7)).returning((p) => p.id);
      assertEquals((await session.execute(gone)).rows.length, 1);
      const { rows } = await session.execute(
        sql<{ n: number }>`select ${sql`count(*)`.typed("integer")} as n from puppies`,
      );
      assertEquals(Number(rows[0]!.n), 0, "the foreign key saw to it");
    });

    await test.step("bulk calls", async () => {
      const dogs = await session.query(Dog).orderBy((d) => d.breed).select((d) => ({
        id: d.id,
        breed: d.breed,
      })).all();
      assertEquals(dogs.map((d) => d.breed), ["Collie", "Labrador"]);
      const rows = dogs.map(({ id }, i) => ({ id, breed: `B${i}`, name: `N${i}` }));
      const statements = await sent(engine, async () => {
        assertEquals(await session.bulkUpdate(Dog, rows), 2);
      });
      assertEquals(statements, ['update "pets"', 'update "dogs"']);
      assertEquals(
        await session.query(Dog).where((d) => d.breed.eq("B1").and(d.name.eq("N1"))).count(),
        1,
      );
      await assertRejects(
        () => session.bulkInsert(Dog, [{ name: "a", breed: "b" }]),
        InputError,
        "addAll",
      );
      await session.bulkInsert(Pet, [{ name: "Plain" }]);
      assertEquals(
        await session.query(Pet).where((p) => p.name.eq("Plain")).select((p) => p.kind).scalar(),
        "pet",
      );
      await session.execute(update(Dog).set({ friendId: null }).all());
      assertEquals(await session.bulkDelete(Dog, dogs.map(({ id }) => id)), 2);
      assertEquals(await session.query(Dog).count(), 0);
    });

    await test.step("rows of a class that is not listed", async () => {
      await dropAll(engine);
      await createAll(engine);
      await session.execute(
        sql`insert into pets (kind, name, version) values (${"puppy"}, ${"Pip"}, 1)`,
      );
      await session.close();
      await engine.dispose();
      await using some = new AsyncEngine(target, {
        entities: [Owner, Tag, Pet, Cat, Dog, Collar],
      });
      await using other = some.session();
      await assertRejects(() => other.query(Pet).all(), DecodeError, "does not know");
      await assertRejects(
        () => other.query(Dog).unfiltered("known").all(),
        DecodeError,
        "does not know",
      );
    });
  },
  { sqliteFile: true },
);

Deno.test("mistakes with joined classes are told", async () => {
  const problems = async (entities: (new (...args: never[]) => object)[]) => {
    await using engine = new AsyncEngine("sqlite::memory:", { entities });
    return (await assertRejects(() => createAll(engine), MappingError)).problems;
  };
  class Base extends entity("bases", {
    id: integer().primaryKey().generated(),
    kind: text().discriminator(),
    name: text(),
  }) {}
  class Twice extends subclass(Base, "twice", { x: text() }, { table: "bases" }) {}
  assertEquals(await problems([Base, Twice]), [
    `Twice and Base map the same table "bases"; map it once`,
  ]);
  class Wrong extends subclass(Base, "wrong", {
    ref: integer().references("wrongs.name"),
    key: text().column("id"),
  }, { table: "wrongs", unique: [["name", "ref"]], indexes: [["nme" as "name"]] }) {}
  assertEquals(await problems([Base, Wrong]), [
    `"key" and "id" of Wrong are both the column "id"; rename one with .column("…")`,
    `"wrongs.ref" references "wrongs.name": "name" of Wrong is a column of the table of Base, and ` +
    `not of its own; name it there`,
    `A unique constraint of Wrong: "name" of Wrong is a column of the table of Base, and not of its own; ` +
    `name it there`,
    `An index of Wrong: Wrong has no column "nme". Did you mean "name"? ` +
    `Known: "id", "kind", "name", "ref", "key"`,
  ]);
  class Upper extends subclass(Base, "upper", {}) {}
  class Lower extends subclass(Upper, "lower", { x: text() }) {}
  class Other extends subclass(Base, "other", { x: text() }) {}
  assertEquals(await problems([Base, Lower]), [
    `Lower is a subclass, and "entities" lacks what it extends; add it`,
  ]);
  assertEquals(await problems([Lower, Upper, Base, Other]), [
    `Several classes of the table "bases" declare the column "x"; rename one with .column("…")`,
  ]);
  assertThrows(() => subclass(Base, "x", { v: integer().version() }), InputError, "version()");
  assertThrows(() => subclass(Base, "x", {}, { key: "id" }), InputError, "no table");
  assertThrows(
    () => subclass(Base, "x", {}, { table: "x", key: ["a", "b"] }),
    InputError,
    "2 columns",
  );
  // @ts-expect-error -- no such option
  assertThrows(() => subclass(Base, "x", {}, { readOnly: true }), InputError, "readOnly");
  await using engine = new AsyncEngine("sqlite::memory:", { entities: [Base, Upper] });
  await createAll(engine);
  await using session = engine.session();
  session.add(new Base({ name: "a" }));
  await assertRejects(() => session.commit(), InputError, "subclasses only");
});
