/**
 * The registry: all entities of an engine. Resolves what they say about each other, and reports
 * every mistake at once.
 *
 * @module
 */

import { ConfigError, InputError, MappingError } from "../errors.ts";
import { describe } from "../sql/expression.ts";
import type { WireRow } from "../sql/wire.ts";
import { didYouMean } from "../util/nearest.ts";
import { type Definition, definitionOf, type Fill } from "./definition.ts";
import type { MappedColumn } from "./mapped_column.ts";
import { addReference, Mapper } from "./mapper.ts";

type AnyClass = new (fill: unknown, row: WireRow) => object;

/** All entities of an engine, resolved. */
export class Registry {
  /** The mappers, in the order the entities were given. */
  readonly mappers: readonly Mapper[];
  readonly #byClass: ReadonlyMap<unknown, Mapper>;

  /**
   * Resolves the entities.
   *
   * @throws {MappingError} with every mistake of the mapping.
   */
  constructor(entities: readonly unknown[]) {
    this.mappers = entities.map((entityClass, index) =>
      new Mapper(entityClass as AnyClass, definitionIn(entityClass), index)
    );
    this.#byClass = new Map(this.mappers.map((mapper) => [mapper.entityClass, mapper]));
    const problems = [...resolve(this.mappers)];
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

function* resolve(mappers: readonly Mapper[]): Generator<string> {
  const byTable = new Map<string, Mapper>();
  const classes = new Set<unknown>();
  for (const mapper of mappers) {
    const { tableName } = mapper.definition;
    if (classes.has(mapper.entityClass)) yield `${mapper.name} is listed twice in "entities"`;
    else if (byTable.has(tableName)) {
      yield `${mapper.name} and ${
        byTable.get(tableName)!.name
      } map the same table "${tableName}"; ` +
        `map it once`;
    }
    classes.add(mapper.entityClass);
    byTable.set(tableName, mapper);
  }
  for (const mapper of mappers) {
    yield* checkColumns(mapper);
    yield* checkClass(mapper);
    yield* resolveReferences(mapper, byTable);
    yield* resolveRelations(mapper, byTable);
  }
}

function* checkColumns(mapper: Mapper): Generator<string> {
  if (mapper.primaryKey.length === 0) {
    yield `${mapper.name} has no primary key; mark its columns with .primaryKey()`;
  }
  const names = new Map<string, MappedColumn>();
  for (const column of mapper.columns) {
    const other = names.get(column.name);
    if (other !== undefined) {
      yield `"${column.property}" and "${other.property}" of ${mapper.name} are both the column ` +
        `"${column.name}"; rename one with .column("…")`;
    }
    names.set(column.name, column);
    if (column.primaryKey && column.nullable) {
      yield `"${column.label}" is part of the primary key and cannot be nullable()`;
    }
  }
}

/** Makes an object as the hydrator does, to see that the class lets it. */
function* checkClass(mapper: Mapper): Generator<string> {
  const mark = {};
  let filled = false;
  const probe: Fill = (object) => {
    filled = true;
    for (const { property } of mapper.columns) {
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
    ...mapper.columns.filter(({ property }) => object[property] !== mark),
    ...mapper.definition.relations.filter(({ property }) => Object.hasOwn(object, property)),
  ];
  for (const { property } of overwritten) {
    yield `The class field "${property}" of ${mapper.name} would overwrite the column or ` +
      `relation of that name; rename it`;
  }
}

function* resolveReferences(mapper: Mapper, byTable: Map<string, Mapper>): Generator<string> {
  for (const column of mapper.columns) {
    const reference = column.defined.spec.references;
    if (reference === undefined) continue;
    const found = findTarget(reference.target, byTable);
    if (typeof found === "string") {
      yield `"${column.label}" references "${reference.target}": ${found}`;
      continue;
    }
    const { onDelete, onUpdate } = reference;
    addReference(mapper, { column, ...found, onDelete, onUpdate });
  }
}

function* resolveRelations(mapper: Mapper, byTable: Map<string, Mapper>): Generator<string> {
  for (const { property, spec } of mapper.definition.relations) {
    const name = `${mapper.name}.${property}`;
    if (spec.kind === "hasMany") {
      const found = findTarget(spec.by, byTable);
      if (typeof found === "string") {
        yield `"${name}" is hasMany("${spec.by}"): ${found}`;
        continue;
      }
      const localColumn = referenced(found.target, found.targetColumn, mapper, byTable) ??
        mapper.primaryKey[0];
      if (localColumn === undefined) continue;
      mapper.relations.set(property, {
        property,
        kind: "hasMany",
        target: found.target,
        localColumn,
        targetColumn: found.targetColumn,
      });
      continue;
    }
    const localColumn = mapper.findColumn(spec.by);
    if (localColumn === undefined) {
      yield `"${name}" is belongsTo("${spec.by}"), and ${mapper.name} has no such column. ` +
        didYouMean(spec.by, mapper.columns.map((column) => column.property));
      continue;
    }
    const reference = localColumn.defined.spec.references;
    if (reference === undefined) {
      yield `"${name}" is belongsTo("${spec.by}"), and that column says not what it refers to; ` +
        `add .references("table.column") to it`;
      continue;
    }
    const found = findTarget(reference.target, byTable);
    // A wrong reference is reported where it stands.
    if (typeof found === "string") continue;
    mapper.relations.set(property, { property, kind: "belongsTo", localColumn, ...found });
  }
}

/** The column of `mapper` that the foreign key `column` of `holder` points to. */
function referenced(
  holder: Mapper,
  column: MappedColumn,
  mapper: Mapper,
  byTable: Map<string, Mapper>,
): MappedColumn | undefined {
  const reference = column.defined.spec.references;
  if (reference === undefined || holder === undefined) return undefined;
  const found = findTarget(reference.target, byTable);
  return typeof found !== "string" && found.target === mapper ? found.targetColumn : undefined;
}

/** `authors.id` → the mapper and column, or what is wrong with it. */
function findTarget(
  target: string,
  byTable: Map<string, Mapper>,
): { target: Mapper; targetColumn: MappedColumn } | string {
  const dot = target.lastIndexOf(".");
  if (dot < 0) return `write it as "table.column"`;
  const table = target.slice(0, dot);
  const mapper = byTable.get(table);
  if (mapper === undefined) {
    return `no entity of this engine maps the table "${table}". ` +
      didYouMean(table, byTable.keys());
  }
  const name = target.slice(dot + 1);
  const column = mapper.findColumn(name);
  if (column === undefined) {
    return `${mapper.name} has no column "${name}". ` +
      didYouMean(name, mapper.columns.map((c) => c.property));
  }
  return { target: mapper, targetColumn: column };
}
