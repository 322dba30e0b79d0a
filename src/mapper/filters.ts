/** Which filters a query can switch off. @module */

import { InputError } from "../errors.ts";
import { describe } from "../sql/expression.ts";
import type { Source } from "../sql/node.ts";
import { didYouMean } from "../util/nearest.ts";
import { isClassFilter } from "./definition.ts";
import type { Mapper } from "./mapper.ts";

/**
 * Checks names of filters: those of an entity, and of all that its relations reach.
 *
 * @throws {InputError} for a name that no filter has.
 */
export function checkFilters(names: readonly unknown[], mapper: Mapper): void {
  checkSourceFilters(names, mapper.name, [], mapper);
}

/**
 * Checks names of filters: those of the sources, and of all that the relations of a mapper reach.
 *
 * @throws {InputError} for a name that no filter has.
 */
export function checkSourceFilters(
  names: readonly unknown[],
  what: string,
  sources: readonly Source[],
  mapper?: Mapper,
): void {
  const known = new Set<unknown>();
  const add = (source: Source) => {
    if (source.kind !== "table") return;
    for (const { name } of source.filters ?? []) {
      if (!isClassFilter(name)) known.add(name);
    }
  };
  sources.forEach(add);
  const reached = new Set(mapper === undefined ? [] : [mapper]);
  // A set goes on with what is added to it meanwhile.
  for (const { source, relations } of reached) {
    add(source);
    for (const { target } of relations.values()) reached.add(target);
  }
  for (const name of names) {
    if (known.has(name)) continue;
    throw new InputError(
      `${what} has no filter ${typeof name === "string" ? `"${name}"` : describe(name)}`,
      {
        hint: known.size === 0
          ? "Declare it in the options of entity(): { filters: { … } }"
          : didYouMean(String(name), known as Set<string>),
      },
    );
  }
}
