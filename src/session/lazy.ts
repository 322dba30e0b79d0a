/**
 * `lazy()`: relations as promises, loaded when they are asked for.
 *
 * @module
 */

import { DetachedInstanceError, InputError } from "../errors.ts";
import { chooseColumns } from "../loading/columns.ts";
import { addPath, noPaths } from "../loading/paths.ts";
import { isLoaded } from "../loading/related.ts";
import { type InstanceState, Managed } from "../mapper/instance_state.ts";
import type { Declarations, Deferred, RelationNames, Unloaded } from "../mapper/types.ts";
import { describe } from "../sql/expression.ts";
import type { RelationLoader, SessionOwner } from "./session_core.ts";

/** The relations of an entity as promises, and the columns it may lack. */
export type Lazy<E> =
  & {
    readonly [K in RelationNames<Declarations<E>> & keyof Declarations<E>]: Promise<
      Exclude<Declarations<E>[K], Unloaded>
    >;
  }
  & {
    readonly [K in keyof E as Deferred extends E[K] ? K : never]: Promise<Exclude<E[K], Deferred>>;
  };

/**
 * The relations of an object as promises: `await lazy(author).books`. And its columns that are
 * deferred, or were left out by `only()`: `await lazy(author).bio`.
 *
 * What is not loaded is loaded for all objects that came with this one, from the same
 * query or the same relation, so that a loop over them costs one statement and not one a turn. One
 * that is loaded costs none.
 *
 * @throws {DetachedInstanceError} by its promise, when the object has no session any more.
 * @throws {InstanceStateError} by its promise, when the object was not stored yet.
 *
 * @example
 * ```ts
 * import { AsyncEngine, createAll, entity, hasMany, integer, lazy } from "@sluice/orm";
 * import { assertEquals } from "@std/assert";
 *
 * class Author extends entity("authors", {
 *   id: integer().primaryKey().generated(),
 *   books: hasMany<Book>("books.authorId"),
 * }) {}
 * class Book extends entity("books", {
 *   id: integer().primaryKey().generated(),
 *   authorId: integer().references("authors.id"),
 * }) {}
 * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Author, Book] });
 * await createAll(engine);
 * await using session = engine.session();
 * session.addAll([1, 2, 3].map((n) => new Author({ books: Array.from({ length: n }, () => new Book({})) })));
 * await session.commit();
 *
 * await using other = engine.session();
 * let statements = 0;
 * engine.on("statement", () => statements++);
 * const counts: number[] = [];
 * for (const author of await other.query(Author).orderBy((a) => a.id.asc()).all()) {
 *   counts.push((await lazy(author).books).length);
 * }
 * assertEquals([counts, statements], [[1, 2, 3], 2]);
 * ```
 */
export function lazy<E extends object>(object: E): Lazy<E> {
  if (!Managed.is(object)) {
    throw new InputError(`lazy() expects an entity, found ${describe(object)}`, {
      hint: "Pass an object that a session loaded",
    });
  }
  return new Proxy(Object.create(null), {
    // Not `then`: awaiting the relations as a whole asks for it, and means none of them.
    get: (_target, name) =>
      typeof name === "string" && name !== "then" ? related(object, name) : undefined,
  });
}

async function related(object: object, property: string): Promise<unknown> {
  const state = Managed.stateOf(object);
  const read = (): unknown => (object as Record<string, unknown>)[property];
  if (state === undefined) return read();
  if (state.mapper.reads(property)) {
    if (Object.hasOwn(object, property)) return read();
    const { mapper, mapper: { root } } = state;
    const declaring = root.reads(property) ? root : mapper;
    const choice = chooseColumns(declaring, [property], false, "lazy()");
    await loaderOf(state, property, `.only("${property}") or .undefer("${property}")`)
      .loadForPeers(object, noPaths, { mapper: declaring, choice });
    return read();
  }
  const tree = addPath(noPaths, state.mapper, property);
  const relation = tree.get(property)?.relation;
  if (relation !== undefined && !isLoaded(object, relation)) {
    await loaderOf(state, property, `.selectin("${property}")`).loadForPeers(object, tree);
  }
  return read();
}

function loaderOf(state: InstanceState, property: string, how: string): RelationLoader {
  const { loader } = (state.owner ?? {}) as Partial<SessionOwner>;
  if (loader !== undefined) return loader;
  throw new DetachedInstanceError(
    `"${state.mapper.name}.${property}" was not loaded, and its object has no session`,
    { hint: `Load it with ${how} while the session is open` },
  );
}
