/**
 * Values that can be there once only and change hands within one flush: who has to let go of a key
 * or a unique value before another takes it. The databases check unique values row by row, so a
 * statement that moves several of them around can fail where its outcome would be right.
 *
 * @module
 */

import type { Mapper } from "../mapper/mapper.ts";
import type { Column, Table } from "../schema/table.ts";
import type { WireValue } from "../sql/wire.ts";
import { type Delete, type Insert, none, type Update } from "./flush_steps.ts";
import { stateOf } from "./journal.ts";
import { relatingKeys } from "./references.ts";

/** The order of a flush's statements. Most often: one round of updates, and the deletes last. */
export interface WriteOrder {
  /** Before everything else: rows that give up a value by setting it to null. */
  readonly releases: readonly Update[];
  /** Updates before the deletes and inserts, in rounds. */
  readonly early: readonly (readonly Update[])[];
  /** The deletes come before the inserts, since other rows take keys or unique values of theirs. */
  readonly deletesFirst: boolean;
  /** Updates after the inserts, in rounds: a row takes what one of an earlier round has let go of. */
  readonly updates: readonly (readonly Update[])[];
  /** Rows that exchange values which take no null: only a deferrable constraint lets them. */
  readonly exchanged: ReadonlySet<Update>;
}

/** The order of new rows alone. */
export const anyOrder: WriteOrder = {
  releases: [],
  early: [],
  deletesFirst: false,
  updates: [],
  exchanged: new Set(),
};

type Row = readonly (WireValue | undefined)[];

/** Finds the order. Where nothing changes hands, that costs a look at each update's columns. */
export function orderWrites(
  inserts: readonly Insert[],
  updates: readonly Update[],
  deletes: readonly Delete[],
): WriteOrder {
  const movers = updates.filter(movesUnique);
  if (movers.length > 0 || deletes.length > 0) {
    const ordering = new Ordering(updates, deletes, movers);
    if (ordering.find(inserts, movers)) return ordering.result();
  }
  return { ...anyOrder, updates: updates.length === 0 ? [] : [updates] };
}

/** Columns that hold a value once: the key, unique columns and groups of them. */
interface Unique {
  /** Of the table, and within it. */
  readonly name: string;
  /** Indexes of the mapper's columns. */
  readonly indexes: readonly number[];
}

const known = new WeakMap<Mapper, readonly Unique[]>();

function uniquesOf(mapper: Mapper): readonly Unique[] {
  let uniques = known.get(mapper);
  if (uniques === undefined) {
    const { columns, primaryKey, parts } = mapper;
    uniques = parts.flatMap(({ table, part, holds }) => {
      const sets: (readonly Column[])[] = [
        // That of a joined subclass's table is the base's.
        ...(part === undefined ? [primaryKey] : []),
        ...columns.filter(({ unique }, i) => unique && holds[i]).map((column) => [column]),
        ...table.unique,
        ...table.indexes.filter(({ unique }) => unique).map((index) => index.columns),
      ];
      return sets.map((set) => ({
        name: `${mapper.root.index} ${JSON.stringify(table.name)} ${
          set.map(({ name }) => JSON.stringify(name)).join()
        } `,
        indexes: mapper.indexesOf(set),
      }));
    }).filter(({ indexes }) => !indexes.includes(-1));
    known.set(mapper, uniques);
  }
  return uniques;
}

function movesUnique(update: Update): boolean {
  // The update that completes a ring of inserts has no row yet, and had none before.
  if (update.row.length === 0) return false;
  for (const unique of uniquesOf(update.mapper)) if (moves(update, unique)) return true;
  return false;
}

function movedBy(update: Update): readonly Unique[] {
  return uniquesOf(update.mapper).filter((unique) => moves(update, unique));
}

function moves({ changed }: Update, { indexes }: Unique): boolean {
  for (const index of indexes) if (changed.includes(index)) return true;
  return false;
}

/** The values as one text; undefined if one is null or not known, which is like no other. */
function textOf(row: Row, { name, indexes }: Unique): string | undefined {
  let text = name;
  for (const index of indexes) {
    const value = row[index];
    if (value === null || value === undefined) return undefined;
    const part = String(value);
    text += `${part.length}:${part}`;
  }
  return text;
}

class Ordering {
  readonly #updates: readonly Update[];
  readonly #deletes: readonly Delete[];
  /** Who holds which value now. */
  readonly #holders = new Map<string, readonly [Update | Delete, Unique]>();
  /** Who waits for whom, and who is waited for by whom. */
  readonly #blockers = new Map<Update, Update[]>();
  readonly #takers = new Map<Update, Update[]>();
  /** The groups of columns that a row has to let go of. */
  readonly #held = new Map<Update, (readonly number[])[]>();
  readonly #early = new Set<Update>();
  readonly #afterDeletes = new Set<Update>();
  readonly #releases = new Map<Update, Update>();
  readonly #exchanged = new Set<Update>();
  #deletesFirst = false;

  constructor(updates: readonly Update[], deletes: readonly Delete[], movers: readonly Update[]) {
    this.#updates = updates;
    this.#deletes = deletes;
    for (const row of deletes) this.#hold(row, uniquesOf(row.mapper));
    for (const mover of movers) this.#hold(mover, movedBy(mover));
  }

  #hold(holder: Update | Delete, uniques: readonly Unique[]): void {
    const { row } = stateOf(holder.object);
    for (const unique of uniques) {
      const text = textOf(row!, unique);
      if (text !== undefined) this.#holders.set(text, [holder, unique]);
    }
  }

  /** Finds who takes what; false if nobody takes anything. */
  find(inserts: readonly Insert[], movers: readonly Update[]): boolean {
    let found = false;
    const tables = new Set([...this.#holders.values()].map(([{ mapper }]) => mapper.root));
    for (const insert of inserts) {
      if (tables.has(insert.mapper.root)) found = this.#take(insert, undefined) || found;
    }
    for (const mover of movers) found = this.#take(mover, mover) || found;
    return found;
  }

  /** Notes whose values a row takes. */
  #take({ mapper, row, object }: Insert | Update, update: Update | undefined): boolean {
    let found = false;
    for (const unique of uniquesOf(mapper)) {
      const text = textOf(row, unique);
      const holder = text === undefined ? undefined : this.#holders.get(text);
      if (holder === undefined || holder[0].object === object) continue;
      found = true;
      const [from, { indexes }] = holder;
      if (!("changed" in from)) {
        this.#deletesFirst = true;
        if (update !== undefined) this.#afterDeletes.add(update);
        continue;
      }
      push(this.#held, from, indexes);
      if (update === undefined) this.#early.add(from);
      else {
        push(this.#blockers, update, from);
        push(this.#takers, from, update);
      }
    }
    return found;
  }

  result(): WriteOrder {
    if (this.#deletesFirst) this.#findRowsThatLetGo();
    const late = new Set<Update>();
    // A set goes on with what is added to it meanwhile.
    for (const update of this.#early) {
      if (update.pendingKeys.length > 0 || this.#afterDeletes.has(update)) {
        late.add(update);
        this.#release(update);
      } else for (const blocker of this.#blockers.get(update) ?? []) this.#early.add(blocker);
    }
    const early = this.#updates.filter((update) => this.#early.has(update) && !late.has(update));
    const others = this.#updates.filter((update) => !this.#early.has(update) || late.has(update));
    const rounds = [this.#rounds(early), this.#rounds(others)] as const;
    return {
      releases: [...this.#releases.values()],
      early: rounds[0],
      deletesFirst: this.#deletesFirst,
      updates: rounds[1],
      exchanged: this.#exchanged,
    };
  }

  /** Rows that point to a deleted one, and would keep it from going. */
  #findRowsThatLetGo(): void {
    const doomed = new Set(this.#deletes.map(({ object }) => object));
    const rows = new Map<Table, Delete[]>();
    for (const row of this.#deletes) {
      for (const { table } of row.mapper.parts) push(rows, table, row);
    }
    const texts = new Map<object, Set<string | undefined>>();
    for (const update of this.#updates) {
      const { mapper, changed, object } = update;
      if (doomed.has(object)) this.#early.add(update);
      for (const key of mapper.parts.flatMap(({ table }) => relatingKeys(table))) {
        const indexes = mapper.indexesOf(key.columns);
        if (!rows.has(key.target) || !indexes.some((index) => changed.includes(index))) continue;
        let gone = texts.get(key);
        if (gone === undefined) {
          gone = new Set(
            rows.get(key.target)!.map(({ mapper, object }) =>
              textOf(stateOf(object).row!, {
                name: "",
                indexes: mapper.indexesOf(key.targetColumns),
              })
            ),
          );
          gone.delete(undefined);
          texts.set(key, gone);
        }
        const { row } = stateOf(object);
        if (row === undefined || !gone.has(textOf(row, { name: "", indexes }))) continue;
        push(this.#held, update, indexes);
        this.#early.add(update);
      }
    }
  }

  /**
   * Lets a row give up its values by an update to null of its own. Gives those who waited for it and no
   * longer do; undefined if the values take no null.
   */
  #release(update: Update): readonly Update[] | undefined {
    const { object, mapper, key, changed } = update;
    const given: number[] = [];
    for (const indexes of this.#held.get(update) ?? []) {
      // Only of what is written again afterwards.
      const index = indexes.find((i) => mapper.columns[i]!.nullable && changed.includes(i));
      if (index === undefined) return undefined;
      if (!given.includes(index)) given.push(index);
    }
    const row = stateOf(object).row!.slice();
    for (const index of given) row[index] = null;
    given.sort((a, b) => a - b);
    this.#releases.set(update, {
      ...{ object, mapper, key, changed: given, row, pendingKeys: none, linked: none },
    });
    const takers = this.#takers.get(update) ?? [];
    this.#takers.delete(update);
    for (const taker of takers) {
      const blockers = this.#blockers.get(taker)!.filter((blocker) => blocker !== update);
      this.#blockers.set(taker, blockers);
    }
    return takers;
  }

  /** Each row after those that hold what it takes (Kahn 1962); a ring is opened by a release. */
  #rounds(updates: readonly Update[]): Update[][] {
    const waiting = new Map<Update, number>();
    const inside = new Set(updates);
    for (const update of updates) {
      const blockers = this.#blockers.get(update) ?? [];
      waiting.set(update, blockers.filter((blocker) => inside.has(blocker)).length);
    }
    const rounds: Update[][] = [];
    let ready = updates.filter((update) => waiting.get(update) === 0);
    while (waiting.size > 0) {
      const next: Update[] = [];
      const free = (takers: readonly Update[] = []) => {
        for (const taker of takers) {
          const count = waiting.get(taker);
          if (count === undefined) continue;
          waiting.set(taker, count - 1);
          if (count === 1) next.push(taker);
        }
      };
      if (ready.length === 0) {
        const ring = this.#ringOf(waiting);
        let freed: readonly Update[] | undefined;
        for (const update of ring) {
          freed = this.#release(update);
          if (freed !== undefined) break;
        }
        if (freed !== undefined) free(freed);
        else {
          for (const update of ring) this.#exchanged.add(update);
          ready = ring;
        }
      }
      if (ready.length > 0) rounds.push(ready);
      for (const update of ready) waiting.delete(update);
      for (const update of ready) free(this.#takers.get(update));
      ready = next;
    }
    return rounds;
  }

  /** Rows that wait for each other, one for the next. */
  #ringOf(waiting: ReadonlyMap<Update, number>): Update[] {
    const path = new Set<Update>();
    let [update] = waiting.keys() as Iterable<Update> as [Update];
    while (!path.has(update)) {
      path.add(update);
      update = this.#blockers.get(update)!.find((blocker) => waiting.has(blocker))!;
    }
    const list = [...path];
    return list.slice(list.indexOf(update));
  }
}

function push<K, V>(lists: Map<K, V[]>, key: K, value: V): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}
