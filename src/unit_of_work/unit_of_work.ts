/**
 * The unit of work of one session: which objects it manages, what became of them, and how a
 * rollback puts them back. Sends nothing itself; the session says when and over which connection.
 *
 * @module
 */

import { InstanceStateError, UsageError } from "../errors.ts";
import type { Dialect } from "../dialect/dialect.ts";
import type { CallOptions } from "../dialect/driver.ts";
import { type InstanceOwner, type InstanceState, Managed } from "../mapper/instance_state.ts";
import type { Mapper } from "../mapper/mapper.ts";
import type { Registry } from "../mapper/registry.ts";
import type { FlushTarget, StatementRunner } from "./flush_target.ts";
import { type FlushPlan, planFlush } from "./flush_plan.ts";
import { type Committed, Hooks } from "./hooks.ts";
import { IdentityMap } from "./identity_map.ts";
import { Journal, type Note, stateOf } from "./journal.ts";
import { inStep, type LinkVisitor, membersOf, visitRelations } from "./links.ts";
import { cascaded, orphansOf } from "./cascade.ts";
import { synchronise } from "./inverse.ts";
import { keepRelations, type Picture, takePicture } from "./picture.ts";
import { type FlushPreview, previewOf } from "./preview.ts";
import { assertKnown, nothingReplaced, type Replaced, replacedIn, Writes } from "./replaced.ts";
import { revert } from "./revert.ts";
import { move, nextOf, type Request, type Standing, type Step } from "./states.ts";
import type { FollowTarget } from "./statements.ts";

/** Carries plans out: loaded by the first of them, so that a program that only reads does without. */
let flushing: typeof import("./flush.ts") | undefined;

/** The objects of one session. */
export class UnitOfWork {
  /** One object per row. */
  readonly identityMap: IdentityMap = new IdentityMap();
  readonly #owner: InstanceOwner;
  readonly #registry: Registry;
  readonly #dialect: Dialect;
  /** What is called when objects are stored. */
  readonly hooks: Hooks;
  readonly #pending = new Set<object>();
  readonly #deleted = new Set<object>();
  /** Of these, those that only go along with another: a new owner keeps them. */
  readonly #alongside = new WeakSet<object>();
  readonly #expired = new Set<object>();
  /** Those of which a relation was assigned that was not loaded. */
  readonly #assigned = new Set<object>();
  /** Which tables its flushes have written to. */
  readonly writes: Writes = new Writes();
  /** The open transaction's journal, and those of its savepoints. */
  readonly #journals: Journal[] = [];

  /** Belongs to `owner`. */
  constructor(owner: InstanceOwner, registry: Registry, dialect: Dialect) {
    this.#owner = owner;
    this.#registry = registry;
    this.#dialect = dialect;
    this.hooks = new Hooks(registry.mappers);
    owner.doomed = this.#deleted;
    owner.assigned = this.#assigned;
  }

  /** Objects to be inserted by the next flush. */
  get pending(): readonly object[] {
    return [...this.#pending];
  }

  /** Objects to be deleted by the next flush. */
  get deleted(): readonly object[] {
    return [...this.#deleted];
  }

  /** Managed objects that differ from their rows, or whose relations changed. */
  get dirty(): object[] {
    const { changed, links, memberships } = this.#picture({ join: false });
    const dirty = new Set(changed.map(({ object }) => object));
    for (const objects of this.replaced().values()) for (const object of objects) dirty.add(object);
    for (const { owner } of memberships.all()) {
      if (Managed.stateOf(owner)?.status === "persistent") dirty.add(owner);
    }
    for (const { child } of links) {
      if (Managed.stateOf(child)?.status === "persistent") dirty.add(child);
    }
    return [...dirty];
  }

  /**
   * Makes a new object, and all new objects that hang on it, pending. An object marked for
   * deletion is kept after all.
   *
   * @throws {InstanceStateError} when the object belongs to another session, or did.
   */
  add(object: object): void {
    this.#registry.mapperOf(object);
    const joined: object[] = [];
    const visitor: LinkVisitor = {
      reached: (other) => {
        if (this.#join(other)) joined.push(other);
      },
    };
    const visit = (next: object): void => {
      const state = stateOf(next);
      visitRelations(next, state.mapper, state, visitor);
    };
    try {
      visitor.reached(object);
      // New objects can hang on one that was taken in before, too.
      if (joined.length === 0) visit(object);
      for (let i = 0; i < joined.length; i++) visit(joined[i]!);
    } catch (error) {
      for (const other of joined) this.#move(other, stateOf(other).mapper, "expunge");
      throw error;
    }
  }

  /** Takes one object in; true if it was new. */
  #join(object: object): boolean {
    const state = Managed.stateOf(object);
    // Reached by several ways, or looked at again by a flush.
    const known = state?.status === "pending" && state.owner === this.#owner;
    if (known && !this.#deleted.has(object)) return false;
    const mapper = this.#registry.mapperOf(object);
    const fresh = state === undefined;
    if (fresh) assertWritable(mapper, "added");
    this.#request(object, mapper, "add");
    return fresh;
  }

  /** Where an object stands. */
  #standing(object: object): Standing {
    const status = Managed.stateOf(object)?.status;
    if (status === undefined) return "transient";
    if (this.#deleted.has(object)) return "doomed";
    return status === "pending" && !this.#pending.has(object) ? "storing" : status;
  }

  /**
   * Does what a program asks for.
   *
   * @throws {InstanceStateError} when it cannot be done to an object that stands where this one does.
   */
  #request(object: object, mapper: Mapper, request: Request): void {
    const from = this.#standing(object);
    nextOf(object, mapper, request, from, this.#owner);
    this.#move(object, mapper, request, from);
  }

  /** Moves an object, and enters it where objects of its new standing are. */
  #move(
    object: object,
    mapper: Mapper,
    action: Request | Step,
    from: Standing = this.#standing(object),
  ): void {
    const to = move(object, mapper, action, from, this.#owner);
    if (from === to) return;
    if (from === "pending") this.#pending.delete(object);
    if (from === "doomed") this.#deleted.delete(object);
    if (to === "pending") this.#pending.add(object);
    if (to === "doomed") this.#deleted.add(object);
  }

  /**
   * Marks an object for deletion, and what hangs on it by `cascade`; a pending one is simply
   * forgotten.
   *
   * @throws {InstanceStateError} when it is not of this session.
   * @throws {UsageError} when a relation to cascade over is not loaded.
   */
  delete(object: object): void {
    const reached = new Set([object]);
    // A set goes on with what is added to it meanwhile.
    for (const next of reached) {
      const mapper = this.#registry.mapperOf(next);
      assertWritable(mapper, "deleted");
      nextOf(next, mapper, "delete", this.#standing(next), this.#owner);
      for (const other of cascaded(next, mapper, this.writes)) reached.add(other);
    }
    for (const next of reached) {
      if (next === object) this.#alongside.delete(next);
      else if (this.#standing(next) === "persistent") this.#alongside.add(next);
      this.#move(next, this.#registry.mapperOf(next), "delete");
    }
  }

  /** True if a flush would send something. */
  get hasChanges(): boolean {
    if (this.#pending.size > 0 || this.#deleted.size > 0) return true;
    if (this.replaced().size > 0) return true;
    // Asked whenever a session closes, most often with nothing changed: no picture is made for that.
    let columns = false;
    let relations = false;
    this.identityMap.forEach((object) => {
      if (columns) return;
      const state = stateOf(object);
      columns = state.shape!.changes(object, state.row!, state.key!) !== null;
      relations ||= state.related !== undefined && !inStep(object, state.mapper, state.related);
    });
    if (columns) return true;
    if (!relations) return false;
    const { links, memberships } = this.#picture({ join: false });
    return links.length > 0 || memberships.size > 0;
  }

  /** True if the object differs from its row. */
  isModified(object: object): boolean {
    const state = Managed.stateOf(object);
    if (state?.status === "pending") return true;
    return state?.row !== undefined && state.shape!.changes(object, state.row, state.key!) !== null;
  }

  /**
   * The stored objects of which a relation was replaced that was never loaded, by relation: what it held
   * has to be loaded before the flush.
   */
  replaced(): Replaced {
    return this.#assigned.size === 0 ? nothingReplaced : replacedIn(this.#assigned, {
      writes: this.writes,
      standing: (object) => this.#standing(object),
      owner: this.#owner,
    });
  }

  /** Notes objects that are about to get to know their relations: a rollback forgets them again. */
  noteReplaced(replaced: Replaced): void {
    const journal = this.#journals.at(-1)!;
    for (const object of [...replaced.values()].flat()) journal.note(object, stateOf(object));
  }

  /** Looks at all objects once. With `join`, new objects found over relations become pending. */
  #picture({ join }: { join: boolean }): Picture {
    return takePicture({
      identityMap: this.identityMap,
      pending: this.#pending,
      deleted: this.#deleted,
      joins: (object) => {
        if (!join || (this.#deleted.has(object) && !this.#alongside.has(object))) return false;
        return this.#join(object);
      },
    });
  }

  /** The picture of a flush: both sides of relations in step, orphans marked for deletion. */
  #settled(): Picture {
    let picture = this.#picture({ join: true });
    if (picture.changes.length === 0) return picture;
    if (synchronise(picture.changes, this.identityMap, this.#dialect.name)) {
      picture = this.#picture({ join: true });
    }
    const orphans = orphansOf(picture);
    if (orphans.length === 0) return picture;
    for (const orphan of orphans) this.delete(orphan);
    return this.#picture({ join: true });
  }

  /** As `#settled`, after the hooks: once for each object, those that hooks bring in included. */
  #prepared(): Picture {
    let picture = this.#settled();
    const names = (["beforeInsert", "beforeUpdate", "beforeDelete"] as const)
      .filter((name) => this.hooks.has(name));
    if (names.length === 0) return picture;
    const seen = new Map(names.map((name) => [name, new Set<object>()]));
    for (;;) {
      const objects = {
        beforeInsert: this.pending,
        beforeUpdate: stored([
          ...picture.changed.map(({ object }) => object),
          ...picture.links.map(({ child }) => child),
        ]),
        beforeDelete: this.deleted,
      };
      let called = false;
      for (const name of names) {
        for (const object of objects[name]) {
          if (seen.get(name)!.has(object)) continue;
          seen.get(name)!.add(object);
          this.hooks.before(name, object, this.#registry.mapperOf(object));
          called = true;
        }
      }
      if (!called) return picture;
      picture = this.#settled();
    }
  }

  /**
   * What is to be written, as of now; undefined if there is nothing. The objects concerned belong
   * to this flush from here on: what happens to them meanwhile belongs to the next.
   *
   * @throws {InputError} when something cannot be stored; then nothing has changed.
   * @throws {UsageError} when a hook replaced a relation that was never loaded.
   */
  plan(): FlushPlan | undefined {
    const journal = this.#journals.at(-1);
    if (journal === undefined) throw new Error("BUG: a flush needs a transaction");
    const picture = this.#prepared();
    assertKnown(this.replaced());
    const plan = this.#planOf(picture);
    if (plan === undefined) {
      keepRelations(picture.relations, journal);
      return undefined;
    }
    // Noted before anything is sent, so that a failure in the middle finds every object.
    journal.noteInserts(plan.inserts);
    for (const { object } of plan.deletes.flat()) journal.note(object, stateOf(object));
    this.writes.note(plan);
    this.#pending.clear();
    this.#deleted.clear();
    return plan;
  }

  /** What a flush would do now, hooks apart. New objects and orphans are found, as by a flush. */
  preview(): FlushPreview {
    return previewOf(this.#planOf(this.#settled()), this.#dialect);
  }

  #planOf({ changed, links, memberships, relations }: Picture): FlushPlan | undefined {
    if (
      changed.length === 0 && links.length === 0 && memberships.size === 0 &&
      this.#pending.size === 0 && this.#deleted.size === 0
    ) return undefined;
    for (const { state } of changed) assertWritable(state.mapper, "changed");
    return planFlush({
      dialect: this.#dialect.name,
      mappers: this.#registry.mappers,
      pending: this.pending,
      changed,
      deleted: [...this.#deleted].map((object) => ({ object, state: stateOf(object) })),
      links,
      memberships,
      relations,
    });
  }

  /** Carries a plan out, inside the transaction it was made in. */
  async flush(plan: FlushPlan, connection: StatementRunner, call: CallOptions): Promise<void> {
    const target: FlushTarget = {
      connection,
      dialect: this.#dialect,
      mappers: this.#registry.mappers,
      identityMap: this.identityMap,
      journal: this.#journals.at(-1)!,
      call,
    };
    flushing ??= await import("./flush.ts");
    await flushing.flush(plan, target);
  }

  /**
   * Lets objects follow what a statement did to their rows; a rollback of the open transaction takes
   * it back. `follow` gives those that are deleted now. Gives what hooks are to be told of.
   */
  follow(follow: (target: FollowTarget) => ReadonlySet<object>): readonly Committed[] {
    const alone = this.#journals.length === 0;
    if (alone) this.begin();
    let changes: readonly Committed[] = [];
    try {
      const target = { identityMap: this.identityMap, journal: this.#journals.at(-1)! };
      for (const object of follow(target)) this.#deleted.delete(object);
    } finally {
      if (alone) changes = this.commit();
    }
    return changes;
  }

  /** `get()` reads these anew. */
  outdate(objects: readonly object[]): void {
    for (const object of objects) this.#expired.add(object);
  }

  /** True if the object is as its row and its relations are as loaded: letting go of it loses nothing. */
  isClean(object: object): boolean {
    const state = Managed.stateOf(object);
    if (state?.status !== "persistent" || this.#deleted.has(object)) return false;
    if (state.shape!.changes(object, state.row!, state.key!) !== null) return false;
    if (state.related === undefined) return true;
    // Whose members are to go is not seen in it.
    if (this.#assigned.has(object)) return false;
    let clean = true;
    visitRelations(object, state.mapper, state, {
      reached: () => clean = false,
      changed: () => clean = false,
    });
    return clean;
  }

  /** A transaction or savepoint begins. */
  begin(): void {
    this.#journals.push(new Journal());
  }

  /** It ends well: what it did stays. Gives what hooks are to be told of, of a transaction. */
  commit(): readonly Committed[] {
    const journal = this.#journals.pop();
    const outer = this.#journals.at(-1);
    if (journal === undefined) return [];
    if (outer !== undefined) {
      outer.absorb(journal);
      return [];
    }
    const changes = this.hooks.has("afterCommit") ? [...journal.changes()] : [];
    journal.forEachTouched((object) => {
      const state = Managed.stateOf(object);
      if (state?.status !== "deleted") return;
      this.#move(object, state.mapper, "commit");
      // Nothing is left that it could be attached to.
      state.row = undefined;
      state.key = undefined;
    });
    return changes;
  }

  /** It is undone: every object is as it was when it began. */
  rollback(): void {
    const journal = this.#journals.pop();
    for (const object of [...this.#pending, ...this.#deleted]) {
      // Those of the transaction are put back by their notes.
      if (journal?.has(object)) continue;
      this.#move(object, stateOf(object).mapper, "rollback");
    }
    const displaced: object[] = [];
    for (const [object, note] of journal?.entries() ?? []) this.#restore(object, note, displaced);
    for (const object of displaced) {
      const { mapper, key, status } = Managed.stateOf(object) ?? {};
      if (status !== "persistent" || this.identityMap.of(mapper!).get(key!) === object) continue;
      // Read of a row that took the place of one that is back.
      this.#move(object, mapper!, "expunge");
    }
    this.identityMap.forEach((object) => revert(object, stateOf(object)));
  }

  #restore(object: object, note: Note, displaced: object[]): void {
    const state = Managed.stateOf(object);
    // Forgotten meanwhile, or another session's by now.
    if (state === undefined || (state.owner !== undefined && state.owner !== this.#owner)) return;
    const { mapper } = state;
    this.identityMap.forget(object, mapper, state.key);
    if (note.status === "pending") {
      for (const property of note.given.list) {
        (object as Record<string, unknown>)[property] = undefined;
      }
      this.#move(object, mapper, "uninsert");
      return;
    }
    state.row = note.row;
    state.shape = note.shape;
    state.key = note.key;
    state.related = note.related && new Map(note.related);
    state.partial = note.partial && new Set(note.partial);
    // One that was let go of stays so: what it is now counts as changed, should it be attached.
    if (state.status === "detached" || note.status !== "persistent") return;
    this.#move(object, mapper, "rollback");
    const map = this.identityMap.of(mapper);
    const other = map.get(state.key!);
    if (other !== undefined) displaced.push(other);
    map.set(state.key!, object);
    state.shape!.fill(object, state.row!);
  }

  /** True if the next flush deletes the object. */
  isDoomed(object: object): boolean {
    return this.#deleted.has(object);
  }

  /**
   * Takes detached objects back: this one, and those that its loaded relations reach. What was
   * changed since they were loaded counts as changed.
   *
   * @throws {InstanceStateError} when one cannot be taken; then none is.
   */
  attach(object: object): void {
    const mapper = this.#registry.mapperOf(object);
    if (Managed.stateOf(object) === undefined) {
      nextOf(object, mapper, "attach", "transient", this.#owner);
    }
    const reached = new Set([object]);
    const detached: object[] = [];
    // A set goes on with what is added to it meanwhile.
    for (const next of reached) {
      const state = Managed.stateOf(next);
      // Transient ones become pending when the flush finds them.
      if (state === undefined) continue;
      if (state.owner === this.#owner || state.status === "readOnly") {
        nextOf(next, state.mapper, "attach", this.#standing(next), this.#owner);
        continue;
      }
      this.#assertAttachable(next, state);
      detached.push(next);
      for (const { property } of state.mapper.relations.values()) {
        if (!Object.hasOwn(next, property)) continue;
        // Those that were taken out meanwhile, too: their keys have to change.
        for (
          const value of [(next as Record<string, unknown>)[property], state.related?.get(property)]
        ) {
          for (const other of membersOf(value)) reached.add(other);
        }
      }
    }
    for (const next of detached) {
      const state = stateOf(next);
      this.#move(next, state.mapper, "attach");
      if (state.related !== undefined) this.#assigned.add(next);
      this.identityMap.of(state.mapper).set(state.key!, next);
    }
  }

  #assertAttachable(object: object, state: InstanceState): void {
    const { mapper, status, owner, row } = state;
    const refuse = (found: string, hint: string): never => {
      throw new InstanceStateError(`${mapper.describe(object)} ${found} and cannot be attached`, {
        hint,
      });
    };
    if (owner !== undefined) refuse(`is ${status} in another session`, "merge() copies its state");
    if (row === undefined) refuse("was deleted", "Make a new object of its values");
    const { codecs } = mapper.shape(this.#dialect.name);
    if (this.#registry.mapperOf(object) !== mapper || codecs !== state.shape!.codecs) {
      refuse("was loaded from another database", "merge() copies its state");
    }
    if (this.identityMap.of(mapper).has(state.key!)) {
      refuse(
        "stands for a row that this session has another object for",
        "merge() copies its state",
      );
    }
  }

  /**
   * Forgets what was changed of a managed object since it was loaded.
   *
   * @throws {InstanceStateError} when it is not persistent in this session.
   */
  discard(object: object, request: "expire" | "refresh"): void {
    const mapper = this.#registry.mapperOf(object);
    this.#request(object, mapper, request);
    const state = stateOf(object);
    revert(object, state);
    // A deferred column is not part of what is read again.
    if (state.row!.length > mapper.eager.length) {
      state.row = state.row!.slice(0, mapper.eager.length);
      state.shape!.fill(object, state.row);
    }
  }

  /** Unloads the relations of a managed object; gives the names of those that were loaded. */
  unload(object: object): string[] {
    const { mapper, related } = stateOf(object);
    const loaded = [...mapper.relations.keys()].filter((name) => Object.hasOwn(object, name));
    for (const property of loaded) {
      delete (object as Record<string, unknown>)[property];
      related?.delete(property);
      stateOf(object).partial?.delete(property);
    }
    // What somebody else may have done since is to be seen.
    stateOf(object).insertedBy = undefined;
    return loaded;
  }

  /** Forgets an object's changes and loaded relations; `get()` reads it anew. */
  expire(object: object): void {
    this.discard(object, "expire");
    this.unload(object);
    this.#expired.add(object);
  }

  /** True, once, for an object that was expired. */
  takeExpired(object: object): boolean {
    return this.#expired.size > 0 && this.#expired.delete(object);
  }

  /**
   * Lets go of one object.
   *
   * @throws {InstanceStateError} while a flush that stores it is under way.
   */
  expunge(object: object): void {
    const state = Managed.stateOf(object);
    if (state?.owner !== this.#owner) return;
    const gone = state.status === "deleted";
    this.#request(object, state.mapper, "expunge");
    this.#expired.delete(object);
    this.identityMap.forget(object, state.mapper, state.key);
    if (!gone) return;
    // Nothing is left that it could be attached to.
    state.row = undefined;
    state.key = undefined;
  }

  /** Lets go of all objects. */
  close(): void {
    const close = (object: object) => this.#move(object, stateOf(object).mapper, "close");
    this.identityMap.forEach(close);
    // What has no row yet, and what has none any more, is in no map.
    for (const object of [...this.#pending, ...this.#deleted]) close(object);
    this.identityMap.clear();
    this.#expired.clear();
    this.#assigned.clear();
    this.#journals.length = 0;
  }
}

/** Each once, without those that are not stored yet. */
function stored(objects: readonly object[]): object[] {
  return [...new Set(objects)].filter((object) => Managed.stateOf(object)?.status === "persistent");
}

function assertWritable({ readOnly, name }: Mapper, verb: string): void {
  if (!readOnly) return;
  throw new UsageError(`${name} is read-only and cannot be ${verb}`, {
    hint: "Change the tables behind it, or leave out readOnly in its entity()",
    code: "READ_ONLY_ENTITY",
  });
}
