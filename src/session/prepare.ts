/**
 * Prepared queries: built once for each engine, their statements compiled once, run with values by
 * name.
 *
 * @module
 */

import { InputError } from "../errors.ts";
import type { PreparedStatement } from "../dialect/dialect.ts";
import { describe } from "../sql/operand.ts";
import { Parameter } from "../sql/parameter.ts";
import { didYouMean } from "../util/nearest.ts";
import type { AsyncSession } from "./async_session.ts";
import { rebind, runnerOf } from "./queries/binding.ts";
import type { Query } from "./query.ts";
import type { Select } from "./queries/select.ts";

interface Prepared<Q> {
  readonly query: Q;
  readonly names: ReadonlySet<string>;
  readonly statements: Map<string, PreparedStatement>;
}

/** A query that can be prepared: for entities, or for rows. */
export type Preparable = Query<object, object> | Select<readonly unknown[], unknown>;

/**
 * Prepares a query: `build` is run once for each engine, and each of its statements is compiled
 * once. The result is a function that gives the query for a session and values, which are bound by
 * name and checked by their columns' types.
 *
 * The parameters stand for values while the query is built: use them in conditions, as lists of
 * `in()`, in `limit()`. Nothing can be computed with them there, and none can be null.
 *
 * @throws {InputError} when the function is given a value that is missing, unknown or of a wrong type.
 *
 * @example
 * ```ts
 * import { AsyncEngine, createAll, entity, integer, prepare, text } from "@sluice/orm";
 * import { assertEquals } from "@std/assert";
 *
 * class Pet extends entity("pets", { id: integer().primaryKey().generated(), name: text() }) {}
 * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Pet] });
 * await createAll(engine);
 * await using session = engine.session();
 * await session.bulkInsert(Pet, [{ name: "Ant" }, { name: "Bee" }]);
 *
 * const byName = prepare((p: { name: string }, session) =>
 *   session.query(Pet).where((pet) => pet.name.eq(p.name))
 * );
 * assertEquals((await byName(session, { name: "Bee" }).one()).id, 2);
 * assertEquals((await byName(session, { name: "Ant" }).one()).id, 1);
 * ```
 */
export function prepare<P extends object, Q extends object>(
  build: (parameters: P, session: AsyncSession) => Q,
): (session: AsyncSession, values: P) => Q {
  if (typeof build !== "function") {
    throw new InputError(`prepare() expects a function, found ${describe(build)}`, {
      hint: "Write it as prepare((p: { name: string }, session) => session.query(…)…)",
    });
  }
  const byEngine = new WeakMap<object, Prepared<Preparable>>();
  return (session, values) => {
    const runner = session[runnerOf];
    let prepared = byEngine.get(runner.rows.registry);
    if (prepared === undefined) {
      const { names, parameters } = parametersFor<P>();
      // What it really is, is asked of it next.
      const query = build(parameters, session) as unknown as Preparable;
      if (typeof query?.[rebind] !== "function") {
        throw new InputError(`prepare() expects a query, found ${describe(query)}`, {
          hint: "Return session.query(…), without ending it",
        });
      }
      prepared = { query, names, statements: new Map() };
      byEngine.set(runner.rows.registry, prepared);
    }
    checkNames(prepared.names, values);
    // A copy: the values are those of now, whatever becomes of the object.
    const binding = { values: { ...values }, statements: prepared.statements };
    // Rebinding gives a query of the very class that the caller built, which is Q.
    return prepared.query[rebind](runner, binding) as unknown as Q;
  };
}

/** An object whose every property is a parameter, and the names that were asked for. */
function parametersFor<P extends object>(): { names: Set<string>; parameters: P } {
  const names = new Set<string>();
  const parameters = new Proxy(Object.create(null), {
    get(_target, name) {
      if (typeof name !== "string") return undefined;
      names.add(name);
      return new Parameter(name);
    },
  });
  return { names, parameters: parameters as P };
}

function checkNames(names: ReadonlySet<string>, values: object): void {
  if (typeof values !== "object" || values === null) {
    throw new InputError(`A prepared query takes its values by name, found ${describe(values)}`);
  }
  for (const name of Object.keys(values)) {
    if (names.has(name)) continue;
    throw new InputError(`The prepared query has no parameter "${name}"`, {
      hint: didYouMean(name, names),
    });
  }
}
