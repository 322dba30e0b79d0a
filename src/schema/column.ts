/**
 * Column declarations: `integer().primaryKey().generated()`. Each call gives a new value; what a
 * column says about its TypeScript side is in its type parameters.
 *
 * @module
 */

import { InputError } from "../errors.ts";
import { describe } from "../sql/expression.ts";
import { checkIdentifier } from "../sql/identifier.ts";
import { arrayColumn } from "./array_type.ts";
import { customColumn, type CustomType } from "./custom_type.ts";
import { intervalColumn } from "./interval_type.ts";
import { checkText } from "./text_rules.ts";
import { checkVersioned } from "./version.ts";
import { instantColumn, plainDateColumn, plainDateTimeColumn } from "./temporal_types.ts";
import {
  bigintColumn,
  booleanColumn,
  bytesColumn,
  type ColumnType,
  dateColumn,
  doubleColumn,
  integerColumn,
  jsonColumn,
  numericColumn,
  oneOfColumn,
  realColumn,
  smallintColumn,
  textColumn,
  timeColumn,
  timestampColumn,
  timestamptzColumn,
  uuidColumn,
} from "./types.ts";

/** Whether `new Entity({ … })` must be given the column. */
export type Presence = "required" | "optional";

/** What happens to a row when the row it refers to goes. */
export type ReferentialAction = "cascade" | "restrict" | "set null" | "set default" | "no action";

/** A foreign key to one column. */
export interface ColumnReference {
  /** The target as `table.column`, the column by its property or column name. */
  readonly target: string;
  /** When the target row is deleted. */
  readonly onDelete: ReferentialAction | undefined;
  /** When the target's key changes. */
  readonly onUpdate: ReferentialAction | undefined;
}

/** All that was declared of a column. */
export interface ColumnSpec {
  /** The type, with its codecs. */
  readonly type: ColumnType<unknown>;
  /** The column's name in the database; absent: the property's in snake_case. */
  readonly name: string | undefined;
  /** Takes null. */
  readonly nullable: boolean;
  /** Part of the primary key. */
  readonly primaryKey: boolean;
  /** The database gives the value when a row is inserted. */
  readonly generated: boolean;
  /** No two rows have the same value. */
  readonly unique: boolean;
  /** Has an index of its own. */
  readonly indexed: boolean;
  /** Left out when objects are loaded, unless it is asked for. */
  readonly deferred: boolean;
  /** A value for new objects, or a function that makes one. */
  readonly defaultValue: { readonly value: unknown } | undefined;
  /** Makes the value of an object that a flush updates, unless the program set it itself. */
  readonly updateValue: (() => unknown) | undefined;
  /** An SQL expression the database uses when no value is given. Trusted text. */
  readonly defaultSql: string | undefined;
  /** Says of which class a row is; `value` is that of the declaring class itself. */
  readonly discriminator: { readonly value: string | undefined } | undefined;
  /** A foreign key. */
  readonly references: ColumnReference | undefined;
  /** Tells whether a row was changed meanwhile, and who gives it a new value when it is. */
  readonly version: false | "flush" | "database";
}

/** How a `version()` column works. */
export interface VersionOptions {
  /**
   * The database gives the value, by a trigger or as a system column: it is read back and compared,
   * and never written. Columns of every type that compares by `=` can be such a version. Default false.
   */
  generated?: boolean | undefined;
}

declare const types: unique symbol;

/**
 * A column of value `T`. `P` says whether `new Entity({ … })` must be given it.
 *
 * @example
 * ```ts
 * import { integer, text } from "@sluice/orm";
 * import { assertEquals } from "@std/assert";
 *
 * const id = integer().primaryKey().generated();
 * assertEquals(id.spec.primaryKey, true);
 * assertEquals(text().nullable().spec.nullable, true);
 * ```
 */
export class Column<T, P extends Presence = "required"> {
  /** For the compiler's eyes only. */
  declare readonly [types]: { readonly value: T; readonly presence: P };
  /** What was declared. */
  readonly spec: ColumnSpec;

  /** Users call `integer()`, `text()`, … instead. */
  constructor(spec: ColumnSpec) {
    this.spec = spec;
  }

  /** The column takes null, and is null unless given. */
  nullable(): Column<T | null, "optional"> {
    return new Column({ ...this.spec, nullable: true });
  }
  /** The column is the primary key, or part of it. */
  primaryKey(): Column<T, P> {
    return new Column({ ...this.spec, primaryKey: true });
  }
  /** The database gives the value: an identity column. */
  generated(): Column<T, "optional"> {
    if (!["integer", "bigint", "smallint"].includes(this.spec.type.name)) {
      throw new InputError(`A column of type ${this.spec.type.name} cannot be generated()`, {
        hint: "Use integer() or bigint(), or default() and defaultSql() for other types",
      });
    }
    return new Column({ ...this.spec, generated: true });
  }
  /** No two rows have the same value. */
  unique(): Column<T, P> {
    return new Column({ ...this.spec, unique: true });
  }
  /** The column has an index. */
  index(): Column<T, P> {
    return new Column({ ...this.spec, indexed: true });
  }
  /** The value of new objects that are given none; a function is called for each of them. */
  default(value: T | (() => T)): Column<T, "optional"> {
    return new Column({ ...this.spec, defaultValue: { value } });
  }
  /**
   * The value that a flush gives to every object it updates, unless the program set another:
   * `timestamptz().default(() => new Date()).onUpdate(() => new Date())`.
   */
  onUpdate(value: () => T): Column<T, P> {
    if (typeof value !== "function") {
      throw new InputError(`onUpdate() expects a function, found ${describe(value)}`, {
        hint: "Write it as onUpdate(() => new Date())",
      });
    }
    return new Column({ ...this.spec, updateValue: value });
  }
  /**
   * The column tells whether a row was changed meanwhile (optimistic concurrency). Every flush that
   * changes an object gives it a new value, and every update and delete asks for the old one: a
   * lost update is a `StaleDataError`, and nothing of its transaction is stored.
   *
   * Whole numbers count from 1; `timestamptz()` and `instant()` hold the time of the change, which
   * is always later than the one before. New objects need not be given it. `bulkUpdate()`,
   * `bulkUpsert()` and `update()` change it as well, so that a flush notices what they did.
   *
   * With `{ generated: true }` the database gives the values: on PostgreSQL by a BEFORE trigger, which
   * RETURNING tells of, on SQLite by an AFTER trigger, for which rows are read again. Where rows are
   * inserted without such a trigger, `defaultSql()` says what they begin with.
   *
   * @throws {InputError} for a column of another type.
   *
   * @example
   * ```ts
   * import { AsyncEngine, createAll, entity, integer, StaleDataError, text } from "@sluice/orm";
   * import { assertEquals, assertRejects } from "@std/assert";
   *
   * class Page extends entity("pages", {
   *   id: integer().primaryKey(),
   *   body: text(),
   *   version: integer().version(),
   * }) {}
   * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Page] });
   * await createAll(engine);
   * await using mine = engine.session();
   * await using yours = engine.session();
   * const page = new Page({ id: 1, body: "" });
   * mine.add(page);
   * await mine.commit();
   * assertEquals(page.version, 1);
   *
   * const same = await yours.getOrFail(Page, 1);
   * page.body = "Mine";
   * await mine.commit();
   * same.body = "Yours";
   * await assertRejects(() => yours.commit(), StaleDataError, "Page 1 (version 1)");
   * ```
   */
  version({ generated = false }: VersionOptions = {}): Column<T, "optional"> {
    if (!generated) checkVersioned(this.spec.type);
    return new Column({ ...this.spec, version: generated ? "database" : "flush" });
  }
  /**
   * An SQL expression for rows that are given no value, such as `now()`. Trusted text; the value
   * is read back when the row is inserted.
   */
  defaultSql(expression: string): Column<T, "optional"> {
    return new Column({ ...this.spec, defaultSql: expression });
  }
  /**
   * A foreign key to `"table.column"`. `new Entity({ … })` need not be given it, since it can be
   * taken from the relation; a flush says so if neither is there.
   */
  references(
    target: string,
    options: {
      onDelete?: ReferentialAction | undefined;
      onUpdate?: ReferentialAction | undefined;
    } = {},
  ): Column<T, "optional"> {
    const { onDelete, onUpdate } = options;
    return new Column({ ...this.spec, references: { target, onDelete, onUpdate } });
  }
  /**
   * The column says of which class a row is: see `subclass()`. New objects have the value of their
   * class.
   *
   * @param value The value of the declaring class itself; without one it has subclasses only.
   */
  discriminator(value?: T & string): DiscriminatorColumn<T> {
    const { discriminator: _, ...others } = this.spec;
    const defaultValue = value === undefined ? this.spec.defaultValue : { value };
    return new DiscriminatorColumn({ ...others, defaultValue, discriminator: { value } });
  }
  /**
   * An array of what was declared so far: `text().array()`, with null elements
   * `text().nullable().array()`, nested `integer().array().array()`. PostgreSQL's arrays; JSON text
   * on SQLite. What concerns the column as a whole, `nullable()` too, is said after it.
   *
   * @throws {InputError} after anything but a type and `nullable()`.
   */
  array(): Column<T[]> {
    const { type, nullable, ...others } = this.spec;
    const plain = column(type).spec;
    for (const [name, value] of Object.entries(others)) {
      if (value === plain[name as keyof ColumnSpec]) continue;
      throw new InputError(`array() follows what concerns the whole column ("${name}")`, {
        hint: "Call array() directly after the type: text().array().unique()",
      });
    }
    return column(arrayColumn(type, nullable) as ColumnType<T[]>);
  }
  /** The column's name in the database, where it is not the property's in snake_case. */
  column(name: string): Column<T, P> {
    return new Column({ ...this.spec, name: checkIdentifier(name) });
  }
  /**
   * The column is left out when objects are loaded: for large values that are seldom needed.
   * Reading it then does not compile, and throws a `NotLoadedError` at run time; conditions and
   * `select()` can use it as any other. Comes last.
   *
   * @throws {InputError} for a primary key.
   */
  deferred(): DeferredColumn<T, P> {
    if (this.spec.primaryKey) {
      throw new InputError("A primary key cannot be deferred()", {
        hint: "An object is known by it; leave out deferred()",
      });
    }
    return new DeferredColumn({ ...this.spec, deferred: true });
  }
}

declare const tellsClasses: unique symbol;

/** A column that says of which class a row is. */
export class DiscriminatorColumn<T> extends Column<T, "optional"> {
  /** For the compiler's eyes only. */
  declare readonly [tellsClasses]: true;
}

declare const whenLoaded: unique symbol;

/** A column that is left out when objects are loaded. */
export class DeferredColumn<T, P extends Presence = "required"> extends Column<T, P> {
  /** For the compiler's eyes only. */
  declare readonly [whenLoaded]: true;
}

/**
 * The value type of a column.
 *
 * @internal
 */
export type ValueOf<C> = C extends { readonly [types]: { readonly value: infer T } } ? T : never;
/**
 * `required` or `optional`.
 *
 * @internal
 */
export type PresenceOf<C> = C extends { readonly [types]: { readonly presence: infer P } } ? P
  : never;

function column<T>(type: ColumnType<T>): Column<T> {
  return new Column({
    type: type as ColumnType<unknown>,
    name: undefined,
    nullable: false,
    primaryKey: false,
    generated: false,
    unique: false,
    indexed: false,
    deferred: false,
    defaultValue: undefined,
    updateValue: undefined,
    defaultSql: undefined,
    references: undefined,
    version: false,
    discriminator: undefined,
  });
}

function checkSize(what: string, value: number | undefined, min: number, max: number): void {
  if (value !== undefined && !(Number.isInteger(value) && value >= min && value <= max)) {
    throw new InputError(`${what} must be a whole number from ${min} to ${max}`);
  }
}

/** 32-bit whole numbers: `number`. */
export function integer(): Column<number> {
  return column(integerColumn);
}
/** 16-bit whole numbers: `number`. */
export function smallint(): Column<number> {
  return column(smallintColumn);
}
/** 64-bit whole numbers: `bigint`, exact. */
export function bigint(): Column<bigint> {
  return column(bigintColumn);
}
/** Decimal numbers: `string`, exact. A value that does not fit is refused, never rounded. */
export function numeric(precision?: number, scale?: number): Column<string> {
  checkSize("The precision of numeric()", precision, 1, 1000);
  checkSize("The scale of numeric()", scale, 0, precision ?? 0);
  return column(numericColumn(precision, scale));
}
/** Single precision floating point: `number`, rounded to what 32 bits hold. */
export function real(): Column<number> {
  return column(realColumn);
}
/** Double precision floating point: `number`. */
export function double(): Column<number> {
  return column(doubleColumn);
}
/** Text of any length: `string`. */
export function text(): Column<string> {
  return column(textColumn());
}
/** Text of at most `limit` characters: `string`. */
export function varchar(limit: number): Column<string> {
  checkSize("The limit of varchar()", limit, 1, 10_485_760);
  return column(textColumn(limit));
}
/** A column of `oneOf()`. */
export class OneOfColumn<L extends string> extends Column<L> {
  readonly #labels: readonly L[];

  /** Users call `oneOf()` instead. */
  constructor(labels: readonly L[]) {
    super(column(oneOfColumn(labels)).spec);
    this.#labels = labels;
  }

  /**
   * Makes the column an enum type of PostgreSQL instead of text with a CHECK; `createAll()` creates
   * the type. SQLite has none and keeps the CHECK.
   *
   * @param name The type's name, qualified by a schema if need be.
   */
  enumType(name: string): Column<L> {
    const dot = name.indexOf(".");
    const type = {
      schema: dot < 0 ? undefined : checkIdentifier(name.slice(0, dot)),
      name: checkIdentifier(name.slice(dot + 1)),
      labels: this.#labels,
    };
    return column(oneOfColumn(this.#labels, type));
  }
}

/**
 * One of a few words: their literal union. Text with a CHECK, or `.enumType("name")`.
 *
 * @example
 * ```ts
 * import { entity, integer, oneOf } from "@sluice/orm";
 * import { assertEquals } from "@std/assert";
 *
 * class Ticket extends entity("tickets", {
 *   id: integer().primaryKey().generated(),
 *   state: oneOf("open", "closed").enumType("ticket_state").default("open"),
 * }) {}
 * assertEquals(new Ticket({}).state, "open");
 * ```
 */
export function oneOf<const L extends string>(...labels: readonly L[]): OneOfColumn<L> {
  if (labels.length === 0) throw new InputError("oneOf() needs at least one label");
  if (new Set(labels).size < labels.length) {
    throw new InputError("oneOf() has a label twice", { hint: "Name every label once" });
  }
  for (const label of labels) checkText(label, "oneOf()");
  return new OneOfColumn(labels);
}
/** True or false: `boolean`. */
export function boolean(): Column<boolean> {
  return column(booleanColumn);
}
/** UUIDs: `string`, lower case. */
export function uuid(): Column<string> {
  return column(uuidColumn);
}
/** Bytes: `Uint8Array`. */
export function bytes(): Column<Uint8Array> {
  return column(bytesColumn);
}
/** JSON values (`jsonb` on PostgreSQL), parsed: `unknown` unless you say what they are. */
// Not `json<T = unknown>()`: inside entity() the compiler would infer `any` for T.
export function json(): Column<unknown>;
/** JSON values, parsed: `T` is what you say it is. */
export function json<T>(): Column<T>;
export function json<T>(): Column<T> {
  return column(jsonColumn as ColumnType<T>);
}
/** Days: `string` as `YYYY-MM-DD`. */
export function date(): Column<string> {
  return column(dateColumn);
}
/** Times of day: `string` as `HH:MM:SS`, to the microsecond. */
export function time(): Column<string> {
  return column(timeColumn);
}
/** Dates with times and no zone: `string` as `YYYY-MM-DDTHH:MM:SS`, to the microsecond. */
export function timestamp(): Column<string> {
  return column(timestampColumn);
}
/** Moments: `Date`, to the millisecond. */
export function timestamptz(): Column<Date> {
  return column(timestamptzColumn);
}
/**
 * Moments: `Temporal.Instant`, to the microsecond; nanoseconds, which no database keeps, are cut.
 *
 * @throws {UsageError} `UNSUPPORTED` where the runtime has no Temporal.
 */
export function instant(): Column<Temporal.Instant> {
  return column(instantColumn());
}
/**
 * Days: `Temporal.PlainDate` of the ISO calendar.
 *
 * @throws {UsageError} `UNSUPPORTED` where the runtime has no Temporal.
 */
export function plainDate(): Column<Temporal.PlainDate> {
  return column(plainDateColumn());
}
/**
 * Dates with times and no zone: `Temporal.PlainDateTime` of the ISO calendar, to the microsecond;
 * nanoseconds are cut.
 *
 * @throws {UsageError} `UNSUPPORTED` where the runtime has no Temporal.
 */
export function plainDateTime(): Column<Temporal.PlainDateTime> {
  return column(plainDateTimeColumn());
}
/**
 * Spans of time: ISO 8601 durations as `string`, in PostgreSQL's spelling: `"P1Y2M3DT4H5M6.5S"`.
 * Months, days and microseconds are kept apart. For `Temporal.Duration` write
 * `duration.toString()` and `Temporal.Duration.from(text)`.
 */
export function interval(): Column<string> {
  return column(intervalColumn);
}

/**
 * A column of a type of your own: how its values become the text that the database reads, and
 * back. It works wherever the built-in types do: conditions, arrays, bulk inserts.
 *
 * @example
 * ```ts
 * import { type Column, customType, entity, integer } from "@sluice/orm";
 * import { assertEquals } from "@std/assert";
 *
 * const url = (): Column<URL> =>
 *   customType({ sql: "text", toDriver: (value: URL) => value.href, fromDriver: (t) => new URL(t) });
 *
 * class Link extends entity("links", { id: integer().primaryKey(), target: url() }) {}
 * assertEquals(new Link({ id: 1, target: new URL("https://deno.com") }).target.host, "deno.com");
 * ```
 */
export function customType<T>(type: CustomType<T>): Column<T> {
  return column(customColumn(type));
}
