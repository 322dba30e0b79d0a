/**
 * Single-table inheritance: classes that share a table, told apart by a column of it.
 *
 * @module
 */

import { InputError } from "../errors.ts";
import { conditionNode, describe } from "../sql/expression.ts";
import { type HasNode, nodeOf, type TableSource } from "../sql/node.ts";
import type { WireRow } from "../sql/wire.ts";
import { construct, define, refsOf } from "./define.ts";
import { columnRef, type Definition, definitionOf } from "./definition.ts";
import { defineAccessors } from "./group_accessors.ts";
import type { ColumnRefs, EntityClass, Fields, FieldsOf, Init, Instance } from "./types.ts";

/** What `subclass()` returns: a class to extend. */
export interface SubclassBase<B extends object, G extends Fields> extends HasNode {
  /** Makes a new object. */
  new (init: Init<FieldsOf<B> & G>): B & Instance<FieldsOf<B> & G>;
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
 * A class whose objects are rows of another class's table, with columns and relations of its own
 * (single-table inheritance). The base class declares a column with `.discriminator()`; here is said
 * which of its values means this class.
 *
 * A query of the base class gives objects of the right classes, and so do relations to it; a query
 * of the subclass gives only its own. In the table the columns of a subclass take null, since the
 * rows of other classes have none.
 *
 * @throws {InputError} when the base is no entity with a discriminator, or a subclass itself.
 *
 * @example
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
 */
export function subclass<B extends object, const G extends Fields>(
  base: EntityClass<B>,
  value: string,
  fields: G,
): SubclassBase<B, G> {
  const parent = (base as Partial<Record<typeof definitionOf, Definition>>)?.[definitionOf];
  const found = parent?.columns.find(({ spec }) => spec.discriminator !== undefined);
  if (parent === undefined || found === undefined || parent.parent !== undefined) {
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
  const definition = extend(parent, found.property, value, fields);
  const Entity = compileClass(base, parent, definition);
  Object.assign(Entity, {
    c: refsOf(definition.columns, definition.source),
    [definitionOf]: definition,
    [nodeOf]: definition.source,
  });
  for (const group of definition.groups.slice(parent.groups.length)) {
    defineAccessors(Entity.prototype as object, group);
  }
  return Entity as unknown as SubclassBase<B, G>;
}

function extend(parent: Definition, property: string, value: string, fields: Fields): Definition {
  const own = define(parent.tableName, fields, {});
  const taken = new Set<string>([
    ...parent.columns.map((column) => column.property),
    ...parent.relations.map((relation) => relation.property),
  ]);
  for (const { property, spec } of own.columns) {
    if (!taken.has(property) && !spec.primaryKey && !spec.generated) continue;
    throw new InputError(`"${property}" of the subclass "${value}" is a key or there already`, {
      hint: "Declare keys in the base class, and choose another name",
    });
  }
  for (const name of own.guarded.relations) parent.guarded.relations.add(name);
  for (const name of own.guarded.deferred) parent.guarded.deferred.add(name);
  const columns = [
    ...parent.columns.map((column) =>
      column.property === property
        ? { ...column, spec: { ...column.spec, defaultValue: { value } } }
        : column
    ),
    ...own.columns,
  ];
  const kind = columns.find((column) => column.property === property)!;
  // Not one that can be switched off by its name: users know none that begins so.
  const filter = {
    name: `\0${value}`,
    on: (source: TableSource) => conditionNode(columnRef(kind, source).eq(value), "subclass()"),
  };
  return {
    ...parent,
    source: { ...parent.source, filters: [...parent.source.filters ?? [], filter] },
    columns,
    groups: [...parent.groups, ...own.groups],
    relations: [...parent.relations, ...own.relations],
    parent: { definition: parent, value },
  };
}

/** As the class of `entity()`; its fields are declared before they are filled, so that they stay. */
function compileClass(
  base: unknown,
  parent: Definition,
  definition: Definition,
): { readonly prototype: unknown } {
  const declared = [
    ...definition.columns.filter(({ spec, group }) => !spec.deferred && group === undefined)
      .filter(({ property }) => !parent.columns.some((column) => column.property === property)),
    ...definition.groups.slice(parent.groups.length),
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
