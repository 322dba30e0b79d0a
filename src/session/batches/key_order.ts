/**
 * The order in which a batched walk goes through its rows: unique, so that every row has a place
 * of its own, and "after this row" is a condition that an index can answer.
 *
 * @module
 */

import { InputError } from "../../errors.ts";
import { columnRef, sourceFor } from "../../mapper/definition.ts";
import type { MappedColumn } from "../../mapper/mapped_column.ts";
import type { Mapper } from "../../mapper/mapper.ts";
import { allOf, anyOf, type Condition, Expression } from "../../sql/expression.ts";
import { type BinaryOperator, type Node, nodeOf, type OrderNode } from "../../sql/node.ts";
import type { Codec, DialectName, SqlType, WireRow, WireValue } from "../../sql/wire.ts";
import { stateOf } from "../../unit_of_work/journal.ts";
import type { QueryPlan } from "../query_plan.ts";

interface Term {
  readonly column: MappedColumn;
  readonly order: OrderNode;
  readonly nullsFirst: boolean;
}

/** The order of one walk. */
export class KeyOrder {
  /** For the statement. */
  readonly orderBy: readonly OrderNode[];
  /** Tells two orders apart, for checkpoints. */
  readonly signature: string;
  readonly #mapper: Mapper;
  readonly #terms: readonly Term[];
  /** The whole key can be compared as one row value. */
  readonly #asRow: boolean;

  /**
   * The given order, completed by the primary key where it is not unique.
   *
   * @throws {InputError} when a term is no column of the entity.
   */
  constructor(plan: QueryPlan, dialect: DialectName) {
    const { mapper, source } = plan;
    this.#mapper = mapper;
    const terms = plan.orderBy.map((order) => termOf(plan, order));
    if (!isUnique(mapper, terms)) {
      const descending = terms.at(-1)?.order.descending ?? false;
      for (const column of mapper.primaryKey) {
        if (terms.some((term) => term.column === column)) continue;
        const ref = columnRef(column.defined, source);
        terms.push(termOf(plan, (descending ? ref.desc() : ref.asc())[nodeOf]));
      }
    }
    this.#terms = terms;
    this.orderBy = terms.map(({ order }) => order);
    this.signature = terms.map(({ column, order: { descending }, nullsFirst }) =>
      `${column.name}${descending ? " desc" : ""}${
        column.nullable ? nullsFirst ? " first" : " last" : ""
      }`
    ).join(",");
    this.#asRow = terms.every(({ column, order }) =>
      !column.nullable && order.descending === terms[0]!.order.descending &&
      (dialect !== "sqlite" || column.type.sqliteOrder === undefined)
    );
  }

  /** The properties it goes by, which every object of the walk has to have. */
  get properties(): string[] {
    return this.#terms.map(({ column: { group, property } }) => group?.property ?? property);
  }

  /** How many values a key has. */
  get length(): number {
    return this.#terms.length;
  }

  /** The place of an object, as its row was read. */
  keyOf(object: object): WireRow {
    const { row, shape } = stateOf(object);
    return this.#terms.map(({ column }) => row![shape!.columns.indexOf(column)]!);
  }

  /** Rows that come after the key. */
  after(key: WireRow): Condition {
    if (this.#asRow) return this.#rowCompare(this.#descending ? "<" : ">", key);
    const alternatives = this.#terms.map((term, i) =>
      allOf(
        ...this.#terms.slice(0, i).map((equal, e) => this.#equal(equal, key[e]!)),
        this.#beyond(term, key[i]!),
      )
    );
    const [first] = this.#terms as [Term];
    const after = anyOf(...alternatives);
    if (first.column.nullable) return after;
    // Says again what the alternatives have in common, so that an index can be entered there.
    const bound = first.order.descending ? "<=" : ">=";
    return allOf(this.#compare(first, bound, key[0]!), after);
  }

  /** Rows up to the key, its own among them. */
  upTo(key: WireRow): Condition {
    if (this.#asRow) return this.#rowCompare(this.#descending ? ">=" : "<=", key);
    return new Expression({
      kind: "raw",
      parts: ["(", this.after(key)[nodeOf], ") is not true"],
    });
  }

  get #descending(): boolean {
    return this.#terms[0]!.order.descending;
  }

  #rowCompare(operator: BinaryOperator, key: WireRow): Condition {
    if (this.#terms.length === 1) return this.#compare(this.#terms[0]!, operator, key[0]!);
    const left = this.#terms.map(({ order }) => order.term);
    const right = this.#terms.map(({ column }, i) => this.#value(column, key[i]!));
    return new Expression({
      kind: "raw",
      parts: ["(", ...list(left), `) ${operator} (`, ...list(right), ")"],
    });
  }

  #equal(term: Term, wire: WireValue): Condition {
    if (wire === null) return new Expression<unknown>(term.order.term).isNull();
    return this.#compare(term, "=", wire);
  }

  /** The column alone comes after the value. */
  #beyond(term: Term, wire: WireValue): Condition {
    const column = new Expression<unknown>(term.order.term);
    if (wire === null) return term.nullsFirst ? column.isNotNull() : anyOf();
    const beyond = this.#compare(term, term.order.descending ? "<" : ">", wire);
    return term.column.nullable && !term.nullsFirst ? anyOf(beyond, column.isNull()) : beyond;
  }

  #compare({ column, order }: Term, operator: BinaryOperator, wire: WireValue): Condition {
    return new Expression({
      kind: "binary",
      operator,
      left: order.term,
      right: this.#value(column, wire),
    });
  }

  #value(column: MappedColumn, wire: WireValue): Node {
    return { kind: "value", value: wire, type: asOnTheWire(column.type), label: column.label };
  }

  /** What the signature is about, for messages. */
  describe(): string {
    return `${this.#mapper.name} by ${this.signature}`;
  }
}

function termOf({ mapper, source }: QueryPlan, order: OrderNode): Term {
  const { term } = order;
  const column = term.kind === "column"
    ? mapper.columns.find(({ name, defined }) =>
      name === term.name && sourceFor(defined, source) === term.source
    )
    : undefined;
  if (column === undefined) {
    throw new InputError(`A batched walk is ordered by columns of ${mapper.name} only`, {
      hint: "Leave orderBy() out to walk by primary key",
    });
  }
  const nullsFirst = order.nulls === undefined ? order.descending : order.nulls === "first";
  return { column, order, nullsFirst };
}

function isUnique(mapper: Mapper, terms: readonly Term[]): boolean {
  const has = (column: MappedColumn) => terms.some((term) => term.column === column);
  return mapper.primaryKey.every(has) ||
    terms.some(({ column }) => column.unique && !column.nullable);
}

function list(nodes: readonly Node[]): (string | Node)[] {
  return nodes.flatMap((node, i) => i === 0 ? [node] : [", ", node]);
}

const unchanged: Codec<unknown> = {
  encode: (wire) => wire as WireValue,
  decode: (wire) => wire,
};
const wireTypes = new WeakMap<SqlType<unknown>, SqlType<unknown>>();

/**
 * The type for values that are in wire form already: decoding and encoding them again could lose
 * what JavaScript does not hold, such as the microseconds of a timestamp.
 */
function asOnTheWire(type: SqlType<unknown>): SqlType<unknown> {
  let wireType = wireTypes.get(type);
  if (wireType === undefined) {
    wireType = { ...type, codec: { postgres: unchanged, sqlite: unchanged } };
    wireTypes.set(type, wireType);
  }
  return wireType;
}
