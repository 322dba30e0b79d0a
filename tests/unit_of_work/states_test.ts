import { assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import {
  AsyncEngine,
  type AsyncSession,
  createAll,
  entity,
  inspect,
  InstanceStateError,
  integer,
  sql,
  text,
} from "@sluice/orm";
import { MOVES, type Request, type Standing } from "../../src/unit_of_work/states.ts";
import { eachEngine } from "../support/each_engine.ts";

class Leaf extends entity("leaves", {
  id: integer().primaryKey().generated(),
  name: text(),
}) {}

/** An object that stands somewhere in a session, and the end of what keeps it there. */
interface Placed {
  readonly session: AsyncSession;
  readonly leaf: Leaf;
  end(): Promise<void>;
}

const STANDINGS: readonly Standing[] = [
  "transient",
  "pending",
  "storing",
  "persistent",
  "doomed",
  "deleted",
  "detached",
];

async function place(engine: AsyncEngine, standing: Standing): Promise<Placed> {
  const session = engine.session({ onUnflushedClose: "ignore" });
  const leaf = new Leaf({ name: standing });
  let end = () => session.close();
  if (standing !== "transient") session.add(leaf);
  if (standing === "storing") {
    const commit = session.commit();
    end = () => commit.then(() => session.close());
  } else if (standing !== "transient" && standing !== "pending") await session.commit();
  if (standing === "doomed") session.delete(leaf);
  if (standing === "detached") session.expunge(leaf);
  if (standing === "deleted") {
    await session.begin();
    session.delete(leaf);
    await session.flush();
  }
  return { session, leaf, end };
}

const REQUESTS: Readonly<
  Record<Request, (session: AsyncSession, leaf: Leaf) => unknown>
> = {
  add: (session, leaf) => session.add(leaf),
  delete: (session, leaf) => session.delete(leaf),
  attach: (session, leaf) => session.attach(leaf),
  expire: (session, leaf) => session.expire(leaf),
  refresh: (session, leaf) => session.refresh(leaf),
  expunge: (session, leaf) => session.expunge(leaf),
};

/** As `inspect()` tells it. */
const told = (standing: Standing) =>
  standing === "doomed" ? "deleted" : standing === "storing" ? "pending" : standing;

eachEngine("every request moves an object as the table says, or is refused", async ({ target }) => {
  await using engine = new AsyncEngine(target, { entities: [Leaf] });
  await createAll(engine);
  for (const standing of STANDINGS) {
    for (const [request, act] of Object.entries(REQUESTS)) {
      const what = `${request} of ${standing}`;
      const { session, leaf, end } = await place(engine, standing);
      assertEquals(inspect(leaf).state, told(standing), what);
      const next = MOVES[request as Request][standing];
      if (next === undefined) {
        // Refused at once, and nothing has changed.
        const error = await Promise.resolve().then(() => act(session, leaf))
          .then(() => undefined, (error) => error);
        assertEquals(error instanceof InstanceStateError, true, `${what}: ${error}`);
        assertEquals(error.code, "INSTANCE_STATE");
        assertEquals(error.message.includes("Leaf "), true, error.message);
      } else await act(session, leaf);
      // What was being stored is so by now: it needs no more than the turn of the loop.
      if (standing !== "storing") {
        assertEquals(inspect(leaf).state, told(next ?? standing), what);
        assertEquals(session.new.includes(leaf), (next ?? standing) === "pending", what);
        assertEquals(session.deleted.includes(leaf), (next ?? standing) === "doomed", what);
      }
      await end();
    }
  }
});

eachEngine("the ends of transactions and sessions move objects by the table", async (context) => {
  await using engine = new AsyncEngine(context.target, { entities: [Leaf] });
  await createAll(engine);
  for (const standing of STANDINGS) {
    const removed = MOVES.commit[MOVES.remove[standing === "deleted" ? "doomed" : standing]!];
    const ends: Record<string, readonly [(session: AsyncSession) => Promise<unknown>, Standing]> = {
      commit: [
        // Of the transaction that is open, or of one of its own.
        (session) => standing === "deleted" ? Promise.resolve() : session.commit(),
        standing === "pending" || standing === "storing"
          ? MOVES.insert.storing!
          : standing === "doomed"
          ? removed!
          : standing,
      ],
      rollback: [
        (session) => session.rollback(),
        // A commit that is under way comes first.
        standing === "storing" ? "persistent" : MOVES.rollback[standing] ?? standing,
      ],
    };
    for (const [name, [act, next]] of Object.entries(ends)) {
      const { session, leaf, end } = await place(engine, standing);
      await act(session);
      assertEquals(inspect(leaf).state, told(next), `${name} of ${standing}`);
      await end();
      const closed = MOVES.close[next] ?? next;
      // Closing a session rolls back what is open.
      const last = next === "deleted" ? MOVES.close[MOVES.rollback.deleted!]! : closed;
      assertEquals(inspect(leaf).state, told(last), `close after ${name} of ${standing}`);
    }
  }
});

eachEngine("an object of another session is refused whatever it is asked", async ({ target }) => {
  await using engine = new AsyncEngine(target, { entities: [Leaf] });
  await createAll(engine);
  await using other = engine.session();
  for (const standing of ["pending", "persistent", "doomed"] as const) {
    const { leaf, end } = await place(engine, standing);
    for (const [request, act] of Object.entries(REQUESTS)) {
      // Letting go of what one does not have is done already.
      if (request === "expunge") other.expunge(leaf);
      else {
        await assertRejects(
          () => Promise.resolve().then(() => act(other, leaf)),
          InstanceStateError,
          "in another session",
        );
      }
      assertEquals(inspect(leaf).state, told(standing));
    }
    await end();
  }
});

eachEngine("delete() while an object is being stored deletes it with the next flush", async (c) => {
  await using engine = new AsyncEngine(c.target, { entities: [Leaf] });
  await createAll(engine);
  await using session = engine.session();
  const leaf = new Leaf({ name: "x" });
  session.add(leaf);
  const commit = session.commit();
  assertThrows(() => session.expunge(leaf), InstanceStateError, "being stored");
  session.delete(leaf);
  await commit;
  assertEquals([inspect(leaf).state, session.deleted], ["deleted", [leaf]]);
  assertEquals(await session.query(Leaf).count(), 1);
  await session.commit();
  assertEquals([inspect(leaf).state, await session.query(Leaf).count()], ["detached", 0]);
});

eachEngine("what is let go of inside a transaction stays so when it is undone", async (context) => {
  await using engine = new AsyncEngine(context.target, { entities: [Leaf] });
  await createAll(engine);
  await using session = engine.session();
  const [kept, gone, other] = ["kept", "gone", "other"].map((name) => new Leaf({ name })) as [
    Leaf,
    Leaf,
    Leaf,
  ];
  session.addAll([kept, gone, other]);
  await session.commit();
  const fresh = new Leaf({ name: "fresh" });
  await session.begin(async (tx) => {
    kept.name = "changed";
    session.delete(gone);
    session.add(fresh);
    await session.flush();
    for (const leaf of [kept, gone, fresh]) session.expunge(leaf);
    assertEquals([kept, gone, fresh].map((leaf) => inspect(leaf).state), [
      "detached",
      "detached",
      "detached",
    ]);
    assertThrows(() => session.attach(gone), InstanceStateError, "was deleted");
    await tx.rollback();
  });
  // The row of the new one was never there.
  assertEquals([kept, gone, fresh].map((leaf) => inspect(leaf).state), [
    "detached",
    "detached",
    "transient",
  ]);
  const again = await session.getOrFail(Leaf, kept.id);
  assertEquals([again === kept, again.name], [false, "kept"]);
  session.expunge(again);
  // What it is differs from its row, which is what counts when it is taken back.
  session.attach(kept);
  session.attach(gone);
  assertEquals(session.dirty, [kept]);
  await session.commit();
  const { rows } = await engine.execute(sql<{ name: string }>`select name from leaves order by id`);
  assertEquals(rows.map(({ name }) => name), ["changed", "gone", "other"]);
  assertStrictEquals(await session.get(Leaf, gone.id), gone);
});
