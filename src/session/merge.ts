/**
 * `merge()`: copies the state of objects that a session does not have into those it has.
 *
 * @module
 */

import { InstanceStateError, StaleDataError } from "../errors.ts";
import { lacksColumns } from "../loading/related.ts";
import type { Mapper } from "../mapper/mapper.ts";
import { type InstanceState, Managed } from "../mapper/instance_state.ts";
import { membersOf } from "../unit_of_work/links.ts";
import type { IdentityKey } from "../mapper/row_shape.ts";
import type { WireRow } from "../sql/wire.ts";
import type { SessionCore } from "./session_core.ts";

/** How `merge()` gets at what is stored. */
export interface MergeAccess {
  /** Loads the objects of these keys, given as wire values. */
  byKeys(mapper: Mapper, keys: readonly WireRow[]): Promise<void>;
  /** Loads relations that are not loaded yet. */
  load(mapper: Mapper, objects: readonly object[], relations: readonly string[]): Promise<void>;
}

/** An object to be copied, and what it is copied to. */
interface Copy {
  readonly source: Record<string, unknown>;
  readonly mapper: Mapper;
  readonly identity: IdentityKey | undefined;
  readonly keyRow: WireRow | undefined;
  target: Record<string, unknown> | undefined;
}

/**
 * Copies an object, and all that its loaded relations reach, into the session.
 *
 * @returns The session's own object.
 */
export async function merge(
  object: object,
  core: SessionCore,
  access: MergeAccess,
): Promise<object> {
  const copies = collect(object, core);
  const root = copies.get(object);
  if (root === undefined) return object;
  const all = [...copies.values()];
  await loadTargets(all, core, access);
  for (const copy of all) copy.target = findTarget(copy, core);
  await loadRelations(all, core, access);
  // From here on nothing waits: either all is copied, or nothing.
  for (const copy of all) checkTarget(copy, core);
  const fresh = all.filter(({ target }) => target === undefined);
  for (const copy of fresh) {
    copy.target = new copy.mapper.entityClass(() => {}, []) as Copy["target"];
  }
  for (const copy of all) copyColumns(copy, core);
  for (const copy of all) copyRelations(copy, copies);
  for (const { target } of fresh) core.work.add(target!);
  return root.target!;
}

/** All objects that are not this session's own, from `object` on over loaded relations. */
function collect(object: object, core: SessionCore): Map<object, Copy> {
  const copies = new Map<object, Copy>();
  const seen = new Set([object]);
  // A set goes on with what is added to it meanwhile.
  for (const source of seen) {
    const mapper = core.context.registry.mapperOf(source);
    const state = Managed.stateOf(source);
    if (state?.owner === core.owner) continue;
    const keyRow = keyOf(source as Record<string, unknown>, mapper, state, core);
    const identity = keyRow && mapper.identityOf(keyRow, core.context.dialect.name);
    const own = source as Record<string, unknown>;
    copies.set(source, { source: own, mapper, identity, keyRow, target: undefined });
    for (const { property } of mapper.relations.values()) {
      if (!Object.hasOwn(source, property)) continue;
      for (const member of membersOf(own[property])) seen.add(member);
    }
  }
  return copies;
}

/** The key of the row an object stands for; undefined for one that has none yet. */
function keyOf(
  source: Record<string, unknown>,
  mapper: Mapper,
  state: InstanceState | undefined,
  { context }: SessionCore,
): WireRow | undefined {
  const { row, shape } = state ?? {};
  if (row !== undefined) return shape!.keyIndexes.map((index) => row[index]!);
  const values = mapper.primaryKey.map(({ property }) => source[property]);
  if (values.some((value) => value === undefined || value === null)) return undefined;
  return mapper.keyRow(values.length === 1 ? values[0] : source, context.dialect.name);
}

async function loadTargets(
  copies: readonly Copy[],
  core: SessionCore,
  access: MergeAccess,
): Promise<void> {
  for (const [mapper, some] of Map.groupBy(copies, ({ mapper }) => mapper)) {
    const known = core.work.identityMap.of(mapper);
    const missing = some.filter(({ identity }) => {
      if (identity === undefined) return false;
      const target = known.get(identity);
      return target === undefined || lacksColumns(target);
    });
    if (missing.length > 0) await access.byKeys(mapper, missing.map(({ keyRow }) => keyRow!));
  }
}

function findTarget({ mapper, identity }: Copy, { work, context }: SessionCore): Copy["target"] {
  if (identity === undefined) return undefined;
  const stored = work.identityMap.of(mapper).get(identity);
  if (stored !== undefined) return stored as Copy["target"];
  return work.pending.find((object) => {
    const own = object as Record<string, unknown>;
    if (context.registry.mapperOf(object) !== mapper) return false;
    if (mapper.primaryKey.some(({ property }) => (own[property] ?? null) === null)) return false;
    const key = mapper.primaryKey.length === 1 ? own[mapper.primaryKey[0]!.property] : own;
    const { name } = context.dialect;
    return mapper.identityOf(mapper.keyRow(key, name), name) === identity;
  }) as Copy["target"];
}

/** What is to be replaced must be known, so that what is no longer in it is taken out. */
async function loadRelations(
  copies: readonly Copy[],
  core: SessionCore,
  access: MergeAccess,
): Promise<void> {
  for (const [mapper, some] of Map.groupBy(copies, ({ mapper }) => mapper)) {
    for (const { property, kind } of mapper.relations.values()) {
      if (kind === "belongsTo") continue;
      const targets = some.filter(({ source, target }) =>
        target !== undefined && Object.hasOwn(source, property) &&
        !Object.hasOwn(target, property) && isStored(target, core)
      ).map(({ target }) => target!);
      if (targets.length > 0) await access.load(mapper, targets, [property]);
    }
  }
}

function isStored(object: object, core: SessionCore): boolean {
  return Managed.stateOf(object)?.status === "persistent" && !core.work.isDoomed(object);
}

function checkTarget({ source, target, mapper }: Copy, core: SessionCore): void {
  const name = mapper.describe(source);
  const from = Managed.stateOf(source)?.row;
  const { versionIndex } = mapper;
  const column = mapper.columns[versionIndex];
  if (target === undefined) {
    if (column === undefined || (from ?? source[column.property]) === undefined) return;
    throw new StaleDataError(`${name} was deleted by somebody else meanwhile`, {
      hint: "Make a new object of its values, without the version",
    });
  }
  const status = Managed.stateOf(target)?.status;
  if (core.work.isDoomed(target) || status === "deleted") {
    throw new InstanceStateError(
      `${name} is deleted in this session and cannot be merged into it`,
      {
        hint: "Merge it before, or into another session",
      },
    );
  }
  if (column === undefined) return;
  const into = Managed.stateOf(target)?.row;
  if (into === undefined) return;
  const codec = mapper.shape(core.context.dialect.name).codecs[versionIndex]!;
  const wire = into[versionIndex]!;
  const given = source[column.property];
  const same = from !== undefined
    ? from[versionIndex] === wire
    : given === undefined || (codec.same?.(given, wire) ?? codec.decode(wire) === given);
  if (same) return;
  const shown = (value: unknown) => value instanceof Date ? value.toISOString() : String(value);
  throw new StaleDataError(
    `${name} has version ${shown(codec.decode(wire))} and was to be merged with ` +
      `version ${shown(from === undefined ? given : codec.decode(from[versionIndex]!))}`,
    { hint: "Somebody else changed it meanwhile; load it again and repeat the change" },
  );
}

function copyColumns({ source, target, mapper }: Copy, { context }: SessionCore): void {
  const { columns, codecs } = mapper.shape(context.dialect.name);
  columns.forEach((column, i) => {
    const { property, group } = column;
    if (group !== undefined || i === mapper.versionIndex) return;
    // Not loaded: there is nothing to copy.
    if (!Object.hasOwn(source, property)) return;
    const value = source[property];
    if (value === undefined) return;
    if (typeof value !== "object" || value === null) {
      target![property] = value;
      return;
    }
    // A copy of its own: objects of two sessions share nothing.
    const wire = codecs[i]!.encode(value, column.label);
    target![property] = codecs[i]!.decode(wire instanceof Uint8Array ? wire.slice() : wire);
  });
  for (const { property } of mapper.definition.groups) {
    const value = Object.hasOwn(source, property) ? source[property] : undefined;
    if (value !== undefined) target![property] = structuredClone(value);
  }
}

function copyRelations({ source, target, mapper }: Copy, copies: ReadonlyMap<object, Copy>): void {
  const targetOf = (member: object): object => copies.get(member)?.target ?? member;
  for (const { property } of mapper.relations.values()) {
    if (!Object.hasOwn(source, property)) continue;
    // Of a collection that was loaded in part, who is missing is not known.
    if (Managed.stateOf(source)?.partial?.has(property)) continue;
    const value = source[property];
    const now = Object.hasOwn(target!, property) ? target![property] : undefined;
    if (!Array.isArray(value)) {
      target![property] = value === null || value === undefined ? null : targetOf(value as object);
    } else if (Array.isArray(now)) {
      // The same array: programs may hold on to it.
      now.splice(0, Infinity, ...value.map(targetOf));
    } else target![property] = value.map(targetOf);
  }
}
