/**
 * The hooks of a session, and how they are called together with those of its entities: the
 * entity's own first, then the session's in the order in which they were added.
 *
 * @module
 */

import { InputError, UsageError } from "../errors.ts";
import {
  type CommittedChange,
  type EntityHooks,
  HOOK_NAMES,
  type HookName,
} from "../mapper/entity_hooks.ts";
import type { Mapper } from "../mapper/mapper.ts";
import { describe } from "../sql/expression.ts";
import { didYouMean } from "../util/nearest.ts";
import { onceFor } from "../util/once_for.ts";

/** A hook of a session, for objects of whatever class. */
export type SessionHook<Name extends HookName> = NonNullable<EntityHooks<object>[Name]>;

/** A change that a committed transaction stored. */
export interface Committed {
  /** The object. */
  readonly object: object;
  /** Its mapper. */
  readonly mapper: Mapper;
  /** What became of it. */
  readonly change: CommittedChange;
}

type Hook = (object: object, change?: CommittedChange) => unknown;

/** What sessions start with: most never have a hook of their own. */
const none: Readonly<Record<HookName, readonly Hook[]>> = {
  beforeInsert: [],
  beforeUpdate: [],
  beforeDelete: [],
  afterCommit: [],
};

/** The names of which some entity has a hook, looked for once: with many entities that takes its time. */
const declaredBy = onceFor((mappers: readonly Mapper[]): ReadonlySet<HookName> =>
  new Set(
    HOOK_NAMES.filter((name) =>
      mappers.some(({ definition }) => definition.options.hooks?.[name] !== undefined)
    ),
  )
);

/** The hooks that apply to the objects of one session. */
export class Hooks {
  readonly #declared: ReadonlySet<HookName>;
  #own: Readonly<Record<HookName, readonly Hook[]>> = none;

  /** Starts with those of the entities. */
  constructor(mappers: readonly Mapper[]) {
    this.#declared = declaredBy(mappers);
  }

  /** Adds one and gives a function that removes it. */
  on<Name extends HookName>(name: Name, hook: SessionHook<Name>): () => void {
    if (!HOOK_NAMES.includes(name)) {
      throw new InputError(`A session has no hook "${String(name)}"`, {
        hint: didYouMean(String(name), HOOK_NAMES),
      });
    }
    if (typeof hook !== "function") {
      throw new InputError(`The hook "${name}" is ${describe(hook)} and must be a function`);
    }
    // Wrapped, so that a function added twice is removed once at a time.
    const entry: Hook = (object, change) => hook(object, change!);
    this.#own = { ...this.#own, [name]: [...this.#own[name], entry] };
    return () => {
      this.#own = { ...this.#own, [name]: this.#own[name].filter((other) => other !== entry) };
    };
  }

  /** True if a hook of this name can be called. Asked first, so that hooks nobody has cost nothing. */
  has(name: HookName): boolean {
    return this.#own[name].length > 0 || this.#declared.has(name);
  }

  /**
   * Calls the hooks of one name for an object, before it is written.
   *
   * @throws Whatever a hook throws.
   * @throws {UsageError} when one returns a promise.
   */
  before(name: Exclude<HookName, "afterCommit">, object: object, mapper: Mapper): void {
    for (const hook of this.#of(name, mapper)) {
      const result = hook(object);
      if (!(result instanceof Promise)) continue;
      result.catch(() => {});
      throw new UsageError(`A hook "${name}" of ${mapper.name} returned a promise`, {
        hint: "Await what it needs before commit(); only afterCommit can wait",
      });
    }
  }

  /** Calls the hooks for what was committed, one after the other. */
  async committed(changes: readonly Committed[]): Promise<void> {
    for (const { object, mapper, change } of changes) {
      for (const hook of this.#of("afterCommit", mapper)) {
        try {
          await hook(object, change);
        } catch (error) {
          console.error(`A hook "afterCommit" of ${mapper.name} failed:`, error);
        }
      }
    }
  }

  #of(name: HookName, mapper: Mapper): readonly Hook[] {
    const own: Hook[] = [];
    // Those of the classes that it extends come first.
    for (let each: Mapper | undefined = mapper; each !== undefined; each = each.parent) {
      const hook = each.definition.options.hooks?.[name] as Hook | undefined;
      if (hook !== undefined) own.unshift(hook);
    }
    return own.length === 0 ? this.#own[name] : [...own, ...this.#own[name]];
  }
}
