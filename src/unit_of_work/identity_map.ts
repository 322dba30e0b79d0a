/**
 * The identity map: within a session, one row is one object.
 *
 * @module
 */

import type { IdentityKey } from "../mapper/row_shape.ts";
import type { Mapper } from "../mapper/mapper.ts";

/** Objects by class and primary key. */
export class IdentityMap {
  readonly #byMapper: Map<IdentityKey, object>[] = [];

  /** The objects of one class, by key; made on first use, and then always the same map. */
  of(mapper: Mapper): Map<IdentityKey, object> {
    return this.#byMapper[mapper.index] ??= new Map();
  }

  /** Forgets an object, unless its key is that of another by now. */
  forget(object: object, mapper: Mapper, key: IdentityKey | undefined): void {
    const map = this.of(mapper);
    if (key !== undefined && map.get(key) === object) map.delete(key);
  }

  /** How many objects there are. */
  get size(): number {
    return this.#byMapper.reduce((sum, map) => sum + (map?.size ?? 0), 0);
  }

  /** All objects, class by class. Not a generator: looking at every object must cost little more. */
  forEach(visit: (object: object) => void): void {
    for (const map of this.#byMapper) map?.forEach(visit);
  }

  /** Forgets all objects. */
  clear(): void {
    this.#byMapper.length = 0;
  }
}
