/**
 * Rows → objects, through the identity map: one row, one object. The inner loop makes an object,
 * its state and one map entry per row, and nothing else.
 *
 * @module
 */

import { DecodeError } from "../errors.ts";
import { computedReader } from "../mapper/computed.ts";
import { type InstanceOwner, InstanceState, Managed } from "../mapper/instance_state.ts";
import type { Mapper } from "../mapper/mapper.ts";
import type { RowShape } from "../mapper/row_shape.ts";
import type { DialectName, WireRow } from "../sql/wire.ts";
import type { IdentityMap } from "../unit_of_work/identity_map.ts";

/** Where objects are looked up and entered. */
export interface HydrationTarget {
  /** Whose objects they become. */
  readonly owner: InstanceOwner;
  /** One object per row. */
  readonly identityMap: IdentityMap;
  /** How values are decoded. */
  readonly dialect: DialectName;
  /** Told of every object that was not managed before, if wanted. */
  readonly added?: object[] | undefined;
}

/**
 * The objects of rows of all columns, in the order of the rows. An object that is managed already
 * is brought up to date, unless the program changed it.
 */
export function hydrate(
  mapper: Mapper,
  rows: readonly WireRow[],
  target: HydrationTarget,
): object[] {
  return mapper.classes.size === 0
    ? hydrateClass(mapper, rows, target)
    : hydrateClasses(mapper, rows, target);
}

/** Rows of several classes: each becomes an object of the class that its discriminator says. */
function hydrateClasses(
  mapper: Mapper,
  rows: readonly WireRow[],
  target: HydrationTarget,
): object[] {
  const { discriminator, classes, loaded, definition } = mapper;
  const objects = new Array<object>(rows.length);
  const places = Map.groupBy(rows.keys(), (i) => rows[i]![discriminator]);
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
    const columns = [
      ...found.eager.map(({ name }) => loaded.findIndex((column) => column.name === name)),
      ...definition.computed.map((_, i) => loaded.length + i),
    ];
    const some = indexes.map((i) => columns.map((column) => rows[i]![column]!));
    hydrateClass(found, some, target).forEach((object, i) => objects[indexes[i]!] = object);
  }
  return objects;
}

function hydrateClass(
  mapper: Mapper,
  rows: readonly WireRow[],
  target: HydrationTarget,
): object[] {
  const shape = mapper.shape(target.dialect);
  const { fill, keyOf } = shape;
  const { owner, added } = target;
  const computed = computedReader(mapper, target.dialect);
  const map = target.identityMap.of(mapper);
  const entityClass = mapper.entityClass;
  const objects = new Array<object>(rows.length);
  // A list of their own: that of the result is the program's, to change as it likes.
  const peers = rows.length > 1 ? new Array<object>(rows.length) : undefined;
  let i = 0;
  try {
    for (; i < rows.length; i++) {
      const row = rows[i]!;
      const values = computed?.cut(row);
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
        bringUpToDate(object, row, shape, peers);
      }
      if (values !== undefined) computed!.fill(object, values);
      objects[i] = object;
      if (peers !== undefined) peers[i] = object;
    }
  } catch (error) {
    throw decodeError(mapper, shape, rows[i]!, error);
  }
  return objects;
}

function bringUpToDate(
  object: object,
  row: WireRow,
  shape: RowShape,
  peers: readonly object[] | undefined,
): void {
  const state = Managed.stateOf(object)!;
  if (state.status !== "persistent") return;
  if (peers !== undefined) state.peers = peers;
  const before = state.row!;
  // A deferred column that was loaded before stays so.
  for (let i = row.length; i < before.length; i++) row.push(before[i]!);
  if (sameRow(before, row) || shape.changes(object, before) !== null) return;
  shape.fill(object, row);
  state.row = row;
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
