/**
 * A mapper: one entity class and its table, with everything that refers to other entities
 * resolved. Made by the registry; what is compiled for it is kept here.
 *
 * @module
 */

import { InputError } from "../errors.ts";
import type { ReferentialAction } from "../schema/column.ts";
import type { ForeignKey, Table } from "../schema/table.ts";
import { describe } from "../sql/expression.ts";
import type { TableSource } from "../sql/node.ts";
import type { DialectName, WireRow } from "../sql/wire.ts";
import type { Definition } from "./definition.ts";
import { mapColumn, type MappedColumn } from "./mapped_column.ts";
import { compileShape, type IdentityKey, type RowShape } from "./row_shape.ts";

/** A relation, resolved. */
export interface MappedRelation {
  /** The property. */
  readonly property: string;
  /** Which side holds the key. */
  readonly kind: "hasMany" | "belongsTo";
  /** The entity it leads to. */
  readonly target: Mapper;
  /** This side's column. */
  readonly localColumn: MappedColumn;
  /** The other side's column. */
  readonly targetColumn: MappedColumn;
}

/** The parts of a table that other tables fill in. */
interface MappedTable extends Table {
  readonly columns: readonly MappedColumn[];
  readonly primaryKey: readonly MappedColumn[];
  readonly foreignKeys: ForeignKey[];
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
  /** The source of every query's root. */
  readonly source: TableSource;
  /** The table. */
  readonly table: MappedTable;
  /** The columns, in order of declaration. */
  readonly columns: readonly MappedColumn[];
  /** The primary key's columns. */
  readonly primaryKey: readonly MappedColumn[];
  /** The relations by property. */
  readonly relations: Map<string, MappedRelation> = new Map();
  readonly #byProperty: ReadonlyMap<string, MappedColumn>;
  readonly #shapes = new Map<string, RowShape>();

  /** Relations and foreign keys are added by the registry. */
  constructor(
    entityClass: new (fill: unknown, row: WireRow) => object,
    definition: Definition,
    index: number,
  ) {
    this.entityClass = entityClass;
    this.name = entityClass.name;
    this.index = index;
    this.definition = definition;
    this.source = definition.source;
    this.columns = definition.columns.map(mapColumn);
    this.primaryKey = this.columns.filter((column) => column.primaryKey);
    this.#byProperty = new Map(this.columns.map((column) => [column.property, column]));
    this.table = {
      schema: definition.source.schema,
      name: definition.source.name,
      columns: this.columns,
      primaryKey: this.primaryKey,
      foreignKeys: [],
    };
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
      shape = compileShape(this.columns, dialect);
      this.#shapes.set(dialect, shape);
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

/** A foreign key as the registry adds it. */
export interface ResolvedReference {
  /** The column that holds the key. */
  readonly column: MappedColumn;
  /** The mapper it points to. */
  readonly target: Mapper;
  /** The column it points to. */
  readonly targetColumn: MappedColumn;
  /** When the target is deleted. */
  readonly onDelete: ReferentialAction | undefined;
  /** When the target's key changes. */
  readonly onUpdate: ReferentialAction | undefined;
}

/** Adds a foreign key to a mapper's table. */
export function addReference(mapper: Mapper, reference: ResolvedReference): void {
  mapper.table.foreignKeys.push({ ...reference, target: reference.target.table });
}
