/**
 * The guard: what stands in for relations that were not loaded. It ends the prototype chain of an
 * entity class, so that only properties an object does not have ever reach it; the object itself
 * stays plain. An accessor on the prototype would do for reading, but tools that compare objects
 * with all they inherit (`assertEquals`) would find it and call it.
 *
 * @module
 */

import { DetachedInstanceError, NotLoadedError } from "../errors.ts";
import { Managed } from "./instance_state.ts";

/** Puts a guard for `names` between a class's prototype and that of `Managed`. */
export function guard(prototype: object, names: ReadonlySet<PropertyKey>): void {
  Object.setPrototypeOf(
    prototype,
    new Proxy(Managed.prototype, {
      get(target, property, receiver) {
        if (names.has(property)) throw notLoaded(receiver, String(property));
        return Reflect.get(target, property, receiver);
      },
      set(target, property, value, receiver) {
        if (names.has(property)) {
          // Tells the flush to look at this object's relations.
          const state = Managed.stateOf(receiver);
          if (state !== undefined) state.related ??= new Map();
        }
        return Reflect.set(target, property, value, receiver);
      },
      ownKeys: () => [],
      getOwnPropertyDescriptor: () => undefined,
    }),
  );
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
      : `Add .selectin("${property}") to the query that loads the object`,
  });
}
