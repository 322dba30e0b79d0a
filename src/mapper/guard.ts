/**
 * The guard: what stands in for relations and columns that were not loaded. It ends the prototype chain of an entity class, so that only properties an object does not have ever reach it; the object itself
 * stays plain. An accessor on the prototype would do for reading, but tools that compare objects
 * with all they inherit (`assertEquals`) would find it and call it.
 *
 * @module
 */

import { DetachedInstanceError, NotLoadedError } from "../errors.ts";
import { Managed } from "./instance_state.ts";

/** Puts a guard between a class's prototype and that of `Managed`. */
export function guard(
  prototype: object,
  relations: ReadonlySet<PropertyKey>,
  deferred: ReadonlySet<PropertyKey>,
): void {
  Object.setPrototypeOf(
    prototype,
    new Proxy(Managed.prototype, {
      get(target, property, receiver) {
        if (relations.has(property)) throw notLoaded(receiver, String(property));
        // A new object simply has no value yet.
        if ((deferred.has(property) && isStored(receiver)) || isLeftOut(receiver, property)) {
          throw columnNotLoaded(receiver, String(property), deferred.has(property));
        }
        return Reflect.get(target, property, receiver);
      },
      set(target, property, value, receiver) {
        if (relations.has(property)) {
          // Tells the flush to look at this object's relations.
          const state = Managed.stateOf(receiver);
          if (state !== undefined && state.status !== "readOnly") {
            state.related ??= new Map();
            state.owner?.assigned?.add(receiver);
          }
        }
        return Reflect.set(target, property, value, receiver);
      },
      ownKeys: () => [],
      getOwnPropertyDescriptor: () => undefined,
    }),
  );
}

function isStored(object: object): boolean {
  const state = Managed.is(object) ? Managed.stateOf(object) : undefined;
  return state !== undefined && state.status !== "pending";
}

/** The object was loaded with some of its columns, and this is another one. */
function isLeftOut(object: object, name: PropertyKey): boolean {
  const state = Managed.is(object) ? Managed.stateOf(object) : undefined;
  if (state?.shape === undefined || typeof name !== "string") return false;
  const { shape, mapper } = state;
  if (shape.sparse) return mapper.reads(name);
  return mapper.definition.computed.some(({ property }) => property === name);
}

function columnNotLoaded(object: object, property: string, deferred: boolean): NotLoadedError {
  const state = Managed.stateOf(object)!;
  const name = `${object.constructor.name}.${property}`;
  if (state.status === "detached" || state.owner?.closed) {
    const what = deferred ? "is deferred" : "was not loaded";
    return new DetachedInstanceError(`"${name}" ${what}, and its object has no session`, {
      hint: "Read it while the session is open",
    });
  }
  return new NotLoadedError(`"${name}" ${deferred ? "is deferred and " : ""}was not loaded`, {
    hint: deferred
      ? `Load it with session.load(objects, "${property}"), or by .undefer("${property}") along ` +
        "with the object"
      : `Name it in only(), or load it with session.load(objects, "${property}")`,
  });
}

function notLoaded(object: object, property: string): NotLoadedError {
  const state = Managed.is(object) ? Managed.stateOf(object) : undefined;
  const name = `${object.constructor.name}.${property}`;
  if (state?.status === "detached" || state?.owner?.closed) {
    return new DetachedInstanceError(`"${name}" was not loaded, and its object has no session`, {
      hint: `Load it with .selectin("${property}") while the session is open`,
    });
  }
  return new NotLoadedError(`"${name}" is not loaded`, {
    hint: state === undefined
      ? "Assign it, or add the object to a session and load it"
      : `Add .selectin("${property}") to the query that loads the object, or use session.load()`,
  });
}
