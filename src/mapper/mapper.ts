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
import type { Definition } from "./definition.ts";
import { mapColumn, type MappedColumn } from "./mapped_column.ts";
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
interface MappedTable extends Table {
  readonly columns: MappedColumn[];
  readonly primaryKey: readonly MappedColumn[];
  readonly foreignKeys: ForeignKey[];
  /** Its columns that keys of other tables refer to. */
  readonly referenced: Set<Column>;
  readonly unique: (readonly MappedColumn[])[];
  readonly indexes: Index[];
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
  /** The mapper of the table: itself, or that of the class it extends. */
  readonly root: Mapper;
  /** The mappers of the classes that extend it, by what the discriminator says; itself included. */
  readonly classes: Map<string, Mapper> = new Map();
  /** The source of every query's root. */
  readonly source: TableSource;
  /** The table. */
  readonly table: MappedTable;
  /** The columns in order of declaration, deferred ones last: a row without those is shorter. */
  readonly columns: readonly MappedColumn[];
  /** The columns that are loaded. */
  readonly eager: readonly MappedColumn[];
  /** The columns that are selected: `eager`, and behind them those of subclasses. */
  readonly loaded: MappedColumn[];
  /** The primary key's columns. */
  readonly primaryKey: readonly MappedColumn[];
  /** Index of the column that tells whether a row was changed meanwhile; -1: there is none. */
  readonly versionIndex: number;
  /** The database gives that column its values. */
  readonly versionGenerated: boolean;
  /** Objects are loaded and never stored. */
  readonly readOnly: boolean;
  /** The relations by property. */
  readonly relations: Map<string, MappedRelation> = new Map();
  readonly #byProperty: ReadonlyMap<string, MappedColumn>;
  readonly #shapes = new Map<DialectName, RowShape>();
  readonly #sparseShapes = new Map<DialectName, RowShape>();

  /** Relations and foreign keys are added by the registry. */
  constructor(
    entityClass: new (fill: unknown, row: WireRow) => object,
    definition: Definition,
    index: number,
    root?: Mapper,
  ) {
    this.root = root ?? this;
    this.entityClass = entityClass;
    this.name = entityClass.name;
    this.index = index;
    this.definition = definition;
    this.source = definition.source;
    // Columns of the base are the very same ones: relations and keys know them by identity.
    const columns = definition.columns.map((column) =>
      root?.columns.find(({ defined }) => defined === column) ??
        mapColumn(column, definition.groups)
    );
    this.eager = columns.filter(({ deferred }) => !deferred);
    this.columns = [...this.eager, ...columns.filter(({ deferred }) => deferred)];
    this.loaded = [...this.eager];
    this.primaryKey = this.columns.filter((column) => column.primaryKey);
    this.#byProperty = new Map(this.columns.map((column) => [column.property, column]));
    this.versionIndex = this.columns.findIndex(({ defined }) => defined.spec.version !== false);
    this.versionGenerated = this.columns[this.versionIndex]?.defined.spec.version === "database";
    this.readOnly = definition.options.readOnly ?? false;
    this.table = root?.table ?? {
      schema: definition.source.schema,
      name: definition.source.name,
      columns: [...this.columns],
      primaryKey: this.primaryKey,
      foreignKeys: [],
      referenced: new Set(),
      unique: [],
      indexes: [],
      checks: definition.options.checks ?? [],
    };
  }

  /** How many columns a row has that becomes an object: those that are loaded, and computed ones. */
  get width(): number {
    return this.loaded.length + this.definition.computed.length;
  }

  /** The column that tells subclasses apart; -1 if there is none. */
  get discriminator(): number {
    return this.columns.findIndex(({ defined }) => defined.spec.discriminator !== undefined);
  }

  /** Takes in a class that extends this one. */
  extend(value: string, mapper: Mapper): void {
    const own = mapper.columns.filter((column) => this.column(column.property) === undefined);
    this.classes.set(value, mapper);
    this.loaded.push(...own.filter(({ deferred }) => !deferred));
    this.table.columns.push(...own.map((column) => ({ ...column, nullable: true })));
  }

  /** True for the names of what is read from a row: columns, groups of them, computed ones. */
  reads(property: string): boolean {
    const { groups, computed } = this.definition;
    return this.#byProperty.has(property) ||
      groups.some((group) => group.property === property) ||
      computed.some((column) => column.property === property);
  }

  /** The columns without which an object can be neither known nor linked nor written safely. */
  get indispensable(): Set<MappedColumn> {
    const { foreignKeys, referenced } = this.table;
    const linking = new Set<Column>([
      ...referenced,
      ...foreignKeys.flatMap(({ columns }) => columns),
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
