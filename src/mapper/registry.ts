/**
 * The registry: all entities of an engine. Resolves what they say about each other, and reports
 * every mistake at once.
 *
 * @module
 */

import { ConfigError, InputError, MappingError, SluiceError } from "../errors.ts";
import type { Table } from "../schema/table.ts";
import { describe } from "../sql/expression.ts";
import type { WireRow } from "../sql/wire.ts";
import { computedNodes } from "./computed.ts";
import { type Definition, definitionOf, type Fill } from "./definition.ts";
import type { MappedColumn } from "./mapped_column.ts";
import { Mapper } from "./mapper.ts";
import { Resolver } from "./resolve.ts";

type AnyClass = new (fill: unknown, row: WireRow) => object;

/** All entities of an engine, resolved. */
export class Registry {
  /** The mappers, in the order the entities were given. */
  readonly mappers: readonly Mapper[];
  /** The tables that `createAll()` makes: of the entities, and those between them. */
  readonly tables: readonly Table[];
  readonly #byClass: ReadonlyMap<unknown, Mapper>;

  /**
   * Resolves the entities.
   *
   * @throws {MappingError} with every mistake of the mapping.
   */
  constructor(entities: readonly unknown[]) {
    const { mappers, problems: orphans } = mappersOf(entities);
    this.mappers = mappers;
    this.#byClass = new Map(this.mappers.map((mapper) => [mapper.entityClass, mapper]));
    const resolver = new Resolver(this.mappers);
    const problems = [...orphans, ...check(this.mappers), ...resolver.resolve()];
    // Their expressions follow relations, which are there when nothing is wrong with them.
    if (problems.length === 0) problems.push(...checkComputed(this.mappers));
    const written = this.mappers.filter((mapper) => !mapper.readOnly && mapper.home === mapper);
    this.tables = [...written.map((mapper) => mapper.table), ...resolver.associations.values()];
    if (problems.length > 0) throw new MappingError(problems);
  }

  /** The mapper of a class. */
  mapper(entityClass: unknown): Mapper {
    const mapper = this.#byClass.get(entityClass);
    if (mapper !== undefined) return mapper;
    if (definitionOfClass(entityClass) === undefined) {
      throw new InputError(`An entity class is expected, found ${describe(entityClass)}`, {
        hint: "Pass a class that extends entity(…)",
      });
    }
    throw new ConfigError(`The engine does not know ${(entityClass as AnyClass).name}`, {
      hint: `Add it to the engine's options: { entities: [${
        [...this.mappers.map((m) => m.name), (entityClass as AnyClass).name].join(", ")
      }] }`,
    });
  }

  /** The mapper of an object's class. */
  mapperOf(object: unknown): Mapper {
    if (typeof object !== "object" || object === null) {
      throw new InputError(`An entity is expected, found ${describe(object)}`, {
        hint: "Pass an object made by new Entity({ … }) or loaded by a query",
      });
    }
    return this.mapper(object.constructor);
  }
}

/** A mapper a class; those of one hierarchy know each other. */
function mappersOf(entities: readonly unknown[]): { mappers: Mapper[]; problems: string[] } {
  const problems: string[] = [];
  const mappers: Mapper[] = [];
  const found = new Map<Definition, Mapper>();
  const add = (index: number, definition: Definition): void => {
    const { parent } = definition;
    const base = parent && found.get(parent.definition);
    // Objects of one hierarchy share their identities, and so the mappers their place.
    const mapper = new Mapper(
      entities[index] as AnyClass,
      definition,
      base?.root.index ?? index,
      base,
    );
    mappers[index] = mapper;
    found.set(definition, mapper);
    if (parent === undefined) return;
    const { value } = parent;
    if (base === undefined) {
      problems.push(`${mapper.name} is a subclass, and "entities" lacks what it extends; add it`);
      return;
    }
    const { root } = base;
    const known = root.classes.get(value) ?? (kindOf(root) === value ? root : undefined);
    if (known === undefined) root.takeIn(value, mapper);
    else if (known.entityClass !== mapper.entityClass) {
      problems.push(
        `${mapper.name} and ${known.name} both are "${value}"; ` +
          `give each subclass a discriminator of its own`,
      );
    }
  };
  const waiting = new Map(entities.map((entity, i) => [i, definitionIn(entity)]));
  // What is extended first, in whatever order the classes are listed.
  while (waiting.size > 0) {
    const before = waiting.size;
    for (const [index, definition] of waiting) {
      const { parent } = definition;
      if (parent !== undefined && [...waiting.values()].includes(parent.definition)) continue;
      waiting.delete(index);
      add(index, definition);
    }
    if (waiting.size === before) throw new Error("BUG: a class extends itself");
  }
  for (const mapper of mappers) {
    const { parent } = mapper.definition;
    // Rows of classes that are not listed are not taken for those of the class itself.
    if (parent !== undefined && parent.values.size > 1) mapper.classes.set(parent.value, mapper);
    if (parent !== undefined || mapper.classes.size === 0) continue;
    mapper.kind = kindOf(mapper);
    if (mapper.kind !== undefined) mapper.classes.set(mapper.kind, mapper);
  }
  return { mappers, problems };
}

/** What the discriminator says of the class that declares it. */
function kindOf({ columns, discriminator }: Mapper): string | undefined {
  return columns[discriminator]?.defined.spec.discriminator?.value;
}

/** Refuses what is no entity class when the engine is made, where the mistake is. */
export function checkEntities(entities: unknown): readonly unknown[] {
  if (!Array.isArray(entities)) {
    throw new ConfigError(`The option "entities" is ${describe(entities)}`, {
      hint: "Pass an array of entity classes",
    });
  }
  for (const entityClass of entities) definitionIn(entityClass);
  return entities;
}

function definitionOfClass(entityClass: unknown): Definition | undefined {
  return typeof entityClass === "function"
    ? (entityClass as Partial<Record<typeof definitionOf, Definition>>)[definitionOf]
    : undefined;
}

function definitionIn(entityClass: unknown): Definition {
  const definition = definitionOfClass(entityClass);
  if (definition === undefined) {
    throw new ConfigError(`"entities" holds ${describe(entityClass)}, which is no entity class`, {
      hint: "Pass classes that extend entity(…)",
    });
  }
  return definition;
}

function* check(mappers: readonly Mapper[]): Generator<string> {
  const byTable = new Map<string, Mapper>();
  const classes = new Set<unknown>();
  for (const mapper of mappers) {
    const { tableName } = mapper.definition;
    if (classes.has(mapper.entityClass)) yield `${mapper.name} is listed twice in "entities"`;
    else if (byTable.has(tableName) && mapper.home === mapper && !isOrphan(mapper)) {
      yield `${mapper.name} and ${
        byTable.get(tableName)!.name
      } map the same table "${tableName}"; ` +
        `map it once`;
    }
    classes.add(mapper.entityClass);
    if (mapper.home === mapper) byTable.set(tableName, mapper);
    yield* checkColumns(mapper);
    yield* checkClass(mapper);
  }
}

/** A subclass without what it extends, which is said already. */
function isOrphan({ definition, parent }: Mapper): boolean {
  return definition.parent !== undefined && parent === undefined;
}

function* checkColumns(mapper: Mapper): Generator<string> {
  if (mapper.primaryKey.length === 0) {
    yield `${mapper.name} has no primary key; mark its columns with .primaryKey()`;
  }
  if (mapper.home === mapper) yield* checkNames(mapper);
  for (const column of mapper.columns) {
    if (mapper.parent?.columns.includes(column)) continue;
    if (column.primaryKey && column.nullable) {
      yield `"${column.label}" is part of the primary key and cannot be nullable()`;
    }
    if (column.defined.spec.discriminator !== undefined && column.deferred) {
      yield `"${column.label}" tells the class of a row, and cannot be deferred()`;
    }
  }
}

/** The columns of a table, of whichever classes, have names of their own. */
function* checkNames(mapper: Mapper): Generator<string> {
  const names = new Map<string, string>();
  for (const column of mapper.table.columns) {
    const property = "property" in column ? (column as MappedColumn).property : column.name;
    const other = names.get(column.name);
    if (other !== undefined) {
      const said = `the column "${column.name}"; rename one with .column("…")`;
      yield other === property
        ? `Several classes of the table "${mapper.definition.tableName}" declare ${said}`
        : `"${property}" and "${other}" of ${mapper.name} are both ${said}`;
    }
    names.set(column.name, property);
  }
}

function* checkComputed(mappers: readonly Mapper[]): Generator<string> {
  for (const mapper of mappers) {
    try {
      computedNodes(mapper, mapper.source);
    } catch (error) {
      const { message, hint } = error as Partial<SluiceError>;
      yield error instanceof SluiceError
        ? `${message}; ${hint}`
        : `The computed columns of ${mapper.name} cannot be made: ${message}`;
    }
  }
}

/** Makes an object as the hydrator does, to see that the class lets it. */
function* checkClass(mapper: Mapper): Generator<string> {
  const mark = {};
  let filled = false;
  const probe: Fill = (object) => {
    filled = true;
    for (const { property } of [...mapper.columns, ...mapper.definition.computed]) {
      (object as Record<string, unknown>)[property] = mark;
    }
  };
  let object: Record<string, unknown>;
  try {
    object = new mapper.entityClass(probe, []) as Record<string, unknown>;
  } catch (error) {
    yield `${mapper.name} cannot be made from a row: ${(error as Error).message}; ` +
      `a field initialiser must not rely on loaded columns`;
    return;
  }
  if (!filled) {
    yield `${mapper.name} declares a constructor, which loading cannot call; ` +
      `use a static factory instead`;
    return;
  }
  const overwritten = [
    ...[...mapper.columns, ...mapper.definition.computed]
      .filter(({ property }) => object[property] !== mark),
    ...mapper.definition.relations.filter(({ property }) => Object.hasOwn(object, property)),
  ];
  for (const { property } of overwritten) {
    yield `The class field "${property}" of ${mapper.name} would overwrite the column or ` +
      `relation of that name; rename it`;
  }
}
