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
import type { MappedColumn } from "./mapped_column.ts";
import type { Association, MappedRelation, Mapper, RelationOrder } from "./mapper.ts";
import type { RelationSpec } from "./relation.ts";
import { snakeCase } from "./snake_case.ts";

/** All entities, while they are being resolved. */
export class Resolver {
  readonly #mappers: readonly Mapper[];
  readonly #byTable = new Map<string, Mapper>();
  /** The tables between that no entity maps, by name. */
  readonly associations: Map<string, Table> = new Map();

  /** Looks tables up among `mappers`. */
  constructor(mappers: readonly Mapper[]) {
    this.#mappers = mappers;
    for (const mapper of mappers) {
      if (mapper.root === mapper) this.#byTable.set(mapper.definition.tableName, mapper);
    }
  }

  /** Resolves everything; yields the mistakes. */
  *resolve(): Generator<string> {
    for (const mapper of this.#mappers) {
      yield* this.#references(mapper);
      if (mapper.root === mapper) yield* this.#constraints(mapper);
    }
    // Subclasses last: they have the relations of their base.
    const bases = this.#mappers.filter((mapper) => mapper.root === mapper);
    for (const mapper of new Set([...bases, ...this.#mappers])) {
      for (const { property, spec } of mapper.definition.relations) {
        const inherited = mapper.root === mapper ? undefined : mapper.root.relations.get(property);
        if (inherited !== undefined) {
          mapper.relations.set(property, inherited);
          continue;
        }
        const found = this.#relation(mapper, property, spec);
        if (typeof found === "string") yield `"${mapper.name}.${property}" ${found}`;
        else if (found !== undefined) mapper.relations.set(property, found);
      }
    }
    for (const mapper of this.#mappers) {
      for (const relation of mapper.relations.values()) relation.inverse = inverseOf(relation);
    }
  }

  *#references(mapper: Mapper): Generator<string> {
    for (const column of mapper.columns) {
      const reference = column.defined.spec.references;
      const inherited = mapper.root !== mapper && mapper.root.columns.includes(column);
      if (reference === undefined || inherited) continue;
      const found = this.#column(reference.target);
      if (typeof found === "string") {
        yield `"${column.label}" references "${reference.target}": ${found}`;
        continue;
      }
      const { onDelete, onUpdate } = reference;
      const target = found.mapper.table;
      target.referenced.add(found.column);
      mapper.table.foreignKeys.push({
        columns: [column],
        target,
        targetColumns: [found.column],
        onDelete,
        onUpdate,
      });
    }
    if (mapper.root !== mapper) return;
    for (const key of mapper.definition.options.foreignKeys ?? []) {
      const columns = key.columns.map((name) => own(mapper, name));
      const targets = key.references.map((name) => this.#column(name));
      const wrong = [...columns, ...targets].filter((found) => typeof found === "string");
      const name = `A foreign key of ${mapper.name}`;
      for (const problem of wrong) yield `${name}: ${problem}`;
      if (wrong.length > 0) continue;
      const found = targets as { mapper: Mapper; column: MappedColumn }[];
      const target = found[0]?.mapper;
      if (target === undefined || columns.length !== found.length) {
        yield `${name} has ${columns.length} columns and refers to ${found.length}; name as many`;
      } else if (found.some(({ mapper }) => mapper !== target)) {
        yield `${name} refers to several tables; make it several keys`;
      } else {
        for (const { column } of found) target.table.referenced.add(column);
        mapper.table.foreignKeys.push({
          columns: columns as MappedColumn[],
          target: target.table,
          targetColumns: found.map(({ column }) => column),
          onDelete: key.onDelete,
          onUpdate: key.onUpdate,
        });
      }
    }
  }

  *#constraints(mapper: Mapper): Generator<string> {
    const { unique = [], indexes = [] } = mapper.definition.options;
    for (const names of unique) {
      const columns = names.map((name) => own(mapper, name));
      const wrong = columns.filter((found) => typeof found === "string");
      for (const problem of wrong) yield `A unique constraint of ${mapper.name}: ${problem}`;
      if (names.length === 0) yield `A unique constraint of ${mapper.name} names no column`;
      else if (wrong.length === 0) mapper.table.unique.push(columns as MappedColumn[]);
    }
    for (const index of indexes) {
      const options: IndexOptions<string> = "columns" in index ? index : { columns: index };
      const columns = options.columns.map((name) => own(mapper, name));
      const wrong = columns.filter((found) => typeof found === "string");
      for (const problem of wrong) yield `An index of ${mapper.name}: ${problem}`;
      if (columns.length === 0) yield `An index of ${mapper.name} names no column`;
      else if (wrong.length === 0) {
        const { name, unique = false, where } = options;
        mapper.table.indexes.push({ name, columns: columns as MappedColumn[], unique, where });
      }
    }
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
    const key = mapper.table.foreignKeys.find((key) => same(key.columns, localColumns));
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
    return {
      target: this.#mappers.find(({ table }) => table === key.target)!.root,
      localColumns,
      targetColumns: pairs as MappedColumn[],
      through: undefined,
    };
  }

  #has(mapper: Mapper, { kind, by }: RelationSpec): Ends | string {
    const call = `is ${kind}(${quoted(by)})`;
    const found = by.map((name) => this.#column(name));
    const wrong = found.find((each) => typeof each === "string");
    if (wrong !== undefined) return `${call}: ${wrong}`;
    const columns = found as { mapper: Mapper; column: MappedColumn }[];
    const target = columns[0]!.mapper;
    if (columns.some(({ mapper }) => mapper !== target)) {
      return `${call}, and these columns are of several tables; name those of one key`;
    }
    const targetColumns = columns.map(({ column }) => column);
    const key = target.table.foreignKeys.find((key) =>
      key.target === mapper.table && same(key.columns, targetColumns)
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
      localColumns: localColumns as MappedColumn[],
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
    const keys = association.table.foreignKeys;
    const named = (names: string | readonly string[] | undefined) => {
      if (names === undefined) return undefined;
      const columns = [names].flat().map((name) => association.findColumn(name));
      return keys.find((key) => same(key.columns, columns as Column[]));
    };
    const hint = `say { from: "…", to: "…" } with the columns of ${association.name}`;
    const toThis = keys.filter((key) => key.target === mapper.table);
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
    const others = keys.filter((key) =>
      key !== first && this.#mappers.some(({ table }) => table === key.target)
    );
    const wanted = options.target === undefined
      ? others
      : others.filter((key) => key.target === this.#byTable.get(options.target!)?.table);
    const second = options.to === undefined && wanted.length === 1 ? wanted[0] : to;
    if (second === undefined) {
      return `${call}, and it is not clear which other key of ${association.name} is meant; ${hint}`;
    }
    const target = this.#mappers.find(({ table }) => table === second.target)!.root;
    return {
      target,
      localColumns: first.targetColumns as MappedColumn[],
      targetColumns: second.targetColumns as MappedColumn[],
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
      other.definition.relations
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
      side.primaryKey.map((column, i) => ({
        ...column,
        name: checkIdentifier(names[i]!),
        label: `${qualified}.${names[i]!}`,
        generated: false,
        defaultSql: undefined,
        unique: false,
        indexed: false,
      }));
    const [fromColumns, toColumns] = [make(from, mapper), make(to, target)];
    const key = (columns: readonly Column[], side: Mapper) => ({
      columns,
      target: side.table,
      targetColumns: side.primaryKey,
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
  #column(path: string): { mapper: Mapper; column: MappedColumn } | string {
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
      const column = each.findColumn(name);
      if (column !== undefined) return { mapper: each, column };
    }
    return column;
  }
}

/** What a relation connects. */
type Ends = Pick<MappedRelation, "target" | "localColumns" | "targetColumns" | "through">;

function own(mapper: Mapper, name: string): MappedColumn | string {
  return mapper.findColumn(name) ??
    `${mapper.name} has no column "${name}". ` +
      didYouMean(name, mapper.columns.map((column) => column.property));
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

function inverseOf(relation: MappedRelation): MappedRelation | undefined {
  const { through, localColumns, targetColumns, target } = relation;
  for (const other of target.relations.values()) {
    if (other === relation) continue;
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
