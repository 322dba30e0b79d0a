/**
 * Resolves what entities say about each other: foreign keys, indexes, relations. Every mistake is
 * one sentence, with its mend.
 *
 * @module
 */

import { SluiceError } from "../errors.ts";
import type { Column, Table } from "../schema/table.ts";
import { checkIdentifier } from "../sql/identifier.ts";
import { didYouMean } from "../util/nearest.ts";
import type { IndexOptions } from "./entity_options.ts";
import { ownOf } from "./definition.ts";
import { keyColumn, type MappedColumn } from "./mapped_column.ts";
import type { Association, MappedRelation, Mapper, RelationOrder } from "./mapper.ts";
import type { RelationSpec } from "./relation.ts";
import { snakeCase } from "./snake_case.ts";

/** All entities, while they are being resolved. */
export class Resolver {
  readonly #mappers: readonly Mapper[];
  readonly #byTable = new Map<string, Mapper>();
  readonly #homes = new Map<Table, Mapper>();
  /** The tables between that no entity maps, by name. */
  readonly associations: Map<string, Table> = new Map();

  /** Looks tables up among `mappers`. */
  constructor(mappers: readonly Mapper[]) {
    this.#mappers = mappers;
    for (const mapper of mappers) {
      if (mapper.home !== mapper) continue;
      this.#byTable.set(mapper.definition.tableName, mapper);
      this.#homes.set(mapper.table, mapper);
    }
  }

  /** Resolves everything; yields the mistakes. */
  *resolve(): Generator<string> {
    // Subclasses after what they extend: they have its relations.
    const mappers = this.#mappers.toSorted((a, b) => depthOf(a) - depthOf(b));
    for (const mapper of mappers) {
      yield* this.#references(mapper);
      yield* this.#constraints(mapper);
    }
    for (const mapper of mappers) {
      for (const [property, relation] of mapper.parent?.relations ?? []) {
        mapper.relations.set(property, relation);
      }
      for (const { property, spec } of ownOf(mapper.definition).relations) {
        const found = this.#relation(mapper, property, spec);
        if (typeof found === "string") yield `"${mapper.name}.${property}" ${found}`;
        else if (found !== undefined) mapper.relations.set(property, found);
      }
    }
    for (const mapper of mappers) {
      for (const relation of mapper.relations.values()) {
        if (mapper.parent?.relations.get(relation.property) === relation) continue;
        relation.inverse = inverseOf(mapper, relation);
      }
    }
  }

  *#references(mapper: Mapper): Generator<string> {
    for (const { property } of ownOf(mapper.definition).columns) {
      const column = mapper.column(property)!;
      const reference = column.defined.spec.references;
      if (reference === undefined) continue;
      const found = this.#column(reference.target);
      const target = typeof found === "string" ? found : inTable(found.mapper, found.column);
      if (typeof target === "string") {
        yield `"${column.label}" references "${reference.target}": ${target}`;
        continue;
      }
      const { onDelete, onUpdate } = reference;
      (found as Found).mapper.table.referenced.add(target);
      mapper.table.foreignKeys.push({
        columns: [column],
        target: (found as Found).mapper.table,
        targetColumns: [target],
        onDelete,
        onUpdate,
      });
    }
    for (const key of mapper.definition.options.foreignKeys ?? []) {
      const columns = key.columns.map((name) => ownInTable(mapper, name));
      const found = key.references.map((name) => this.#column(name));
      const targets = found.map((each) =>
        typeof each === "string" ? each : inTable(each.mapper, each.column)
      );
      const wrong = [...columns, ...targets].filter((found) => typeof found === "string");
      const name = `A foreign key of ${mapper.name}`;
      for (const problem of wrong) yield `${name}: ${problem}`;
      if (wrong.length > 0) continue;
      const target = (found as Found[])[0]?.mapper;
      if (target === undefined || columns.length !== found.length) {
        yield `${name} has ${columns.length} columns and refers to ${found.length}; name as many`;
      } else if ((found as Found[]).some(({ mapper }) => mapper !== target)) {
        yield `${name} refers to several tables; make it several keys`;
      } else {
        for (const column of targets as Column[]) target.table.referenced.add(column);
        mapper.table.foreignKeys.push({
          columns: columns as Column[],
          target: target.table,
          targetColumns: targets as Column[],
          onDelete: key.onDelete,
          onUpdate: key.onUpdate,
        });
      }
    }
  }

  *#constraints(mapper: Mapper): Generator<string> {
    const { unique = [], indexes = [] } = mapper.definition.options;
    for (const names of unique) {
      const columns = names.map((name) => ownInTable(mapper, name));
      const wrong = columns.filter((found) => typeof found === "string");
      for (const problem of wrong) yield `A unique constraint of ${mapper.name}: ${problem}`;
      if (names.length === 0) yield `A unique constraint of ${mapper.name} names no column`;
      else if (wrong.length === 0) mapper.table.unique.push(columns as Column[]);
    }
    for (const index of indexes) {
      const options: IndexOptions<string> = "columns" in index ? index : { columns: index };
      const columns = options.columns.map((name) => ownInTable(mapper, name));
      const wrong = columns.filter((found) => typeof found === "string");
      for (const problem of wrong) yield `An index of ${mapper.name}: ${problem}`;
      if (columns.length === 0) yield `An index of ${mapper.name} names no column`;
      else if (wrong.length === 0) {
        const { name, unique = false, where } = options;
        mapper.table.indexes.push({ name, columns: columns as Column[], unique, where });
      }
    }
  }

  /** The foreign keys of a class, those that it inherits among them, by mapped columns. */
  #keysOf(mapper: Mapper): Key[] {
    return mapper.parts.flatMap(({ table }) =>
      // But for the one that ties a joined subclass to its base: that is no relation.
      table.foreignKeys.filter(({ columns }) => columns !== table.primaryKey).map((key) => {
        const target = this.#homes.get(key.target)!;
        return {
          columns: key.columns.map((column) => mapper.mapped(column)),
          target,
          targetColumns: key.targetColumns.map((column) => target.mapped(column)),
        };
      })
    );
  }

  /** The relation; what is wrong with it; or undefined where that is reported elsewhere. */
  #relation(
    mapper: Mapper,
    property: string,
    spec: RelationSpec,
  ): MappedRelation | string | undefined {
    const ends = spec.kind === "belongsTo"
      ? this.#belongsTo(mapper, spec)
      : spec.kind === "manyToMany"
      ? this.#manyToMany(mapper, property, spec)
      : this.#has(mapper, spec);
    if (typeof ends !== "object") return ends;
    const orderBy = orderOf(ends.target, spec);
    if (typeof orderBy === "string") return orderBy;
    const cascade = spec.options.cascade ?? "save";
    if (cascade === "all-orphans" && (spec.kind === "belongsTo" || spec.kind === "manyToMany")) {
      return `has cascade: "all-orphans", which is for hasMany and hasOne; ` +
        `an object that others can refer to is no orphan`;
    }
    return { property, kind: spec.kind, ...ends, orderBy, cascade, inverse: undefined };
  }

  #belongsTo(mapper: Mapper, { by }: RelationSpec): Ends | string | undefined {
    const call = `is belongsTo(${quoted(by)})`;
    const columns = by.map((name) => own(mapper, name));
    const wrong = columns.find((found) => typeof found === "string");
    if (wrong !== undefined) return `${call}: ${wrong}`;
    const localColumns = columns as MappedColumn[];
    const key = this.#keysOf(mapper).find((key) => same(key.columns, localColumns));
    if (key === undefined) {
      // A wrong reference is reported where it stands.
      if (localColumns.some((column) => column.defined.spec.references !== undefined)) {
        return localColumns.length === 1 ? undefined : `${call}: ${noForeignKey(mapper)}`;
      }
      return localColumns.length === 1
        ? `${call}, and that column says not what it refers to; ` +
          `add .references("table.column") to it`
        : `${call}: ${noForeignKey(mapper)}`;
    }
    // In the order of the relation.
    const pairs = localColumns.map((column) => key.targetColumns[key.columns.indexOf(column)]!);
    return { target: key.target, localColumns, targetColumns: pairs, through: undefined };
  }

  #has(mapper: Mapper, { kind, by }: RelationSpec): Ends | string {
    const call = `is ${kind}(${quoted(by)})`;
    const found = by.map((name) => this.#column(name));
    const wrong = found.find((each) => typeof each === "string");
    if (wrong !== undefined) return `${call}: ${wrong}`;
    const columns = found as Found[];
    const target = columns[0]!.mapper;
    if (columns.some(({ mapper }) => mapper !== target)) {
      return `${call}, and these columns are of several tables; name those of one key`;
    }
    const targetColumns = columns.map(({ column }) => column);
    const key = this.#keysOf(target).find((key) =>
      mapper.isA(key.target) && same(key.columns, targetColumns)
    );
    const localColumns = key === undefined
      ? mapper.primaryKey
      : targetColumns.map((column) => key.targetColumns[key.columns.indexOf(column)]!);
    if (localColumns.length !== targetColumns.length) {
      return `${call}, and the key of ${mapper.name} has ${localColumns.length} columns; ` +
        `name as many`;
    }
    return {
      target,
      localColumns,
      targetColumns,
      through: undefined,
    };
  }

  #manyToMany(
    mapper: Mapper,
    property: string,
    spec: RelationSpec,
  ): Ends | string {
    const [table] = spec.by as [string];
    const call = `is manyToMany("${table}")`;
    const association = this.#byTable.get(table);
    return association === undefined
      ? this.#plainAssociation(mapper, property, table, spec, call)
      : this.#mappedAssociation(mapper, association, spec, call);
  }

  #mappedAssociation(
    mapper: Mapper,
    association: Mapper,
    { options }: RelationSpec,
    call: string,
  ): Ends | string {
    const keys = this.#keysOf(association);
    const named = (names: string | readonly string[] | undefined) => {
      if (names === undefined) return undefined;
      const columns = [names].flat().map((name) => association.findColumn(name));
      return keys.find((key) => same(key.columns, columns as Column[]));
    };
    const hint = `say { from: "…", to: "…" } with the columns of ${association.name}`;
    const toThis = keys.filter((key) => mapper.isA(key.target));
    const to = named(options.to);
    const candidates = options.from === undefined
      ? toThis.filter((key) => key !== to)
      : [named(options.from)];
    const first = candidates.length === 1 ? candidates[0] : undefined;
    if (first === undefined) {
      return toThis.length === 0
        ? `${call}, and ${association.name} has no foreign key to ${mapper.name}; add one`
        : `${call}, and ${association.name} refers to ${mapper.name} several times; ${hint}`;
    }
    const others = keys.filter((key) => key !== first);
    const wanted = options.target === undefined
      ? others
      : others.filter((key) => key.target === this.#byTable.get(options.target!));
    const second = options.to === undefined && wanted.length === 1 ? wanted[0] : to;
    if (second === undefined) {
      return `${call}, and it is not clear which other key of ${association.name} is meant; ${hint}`;
    }
    return {
      target: second.target,
      localColumns: first.targetColumns,
      targetColumns: second.targetColumns,
      through: {
        table: association.table,
        source: association.source,
        from: first.columns,
        to: second.columns,
        mapper: association,
      },
    };
  }

  /** A table that no entity maps: made here, and by `createAll()`. */
  #plainAssociation(
    mapper: Mapper,
    property: string,
    table: string,
    { options }: RelationSpec,
    call: string,
  ): Ends | string {
    const mirror = this.#mirror(mapper, property, table);
    const target = options.target === undefined
      ? mirror?.mapper
      : this.#byTable.get(options.target);
    if (target === undefined) {
      return options.target === undefined
        ? `${call}, and nothing says where it leads; say { target: "table" }, or declare ` +
          `manyToMany("${table}") on the other side too`
        : `${call}: no entity of this engine maps the table "${options.target}". ` +
          didYouMean(options.target, this.#byTable.keys());
    }
    const other = mirror?.mapper === target ? mirror.options : undefined;
    const names = (given: string | readonly string[] | undefined, side: Mapper) =>
      given === undefined
        ? side.primaryKey.map((column) => `${snakeCase(side.name)}_${column.name}`)
        : [given].flat();
    const from = names(options.from ?? other?.to, mapper);
    const to = names(options.to ?? other?.from, target);
    if (from.length !== mapper.primaryKey.length || to.length !== target.primaryKey.length) {
      return `${call}, and "from" and "to" name not as many columns as the keys have`;
    }
    if (from.some((name) => to.includes(name))) {
      return `${call} and leads to its own class; say { from: "…", to: "…" } to name its columns`;
    }
    try {
      const through = this.#association(table, from, mapper, to, target);
      if (typeof through === "string") return `${call}: ${through}`;
      return {
        target,
        localColumns: mapper.primaryKey,
        targetColumns: target.primaryKey,
        through,
      };
    } catch (error) {
      if (error instanceof SluiceError) return `${call}: ${error.message}`;
      throw error;
    }
  }

  /** The relation over the same table that another entity, or this one, declares. */
  #mirror(mapper: Mapper, property: string, table: string) {
    const found = this.#mappers.flatMap((other) =>
      ownOf(other.definition).relations
        .filter(({ spec }) => spec.kind === "manyToMany" && spec.by[0] === table)
        .filter((relation) => other !== mapper || relation.property !== property)
        .map(({ spec }) => ({ mapper: other, options: spec.options }))
    );
    return found.length === 1 ? found[0] : undefined;
  }

  #association(
    qualified: string,
    from: readonly string[],
    mapper: Mapper,
    to: readonly string[],
    target: Mapper,
  ): Association | string {
    const known = this.associations.get(qualified);
    if (known !== undefined) {
      const columns = (names: readonly string[]) =>
        names.map((name) => known.columns.find((column) => column.name === name)!);
      if ([...columns(from), ...columns(to)].includes(undefined as never)) {
        const found = known.columns.map(({ name }) => `"${name}"`).join(", ");
        return `its other side names its columns ${found}; say { from, to } to match`;
      }
      const { schema, name } = known;
      const source = { kind: "table", schema, name } as const;
      return { table: known, source, from: columns(from), to: columns(to), mapper: undefined };
    }
    const dot = qualified.indexOf(".");
    const schema = dot < 0 ? undefined : checkIdentifier(qualified.slice(0, dot));
    const name = checkIdentifier(qualified.slice(dot + 1));
    const make = (names: readonly string[], side: Mapper): Column[] =>
      side.primaryKey.map((column, i) => keyColumn(column, checkIdentifier(names[i]!), qualified));
    const [fromColumns, toColumns] = [make(from, mapper), make(to, target)];
    const key = (columns: readonly Column[], side: Mapper) => ({
      columns,
      target: side.table,
      targetColumns: side.table.primaryKey,
      onDelete: "cascade" as const,
      onUpdate: "cascade" as const,
    });
    const table: Table = {
      schema,
      name,
      columns: [...fromColumns, ...toColumns],
      primaryKey: [...fromColumns, ...toColumns],
      foreignKeys: [key(fromColumns, mapper), key(toColumns, target)],
      unique: [],
      // The primary key serves the first column; the way back needs an index of its own.
      indexes: [{ name: undefined, columns: toColumns, unique: false, where: undefined }],
      checks: [],
    };
    this.associations.set(qualified, table);
    const source = { kind: "table", schema, name } as const;
    return { table, source, from: fromColumns, to: toColumns, mapper: undefined };
  }

  /** `authors.id` → the mapper and column, or what is wrong with it. */
  #column(path: string): Found | string {
    const dot = path.lastIndexOf(".");
    if (dot < 0) return `write it as "table.column"`;
    const table = path.slice(0, dot);
    const mapper = this.#byTable.get(table);
    if (mapper === undefined) {
      return `no entity of this engine maps the table "${table}". ` +
        didYouMean(table, this.#byTable.keys());
    }
    const name = path.slice(dot + 1);
    const column = own(mapper, name);
    if (typeof column !== "string") return { mapper, column };
    // A column that only a subclass has leads to its objects.
    for (const each of mapper.classes.values()) {
      const column = each.home === mapper ? each.findColumn(name) : undefined;
      if (column !== undefined) return { mapper: each, column };
    }
    return column;
  }
}

/** What a path names. */
interface Found {
  readonly mapper: Mapper;
  readonly column: MappedColumn;
}

/** A foreign key, by mapped columns. */
interface Key {
  readonly columns: readonly MappedColumn[];
  readonly target: Mapper;
  readonly targetColumns: readonly MappedColumn[];
}

/** What a relation connects. */
type Ends = Pick<MappedRelation, "target" | "localColumns" | "targetColumns" | "through">;

function own(mapper: Mapper, name: string): MappedColumn | string {
  return mapper.findColumn(name) ??
    `${mapper.name} has no column "${name}". ` +
      didYouMean(name, mapper.columns.map((column) => column.property));
}

/** The column that a class's own table has for one of its columns, or what is wrong. */
function inTable(mapper: Mapper, column: MappedColumn): Column | string {
  if (column.defined.part === mapper.definition.part) return column;
  const key = mapper.table.primaryKey[mapper.primaryKey.indexOf(column)];
  return key ??
    `"${column.property}" of ${mapper.name} is a column of the table of ${
      mapper.parent!.name
    }, and not of its own; name it there`;
}

function ownInTable(mapper: Mapper, name: string): Column | string {
  const column = own(mapper, name);
  return typeof column === "string" ? column : inTable(mapper, column);
}

function depthOf({ parent }: Mapper): number {
  return parent === undefined ? 0 : depthOf(parent) + 1;
}

function noForeignKey(mapper: Mapper): string {
  return `${mapper.name} has no foreign key of these columns; ` +
    `add it to the options of entity(): { foreignKeys: [{ columns, references }] }`;
}

function quoted(by: readonly string[]): string {
  return by.map((name) => `"${name}"`).join(", ");
}

/** The same columns, in any order. */
function same(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((column) => b.includes(column));
}

/** `"price desc"` → the column and the direction. */
function orderOf(target: Mapper, { options }: RelationSpec): RelationOrder[] | string {
  const terms: RelationOrder[] = [];
  for (const term of [options.orderBy ?? []].flat()) {
    const [name = "", direction = "asc", ...rest] = term.trim().split(/\s+/);
    const column = own(target, name);
    if (typeof column === "string") return `is ordered by "${term}": ${column}`;
    if (!["asc", "desc"].includes(direction) || rest.length > 0) {
      return `is ordered by "${term}"; write it as "${name}" or "${name} desc"`;
    }
    terms.push({ column, descending: direction === "desc" });
  }
  return terms;
}

function inverseOf(mapper: Mapper, relation: MappedRelation): MappedRelation | undefined {
  const { through, localColumns, targetColumns, target } = relation;
  for (const other of target.relations.values()) {
    // One that leads to a subclass only says less.
    if (other === relation || !mapper.isA(other.target)) continue;
    if (through === undefined) {
      const oneHoldsKey = (other.kind === "belongsTo") !== (relation.kind === "belongsTo");
      if (
        oneHoldsKey && other.through === undefined && same(other.localColumns, targetColumns) &&
        same(other.targetColumns, localColumns)
      ) return other;
    } else if (
      other.through?.table === through.table && same(other.through.from, through.to) &&
      same(other.through.to, through.from)
    ) return other;
  }
  return undefined;
}
