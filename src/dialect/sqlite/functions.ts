/** SQLite's spelling of functions. @module */

import type { FunctionNode } from "../../sql/node.ts";
import type { TypeRef } from "../../sql/wire.ts";
import {
  aggregateNamed,
  type Aggregates,
  commonAggregates,
  commonFunctions,
  type Functions,
  type SpellFunction,
  unsupported,
  unsupportedError,
} from "../functions.ts";
import { resolveType } from "../type_names.ts";

/** `strftime` for fields that it knows as they are. */
const formats: Readonly<Record<string, string>> = {
  year: "%Y",
  month: "%m",
  week: "%V",
  day: "%d",
  dayOfWeek: "%w",
  dayOfYear: "%j",
  hour: "%H",
  minute: "%M",
};

/** What is left of a moment cut down to a unit; `%Y-%m-%d` is the day. */
const units: Readonly<Record<string, string>> = {
  year: "%Y-01-01T00:00:00",
  month: "%Y-%m-01T00:00:00",
  day: "%Y-%m-%dT00:00:00",
  week: "%Y-%m-%dT00:00:00",
  hour: "%Y-%m-%dT%H:00:00",
  minute: "%Y-%m-%dT%H:%M:00",
  second: "%Y-%m-%dT%H:%M:%S",
};

const extract: SpellFunction = ([value], { word = "" }) => {
  switch (word) {
    case "second":
      return `cast(strftime('%f', ${value}) as real)`;
    case "epoch":
      return `unixepoch(${value}, 'subsec')`;
    case "quarter":
      return `((cast(strftime('%m', ${value}) as integer) + 2) / 3)`;
    default:
      return `cast(strftime('${formats[word]}', ${value}) as integer)`;
  }
};

const dateTrunc: SpellFunction = ([value], { word = "" }, spelling) => {
  const type = spelling.typeName(0);
  const day = type === "date" || type === "plainDate";
  const zone = type === "timestamptz" || type === "instant" ? ".000Z" : "";
  const format = (text: string): string => day ? text.slice(0, text.indexOf("T")) : text + zone;
  if (word === "quarter") {
    const months = `-((strftime('%m', ${value}) - 1) % 3)`;
    return `strftime('${
      format(units.month!)
    }', ${value}, 'start of month', ${months} || ' months')`;
  }
  // The Monday on or before: six days back, then on to the next Monday.
  const week = word === "week" ? `, '-6 days', 'weekday 1'` : "";
  return `strftime('${format(units[word]!)}', ${value}${week})`;
};

/** `$."key"[0]`, as one bound value; the keys are always quoted. */
function path({ path = [] }: FunctionNode): string {
  let text = "$";
  for (const element of path) {
    if (typeof element === "number") text += element < 0 ? `[#${element}]` : `[${element}]`;
    else text += `."${plainKey(element)}"`;
  }
  return text;
}

/** SQLite knows no way to write these inside of a path. */
function plainKey(key: string): string {
  for (let i = 0; i < key.length; i++) {
    const code = key.charCodeAt(i);
    if (code < 32 || code === 34 || code === 92) {
      throw unsupportedError(
        `A JSON key with quotes, backslashes or control characters`,
        "Read the whole column and look the key up in JavaScript",
      );
    }
  }
  return key;
}

function isNumeric(type: TypeRef | undefined): boolean {
  return type !== undefined && resolveType(type).name === "numeric";
}

/** The largest or smallest value; SQLite's own `max(a, b)` is null as soon as one is. */
function extreme(name: "max" | "min"): SpellFunction {
  return (args) =>
    args.length === 1
      ? args[0]!
      : `(select ${name}(v) from (select ${args[0]} as v${
        args.slice(1).map((arg) => ` union all select ${arg}`).join("")
      }))`;
}

/** What a value of a type becomes inside of JSON, in the notation of `schema/array_type.ts`. */
function jsonElement(value: string, typeName: string | undefined): string {
  switch (typeName) {
    case "array":
    case "json":
      return `json(${value})`;
    case "bigint":
      return `cast(${value} as text)`;
    case "bytes":
      // The hex of null is empty.
      return `iif(${value} is null, null, '\\x' || lower(hex(${value})))`;
    default:
      return value;
  }
}

/** SQLite's functions. */
export const sqliteFunctions: Functions = {
  ...commonFunctions,
  // Whole numbers are divided without a remainder, which decimal numbers are not.
  divide: ([left, right], { type }) =>
    isNumeric(type) ? `(1.0 * ${left} / ${right})` : `(${left} / ${right})`,
  modulo: (args, { type }) => {
    if (isNumeric(type)) {
      throw unsupportedError("mod() of numeric values", "Compute it in JavaScript");
    }
    return `(${args[0]} % ${args[1]})`;
  },
  round: ([value, places]) => `round(${value}, ${places})`,
  ceil: ([value]) => `(cast(${value} as integer) + (${value} > cast(${value} as integer)))`,
  floor: ([value]) => `(cast(${value} as integer) - (${value} < cast(${value} as integer)))`,
  position: ([text, part]) => `instr(${text}, ${part})`,
  greatest: extreme("max"),
  least: extreme("min"),
  now: () => "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')",
  extract,
  dateTrunc,
  cast: ([value], { type }) => `cast(${value} as ${resolveType(type!).cast.sqlite})`,
  jsonAt: ([value], node, spelling) => `(${value} -> ${spelling.bind(path(node))})`,
  jsonText: ([value], node, spelling) => {
    const at = spelling.bind(path(node));
    // As PostgreSQL writes them; SQLite has no booleans but 0 and 1.
    return `case json_type(${value}, ${at}) when 'true' then 'true' when 'false' then 'false' ` +
      `else cast(${value} ->> ${at} as text) end`;
  },
  jsonContains: unsupported("contains() of JSON", "Compare its parts with text(key).eq(value)"),
  jsonHasKey: ([value], node, spelling) =>
    `(json_type(${value}, ${spelling.bind(path(node))}) is not null)`,
  jsonLength: ([value]) => `json_array_length(${value})`,
  jsonObject: (args, { names }, spelling) =>
    `json_object(${
      args.map((arg, i) =>
        `${spelling.bind(names![i]!)}, ${jsonElement(arg, spelling.typeName(i))}`
      ).join(", ")
    })`,
  arrayContains: unsupported("contains() of arrays", "Use hasElement() for each, with and()"),
  arrayContainedBy: unsupported("containedBy()", "Compare in JavaScript"),
  arrayOverlaps: unsupported("overlaps()", "Use hasElement() for each, with or()"),
  arrayLength: ([value]) => `json_array_length(${value})`,
  arrayAny: ([array, value]) =>
    `exists (select 1 from json_each(${array}) as e where e.value = ${value})`,
  textMatches: unsupported("matches()", "Use contains(), or an FTS5 table and the sql tag"),
  textRank: unsupported("textRank()", "Use an FTS5 table and the sql tag"),
};

/** SQLite's aggregates. */
export const sqliteAggregates: Aggregates = {
  ...commonAggregates,
  stringAgg: ([value, separator], tail, { distinct }) => {
    if (distinct) {
      throw unsupportedError("stringAgg().distinct()", "Aggregate a query made distinct()");
    }
    return `group_concat(${value}, ${separator}${tail})`;
  },
  arrayAgg: ([value], tail, { distinct }, spelling) => {
    const type = spelling.typeName(0);
    // A JSON value is text in an array, as PostgreSQL's arrays have it.
    const element = type === "json" ? value! : jsonElement(value!, type);
    return `json_group_array(${distinct ? "distinct " : ""}${element}${tail})`;
  },
  jsonAgg: ([value], tail, { distinct }, spelling) => {
    const json = spelling.typeName(0) === "json" ? `json(${value})` : value;
    return `json_group_array(${distinct ? "distinct " : ""}${json}${tail})`;
  },
  every: aggregateNamed("min"),
  some: aggregateNamed("max"),
};
