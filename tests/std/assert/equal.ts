/** Deep equality with the rules of `@std/assert`; see its documentation of `equal`. */

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function sameValueZero(a: unknown, b: unknown): boolean {
  return a === b || Object.is(a, b);
}

function samePrototype(a: object, b: object): boolean {
  // An object without a prototype counts as a plain one.
  const plain = (value: object) => Object.getPrototypeOf(value) ?? Object.prototype;
  return plain(a) === plain(b);
}

function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype || prototype === Array.prototype;
}

/** Own and inherited keys, hidden ones and getters included: that is how std looks at instances. */
function keysOfInstance(value: object): Set<PropertyKey> {
  const keys = new Set<PropertyKey>();
  let level: object | null = value;
  while (level !== null && level !== Object.prototype && level !== Array.prototype) {
    for (const key of Reflect.ownKeys(level)) keys.add(key);
    level = Object.getPrototypeOf(level);
  }
  return keys;
}

// Classes whose instances are equal exactly when their texts are.
const comparedAsText: Set<unknown> = new Set(
  [
    Intl.Locale,
    RegExp,
    URL,
    URLSearchParams,
    Temporal.Duration,
    Temporal.Instant,
    Temporal.PlainDate,
    Temporal.PlainDateTime,
    Temporal.PlainMonthDay,
    Temporal.PlainTime,
    Temporal.PlainYearMonth,
    Temporal.ZonedDateTime,
  ].map((type) => type.prototype),
);

const TypedArray = Object.getPrototypeOf(Uint8Array) as new () => Uint8Array;

function sameElements(a: ArrayLike<unknown>, b: ArrayLike<unknown>): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (!sameValueZero(a[i], b[i])) return false;
  return true;
}

/** Deep equality comparison used in assertions. */
export function equal(a: unknown, b: unknown): boolean {
  const seen = new Map<object, object>();

  function compareCollections(
    a: Map<unknown, unknown> | Set<unknown>,
    b: Map<unknown, unknown> | Set<unknown>,
  ): boolean {
    if (a.size !== b.size) return false;
    const keys = [...a.keys()];
    if (!keys.some((key) => isObject(key) || typeof key === "function")) {
      if (!keys.every((key) => b.has(key))) return false;
      return !(a instanceof Map) || !(b instanceof Map) ||
        keys.every((key) => compare(a.get(key), b.get(key)));
    }
    let unmatched = a.size;
    for (const [aKey, aValue] of a.entries()) {
      for (const [bKey, bValue] of b.entries()) {
        if (!compare(aKey, bKey)) continue;
        if ((aKey === aValue && bKey === bValue) || compare(aValue, bValue)) {
          unmatched--;
          break;
        }
      }
    }
    return unmatched === 0;
  }

  function compare(a: unknown, b: unknown): boolean {
    if (sameValueZero(a, b)) return true;
    if (!isObject(a) || !isObject(b)) return false;
    if (a instanceof Date && b instanceof Date) return Object.is(a.getTime(), b.getTime());
    if (!samePrototype(a, b)) return false;
    if (a instanceof TypedArray) return sameElements(a, b as Uint8Array);
    if (a instanceof ArrayBuffer || a instanceof SharedArrayBuffer) {
      return sameElements(new Uint8Array(a), new Uint8Array(b as ArrayBuffer));
    }
    if (a instanceof WeakMap) throw new TypeError("Cannot compare WeakMap instances");
    if (a instanceof WeakSet) throw new TypeError("Cannot compare WeakSet instances");
    if (a instanceof WeakRef) return compare(a.deref(), (b as WeakRef<WeakKey>).deref());
    if (seen.get(a) === b) return true;
    if (Object.keys(a).length !== Object.keys(b).length) return false;
    seen.set(a, b);
    if (
      (a instanceof Map || a instanceof Set) && (b instanceof Map || b instanceof Set)
    ) {
      return compareCollections(a, b);
    }
    if (comparedAsText.has(Object.getPrototypeOf(a))) return String(a) === String(b);
    const keys = isPlain(a)
      ? Reflect.ownKeys({ ...a, ...b })
      : keysOfInstance(a).union(keysOfInstance(b));
    for (const key of keys) {
      if (!compare(Reflect.get(a, key), Reflect.get(b, key))) return false;
      if ((key in a) !== (key in b)) return false;
    }
    return true;
  }

  return compare(a, b);
}
