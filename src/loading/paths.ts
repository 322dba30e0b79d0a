/**
 * Which relations come along: dotted paths become a tree that shares its prefixes.
 *
 * @module
 */

import { InputError } from "../errors.ts";
import type { MappedRelation, Mapper } from "../mapper/mapper.ts";
import { describe } from "../sql/expression.ts";
import { didYouMean } from "../util/nearest.ts";

/** A relation to load, and what to load from there on. */
export interface PathNode {
  /** The relation. */
  readonly relation: MappedRelation;
  /** The next steps. */
  readonly next: PathTree;
}

/** Relations to load, by property. */
export type PathTree = ReadonlyMap<string, PathNode>;

/** Nothing to load. */
export const noPaths: PathTree = new Map();

/** Paths longer than this are refused: nobody needs them, and requests could ask for them. */
const MAX_DEPTH = 16;

/**
 * Adds paths to a tree.
 *
 * @throws {InputError} when a path names no relation.
 */
export function addPaths(tree: PathTree, mapper: Mapper, paths: readonly string[]): PathTree {
  return paths.reduce((result, path) => {
    if (typeof path !== "string") {
      throw new InputError(`A relation's path is expected, found ${describe(path)}`, {
        hint: `Name the relations as in "books.tags"`,
      });
    }
    const steps = path.split(".");
    if (steps.length > MAX_DEPTH) {
      throw new InputError(`The path "${path.slice(0, 100)}…" is longer than ${MAX_DEPTH} steps`);
    }
    return addSteps(result, mapper, steps, path);
  }, tree);
}

function addSteps(
  tree: PathTree,
  mapper: Mapper,
  [step, ...rest]: readonly string[],
  path: string,
): PathTree {
  const relation = mapper.relations.get(step!);
  if (relation === undefined) {
    throw new InputError(`"${path}" cannot be loaded: ${mapper.name} has no relation "${step}"`, {
      hint: didYouMean(step!, mapper.relations.keys()),
    });
  }
  const next = tree.get(step!)?.next ?? noPaths;
  return new Map(tree).set(step!, {
    relation,
    next: rest.length === 0 ? next : addSteps(next, relation.target, rest, path),
  });
}
