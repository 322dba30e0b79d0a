/**
 * Accessors by which the rest of the mapper reads and writes a grouped column as if it were a
 * property of the object itself: `object["address.city"]`.
 *
 * @module
 */

import type { DefinedGroup } from "./definition.ts";
import { Managed } from "./instance_state.ts";

/** Defines them on a class's prototype, where nobody lists them. */
export function defineAccessors(prototype: object, { property, columns }: DefinedGroup): void {
  for (const { property: path, group } of columns) {
    const { field } = group!;
    Object.defineProperty(prototype, path, {
      configurable: true,
      enumerable: false,
      get(this: Record<string, unknown>): unknown {
        const values = this[property] as Record<string, unknown> | null | undefined;
        if (values === null || values === undefined) return values;
        const value = values[field];
        // Of a stored object, what a replaced group leaves out is null.
        return value === undefined && Managed.stateOf(this)?.row !== undefined ? null : value;
      },
      set(this: Record<string, unknown>, value: unknown) {
        const values = this[property] as Record<string, unknown> | null | undefined;
        if (values !== null && values !== undefined) values[field] = value;
        else if (value !== null && value !== undefined) this[property] = { [field]: value };
      },
    });
  }
}
