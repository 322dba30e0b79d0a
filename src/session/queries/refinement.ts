/** What a refinement, as `(q) => q.where(…).limit(3)`, says of a relation that comes along. @module */

import { InputError } from "../../errors.ts";
import { checkRefinement, type PathEnd } from "../../loading/paths.ts";
import type { MappedRelation } from "../../mapper/mapper.ts";
import { type QueryPlan, whereOf } from "../query_plan.ts";

/**
 * The end of a path that was refined.
 *
 * @param asked The plan of the query that the refinement was given.
 * @param refined The plan of the one that it gave back.
 * @throws {InputError} when it says what has no place in a refinement.
 */
export function refinedEnd(
  path: string,
  relation: MappedRelation,
  strategy: PathEnd["strategy"],
  asked: QueryPlan,
  refined: QueryPlan,
): PathEnd {
  const other = (["lock", "readOnly", "signal", "timeout", "window"] as const)
    .find((name) => refined[name] !== asked[name]);
  if (other !== undefined) {
    throw new InputError(`${other}() has no place in the refinement of "${path}"`, {
      hint: `Say it of the query itself: query.${strategy}("${path}", …).${other}(…)`,
    });
  }
  const { orderBy, limit, offset, unfiltered, source, columns, paths } = refined;
  const where = whereOf(refined);
  const refinement = { where, orderBy, limit, offset, unfiltered, source, columns };
  checkRefinement(path, relation, refinement);
  if (strategy === "joined" && (limit ?? offset) !== undefined) {
    throw new InputError(`A joined relation has no limit per parent, and "${path}" is given one`, {
      hint: `Use .selectin("${path}", …)`,
    });
  }
  return { strategy, refinement, next: paths };
}
