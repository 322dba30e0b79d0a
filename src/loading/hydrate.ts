/**
 * Rows → objects, through the identity map: one row, one object. The inner loop makes an object,
 * its state and one map entry per row, and nothing else.
 *
 * @module
 */

import { DecodeError, StaleDataError } from "../errors.ts";
import { type ComputedReader, computedReader } from "../mapper/computed.ts";
import { type InstanceOwner, InstanceState, Managed } from "../mapper/instance_state.ts";
import type { Mapper } from "../mapper/mapper.ts";
import type { RowShape } from "../mapper/row_shape.ts";
import type { DialectName, WireRow } from "../sql/wire.ts";
import type { IdentityMap } from "../unit_of_work/identity_map.ts";
import { type ColumnChoice, widen } from "./columns.ts";

/** Where objects are looked up and entered. */
export interface HydrationTarget {
  /** Whose objects they become; undefined: nobody's, and nothing is kept to compare them with. */
  readonly owner: InstanceOwner | undefined;
  /** One object per row; undefined: one for each time that a row is read. */
  readonly identityMap: IdentityMap | undefined;
  /** How values are decoded. */
  readonly dialect: DialectName;
  /** Told of every object that was not managed before, if wanted. */
  readonly added?: object[] | undefined;
}

/**
 * The objects of rows, in the order of the rows: of all columns that are loaded by default, or of a
 * choice. An object that is managed already is brought up to date, unless the program changed it.
 */
export function hydrate(
  mapper: Mapper,
  rows: readonly WireRow[],
  target: HydrationTarget,
  choice?: ColumnChoice,
): object[] {
  if (mapper.classes.size > 0) return hydrateClasses(mapper, rows, target, choice);
  return choice === undefined
    ? hydrateClass(mapper, rows, target)
    : hydrateChoice(mapper, rows, target, choice);
}

/** Rows of some columns. */
function hydrateChoice(
  mapper: Mapper,
  rows: readonly WireRow[],
  target: HydrationTarget,
  choice: ColumnChoice,
  peers?: object[],
): object[] {
  const { columns, eager } = mapper;
  const computed = computedReader(mapper, target.dialect, choice.computed, columns.length);
  const whole = eager.every((column) => choice.stored.includes(column));
  const shape = whole ? mapper.shape(target.dialect) : mapper.sparseShape(target.dialect);
  const objects = hydrateClass(mapper, widen(mapper, rows, choice), target, shape, computed, peers);
  for (const { property } of mapper.definition.computed) {
    if (choice.computed.some((chosen) => chosen.property === property)) continue;
    for (const object of objects as Record<string, unknown>[]) {
      // Its class declares it; without a value it is to meet the guard.
      if (Object.hasOwn(object, property) && object[property] === undefined) {
        delete object[property];
      }
    }
  }
  return objects;
}

/** Rows of several classes: each becomes an object of the class that its discriminator says. */
function hydrateClasses(
  mapper: Mapper,
  rows: readonly WireRow[],
  target: HydrationTarget,
  choice: ColumnChoice | undefined,
): object[] {
  const { discriminator, classes } = mapper;
  const objects = new Array<object>(rows.length);
  const peers = rows.length > 1 ? new Array<object>(rows.length) : undefined;
  const at = choice?.stored.indexOf(mapper.columns[discriminator]!) ?? discriminator;
  const places = Map.groupBy(rows.keys(), (i) => rows[i]![at]);
  for (const [value, indexes] of places) {
    const found = classes.get(String(value));
    if (found === undefined) {
      throw new DecodeError(
        `A row of ${mapper.name} is of a class that the engine does not know`,
        {
          hint: `Its "${mapper.columns[discriminator]!.label}" says of which: ` +
            "list that subclass in the engine's entities",
        },
      );
    }
    const put = (object: object, i: number) => {
      objects[indexes[i]!] = object;
      if (peers !== undefined) peers[indexes[i]!] = object;
    };
    if (choice !== undefined) {
      hydrateChoice(found, indexes.map((i) => rows[i]!), target, choice, peers).forEach(put);
      continue;
    }
    const columns = mapper.placesOf(found);
    const some = indexes.map((i) => columns.map((column) => rows[i]![column]!));
    const { dialect } = target;
    const { computed } = mapper.definition;
    const reader = computedReader(found, dialect, computed, found.eager.length);
    hydrateClass(found, some, target, found.shape(dialect), reader, peers).forEach(put);
  }
  return objects;
}

/** Makes objects of rows that come in pieces: of one class, and of the columns loaded by default. */
export class Hydration {
  /** The objects so far. */
  readonly objects: object[] = [];
  readonly #mapper: Mapper;
  readonly #target: HydrationTarget;
  readonly #peers: object[] = [];

  /** Puts the objects of `mapper` where `target` says. */
  constructor(mapper: Mapper, target: HydrationTarget) {
    this.#mapper = mapper;
    this.#target = target;
  }

  /** Makes objects of some rows. */
  add(rows: readonly WireRow[]): void {
    const mapper = this.#mapper;
    const target = this.#target;
    const shape = mapper.shape(target.dialect);
    const computed = computedReader(mapper, target.dialect);
    const peers = this.#peers;
    const objects = hydrateClass(mapper, rows, target, shape, computed, peers);
    for (let i = 0; i < objects.length; i++) {
      this.objects.push(objects[i]!);
      peers.push(objects[i]!);
    }
  }
}

/** Rows of one class; `all` is the list of peers, of other classes too, that the caller fills. */
function hydrateClass(
  mapper: Mapper,
  rows: readonly WireRow[],
  target: HydrationTarget,
  shape: RowShape = mapper.shape(target.dialect),
  computed: ComputedReader | null = computedReader(mapper, target.dialect),
  all?: object[],
): object[] {
  if (target.owner === undefined) return hydrateReadOnly(mapper, rows, target, shape, computed);
  const { fill, keyOf } = shape;
  const { owner, added } = target;
  const map = target.identityMap!.of(mapper);
  const entityClass = mapper.entityClass;
  const objects = new Array<object>(rows.length);
  // A list of their own: that of the result is the program's, to change as it likes.
  const peers = all ?? (rows.length > 1 ? new Array<object>(rows.length) : undefined);
  let i = 0;
  try {
    for (; i < rows.length; i++) {
      const row = rows[i]!;
      const values = computed === null ? undefined : computed.cut(row);
      const key = keyOf(row);
      let object = map.get(key);
      if (object === undefined) {
        object = new entityClass(fill, row);
        const state = new InstanceState(mapper, "persistent", owner);
        state.row = row;
        state.shape = shape;
        state.key = key;
        state.peers = peers;
        Managed.setState(object, state);
        map.set(key, object);
        added?.push(object);
      } else {
        bringUpToDate(object, row, mapper, shape, peers, target.dialect);
      }
      if (values !== undefined) computed!.fill(object, values);
      objects[i] = object;
      if (peers !== all) peers![i] = object;
    }
  } catch (error) {
    if (error instanceof StaleDataError) throw error;
    throw decodeError(mapper, shape, rows[i]!, error);
  }
  return objects;
}

/** Objects that no session knows: they have one state in common, and no snapshot. */
function hydrateReadOnly(
  mapper: Mapper,
  rows: readonly WireRow[],
  { identityMap }: HydrationTarget,
  shape: RowShape,
  computed: ComputedReader | null,
): object[] {
  const { fill, keyOf } = shape;
  const map = identityMap?.of(mapper);
  const state = new InstanceState(mapper, "readOnly", undefined);
  state.shape = shape;
  const entityClass = mapper.entityClass;
  const objects = new Array<object>(rows.length);
  let i = 0;
  try {
    for (; i < rows.length; i++) {
      const row = rows[i]!;
      const values = computed === null ? undefined : computed.cut(row);
      let object = new entityClass(fill, row);
      Managed.setState(object, state);
      if (values !== undefined) computed!.fill(object, values);
      if (map !== undefined) {
        const key = keyOf(row);
        const known = map.get(key);
        if (known === undefined) map.set(key, object);
        else object = addMissing(known, object);
      }
      objects[i] = object;
    }
  } catch (error) {
    throw decodeError(mapper, shape, rows[i]!, error);
  }
  return objects;
}

/** Gives an object the columns that another one of the same row has beside its own. */
function addMissing(object: object, other: object): object {
  if (!Managed.stateOf(object)!.shape!.sparse) return object;
  for (const property of Object.keys(other)) {
    if (!Object.hasOwn(object, property)) {
      (object as Record<string, unknown>)[property] = (other as Record<string, unknown>)[property];
    }
  }
  const state = Managed.stateOf(other)!;
  if (!state.shape!.sparse) Managed.setState(object, state);
  return object;
}

function bringUpToDate(
  object: object,
  row: WireRow,
  mapper: Mapper,
  shape: RowShape,
  peers: readonly object[] | undefined,
  dialect: DialectName,
): void {
  const state = Managed.stateOf(object)!;
  if (state.status !== "persistent") return;
  if (peers !== undefined) state.peers = peers;
  if (state.mapper !== mapper) throw changedClass(state);
  const before = state.row!;
  if (state.shape!.sparse || shape.sparse || row.length > before.length) {
    return complete(object, state, row, dialect);
  }
  // A deferred column that was loaded before stays so.
  for (let i = row.length; i < before.length; i++) row.push(before[i]!);
  if (sameRow(before, row) || shape.changes(object, before, state.key!) !== null) return;
  shape.fill(object, row);
  state.row = row;
}

/** Of two rows that need not hold the same columns, the object keeps what either of them knows. */
function complete(
  object: object,
  state: InstanceState,
  row: WireRow,
  dialect: DialectName,
): void {
  const { mapper, shape, row: before } = state;
  const changed = shape!.changes(object, before!, state.key!);
  const { columns, eager } = mapper;
  const next = columns.map((_, i) => {
    const known = before![i];
    const stays = row[i] === undefined || (changed !== null && known !== undefined);
    return (stays ? known : row[i])!;
  });
  if (sameRow(next, before!)) return;
  const kept = changed?.map((i) => {
    const { group, property } = columns[i]!;
    const own = group?.property ?? property;
    return [own, (object as Record<string, unknown>)[own]] as const;
  });
  const whole = eager.every((_, i) => next[i] !== undefined);
  state.row = next;
  state.shape = whole ? mapper.shape(dialect) : mapper.sparseShape(dialect);
  state.shape.fill(object, next);
  // What the program changed or assigned, it keeps.
  for (const [property, value] of kept ?? []) (object as Record<string, unknown>)[property] = value;
}

function changedClass({ mapper, key }: InstanceState): StaleDataError {
  return new StaleDataError(`${mapper.name} ${key} became an object of another class meanwhile`, {
    hint: "Its row says so; expunge() the object and load it again",
  });
}

function sameRow(a: WireRow, b: WireRow): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Finds the column at fault; the value itself stays out of the message. */
function decodeError(mapper: Mapper, shape: RowShape, row: WireRow, cause: unknown): unknown {
  for (let i = 0; i < shape.columns.length; i++) {
    try {
      if (row[i] !== null) shape.codecs[i]!.decode(row[i]!);
    } catch (cause) {
      const column = shape.columns[i]!;
      return new DecodeError(
        `A value of "${column.label}" cannot be read as ${column.type.name}`,
        { hint: `Declare the column with the type it has in the database`, cause },
      );
    }
  }
  return new DecodeError(`A row of ${mapper.name} cannot be made an object`, {
    hint: "A field initialiser or decoder threw; see the cause",
    cause,
  });
}
