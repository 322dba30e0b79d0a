/**
 * `Select`: a query for plain rows, immutable and lazy as `Query` is.
 *
 * @module
 */

import { InputError } from "../../errors.ts";
import type { Dialect } from "../../dialect/dialect.ts";
import type { DriverResult, DriverStatement } from "../../dialect/driver.ts";
import { readRowsOf } from "../../engine/statement.ts";
import {
  allOf,
  type Condition,
  conditionNode,
  describe,
  Expression,
  type Subquery,
} from "../../sql/expression.ts";
import {
  type CteNode,
  type DerivedSource,
  type HasNode,
  type Node,
  nodeIn,
  nodeOf,
  type QueryNode,
  type SelectNode,
  type Source,
  typeOf,
} from "../../sql/node.ts";
import { orderNodes } from "../../sql/operand.ts";
import { resolveType } from "../../dialect/type_names.ts";
import { writeAnything, type WriteJson } from "../json_lines.ts";
import { type Binding, bindStatement, rebind } from "./binding.ts";
import { within } from "../../mapper/callbacks.ts";
import { expressions, type OrderTerms, withWhere } from "./clauses.ts";
import { checkCount, countNode } from "./counts.ts";
import { Ends } from "./ends.ts";
import { type ExplainOptions, explainStatement, readExplanation } from "./explain.ts";
import { columnNames, filterCondition, type RefFilter } from "./filter_by.ts";
import { type Page, type PageOptions, readPage } from "./page.ts";
import type { RowRunner, SourcesPlan } from "./row_plan.ts";
import { Cte, plainSelect, type Rows, selectionOf, sourceOf } from "./rows.ts";
import type { RowOf } from "../../sql/selection.ts";
import { planSelection, readRows, refsOfPlan, type SelectionPlan } from "./selection.ts";
import { withoutPrototype } from "../../util/own.ts";

/**
 * A query for plain rows: `session.query(Author).select((a) => ({ id: a.id }))`. The rows are of
 * type `RowOf<S>`. Besides being ended, it can stand in other queries: in `in()`, `exists()`,
 * `scalar()`, in joins, unions and as a CTE.
 *
 * @example
 * ```ts
 * import { AsyncEngine, belongsTo, createAll, entity, hasMany, integer, text } from "@sluice/orm";
 * import { assertEquals } from "@std/assert";
 *
 * class Owner extends entity("owners", {
 *   id: integer().primaryKey().generated(),
 *   name: text(),
 *   pets: hasMany<Pet>("pets.ownerId"),
 * }) {}
 * class Pet extends entity("pets", {
 *   id: integer().primaryKey().generated(),
 *   name: text(),
 *   ownerId: integer().references("owners.id"),
 *   owner: belongsTo<Owner>("ownerId"),
 * }) {}
 * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Owner, Pet] });
 * await createAll(engine);
 * await using session = engine.session();
 * session.add(new Owner({ name: "Ada", pets: [new Pet({ name: "Ant" })] }));
 * await session.commit();
 *
 * const pets = session.query(Pet).select((p) => ({ name: p.name, owner: { name: p.owner.name } }));
 * assertEquals(await pets.all(), [{ name: "Ant", owner: { name: "Ada" } }]);
 * const counts = session.query(Owner).select((o) => ({ name: o.name, pets: o.pets.count() }));
 * assertEquals(await counts.one(), { name: "Ada", pets: 1 });
 * ```
 */
export class Select<A extends readonly unknown[], S> extends Ends<RowOf<S>>
  implements HasNode, Subquery<RowOf<S>>, Rows<S> {
  readonly #runner: RowRunner;
  readonly #plan: SourcesPlan;
  readonly #selection: SelectionPlan;
  /** For the compiler's eyes only. */
  declare readonly rowType?: RowOf<S>;
  /** For the compiler's eyes only. */
  declare readonly valueType?: RowOf<S>;
  /** For the compiler's eyes only. */
  declare readonly selection?: S;

  /** Made by `select()`. */
  constructor(runner: RowRunner, plan: SourcesPlan, selection: SelectionPlan) {
    super();
    this.#runner = runner;
    this.#plan = plan;
    this.#selection = selection;
  }

  /**
   * The statement.
   *
   * @internal
   */
  get [nodeOf](): SelectNode {
    return this.#plan.select;
  }

  /**
   * Its columns by name.
   *
   * @internal
   */
  get [selectionOf](): SelectionPlan {
    return this.#selection;
  }

  /**
   * Reads the rows of the statement.
   *
   * @internal
   */
  [readRowsOf]({ columns, rows }: DriverResult, dialect: Dialect): unknown[] {
    return readRows(this.#selection, dialect, columns, rows);
  }

  /**
   * A derived table of it.
   *
   * @internal
   */
  [sourceOf](lateral: boolean): { readonly source: Source; readonly refs: unknown } {
    const source: DerivedSource = { kind: "derived", query: this.#plan.select, lateral };
    return { source, refs: refsOfPlan(this.#selection, source) };
  }

  /**
   * The query as one of another session, with the values of its parameters.
   *
   * @internal
   */
  [rebind](runner: { readonly rows: RowRunner }, binding: Binding): Select<A, S> {
    return new Select(runner.rows, { ...this.#plan, binding }, this.#selection);
  }

  /** What it gives, for messages. */
  protected override get resultName(): string {
    return "row";
  }

  #with(change: Partial<SelectNode>): Select<A, S> {
    return this.#change({ select: { ...this.#plan.select, ...change } });
  }

  #change(change: Partial<SourcesPlan>): Select<A, S> {
    return new Select(this.#runner, { ...this.#plan, ...change }, this.#selection);
  }

  #within<T>(what: string, callback: (...refs: A) => T): T {
    const { sources, refs } = this.#plan;
    // The plan gains a ref with each source that a call adds to A, in the same order.
    return within(what, sources, refs as unknown as A, callback);
  }

  // --- what is selected --------------------------------------------------------------------------

  /** Only rows that meet the condition, and those of earlier calls. */
  where(condition: (...refs: A) => Condition): Select<A, S> {
    const given = this.#within("where()", condition);
    return this.#change({ select: withWhere(this.#plan.select, given, "where()") });
  }

  /**
   * Only rows in which columns of the first source have these values; null asks for null. Takes
   * values and nothing else, as `filterBy()` of a query for objects.
   *
   * @throws {InputError} for a name that is no column, an object where a value belongs, or undefined.
   */
  filterBy(values: RefFilter<A[0]>): Select<A, S> {
    const refs = this.#plan.refs[0] as Record<string, unknown>;
    const condition = filterCondition(values, refs, columnNames(refs), "the first source");
    return this.#change({ select: withWhere(this.#plan.select, condition, "filterBy()") });
  }

  /** Rows with equal values of these become one; aggregates then are those of the group. */
  groupBy(
    by: (...refs: A) => Expression<unknown> | readonly Expression<unknown>[],
  ): Select<A, S> {
    const terms = expressions(this.#within("groupBy()", by), "groupBy()");
    return this.#with({ groupBy: [...this.#plan.select.groupBy ?? [], ...terms] });
  }

  /** Only groups that meet the condition, and those of earlier calls. */
  having(condition: (...refs: A) => Condition): Select<A, S> {
    const node = conditionNode(this.#within("having()", condition), "having()");
    const { having } = this.#plan.select;
    return this.#with({
      having: having === undefined
        ? node
        : allOf(new Expression<boolean>(having), new Expression<boolean>(node))[nodeOf],
    });
  }

  /** Equal rows once. */
  distinct(): Select<A, S> {
    return this.#with({ distinct: true });
  }

  /**
   * The first row for each of their values, by the query's order, which must begin with them
   * (PostgreSQL).
   */
  distinctOn(
    by: (...refs: A) => Expression<unknown> | readonly Expression<unknown>[],
  ): Select<A, S> {
    return this.#with({ distinct: expressions(this.#within("distinctOn()", by), "distinctOn()") });
  }

  /** Sorts, after the terms of earlier calls. */
  orderBy(order: (...refs: A) => OrderTerms): Select<A, S> {
    const terms = orderNodes(this.#within("orderBy()", order), "orderBy()");
    return this.#with({ orderBy: [...this.#plan.select.orderBy, ...terms] });
  }

  /** At most `count` rows. */
  limit(count: number): Select<A, S> {
    return this.#with({ limit: countNode("limit()", count) });
  }

  /** Without the first `count` rows. */
  offset(count: number): Select<A, S> {
    return this.#with({ offset: countNode("offset()", count) });
  }

  // --- sets --------------------------------------------------------------------------------------

  /** The rows of both queries, equal ones once. */
  union(other: Rows<S> & HasNode): Select<[S], S> {
    return this.#compound("union", other);
  }
  /** The rows of both queries. */
  unionAll(other: Rows<S> & HasNode): Select<[S], S> {
    return this.#compound("union all", other);
  }
  /** The rows that both queries have, once. */
  intersect(other: Rows<S> & HasNode): Select<[S], S> {
    return this.#compound("intersect", other);
  }
  /** The rows that the other query does not have, once. */
  except(other: Rows<S> & HasNode): Select<[S], S> {
    return this.#compound("except", other);
  }

  #compound(
    operator: "union" | "union all" | "intersect" | "except",
    other: unknown,
  ): Select<[S], S> {
    if (!(other instanceof Select)) {
      throw new InputError(`A query for rows is expected, found ${describe(other)}`);
    }
    const shape = JSON.stringify(this.#selection.tree);
    if (JSON.stringify((other as Select<A, S>).#selection.tree) !== shape) {
      throw new InputError(`The queries of a ${operator} have different columns`, {
        hint: "Select the same names in the same order",
      });
    }
    const query: QueryNode = { kind: "compound", operator, queries: [this[nodeOf], other[nodeOf]] };
    const source: DerivedSource = { kind: "derived", query, lateral: false };
    return selectAllOf(this.#runner, this.#plan, source, this.#selection);
  }

  // --- as part of other queries ------------------------------------------------------------------

  /** As a common table expression, to be given to `session.from()` and joins, once or often. */
  cte(): Cte<S> {
    const { columns } = this.#selection;
    return new Cte<S>(
      { kind: "cte", statement: this[nodeOf], width: columns.length, step: undefined },
      this.#selection,
    );
  }

  /**
   * As a recursive common table expression: its first rows are those of this query, the next those
   * that `step` makes of the rows before, until it makes none. Equal rows are taken once, unless
   * `{ all: true }` is said.
   */
  recursive(step: (self: Cte<S>) => Rows<S> & HasNode, options: { all?: boolean } = {}): Cte<S> {
    const { columns } = this.#selection;
    const node: { -readonly [K in keyof CteNode]: CteNode[K] } = {
      kind: "cte",
      statement: this[nodeOf],
      width: columns.length,
      step: undefined,
    };
    const cte = new Cte<S>(node, this.#selection);
    const query = nodeIn(step(cte));
    if (query?.kind !== "select") throw new InputError("recursive() expects a query for rows");
    node.step = { query, all: options.all === true };
    return cte;
  }

  // --- limits ------------------------------------------------------------------------------------

  /** How many rows a stream fetches at a time. Default 500. */
  window(rows: number): Select<A, S> {
    return this.#change({ window: checkCount("window()", rows, 1) });
  }
  /** Gives up when the signal aborts: the statement is cancelled and the signal's reason thrown. */
  signal(signal: AbortSignal): Select<A, S> {
    return this.#change({ signal });
  }
  /** Longest time for each statement of the query, in milliseconds. */
  timeout(ms: number): Select<A, S> {
    return this.#change({ timeout: checkCount("timeout()", ms, 1) });
  }

  // --- ends --------------------------------------------------------------------------------------

  /** All rows. */
  override all(): Promise<RowOf<S>[]> {
    return this.#run("all", this.#plan.select);
  }

  /** At most `count` of the results. */
  protected override take(count: number): Promise<RowOf<S>[]> {
    const { select } = this.#plan;
    if (typeof select.limit === "object") return this.#run("all", select);
    const limit = Math.min(select.limit ?? count, count);
    return this.#run(`limit ${limit}`, { ...select, limit });
  }

  /** The rows as they arrive. */
  override [Symbol.asyncIterator](): AsyncIterableIterator<RowOf<S>> {
    return this.#runner.stream(
      () => this.#statement("all", this.#plan.select),
      this.#plan,
      (rows, columns) => readRows(this.#selection, this.#runner.dialect, columns, rows),
    ) as AsyncIterableIterator<RowOf<S>>;
  }

  /**
   * The value of the only column of the only row.
   *
   * @throws {NoResultError} when there is no row.
   * @throws {MultipleResultsError} when there are more.
   * @throws {InputError} when the rows have several columns.
   */
  async scalar(): Promise<S extends Expression<infer T> ? T : RowOf<S>[keyof RowOf<S>]> {
    type Value = S extends Expression<infer T> ? T : RowOf<S>[keyof RowOf<S>];
    if (this.#selection.columns.length !== 1) {
      throw new InputError("scalar() takes a query of one column", { hint: "Use one() instead" });
    }
    let value: unknown = await this.one();
    for (let { tree } = this.#selection; typeof tree !== "number"; tree = tree[0]![1]) {
      value = (value as Record<string, unknown>)[tree[0]![0]];
    }
    return value as Value;
  }

  /** How many rows there are, limit and offset minded. */
  override async count(): Promise<number> {
    const source: DerivedSource = { kind: "derived", query: this.#plan.select, lateral: false };
    const counted = plainSelect(source, [{ kind: "raw", parts: ["count(*)"] }]);
    const { rows } = await this.#runner.run(this.#statement("count", counted), this.#plan);
    return Number(rows[0]![0]);
  }

  /** Whether there is at least one row. */
  override async exists(): Promise<boolean> {
    const one: Node = { kind: "exists", select: this.#plan.select };
    const { rows } = await this.#runner.run(
      this.#statement("exists", plainSelect(undefined, [one])),
      this.#plan,
    );
    return rows[0]![0] === "t" || rows[0]![0] === 1;
  }

  /**
   * A page of rows, read from where another ended: `{ size, after: previous.next }`. The order is
   * the query's own, completed by the primary key of the entity it began with; grouped, distinct and
   * combined queries need an order that is unique by itself.
   *
   * @throws {InputError} for a token that is not of this query.
   */
  page(options: PageOptions): Promise<Page<RowOf<S>>> {
    const { root, select } = this.#plan;
    return readPage({
      select,
      key: select.groupBy === undefined && select.distinct === undefined ? root : undefined,
      dialect: this.#runner.dialect,
      fetch: (page) => this.#runner.run(this.#statement(undefined, page), this.#plan),
      build: (rows, columns) =>
        readRows(this.#selection, this.#runner.dialect, columns, rows) as RowOf<S>[],
    }, options);
  }

  /** The statement that would be sent, its values apart from the text. */
  override toSQL(): { readonly text: string; readonly params: readonly unknown[] } {
    const { text, params } = this.#statement("all", this.#plan.select);
    return { text, params };
  }

  /** How the database would go about it. */
  override explain(options: ExplainOptions & { format: "json" }): Promise<unknown>;
  /** How the database would go about it, as text. */
  override explain(options?: ExplainOptions & { format?: "text" }): Promise<string>;
  override async explain(given: ExplainOptions = {}): Promise<unknown> {
    const options = withoutPrototype(given);
    const { name } = this.#runner.dialect;
    const statement = explainStatement(this.#statement("all", this.#plan.select), name, options);
    return readExplanation(await this.#runner.run(statement, this.#plan), name, options);
  }

  /** Big integers and bytes need to be written by us. */
  protected override get writeJson(): WriteJson | undefined {
    const plain = this.#selection.columns.every((node) => {
      const type = typeOf(node);
      return type !== undefined && !["bigint", "bytes", "array"].includes(resolveType(type).name);
    });
    return plain ? undefined : writeAnything;
  }

  #statement(purpose: string | undefined, select: SelectNode): DriverStatement {
    return bindStatement(this.#plan.binding, purpose, () => this.#runner.compile(select));
  }

  async #run(purpose: string, select: SelectNode): Promise<RowOf<S>[]> {
    const statement = this.#statement(purpose, select);
    const { rows, columns } = await this.#runner.run(statement, this.#plan);
    return readRows(this.#selection, this.#runner.dialect, columns, rows) as RowOf<S>[];
  }
}

/** `select * from` a source that has the columns of a selection. */
export function selectAllOf<S>(
  runner: RowRunner,
  limits: Pick<SourcesPlan, "window" | "signal" | "timeout" | "binding">,
  source: Source,
  selection: SelectionPlan,
): Select<[S], S> {
  const refs = refsOfPlan(selection, source);
  const { columns, tree, names } = planSelection(refs);
  const { window, signal, timeout, binding } = limits;
  return new Select<[S], S>(runner, {
    select: plainSelect(source, columns),
    sources: [source],
    refs: [refs],
    root: undefined,
    window,
    signal,
    timeout,
    binding,
  }, { columns, tree, names });
}
