import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import {
  AsyncEngine,
  belongsTo,
  createAll,
  deleteFrom,
  type Driver,
  entity,
  ForeignKeyViolationError,
  hasMany,
  insert,
  inspect,
  integer,
  NotLoadedError,
  sql,
  text,
  update,
  type With,
} from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";
import { sent } from "../support/library_model.ts";

class Shelf extends entity("shelves", {
  code: text().primaryKey(),
  label: text(),
  volumes: hasMany<Volume>("volumes.shelfCode"),
}) {}

class Volume extends entity("volumes", {
  id: integer().primaryKey(),
  title: text(),
  pages: integer().default(1),
  notes: text().nullable().deferred(),
  version: integer().version(),
  shelfCode: text().nullable()
    .references("shelves.code", { onDelete: "set null", onUpdate: "cascade" }),
  shelf: belongsTo<Shelf | null>("shelfCode"),
  marks: hasMany<Mark>("marks.volumeId"),
}) {}

class Mark extends entity("marks", {
  volumeId: integer().primaryKey().references("volumes.id", { onDelete: "cascade" }),
  page: integer().primaryKey(),
  volume: belongsTo<Volume>("volumeId"),
}) {}

async function open(target: string | Driver) {
  const engine = new AsyncEngine(target, { entities: [Shelf, Volume, Mark] });
  await createAll(engine);
  await using session = engine.session();
  await session.bulkInsert(Shelf, ["a", "b"].map((code) => ({ code, label: code })));
  await session.bulkInsert(
    Volume,
    [1, 2, 3].map((id) => ({ id, title: `t${id}`, notes: "n", shelfCode: "a" })),
  );
  await session.bulkInsert(Mark, [{ volumeId: 1, page: 7 }, { volumeId: 3, page: 7 }]);
  return engine;
}

const loaded = (engine: AsyncEngine) => {
  const session = engine.session({ onUnflushedClose: "ignore" });
  const volumes = session.query(Volume).orderBy((v) => v.id.asc()).selectin("shelf", "marks").all();
  return { session, volumes };
};

eachEngine(
  "objects follow an update by query, and keep what is not stored yet",
  async (context) => {
    await using engine = await open(context.target);
    const begun = loaded(engine);
    await using session = begun.session;
    const [one, two, three] = await begun.volumes as [Volume, Volume, Volume];
    two.title = "mine";
    two.pages = 20;
    const statements = await sent(
      engine,
      () => session.execute(update(Volume).set({ pages: 9 }).where((v) => v.id.in([1, 2]))),
    );
    assertEquals(statements.length, 2);
    assertEquals([one.pages, two.pages, three.pages], [9, 20, 1]);
    assertEquals([one.version, two.version, three.version], [2, 2, 1]);
    assertEquals(inspect(two).fields, {
      title: { old: "t2", new: "mine" },
      pages: { old: 9, new: 20 },
    });
    assertEquals(session.dirty, [two]);
    // Its version is that of the statement: this is no lost update.
    await session.commit();
    const { rows } = await engine.execute(
      sql`select title, pages, version from volumes where id = 2`,
    );
    assertEquals(rows as unknown[], [{ title: "mine", pages: 20, version: 3 }]);

    // A key that leads elsewhere now: the parent is not known, and says so.
    assertEquals(one.shelfCode, "a");
    await session.execute(update(Volume).set({ shelfCode: "b" }).where((v) => v.id.eq(1)));
    assertEquals(one.shelfCode, "b");
    let error: unknown;
    try {
      (one as With<Volume, "shelf">).shelf?.label;
    } catch (thrown) {
      error = thrown;
    }
    assert(error instanceof NotLoadedError);
    assertEquals((await session.load([one], "shelf"))[0]!.shelf!.label, "b");
    assertEquals(session.dirty, []);

    // The classes that foreign keys carry along.
    await session.execute(update(Shelf).set({ code: "z" }).where((s) => s.code.eq("a")));
    assertEquals([one.shelfCode, two.shelfCode, three.shelfCode], ["b", "z", "z"]);
    assertEquals(session.dirty, []);

    // A deferred column that was loaded is not what it was.
    const [full] = await session.query(Volume).where((v) => v.id.eq(3)).selectin("marks").all();
    await session.execute(update(Volume).set({ notes: "new" }).all());
    assertEquals(Object.hasOwn(full!, "notes"), false);

    const conflict = insert(Volume).values({ id: 1, title: "again" });
    await session.execute(conflict.onConflict({ target: "id", update: ["title"] }));
    assertEquals(one.title, "again");

    const left = await sent(
      engine,
      () => session.execute(update(Volume).set({ pages: 5 }).all(), { synchronize: false }),
    );
    assertEquals([left.length, one.pages], [1, 9]);
  },
);

eachEngine("objects follow a delete by query, with what goes along", async ({ target }) => {
  await using engine = await open(target);
  const begun = loaded(engine);
  await using session = begun.session;
  const [one, two, three] = await begun.volumes as With<Volume, "marks" | "shelf">[] as [
    With<Volume, "marks" | "shelf">,
    With<Volume, "marks" | "shelf">,
    With<Volume, "marks" | "shelf">,
  ];
  const shelf = one.shelf!;
  const { volumes } = (await session.load([shelf], "volumes"))[0]!;
  const [mark] = one.marks as [Mark];
  const told: string[] = [];
  session.on("afterCommit", (object, change) => {
    told.push(`${change} ${object.constructor.name}`);
  });

  await session.execute(deleteFrom(Volume).where((v) => v.id.eq(1)));
  assertEquals([one, mark].map((object) => inspect(object).state), ["detached", "detached"]);
  assertEquals(told, ["delete Volume", "delete Mark"]);
  assertEquals(volumes.map(({ id }) => id), [2, 3]);
  assertEquals(await session.get(Volume, 1), undefined);
  assertEquals(session.dirty, []);

  // In a transaction that is rolled back, everything is as before.
  two.title = "mine";
  await session.begin(async (tx) => {
    await session.execute(deleteFrom(Shelf).all());
    assertEquals([inspect(shelf).state, two.shelfCode, two.shelf], ["deleted", null, null]);
    assertEquals(two.title, "mine");
    await session.execute(deleteFrom(Volume).where((v) => v.id.eq(3)));
    assertEquals(inspect(three).state, "deleted");
    assertEquals(await session.get(Volume, 3), undefined);
    await tx.rollback();
  });
  assertEquals([inspect(shelf).state, two.shelfCode], ["persistent", "a"]);
  assertStrictEquals<unknown>(two.shelf, shelf);
  assertStrictEquals<unknown>(await session.get(Volume, 3), three);
  assertEquals(volumes.map(({ id }) => id), [2, 3]);
  assertEquals([two.title, session.dirty.length], ["t2", 0]);

  // A savepoint alone.
  await session.begin(async (tx) => {
    await tx.savepoint(async () => {
      await session.execute(update(Volume).set({ pages: 50 }).all());
      assertEquals(two.pages, 50);
      throw new Error("undo");
    }).catch(() => {});
    assertEquals(two.pages, 1);
    await session.execute(update(Volume).set({ pages: 60 }).all());
  });
  assertEquals([two.pages, two.version, session.dirty.length], [60, 2, 0]);

  // A statement that fails changes nothing.
  const bad = update(Volume).set({ shelfCode: "nowhere" }).all();
  await assertRejects(() => session.execute(bad), ForeignKeyViolationError);
  assertEquals([two.shelfCode, inspect(two).state], ["a", "persistent"]);
  assertEquals((await session.query(Volume).all()).length, 2);
});
