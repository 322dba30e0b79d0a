/**
 * `entity()`: makes the base class of an entity from its declarations. Knows nothing of other
 * entities; the registry resolves what refers to them.
 *
 * @module
 */

import { InputError } from "../errors.ts";
import { Column, DeferredColumn } from "../schema/column.ts";
import { conditionNode, describe, type Expression } from "../sql/expression.ts";
import { checkIdentifier } from "../sql/identifier.ts";
import { type HasNode, nodeOf, type TableSource } from "../sql/node.ts";
import type { WireRow } from "../sql/wire.ts";
import { didYouMean } from "../util/nearest.ts";
import { withoutPrototype } from "../util/own.ts";
import {
  columnRef,
  type DefinedColumn,
  type DefinedComputed,
  type DefinedGroup,
  type DefinedRelation,
  type Definition,
  definitionOf,
  placeRef,
} from "./definition.ts";
import { Embedded, type EmbeddedFields } from "./embedded.ts";
import { defineAccessors } from "./group_accessors.ts";
import { guard } from "./guard.ts";
import { HOOK_NAMES, type HookName } from "./entity_hooks.ts";
import type { AnyEntityOptions, ComputedOptions, EntityOptions } from "./entity_options.ts";
import { Managed } from "./instance_state.ts";
import { Relation } from "./relation.ts";
import { setRelation } from "./set_relation.ts";
import { snakeCase } from "./snake_case.ts";
import { toJson } from "./to_json.ts";
import type { ColumnRefs, ComputedInstance, Fields, Init, Instance } from "./types.ts";

/** What `entity()` returns: a class to extend. */
export interface EntityBase<F extends Fields> extends HasNode {
  /** Makes a new object; it is stored when it was added to a session and committed. */
  new (init: Init<F>): Instance<F>;
  /** The declarations. */
  readonly fields: F;
  /** The columns as expressions, for the `sql` tag: `${Author.c.name}`. */
  readonly c: ColumnRefs<F>;
  /**
   * The declarations, prepared.
   *
   * @internal
   */
  readonly [definitionOf]: Definition;
}

/** As `EntityBase`, of an entity with computed columns; `C` are their values. */
export interface ComputedEntityBase<F extends Fields, C> extends HasNode {
  /** Makes a new object; it has its computed columns when it is loaded. */
  new (init: Init<F>): ComputedInstance<F, C>;
  /** The declarations. */
  readonly fields: F;
  /** The columns as expressions, for the `sql` tag. */
  readonly c: ColumnRefs<F>;
  /**
   * The declarations, prepared.
   *
   * @internal
   */
  readonly [definitionOf]: Definition;
}

const RESERVED = new Set([
  "constructor",
  "__proto__",
  "prototype",
  "toJSON",
  "then",
  "hasOwnProperty",
]);

/**
 * An entity with computed columns: values that queries work out from other columns and from
 * relations. They come with each object, can be used wherever a column can, and are never written.
 * Two entities that each compute from columns of the other are a circle for the compiler: let one
 * of them do it, or say the type with `sql`.
 *
 * @example
 * ```ts
 * import { AsyncEngine, belongsTo, createAll, entity, hasMany, integer, text } from "@sluice/orm";
 * import { assertEquals } from "@std/assert";
 *
 * class Author extends entity("authors", {
 *   id: integer().primaryKey().generated(),
 *   name: text(),
 *   books: hasMany<Book>("books.authorId"),
 * }, { computed: { bookCount: (a) => a.books.count() } }) {}
 * class Book extends entity("books", {
 *   id: integer().primaryKey().generated(),
 *   authorId: integer().references("authors.id"),
 *   author: belongsTo<Author>("authorId"),
 * }) {}
 * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Author, Book] });
 * await createAll(engine);
 * await using session = engine.session();
 * session.add(new Author({ name: "Ada", books: [new Book({}), new Book({})] }));
 * session.add(new Author({ name: "Bob" }));
 * await session.commit();
 *
 * const [ada] = await session.query(Author).where((a) => a.bookCount.gt(1)).all();
 * assertEquals([ada?.name, ada?.bookCount], ["Ada", 2]);
 * ```
 */
export function entity<const F extends Fields, C>(
  table: string,
  fields: F,
  options: ComputedOptions<NoInfer<F>, C>,
): ComputedEntityBase<F, C>;
/**
 * The base class of an entity: one declaration for its table, its columns and its relations.
 *
 * Columns become ordinary properties; `authorId` is the column `author_id` unless
 * `.column("…")` says otherwise. A class declares no constructor of its own; use a static
 * factory.
 *
 * @param table The table's name, qualified by a schema if need be: `"library.authors"`.
 * @param fields Columns and relations by property name.
 * @param options What concerns the entity as a whole: constraints of several columns, filters.
 * @throws {InputError} when a name cannot be used.
 *
 * @example
 * ```ts
 * import { entity, integer, text } from "@sluice/orm";
 * import { assertEquals } from "@std/assert";
 *
 * class Author extends entity("authors", {
 *   id: integer().primaryKey().generated(),
 *   name: text(),
 * }) {
 *   get initials(): string {
 *     return this.name.split(" ").map((word) => word[0]).join("");
 *   }
 * }
 *
 * assertEquals(new Author({ name: "Ada Lovelace" }).initials, "AL");
 * ```
 */
export function entity<const F extends Fields>(
  table: string,
  fields: F,
  options?: EntityOptions<NoInfer<F>>,
): EntityBase<F>;
export function entity<const F extends Fields>(
  table: string,
  fields: F,
  options: EntityOptions<NoInfer<F>> = {},
): EntityBase<F> {
  const definition = define(table, fields, options as AnyEntityOptions);

  const Entity = compileClass(definition);
  Object.assign(Entity, {
    fields,
    c: refsOf(definition.columns, definition.source),
    [definitionOf]: definition,
    [nodeOf]: definition.source,
  });
  Object.defineProperty(Entity.prototype, "toJSON", {
    value(this: object) {
      return toJson(this);
    },
    writable: true,
    configurable: true,
  });
  for (const group of definition.groups) defineAccessors(Entity.prototype, group);
  guard(Entity.prototype, definition.guarded.relations, definition.guarded.deferred);
  // The class is compiled from the definition, whose types are what the result declares.
  return Entity as unknown as EntityBase<F>;
}

/**
 * A class that declares every column as a field: all its objects, new or loaded, have one hidden
 * class from the start, which makes loading several times faster than adding properties one by
 * one. Called with a row by the hydrator, so that a subclass's own fields are initialised too.
 *
 * It is generated source, since fields cannot be declared by name otherwise. Names enter it only
 * as JSON string literals.
 */
function compileClass(definition: Definition): new (init: unknown, row?: WireRow) => object {
  const declared = [
    ...definition.columns.filter(({ spec, group }) => !spec.deferred && group === undefined),
    ...definition.groups,
    ...definition.computed,
  ].map(({ property }) => `${JSON.stringify(property)};`);
  const source = `return class Entity extends Managed {
    ${declared.join("\n")}
    constructor(init, row) {
      super();
      if (row !== undefined) init(this, row);
      else construct(this, definition, init, new.target.name);
    }
  }`;
  return new Function("Managed", "construct", "definition", source)(
    Managed,
    construct,
    definition,
  );
}

/** Prepares declarations. */
function define(table: string, fields: Fields, given: AnyEntityOptions): Definition {
  const options = withoutPrototype(given);
  checkOptions(`entity("${table}")`, options, OPTIONS);
  const { schema, name } = readTable(table);
  const { columns, groups, relations } = readFields(table, fields);
  const computed = computedOf(table, fields, options);
  checkVersions(table, columns);
  return {
    source: { kind: "table", schema, name, ...filtersOf(table, columns, options) },
    tableName: table,
    columns,
    groups,
    relations,
    computed,
    guarded: guardedOf(columns, relations),
    options,
  };
}

/** The parts of a table's name. */
export function readTable(table: string): Pick<TableSource, "schema" | "name"> {
  if (typeof table !== "string" || table === "") {
    throw new InputError(`entity() expects a table name, found ${describe(table)}`);
  }
  const dot = table.indexOf(".");
  return {
    schema: dot < 0 ? undefined : checkIdentifier(table.slice(0, dot)),
    name: checkIdentifier(dot < 0 ? table : table.slice(dot + 1)),
  };
}

/** What stands in for columns and relations that are not loaded. */
export function guardedOf(
  columns: readonly DefinedColumn[],
  relations: readonly DefinedRelation[],
): Definition["guarded"] {
  return {
    relations: new Set(relations.map(({ property }) => property)),
    deferred: new Set(columns.flatMap(({ spec, property }) => spec.deferred ? [property] : [])),
  };
}

/** The declarations of a table's columns and relations. */
export function readFields(
  table: string,
  fields: Fields,
): Pick<Definition, "columns" | "groups" | "relations"> {
  const columns: DefinedColumn[] = [];
  const groups: DefinedGroup[] = [];
  const relations: DefinedRelation[] = [];
  for (const [property, field] of Object.entries(fields)) {
    if (RESERVED.has(property)) {
      throw new InputError(`"${property}" of "${table}" is a reserved name`, {
        hint: `Name the property differently and keep the column with .column("${property}")`,
      });
    }
    if (field instanceof Column) {
      if (field.spec.deferred && !(field instanceof DeferredColumn)) {
        throw new InputError(`"${property}" of "${table}" says something after deferred()`, {
          hint: "Call deferred() last, so that the compiler knows of it",
        });
      }
      const column = checkIdentifier(field.spec.name ?? snakeCase(property));
      columns.push({ property, name: column, spec: field.spec, label: `${table}.${property}` });
    } else if (field instanceof Embedded) {
      const group = defineGroup(table, property, field);
      groups.push(group);
      columns.push(...group.columns);
    } else if (field instanceof Relation) {
      relations.push({ property, spec: field.spec });
    } else {
      throw new InputError(`"${property}" of "${table}" is neither a column nor a relation`, {
        hint: "Use integer(), text(), …, hasMany() or belongsTo()",
      });
    }
  }
  return { columns, groups, relations };
}

function computedOf(
  table: string,
  fields: Fields,
  { computed = {} }: AnyEntityOptions,
): DefinedComputed[] {
  return Object.entries(computed).map(([property, of]) => {
    const label = `The computed column "${table}.${property}"`;
    if (typeof of !== "function") {
      throw new InputError(`${label} is ${describe(of)} and must be a function`, {
        hint: `Write it as { computed: { ${property}: (a) => a.books.count() } }`,
      });
    }
    if (RESERVED.has(property) || Object.hasOwn(fields, property)) {
      throw new InputError(`${label} has the name of something else`, { hint: "Rename it" });
    }
    return { property, of };
  });
}

function checkVersions(table: string, columns: readonly DefinedColumn[]): void {
  const versions = columns.filter(({ spec }) => spec.version !== false);
  if (versions.length > 1) {
    throw new InputError(
      `"${table}" has ${versions.length} version() columns: ${
        versions.map(({ property }) => `"${property}"`).join(", ")
      }`,
      { hint: "Keep one of them" },
    );
  }
  for (const { label, spec, group } of versions) {
    if (!spec.nullable && !spec.primaryKey && !spec.generated && !spec.deferred && !group) continue;
    throw new InputError(
      `"${label}" is a version() and nullable, a key, generated, deferred or in a group`,
      { hint: "Declare it as integer().version(), without those" },
    );
  }
}

function defineGroup(
  table: string,
  property: string,
  { fields, isNullable, prefixName }: Embedded<EmbeddedFields, null>,
): DefinedGroup {
  const prefix = prefixName ?? `${snakeCase(property)}_`;
  const columns = Object.entries(fields).map(([field, value]): DefinedColumn => {
    const label = `${table}.${property}.${field}`;
    if (!(value instanceof Column)) {
      throw new InputError(`"${label}" is ${describe(value)}, and a group holds columns only`, {
        hint: "Use integer(), text(), …",
      });
    }
    const { spec } = value;
    if (spec.primaryKey || spec.generated || spec.deferred || spec.discriminator !== undefined) {
      throw new InputError(
        `"${label}" is a key, generated, deferred or a discriminator, and in a group`,
        {
          hint: "Declare it as a column of the entity itself",
        },
      );
    }
    return {
      property: `${property}.${field}`,
      name: checkIdentifier(prefix + (spec.name ?? snakeCase(field))),
      spec: isNullable ? { ...spec, nullable: true } : spec,
      label,
      group: { property, field },
    };
  });
  return { property, nullable: isNullable, columns };
}

/** The conditions that every query of an entity gets. */
export function filtersOf(
  table: string,
  columns: readonly DefinedColumn[],
  { filters = {} }: AnyEntityOptions,
): Pick<TableSource, "filters"> {
  const entries = Object.entries(filters);
  if (entries.length === 0) return {};
  return {
    filters: entries.map(([name, condition]) => {
      if (typeof condition !== "function") {
        throw new InputError(
          `The filter "${name}" of "${table}" is ${describe(condition)} and must be a function`,
          { hint: `Write it as { filters: { ${name}: (a) => a.deletedAt.isNull() } }` },
        );
      }
      return {
        name,
        on: (source: TableSource) =>
          conditionNode(
            condition(refsOf(columns, source) as never),
            `The filter "${name}" of "${table}"`,
          ),
      };
    }),
  };
}

/** Options that entities and their subclasses take. */
export const COMMON_OPTIONS: readonly string[] = [
  "unique",
  "indexes",
  "checks",
  "foreignKeys",
  "filters",
  "hooks",
];
const OPTIONS = [...COMMON_OPTIONS, "readOnly", "computed"];

/** Refuses options that there are not. */
export function checkOptions(
  what: string,
  options: AnyEntityOptions,
  known: readonly string[],
): void {
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    throw new InputError(`${what} has no option "${name}"`, { hint: didYouMean(name, known) });
  }
  for (const [name, hook] of Object.entries(options.hooks ?? {})) {
    if (!HOOK_NAMES.includes(name as HookName)) {
      throw new InputError(`${what} has no hook "${name}"`, {
        hint: didYouMean(name, HOOK_NAMES),
      });
    }
    if (hook !== undefined && typeof hook !== "function") {
      throw new InputError(
        `The hook "${name}" of ${what} is ${describe(hook)} and must be a function`,
      );
    }
  }
}

/** Columns of a source as expressions. */
export function refsOf(
  columns: readonly DefinedColumn[],
  source: TableSource,
): Record<string, Expression<unknown>> {
  const refs: Record<string, Expression<unknown>> = {};
  for (const column of columns) placeRef(refs, column, columnRef(column, source));
  return refs;
}

/** Fills a new object from what the user gave. */
export function construct(
  object: object,
  definition: Definition,
  init: unknown,
  className: string,
): void {
  if (typeof init !== "object" || init === null) {
    throw new InputError(`new ${className}() expects an object, found ${describe(init)}`, {
      hint: "Pass the values by property name",
    });
  }
  const given = init as Record<string, unknown>;
  const target = object as Record<string, unknown>;
  let used = 0;
  for (const { property, spec, group } of definition.columns) {
    if (group !== undefined) continue;
    const has = Object.hasOwn(given, property);
    if (has) used++;
    const value = has ? given[property] : undefined;
    if (value !== undefined) {
      if (definition.parent !== undefined && spec.discriminator !== undefined) {
        checkClass(className, property, value, definition.parent.value);
      }
      target[property] = value;
    } else if (spec.defaultValue !== undefined) {
      const { value } = spec.defaultValue;
      target[property] = typeof value === "function" ? value() : value;
    } else if (spec.nullable && spec.references === undefined && spec.defaultSql === undefined) {
      target[property] = null;
    }
  }
  for (const group of definition.groups) {
    const has = Object.hasOwn(given, group.property);
    if (has) used++;
    target[group.property] = groupValue(group, has ? given[group.property] : undefined);
  }
  for (const { property } of definition.relations) {
    if (!Object.hasOwn(given, property)) continue;
    used++;
    if (given[property] !== undefined) setRelation(object, property, given[property]);
  }
  // Counted without making a list; what is inherited counts as well, so that it may be too many.
  for (const _ in given) used--;
  if (used < 0) refuseUnknown(given, definition, className);
}

function checkClass(className: string, property: string, found: unknown, value: string): void {
  if (found === value) return;
  throw new InputError(`"${property}" of new ${className}() says another class than "${value}"`, {
    hint: "Leave it out: it is known from the class",
  });
}

/** The object of a group: what was given, and defaults for the rest. */
function groupValue({ property, nullable, columns }: DefinedGroup, given: unknown): unknown {
  if (given === null || (given === undefined && nullable)) return null;
  if (given !== undefined && typeof given !== "object") {
    throw new InputError(`"${property}" expects an object, found ${describe(given)}`);
  }
  const values = { ...given } as Record<string, unknown>;
  const names = columns.map(({ group }) => group!.field);
  const unknown = Object.keys(values).find((key) => !names.includes(key));
  if (unknown !== undefined) {
    throw new InputError(`"${property}" has no column "${unknown}"`, {
      hint: didYouMean(unknown, names),
    });
  }
  for (const { spec, group } of columns) {
    if (values[group!.field] !== undefined) continue;
    if (spec.defaultValue !== undefined) {
      const { value } = spec.defaultValue;
      values[group!.field] = typeof value === "function" ? value() : value;
    } else if (spec.nullable && spec.defaultSql === undefined) values[group!.field] = null;
  }
  return values;
}

function refuseUnknown(given: object, definition: Definition, className: string): void {
  const known = [
    ...definition.columns.filter(({ group }) => group === undefined),
    ...definition.groups,
    ...definition.relations,
  ].map((field) => field.property);
  const unknown = Object.keys(given).find((key) => !known.includes(key));
  if (unknown === undefined) return;
  throw new InputError(`${className} has no column or relation "${unknown}"`, {
    hint: didYouMean(unknown, known),
  });
}
