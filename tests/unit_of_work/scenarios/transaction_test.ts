/** What a transaction does to objects, and how they come back from it: after SQLAlchemy's suite. */

import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import {
  belongsTo,
  ClosedError,
  entity,
  hasMany,
  InputError,
  inspect,
  integer,
  PendingRollbackError,
  sql,
  text,
  UniqueViolationError,
  update,
  UsageError,
} from "@sluice/orm";
import { sent } from "../../support/library_model.ts";
import { members, scenarios } from "./support.ts";

class User extends entity("users", {
  id: integer().primaryKey().generated(),
  name: text(),
  addresses: hasMany<Address>("addresses.userId", { cascade: "all-orphans", orderBy: "id" }),
}) {}

class Address extends entity("addresses", {
  id: integer().primaryKey().generated(),
  email: text(),
  userId: integer().references("users.id"),
  user: belongsTo<User>("userId"),
}) {}

/** A key that says something. */
class Name extends entity("names", { name: text().primaryKey(), note: text().nullable() }) {}

const ENTITIES = [User, Address, Name];

class Undone extends Error {}

const undone = (): never => {
  throw new Undone();
};

const ed = (...emails: string[]): User =>
  new User({ name: "ed", addresses: emails.map((email) => new Address({ email })) });

scenarios("transaction: what a rollback takes back", ENTITIES, (scenario) => {
  scenario("a changed value, whether it was flushed or not", async ({ session }) => {
    const user = ed();
    session.add(user);
    await session.commit();
    user.name = "jack";
    await session.rollback();
    assertEquals(user.name, "ed");
    await using tx = await session.begin();
    user.name = "jack";
    await session.flush();
    user.name = "john";
    await tx.rollback();
    assertEquals([user.name, session.dirty], ["ed", []]);
  });

  scenario("a new object, whether it was flushed or not", async ({ session }) => {
    const user = ed("a");
    session.add(user);
    await session.rollback();
    assertEquals([inspect(user).state, session.new], ["transient", []]);
    await using tx = await session.begin();
    session.add(user);
    await session.flush();
    assertEquals(inspect(user).state, "persistent");
    await tx.rollback();
    assertEquals<unknown>([inspect(user).state, user.id], ["transient", undefined]);
    assertEquals(await session.query(User).count(), 0);
    session.add(user);
    await session.commit();
    assertEquals([members(user.addresses).length, await session.query(Address).count()], [1, 1]);
  });

  scenario("a new object of this transaction, and not of the one before", async ({ session }) => {
    const [before, fresh] = [ed(), ed()];
    session.add(before);
    await session.commit();
    session.add(fresh);
    await session.rollback();
    assertEquals([inspect(before).state, inspect(fresh).state], ["persistent", "transient"]);
  });

  scenario("a deletion, with all that goes along", async ({ session }) => {
    const user = ed("a");
    session.add(user);
    await session.commit();
    const [address] = members(user.addresses);
    for (const flush of [false, true]) {
      await using tx = await session.begin();
      session.delete(user);
      assertEquals(session.deleted.length, 2);
      if (flush) await session.flush();
      assertEquals(inspect(address!).state, "deleted");
      await tx.rollback();
      assertEquals([session.deleted, members(user.addresses)], [[], [address]]);
      assertEquals([inspect(user).state, inspect(address!).state], ["persistent", "persistent"]);
      assertStrictEquals(await session.get(User, user.id), user);
    }
  });

  scenario("an orphan comes back into its collection", async ({ session }) => {
    const user = ed("a");
    session.add(user);
    await session.commit();
    const [address] = members(user.addresses);
    await using tx = await session.begin();
    members(user.addresses).pop();
    await session.flush();
    assertEquals(await session.query(Address).count(), 0);
    await tx.rollback();
    assertEquals(members(user.addresses), [address]);
    assertEquals(await session.query(Address).count(), 1);
  });

  scenario("what was deleted and committed stays gone", async ({ session }) => {
    const user = ed();
    session.add(user);
    await session.commit();
    session.delete(user);
    await session.commit();
    await session.rollback();
    assertEquals([inspect(user).state, await session.query(User).count()], ["detached", 0]);
    const id = user.id;
    assertEquals(await session.get(User, id), undefined);
  });

  scenario("an object that is born and dies in it is transient", async ({ session }) => {
    const user = ed("a");
    await assertRejects(() =>
      session.begin(async () => {
        session.add(user);
        await session.flush();
        session.delete(user);
        await session.flush();
        undone();
      }), Undone);
    assertEquals<unknown>([inspect(user).state, user.id], ["transient", undefined]);
    session.add(user);
    await session.commit();
    assertEquals(await session.query(Address).count(), 1);
  });

  scenario("an object that is born and dies in it, committed, was never there", async (context) => {
    const { session } = context;
    const user = ed("a");
    await session.begin(async () => {
      session.add(user);
      await session.flush();
      session.delete(user);
    });
    assertEquals([inspect(user).state, await session.query(User).count()], ["detached", 0]);
  });

  scenario("objects that were read in it stay, as they are stored", async ({ session, engine }) => {
    session.add(ed("a"));
    await session.commit();
    await using other = engine.session();
    let found: User | undefined;
    await assertRejects(() =>
      other.begin(async () => {
        found = await other.query(User).selectin("addresses").one();
        found.name = "jack";
        members(found.addresses).push(new Address({ email: "b" }));
        await other.flush();
        undone();
      }), Undone);
    assertEquals([found!.name, members(found!.addresses).length], ["ed", 1]);
    assertStrictEquals(await other.get(User, found!.id), found);
    assertEquals(await sent(engine, () => other.commit()), []);
  });

  scenario("what was read of a row that was inserted in it by a statement", async ({ session }) => {
    let ghost: Name | undefined;
    await assertRejects(() =>
      session.begin(async () => {
        await session.execute(sql`insert into names (name) values ('ghost')`);
        ghost = await session.getOrFail(Name, "ghost");
        undone();
      }), Undone);
    // What is no row of the session's making is not known to be gone; reading it again tells.
    assertEquals(await session.query(Name).count(), 0);
    session.expunge(ghost!);
    assertEquals(await session.get(Name, "ghost"), undefined);
  });

  scenario("changes made beside open work are forgotten with it", async ({ session }) => {
    const pending = ed();
    session.add(pending);
    await using tx = await session.begin();
    const later = ed();
    session.add(later);
    await session.flush();
    await tx.rollback();
    assertEquals([inspect(pending).state, inspect(later).state], ["transient", "transient"]);
  });
});

scenarios("transaction: failures and how to go on", ENTITIES, (scenario) => {
  scenario(
    "a key that is there already: everything is as before, and can be done again",
    async (c) => {
      const { session } = c;
      const user = new User({ id: 1, name: "ed", addresses: [new Address({ email: "foo" })] });
      session.add(user);
      await session.commit();
      const [address] = members(user.addresses);
      const clash = new User({ id: 1, name: "jack", addresses: [new Address({ email: "bar" })] });
      user.name = "edward";
      address!.email = "foober";
      session.add(clash);
      await assertRejects(() => session.commit(), UniqueViolationError);
      assertEquals([inspect(clash).state, session.new], ["transient", []]);
      assertEquals([user.name, address!.email], ["ed", "foo"]);
      assertStrictEquals(await session.get(User, 1), user);
      user.name = "edward";
      address!.email = "foober";
      await session.commit();
      const found = await session.query(User).selectin("addresses").one();
      assertEquals([found.name, found.addresses[0]!.email], ["edward", "foober"]);
    },
  );

  scenario("the same inside a savepoint: what came before it survives", async ({ session }) => {
    const user = new User({ id: 1, name: "ed", addresses: [new Address({ email: "foo" })] });
    session.add(user);
    await session.commit();
    const [address] = members(user.addresses);
    const clash = new User({ id: 1, name: "jack", addresses: [new Address({ email: "bar" })] });
    await session.begin(async (tx) => {
      user.name = "edward";
      address!.email = "foober";
      await assertRejects(() => tx.savepoint(() => session.add(clash)), UniqueViolationError);
      assertEquals([inspect(clash).state, user.name], ["transient", "edward"]);
      assertEquals(await session.query(User).select((u) => u.name).all(), ["edward"]);
    });
    const found = await session.query(User).selectin("addresses").one();
    assertEquals([found.name, found.addresses.map((a) => a.email)], ["edward", ["foober"]]);
  });

  scenario(
    "after a failed flush all is refused until the rollback, and then goes on",
    async (c) => {
      const { session, engineName } = c;
      const user = new User({ id: 1, name: "u1" });
      session.add(user);
      await session.commit();
      await using tx = await session.begin();
      session.add(new User({ id: 1, name: "u2" }));
      await assertRejects(() => session.flush(), UniqueViolationError);
      for (let i = 0; i < 3; i++) {
        await assertRejects(() => session.query(User).all(), PendingRollbackError);
        await assertRejects(() => session.flush(), PendingRollbackError);
      }
      await tx.rollback();
      session.add(new User({ id: 5, name: "some name" }));
      await session.commit();
      assertEquals(await session.query(User).count(), 2, engineName);
    },
  );

  scenario(
    "what is done to objects after a failed flush is forgotten with it",
    async ({ session }) => {
      const user = new User({ id: 1, name: "u1", addresses: [] });
      session.add(user);
      await session.commit();
      await using tx = await session.begin();
      session.add(new User({ id: 1, name: "u2" }));
      await assertRejects(() => session.flush());
      const late = ed();
      session.add(late);
      user.name = "changed";
      session.delete(user);
      await tx.rollback();
      assertEquals([inspect(late).state, inspect(user).state], ["transient", "persistent"]);
      assertEquals([user.name, session.new, session.deleted], ["u1", [], []]);
    },
  );

  scenario(
    "a failed commit of a transaction rolls it back and gives its error",
    async (context) => {
      const { session, engine } = context;
      session.add(new User({ id: 1, name: "u1" }));
      await session.commit();
      await assertRejects(() =>
        session.begin(() => {
          session.add(new User({ id: 1, name: "u2" }));
        }), UniqueViolationError);
      assertEquals(engine.pool.status().checkedOut, 0);
      await session.begin(() => session.add(new User({ id: 2, name: "u2" })));
      assertEquals(await session.query(User).count(), 2);
    },
  );

  scenario(
    "what cannot be stored fails the transaction before anything is sent",
    async (context) => {
      const { session } = context;
      await assertRejects(() =>
        session.begin(() => {
          session.add(new User({ name: null as never }));
        }), InputError);
      assertEquals(await session.query(User).count(), 0);
      await session.begin(() => session.add(ed()));
      assertEquals(await session.query(User).count(), 1);
    },
  );

  scenario(
    "a refused object that is taken away lets the transaction go on",
    async ({ session }) => {
      await session.begin(async () => {
        const wrong = new User({ name: null as never });
        session.add(wrong);
        await assertRejects(() => session.flush(), InputError);
        session.expunge(wrong);
        session.add(ed());
      });
      assertEquals(await session.query(User).count(), 1);
    },
  );

  scenario("a transaction that has ended answers nothing more", async ({ session }) => {
    const tx = await session.begin();
    await tx.rollback();
    await assertRejects(() => tx.rollback(), ClosedError);
    await assertRejects(() => tx.commit(), ClosedError);
    await assertRejects(() => tx.savepoint(() => {}), ClosedError);
    assertEquals(tx.open, false);
    const next = await session.begin();
    await next.commit();
    await assertRejects(() => next.commit(), ClosedError);
  });

  scenario(
    "transactions do not nest: a second begin(), and commit() inside, say so",
    async (context) => {
      const { session } = context;
      await session.begin(async () => {
        await assertRejects(() => session.begin(), UsageError, "savepoint");
        assertThrows(() => session.commit(), UsageError);
        session.add(ed());
      });
      assertEquals(await session.query(User).count(), 1);
    },
  );

  scenario("a new transaction begins where the last one ended", async ({ session }) => {
    for (const name of ["1", "2", "3"]) {
      await session.begin(() => session.add(new User({ name })));
    }
    await assertRejects(() =>
      session.begin(async () => {
        session.add(new User({ name: "4" }));
        await session.flush();
        undone();
      }), Undone);
    await using tx = await session.begin();
    session.add(new User({ name: "5" }));
    await tx.commit();
    const names = session.query(User).orderBy((u) => u.name.asc()).select((u) => u.name);
    assertEquals(await names.all(), ["1", "2", "3", "5"]);
  });

  scenario(
    "a hook that fails leaves the object as it was, new or to be deleted",
    async (context) => {
      const { session } = context;
      let failing = true;
      const check = () => {
        if (failing) throw new Undone();
      };
      session.on("beforeInsert", check);
      session.on("beforeDelete", check);
      const user = ed();
      session.add(user);
      await assertRejects(() => session.commit(), Undone);
      assertEquals(inspect(user).state, "transient");
      failing = false;
      session.add(user);
      session.add(new User({ name: "fred" }));
      await session.commit();
      failing = true;
      session.delete(user);
      await assertRejects(() => session.commit(), Undone);
      assertEquals([inspect(user).state, session.deleted], ["persistent", []]);
      failing = false;
      session.delete(user);
      await session.commit();
      assertEquals(await session.query(User).select((u) => u.name).all(), ["fred"]);
    },
  );
});

scenarios("transaction: savepoints", ENTITIES, (scenario) => {
  scenario(
    "one that is undone takes back its own, and what it did is seen until then",
    async (c) => {
      const { session } = c;
      const [u1, u2] = [ed(), new User({ name: "jack" })];
      const names = () =>
        session.query(User).orderBy((u) => u.id.asc()).select((u) => u.name).all();
      await session.begin(async (tx) => {
        session.addAll([u1, u2]);
        await assertRejects(() =>
          tx.savepoint(async () => {
            u1.name = "edward";
            u2.name = "jackward";
            session.addAll([new User({ name: "wendy" }), new User({ name: "foo" })]);
            assertEquals(await names(), ["edward", "jackward", "wendy", "foo"]);
            undone();
          }), Undone);
        assertEquals([u1.name, u2.name], ["ed", "jack"]);
        assertEquals(await names(), ["ed", "jack"]);
      });
      assertEquals(await names(), ["ed", "jack"]);
    },
  );

  scenario("one that is kept is part of the transaction", async ({ session }) => {
    const [u1, u2] = [ed(), new User({ name: "jack" })];
    await session.begin(async (tx) => {
      session.addAll([u1, u2]);
      await tx.savepoint(() => {
        u1.name = "edward";
        session.add(new User({ name: "wendy" }));
      });
      assertEquals(u1.name, "edward");
    });
    const names = session.query(User).orderBy((u) => u.id.asc()).select((u) => u.name);
    assertEquals(await names.all(), ["edward", "jack", "wendy"]);
  });

  scenario("a deletion in one is kept, and in another undone", async ({ session }) => {
    const [u1, u2] = [ed("a"), ed("b")];
    session.addAll([u1, u2]);
    await session.commit();
    await session.begin(async (tx) => {
      await tx.savepoint(() => session.delete(u1));
      assertEquals(inspect(u1).state, "deleted");
      await assertRejects(() =>
        tx.savepoint(async () => {
          session.delete(u2);
          await session.flush();
          undone();
        }), Undone);
      assertEquals(inspect(u2).state, "persistent");
      assertEquals(members(u2.addresses).map((a) => inspect(a).state), ["persistent"]);
    });
    assertEquals(inspect(u1).state, "detached");
    assertEquals(await session.query(Address).select((a) => a.email).all(), ["b"]);
  });

  scenario(
    "collections: what was added before it stays, what was added in it goes",
    async (context) => {
      const { session } = context;
      const user = ed("foo");
      session.add(user);
      await session.commit();
      const jack = new User({ name: "jack", addresses: [new Address({ email: "bat" })] });
      await session.begin(async (tx) => {
        user.name = "edward";
        members(user.addresses).push(new Address({ email: "bar" }));
        await assertRejects(() =>
          tx.savepoint(async () => {
            session.add(jack);
            members(user.addresses).push(new Address({ email: "never" }));
            members(user.addresses).shift();
            await session.flush();
            assertEquals(await session.query(Address).count(), 3);
            undone();
          }), Undone);
        assertEquals(members(user.addresses).map((a) => a.email), ["foo", "bar"]);
        assertEquals(inspect(jack).state, "transient");
        await tx.savepoint(() => session.add(jack));
      });
      const found = await session.query(User).orderBy((u) => u.id.asc()).selectin("addresses")
        .all();
      assertEquals(found.map((u) => [u.name, u.addresses.map((a) => a.email)]), [
        ["edward", ["foo", "bar"]],
        ["jack", ["bat"]],
      ]);
    },
  );

  scenario(
    "objects that it did not touch are not read or changed by its rollback",
    async (context) => {
      const { session, engine } = context;
      const [clean, dirty] = [ed("a"), ed("b")];
      session.addAll([clean, dirty]);
      await session.commit();
      const addresses = members(clean.addresses);
      await session.begin(async (tx) => {
        clean.name = "changed before";
        await assertRejects(() =>
          tx.savepoint(() => {
            dirty.name = "changed inside";
            undone();
          }), Undone);
        assertEquals(
          await sent(engine, () => {
            assertEquals([clean.name, dirty.name], ["changed before", "ed"]);
            assertStrictEquals(clean.addresses, addresses);
          }),
          [],
        );
      });
    },
  );

  scenario(
    "what update() did inside one is taken back from the objects, too",
    async ({ session }) => {
      const [u1, u2] = [new User({ name: "u1" }), new User({ name: "u2" })];
      session.addAll([u1, u2]);
      await session.commit();
      await session.begin(async (tx) => {
        await assertRejects(() =>
          tx.savepoint(async () => {
            await session.execute(
              update(User).set({ name: "modified" }).where((u) => u.name.eq("u2")),
            );
            assertEquals(
              (await session.query(User).where((u) => u.id.eq(u2.id)).one()).name,
              [
                "modified",
              ][0],
            );
            undone();
          }), Undone);
        const stored = await session.query(User).orderBy((u) => u.id.asc()).select((u) => u.name)
          .all();
        assertEquals(stored, ["u1", "u2"]);
        await session.refresh(u2);
        assertEquals([u1.name, u2.name], ["u1", "u2"]);
      });
    },
  );

  scenario("a failed one leaves room for the next", async ({ session }) => {
    await session.begin(async (tx) => {
      for (const [i, name] of [null, "u1", null, "u2"].entries()) {
        const user = new User({ name: name as string });
        const attempt = tx.savepoint(() => session.add(user));
        if (name === null) await assertRejects(() => attempt, InputError);
        else await attempt;
        assertEquals(inspect(user).state, name === null ? "transient" : "persistent", `${i}`);
      }
    });
    assertEquals(await session.query(User).count(), 2);
  });

  scenario("an object that was detached in one stays so", async ({ session }) => {
    const user = ed();
    session.add(user);
    await session.commit();
    await session.begin(async (tx) => {
      await assertRejects(() =>
        tx.savepoint(() => {
          session.expunge(user);
          undone();
        }), Undone);
      assertEquals(inspect(user).state, "detached");
      const again = await session.getOrFail(User, user.id);
      assert(again !== user);
    });
  });
});

scenarios("transaction: keys that change, and a rollback", ENTITIES, (scenario) => {
  const three = (): [Name, Name, Name] => [
    new Name({ name: "u1" }),
    new Name({ name: "u2" }),
    new Name({ name: "u3" }),
  ];

  scenario("keys that were handed on in several flushes are all back", async ({ session }) => {
    const [u1, u2, u3] = three();
    session.addAll([u1, u2, u3]);
    await session.commit();
    await using tx = await session.begin();
    session.delete(u1);
    await session.flush();
    u2.name = "u1";
    await session.flush();
    u3.name = "u2";
    await session.flush();
    assertStrictEquals(await session.get(Name, "u1"), u2);
    assertStrictEquals(await session.get(Name, "u2"), u3);
    await tx.rollback();
    assertEquals([u1.name, u2.name, u3.name], ["u1", "u2", "u3"]);
    for (const each of [u1, u2, u3]) {
      assertEquals(inspect(each).state, "persistent");
      assertStrictEquals(await session.get(Name, each.name), each);
    }
    assertEquals(await session.query(Name).count(), 3);
  });

  scenario("keys that were handed on in one flush are all back", async ({ session }) => {
    const [u1, u2, u3] = three();
    session.addAll([u1, u2, u3]);
    await session.commit();
    await assertRejects(() =>
      session.begin(async () => {
        session.delete(u2);
        u1.name = "u2";
        u3.name = "u1";
        await session.flush();
        assertStrictEquals(await session.get(Name, "u2"), u1);
        assertStrictEquals(await session.get(Name, "u1"), u3);
        assertEquals(await session.get(Name, "u3"), undefined);
        undone();
      }), Undone);
    for (const each of [u1, u2, u3]) assertStrictEquals(await session.get(Name, each.name), each);
  });

  scenario(
    "a new object that took a deleted one's key makes room for it again",
    async (context) => {
      const { session } = context;
      const old = new Name({ name: "u1", note: "old" });
      session.add(old);
      await session.commit();
      const fresh = new Name({ name: "u1", note: "new" });
      await assertRejects(() =>
        session.begin(async () => {
          session.delete(old);
          session.add(fresh);
          await session.flush();
          assertStrictEquals(await session.get(Name, "u1"), fresh);
          undone();
        }), Undone);
      assertEquals([inspect(old).state, inspect(fresh).state], ["persistent", "transient"]);
      assertStrictEquals(await session.get(Name, "u1"), old);
      old.note = "changed";
      await session.commit();
      assertEquals(await session.query(Name).select((n) => n.note).all(), ["changed"]);
    },
  );

  scenario(
    "a row that a statement put in a deleted one's place makes room for it again",
    async (c) => {
      const { session } = c;
      const old = new Name({ name: "u1", note: "old" });
      session.add(old);
      await session.commit();
      let other: Name | undefined;
      await assertRejects(() =>
        session.begin(async () => {
          session.delete(old);
          await session.flush();
          await session.execute(sql`insert into names (name, note) values ('u1', 'other')`);
          other = await session.getOrFail(Name, "u1");
          assert(other !== old);
          undone();
        }), Undone);
      assertStrictEquals(await session.get(Name, "u1"), old);
      assertEquals([inspect(old).state, old.note], ["persistent", "old"]);
      assert(inspect(other!).state !== "persistent", inspect(other!).state);
    },
  );

  scenario("a key and a value that change in one flush cost one statement", async (context) => {
    const { session, engine } = context;
    const user = new User({ id: 1, name: "ed" });
    session.add(user);
    await session.commit();
    user.id = 3;
    user.name = "fred";
    assertEquals((await sent(engine, () => session.commit())).length, 1);
    assertStrictEquals(await session.get(User, 3), user);
  });

  scenario("an object that came back from a deletion is not deleted twice", async ({ session }) => {
    const name = new Name({ name: "u1" });
    session.add(name);
    await session.commit();
    for (let i = 0; i < 2; i++) {
      await assertRejects(() =>
        session.begin(async () => {
          session.delete(name);
          await session.flush();
          undone();
        }), Undone);
    }
    session.delete(name);
    await session.commit();
    assertEquals([inspect(name).state, await session.query(Name).count()], ["detached", 0]);
  });
});
