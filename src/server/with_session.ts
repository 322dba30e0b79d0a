/**
 * `withSession()`: turns a handler that works with a session into one that a server takes.
 *
 * @module
 */

import { InputError } from "../errors.ts";
import type { AsyncEngine } from "../session/async_engine.ts";
import type { AsyncSession } from "../session/async_session.ts";
import type { SessionOptions } from "../session/session_core.ts";
import { describe } from "../sql/expression.ts";
import { RequestScope } from "./request_scope.ts";

/** How the sessions of requests work. */
export type WithSessionOptions = Omit<SessionOptions, "signal">;

/** Answers a request with the help of a session; `info` is what the server tells besides. */
export type SessionHandler<Info = unknown> = (
  request: Request,
  session: AsyncSession,
  info: Info,
) => Response | Promise<Response>;

/** What the client gets that has left already: the status code that log files have for it. */
const CLIENT_CLOSED_REQUEST = 499;

/**
 * A handler for `Deno.serve`, and for everything else that takes a `Request` and gives a
 * `Response`, in which every request has a session of its own.
 *
 * - The session borrows no connection before its first statement.
 * - It is closed when the body of the response has been sent, so a query can be streamed as it is:
 *   `new Response(query.ndjson())`. Rows are fetched no faster than the client takes them.
 * - Changes are stored by `session.commit()`, never by themselves. When the handler throws, what
 *   is not committed is rolled back, and the error goes on to the server.
 * - When the client leaves before the end, the statement under way is cancelled and everything is
 *   given back. What the handler throws because of that is nobody's error and goes nowhere.
 *
 * A response without a body, that of an upgrade to a WebSocket too, ends the session when the
 * handler returns. So does one whose body is there as a whole, like that of `Response.json()`;
 * where a stream's length is known and a client needs it, set `content-length` yourself.
 *
 * On Deno, whose `request.signal` aborts after successful responses too (which is noticed here and
 * harmless), a warning about that is printed once; `--unstable-no-legacy-abort` ends both.
 *
 * @param handler Gets the request, its session, and what the server passes besides.
 * @param options How the sessions work, as for `engine.session()`.
 * @throws {InputError} for a handler or an option that is none.
 * @throws {MappingError} with every mistake of the entities.
 *
 * @example A stream of rows, and a transaction
 * ```ts
 * import { AsyncEngine, createAll, entity, integer, text } from "@sluice/orm";
 * import { withSession } from "@sluice/orm/server";
 * import { assertEquals } from "@std/assert";
 *
 * class Visit extends entity("visits", { path: text().primaryKey(), count: integer() }) {}
 * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Visit] });
 * await createAll(engine);
 *
 * const server = Deno.serve({ port: 0, onListen() {} }, withSession(engine, async (request, session) => {
 *   const path = new URL(request.url).pathname;
 *   await session.begin(async () => {
 *     const visit = await session.get(Visit, path, { lock: "update" });
 *     if (visit === undefined) session.add(new Visit({ path, count: 1 }));
 *     else visit.count++;
 *   });
 *   return new Response(session.query(Visit).orderBy((v) => v.path.asc()).ndjson());
 * }));
 *
 * const url = `http://localhost:${server.addr.port}`;
 * await (await fetch(`${url}/a`)).text();
 * assertEquals(await (await fetch(`${url}/a`)).json(), { path: "/a", count: 2 });
 * await server.shutdown();
 * ```
 */
export function withSession<Info = unknown>(
  engine: AsyncEngine,
  handler: SessionHandler<Info>,
  options: WithSessionOptions = {},
): (request: Request, info?: Info) => Promise<Response> {
  check(engine, handler, options);
  return async (request, info) => {
    const scope = new RequestScope(engine, request.signal, options);
    try {
      // A server that passes nothing has handlers that expect nothing.
      const response = await handler(request, scope.session, info as Info);
      return await scope.send(response, request.method);
    } catch (error) {
      await scope.fail(error);
      if (scope.clientLeft) return new Response(null, { status: CLIENT_CLOSED_REQUEST });
      throw error;
    }
  };
}

function check(engine: AsyncEngine, handler: unknown, options: WithSessionOptions): void {
  if (typeof handler !== "function") {
    throw new InputError(`withSession() expects a handler, found ${describe(handler)}`, {
      hint: "Write it as withSession(engine, (request, session) => new Response(…))",
    });
  }
  if (Object.hasOwn(options, "signal")) {
    throw new InputError('withSession() takes no option "signal"', {
      hint: "The sessions follow the signals of their requests",
    });
  }
  // What is wrong with the options or the entities is said now, not to the first request.
  engine.session(options);
}
