/** Reading what `copyOut()` writes in COPY's own text format. */

import type { AsyncEngine } from "@sluice/orm";

const ESCAPES: Readonly<Record<string, string>> = {
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};

/** The fields of every row; null where there is none. */
export async function copiedFields(
  engine: AsyncEngine,
  query: Parameters<AsyncEngine["copyOut"]>[0],
): Promise<(string | null)[][]> {
  const copied = await new Response(engine.copyOut(query, { format: "text" })).text();
  return copied.split("\n").slice(0, -1).map((line) =>
    line.split("\t").map((field) =>
      field === "\\N" ? null : field.replace(/\\(.)/g, (_, c) => ESCAPES[c] ?? c)
    )
  );
}
