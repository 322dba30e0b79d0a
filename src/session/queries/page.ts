/**
 * Pages by keyset: each begins after the last row of the one before, whatever was inserted or
 * deleted meanwhile. A token holds that row's sorted values as the wire had them, and so is exact
 * to the microsecond.
 *
 * @module
 */

import { InputError } from "../../errors.ts";
import type { Dialect } from "../../dialect/dialect.ts";
import type { DriverColumn } from "../../dialect/driver.ts";
import { columnRef } from "../../mapper/definition.ts";
import type { Mapper } from "../../mapper/mapper.ts";
import { describe } from "../../sql/expression.ts";
import {
  type BinaryOperator,
  type Node,
  nodeOf,
  type OrderNode,
  type SelectNode,
  type TableSource,
  typeOf,
} from "../../sql/node.ts";
import { checkWord } from "../../sql/operand.ts";
import type { WireRow, WireValue } from "../../sql/wire.ts";
import { checkCount } from "./counts.ts";
import { withoutPrototype } from "../../util/own.ts";

/** Which page is read. */
export interface PageOptions {
  /** At most so many items. */
  size: number;
  /** The `next` of the page before. */
  after?: string | undefined;
  /** The `previous` of the page behind. */
  before?: string | undefined;
}

/** A page of results. */
export interface Page<out R> {
  /** The results, in the query's order. */
  readonly items: R[];
  /** Pass it as `after` to read the page behind; undefined if there is none. */
  readonly next: string | undefined;
  /** Pass it as `before` to read the page before; undefined if there is none. */
  readonly previous: string | undefined;
  /** There is a page behind. */
  readonly hasNext: boolean;
  /** There is a page before. */
  readonly hasPrevious: boolean;
}

/** Rows as a statement gave them. */
export interface FetchedRows {
  /** The rows. */
  readonly rows: WireRow[];
  /** Their columns. */
  readonly columns: readonly DriverColumn[];
}

/** How a page is read. */
export interface PageSource<R> {
  /** The query, without its page. */
  readonly select: SelectNode;
  /** The entity whose key completes the order; absent: the query's order alone has to do. */
  readonly key: Mapper | undefined;
  /** The database's spelling. */
  readonly dialect: Dialect;
  /** Runs a statement. */
  fetch(select: SelectNode): Promise<FetchedRows>;
  /** Makes results of rows that have the query's columns only. */
  build(rows: WireRow[], columns: readonly DriverColumn[]): Promise<R[]> | R[];
}

/** Reads a page. */
export async function readPage<R>(source: PageSource<R>, options: PageOptions): Promise<Page<R>> {
  const { select, dialect } = source;
  const { size, after, before } = checkOptions(select, options);
  const order = completeOrder(select, source.key);
  const back = before !== undefined;
  const mark = orderMark(select, order, dialect);
  const token = back ? before : after;
  const terms = back ? order.map(reversed) : order;
  const from = token === undefined ? undefined : readToken(token, mark, terms.length);
  const { rows, columns } = await source.fetch(
    pageSelect(select, terms, from, size + 1, dialect),
  );
  const more = rows.length > size;
  if (more) rows.pop();
  if (back) rows.reverse();
  const width = select.columns.length;
  const items = await source.build(rows.map((row) => row.slice(0, width)), columns);
  const hasNext = back || more;
  const hasPrevious = back ? more : after !== undefined;
  const tokenAt = (row: WireRow | undefined): string | undefined =>
    row === undefined ? undefined : writeToken(mark, row.slice(width));
  return {
    items,
    next: hasNext ? tokenAt(rows.at(-1)) : undefined,
    previous: hasPrevious ? tokenAt(rows[0]) : undefined,
    hasNext: hasNext && rows.length > 0,
    hasPrevious: hasPrevious && rows.length > 0,
  };
}

function checkOptions(select: SelectNode, given: PageOptions): PageOptions {
  if (typeof given !== "object" || given === null) {
    throw new InputError(`page() takes its options, found ${describe(given)}`, {
      hint: "Write it as page({ size: 20, after: token })",
    });
  }
  const options = withoutPrototype(given);
  for (const name of Object.keys(options)) {
    checkWord("An option of page()", name, ["size", "after", "before"]);
  }
  checkCount("The size of page()", options.size, 1);
  if (options.after !== undefined && options.before !== undefined) {
    throw new InputError("page() takes either after or before");
  }
  if (select.limit !== undefined || select.offset !== undefined) {
    throw new InputError("page() takes a query without limit() and offset()", {
      hint: "Leave them out; the page's size is its limit",
    });
  }
  return options;
}

/** The query's order, and the key's columns that are not in it. */
function completeOrder(select: SelectNode, key: Mapper | undefined): OrderNode[] {
  const order = [...select.orderBy];
  for (const { defined } of key?.primaryKey ?? []) {
    const node = columnRef(defined, select.from as TableSource);
    const there = order.some(({ term }) =>
      term.kind === "column" && term.source === select.from && term.name === defined.name
    );
    if (!there) order.push(node.asc()[nodeOf]);
  }
  if (order.length > 0) return order;
  throw new InputError("page() needs an order, and this query has none", {
    hint: "Add .orderBy() by columns that together are different in every row",
  });
}

function nullsLast({ nulls, descending }: OrderNode): boolean {
  return nulls === undefined ? !descending : nulls === "last";
}

function reversed(order: OrderNode): OrderNode {
  return { ...order, descending: !order.descending, nulls: nullsLast(order) ? "first" : "last" };
}

/** The statement for a page; behind the query's columns are the values it is sorted by. */
function pageSelect(
  select: SelectNode,
  terms: readonly OrderNode[],
  from: WireRow | undefined,
  limit: number,
  dialect: Dialect,
): SelectNode {
  const columns = [...select.columns, ...terms.map(({ term }) => term)];
  const page = { ...select, columns, orderBy: terms, limit };
  if (from === undefined) return page;
  const behind = condition(select, terms, from, dialect);
  const both = (given: Node | undefined): Node =>
    given === undefined ? behind : { kind: "logical", operator: "and", terms: [given, behind] };
  // Groups are sorted by what is known only of the group.
  return select.groupBy === undefined
    ? { ...page, where: both(select.where) }
    : { ...page, having: both(select.having) };
}

const never: Node = { kind: "raw", parts: ["1 = 0"] };

/** `(a, b) > (x, y)`, with directions and nulls of their own for each. */
function condition(
  select: SelectNode,
  terms: readonly OrderNode[],
  from: WireRow,
  dialect: Dialect,
): Node {
  const values = terms.map(({ term }, i): Node => ({
    kind: "wire",
    wire: from[i]!,
    type: typeOf(term),
  }));
  const required = ({ term }: OrderNode): boolean =>
    term.kind === "column" && !term.nullable && term.source === select.from;
  const alike = terms.every((term) =>
    required(term) && term.descending === terms[0]!.descending && dialect.name === "postgres"
  );
  // As a whole, so that an index over all of them is used.
  if (alike && terms.length > 1) {
    const list = (nodes: readonly Node[]): (string | Node)[] =>
      nodes.flatMap((node, i) => i === 0 ? [node] : [", ", node]);
    return {
      kind: "raw",
      parts: [
        "(",
        ...list(terms.map(({ term }) => term)),
        `) ${terms[0]!.descending ? "<" : ">"} (`,
        ...list(values),
        ")",
      ],
    };
  }
  let result: Node | undefined;
  for (let i = terms.length - 1; i >= 0; i--) {
    const order = terms[i]!;
    const { term } = order;
    const isNull = from[i] === null;
    const compare = (operator: BinaryOperator): Node => ({
      kind: "binary",
      operator,
      left: term,
      right: values[i]!,
    });
    const nullTest = (negated: boolean): Node => ({ kind: "nullTest", term, negated });
    const behind = isNull
      ? (nullsLast(order) ? never : nullTest(true))
      : nullsLast(order) && !required(order)
      ? logical("or", compare(order.descending ? "<" : ">"), nullTest(false))
      : compare(order.descending ? "<" : ">");
    const same = isNull ? nullTest(false) : compare("=");
    result = result === undefined ? behind : logical("or", behind, logical("and", same, result));
  }
  return result!;
}

function logical(operator: "and" | "or", ...terms: Node[]): Node {
  return { kind: "logical", operator, terms };
}

// --- tokens ---------------------------------------------------------------------------------------

/** What tells a token of one order from that of another. */
function orderMark(select: SelectNode, order: readonly OrderNode[], dialect: Dialect): string {
  const { from, joins } = select;
  const { text } = dialect.compile({
    kind: "select",
    columns: order.map(({ term }) => term),
    from,
    joins,
    where: undefined,
    orderBy: order,
    limit: undefined,
    offset: undefined,
    lock: undefined,
  });
  return hash(text);
}

function writeToken(mark: string, wires: readonly WireValue[]): string {
  const body = JSON.stringify(wires.map((wire) => {
    if (wire instanceof Uint8Array) return { bytes: Array.from(wire) };
    return typeof wire === "bigint" ? { int: String(wire) } : wire;
  }));
  const bytes = new TextEncoder().encode(`${hash(mark + body)}${mark}${body}`);
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

const MARK = 11;
const MAX_TOKEN = 65_536;

/** The values in a token. A token of another order, or one that was changed, is refused. */
function readToken(token: unknown, mark: string, length: number): WireRow {
  const wires = typeof token === "string" && token.length <= MAX_TOKEN
    ? wiresIn(token, mark)
    : undefined;
  if (wires?.length === length) return wires;
  throw new InputError("page() was given a token that is not of this query", {
    hint:
      "Pass the next or previous of a page of the same query, in the same order, as it was given",
  });
}

function wiresIn(token: string, mark: string): WireRow | undefined {
  try {
    const binary = atob(token.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(binary, (char) => char.charCodeAt(0));
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    const body = text.slice(2 * MARK);
    if (text.slice(MARK, 2 * MARK) !== mark || text.slice(0, MARK) !== hash(mark + body)) {
      return undefined;
    }
    const parsed: unknown = JSON.parse(body);
    if (!Array.isArray(parsed)) return undefined;
    return parsed.map(wireOf);
  } catch {
    return undefined;
  }
}

function wireOf(part: unknown): WireValue {
  if (part === null || typeof part === "string" || typeof part === "number") return part;
  const { int, bytes } = part as { int?: unknown; bytes?: unknown };
  if (typeof int === "string") return BigInt(int);
  if (Array.isArray(bytes)) return Uint8Array.from(bytes as number[]);
  throw new TypeError("No wire value");
}

/** 53 bits (cyrb53), as 11 characters: it tells mistakes, and is no secret. */
function hash(text: string): string {
  let a = 0xdeadbeef;
  let b = 0x41c6ce57;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    a = Math.imul(a ^ code, 2654435761);
    b = Math.imul(b ^ code, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return (4294967296 * (2097151 & b) + (a >>> 0)).toString(36).padStart(MARK, "0");
}
