import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { inspect, type SessionTransaction } from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";
import { Author, Book, Country, openLibrary } from "../support/library_model.ts";

class Stop extends Error {}

eachEngine(
  "savepoints five deep: the inner ones undone, the outer ones kept, objects exact",
  async (
    { target },
  ) => {
    await using engine = await openLibrary(target);
    await using session = engine.session();
    const ada = new Author({ name: "0", books: [new Book({ title: "0" })] });
    session.add(ada);
    await session.commit();
    const books = ada.books as Book[];
    const made: Author[] = [];
    const added: Book[] = [];

    await session.begin(async (tx) => {
      const descend = async (level: number): Promise<void> => {
        await tx.savepoint(async () => {
          ada.name = String(level);
          added[level] = new Book({ title: String(level) });
          books.push(added[level]);
          made[level] = new Author({ name: `made ${level}` });
          session.add(made[level]);
          await session.flush();
          assertEquals(inspect(made[level]).state, "persistent");
          if (level === 5) throw new Stop();
          await descend(level + 1).catch((error) => {
            if (level < 3) return; // the third goes down with the fifth
            throw error;
          });
        });
      };
      await descend(1);
      assertEquals(ada.name, "2");
      assertEquals(books.map(({ title }) => title), ["0", "1", "2"]);
      assertEquals(made.slice(1).map((author) => inspect(author).state), [
        "persistent",
        "persistent",
        "transient",
        "transient",
        "transient",
      ]);
      assertEquals(made.slice(3).map(({ id }) => id as unknown), [undefined, undefined, undefined]);
      assertEquals(added.slice(3).map((book) => [inspect(book).state, book.authorId as unknown]), [
        ["transient", undefined],
        ["transient", undefined],
        ["transient", undefined],
      ]);
      assertStrictEquals(await session.get(Author, made[2]!.id), made[2]);
    });
    assertStrictEquals(ada.books, books, "programs may hold on to the array");
    await using other = engine.session();
    const titles = await other.query(Book).orderBy((b) => b.id).all();
    assertEquals(titles.map(({ title }) => title), ["0", "1", "2"]);
    assertEquals(await other.query(Author).count(), 3);
    assertEquals((await other.getOrFail(Author, ada.id)).name, "2");
  },
);

eachEngine("an inner savepoint that is kept goes with an outer one that is not", async (
  { target },
) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  const [ada, bea] = ["Ada", "Bea"].map((name) => new Author({ name })) as [Author, Author];
  session.addAll([ada, bea]);
  await session.commit();
  const fresh = new Author({ name: "Fresh" });

  await session.begin(async (tx) => {
    ada.name = "Kept";
    const outer = tx.savepoint(async () => {
      bea.name = "Outer";
      await tx.savepoint(() => {
        session.add(fresh);
        session.delete(bea);
        ada.name = "Inner";
      });
      assertEquals([inspect(bea).state, inspect(fresh).state], ["deleted", "persistent"]);
      fresh.name = "Fresher";
      await session.flush();
      throw new Stop();
    });
    await assertRejects(() => outer, Stop);
    assertEquals([ada.name, bea.name, fresh.name], ["Kept", "Bea", "Fresher"]);
    assertEquals([inspect(bea).state, inspect(fresh).state], ["persistent", "transient"]);
    assertStrictEquals(await session.get(Author, bea.id), bea);
    assertEquals(await session.query(Author).count(), 2);
    session.add(fresh); // once more, and now for good
  });
  assertEquals(inspect(fresh).state, "persistent");
  assertEquals((await session.query(Author).all()).length, 3);
});

eachEngine("a savepoint undone keeps what was pending before it, and its natural keys", async (
  { target },
) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  const france = new Country({ code: "fr", name: "France" });
  await session.begin(async (tx) => {
    session.add(france); // not flushed yet when the savepoint begins
    const twice = tx.savepoint(async () => {
      session.add(new Country({ code: "fr", name: "Again" }));
      await session.flush();
    });
    await assertRejects(() => twice);
    assertEquals(inspect(france).state, "persistent");
    assertStrictEquals(await session.get(Country, "fr"), france);
    // The same key deleted, made anew and undone: the map holds the first one again.
    const anew = tx.savepoint(async () => {
      session.delete(france);
      await session.flush();
      const second = new Country({ code: "fr", name: "Second" });
      session.add(second);
      await session.flush();
      assertStrictEquals(await session.get(Country, "fr"), second);
      throw new Stop();
    });
    await assertRejects(() => anew, Stop);
    assertStrictEquals(await session.get(Country, "fr"), france);
    assertEquals(await session.query(Country).all(), [france]);
  });
  assert(inspect(france).state === "persistent");
});

eachEngine("savepoints beside each other take turns, and none outlives the transaction", async (
  { target },
) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  let kept: SessionTransaction | undefined;
  await session.begin(async (tx) => {
    kept = tx;
    for (const name of ["a", "b", "a", "c"]) {
      await tx.savepoint(async () => {
        session.add(new Author({ name }));
        await session.flush();
        if (name === "a") throw new Stop();
      }).catch(() => {});
    }
  });
  const names = await session.query(Author).orderBy((a) => a.name).all();
  assertEquals(names.map(({ name }) => name), ["b", "c"]);
  await assertRejects(() => kept!.savepoint(() => {}));
});
