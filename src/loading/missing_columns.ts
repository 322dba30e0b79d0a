/**
 * Loading columns of objects that are there already: deferred ones, and those that were left out.
 *
 * @module
 */

import { NoResultError } from "../errors.ts";
import { Managed } from "../mapper/instance_state.ts";
import type { Mapper } from "../mapper/mapper.ts";
import type { ColumnChoice } from "./columns.ts";
import { hydrate } from "./hydrate.ts";
import { keyIn } from "./keys.ts";
import { selectAll } from "./select.ts";
import type { Loader } from "./selectin.ts";

/**
 * Loads the columns of a choice of `mapper` for the objects that lack any, with one statement.
 *
 * @throws {NoResultError} when the row of one that is `needed` is no longer there.
 */
export async function loadColumns(
  objects: readonly object[],
  mapper: Mapper,
  choice: ColumnChoice,
  loader: Loader,
  needed: (object: object) => boolean,
): Promise<void> {
  const lacking = objects.filter((object) =>
    choice.names.some((name) => !Object.hasOwn(object, name))
  );
  if (lacking.length === 0) return;
  const keys = lacking.map((object) => storedKey(object, mapper, loader));
  const rows = await loader.select({
    ...selectAll(mapper, mapper.source, choice),
    where: keyIn(mapper.primaryKey, mapper.source, keys, loader.dialect),
    // Whatever the entity's filters say: the objects are known by their keys.
    unfiltered: mapper.source.filters?.map(({ name }) => name),
  });
  const found = new Set(hydrate(mapper, rows, loader, choice));
  const gone = lacking.find((object) => needed(object) && !found.has(object));
  if (gone === undefined) return;
  throw new NoResultError(`${mapper.describe(gone)} is no longer there`, {
    hint: "Somebody else deleted it; session.expunge() lets go of it",
  });
}

/** The key of an object's row, which the program may have changed since. */
function storedKey(object: object, mapper: Mapper, { dialect }: Loader): unknown[] {
  const { row, shape } = Managed.stateOf(object)!;
  return shape!.keyIndexes.map((index, i) =>
    mapper.primaryKey[i]!.type.codec[dialect].decode(row![index]!)
  );
}
