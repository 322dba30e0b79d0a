/** Sluice, as its documentation says. Every unit of work is a session of its own. */

import { AsyncEngine, type AsyncSession } from "@sluice/orm";
import { withSession } from "../../../src/server/mod.ts";
import { Author, Book, Import } from "../../support/library.ts";
import {
  askedFor,
  concurrently,
  customersOf,
  graphOf,
  keyOf,
  lengths,
  type Opened,
  pieces,
  type Task,
  TASKS,
  weigh,
  weighAll,
} from "../contender.ts";
import { Customer, ENTITIES, GraphAuthor, GraphBook, ShelfBook } from "./model.ts";

/** See above. */
export function open({ url, connections, n, rows, books }: Task): Opened {
  const engine = new AsyncEngine(url, {
    entities: [Author, Book, Import, ...ENTITIES],
    poolSize: connections,
    maxOverflow: 0,
  });

  const one = async (id: number): Promise<number> => {
    await using session = engine.session();
    return weigh(await session.getOrFail(Book, id));
  };
  const tasks = () => concurrently(TASKS, n, (i) => one(keyOf(i, books)));

  const entities = async (readOnly: boolean) => {
    await using session = engine.session();
    const query = session.query(Book).where((b) => b.id.lte(n));
    return weighAll(await (readOnly ? query.readOnly() : query).all());
  };

  const bulkInsert = async () => {
    await using session = engine.session();
    await session.bulkInsert(Import, rows);
    return 0;
  };

  const addCommit = async () => {
    await using session = engine.session();
    const objects = rows.map((row) => new Import(row));
    session.addAll(objects);
    await session.commit();
    if (objects.at(-1)!.id !== n) throw new Error("The keys are wrong");
    return 0;
  };

  const customers = async (make: (row: Customer) => object) => {
    await using session = engine.session();
    await session.begin(async () => {
      for (const piece of pieces(customersOf(n), 1_000)) {
        session.addAll(piece.map((row) => make(row as Customer)));
        await session.flush();
      }
    });
    return 0;
  };

  const page = async (session: AsyncSession, request: Request) => {
    const id = askedFor(request);
    return Response.json(
      await session.query(Author).where((a) => a.id.eq(id)).joined("books").one(),
    );
  };

  return {
    cases: {
      async select_one() {
        let sum = 0;
        for (let i = 0; i < n; i++) sum += await one(keyOf(i, books));
        return sum;
      },
      cold_start: () => one(1),
      select_tasks: tasks,
      async authors_books() {
        await using session = engine.session();
        const authors = await session.query(Author).where((a) => a.id.lte(n)).selectin("books")
          .all();
        let sum = 0;
        for (const author of authors) sum += weighAll(author.books);
        return sum;
      },
      entities: () => entities(false),
      entities_read_only: () => entities(true),
      async stream() {
        let sum = 0;
        await using session = engine.session();
        for await (const book of session.query(Book).where((b) => b.id.lte(n))) sum += weigh(book);
        return sum;
      },
      bulk_insert_10k: bulkInsert,
      bulk_insert_100k: bulkInsert,
      async copy_in_100k() {
        await engine.copyIn(Import, rows);
        return 0;
      },
      add_commit_10k: addCommit,
      add_commit_100k: addCommit,
      async change_commit() {
        await using session = engine.session();
        for (const book of await session.query(ShelfBook).all()) book.pages += 1;
        await session.commit();
        return 0;
      },
      async insert_graph() {
        await using session = engine.session();
        session.addAll(
          graphOf(n).map(({ name, books }) =>
            new GraphAuthor({ name, books: books.map((book) => new GraphBook(book)) })
          ),
        );
        await session.commit();
        return 0;
      },
      async many_to_many() {
        await using session = engine.session();
        let sum = 0;
        for (const book of await session.query(ShelfBook).selectin("tags").all()) {
          sum += weigh(book);
          for (const tag of book.tags) sum += tag.name.length;
        }
        return sum;
      },
      sqla_bulk_inserts_flush_no_pk: () =>
        customers(({ name, description }) => new Customer({ name, description })),
      sqla_bulk_inserts_flush_pk_given: () => customers((row) => new Customer(row)),
      async sqla_bulk_inserts_orm_bulk_insert() {
        await using session = engine.session();
        await session.bulkInsert(
          Customer,
          customersOf(n).map(({ name, description }) => ({ name, description })),
        );
        return 0;
      },
      async sqla_bulk_updates_orm_flush() {
        await using session = engine.session();
        await session.begin(async () => {
          for (let first = 1; first <= n; first += 1_000) {
            const some = await session.query(Customer)
              .where((c) => c.id.between(first, first + 999)).all();
            for (const customer of some) customer.description += "updated";
            await session.flush();
          }
        });
        return 0;
      },
      async sqla_large_resultsets_full_objects_list() {
        await using session = engine.session();
        return lengths(await session.query(Customer).all());
      },
      async sqla_large_resultsets_full_objects_chunks() {
        await using session = engine.session();
        let sum = 0;
        for await (const { name, description } of session.query(Customer).window(1_000)) {
          sum += name.length + description.length;
        }
        return sum;
      },
      async sqla_large_resultsets_columns() {
        await using session = engine.session();
        return lengths(
          await session.query(Customer)
            .select((c) => ({ name: c.name, description: c.description })).all(),
        );
      },
      async sqla_short_selects_orm_query() {
        await using session = engine.session();
        let sum = 0;
        for (let i = 0; i < n; i++) {
          const key = keyOf(i, n);
          sum += lengths([await session.query(Customer).where((c) => c.id.eq(key)).one()]);
        }
        return sum;
      },
      async sqla_single_inserts_orm_commit() {
        for (const { name, description } of customersOf(n)) {
          await using session = engine.session();
          session.add(new Customer({ name, description }));
          await session.commit();
        }
        return 0;
      },
    },
    handler: withSession(engine, (request, session) => page(session, request)),
    close: () => engine.dispose(),
  };
}
