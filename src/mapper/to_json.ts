/**
 * What `JSON.stringify` sees of an entity: its own properties, bigint and bytes as text, and no
 * cycles.
 *
 * @module
 */

import { type Definition, definitionOf } from "./definition.ts";
import { Managed } from "./instance_state.ts";

/**
 * The object itself where JSON can take it as it is, else a plain copy. An entity that is met
 * again inside itself is left out there.
 */
export function toJson(object: object): unknown {
  return isFlat(object) ? object : copy(object, new Set());
}

type Mapped = { readonly [definitionOf]: Definition };

const plain = new WeakMap<Definition, boolean>();

/** Nothing of the object needs another form, and it leads to no other entity. */
function isFlat(object: object): boolean {
  // Of its own class, which can declare more than the one that gave it its method.
  const { constructor } = Object.getPrototypeOf(object) as { constructor: Mapped };
  const definition = constructor[definitionOf];
  let isPlain = plain.get(definition);
  if (isPlain === undefined) plain.set(definition, isPlain = hasPlainColumns(definition));
  if (!isPlain) return false;
  for (const { property } of definition.relations) {
    if (Object.hasOwn(object, property)) return false;
  }
  return true;
}

function hasPlainColumns({ columns, computed }: Definition): boolean {
  return computed.length === 0 &&
    columns.every(({ spec: { type } }) => type.name !== "bigint" && type.name !== "bytes");
}

function copy(object: object, ancestors: Set<object>): unknown {
  ancestors.add(object);
  const result: Record<string, unknown> = {};
  for (const key of Object.keys(object)) {
    const value = (object as Record<string, unknown>)[key];
    if (typeof value !== "object" || value === null) {
      result[key] = typeof value === "bigint" ? value.toString() : value;
    } else if (Array.isArray(value)) {
      const parts: unknown[] = result[key] = [];
      for (const item of value) if (!ancestors.has(item)) parts.push(part(item, ancestors));
    } else if (!ancestors.has(value)) {
      result[key] = part(value, ancestors);
    }
  }
  ancestors.delete(object);
  return result;
}

function part(value: unknown, ancestors: Set<object>): unknown {
  if (typeof value === "bigint") return value.toString();
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Uint8Array) return base64(value);
  if (Managed.is(value)) return isFlat(value) ? value : copy(value, ancestors);
  return isGroup(value)
    ? Object.fromEntries(Object.entries(value).map(([key, item]) => [key, part(item, ancestors)]))
    : value;
}

/** A plain object that holds what JSON cannot: a group of columns. */
function isGroup(value: object): boolean {
  return Object.getPrototypeOf(value) === Object.prototype &&
    Object.values(value).some((item) => typeof item === "bigint" || item instanceof Uint8Array);
}

function base64(bytes: Uint8Array): string {
  let binary = "";
  for (let i = 0; i < bytes.length; i++) binary += String.fromCharCode(bytes[i]!);
  return btoa(binary);
}
