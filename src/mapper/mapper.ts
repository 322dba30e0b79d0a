/**
 * A mapper: one entity class and its table, with everything that refers to other entities
 * resolved. Made by the registry; what is compiled for it is kept here.
 *
 * @module
 */

import { InputError } from "../errors.ts";
import type { Column, ForeignKey, Index, Table } from "../schema/table.ts";
import { describe } from "../sql/expression.ts";
import type { TableSource } from "../sql/node.ts";
import type { DialectName, WireRow } from "../sql/wire.ts";
import type { Definition, Part } from "./definition.ts";
import { keyColumn, mapColumn, type MappedColumn } from "./mapped_column.ts";
import type { Cascade } from "./relation.ts";
import { compileShape, type IdentityKey, type RowShape } from "./row_shape.ts";

/** A relation, resolved. */
export interface MappedRelation {
  /** The property. */
  readonly property: string;
  /** Which side holds the key. */
  readonly kind: "hasMany" | "hasOne" | "belongsTo" | "manyToMany";
  /** The entity it leads to. */
  readonly target: Mapper;
  /** This side's columns. */
  readonly localColumns: readonly MappedColumn[];
  /** The other side's columns, in the same order; of `manyToMany` its key. */
  readonly targetColumns: readonly MappedColumn[];
  /** The table between, of `manyToMany`. */
  readonly through: Association | undefined;
  /** The order in which the objects of a to-many relation are loaded. */
  readonly orderBy: readonly RelationOrder[];
  /** What happens to related objects. */
  readonly cascade: Cascade;
  /** The relation of the other side that says the same, if it has one. */
  inverse: MappedRelation | undefined;
}

/** True if the relation leads to any number of objects. */
export function isToMany({ kind }: MappedRelation): boolean {
  return kind === "hasMany" || kind === "manyToMany";
}

/** One term of a relation's order. */
export interface RelationOrder {
  /** The target's column. */
  readonly column: MappedColumn;
  /** Descending. */
  readonly descending: boolean;
}

/** A table between two others. */
export interface Association {
  /** The table. */
  readonly table: Table;
  /** The table as a source. */
  readonly source: TableSource;
  /** Its columns that point to this side, as `localColumns`. */
  readonly from: readonly Column[];
  /** Its columns that point to the other side, as `targetColumns`. */
  readonly to: readonly Column[];
  /** The entity that maps it, if one does. */
  readonly mapper: Mapper | undefined;
}

/** The parts of a table that other tables fill in. */
export interface MappedTable extends Table {
  readonly columns: Column[];
  readonly primaryKey: readonly Column[];
  readonly foreignKeys: ForeignKey[];
  /** Its columns that keys of other tables refer to. */
  readonly referenced: Set<Column>;
  readonly unique: (readonly Column[])[];
  readonly indexes: Index[];
  readonly checks: string[];
}

/** One of the tables that hold the rows of a class. */
export interface MappedPart {
  /** The table. */
  readonly table: MappedTable;
  /** As declared by a joined subclass. */
  readonly part: Part | undefined;
  /** Which of the mapper's columns it holds, by index; its key is that of the base's table. */
  readonly holds: readonly boolean[];
}

/** One class and its table. */
export class Mapper {
  /** The class. */
  readonly entityClass: new (fill: unknown, row: WireRow) => object;
  /** The class's name, for messages. */
  readonly name: string;
  /** Its place in the registry. */
  readonly index: number;
  /** As declared. */
  readonly definition: Definition;
  /** The class it extends. */
  readonly parent: Mapper | undefined;
  /** The class at the base of all: itself, unless it extends another. */
  readonly root: Mapper;
  /** The class that brought the table along: itself, or one that it extends. */
  readonly home: Mapper;
  /** The mappers of the classes that extend it, by what the discriminator says; itself included. */
  readonly classes: Map<string, Mapper> = new Map();
  /** What the discriminator says of new objects; undefined where there are no subclasses. */
  kind: string | undefined = undefined;
  /** The source of every query's root. */
  readonly source: TableSource;
  /** The table that holds what the class declares. */
  readonly table: MappedTable;
  /** The tables that hold its rows, the base's first; several for joined subclasses. */
  readonly parts: readonly MappedPart[];
  /** Of the base: the tables of all classes that extend it, its own included. */
  readonly tables: MappedTable[];
  /** The columns in order of declaration, deferred ones last: a row without those is shorter. */
  readonly columns: readonly MappedColumn[];
  /** The columns that are loaded. */
  readonly eager: readonly MappedColumn[];
  /** The columns that are selected: `eager`, and behind them those of subclasses. */
  readonly loaded: MappedColumn[];
  /** The primary key's columns, in the base's table. */
  readonly primaryKey: readonly MappedColumn[];
  /** Index of the column that tells subclasses apart; -1: there is none. */
  readonly discriminator: number;
  /** Index of the column that tells whether a row was changed meanwhile; -1: there is none. */
  readonly versionIndex: number;
  /** The database gives that column its values. */
  readonly versionGenerated: boolean;
  /** Objects are loaded and never stored. */
  readonly readOnly: boolean;
  /** The relations by property. */
  readonly relations: Map<string, MappedRelation> = new Map();
  #relationList: readonly MappedRelation[] | undefined = undefined;
  readonly #byProperty: ReadonlyMap<string, MappedColumn>;
  readonly #shapes = new Map<DialectName, RowShape>();
  readonly #sparseShapes = new Map<DialectName, RowShape>();
  readonly #places = new Map<Mapper, readonly number[]>();

  /** Relations and foreign keys are added by the registry. */
  constructor(
    entityClass: new (fill: unknown, row: WireRow) => object,
    definition: Definition,
    index: number,
    parent?: Mapper,
  ) {
    const ownsTable = parent === undefined || definition.part !== parent.definition.part;
    this.parent = parent;
    this.root = parent?.root ?? this;
    this.home = ownsTable ? this : parent.home;
    this.entityClass = entityClass;
    this.name = entityClass.name;
    this.index = index;
    this.definition = definition;
    this.source = definition.source;
    const { columns: declared, groups } = definition;
    // Columns of the base are the very same ones: relations and keys know them by identity.
    const columns = declared.map((column) =>
      parent?.column(column.property) ?? mapColumn(column, groups)
    );
    this.eager = columns.filter(({ deferred }) => !deferred);
    this.columns = [...this.eager, ...columns.filter(({ deferred }) => deferred)];
    this.loaded = [...this.eager];
    this.primaryKey = this.columns.filter((column) => column.primaryKey);
    this.#byProperty = new Map(this.columns.map((column) => [column.property, column]));
    this.versionIndex = this.columns.findIndex(({ defined }) => defined.spec.version !== false);
    this.versionGenerated = this.columns[this.versionIndex]?.defined.spec.version === "database";
    this.discriminator = this.columns.findIndex(({ defined }) =>
      defined.spec.discriminator !== undefined
    );
    this.readOnly = definition.options.readOnly ?? false;
    this.table = ownsTable ? this.#makeTable() : parent.table;
    this.tables = [this.table];
    const tables: Omit<MappedPart, "holds">[] = [...parent?.parts ?? []];
    if (ownsTable) tables.push({ table: this.table, part: definition.part });
    this.parts = tables.map(({ table, part }) => ({
      table,
      part,
      holds: this.columns.map(({ defined }) => defined.part === part),
    }));
  }

  #makeTable(): MappedTable {
    const { source, part, tableName, options: { checks = [] } } = this.definition;
    const { schema, name } = part ?? source;
    const key = part === undefined
      ? this.primaryKey
      : this.primaryKey.map((column, i) => keyColumn(column, part.key[i]!.name, tableName));
    const foreignKeys: ForeignKey[] = this.parent === undefined ? [] : [{
      columns: key,
      target: this.parent.table,
      targetColumns: this.parent.table.primaryKey,
      // The rows of one object go together, and keep the same key.
      onDelete: "cascade",
      onUpdate: "cascade",
    }];
    return {
      schema,
      name,
      columns: part === undefined ? [...this.columns] : [...key, ...this.#own()],
      primaryKey: key,
      foreignKeys,
      referenced: new Set(),
      unique: [],
      indexes: [],
      checks: [...checks],
    };
  }

  /** The columns that the class declares itself. */
  #own(): MappedColumn[] {
    return this.columns.filter(({ property }) => this.parent?.column(property) === undefined);
  }

  /** How many columns a row has that becomes an object: those that are loaded, and computed ones. */
  get width(): number {
    return this.loaded.length + this.definition.computed.length;
  }

  /** True if objects of this class are of the other one, too. */
  isA(other: Mapper): boolean {
    return other === this || this.parent?.isA(other) === true;
  }

  /** The class that declares these columns and paths first: objects of those that extend it load them together. */
  declaring(paths: readonly string[]): Mapper {
    const { parent } = this;
    const declares = (path: string) =>
      parent!.reads(path) || parent!.relations.has(path.split(".", 1)[0]!);
    return parent !== undefined && paths.every(declares) ? parent.declaring(paths) : this;
  }

  /** Takes a class that extends this one, or one that does, into the hierarchy. */
  takeIn(value: string, mapper: Mapper): void {
    const own = mapper.#own();
    for (let base = mapper.parent; base !== undefined; base = base.parent) {
      base.classes.set(value, mapper);
      base.loaded.push(...own.filter(({ deferred }) => !deferred));
    }
    mapper.kind = value;
    if (mapper.home === mapper) this.tables.push(mapper.table);
    else {
      // The rows of other classes in the table have none.
      mapper.table.columns.push(...own.map((column) => ({ ...column, nullable: true })));
      mapper.table.checks.push(...mapper.definition.options.checks ?? []);
    }
  }

  /** Where the columns of a class stand in a row of this one, which it extends; computed ones last. */
  placesOf(mapper: Mapper): readonly number[] {
    let places = this.#places.get(mapper);
    if (places === undefined) {
      const computed = this.definition.computed.map((_, i) => this.loaded.length + i);
      places = [...mapper.eager.map((column) => this.loaded.indexOf(column)), ...computed];
      this.#places.set(mapper, places);
    }
    return places;
  }

  /** True for the names of what is read from a row: columns, groups of them, computed ones. */
  reads(property: string): boolean {
    const { groups, computed } = this.definition;
    return this.#byProperty.has(property) ||
      groups.some((group) => group.property === property) ||
      computed.some((column) => column.property === property);
  }

  /** The relations, once all are there: a list is walked faster than a map. */
  get relationList(): readonly MappedRelation[] {
    return this.#relationList ??= [...this.relations.values()];
  }

  /** The columns without which an object can be neither known nor linked nor written safely. */
  get indispensable(): Set<MappedColumn> {
    const linking = new Set<Column>([
      ...this.parts.flatMap(({ table: { referenced, foreignKeys } }) => [
        ...referenced,
        ...foreignKeys.flatMap(({ columns }) => columns),
      ]),
      ...[...this.relations.values()].flatMap(({ localColumns }) => localColumns),
    ]);
    return new Set(
      this.columns.filter((column, i) =>
        column.primaryKey || i === this.versionIndex || i === this.discriminator ||
        linking.has(column)
      ),
    );
  }

  /** The column of a property. */
  column(property: string): MappedColumn | undefined {
    return this.#byProperty.get(property);
  }

  /** The column of a property or, failing that, of a database name. */
  findColumn(name: string): MappedColumn | undefined {
    return this.#byProperty.get(name) ?? this.columns.find((column) => column.name === name);
  }

  /** The mapped column that a column of one of its tables stands for: each of them has the key. */
  mapped(column: Column): MappedColumn {
    for (const { table, part } of this.parts) {
      if (part === undefined) continue;
      const key = this.primaryKey[table.primaryKey.indexOf(column)];
      if (key !== undefined) return key;
    }
    return column as MappedColumn;
  }

  /** Where columns of its tables stand in its rows; -1 for those of another class. */
  indexesOf(columns: readonly Column[]): number[] {
    return columns.map((column) => this.columns.indexOf(this.mapped(column)));
  }

  /** The compiled functions for rows of all columns. */
  shape(dialect: DialectName): RowShape {
    let shape = this.#shapes.get(dialect);
    if (shape === undefined) {
      const codecs = this.columns.map((column) => column.type.codec[dialect]);
      shape = compileShape(this.columns, codecs, false);
      this.#shapes.set(dialect, shape);
    }
    return shape;
  }

  /** The same for rows in which columns can be missing: there, they are undefined. */
  sparseShape(dialect: DialectName): RowShape {
    let shape = this.#sparseShapes.get(dialect);
    if (shape === undefined) {
      // The same codecs, by which two shapes of one database are known.
      shape = compileShape(this.columns, this.shape(dialect).codecs, true);
      this.#sparseShapes.set(dialect, shape);
    }
    return shape;
  }

  /**
   * The primary key's wire values of what a user passed as a key: the value itself, or an object
   * by property for composite keys.
   */
  keyRow(key: unknown, dialect: DialectName): WireRow {
    if (this.primaryKey.length === 1) {
      const [column] = this.primaryKey as [MappedColumn];
      if (key === null || key === undefined) {
        throw new InputError(`The key of ${this.name} is ${String(key)}`, {
          hint: `Pass a value of "${column.label}"`,
        });
      }
      return [column.type.codec[dialect].encode(key, column.label)];
    }
    const names = this.primaryKey.map((column) => column.property);
    if (typeof key !== "object" || key === null) {
      throw new InputError(`${this.name} has a composite key, found ${describe(key)}`, {
        hint: `Pass an object with ${names.map((name) => `"${name}"`).join(", ")}`,
      });
    }
    return this.primaryKey.map((column) => {
      const value = Object.hasOwn(key, column.property)
        ? (key as Record<string, unknown>)[column.property]
        : undefined;
      if (value === null || value === undefined) {
        throw new InputError(`The key of ${this.name} lacks "${column.property}"`, {
          hint: `Pass an object with ${names.map((name) => `"${name}"`).join(", ")}`,
        });
      }
      return column.type.codec[dialect].encode(value, column.label);
    });
  }

  /** The identity of a key's wire values. */
  identityOf(keyRow: WireRow, dialect: DialectName): IdentityKey {
    const shape = this.shape(dialect);
    const row: WireRow = [];
    shape.keyIndexes.forEach((index, i) => row[index] = keyRow[i]!);
    return shape.keyOf(row);
  }

  /** `Author 5`, for messages. */
  describe(object: object): string {
    const key = this.primaryKey.map(({ property }) =>
      String((object as Record<string, unknown>)[property] ?? "without key")
    );
    return `${this.name} ${key.join(", ")}`;
  }
}
