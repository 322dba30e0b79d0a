/** A small library with known rows, for the tests of queries. */

import type { AsyncEngine, Driver } from "@sluice/orm";
import {
  Author,
  Book,
  Category,
  Country,
  openLibrary,
  Review,
} from "../../support/library_model.ts";

export { Author, Book, Category, Country, Review };

/**
 * Ada (GB) with Notes (9.50, of 2020-05-17, reviewed 5 and 3) and Engines (20.00); Bob with Bobbing
 * (1.25); Cyd without books. A tree: root, its children a and b, and aa below a.
 */
export async function openStocked(target: string | Driver): Promise<AsyncEngine> {
  const engine = await openLibrary(target);
  try {
    await using session = engine.session();
    const category = (name: string, children: Category[] = []) => new Category({ name, children });
    const notes = new Book({
      title: "Notes",
      price: "9.50",
      published: "2020-05-17",
      meta: { isbn: "x-1", words: ["a", "b"] },
      reviews: [new Review({ stars: 5 }), new Review({ stars: 3 })],
    });
    session.add(new Country({ code: "GB", name: "Britain" }));
    await session.commit();
    session.add(
      new Author({
        name: "Ada",
        email: "ada@example.com",
        countryCode: "GB",
        createdAt: new Date("2024-03-05T10:11:12.123Z"),
        books: [notes, new Book({ title: "Engines", price: "20.00" })],
      }),
    );
    await session.commit();
    session.add(
      new Author({ name: "Bob", books: [new Book({ title: "Bobbing", price: "1.25" })] }),
    );
    await session.commit();
    session.add(new Author({ name: "Cyd" }));
    session.add(category("root", [category("a", [category("aa")]), category("b")]));
    await session.commit();
    return engine;
  } catch (error) {
    await engine.dispose();
    throw error;
  }
}
