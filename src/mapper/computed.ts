/**
 * Computed columns: values that every query of an entity works out from its other columns and its
 * relations. They are selected with the row, and never written.
 *
 * @module
 */

import { resolveType } from "../dialect/type_names.ts";
import { InputError } from "../errors.ts";
import { describe } from "../sql/expression.ts";
import { type Node, type TableSource, typeOf } from "../sql/node.ts";
import { expressionIn } from "../sql/operand.ts";
import type { DialectName, WireRow } from "../sql/wire.ts";
import type { DefinedComputed } from "./definition.ts";
import type { Mapper } from "./mapper.ts";
import { refsOf } from "./refs.ts";

/** The expressions of computed columns of a source; of all, if none are chosen. */
export function computedNodes(
  mapper: Mapper,
  source: TableSource,
  computed: readonly DefinedComputed[] = mapper.definition.computed,
): Node[] {
  if (computed.length === 0) return [];
  const refs = refsOf(mapper, source);
  return computed.map((each) => nodeFor(each, refs[each.property], mapper));
}

function nodeFor({ property }: DefinedComputed, given: unknown, mapper: Mapper): Node {
  const node = expressionIn(given);
  const name = `The computed column "${mapper.name}.${property}"`;
  if (node === undefined) {
    throw new InputError(`${name} is ${describe(given)}, and no expression`, {
      hint: `Write it as { computed: { ${property}: (a) => a.books.count() } }`,
    });
  }
  if (typeOf(node) === undefined) {
    throw new InputError(`${name} has no known type`, {
      hint: "Say what type it has with .typed(), or convert it with .cast()",
    });
  }
  return node;
}

/** Takes the computed columns off a row, and gives the object their values. */
export type TakeComputed = (object: object, row: WireRow) => void;

/** How computed columns come from a row to an object. */
export interface ComputedReader {
  /** Takes the wire values off; undefined for a row that was read without them. */
  readonly cut: (row: WireRow) => WireRow | undefined;
  /** Gives an object the values. */
  readonly fill: TakeComputed;
}

/**
 * What takes computed columns off the end of a row, where they stand behind `at` others; null if
 * there are none. They are no part of an object's snapshot, since they are not written.
 */
export function computedReader(
  mapper: Mapper,
  dialect: DialectName,
  computed: readonly DefinedComputed[] = mapper.definition.computed,
  at: number = mapper.loaded.length,
): ComputedReader | null {
  if (computed.length === 0) return null;
  const decoders = computedNodes(mapper, mapper.source, computed).map((node) =>
    resolveType(typeOf(node)!).codec[dialect]
  );
  return {
    cut: (row) => row.length < at + computed.length ? undefined : row.splice(at, computed.length),
    fill(object, wires) {
      computed.forEach(({ property }, i) => {
        const wire = wires[i]!;
        (object as Record<string, unknown>)[property] = wire === null
          ? null
          : decoders[i]!.decode(wire);
      });
    },
  };
}
