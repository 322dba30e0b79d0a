/** Point select by primary key on one connection, one after the other. */

import { Book } from "../support/library.ts";
import { bench, type Workload } from "../support/workload.ts";

const COUNT = 500;
/** Spread over the table, and no key twice. */
const keys = Array.from({ length: COUNT }, (_, i) => 1 + i * 467 % 1_000_000);

/** A session for each, as a server has one for each request. */
export const getByKey: Workload = {
  name: "get",
  title: "500 point selects by key, one connection, a session each",
  gate: 1.20,
  expected: keys.reduce((sum, key) => sum + key % 900, 0),
  async raw(sql) {
    let pages = 0;
    for (const key of keys) {
      const [book] = await sql`
        select id, author_id, title, price, pages, published, meta from books where id = ${key}`;
      pages += book!.pages;
    }
    return pages;
  },
  async sluice(engine) {
    let pages = 0;
    for (const key of keys) {
      await using session = engine.session();
      pages += (await session.getOrFail(Book, key)).pages;
    }
    return pages;
  },
};

/** The same in one session, which keeps all the objects. */
export const getInSession: Workload = {
  ...getByKey,
  name: "session_get",
  title: "500 point selects by key, one connection, one session",
  async sluice(engine) {
    await using session = engine.session();
    let pages = 0;
    for (const key of keys) pages += (await session.getOrFail(Book, key)).pages;
    return pages;
  },
};

bench(getByKey);
bench(getInSession);
