import { assertEquals } from "@std/assert";
import {
  AsyncEngine,
  createAll,
  embedded,
  entity,
  inspect,
  instant,
  integer,
  json,
  manyToMany,
  numeric,
  real,
  sql,
  text,
  timestamptz,
} from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";
import {
  Author,
  authors,
  type Book,
  Category,
  openLibrary,
  sent,
} from "../support/library_model.ts";

class Sheet extends entity("sheets", {
  id: integer().primaryKey(),
  tags: text().array(),
  grid: integer().array().array().nullable(),
  notes: json<{ deep: { list: number[] } }[]>(),
  days: timestamptz().array().nullable(),
  at: instant().nullable(),
  price: numeric(10, 2).nullable(),
  ratio: real().nullable(),
  place: embedded({ city: text(), spots: integer().array() }),
}) {}

eachEngine(
  "an edit at any depth is noticed, and one that changes nothing is not",
  async (context) => {
    await using engine = new AsyncEngine(context.target, { entities: [Sheet] });
    await createAll(engine);
    await using session = engine.session();
    session.add(
      new Sheet({
        id: 1,
        tags: ["a", "b"],
        grid: [[1, 2], [3, 4]],
        notes: [{ deep: { list: [1] } }],
        days: [new Date(0)],
        at: Temporal.Instant.from("2026-01-01T00:00:00.000001Z"),
        price: "1.50",
        ratio: 0.5,
        place: { city: "x", spots: [1] },
      }),
    );
    await session.commit();

    // As it was written, and as it is read.
    const step = async (name: string) => {
      const [sheet] = await session.query(Sheet).all() as [Sheet];
      const edits: [string, () => void][] = [
        ["tags", () => sheet.tags.push("c")],
        ["tags", () => sheet.tags.reverse()],
        ["grid", () => sheet.grid![1]![0] = 5 + sheet.grid![1]![0]!],
        ["notes", () => sheet.notes[0]!.deep.list.push(2)],
        ["days", () => sheet.days![0]!.setUTCDate(9 + sheet.days![0]!.getUTCDate())],
        ["at", () => sheet.at = sheet.at!.add({ microseconds: 1 })],
        ["price", () => sheet.price = "1.51"],
        ["ratio", () => sheet.ratio = -0],
        ["place.city", () => sheet.place.city += "!"],
        ["place.spots", () => sheet.place.spots.push(2)],
        ["place.spots", () => sheet.place = { ...sheet.place, spots: [7] }],
      ];
      for (const [property, edit] of edits) {
        edit();
        assertEquals(Object.keys(inspect(sheet).fields), [property], `${name}: ${property}`);
        const statements = await sent(engine, () => session.commit());
        assertEquals(statements.length, 1, property);
        const before = structuredClone({ ...sheet, at: String(sheet.at) });
        await session.refresh(sheet);
        assertEquals({ ...sheet, at: String(sheet.at) }, before);
      }
      const same: (() => void)[] = [
        () => sheet.tags = [...sheet.tags],
        () => sheet.grid = structuredClone(sheet.grid),
        () => sheet.notes = structuredClone(sheet.notes),
        () => sheet.days = sheet.days!.map((day) => new Date(day)),
        () => sheet.at = Temporal.Instant.from(String(sheet.at)),
        () => sheet.place = structuredClone(sheet.place),
        () => sheet.tags.push(sheet.tags.pop()!),
      ];
      for (const edit of same) {
        edit();
        assertEquals(session.dirty, [], String(edit));
      }
      await engine.execute(sql`update sheets set price = '1.50', ratio = 0.5`);
      session.expunge(sheet);
    };
    await step("as written");
    await step("as read");
  },
);

class Tagged extends entity("tagged", {
  id: integer().primaryKey(),
  labels: manyToMany<Label>("tagged_labels", { target: "labels" }),
}) {}

class Label extends entity("labels", { id: integer().primaryKey() }) {}

eachEngine(
  "a thousand changes of three classes, and a thousand links, cost a handful",
  async (c) => {
    const few = c.engineName !== "sqlite";
    {
      await using engine = await openLibrary(c.target);
      await using session = engine.session();
      const all = authors(300, 1);
      session.addAll(all);
      session.addAll(Array.from({ length: 400 }, (_, i) => new Category({ name: `${i}` })));
      await session.commit();
      const categories = await session.query(Category).all();
      for (const author of all) {
        author.name += "!";
        (author.books as Book[])[0]!.title += "!";
      }
      for (const category of categories) category.name += "!";
      assertEquals(session.dirty.length, 1_000);
      const statements = await sent(engine, () => session.commit());
      // SQLite has no arrays: VALUES, in powers of two.
      if (few) assertEquals(statements.length, 3);
      else assertEquals(statements.length < 15, true, `${statements.length}`);
      assertEquals(await session.query(Author).where((a) => a.name.like("%!")).count(), 300);
    }
    await using engine = new AsyncEngine(c.target, { entities: [Tagged, Label] });
    await createAll(engine);
    await using session = engine.session();
    const labels = Array.from({ length: 100 }, (_, id) => new Label({ id }));
    const tagged = Array.from({ length: 10 }, (_, id) => new Tagged({ id, labels: [] }));
    session.addAll([...labels, ...tagged]);
    await session.commit();
    for (const each of tagged) (each.labels as Label[]).push(...labels);
    const added = await sent(engine, () => session.commit());
    if (few) assertEquals(added.length, 1);
    else assertEquals(added.length < 10, true, `${added.length}`);
    for (const each of tagged) (each.labels as Label[]).length = 0;
    const removed = await sent(engine, () => session.commit());
    if (few) assertEquals(removed.length, 1);
    const { rows } = await engine.execute(
      sql<{ n: number }>`select count(*) as n from tagged_labels`,
    );
    assertEquals(Number(rows[0]!.n), 0);
  },
);
