import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  AsyncEngine,
  belongsTo,
  createAll,
  entity,
  hasMany,
  InputError,
  inspect,
  integer,
  text,
  UsageError,
} from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";
import { sent } from "../support/library_model.ts";

class Post extends entity("posts", {
  id: integer().primaryKey().generated(),
  title: text(),
  slug: text().default(""),
  edits: integer().default(0),
  comments: hasMany<Comment>("comments.postId", { cascade: "all-orphans" }),
}, {
  hooks: {
    beforeInsert(post) {
      if (post.title === "") throw new RangeError("A post needs a title");
      post.slug = post.title.toLowerCase();
    },
    beforeUpdate(post) {
      post.edits++;
    },
  },
}) {}

class Comment extends entity("comments", {
  id: integer().primaryKey().generated(),
  text: text(),
  postId: integer().references("posts.id"),
  post: belongsTo<Post>("postId"),
}) {}

async function open(target: ConstructorParameters<typeof AsyncEngine>[0]) {
  const engine = new AsyncEngine(target, { entities: [Post, Comment] });
  await createAll(engine);
  return engine;
}

eachEngine("hooks may change what is stored, as part of the same flush", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  const post = new Post({ title: "Hello" });
  session.add(post);
  await session.commit();
  assertEquals([post.slug, post.edits], ["hello", 0]);
  post.title = "Bye";
  assertEquals((await sent(engine, () => session.commit())).length, 1);
  await session.commit();
  await using other = engine.session();
  const stored = await other.getOrFail(Post, post.id);
  assertEquals([stored.title, stored.slug, stored.edits], ["Bye", "hello", 1]);
});

eachEngine("a hook that throws stops the flush, with nothing sent", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  const [good, bad] = [new Post({ title: "Good" }), new Post({ title: "" })];
  session.addAll([good, bad]);
  assertEquals(
    await sent(engine, () => assertRejects(() => session.commit(), RangeError, "needs a title")),
    [],
  );
  assertEquals([inspect(good).state, inspect(bad).state], ["transient", "transient"]);

  await session.begin(async () => {
    session.add(bad);
    await assertRejects(() => session.flush(), RangeError);
    bad.title = "Better";
    await session.flush();
  });
  assertEquals(await session.query(Post).count(), 1);
});

eachEngine("a session's hooks see every object once, those brought in by hooks too", async (c) => {
  await using engine = await open(c.target);
  await using session = engine.session();
  const seen: string[] = [];
  const off = session.on("beforeInsert", (object) => {
    if (object instanceof Post) {
      seen.push(`post ${object.slug}`);
      object.comments = [new Comment({ text: "first!" })];
    } else if (object instanceof Comment) seen.push(`comment ${object.text}`);
  });
  session.on("beforeDelete", (object) => {
    if (object instanceof Comment) seen.push("comment gone");
  });
  const post = new Post({ title: "A" });
  session.add(post);
  await session.commit();
  assertEquals(seen.splice(0), ["post a", "comment first!"]);
  off();
  session.add(new Post({ title: "B" }));
  (post.comments as Comment[]).length = 0; // an orphan
  await session.commit();
  assertEquals(seen, ["comment gone"]);
  assertEquals(await session.query(Comment).count(), 0);
});

eachEngine("afterCommit tells what was committed, and nothing of what was not", async (context) => {
  await using engine = await open(context.target);
  await using session = engine.session();
  const seen: string[] = [];
  session.on("afterCommit", async (object, change) => {
    // The session can be used: its turn is over.
    await session.query(Post).count();
    seen.push(`${change} ${(object as Post).title}`);
  });
  const [a, b] = [new Post({ title: "a" }), new Post({ title: "b", comments: [] })];
  await session.begin(async (tx) => {
    session.addAll([a, b]);
    await session.flush();
    a.title = "A";
    await assertRejects(() =>
      tx.savepoint(async () => {
        session.add(new Post({ title: "undone" }));
        await session.flush();
        throw new Error("undone");
      })
    );
    assertEquals(seen, []);
  });
  assertEquals(seen.splice(0), ["insert A", "insert b"]);
  a.title = "AA";
  session.delete(b);
  await session.commit();
  assertEquals(seen.splice(0).sort(), ["delete b", "update AA"]);
  await assertRejects(() =>
    session.begin(async () => {
      a.title = "never";
      await session.flush();
      throw new Error("undone");
    })
  );
  await session.refresh(a);
  await session.commit();
  assertEquals(seen, []);
});

eachEngine("a hook cannot wait, and must be one there is", async ({ target }) => {
  await using engine = await open(target);
  await using session = engine.session();
  session.on("beforeInsert", (() => Promise.reject(new Error("late"))) as () => void);
  session.add(new Post({ title: "a" }));
  await assertRejects(() => session.commit(), UsageError, "returned a promise");
  assertThrows(() => session.on("beforeInser" as "beforeInsert", () => {}), InputError, "Insert");
  assertThrows(
    () => entity("t", { id: integer() }, { hooks: { after: () => {} } as object }),
    InputError,
    'no hook "after"',
  );
  assert(!session.isModified(new Post({ title: "" })));
});
