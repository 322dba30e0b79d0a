import { assertEquals, assertRejects, assertStrictEquals, assertStringIncludes } from "@std/assert";
import {
  AsyncEngine,
  belongsTo,
  createAll,
  type Driver,
  entity,
  hasMany,
  hasOne,
  integer,
  IntegrityError,
  sql,
  StaleDataError,
  text,
  UniqueViolationError,
} from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";
import { Random } from "../support/random.ts";
import { Author, Book, Country, openLibrary, sent } from "../support/library_model.ts";

eachEngine("a new row takes the key of one that is deleted in the same flush", async (context) => {
  await using engine = await openLibrary(context.target);
  await using session = engine.session();
  const old = new Country({ code: "fr", name: "Old", authors: [] });
  session.add(old);
  await session.commit();
  session.delete(old);
  const fresh = new Country({ code: "fr", name: "New" });
  session.add(fresh);
  assertEquals(session.preview().steps.map(({ action }) => action), ["delete", "insert"]);
  await session.commit();
  assertStrictEquals<unknown>(await session.get(Country, "fr"), fresh);
  const { rows } = await engine.execute(sql`select name from countries`);
  assertEquals(rows as unknown[], [{ name: "New" }]);
});

eachEngine("an update takes the unique value of a row that is deleted", async ({ target }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  const [a, b] = ["a", "b"].map((name) =>
    new Author({ name, email: `${name}@x.y`, books: [new Book({ title: name })] })
  ) as [Author, Author];
  session.addAll([a, b]);
  await session.commit();
  // Its book goes with it, before it.
  session.delete((a.books as Book[])[0]!);
  session.delete(a);
  b.email = "a@x.y";
  await session.commit();
  assertEquals(await session.query(Author).select((x) => x.email).all(), ["a@x.y"]);
});

eachEngine("a failed flush that hands a key on restores both objects", async ({ target }) => {
  await using engine = await openLibrary(target);
  await using session = engine.session();
  const old = new Country({ code: "fr", name: "Old", authors: [] });
  const other = new Author({ name: "x", email: "x@x.y" });
  session.addAll([old, other]);
  await session.commit();
  session.delete(old);
  session.addAll([
    new Country({ code: "fr", name: "New" }),
    new Author({ name: "y", email: "x@x.y" }),
  ]);
  await assertRejects(() => session.commit(), IntegrityError);
  assertStrictEquals<unknown>(await session.get(Country, "fr"), old);
  old.name = "Still";
  await session.commit();
  assertEquals(await session.query(Country).select((c) => c.name).all(), ["Still"]);
});

class Member extends entity("members", {
  id: integer().primaryKey(),
  email: text().nullable().unique(),
  /** A place in a team, and one that is always given. */
  team: text().default("a"),
  place: integer().nullable(),
  seat: integer().unique(),
  version: integer().version(),
  bossId: integer().nullable().references("members.id"),
  boss: belongsTo<Member | null>("bossId"),
  badge: hasOne<Badge>("badges.memberId"),
}, { unique: [["team", "place"]] }) {}

class Badge extends entity("badges", {
  code: text().primaryKey(),
  label: text(),
  memberId: integer().nullable().unique().references("members.id"),
  member: belongsTo<Member | null>("memberId"),
}) {}

async function openMembers(target: string | Driver) {
  const engine = new AsyncEngine(target, { entities: [Member, Badge] });
  await createAll(engine);
  const session = engine.session();
  const members = [1, 2, 3, 4].map((id) =>
    new Member({ id, email: `${id}@x.y`, place: id, seat: id })
  ) as [Member, Member, Member, Member];
  session.addAll(members);
  await session.commit();
  const emails = async () => {
    const { rows } = await engine.execute(sql<{ email: string | null }>`
      select email from members order by id`);
    return rows.map(({ email }) => email?.[0]).join("");
  };
  return {
    engine,
    session,
    members,
    emails,
    async [Symbol.asyncDispose]() {
      await session.close();
      await engine.dispose();
    },
  };
}

eachEngine("rows exchange unique values in one flush, whatever the ring", async (context) => {
  await using fixture = await openMembers(context.target);
  const { engine, session, emails } = fixture;
  const [a, b, c, d] = fixture.members;
  const step = (name: string, body: () => Promise<void>) => context.test.step(name, body);

  await step("two exchange: one lets go first", async () => {
    [a.email, b.email] = [b.email, a.email];
    const preview = session.preview();
    assertEquals(String(preview).split("\n").length, 3);
    const statements = await sent(engine, () => session.commit());
    assertEquals(statements, preview.steps.flatMap(({ statements }) => statements));
    assertEquals(await emails(), "2134");
    assertEquals([a.version, b.version, session.dirty.length], [2, 2, 0]);
  });

  await step("three in a ring, beside two more", async () => {
    [a.email, b.email, c.email] = [b.email, c.email, a.email];
    d.email = "5@x.y";
    await session.commit();
    assertEquals(await emails(), "1325");
  });

  await step("a chain needs an order only", async () => {
    // In the order of keys the first would take what the last still holds.
    a.email = b.email;
    b.email = c.email;
    c.email = d.email;
    d.email = "6@x.y";
    assertEquals((await sent(engine, () => session.commit())).length, 4);
    assertEquals(await emails(), "3256");
  });

  await step("a group of columns", async () => {
    [a.place, b.place] = [b.place, a.place];
    await session.commit();
    assertEquals([a.place, b.place], [2, 1]);
    await session.refresh(a);
    assertEquals(a.place, 2);
  });

  await step("a new row takes what another lets go of", async () => {
    const late = new Member({ id: 5, email: a.email, seat: a.seat, team: "b" });
    a.email = null;
    a.seat = 9;
    session.add(late);
    assertEquals(session.preview().steps.map(({ action }) => action), ["update", "insert"]);
    await session.commit();
    assertEquals(await emails(), "2563");
    session.delete(late);
    a.email = "3@x.y";
    a.seat = 1;
    await session.commit();
    assertEquals(await emails(), "3256");
  });

  await step("values that take no null are refused by the database, with the mend", async () => {
    [a.seat, b.seat] = [b.seat, a.seat];
    const error = await assertRejects(() => session.commit(), UniqueViolationError, "deferrable");
    assertStringIncludes(error.message, "Member 1");
    assertStringIncludes(error.message, "Member 2");
    assertEquals([a.seat, b.seat], [1, 2]);
    // In two steps it works.
    await session.begin(async () => {
      [a.seat, b.seat] = [100, 1];
      await session.flush();
      a.seat = 2;
    });
    assertEquals([a.seat, b.seat], [2, 1]);
  });
  await step("a chain of values that take no null", async () => {
    a.seat = b.seat; // 1
    b.seat = 7;
    c.seat = 2;
    await session.commit();
    const { rows } = await engine.execute(sql<{ seat: number }>`
      select seat from members order by id`);
    assertEquals(rows.map(({ seat }) => seat), [1, 7, 2, 4]);
  });

  await step("what failed is undone", async () => {
    [a.email, b.email] = [b.email, a.email];
    c.seat = 4; // d's
    await assertRejects(() => session.commit(), UniqueViolationError);
    assertEquals([a.email, b.email, c.seat], ["3@x.y", "2@x.y", 2]);
    assertEquals(await emails(), "3256");
  });

  await step("a lost update is noticed by the row that lets go, too", async () => {
    await engine.execute(sql`update members set version = version + 1 where id = 1`);
    [a.email, b.email] = [b.email, a.email];
    await assertRejects(() => session.commit(), StaleDataError, "Member 1");
    assertEquals(await emails(), "3256");
    await session.refresh(a);
  });

  await step("a row that is deleted is let go of by one that takes its value", async () => {
    c.boss = d;
    await session.commit();
    c.boss = null;
    c.email = d.email;
    session.delete(d);
    await session.commit();
    assertEquals(await emails(), "326");
    assertEquals(await session.query(Member).count(), 3);
  });
});

eachEngine("the one object of a relation is replaced, and keys change hands", async (context) => {
  await using fixture = await openMembers(context.target);
  const { engine, session } = fixture;
  const [a, b] = fixture.members;
  const stored = async () => {
    const { rows } = await engine.execute(sql<{ code: string; label: string; of: number }>`
      select code, label, member_id as of from badges order by label`);
    return rows.map(({ code, label, of }) => `${label}:${code}${of ?? ""}`).join(" ");
  };
  const [x, y] = [new Badge({ code: "x", label: "X" }), new Badge({ code: "y", label: "Y" })];
  a.badge = x;
  b.badge = y;
  await session.commit();
  assertEquals(await stored(), "X:x1 Y:y2");

  // Exchanged between their owners.
  a.badge = y;
  b.badge = x;
  await session.commit();
  assertEquals(await stored(), "X:x2 Y:y1");
  assertEquals([x.memberId, y.memberId], [2, 1]);

  // Replaced by a new one: the old one loses its place first.
  const z = new Badge({ code: "z", label: "Z" });
  a.badge = z;
  await session.commit();
  assertEquals(await stored(), "X:x2 Y:y Z:z1");

  // Primary keys in a chain: the identity map follows.
  const before = z.code;
  z.code = "zz";
  x.code = before;
  await session.commit();
  assertEquals(await stored(), "X:z2 Y:y Z:zz1");
  assertStrictEquals<unknown>(await session.get(Badge, "z"), x);
  assertStrictEquals<unknown>(await session.get(Badge, "zz"), z);
  assertEquals(await session.get(Badge, "x"), undefined);

  // A new row takes the key of a living one.
  y.code = "w";
  const fresh = new Badge({ code: "y", label: "fresh" });
  session.add(fresh);
  await session.commit();
  assertStrictEquals<unknown>(await session.get(Badge, "y"), fresh);
  assertStrictEquals<unknown>(await session.get(Badge, "w"), y);
});

eachEngine("a deferrable constraint lets rows exchange what takes no null", async ({ target }) => {
  await using fixture = await openMembers(target);
  const { engine, session, members: [a, b] } = fixture;
  await engine.execute(sql`alter table members drop constraint members_seat_key`);
  await engine.execute(sql`alter table members add unique (seat) deferrable`);
  [a.seat, b.seat] = [b.seat, a.seat];
  assertEquals((await sent(engine, () => session.commit())).length, 1);
  await session.refresh(a);
  assertEquals([a.seat, b.seat], [2, 1]);
}, { only: ["postgres"] });

class Crate extends entity("crates", {
  code: text().primaryKey(),
  jars: hasMany<Jar>("jars.crateCode"),
}) {}

class Jar extends entity("jars", {
  id: integer().primaryKey(),
  crateCode: text().nullable().references("crates.code", { onUpdate: "cascade" }),
  crate: belongsTo<Crate | null>("crateCode"),
}) {}

eachEngine("children move between parents whose keys change hands", async ({ target }) => {
  await using engine = new AsyncEngine(target, { entities: [Crate, Jar] });
  await createAll(engine);
  await using session = engine.session();
  const jar = (id: number) => new Jar({ id });
  const a = new Crate({ code: "a", jars: [jar(1), jar(2)] });
  const b = new Crate({ code: "b", jars: [jar(3)] });
  session.addAll([a, b]);
  await session.commit();
  const [inA, inB] = [a.jars as Jar[], b.jars as Jar[]];
  const stored = async () => {
    const { rows } = await engine.execute(sql<{ id: number; code: string }>`
      select id, crate_code as code from jars order by id`);
    return rows.map(({ id, code }) => `${id}${code}`).join(" ");
  };
  // The one that leaves for the crate that is called as its own was: its row says "a" before and after.
  b.code = "a";
  a.code = "z";
  inB.push(inA.shift()!, jar(4));
  inA.push(inB.shift()!, jar(5));
  await session.commit();
  assertEquals(await stored(), "1a 2z 3z 4a 5z");
  assertEquals(
    [...inA, ...inB].map(({ id, crateCode }) => `${id}${crateCode}`).sort().join(" "),
    await stored(),
  );

  // A new crate takes the name of one that lives on.
  a.code = "y";
  session.add(new Crate({ code: "z", jars: [jar(6)] }));
  inA.push(jar(7));
  await session.commit();
  assertEquals(await stored(), "1a 2y 3y 4a 5y 6z 7y");
  assertEquals(session.dirty, []);
});

eachEngine("whatever changes hands at random, the rows end as the objects are", async (context) => {
  await using fixture = await openMembers(context.target);
  const { engine, session } = fixture;
  const random = new Random(1);
  const live = [...fixture.members] as Member[];
  let id = 10;
  // More holders than values, so that they meet all the time.
  const emails = [..."abcdefgh", null, null];
  const places = [1, 2, 3, 4, 5, 6, null];
  for (let round = 0; round < 40; round++) {
    for (const member of [...live]) {
      if (live.length > 3 && random.int(0, 5) === 0) {
        session.delete(member);
        live.splice(live.indexOf(member), 1);
        for (const other of live) {
          if (other.bossId === member.id) other.boss = null;
        }
      }
    }
    while (live.length < 7 && random.int(0, 2) > 0) {
      const fresh = new Member({ id: id++, seat: id * 10 });
      live.push(fresh);
      session.add(fresh);
    }
    const shuffled = <T>(values: readonly T[]) =>
      values.map((value) => [random.float(), value] as const)
        .sort(([a], [b]) => a - b).map(([, value]) => value);
    const free = { emails: shuffled(emails), places: shuffled(places) };
    for (const member of live) {
      const [email, place] = [free.emails.pop()!, free.places.pop()!];
      if (random.int(0, 3) > 0) member.email = email ?? null;
      member.place = place ?? null;
      if (random.int(0, 4) === 0) member.boss = live[random.int(0, live.length - 1)]!;
    }
    // Those that kept theirs may have met another who took it.
    const seen = new Set<string>();
    for (const member of live) {
      if (member.email !== null && seen.has(member.email)) member.email = null;
      else if (member.email !== null) seen.add(member.email);
    }
    await session.commit();
    const { rows } = await engine.execute(sql<{ text: string }>`
      select id || coalesce(email, '-') || coalesce(place, 0) || ',' || version || ',' ||
        coalesce(boss_id, 0) as text from members order by id`);
    const expected = live.toSorted((x, y) => x.id - y.id).map((m) =>
      `${m.id}${m.email ?? "-"}${m.place ?? 0},${m.version},${m.bossId ?? 0}`
    );
    assertEquals(rows.map(({ text }) => text), expected, `round ${round}`);
    assertEquals(session.dirty, []);
  }
});
