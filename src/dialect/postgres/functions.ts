/** PostgreSQL's spelling of functions. @module */

import type { FunctionNode } from "../../sql/node.ts";
import { arrayLiteral } from "../../schema/postgres_array.ts";
import {
  aggregateNamed,
  type Aggregates,
  commonAggregates,
  commonFunctions,
  type Functions,
  infix,
  named,
  type Spelling,
} from "../functions.ts";
import { resolveType } from "../type_names.ts";

const fields: Readonly<Record<string, string>> = { dayOfWeek: "dow", dayOfYear: "doy" };

/** Without it, the session's time zone would decide what a day is. */
function inUtc(value: string, spelling: Spelling): string {
  const type = spelling.typeName(0);
  return type === "timestamptz" || type === "instant" ? `${value} at time zone 'UTC'` : value;
}

function path({ path = [] }: FunctionNode, spelling: Spelling): string {
  return `${spelling.bind(arrayLiteral(path.map(String)))}::text[]`;
}

/** Types that JSON holds as they are. */
const AS_IS = new Set(["smallint", "integer", "boolean", "json"]);
/** Types whose cast to text gives what they are printed as. */
const AS_TEXT = new Set([
  ...["text", "varchar", "oneOf", "uuid", "bytes", "array"],
  ...["bigint", "numeric", "real", "double"],
  ...["date", "time", "timestamp", "timestamptz", "instant", "plainDate", "plainDateTime"],
  "interval",
]);

/** What a value becomes inside of JSON: what that cannot hold exactly is there as printed. */
function jsonElement(value: string, typeName: string | undefined): string {
  if (typeName === undefined || AS_IS.has(typeName)) return value;
  if (AS_TEXT.has(typeName)) return `${value}::text`;
  // The cast of a type such as inet says more than its text on the wire; concat() prints.
  return `case when ${value} is not null then concat(${value}) end`;
}

function document(columns: readonly string[], config: string): string {
  const text = columns.map((column) => `coalesce(${column}, '')`).join(" || ' ' || ");
  return `to_tsvector('${config}', ${text})`;
}

/** PostgreSQL's functions. */
export const postgresFunctions: Functions = {
  ...commonFunctions,
  round: ([value, places], { type }) => {
    const rounded = `round(${value}::numeric, ${places})`;
    return type === undefined ? rounded : `${rounded}::${resolveType(type).cast.postgres}`;
  },
  ceil: named("ceil"),
  floor: named("floor"),
  position: named("strpos"),
  greatest: named("greatest"),
  least: named("least"),
  now: () => "now()",
  extract: ([value], { word = "" }, spelling) =>
    `extract(${fields[word] ?? word} from ${inUtc(value!, spelling)})::double precision`,
  dateTrunc: ([value], { word }, spelling) => {
    const type = spelling.typeName(0);
    if (type === "date" || type === "plainDate") {
      return `date_trunc('${word}', ${value}::timestamp)::date`;
    }
    return type === "timestamptz" || type === "instant"
      ? `date_trunc('${word}', ${value}, 'UTC')`
      : `date_trunc('${word}', ${value})`;
  },
  cast: ([value], { type }) => `cast(${value} as ${resolveType(type!).cast.postgres})`,
  jsonAt: ([value], node, spelling) => `(${value} #> ${path(node, spelling)})`,
  jsonText: ([value], node, spelling) => `(${value} #>> ${path(node, spelling)})`,
  jsonContains: infix("@>"),
  jsonHasKey: ([value], { path }, spelling) =>
    `(${value} ? ${spelling.bind(String(path![0]))}::text)`,
  jsonLength: named("jsonb_array_length"),
  jsonObject: (args, { names }, spelling) =>
    `jsonb_build_object(${
      args.map((arg, i) =>
        `${spelling.bind(names![i]!)}::text, ${jsonElement(arg, spelling.typeName(i))}`
      ).join(", ")
    })`,
  arrayContains: infix("@>"),
  arrayContainedBy: infix("<@"),
  arrayOverlaps: infix("&&"),
  arrayLength: named("cardinality"),
  arrayAny: ([array, value]) => `(${value} = any(${array}))`,
  textMatches: ([query, ...columns], { word }) =>
    `(${document(columns, word!)} @@ websearch_to_tsquery('${word}', ${query}))`,
  textRank: ([query, ...columns], { word }) =>
    `ts_rank(${document(columns, word!)}, websearch_to_tsquery('${word}', ${query}))`,
};

/** PostgreSQL's aggregates. */
export const postgresAggregates: Aggregates = {
  ...commonAggregates,
  stringAgg: aggregateNamed("string_agg"),
  arrayAgg: aggregateNamed("array_agg"),
  jsonAgg: aggregateNamed("jsonb_agg"),
  every: aggregateNamed("bool_and"),
  some: aggregateNamed("bool_or"),
};
