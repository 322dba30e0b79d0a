/** What a session does with single objects beyond adding and deleting. @module */

import { NoResultError } from "../errors.ts";
import { columnRef, isClassFilter } from "../mapper/definition.ts";
import { Managed } from "../mapper/instance_state.ts";
import type { Mapper } from "../mapper/mapper.ts";
import { allOf, type Condition } from "../sql/expression.ts";
import { nodeOf } from "../sql/node.ts";
import type { WireRow } from "../sql/wire.ts";
import { merge } from "./merge.ts";
import { planFor } from "./query_plan.ts";
import type { Reader } from "./reader.ts";
import type { Relations } from "./relations.ts";
import type { SessionCore } from "./session_core.ts";

/** Refreshes and merges objects for one session. */
export class Objects {
  readonly #core: SessionCore;
  readonly #reader: Reader;
  readonly #relations: Relations;

  /** Works for the session of `core`. */
  constructor(core: SessionCore, reader: Reader, relations: Relations) {
    this.#core = core;
    this.#reader = reader;
    this.#relations = relations;
  }

  /** Reads the row of an object anew, and its loaded relations. */
  async refresh(object: object, paths: readonly string[]): Promise<void> {
    this.#core.assertOpen();
    const { work, context } = this.#core;
    const mapper = context.registry.mapperOf(object);
    const wanted = this.#relations.tree(mapper, paths);
    // Before the query, inside begin(), flushes what is not wanted any more.
    work.discard(object, "refresh");
    const { row, shape } = Managed.stateOf(object)!;
    await this.#byKeys(mapper, [shape!.keyIndexes.map((index) => row![index]!)], (read) => {
      if (!read.includes(object)) {
        throw new NoResultError(`${mapper.describe(object)} is no longer there`, {
          hint: "Somebody else deleted it; session.expunge() lets go of it",
        });
      }
    });
    const loaded = work.unload(object);
    if (loaded.length > 0) {
      await this.#relations.loadTree([object], this.#relations.tree(mapper, [...loaded, ...paths]));
    } else if (wanted.size > 0) await this.#relations.loadTree([object], wanted);
  }

  /** Copies an object's state into this session's. */
  async merge(object: object): Promise<object> {
    this.#core.assertOpen();
    this.#core.assertWritable();
    return await merge(object, this.#core, {
      byKeys: (mapper, keys) => this.#byKeys(mapper, keys, () => {}),
      load: (mapper, objects, names) =>
        this.#relations.loadTree(objects, this.#relations.tree(mapper, names)),
    });
  }

  /** Whatever the entity's filters say: the object is known by its key. */
  async #byKeys(
    mapper: Mapper,
    keys: readonly WireRow[],
    check: (read: readonly object[]) => void,
  ): Promise<void> {
    const { name } = this.#core.context.dialect;
    const decoded = keys.map((key) =>
      key.map((wire, i) => mapper.primaryKey[i]!.type.codec[name].decode(wire))
    );
    const columns = mapper.primaryKey.map(({ defined }) => columnRef(defined, mapper.source));
    const conditions: Condition[] = columns.length === 1
      ? [columns[0]!.in(decoded.map(([value]) => value as string))]
      : decoded.map((values) =>
        allOf(...values.map((value, i) => columns[i]!.eq(value as string)))
      );
    const read: object[] = [];
    for (const condition of conditions) {
      read.push(
        ...await this.#reader.all({
          ...planFor(mapper),
          where: condition[nodeOf],
          unfiltered: mapper.source.filters?.map(({ name }) => name)
            .filter((name) => !isClassFilter(name)),
        }),
      );
    }
    check(read);
  }
}
