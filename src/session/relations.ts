/**
 * Relations of objects that a session has already: loaded or counted afterwards, for many at once.
 *
 * @module
 */

import { InputError, InstanceStateError } from "../errors.ts";
import type { CallOptions } from "../dialect/driver.ts";
import type { Connection } from "../engine/connection.ts";
import { chooseColumns } from "../loading/columns.ts";
import { countRelated } from "../loading/counts.ts";
import { loadColumns } from "../loading/missing_columns.ts";
import { type PathTree, type Refinement, relationsOf } from "../loading/paths.ts";
import { type Loader, loadPaths, loadReplaced } from "../loading/selectin.ts";
import { Managed } from "../mapper/instance_state.ts";
import { isToMany, type MappedRelation, type Mapper } from "../mapper/mapper.ts";
import type { Condition } from "../sql/expression.ts";
import { nodeOf, type TableSource } from "../sql/node.ts";
import type { Replaced } from "../unit_of_work/replaced.ts";
import { settle } from "../util/settle.ts";
import { Query, type QueryRunner } from "./query.ts";
import { pathsOf, planFor } from "./query_plan.ts";
import type { RelationLoader, SessionCore, WantedColumns } from "./session_core.ts";

/** The relation to be counted. */
function countedRelation(mapper: Mapper, name: unknown): MappedRelation {
  const [relation, ...more] = relationsOf(mapper, name);
  if (more.length === 0 && isToMany(relation!)) return relation!;
  throw new InputError(`"${name}" of ${mapper.name} is no relation to many: nothing to count`, {
    hint: "Name one relation to many, without a path",
  });
}

/** Loads relations for one session. */
export class Relations implements RelationLoader {
  readonly #core: SessionCore;
  readonly #runner: QueryRunner;

  /** Loads for the session of `core`; `runner` is that of its queries. */
  constructor(core: SessionCore, runner: QueryRunner) {
    this.#core = core;
    this.#runner = runner;
    core.owner.loader = this;
  }

  /**
   * Loads relations and columns of objects, named by paths or by one path and its refinement.
   *
   * @throws {InputError} when a path names no relation and no column.
   */
  async load(objects: readonly object[], paths: readonly unknown[]): Promise<void> {
    const named = paths.filter((path) => typeof path === "string");
    for (const [mapper, some] of this.#byClass(objects, named)) {
      const isColumn = (path: unknown) => typeof path === "string" && mapper.reads(path);
      const columns = paths.filter(isColumn);
      const tree = this.tree(mapper, paths.filter((path) => !isColumn(path)));
      await this.loadTree(
        some,
        tree,
        columns.length === 0
          ? undefined
          : { mapper, choice: chooseColumns(mapper, columns, false, "load()") },
      );
    }
  }

  /**
   * How many objects a relation of each leads to.
   *
   * @throws {InputError} when there is none of that name, or it leads to one object.
   */
  async counts<E extends object>(
    objects: readonly E[],
    relation: string,
    where: ((related: never) => Condition) | undefined,
  ): Promise<Map<E, number>> {
    const counts = new Map<E, number>();
    for (const [mapper, some] of this.#byClass(objects, [relation])) {
      const counted = countedRelation(mapper, relation);
      const source = { ...counted.target.source };
      const node = where && this.#query(counted.target, source).where(where as never)[nodeOf].where;
      const numbers = await this.#count(some, counted, { source, where: node });
      some.forEach((object, i) => counts.set(object, numbers[i]!));
    }
    return counts;
  }

  /** What paths name, as a tree. */
  tree(mapper: Mapper, paths: readonly unknown[]): PathTree {
    return this.#query(mapper, mapper.source).selectin(...paths as never[])[pathsOf];
  }

  #query(mapper: Mapper, source: TableSource): Query<object> {
    return new Query<object>(this.#runner, planFor(mapper, source));
  }

  /** Objects by the class that declares their relations. */
  #byClass<E extends object>(objects: readonly E[], relations: string[]): Map<Mapper, E[]> {
    const { registry } = this.#core.context;
    return Map.groupBy(objects, (object) => registry.mapperOf(object).declaring(relations));
  }

  /**
   * Loads what of a tree and of some columns is not loaded yet. When nothing is missing, nothing is
   * sent.
   */
  loadTree(objects: readonly object[], tree: PathTree, columns?: WantedColumns): Promise<void> {
    return this.#inTurn((loader) => {
      for (const object of objects) this.#assertManaged(object);
      return this.#load(objects, tree, loader, columns, () => true);
    });
  }

  /** Loads a relation or columns of an object, and of those that one result gave along with it. */
  loadForPeers(object: object, tree: PathTree, columns?: WantedColumns): Promise<void> {
    return this.#inTurn((loader) => {
      this.#assertManaged(object);
      const peers = Managed.stateOf(object)!.peers
        ?.filter((peer) => this.#isManaged(peer) && has(peer, tree, columns)) ?? [];
      return this.#load([object, ...peers], tree, loader, columns, (needed) => needed === object);
    });
  }

  /** Loads what relations held that were replaced, each with one statement; the flush goes on from there. */
  async loadReplaced(
    replaced: Replaced,
    connection: Connection,
    call: CallOptions,
  ): Promise<void> {
    const added: object[] = [];
    const loader = { ...this.#loader(() => Promise.resolve(connection), call), added };
    try {
      // In one tick, so that they travel together where the driver can.
      await settle(
        [...replaced].map(([relation, owners]) => loadReplaced(owners, relation, loader)),
      );
    } finally {
      const owners = [...replaced.values()].flat();
      for (const stream of this.#core.streams) if (stream.adopt(owners, added)) break;
    }
  }

  async #load(
    objects: readonly object[],
    tree: PathTree,
    loader: Loader,
    columns?: WantedColumns,
    needed: (object: object) => boolean = () => true,
  ): Promise<void> {
    if (columns !== undefined) {
      const { mapper, choice } = columns;
      const having = objects.filter((object) => object instanceof mapper.entityClass);
      await settle([
        loadColumns(having, mapper, choice, loader, needed),
        this.#load(objects, tree, loader),
      ]);
      return;
    }
    const added: object[] = [];
    try {
      await loadPaths(objects, tree, { ...loader, onlyMissing: true, added });
    } finally {
      for (const stream of this.#core.streams) if (stream.adopt(objects, added)) break;
    }
  }

  /** The numbers of related objects, in the order of the objects. */
  #count(
    objects: readonly object[],
    relation: MappedRelation,
    refinement: Pick<Refinement, "source" | "where">,
  ): Promise<number[]> {
    return this.#inTurn((loader) => {
      for (const object of objects) this.#assertManaged(object);
      return countRelated(objects, relation, refinement, loader);
    });
  }

  /** What is missing is asked when it is this call's turn: one before it may have loaded it. */
  async #inTurn<T>(work: (loader: Loader) => Promise<T>): Promise<T> {
    const core = this.#core;
    core.assertOpen();
    const call: CallOptions = core.limits({});
    return await core.turnstile.exclusive(async (borrow) => {
      if (core.transaction !== undefined) await core.autoflush(await borrow(), call);
      return await work(this.#loader(borrow, call));
    }, call);
  }

  #loader(borrow: () => Promise<Connection>, call: CallOptions): Loader {
    const { owner, work: { identityMap }, context: { dialect } } = this.#core;
    return {
      owner,
      identityMap,
      dialect: dialect.name,
      select: async (select) => {
        const connection = await borrow();
        call.signal?.throwIfAborted();
        return (await connection.run(dialect.compile(select), call)).rows;
      },
    };
  }

  #isManaged(object: object): boolean {
    const state = Managed.stateOf(object);
    return state?.owner === this.#core.owner && state.status === "persistent";
  }

  #assertManaged(object: object): void {
    if (this.#isManaged(object)) return;
    const mapper = this.#core.context.registry.mapperOf(object);
    const state = Managed.stateOf(object);
    const elsewhere = state?.owner !== undefined && state.owner !== this.#core.owner;
    throw new InstanceStateError(
      `The relations of ${mapper.describe(object)} cannot be loaded: it is ` +
        `${state?.status ?? "transient"}${elsewhere ? " in another session" : ""}`,
      { hint: "Load the object itself in this session first" },
    );
  }
}

/** True if the object's class has all that is wanted: what one query gave can be of several classes. */
function has(object: object, tree: PathTree, columns: WantedColumns | undefined): boolean {
  const { mapper } = Managed.stateOf(object)!;
  if (columns !== undefined && !mapper.isA(columns.mapper)) return false;
  return tree.values().every(({ relation }) =>
    mapper.relations.get(relation.property) === relation
  );
}
