/**
 * Which relations come along, and how: dotted paths become a tree that shares its prefixes.
 *
 * @module
 */

import { InputError } from "../errors.ts";
import { isToMany, type MappedRelation, type Mapper } from "../mapper/mapper.ts";
import { describe } from "../sql/expression.ts";
import type { Node, OrderNode, SelectNode, TableSource } from "../sql/node.ts";
import { didYouMean } from "../util/nearest.ts";
import type { ColumnChoice } from "./columns.ts";

/** Which of the related objects are loaded, in which order. */
export interface Refinement {
  /** The target, as its columns in the condition and the order have it. */
  readonly source: TableSource;
  /** The condition. */
  readonly where: Node | undefined;
  /** The order; empty: that of the relation. */
  readonly orderBy: readonly OrderNode[];
  /** At most so many for each parent. */
  readonly limit: SelectNode["limit"];
  /** Without the first so many of each parent. */
  readonly offset: SelectNode["offset"];
  /** Filters, by name, that are switched off. */
  readonly unfiltered: readonly string[] | undefined;
  /** The columns that are read; absent: those that are loaded by default. */
  readonly columns?: ColumnChoice | undefined;
}

/** A relation to load, and what to load from there on. */
export interface PathNode {
  /** The relation. */
  readonly relation: MappedRelation;
  /** In the statement that loads its parents, or with one of its own. */
  readonly strategy: "joined" | "selectin";
  /** Which of its objects; absent: all. */
  readonly refinement: Refinement | undefined;
  /** The next steps. */
  readonly next: PathTree;
}

/** Relations to load, by property. */
export type PathTree = ReadonlyMap<string, PathNode>;

/** How a path is loaded, and what becomes of its last step. */
export type PathEnd = Omit<PathNode, "relation">;

/** Nothing to load. */
export const noPaths: PathTree = new Map();

/** All of a relation, and nothing from there on. */
export const wholeRelation: PathEnd = {
  strategy: "selectin",
  refinement: undefined,
  next: noPaths,
};

/** Paths longer than this are refused: nobody needs them, and requests could ask for them. */
const MAX_DEPTH = 16;

/**
 * The relations a path names.
 *
 * @throws {InputError} when it names none.
 */
export function relationsOf(mapper: Mapper, path: unknown): readonly MappedRelation[] {
  if (typeof path !== "string") {
    throw new InputError(`A relation's path is expected, found ${describe(path)}`, {
      hint: `Name the relations as in "books.tags"`,
    });
  }
  const steps = path.split(".");
  if (steps.length > MAX_DEPTH) {
    throw new InputError(`The path "${path.slice(0, 100)}…" is longer than ${MAX_DEPTH} steps`);
  }
  let from = mapper;
  return steps.map((step) => {
    const relation = from.relations.get(step);
    if (relation === undefined) {
      throw new InputError(`"${path}" cannot be loaded: ${from.name} has no relation "${step}"`, {
        hint: didYouMean(step, from.relations.keys()),
      });
    }
    from = relation.target;
    return relation;
  });
}

/**
 * Adds a path to a tree. Of a relation that is named twice, the later strategy and refinement
 * count; naming it without a refinement, or on the way to another, leaves it the one it has.
 *
 * @throws {InputError} when the path names no relation.
 */
export function addPath(
  tree: PathTree,
  mapper: Mapper,
  path: unknown,
  end: PathEnd = wholeRelation,
): PathTree {
  return addSteps(tree, relationsOf(mapper, path), end);
}

function addSteps(
  tree: PathTree,
  [relation, ...rest]: readonly MappedRelation[],
  end: PathEnd,
): PathTree {
  const known = tree.get(relation!.property);
  const added = rest.length === 0 ? end : {
    strategy: known?.strategy ?? end.strategy,
    refinement: undefined,
    next: addSteps(known?.next ?? noPaths, rest, end),
  };
  return new Map(tree).set(relation!.property, merged(relation!, known, added));
}

function merged(relation: MappedRelation, known: PathNode | undefined, added: PathEnd): PathNode {
  const next = new Map(known?.next);
  for (const [property, node] of added.next) {
    next.set(property, merged(node.relation, next.get(property), node));
  }
  const { strategy, refinement = known?.refinement } = added;
  return { relation, strategy, refinement, next };
}

/** True if a refinement can leave objects out. */
export function isPartial(refinement: Refinement | undefined): boolean {
  return refinement !== undefined &&
    (refinement.where !== undefined || refinement.limit !== undefined ||
      refinement.offset !== undefined);
}

/**
 * Refuses to choose among the objects of a relation that has one at most: left out, it would look
 * as if there were none.
 */
export function checkRefinement(path: string, relation: MappedRelation, refined: Refinement): void {
  if (isToMany(relation) || (!isPartial(refined) && refined.orderBy.length === 0)) return;
  throw new InputError(`"${path}" leads to one object: there is nothing to choose or to sort`, {
    hint: "Refine relations to many, and filter the query itself with where()",
  });
}
