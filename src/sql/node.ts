/**
 * The statement tree: plain immutable values. They know neither how to spell themselves nor how
 * to run; `dialect/compiler.ts` spells them, the engine runs them.
 *
 * @module
 */

import type { TypeName, TypeRef, WireValue } from "./wire.ts";

/**
 * The key under which a value carries its node. A symbol of our own, so that nothing parsed from
 * JSON can pass for SQL structure.
 */
export const nodeOf: unique symbol = Symbol("sluice.node");

/** Anything that carries a node: expressions, `sql` fragments, entity classes, queries. */
export interface HasNode {
  /**
   * The node.
   *
   * @internal
   */
  readonly [nodeOf]: Node;
}

/** A table in a FROM clause. Identity matters: two sources of one table are two aliases. */
export interface TableSource {
  /** Tells sources from other nodes. */
  readonly kind: "table";
  /** The schema, if the table is qualified. */
  readonly schema: string | undefined;
  /** The table's name. */
  readonly name: string;
  /**
   * How a to-one relation leads here: the compiler joins it when a column is asked for. A `part` is
   * no relation but more of the parent's own row, in the table of a joined subclass.
   */
  readonly via?: { readonly parent: Source; readonly on: Node; readonly part?: true };
  /** Conditions that its rows meet wherever it is read, unless the statement says otherwise. */
  readonly filters?: readonly SourceFilter[];
}

/** A condition that the rows of a source meet, under a name by which it is switched off. */
export interface SourceFilter {
  /** Its name. */
  readonly name: string;
  /** The condition on the columns of a source. */
  on(source: TableSource): Node;
}

/** A subquery in a FROM clause. Its columns are `c0`, `c1`, … */
export interface DerivedSource {
  /** Tells sources from other nodes. */
  readonly kind: "derived";
  /** The subquery. */
  readonly query: QueryNode;
  /** It refers to what stands before it in the FROM clause. */
  readonly lateral: boolean;
}

/** A use of a common table expression in a FROM clause. */
export interface CteSource {
  /** Tells sources from other nodes. */
  readonly kind: "cteSource";
  /** Which one. */
  readonly cte: CteNode;
}

/** What can stand in a FROM clause. */
export type Source = TableSource | DerivedSource | CteSource;

/** `with … as (…)`: identity matters, each is spelled once a statement. */
export interface CteNode {
  /** Discriminator. */
  readonly kind: "cte";
  /** Its statement; for a recursive one the first part. */
  readonly statement: QueryNode | WriteNode;
  /** How many columns it has. */
  readonly width: number;
  /** The part that refers to the CTE itself, and whether equal rows are kept. */
  readonly step: { readonly query: QueryNode; readonly all: boolean } | undefined;
}

/** A column of a source. */
export interface ColumnNode {
  /** Discriminator. */
  readonly kind: "column";
  /** The source it belongs to. */
  readonly source: Source;
  /** The column's name in the database. */
  readonly name: string;
  /** Its type; absent where only the database knows it. */
  readonly type: TypeRef | undefined;
  /** It can be null. */
  readonly nullable: boolean;
  /** Its name in messages: `authors.name`. */
  readonly label: string;
}

/** A bound value. */
export interface ValueNode {
  /** Discriminator. */
  readonly kind: "value";
  /** The JavaScript value, or a `Parameter`; encoded when compiled. */
  readonly value: unknown;
  /** The type it is encoded by; absent: by its JavaScript type. */
  readonly type: TypeRef | undefined;
  /** Its name in messages. */
  readonly label: string;
}

/** A bound value in its wire form. */
export interface WireNode {
  /** Discriminator. */
  readonly kind: "wire";
  /** The value. */
  readonly wire: WireValue;
  /** Its type. */
  readonly type: TypeRef | undefined;
}

/** Operators that stand between two operands. */
export type BinaryOperator = "=" | "<>" | "<" | "<=" | ">" | ">=";

/** `left operator right`. */
export interface BinaryNode {
  /** Discriminator. */
  readonly kind: "binary";
  /** The operator. */
  readonly operator: BinaryOperator;
  /** Left operand. */
  readonly left: Node;
  /** Right operand. */
  readonly right: Node;
}

/** `a and b and …`, flat however it was built, so that long chains do not nest. */
export interface LogicalNode {
  /** Discriminator. */
  readonly kind: "logical";
  /** Which of the two. */
  readonly operator: "and" | "or";
  /** Two or more terms. */
  readonly terms: readonly Node[];
}

/** `not (…)`. */
export interface NotNode {
  /** Discriminator. */
  readonly kind: "not";
  /** What is negated. */
  readonly term: Node;
}

/** `… is [not] null`. */
export interface NullTestNode {
  /** Discriminator. */
  readonly kind: "nullTest";
  /** What is tested. */
  readonly term: Node;
  /** `is not null`. */
  readonly negated: boolean;
}

/** `… [not] in` a list of values, bound as one array, or a subquery. */
export interface InNode {
  /** Discriminator. */
  readonly kind: "in";
  /** What is looked for. */
  readonly term: Node;
  /** The values, a `Parameter` for them, or the subquery. */
  readonly list: readonly unknown[] | { readonly parameter: unknown } | QueryNode;
  /** How the values are encoded. */
  readonly type: TypeRef | undefined;
  /** Its name in messages. */
  readonly label: string;
  /** `not in`. */
  readonly negated: boolean;
}

/** `… like …`, with `\` as the escape character. */
export interface LikeNode {
  /** Discriminator. */
  readonly kind: "like";
  /** What is matched. */
  readonly term: Node;
  /** The pattern. */
  readonly pattern: Node;
  /** Ignore case (`ilike`). */
  readonly insensitive: boolean;
}

/** The functions and operators that the dialects spell. */
export type FunctionName =
  | "add"
  | "subtract"
  | "multiply"
  | "divide"
  | "modulo"
  | "negate"
  | "abs"
  | "round"
  | "ceil"
  | "floor"
  | "concat"
  | "lower"
  | "upper"
  | "length"
  | "trim"
  | "substring"
  | "replace"
  | "position"
  | "coalesce"
  | "nullif"
  | "greatest"
  | "least"
  | "now"
  | "extract"
  | "dateTrunc"
  | "cast"
  | "jsonAt"
  | "jsonText"
  | "jsonContains"
  | "jsonHasKey"
  | "jsonLength"
  | "jsonObject"
  | "arrayContains"
  | "arrayContainedBy"
  | "arrayOverlaps"
  | "arrayLength"
  | "arrayAny"
  | "textMatches"
  | "textRank";

/** A function or operator of the database. */
export interface FunctionNode {
  /** Discriminator. */
  readonly kind: "function";
  /** Which one. */
  readonly name: FunctionName;
  /** Its arguments. */
  readonly args: readonly Node[];
  /** The type of its value. */
  readonly type: TypeRef | undefined;
  /** A checked word: the field of `extract`, the unit of `dateTrunc`, … */
  readonly word?: string;
  /** The elements of a JSON path. */
  readonly path?: readonly (string | number)[];
  /** The names of the arguments. */
  readonly names?: readonly string[];
}

/** The aggregate and window functions that the dialects spell. */
export type AggregateName =
  | "count"
  | "sum"
  | "avg"
  | "min"
  | "max"
  | "stringAgg"
  | "arrayAgg"
  | "jsonAgg"
  | "every"
  | "some"
  | "rowNumber"
  | "rank"
  | "denseRank"
  | "percentRank"
  | "cumeDist"
  | "ntile"
  | "lag"
  | "lead"
  | "firstValue"
  | "lastValue";

/** Where a window frame begins or ends. */
export type FrameBound =
  | "unboundedPreceding"
  | "currentRow"
  | "unboundedFollowing"
  | { readonly preceding: number }
  | { readonly following: number };

/** `over (…)`. */
export interface WindowNode {
  /** Rows are windows of those with equal values. */
  readonly partitionBy: readonly Node[];
  /** Their order. */
  readonly orderBy: readonly OrderNode[];
  /** Which of them, seen from the row. */
  readonly frame:
    | {
      readonly mode: "rows" | "range" | "groups";
      readonly from: FrameBound;
      readonly to: FrameBound;
    }
    | undefined;
}

/** `sum(distinct x order by y) filter (where …) over (…)`. */
export interface AggregateNode {
  /** Discriminator. */
  readonly kind: "aggregate";
  /** Which one. */
  readonly name: AggregateName;
  /** Its arguments. */
  readonly args: readonly Node[];
  /** The type of its value. */
  readonly type: TypeRef | undefined;
  /** Equal values count once. */
  readonly distinct: boolean;
  /** The order in which values are taken. */
  readonly orderBy: readonly OrderNode[];
  /** Only these rows. */
  readonly filter: Node | undefined;
  /** The window; absent: the group. */
  readonly over: WindowNode | undefined;
}

/** `case when … then … else … end`. */
export interface CaseNode {
  /** Discriminator. */
  readonly kind: "case";
  /** Conditions and values. */
  readonly whens: readonly (readonly [Node, Node])[];
  /** The value where none holds; absent: null. */
  readonly otherwise: Node | undefined;
  /** The type of its value. */
  readonly type: TypeRef | undefined;
}

/** An expression of which we say what type it has. */
export interface TypedNode {
  /** Discriminator. */
  readonly kind: "typed";
  /** The expression. */
  readonly term: Node;
  /** Its type. */
  readonly type: TypeRef;
}

/** Trusted text and nodes in between: what the `sql` tag makes. */
export interface RawNode {
  /** Discriminator. */
  readonly kind: "raw";
  /** Strings are trusted SQL text. */
  readonly parts: readonly (string | Node)[];
}

/** A quoted name. */
export interface IdentifierNode {
  /** Discriminator. */
  readonly kind: "identifier";
  /** The name, unquoted. */
  readonly name: string;
}

/** `[not] exists (select …)`. */
export interface ExistsNode {
  /** Discriminator. */
  readonly kind: "exists";
  /** The subquery. */
  readonly select: QueryNode;
}

/** A subquery that stands where a value stands. */
export interface ScalarNode {
  /** Discriminator. */
  readonly kind: "scalar";
  /** The subquery. */
  readonly select: QueryNode;
}

/** One term of an ORDER BY. */
export interface OrderNode {
  /** Discriminator. */
  readonly kind: "order";
  /** What is sorted by. */
  readonly term: Node;
  /** Descending. */
  readonly descending: boolean;
  /** Where nulls go; absent: the largest value, on every database. */
  readonly nulls: "first" | "last" | undefined;
}

/** A row lock. */
export interface LockNode {
  /** How strong. */
  readonly strength: "update" | "share";
  /** What to do with rows that are locked already; absent: wait. */
  readonly wait: "skipLocked" | "noWait" | undefined;
}

/** `join … on …`. */
export interface JoinNode {
  /** Whether rows without a partner stay. */
  readonly kind: "inner" | "left";
  /** What is joined. */
  readonly source: Source;
  /** The condition; absent: every pair. */
  readonly on: Node | undefined;
}

/** `select …`. */
export interface SelectNode {
  /** Discriminator. */
  readonly kind: "select";
  /** What is selected. */
  readonly columns: readonly Node[];
  /** From where. */
  readonly from: Source | undefined;
  /** Filters, by name, that do not apply to it and what is inside it. */
  readonly unfiltered?: readonly string[] | undefined;
  /** What is joined to it. */
  readonly joins?: readonly JoinNode[] | undefined;
  /** The condition. */
  readonly where: Node | undefined;
  /** What groups are made by. */
  readonly groupBy?: readonly Node[] | undefined;
  /** The condition on groups. */
  readonly having?: Node | undefined;
  /** Equal rows once; with nodes: the first row for each of their values. */
  readonly distinct?: true | readonly Node[] | undefined;
  /** The order. */
  readonly orderBy: readonly OrderNode[];
  /** At most so many rows; a `Parameter` or a number. */
  readonly limit: number | { readonly parameter: unknown } | undefined;
  /** Without the first so many. */
  readonly offset: number | { readonly parameter: unknown } | undefined;
  /** Lock the rows. */
  readonly lock: LockNode | undefined;
}

/** `… union …`. */
export interface CompoundNode {
  /** Discriminator. */
  readonly kind: "compound";
  /** How rows are put together. */
  readonly operator: "union" | "union all" | "intersect" | "except";
  /** Of which queries. */
  readonly queries: readonly QueryNode[];
}

/** What gives rows. */
export type QueryNode = SelectNode | CompoundNode;

/** A column that is written. */
export interface WrittenColumn {
  /** Its name in the database. */
  readonly name: string;
  /** Its name in messages. */
  readonly label: string;
}

/** `insert into …`. */
export interface InsertNode {
  /** Discriminator. */
  readonly kind: "insert";
  /** Into which table. */
  readonly into: TableSource;
  /** Which columns. */
  readonly columns: readonly WrittenColumn[];
  /** The rows; an absent value is the column's default. */
  readonly rows: readonly (readonly (Node | undefined)[])[] | QueryNode;
  /** What to do with a row that is there already. */
  readonly onConflict:
    | {
      readonly target: readonly string[];
      readonly update: readonly string[];
      /** A column that counts the changes. */
      readonly counter?: string | undefined;
    }
    | undefined;
  /** What is given back. */
  readonly returning: readonly Node[];
}

/** `update … set …`. */
export interface UpdateNode {
  /** Discriminator. */
  readonly kind: "update";
  /** Which table. */
  readonly table: TableSource;
  /** What is set. */
  readonly set: readonly (readonly [WrittenColumn, Node])[];
  /** Which rows. */
  readonly where: Node | undefined;
  /** Filters, by name, that do not apply to it and what is inside it. */
  readonly unfiltered?: readonly string[] | undefined;
  /** What is given back. */
  readonly returning: readonly Node[];
}

/** `delete from …`. */
export interface DeleteNode {
  /** Discriminator. */
  readonly kind: "delete";
  /** Which table. */
  readonly table: TableSource;
  /** Which rows. */
  readonly where: Node | undefined;
  /** Filters, by name, that do not apply to it and what is inside it. */
  readonly unfiltered?: readonly string[] | undefined;
  /** What is given back. */
  readonly returning: readonly Node[];
}

/** What changes rows. */
export type WriteNode = InsertNode | UpdateNode | DeleteNode;

/** Any node. */
export type Node =
  | Source
  | ColumnNode
  | ValueNode
  | WireNode
  | BinaryNode
  | LogicalNode
  | NotNode
  | NullTestNode
  | InNode
  | LikeNode
  | FunctionNode
  | AggregateNode
  | CaseNode
  | TypedNode
  | RawNode
  | IdentifierNode
  | ExistsNode
  | ScalarNode
  | OrderNode
  | QueryNode
  | WriteNode;

/** The node a value carries, if it carries one. */
export function nodeIn(value: unknown): Node | undefined {
  if ((typeof value !== "object" || value === null) && typeof value !== "function") {
    return undefined;
  }
  // Asked before it is read: a proxy that answers every name carries nothing.
  return nodeOf in value ? (value as HasNode)[nodeOf] : undefined;
}

/** The type of an expression's value, as far as we know it. */
export function typeOf(node: Node): TypeRef | undefined {
  switch (node.kind) {
    case "column":
    case "value":
    case "wire":
    case "function":
    case "aggregate":
    case "case":
    case "typed":
      return node.type;
    case "binary":
    case "logical":
    case "not":
    case "nullTest":
    case "in":
    case "like":
    case "exists":
      return "boolean";
    case "scalar":
      return typeOf(columnsOf(node.select)[0]!);
    case "order":
      return typeOf(node.term);
    default:
      return undefined;
  }
}

/** The columns a query gives. */
export function columnsOf(query: QueryNode): readonly Node[] {
  let first = query;
  while (first.kind === "compound") first = first.queries[0]!;
  return first.columns;
}

/** The name of a type as users know it; undefined for what only the database knows. */
export function typeNameOf(type: TypeRef | undefined): TypeName | "array" | string | undefined {
  if (type === undefined || typeof type === "string") return type;
  if ("arrayOf" in type) return "array";
  return "name" in type ? type.name : "json";
}
