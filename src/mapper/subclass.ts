/**
 * Inheritance: classes whose objects are told apart by a column, in one table or with tables of
 * their own beside it.
 *
 * @module
 */

import { InputError } from "../errors.ts";
import { conditionNode, describe } from "../sql/expression.ts";
import { checkIdentifier } from "../sql/identifier.ts";
import { type HasNode, nodeOf, type TableSource } from "../sql/node.ts";
import type { WireRow } from "../sql/wire.ts";
import {
  checkOptions,
  COMMON_OPTIONS,
  construct,
  filtersOf,
  guardedOf,
  readFields,
  readTable,
  refsOf,
} from "./define.ts";
import {
  columnRef,
  type DefinedColumn,
  type Definition,
  definitionOf,
  isClassFilter,
  ownOf,
  type Part,
} from "./definition.ts";
import type { AnyEntityOptions, SubclassOptions } from "./entity_options.ts";
import { defineAccessors } from "./group_accessors.ts";
import type {
  ColumnRefs,
  EntityClass,
  Fields,
  FieldsOf,
  Init,
  KindOf,
  SubclassInstance,
} from "./types.ts";
import { withoutPrototype } from "../util/own.ts";

/** What `subclass()` returns: a class to extend. */
export interface SubclassBase<B extends object, G extends Fields> extends HasNode {
  /** Makes a new object. */
  new (init: Init<FieldsOf<B> & G>): SubclassInstance<B, G>;
  /** The columns as expressions, for the `sql` tag. */
  readonly c: ColumnRefs<FieldsOf<B> & G>;
  /**
   * The declarations, prepared.
   *
   * @internal
   */
  readonly [definitionOf]: Definition;
}

/**
 * A class whose objects are rows of another class's table, with columns and relations of its own.
 * The base class declares a column with `.discriminator()`; here is said which of its values means
 * this class. A subclass can be extended in turn.
 *
 * - **Single-table inheritance** is the default: what the subclass declares is in the base's table,
 *   where it takes null, since the rows of other classes have none.
 * - **Joined inheritance** with `{ table: "…" }`: it is in a table of the subclass's own, whose key
 *   is that of the base's row and a foreign key to it (`on delete cascade`, `on update cascade`). The
 *   columns of the base, the discriminator among them, stay where they are.
 *
 * A query of the base class gives objects of the right classes, and so do relations to it; a query
 * of the subclass gives only its own, and those of classes that extend it. Both are one statement:
 * the tables of joined subclasses are left-joined, all of those that the result can have objects
 * of, and in a `select()`, a `where()` or a count only those that a column is used of.
 *
 * A flush writes the base's row first, changes only the tables that something changed in, and
 * deletes all rows of an object. `insert()`, `bulkInsert()`, `bulkUpsert()` and `copyIn()` write one
 * table and refuse joined subclasses; an `update()` sets columns of one of the tables, and changes
 * the base's `version()` if that is the one; `deleteFrom()` and `bulkDelete()` delete the base's row,
 * and leave the rest to the foreign keys.
 *
 * @param value What the discriminator says of the class.
 * @param fields Columns and relations by property name; keys, version and computed columns are the base's.
 * @param options A table of its own, hooks, filters and constraints.
 * @throws {InputError} when the base is no entity with a discriminator, or a name cannot be used.
 *
 * @example One table for all
 * ```ts
 * import { AsyncEngine, createAll, entity, integer, subclass, text } from "@sluice/orm";
 * import { assert, assertEquals } from "@std/assert";
 *
 * class Animal extends entity("animals", {
 *   id: integer().primaryKey().generated(),
 *   kind: text().discriminator(),
 *   name: text(),
 * }) {}
 * class Dog extends subclass(Animal, "dog", { breed: text() }) {}
 * class Cat extends subclass(Animal, "cat", { lives: integer().default(9) }) {}
 * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Animal, Dog, Cat] });
 * await createAll(engine);
 * await using session = engine.session();
 * session.addAll([new Dog({ name: "Rex", breed: "Collie" }), new Cat({ name: "Tom" })]);
 * await session.commit();
 *
 * await using other = engine.session();
 * const [rex, tom] = await other.query(Animal).orderBy((a) => a.id).all();
 * assert(rex instanceof Dog && tom instanceof Cat);
 * assertEquals([rex.breed, tom.lives], ["Collie", 9]);
 * assertEquals(await other.query(Dog).where((d) => d.breed.eq("Collie")).count(), 1);
 * ```
 *
 * @example A table for what a class adds
 * ```ts
 * import { AsyncEngine, createAll, entity, integer, oneOf, subclass, text } from "@sluice/orm";
 * import { assert, assertEquals } from "@std/assert";
 *
 * class Employee extends entity("employees", {
 *   id: integer().primaryKey().generated(),
 *   role: oneOf("employee", "engineer", "manager").discriminator("employee"),
 *   name: text(),
 * }) {}
 * class Engineer extends subclass(Employee, "engineer", { language: text() }, {
 *   table: "engineers",
 * }) {}
 * class Manager extends subclass(Employee, "manager", { budget: integer() }, {
 *   table: "managers",
 * }) {}
 * await using engine = new AsyncEngine("sqlite::memory:", {
 *   entities: [Employee, Engineer, Manager],
 * });
 * await createAll(engine);
 * await using session = engine.session();
 * session.addAll([
 *   new Engineer({ name: "Ada", language: "TypeScript" }),
 *   new Manager({ name: "Bob", budget: 100 }),
 * ]);
 * await session.commit();
 *
 * await using other = engine.session();
 * const [ada, bob] = await other.query(Employee).orderBy((e) => e.name).all();
 * assert(ada instanceof Engineer && bob instanceof Manager);
 * assertEquals([ada.language, bob.budget], ["TypeScript", 100]);
 * ```
 */
export function subclass<
  B extends object,
  const G extends Fields,
>(
  base: EntityClass<B>,
  value: KindOf<NoInfer<B>>,
  fields: G,
  options: SubclassOptions<NoInfer<B>, NoInfer<G>> = {},
): SubclassBase<B, G> {
  const parent = (base as Partial<Record<typeof definitionOf, Definition>>)?.[definitionOf];
  const kind = parent?.columns.find(({ spec }) => spec.discriminator !== undefined);
  if (parent === undefined || kind === undefined) {
    throw new InputError(
      `subclass() extends ${describe(base)}, which is no entity with a discriminator`,
      { hint: "Pass a class of entity() in which a column is declared as text().discriminator()" },
    );
  }
  if (typeof value !== "string") {
    throw new InputError(`The discriminator of a subclass is ${describe(value)}`, {
      hint: 'Pass the text that tells the class: subclass(Animal, "dog", { … })',
    });
  }
  const definition = extend(parent, kind, value, fields, options as OwnOptions);
  const Entity = compileClass(base, definition);
  Object.assign(Entity, {
    c: refsOf(definition.columns, definition.source),
    [definitionOf]: definition,
    [nodeOf]: ownTable(definition),
  });
  for (const group of ownOf(definition).groups) {
    defineAccessors(Entity.prototype as object, group);
  }
  // The class is compiled from the definition, whose types are what the result declares.
  return Entity as unknown as SubclassBase<B, G>;
}

/** The options of a subclass, of whichever class. */
type OwnOptions = AnyEntityOptions & Pick<SubclassOptions<object, Fields>, "table" | "key">;

function extend(
  parent: Definition,
  kind: DefinedColumn,
  value: string,
  fields: Fields,
  given: OwnOptions,
): Definition {
  const { table, key, ...rest } = withoutPrototype(given);
  const options = withoutPrototype(rest);
  const tableName = table ?? parent.tableName;
  checkOptions(`The subclass "${value}"`, options, COMMON_OPTIONS);
  const own = readFields(tableName, fields);
  checkFields(parent, value, own);
  const { relations, deferred } = guardedOf(own.columns, own.relations);
  for (const name of relations) parent.guarded.relations.add(name);
  for (const name of deferred) parent.guarded.deferred.add(name);
  const part = table === undefined ? parent.part : partOf(parent, value, table, key);
  if (table === undefined && key !== undefined) {
    throw new InputError(`The subclass "${value}" names a key, and no table that has it`, {
      hint: 'Give it one: { table: "dogs", key: "animal_id" }',
    });
  }
  const columns = [
    ...parent.columns.map((column) =>
      column.property === kind.property
        ? { ...column, spec: { ...column.spec, defaultValue: { value } } }
        : column
    ),
    ...own.columns.map((column) => ({ ...column, part })),
  ];
  const values = new Set([value]);
  for (let { parent: above } = parent; above !== undefined; above = above.definition.parent) {
    above.values.add(value);
  }
  const classFilter = {
    // Not one that can be switched off by its name: users know none that begins so.
    name: `\0${value}`,
    on: (source: TableSource) => {
      const ref = columnRef(kind, source);
      const isOne = values.size === 1 ? ref.eq(value) : ref.in([...values]);
      return conditionNode(isOne, "subclass()");
    },
  };
  const inherited = (parent.source.filters ?? []).filter(({ name }) => !isClassFilter(name));
  const { filters = [] } = filtersOf(tableName, columns, options);
  return {
    ...parent,
    source: { ...parent.source, filters: [...inherited, classFilter, ...filters] },
    tableName,
    columns,
    groups: [...parent.groups, ...own.groups],
    relations: [...parent.relations, ...own.relations],
    options: { ...options, readOnly: parent.options.readOnly },
    parent: { definition: parent, value, values },
    part,
  };
}

function checkFields(
  parent: Definition,
  value: string,
  own: Pick<Definition, "columns" | "groups" | "relations">,
): void {
  const taken = new Set(
    [...parent.columns, ...parent.groups, ...parent.relations, ...parent.computed]
      .map(({ property }) => property),
  );
  for (const { property } of [...own.columns, ...own.groups, ...own.relations]) {
    if (!taken.has(property)) continue;
    throw new InputError(`"${property}" of the subclass "${value}" is there already`, {
      hint: "Its base class declares it; choose another name",
    });
  }
  for (const { property, spec } of own.columns) {
    if (!spec.primaryKey && !spec.generated && !spec.version && !spec.discriminator) continue;
    throw new InputError(
      `"${property}" of the subclass "${value}" is a key, generated, a version() or a discriminator()`,
      { hint: "Declare it in the base class, which all objects have it from" },
    );
  }
}

/** The table of a joined subclass. */
function partOf(
  parent: Definition,
  value: string,
  table: string,
  key: string | readonly string[] | undefined,
): Part {
  if (parent.columns.some(({ spec }) => spec.version === "database")) {
    throw new InputError(
      `The subclass "${value}" has a table of its own, whose changes the version() of its base, ` +
        "which the database gives, does not see",
      { hint: "Let the flush count it: integer().version()" },
    );
  }
  const columns = parent.columns.filter(({ spec }) => spec.primaryKey);
  const names = key === undefined ? columns.map(({ name }) => name) : [key].flat();
  if (names.length !== columns.length) {
    throw new InputError(
      `The key of the subclass "${value}" has ${names.length} columns, and that of its base ` +
        `${columns.length}`,
      { hint: "Name as many, in the order of the base's" },
    );
  }
  return {
    ...readTable(table),
    key: columns.map((of, i) => ({ name: checkIdentifier(names[i]!), of })),
  };
}

/** The table that a class's name stands for in the `sql` tag. */
function ownTable({ source, part }: Definition): TableSource {
  return part === undefined ? source : { kind: "table", schema: part.schema, name: part.name };
}

/** As the class of `entity()`; its fields are declared before they are filled, so that they stay. */
function compileClass(
  base: unknown,
  definition: Definition,
): { readonly prototype: unknown } {
  const own = ownOf(definition);
  const declared = [
    ...own.columns.filter(({ spec, group }) => !spec.deferred && group === undefined),
    ...own.groups,
  ].map(({ property }) => `${JSON.stringify(property)};`);
  const source = `return class Entity extends Base {
    ${declared.join("\n")}
    constructor(init, row) {
      super(nothing, []);
      if (row !== undefined) init(this, row);
      else construct(this, definition, init, new.target.name);
    }
  }`;
  return new Function("Base", "nothing", "construct", "definition", source)(
    base,
    (_object: object, _row: WireRow) => {},
    construct,
    definition,
  );
}
