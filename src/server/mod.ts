/**
 * Sessions for web servers: one for each request, ended with its response.
 *
 * @example
 * ```ts
 * import { AsyncEngine, createAll, entity, integer, text } from "@sluice/orm";
 * import { withSession } from "@sluice/orm/server";
 * import { assertEquals } from "@std/assert";
 *
 * class Pet extends entity("pets", { id: integer().primaryKey().generated(), name: text() }) {}
 * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Pet] });
 * await createAll(engine);
 *
 * const handler = withSession(engine, async (request, session) => {
 *   if (request.method === "POST") {
 *     const pet = new Pet({ name: await request.text() });
 *     session.add(pet);
 *     await session.commit();
 *     return Response.json(pet, { status: 201 });
 *   }
 *   return new Response(session.query(Pet).ndjson());
 * });
 *
 * // Deno.serve(handler), or whatever else takes a Request and gives a Response:
 * await (await handler(new Request("http://pets/", { method: "POST", body: "Ant" }))).text();
 * assertEquals(await (await handler(new Request("http://pets/"))).json(), { id: 1, name: "Ant" });
 * ```
 *
 * @module
 */

export { type SessionHandler, withSession, type WithSessionOptions } from "./with_session.ts";
