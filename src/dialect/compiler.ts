/**
 * Statement → text and parameters: the spelling both databases share, its expressions by
 * `expression_compiler.ts`. A dialect's compiler extends it with what differs.
 *
 * A SELECT's parts are spelled before its FROM clause, since a column behind a to-one relation
 * asks for a join; placeholders are numbered, so their order in the text is free.
 *
 * @module
 */

import { InputError, UsageError } from "../errors.ts";
import { quoteIdentifier, quoteTable } from "../sql/identifier.ts";
import type {
  CteNode,
  InsertNode,
  Node,
  QueryNode,
  SelectNode,
  Source,
  TableSource,
  WriteNode,
} from "../sql/node.ts";
import { describe } from "../sql/operand.ts";
import type { PreparedStatement } from "./dialect.ts";
import { ExpressionCompiler } from "./expression_compiler.ts";

/** The sources of one SELECT. */
interface Scope {
  /** What they are called. */
  readonly aliases: Map<Source, string>;
  /** The joins that navigation asked for, by the source they are spelled behind. */
  readonly joins: Map<Source, Join[]>;
}

/** A join that navigation asked for. */
interface Join {
  readonly source: Source;
  /** The table and its alias. */
  readonly text: string;
  readonly on: string;
}

/** Lists of columns of the first source of a statement, as they are spelled. */
const columnLists = new WeakMap<readonly Node[], string>();

/** Spells one statement. Made anew for each: it holds the parameters and aliases. */
export abstract class Compiler extends ExpressionCompiler {
  readonly #ctes = new Map<CteNode, { readonly name: string; text: string }>();
  #scopes: Scope[] = [];
  #aliasCount = 0;
  #unfiltered: readonly string[] = [];
  #recursive = false;

  /** Spells the statement. */
  compile(statement: Node): PreparedStatement {
    const text = this.#with(this.statement(statement));
    const { params } = this;
    if (params.length > this.dialect.maxParameters) {
      throw new InputError(
        `The statement has ${params.length} values, and ${this.dialect.maxParameters} can be bound`,
        { hint: "Use bulkInsert() for many rows, and in() for many values" },
      );
    }
    return this.slots.length === 0 ? { text, params } : { text, params, slots: this.slots };
  }

  /** `limit … offset …` of bound values. */
  protected abstract limit(limit: SelectNode["limit"], offset: SelectNode["offset"]): string;
  /** The row lock, or nothing where there are none; `of` names the table when there are several. */
  protected abstract lock(select: SelectNode, of: string | undefined): string;
  /** `distinct on (…) `. */
  protected abstract distinctOn(terms: readonly Node[]): string;
  /** One of the queries of a union. */
  protected abstract member(query: QueryNode): string;
  /** The word before a derived table that refers to what stands before it. */
  protected abstract lateral(): string;
  /** The value of a column in `insert` that was given none. */
  protected abstract defaultValue(): string;
  /** Refuses statements that change rows where the database takes none. */
  protected abstract checkCte(statement: QueryNode | WriteNode): void;

  /** Spells a statement, or any other node. */
  protected statement(node: Node): string {
    switch (node.kind) {
      case "select":
      case "compound":
        return this.query(node);
      case "insert":
      case "update":
      case "delete":
        return this.write(node);
      default:
        return this.node(node);
    }
  }

  // --- queries -----------------------------------------------------------------------------------

  /** Spells a query; `named` gives its columns the names that derived tables have. */
  protected override query(query: QueryNode, named = false): string {
    if (query.kind === "select") return this.select(query, named);
    const operator = ` ${query.operator} `;
    return query.queries.map((member, i) =>
      i === 0 && named && member.kind === "select" && !needsParentheses(member)
        ? this.select(member, true)
        : this.member(member)
    ).join(operator);
  }

  /** Spells a SELECT; its sources get aliases, which columns inside and in subqueries use. */
  protected select(select: SelectNode, named = false): string {
    const scope: Scope = { aliases: new Map(), joins: new Map() };
    this.#scopes.push(scope);
    const unfiltered = this.#unfiltered;
    if (select.unfiltered !== undefined) this.#unfiltered = [...unfiltered, ...select.unfiltered];
    const { from, joins = [] } = select;
    if (from !== undefined) scope.aliases.set(from, this.#alias());
    for (const { source } of joins) scope.aliases.set(source, this.#alias());
    let text = `select ${this.#distinct(select)}${this.#columns(select, named)}`;
    let tail = "";
    const where = this.#filtered(select.where, from);
    if (where !== undefined) tail += ` where ${this.node(where)}`;
    if (select.groupBy !== undefined && select.groupBy.length > 0) {
      tail += ` group by ${select.groupBy.map((by) => this.operand(by)).join(", ")}`;
    }
    if (select.having !== undefined) tail += ` having ${this.node(select.having)}`;
    if (select.orderBy.length > 0) tail += ` ${this.orderBy(select.orderBy)}`;
    tail += this.limit(select.limit, select.offset);
    if (from !== undefined) text += ` from ${this.#from(select, scope)}`;
    const several = joins.length > 0 || scope.joins.size > 0;
    tail += this.lock(select, several ? scope.aliases.get(from!) : undefined);
    this.#scopes.pop();
    this.#unfiltered = unfiltered;
    return text + tail;
  }

  #columns(select: SelectNode, named: boolean): string {
    const { columns, from } = select;
    // The columns of an entity are one array, which stands first in most statements.
    const first = !named && this.#aliasCount === 1;
    const known = first ? columnLists.get(columns) : undefined;
    if (known !== undefined) return known;
    const text = columns.map((column, i) =>
      named ? `${this.operand(column)} as "c${i}"` : this.column(column)
    ).join(", ");
    if (first && columns.every((node) => node.kind === "column" && node.source === from)) {
      columnLists.set(columns, text);
    }
    return text;
  }

  /** A column of the list that is selected. */
  protected column(node: Node): string {
    return node.kind === "value" ? this.operand(node) : this.node(node);
  }

  #distinct({ distinct }: SelectNode): string {
    if (distinct === undefined) return "";
    return distinct === true ? "distinct " : this.distinctOn(distinct);
  }

  /** A condition together with the filters of the source it is about. */
  #filtered(condition: Node | undefined, source: Source | undefined): Node | undefined {
    if (source?.kind !== "table" || source.filters === undefined) return condition;
    const filters = source.filters
      .filter(({ name }) => !this.#unfiltered.includes(name))
      .map((filter) => filter.on(source));
    const terms = condition === undefined ? filters : [condition, ...filters];
    return terms.length < 2 ? terms[0] : { kind: "logical", operator: "and", terms };
  }

  #from({ from, joins = [] }: SelectNode, scope: Scope): string {
    // All of them first: each can ask for joins at the sources before it.
    const sources = [from!, ...joins.map(({ source }) => source)].map((source) =>
      `${this.#source(source, scope)} as ${scope.aliases.get(source)!}`
    );
    const conditions = joins.map(({ on, source }) => {
      const condition = this.#filtered(on, source);
      return condition === undefined ? "1 = 1" : this.node(condition);
    });
    let text = this.#navigated(sources[0]!, from!, scope, false);
    joins.forEach(({ kind, source }, i) => {
      const joined = this.#navigated(sources[i + 1]!, source, scope, true);
      text += ` ${kind === "left" ? "left join" : "join"} ${joined} on ${conditions[i]}`;
    });
    return text;
  }

  /** A source with the joins that navigation from it asked for. */
  #navigated(text: string, source: Source, scope: Scope, nested: boolean): string {
    const joins = scope.joins.get(source);
    if (joins === undefined) return text;
    let all = text;
    for (const { source, text, on } of joins) {
      all += ` left join ${this.#navigated(text, source, scope, true)} on ${on}`;
    }
    return nested ? `(${all})` : all;
  }

  #source(source: Source, scope: Scope): string {
    switch (source.kind) {
      case "table":
        return quoteTable(source);
      case "cteSource":
        return this.#cte(source.cte);
      case "derived": {
        if (source.lateral) return `${this.lateral()} (${this.query(source.query, true)})`;
        // It does not see its neighbours.
        const scopes = this.#scopes;
        this.#scopes = scopes.slice(0, scopes.indexOf(scope));
        const text = `(${this.query(source.query, true)})`;
        this.#scopes = scopes;
        return text;
      }
    }
  }

  #alias(): string {
    return quoteIdentifier(`t${this.#aliasCount++}`);
  }

  /** Columns outside a FROM of ours, as in a hand-written statement, go by their table's name. */
  protected override sourceName(source: Source): string {
    const root = rootOf(source);
    for (let i = this.#scopes.length - 1; i >= 0; i--) {
      const scope = this.#scopes[i]!;
      if (scope.aliases.has(root)) return this.#aliasIn(source, root, i);
    }
    const alone = source.kind === "table" && (source.via === undefined || isPart(source));
    if (!alone) {
      throw new UsageError("A column was used outside of the query it belongs to", {
        code: "INVALID_INPUT",
        hint: "Use the columns that the callback is given; relations need a select around them",
      });
    }
    return quoteTable(source);
  }

  /** The alias of a source in a scope; a relation that was not joined yet is joined. */
  #aliasIn(source: Source, root: Source, index: number): string {
    const scope = this.#scopes[index]!;
    const known = scope.aliases.get(source);
    if (known !== undefined) return known;
    const { via, ...table } = source as Extract<Source, { kind: "table" }>;
    this.#aliasIn(via!.parent, root, index);
    const alias = this.#alias();
    scope.aliases.set(source, alias);
    const scopes = this.#scopes;
    this.#scopes = scopes.slice(0, index + 1);
    const on = this.node(this.#filtered(via!.on, source)!);
    this.#scopes = scopes;
    const join = { source, text: `${quoteTable(table)} as ${alias}`, on };
    // The parts of a row stand together: a condition on how a relation leads there sees them all.
    const behind = via!.part === true ? via!.parent : root;
    const joins = scope.joins.get(behind);
    if (joins === undefined) scope.joins.set(behind, [join]);
    else joins.push(join);
    return alias;
  }

  // --- common table expressions ------------------------------------------------------------------

  #cte(cte: CteNode): string {
    const known = this.#ctes.get(cte);
    if (known !== undefined) return known.name;
    this.checkCte(cte.statement);
    const entry = { name: quoteIdentifier(`w${this.#ctes.size}`), text: "" };
    // A recursive one names itself; it is spelled outside of all queries.
    this.#ctes.set(cte, entry);
    const scopes = this.#scopes;
    this.#scopes = [];
    let body: string;
    if (cte.step !== undefined) {
      this.#recursive = true;
      const union = cte.step.all ? "union all" : "union";
      body = `${this.member(cte.statement as QueryNode)} ${union} ${this.member(cte.step.query)}`;
    } else body = this.statement(cte.statement);
    this.#scopes = scopes;
    const columns = Array.from({ length: cte.width }, (_, i) => `"c${i}"`).join(", ");
    entry.text = `${entry.name}${columns === "" ? "" : `(${columns})`} as (${body})`;
    // Behind those that its body uses.
    this.#ctes.delete(cte);
    this.#ctes.set(cte, entry);
    return entry.name;
  }

  #with(text: string): string {
    if (this.#ctes.size === 0) return text;
    const list = [...this.#ctes.values()].map((cte) => cte.text).join(", ");
    return `with ${this.#recursive ? "recursive " : ""}${list} ${text}`;
  }

  // --- statements that change rows ---------------------------------------------------------------

  protected override write(node: WriteNode): string {
    const unfiltered = this.#unfiltered;
    if (node.kind !== "insert" && node.unfiltered !== undefined) {
      this.#unfiltered = [...unfiltered, ...node.unfiltered];
    }
    const text = this.#change(node);
    this.#unfiltered = unfiltered;
    return text;
  }

  #change(node: WriteNode): string {
    const returning = (): string =>
      node.returning.length === 0
        ? ""
        : ` returning ${node.returning.map((column) => this.column(column)).join(", ")}`;
    switch (node.kind) {
      case "insert":
        return this.#insert(node) + returning();
      case "update": {
        const set = node.set.map(([column, value]) =>
          `${quoteIdentifier(column.name)} = ${this.node(value)}`
        );
        return `update ${quoteTable(node.table)} set ${set.join(", ")}${
          this.#where(this.#filtered(node.where, node.table))
        }` + returning();
      }
      case "delete":
        return `delete from ${quoteTable(node.table)}${
          this.#where(this.#filtered(node.where, node.table))
        }${returning()}`;
    }
  }

  #where(where: Node | undefined): string {
    return where === undefined ? "" : ` where ${this.node(where)}`;
  }

  #insert({ into, columns, rows, onConflict }: InsertNode): string {
    const names = columns.map((column) => quoteIdentifier(column.name)).join(", ");
    let text = `insert into ${quoteTable(into)} (${names}) `;
    if ("kind" in rows) {
      text += this.query(rows);
      // Else SQLite takes ON for the beginning of a join's condition.
      if (onConflict !== undefined && rows.kind === "select" && rows.where === undefined) {
        if (this.dialect.name === "sqlite") text = `${text} where 1 = 1`;
      }
    } else {
      text += `values ${
        rows.map((row) =>
          `(${
            row.map((value) => value === undefined ? this.defaultValue() : this.node(value)).join(
              ", ",
            )
          })`
        ).join(", ")
      }`;
    }
    if (onConflict !== undefined) {
      const target = onConflict.target.map(quoteIdentifier).join(", ");
      const set = onConflict.update.map((name) => {
        const column = quoteIdentifier(name);
        return `${column} = excluded.${column}`;
      });
      if (onConflict.counter !== undefined) {
        const column = quoteIdentifier(onConflict.counter);
        set.push(`${column} = ${quoteIdentifier(into.name)}.${column} + 1`);
      }
      text += ` on conflict${target === "" ? "" : ` (${target})`} do ${
        set.length === 0 ? "nothing" : `update set ${set.join(", ")}`
      }`;
    }
    return text;
  }
}

/** Members of a union with clauses of their own stand in parentheses. */
export function needsParentheses(query: QueryNode): boolean {
  return query.kind === "compound" || query.orderBy.length > 0 || query.limit !== undefined ||
    query.offset !== undefined || query.lock !== undefined;
}

/** The table of a subclass beside that of its base, with no relation on the way. */
function isPart({ via }: TableSource): boolean {
  return via?.part === true && via.parent.kind === "table" && via.parent.via === undefined;
}

/** The source of the FROM clause from which relations lead to this one. */
function rootOf(source: Source): Source {
  let root = source;
  while (root.kind === "table" && root.via !== undefined) root = root.via.parent;
  return root;
}

/** The wire form of a limit or offset. */
export function checkLimit(value: unknown): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
    throw new InputError(`limit() and offset() take a whole number, found ${describe(value)}`);
  }
  return value;
}
