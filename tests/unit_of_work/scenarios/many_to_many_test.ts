/** Links over a table between: after SQLAlchemy's suites. */

import { assertEquals, assertRejects } from "@std/assert";
import {
  type AsyncSession,
  belongsTo,
  boolean,
  entity,
  hasMany,
  InputError,
  inspect,
  integer,
  manyToMany,
  sql,
  text,
} from "@sluice/orm";
import { sent } from "../../support/library_model.ts";
import { members, scenarios } from "./support.ts";

class Item extends entity("items", {
  id: integer().primaryKey().generated(),
  name: text(),
  words: manyToMany<Word>("item_words", { orderBy: "name" }),
  tags: manyToMany<Tag>("item_tags", { target: "tags", orderBy: "id" }),
}) {}

class Word extends entity("words", {
  id: integer().primaryKey().generated(),
  name: text(),
  items: manyToMany<Item>("item_words", { orderBy: "name" }),
}) {}

class Tag extends entity("tags", {
  id: integer().primaryKey().generated(),
}) {}

/** A table between with a column more, which has a default. */
class ItemTag extends entity("item_tags", {
  itemId: integer().primaryKey().references("items.id"),
  tagId: integer().primaryKey().references("tags.id"),
  shown: boolean().default(true),
}) {}

/** Two kinds of links between the same classes, and places that lead to places. */
class Place extends entity("places", {
  id: integer().primaryKey().generated(),
  name: text(),
  places: manyToMany<Place>("place_places", {
    target: "places",
    from: "here_id",
    to: "there_id",
    orderBy: "name",
  }),
  startOf: manyToMany<Way>("way_inputs", { orderBy: "name" }),
  endOf: manyToMany<Way>("way_outputs", { orderBy: "name" }),
}) {}

class Way extends entity("ways", {
  id: integer().primaryKey().generated(),
  name: text(),
  inputs: manyToMany<Place>("way_inputs", { orderBy: "name" }),
  outputs: manyToMany<Place>("way_outputs", { orderBy: "name" }),
}) {}

/** Keys of text. */
class Student extends entity("students", {
  name: text().primaryKey(),
  courses: manyToMany<Course>("enrolments", { orderBy: "name" }),
}) {}

class Course extends entity("courses", {
  name: text().primaryKey(),
  students: manyToMany<Student>("enrolments", { orderBy: "name" }),
}) {}

/** A table between that is an entity of its own, with its own relations. */
class Order extends entity("orders", {
  id: integer().primaryKey().generated(),
  name: text(),
  lines: hasMany<Line>("lines.orderId", { cascade: "all-orphans", orderBy: "position" }),
}) {}

class Product extends entity("products", {
  id: integer().primaryKey().generated(),
  name: text(),
  lines: hasMany<Line>("lines.productId", { orderBy: "orderId" }),
}) {}

class Line extends entity("lines", {
  orderId: integer().primaryKey().references("orders.id"),
  productId: integer().primaryKey().references("products.id"),
  position: integer(),
  order: belongsTo<Order>("orderId"),
  product: belongsTo<Product>("productId"),
}) {}

const ENTITIES = [Item, Word, Tag, ItemTag, Place, Way, Student, Course, Order, Product, Line];

const links = (session: AsyncSession): Promise<number> => countOf(session, "item_words");

async function countOf(session: AsyncSession, table: string): Promise<number> {
  const { rows } = await session.execute(
    sql<{ n: number }>`select cast(count(*) as integer) as n from ${sql.raw(table)}`,
  );
  return rows[0]!.n;
}

const item = (name: string, words: Word[] = []): Item => new Item({ name, words, tags: [] });
const word = (name: string): Word => new Word({ name, items: [] });

scenarios("many to many: links come and go", ENTITIES, (scenario) => {
  scenario(
    "many objects and their links are stored in a handful of statements",
    async (context) => {
      const { session, engine, engineName } = context;
      const words = new Map<string, Word>();
      const named = (name: string): Word => {
        if (!words.has(name)) words.set(name, word(name));
        return words.get(name)!;
      };
      const data: [string, string[]][] = [
        ["1", ["big", "green", "purple", "round"]],
        ["2", ["blue", "imnew", "round", "small"]],
        ["3", []],
        ["4", ["big", "blue"]],
        ["5", ["big", "exacting", "green"]],
        ["6", ["red", "round", "small"]],
      ];
      const items = data.map(([name, names]) => item(name, names.map(named)));
      session.addAll(items);
      const statements = await sent(engine, () => session.commit());
      if (engineName !== "sqlite") assertEquals(statements.length, 3);
      await using other = engine.session();
      const found = await other.query(Item).orderBy((i) => i.name.asc()).selectin("words").all();
      assertEquals(found.map((i) => [i.name, i.words.map((w) => w.name)]), data);

      const yellow = word("yellow");
      items[4]!.name = "5 changed";
      members(items[5]!.words).push(yellow);
      const next = await sent(engine, () => session.commit());
      assertEquals(next.map((text) => text.split(" ", 1)[0]), ["insert", "update", "insert"]);
      members(items[2]!.words).push(yellow);
      members(items[5]!.words).splice(1, 1);
      const last = await sent(engine, () => session.commit());
      assertEquals(last.map((text) => text.split(" ", 1)[0]), ["delete", "insert"]);
      session.delete(items[3]!);
      await session.commit();
      assertEquals(await links(session), 15);
    },
  );

  scenario("an emptied array removes all links, however it is emptied", async ({ session }) => {
    const one = item("i", [word("1"), word("2")]);
    session.add(one);
    await session.commit();
    assertEquals(await links(session), 2);
    one.words = [];
    await session.commit();
    assertEquals(await links(session), 0);
    members(one.words).push(word("3"));
    await session.commit();
    members(one.words).length = 0;
    await session.commit();
    assertEquals([await links(session), await session.query(Word).count()], [0, 3]);
  });

  scenario("an array that is replaced by a part of itself removes the rest", async (context) => {
    const { session, engine } = context;
    const words = ["1", "2", "3"].map(word);
    const one = item("i", words);
    session.add(one);
    await session.commit();
    one.words = [];
    members(one.words).push(words[0]!, words[1]!);
    assertEquals((await sent(engine, () => session.commit())).length, 1);
    await using other = engine.session();
    const found = await other.query(Item).selectin("words").one();
    assertEquals(found.words.map((w) => w.name), ["1", "2"]);
  });

  scenario("an array of the same members in another order says nothing", async (context) => {
    const { session, engine } = context;
    const one = item("i", ["1", "2", "3"].map(word));
    session.add(one);
    await session.commit();
    members(one.words).reverse();
    assertEquals(await sent(engine, () => session.commit()), []);
    one.words = [...members(one.words)].sort((a, b) => a.name < b.name ? -1 : 1);
    assertEquals(await sent(engine, () => session.commit()), []);
  });

  scenario("a link taken away and put back says nothing", async ({ session, engine }) => {
    const one = item("i", [word("1")]);
    session.add(one);
    await session.commit();
    const [first] = members(one.words).splice(0);
    members(one.words).push(first!);
    assertEquals(await sent(engine, () => session.commit()), []);
  });

  scenario("a member that is there twice is one link", async ({ session, engine }) => {
    const w = word("1");
    const one = item("i", [w, w]);
    session.add(one);
    await session.commit();
    assertEquals(await links(session), 1);
    members(one.words).push(w);
    assertEquals(await sent(engine, () => session.commit()), []);
    one.words = [];
    await session.commit();
    assertEquals(await links(session), 0);
  });

  scenario("an object without links is stored and deleted", async ({ session, engine }) => {
    const one = item("i");
    session.add(one);
    assertEquals((await sent(engine, () => session.commit())).length, 1);
    session.delete(one);
    assertEquals((await sent(engine, () => session.commit())).length, 1);
  });

  scenario("a collection that is not loaded is left alone", async ({ session, engine }) => {
    session.add(item("i", [word("1")]));
    await session.commit();
    await using other = engine.session();
    const one = await other.query(Item).one();
    one.name = "changed";
    assertEquals((await sent(engine, () => other.commit())).length, 1);
    assertEquals(await links(other), 1);
  });

  scenario("an object whose collection is not loaded takes its links along", async (context) => {
    const { session, engine } = context;
    session.add(item("i", [word("1"), word("2")]));
    await session.commit();
    await using other = engine.session();
    other.delete(await other.query(Item).one());
    await other.commit();
    assertEquals([await links(other), await other.query(Word).count()], [0, 2]);
  });

  scenario("a link that somebody else removed, or added, is no matter", async (context) => {
    const { session } = context;
    const [w1, w2] = [word("1"), word("2")];
    const one = item("i", [w1]);
    session.addAll([one, w2]);
    await session.commit();
    await session.execute(sql`delete from item_words`);
    await session.execute(
      sql`insert into item_words (item_id, word_id) values (${one.id}, ${w2.id})`,
    );
    one.words = [w2];
    await session.commit();
    assertEquals(await links(session), 1);
  });
});

scenarios("many to many: both sides", ENTITIES, (scenario) => {
  scenario("both sides say the same link, and it is stored once", async ({ session }) => {
    const [one, w] = [item("i"), word("w")];
    members(one.words).push(w);
    members(w.items).push(one);
    session.add(one);
    await session.commit();
    assertEquals(await links(session), 1);
  });

  scenario("the other side follows where it is loaded", async ({ session }) => {
    const [one, w] = [item("i"), word("w")];
    session.addAll([one, w]);
    await session.commit();
    members(one.words).push(w);
    await session.commit();
    assertEquals(members(w.items), [one]);
    members(w.items).pop();
    await session.commit();
    assertEquals([members(one.words), await links(session)], [[], 0]);
  });

  scenario(
    "links from both sides meet in two relations between the same classes",
    async (context) => {
      const { session, engine } = context;
      const [t1, t2, t3] = ["t1", "t2", "t3"].map((name) =>
        new Way({ name, inputs: [], outputs: [] })
      ) as [Way, Way, Way];
      const [p1, p2, p3] = ["p1", "p2", "p3"].map((name) =>
        new Place({ name, places: [], startOf: [], endOf: [] })
      ) as [Place, Place, Place];
      members(t1.inputs).push(p1, p2);
      members(t1.outputs).push(p3);
      members(t2.inputs).push(p1);
      members(p2.startOf).push(t2);
      members(p3.startOf).push(t2);
      members(p1.endOf).push(t1);
      session.addAll([t1, t2, t3, p1, p2, p3]);
      await session.commit();
      assertEquals(new Set(members(t1.outputs)), new Set([p3, p1]));
      await using other = engine.session();
      const ways = await other.query(Way).orderBy((w) => w.name.asc())
        .selectin("inputs", "outputs").all();
      assertEquals(ways.map((w) => [w.inputs.map((p) => p.name), w.outputs.map((p) => p.name)]), [
        [["p1", "p2"], ["p1", "p3"]],
        [["p1", "p2", "p3"], []],
        [[], []],
      ]);
      const places = await other.query(Place).orderBy((p) => p.name.asc()).selectin("startOf")
        .all();
      assertEquals(places.map((p) => p.startOf.map((w) => w.name)), [
        ["t1", "t2"],
        ["t1", "t2"],
        ["t2"],
      ]);
    },
  );

  scenario("a table that links a class with itself, in rings", async ({ session, engine }) => {
    const places = [1, 2, 3, 4, 5, 6, 7].map((n) => new Place({ name: `${n}`, places: [] }));
    const paths: Record<number, number[]> = {
      1: [2, 3, 5],
      3: [4],
      4: [3],
      5: [6],
      6: [1],
      7: [1],
    };
    for (const [from, to] of Object.entries(paths)) {
      places[Number(from) - 1]!.places = to.map((n) => places[n - 1]!);
    }
    session.addAll(places);
    await session.commit();
    await using other = engine.session();
    const found = await other.query(Place).orderBy((p) => p.name.asc()).selectin("places").all();
    assertEquals(
      found.map((p) => p.places.map((q) => Number(q.name))),
      [1, 2, 3, 4, 5, 6, 7].map((n) => paths[n] ?? []),
    );
    for (const place of found) other.delete(place);
    await other.commit();
    assertEquals([await other.query(Place).count(), await countOf(other, "place_places")], [0, 0]);
  });

  scenario("a place leads to itself", async ({ session }) => {
    const place = new Place({ name: "here" });
    place.places = [place];
    session.add(place);
    await session.commit();
    assertEquals(await countOf(session, "place_places"), 1);
    place.places = [];
    await session.commit();
    assertEquals(await countOf(session, "place_places"), 0);
  });

  scenario("keys of text, and links from either side", async ({ session, engine }) => {
    const student = new Student({ name: "s1", courses: [] });
    const [c1, c2, c3] = ["c1", "c2", "c3"].map((name) => new Course({ name, students: [] })) as [
      Course,
      Course,
      Course,
    ];
    members(student.courses).push(c1, c2);
    members(c3.students).push(student);
    session.addAll([student, c3]);
    await session.commit();
    assertEquals(members(student.courses).length, 3);
    assertEquals(members(c1.students), [student]);
    await using other = engine.session();
    const found = await other.getOrFail(Student, "s1");
    const [loaded] = await other.load([found], "courses");
    loaded!.courses.splice(1, 1);
    await other.commit();
    assertEquals(await countOf(other, "enrolments"), 2);
    other.delete(found);
    await other.commit();
    assertEquals([await countOf(other, "enrolments"), await other.query(Course).count()], [0, 3]);
  });

  scenario("a deleted object leaves the collections of the other side", async ({ session }) => {
    const [w1, w2] = [word("1"), word("2")];
    const [a, b] = [item("a", [w1, w2]), item("b", [w1])];
    session.addAll([a, b]);
    await session.commit();
    session.delete(w1);
    await session.commit();
    assertEquals([members(a.words), members(b.words)], [[w2], []]);
    assertEquals([session.dirty, await links(session)], [[], 1]);
  });

  scenario(
    "a deleted object whose side is not loaded leaves the other side, too",
    async (context) => {
      const { session, engine } = context;
      session.add(item("a", [word("1"), word("2")]));
      await session.commit();
      await using other = engine.session();
      const found = await other.query(Item).selectin("words").one();
      other.delete(found.words[0]!);
      await other.commit();
      assertEquals(found.words.map((w) => w.name), ["2"]);
      assertEquals(await sent(engine, () => other.commit()), []);
    },
  );

  scenario("an object is unlinked and deleted in one commit", async ({ session }) => {
    const w = word("1");
    const one = item("a", [w]);
    session.add(one);
    await session.commit();
    one.words = [];
    session.delete(w);
    await session.commit();
    assertEquals([await links(session), await session.query(Word).count()], [0, 0]);
  });

  scenario(
    "a link to an object that is deleted in the same commit is not stored",
    async (context) => {
      const { session } = context;
      const [one, w] = [item("a"), word("1")];
      session.addAll([one, w]);
      await session.commit();
      members(one.words).push(w);
      session.delete(w);
      await session.commit();
      assertEquals([await links(session), members(one.words)], [0, []]);
    },
  );

  scenario("a rollback brings links and both collections back", async ({ session }) => {
    const [w1, w2] = [word("1"), word("2")];
    const one = item("a", [w1]);
    session.addAll([one, w2]);
    await session.commit();
    await assertRejects(
      () =>
        session.begin(async () => {
          one.words = [w2];
          await session.flush();
          assertEquals([members(w1.items), members(w2.items)], [[], [one]]);
          session.delete(w2);
          await session.flush();
          throw new Error("undone");
        }),
      Error,
      "undone",
    );
    assertEquals([members(one.words), members(w1.items), members(w2.items)], [[w1], [one], []]);
    assertEquals([inspect(w2).state, await links(session)], ["persistent", 1]);
    one.words = [w2];
    await session.commit();
    assertEquals([members(w1.items), members(w2.items)], [[], [one]]);
  });

  scenario("a thousand links are added and removed in one statement each", async (context) => {
    const { session, engine, engineName } = context;
    const words = Array.from({ length: 100 }, (_, i) => word(`${i}`));
    const items = Array.from({ length: 10 }, (_, i) => item(`${i}`));
    session.addAll([...words, ...items]);
    await session.commit();
    for (const each of items) members(each.words).push(...words);
    const added = await sent(engine, () => session.commit());
    assertEquals(await links(session), 1000);
    for (const each of items) members(each.words).splice(50);
    const removed = await sent(engine, () => session.commit());
    assertEquals(await links(session), 500);
    if (engineName !== "sqlite") assertEquals([added.length, removed.length], [1, 1]);
  });
});

scenarios("many to many: tables between with more in them", ENTITIES, (scenario) => {
  scenario(
    "links with a column more get its default, and go without a word of it",
    async (context) => {
      const { session } = context;
      const one = new Item({ name: "i", tags: [new Tag({}), new Tag({})] });
      session.add(one);
      await session.commit();
      assertEquals(await session.query(ItemTag).select((l) => l.shown).all(), [true, true]);
      one.tags = [];
      await session.commit();
      assertEquals(await session.query(ItemTag).count(), 0);
    },
  );

  scenario("association objects join two sides, each with its own place", async (context) => {
    const { session, engine } = context;
    const products = new Map(
      ["big", "green", "round", "huge", "blue"].map((name) => [name, new Product({ name })]),
    );
    const order = (name: string, ...names: string[]) =>
      new Order({
        name,
        lines: names.map((product, position) =>
          new Line({ product: products.get(product)!, position })
        ),
      });
    session.addAll([
      order("1", "round", "big", "green"),
      order("2", "huge", "blue"),
      order("3", "big", "blue"),
    ]);
    await session.commit();
    await using other = engine.session();
    const found = await other.query(Order).orderBy((o) => o.name.asc())
      .selectin("lines.product").all();
    assertEquals(found.map((o) => o.lines.map((l) => l.product.name)), [
      ["round", "big", "green"],
      ["huge", "blue"],
      ["big", "blue"],
    ]);
  });

  scenario(
    "an association object is changed, replaced and removed",
    async ({ session, engine }) => {
      const [p1, p2] = [
        new Product({ name: "1", lines: [] }),
        new Product({ name: "2", lines: [] }),
      ];
      const line = new Line({ product: p1, position: 1 });
      const order = new Order({ name: "o", lines: [line] });
      session.addAll([order, p2]);
      await session.commit();
      line.position = 2;
      const [update] = await sent(engine, () => session.commit());
      assertEquals(
        /set "position" = \S+ (from.*)?where|"position" = v/.test(update!),
        true,
        update,
      );
      order.lines = [
        new Line({ product: p1, position: 3 }),
        new Line({ product: p2, position: 4 }),
      ];
      await session.commit();
      const stored = session.query(Line).orderBy((l) => l.productId.asc()).select((l) =>
        l.position
      );
      assertEquals(await stored.all(), [3, 4]);
      assertEquals(inspect(line).state, "detached");
      assertEquals(members(p1.lines).map((l) => l.position), [3]);
      members(order.lines).pop();
      await session.commit();
      assertEquals([await stored.all(), members(p2.lines)], [[3], []]);
      session.delete(order);
      await session.commit();
      assertEquals([await stored.all(), await session.query(Product).count()], [[], 2]);
    },
  );

  scenario("an association object without one of its sides is refused", async (context) => {
    const { session, engine } = context;
    const order = new Order({ name: "o", lines: [new Line({ position: 1 })] });
    session.add(order);
    const statements = await sent(
      engine,
      () => assertRejects(() => session.commit(), InputError, "lines.productId"),
    );
    assertEquals(statements, []);
  });

  scenario(
    "an association object moves to another of its sides: its key changes",
    async (context) => {
      const { session, engine } = context;
      const [p1, p2] = [
        new Product({ name: "1", lines: [] }),
        new Product({ name: "2", lines: [] }),
      ];
      const line = new Line({ product: p1, position: 1 });
      session.addAll([new Order({ name: "o", lines: [line] }), p2]);
      await session.commit();
      line.product = p2;
      assertEquals((await sent(engine, () => session.commit())).length, 1);
      assertEquals([line.productId, members(p1.lines), members(p2.lines)], [p2.id, [], [line]]);
      const { orderId, productId } = line;
      assertEquals(await session.get(Line, { orderId, productId }), line);
    },
  );
});
