import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { AsyncEngine, createAll, entity, InputError, integer, sql, text } from "../../mod.ts";
import { type SessionHandler, withSession } from "../../src/server/mod.ts";
import { driverOf } from "../../src/engine/url.ts";
import { eachEngine, type EngineContext } from "../support/each_engine.ts";
import { StatementLog } from "../support/statement_log.ts";

class Line extends entity("lines", {
  id: integer().primaryKey(),
  text: text(),
}) {}

/** Rows of some 1 kB: enough of them fill every buffer between the cursor and a client. */
function lines(count: number): Iterable<{ id: number; text: string }> {
  return Array.from({ length: count }, (_, i) => ({ id: i + 1, text: "x".repeat(1_000) }));
}

/** An engine with a number of rows, and what it sends. */
async function library({ target }: Pick<EngineContext, "target">, rows: number) {
  const log = new StatementLog(typeof target === "string" ? driverOf(target) : target);
  const engine = new AsyncEngine(log.driver, { entities: [Line] });
  await createAll(engine);
  await using session = engine.session();
  await session.bulkInsert(Line, lines(rows));
  log.clear();
  return { engine, log };
}

/** Serves until disposed. */
function serve(
  handler: (request: Request, info: Deno.ServeHandlerInfo<Deno.NetAddr>) => Promise<Response>,
) {
  const errors: unknown[] = [];
  const server = Deno.serve({
    port: 0,
    onListen() {},
    onError(error) {
      errors.push(error);
      return new Response("Something failed", { status: 500 });
    },
  }, handler);
  return {
    url: `http://localhost:${server.addr.port}`,
    errors,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

/** Waits until a condition holds, which somebody else's work brings about. */
async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; !condition(); i++) {
    assert(i < 500, `never came true: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const allLines: SessionHandler = (_, session) => new Response(session.query(Line).ndjson());

eachEngine("withSession() streams a query to its end and gives the connection back", async (t) => {
  const { engine, log } = await library(t, 1_200);
  await using _engine = engine;
  await using server = serve(withSession(engine, allLines));

  const response = await fetch(server.url);
  const received = (await response.text()).trimEnd().split("\n");
  assertEquals(received.length, 1_200);
  assertEquals(JSON.parse(received[1_199]!).id, 1_200);
  assertEquals(engine.pool.status().checkedOut, 0);
  assertEquals(log.all.filter((entry) => entry.startsWith("fetch")).length, 3);
  assertEquals(log.all.at(-1), "commit");
});

eachEngine("withSession() keeps no more rows than a slow client takes", async (t) => {
  const { engine, log } = await library(t, 20_000);
  await using _engine = engine;
  await using server = serve(
    withSession(engine, (_, session) => new Response(session.query(Line).window(100).ndjson())),
  );
  const fetches = () => log.all.filter((entry) => entry.startsWith("fetch")).length;

  const response = await fetch(server.url);
  const reader = response.body!.getReader();
  await reader.read();
  // The sockets' buffers fill, and then nothing moves.
  let before = -1;
  while (before !== fetches()) {
    before = fetches();
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
  assert(before < 150, `${before} of 200 windows were fetched for a client that took one chunk`);
  let bytes = 0;
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    bytes += next.value.length;
  }
  assert(bytes > 20_000_000 - 100_000);
  assertEquals(fetches(), 201);
  assertEquals(engine.pool.status().checkedOut, 0);
});

eachEngine("withSession() closes the cursor when the client leaves in mid-stream", async (t) => {
  const { engine, log } = await library(t, 20_000);
  await using _engine = engine;
  await using server = serve(withSession(engine, allLines));

  const client = new AbortController();
  const response = await fetch(server.url, { signal: client.signal });
  const reader = response.body!.getReader();
  await reader.read();
  assertEquals(engine.pool.status().checkedOut, 1);
  client.abort();
  await assertRejects(() => reader.read(), DOMException);

  await until(() => engine.pool.status().checkedOut === 0);
  assertEquals(log.all.at(-1), "rollback");
  assertEquals(server.errors, []);
  // The connection is as good as new.
  assertEquals(await engine.session().query(Line).count(), 20_000);
});

Deno.test("withSession() sends nothing more once the client has left", async () => {
  const { engine, log } = await library({ target: "sqlite::memory:" }, 1);
  await using _engine = engine;
  const atWork = Promise.withResolvers<void>();
  const seen = Promise.withResolvers<unknown>();
  await using server = serve(withSession(engine, async (_, session) => {
    await session.begin(async () => {
      session.add(new Line({ id: 2, text: "never stored" }));
      await session.flush();
      atWork.resolve();
      // A second statement after the client has left: refused, not sent.
      await until(() => left);
      await session.query(Line).count().catch((error) => {
        seen.resolve(error);
        throw error;
      });
    });
    return new Response("too late");
  }));

  let left = false;
  const client = new AbortController();
  const answer = fetch(server.url, { signal: client.signal });
  await atWork.promise;
  client.abort();
  await assertRejects(() => answer, DOMException);
  // The server sees it some time after the client did it.
  await new Promise((resolve) => setTimeout(resolve, 100));
  left = true;
  assertEquals((await seen.promise as Error).name, "AbortError");
  await until(() => engine.pool.status().checkedOut === 0);
  assertEquals(log.all.at(-1), "rollback");
  assertEquals(await engine.session().query(Line).count(), 1);
  assertEquals(server.errors, [], "somebody who left is nobody's error");
});

eachEngine("withSession() cancels the statement that runs when the client leaves", async (t) => {
  const { engine } = await library(t, 1);
  await using _engine = engine;
  const atWork = Promise.withResolvers<void>();
  const seen = Promise.withResolvers<unknown>();
  await using server = serve(withSession(engine, async (_, session) => {
    const sleep = session.execute(sql`select pg_sleep(60)`);
    atWork.resolve();
    await sleep.catch(seen.resolve);
    return new Response("too late");
  }));

  const client = new AbortController();
  const answer = fetch(server.url, { signal: client.signal });
  await atWork.promise;
  client.abort();
  await assertRejects(() => answer, DOMException);
  assertEquals((await seen.promise as Error).name, "AbortError");
  await until(() => engine.pool.status().checkedOut === 0);
  assertEquals(await engine.session().query(Line).count(), 1);
}, { only: ["postgres"] });

eachEngine(
  "withSession() rolls back and passes the error on when the handler throws",
  async (t) => {
    const { engine } = await library(t, 1);
    await using _engine = engine;
    await using server = serve(withSession(engine, async (_, session) => {
      await session.begin(); // never ended by the handler
      session.add(new Line({ id: 2, text: "not stored" }));
      await session.flush();
      throw new Error("the handler's own");
    }));

    const response = await fetch(server.url);
    assertEquals(response.status, 500);
    assertEquals(await response.text(), "Something failed");
    assertEquals(server.errors.map(String), ["Error: the handler's own"]);
    assertEquals(engine.pool.status().checkedOut, 0);
    assertEquals(await engine.session().query(Line).count(), 1);
  },
);

eachEngine("withSession() rolls back when the body fails in the middle", async (t) => {
  const { engine } = await library(t, 1);
  await using _engine = engine;
  await using server = serve(withSession(engine, (_, session) => {
    async function* body() {
      await using _transaction = await session.begin();
      session.add(new Line({ id: 2, text: "not stored" }));
      yield new TextEncoder().encode(String(await session.query(Line).count()));
      throw new Error("in the middle");
    }
    return new Response(ReadableStream.from(body()));
  }));

  await assertRejects(async () => await (await fetch(server.url)).text(), TypeError);
  await until(() => engine.pool.status().checkedOut === 0);
  assertEquals(await engine.session().query(Line).count(), 1);
});

Deno.test("withSession() borrows no connection before the first statement", async () => {
  const { engine, log } = await library({ target: "sqlite::memory:" }, 3);
  await using _engine = engine;
  let checkouts = 0;
  engine.on("checkout", () => checkouts++);
  const handler = withSession(engine, (request, session) => {
    if (request.url.endsWith("/idle")) return new Response("hello");
    const query = session.query(Line);
    // Made, but not read yet.
    return new Response(query.ndjson());
  });

  assertEquals(await (await handler(new Request("http://test/idle"))).text(), "hello");
  assertEquals(checkouts, 0);
  const response = await handler(new Request("http://test/"));
  assertEquals(checkouts, 0);
  assertEquals((await response.text()).trimEnd().split("\n").length, 3);
  assertEquals(checkouts, 1);
  assertEquals(log.all.filter((entry) => entry === "begin").length, 1);
});

Deno.test("withSession() keeps status and headers, and passes on what the server tells", async () => {
  const { engine } = await library({ target: "sqlite::memory:" }, 3);
  await using _engine = engine;
  await using server = serve(
    withSession(
      engine,
      (_, __, info: Deno.ServeHandlerInfo<Deno.NetAddr>) =>
        Response.json({ transport: info.remoteAddr.transport }, {
          status: 201,
          headers: { "x-kind": "test" },
        }),
    ),
  );
  const response = await fetch(server.url);
  assertEquals(response.status, 201);
  assertEquals(response.headers.get("x-kind"), "test");
  assertEquals(response.headers.get("content-type"), "application/json");
  assertEquals(await response.json(), { transport: "tcp" });
});

eachEngine("withSession() sends what is there as a whole with its length", async (t) => {
  const { engine } = await library(t, 3);
  await using _engine = engine;
  const bodies: (() => BodyInit)[] = [
    () => "plain",
    () => "",
    () => new TextEncoder().encode("bytes"),
    () => new Blob(["a blob"], { type: "text/x-blob" }),
    () => new URLSearchParams({ q: "1" }),
    () => "x".repeat(200_000),
  ];
  for (const body of bodies) {
    const handler = withSession(engine, async (_, session) => {
      await session.begin(); // never ended by the handler
      assertEquals(await session.query(Line).count(), 3);
      return new Response(body());
    });
    // The session has ended before anybody reads.
    const response = await handler(new Request("http://test/"));
    assertEquals(engine.pool.status().checkedOut, 0);
    const plain = new Response(body());
    assertEquals(response.headers.get("content-type"), plain.headers.get("content-type"));
    const text = await response.text();
    assertEquals(text, await plain.text());

    await using server = serve(handler);
    const served = await fetch(server.url);
    assertEquals(served.headers.get("content-length"), String(text.length));
    assertEquals(await served.text(), text);
  }
});

Deno.test("withSession() passes on what a stream gives as it comes, and its failure", async () => {
  const { engine } = await library({ target: "sqlite::memory:" }, 1);
  await using _engine = engine;
  const encoder = new TextEncoder();
  const steps: PromiseWithResolvers<string>[] = [];
  const step = (i: number) => steps[i] ??= Promise.withResolvers<string>();
  async function* parts() {
    for (let i = 0;; i++) yield encoder.encode(await step(i).promise);
  }
  const handler = withSession(engine, () => new Response(ReadableStream.from(parts())));
  // Nothing was given yet, and the response is there.
  const response = await handler(new Request("http://test/"));
  const reader = response.body!.getReader();
  for (const [i, part] of ["a", "b", "c"].entries()) {
    step(i).resolve(part);
    assertEquals((await reader.read()).value, encoder.encode(part));
  }
  step(3).reject(new Error("no more"));
  await assertRejects(() => reader.read(), Error, "no more");

  // There at once, and more than one piece; or a failure at once.
  const pieces = withSession(
    engine,
    () => new Response(ReadableStream.from(["a", "b", "c"].map((part) => encoder.encode(part)))),
  );
  assertEquals(await (await pieces(new Request("http://test/"))).text(), "abc");
  const failing = withSession(
    engine,
    () => new Response(new ReadableStream({ start: (c) => c.error(new Error("from the start")) })),
  );
  const failed = await failing(new Request("http://test/"));
  await assertRejects(() => failed.text(), Error, "from the start");
});

Deno.test("withSession() ends the session at once without a body, and for HEAD", async () => {
  const { engine, log } = await library({ target: "sqlite::memory:" }, 3);
  await using _engine = engine;
  const statuses: unknown[] = [];
  const handler = withSession(engine, async (request, session) => {
    await session.begin();
    statuses.push(engine.pool.status().checkedOut);
    return request.method === "HEAD"
      ? new Response(session.query(Line).ndjson(), { headers: { "x-rows": "3" } })
      : new Response(null, { status: 204 });
  });
  await using server = serve(handler);

  const empty = await fetch(server.url, { method: "DELETE" });
  assertEquals([empty.status, await empty.text()], [204, ""]);
  assertEquals(engine.pool.status().checkedOut, 0);
  const head = await fetch(server.url, { method: "HEAD" });
  assertEquals([head.headers.get("x-rows"), await head.text()], ["3", ""]);
  assertEquals(engine.pool.status().checkedOut, 0);
  assertEquals(statuses, [1, 1]);
  assertEquals(log.all, ["begin", "rollback", "begin", "rollback"]);
});

Deno.test("withSession() does nothing when the signal aborts after the body's end", async () => {
  const { engine } = await library({ target: "sqlite::memory:" }, 3);
  await using _engine = engine;
  const request = new AbortController();
  const handler = withSession(engine, allLines);
  const response = await handler(new Request("http://test/", { signal: request.signal }));
  assertEquals((await response.text()).trimEnd().split("\n").length, 3);
  request.abort();
  assertEquals(engine.pool.status().checkedOut, 0);
});

Deno.test("withSession() ends the body by the signal where a server does not cancel it", async () => {
  const { engine, log } = await library({ target: "sqlite::memory:" }, 2_000);
  await using _engine = engine;
  const request = new AbortController();
  const handler = withSession(engine, allLines);
  const response = await handler(new Request("http://test/", { signal: request.signal }));
  const reader = response.body!.getReader();
  await reader.read();
  assertEquals(engine.pool.status().checkedOut, 1);
  request.abort();
  await until(() => engine.pool.status().checkedOut === 0);
  assertEquals(log.all.at(-1), "rollback");
  await assertRejects(() => reader.read(), DOMException);
});

Deno.test("withSession() sends nothing for a client that has left before", async () => {
  const { engine, log } = await library({ target: "sqlite::memory:" }, 3);
  await using _engine = engine;
  const handler = withSession(engine, async (_, session) => {
    return Response.json(await session.query(Line).count());
  });
  const response = await handler(new Request("http://test/", { signal: AbortSignal.abort() }));
  assertEquals([response.status, await response.text()], [499, ""]);
  assertEquals(log.all, []);
});

Deno.test("withSession() passes on what closing has to say of changes never stored", async () => {
  const { engine } = await library({ target: "sqlite::memory:" }, 3);
  await using _engine = engine;
  const handler = withSession(engine, (_, session) => {
    session.add(new Line({ id: 9, text: "commit() was forgotten" }));
    return new Response(null);
  }, { onUnflushedClose: "throw" });
  const error = await assertRejects(() => handler(new Request("http://test/")), Error);
  assert(error.message.includes("never stored"), error.message);
});

Deno.test("withSession() refuses what is no handler, no option and no response", async () => {
  await using engine = new AsyncEngine("sqlite::memory:", { entities: [Line] });
  assertThrows(() => withSession(engine, {} as SessionHandler), InputError, "expects a handler");
  assertThrows(
    () => withSession(engine, allLines, { autoFlush: true } as Record<string, unknown>),
    InputError,
    'Did you mean "autoflush"?',
  );
  assertThrows(
    () => withSession(engine, allLines, { signal: undefined } as Record<string, unknown>),
    InputError,
    "follow the signals of their requests",
  );
  const handler = withSession(engine, (() => undefined) as unknown as SessionHandler);
  const error = await assertRejects(() => handler(new Request("http://test/")), Error);
  assert(error.message.includes("undefined instead of a Response"), error.message);
});

eachEngine(
  "withSession() serves many requests at once, none of them in another's way",
  async (t) => {
    const { engine } = await library(t, 600);
    await using _engine = engine;
    await using server = serve(withSession(engine, allLines));
    const answers = await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        if (i % 4 > 0) return (await (await fetch(server.url)).text()).split("\n").length;
        const client = new AbortController();
        const response = await fetch(server.url, { signal: client.signal });
        client.abort();
        return await response.text().catch(() => "left");
      }),
    );
    assertEquals(answers.filter((answer) => answer === 601).length, 30);
    await until(() => engine.pool.status().checkedOut === 0);
    assertEquals(server.errors, []);
  },
);

Deno.test("withSession() says nothing of changes of a client that left", async () => {
  const { engine } = await library({ target: "sqlite::memory:" }, 1);
  await using _engine = engine;
  const request = new AbortController();
  const handler = withSession(engine, (_, session) => {
    session.add(new Line({ id: 9, text: "half of the work" }));
    request.abort();
    return new Response(session.query(Line).ndjson());
  }, { onUnflushedClose: "throw" });
  const response = await handler(new Request("http://test/", { signal: request.signal }));
  assertEquals(await response.text(), "");
});
