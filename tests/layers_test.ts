/**
 * The architecture as a test: which folder of `src/` may import from which, and no cycles. A
 * folder's reach is written out below; `errors.ts` and `util/` are open to all.
 */

import { assertEquals } from "@std/assert";

/** What each folder may import from, beside itself, `errors.ts` and `util`. */
const REACH: Record<string, readonly string[]> = {
  "errors.ts": [],
  util: [],
  pool: [],
  sql: [],
  schema: ["sql"],
  dialect: ["schema", "sql"],
  engine: ["dialect", "pool", "schema", "sql"],
  mapper: ["dialect", "schema", "sql"],
  unit_of_work: ["mapper", "engine", "dialect", "schema", "sql"],
  loading: ["unit_of_work", "mapper", "engine", "dialect", "schema", "sql"],
  session: ["loading", "unit_of_work", "mapper", "engine", "dialect", "pool", "schema", "sql"],
};
// The top: it may use everything.
REACH.server = ["session", ...REACH.session!];

/** A file of `src/` by its path from there, and its text. */
interface Source {
  path: string;
  text: string;
}

/** One import or re-export, types included, static or dynamic. */
interface Import {
  specifier: string;
  line: number;
}

/** Comments and the inside of templates, where a word `import` says nothing, are blanked. */
function blank(text: string): string {
  const hidden = /\/\*[^]*?\*\/|(?<![:"'`\w])\/\/[^\n]*|`(?:\\[^]|[^\\`])*`/g;
  return text.replace(hidden, (found) => found.replaceAll(/[^\n]/g, " "));
}

function importsOf(text: string): Import[] {
  const pattern = /\b(?:from|import)\s*\(?\s*(["'])([^"'\n]+)\1/g;
  const code = blank(text);
  return [...code.matchAll(pattern)].map((match) => ({
    specifier: match[2]!,
    line: code.slice(0, match.index).split("\n").length,
  }));
}

function folderOf(path: string): string {
  return path.split("/")[0]!;
}

function resolve(from: string, specifier: string): string {
  return new URL(specifier, `file:///src/${from}`).pathname.slice("/src/".length);
}

/** Every offence, as `file:line: what is wrong`. */
function findOffences(sources: readonly Source[]): string[] {
  const offences: string[] = [];
  const graph = new Map<string, string[]>();
  for (const { path, text } of sources) {
    const folder = folderOf(path);
    const reach = REACH[folder];
    if (!reach) offences.push(`${path}:1: the folder ${folder} has no place in the order`);
    const targets: string[] = [];
    graph.set(path, targets);
    for (const { specifier, line } of importsOf(text)) {
      if (specifier.startsWith("@std/")) {
        offences.push(`${path}:${line}: src imports ${specifier}, which only tests may`);
      }
      if (!specifier.startsWith(".")) continue;
      const target = resolve(path, specifier);
      targets.push(target);
      const wanted = folderOf(target);
      const open = [folder, "errors.ts", "util", ...(reach ?? [])];
      if (folder === "errors.ts" || !open.includes(wanted)) {
        offences.push(`${path}:${line}: ${folder} imports from ${wanted} (${target})`);
      } else if (target.endsWith("/mod.ts")) {
        offences.push(`${path}:${line}: import the file, not the folder's ${target}`);
      }
    }
    for (const match of blank(text).matchAll(/\bDeno\s*\./g)) {
      const line = text.slice(0, match.index).split("\n").length;
      offences.push(`${path}:${line}: src uses Deno, and must run on Node and Bun too`);
    }
  }
  return [...offences, ...findCycles(graph)];
}

/** The ways from a file back to itself, each told once. */
function findCycles(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const cycles: string[] = [];
  const done = new Set<string>();
  const way: string[] = [];
  const visit = (path: string) => {
    const start = way.indexOf(path);
    if (start >= 0) cycles.push(`${path}:1: cycle ${[...way.slice(start), path].join(" -> ")}`);
    if (start >= 0 || done.has(path)) return;
    way.push(path);
    for (const target of graph.get(path) ?? []) visit(target);
    way.pop();
    done.add(path);
  };
  for (const path of graph.keys()) visit(path);
  return cycles;
}

async function readSources(folder: URL, prefix = ""): Promise<Source[]> {
  const sources: Source[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = prefix + name;
    if (isDirectory) sources.push(...await readSources(new URL(`${name}/`, folder), `${path}/`));
    else if (/\.tsx?$/.test(name)) {
      sources.push({ path, text: await Deno.readTextFile(new URL(name, folder)) });
    }
  }
  return sources.sort((a, b) => a.path < b.path ? -1 : 1);
}

Deno.test("src imports point one way and form no cycle", async () => {
  assertEquals(findOffences(await readSources(new URL("../src/", import.meta.url))), []);
});

Deno.test("the layer check sees every kind of offence, with its line", () => {
  const files: Record<string, string> = {
    "errors.ts": `export * from "./util/a.ts";`,
    "util/a.ts": `import "../errors.ts";\n\nimport type { P } from "../pool/pool.ts";`,
    "pool/pool.ts": `import {\n  select,\n} from "../sql/select.ts";`,
    "sql/select.ts": `export * from "../pool/pool.ts";`,
    "dialect/x/mod.ts": `const { e } = await import("../../engine/e.ts");`,
    "engine/e.ts":
      `import { y } from "../dialect/x/mod.ts";\nimport { assert } from "@std/assert";`,
    "mapper/m.ts": `type S = import('../session/s.ts').S;`,
    "session/s.ts": `// import "../server/a.ts"\n/* from "../server/b.ts" */\nDeno.exit(1);`,
    "extra/e.ts": "",
  };
  const sources = Object.entries(files).map(([path, text]) => ({ path, text }));
  assertEquals(findOffences(sources), [
    "errors.ts:1: errors.ts imports from util (util/a.ts)",
    "util/a.ts:3: util imports from pool (pool/pool.ts)",
    "pool/pool.ts:3: pool imports from sql (sql/select.ts)",
    "sql/select.ts:1: sql imports from pool (pool/pool.ts)",
    "dialect/x/mod.ts:1: dialect imports from engine (engine/e.ts)",
    "engine/e.ts:1: import the file, not the folder's dialect/x/mod.ts",
    "engine/e.ts:2: src imports @std/assert, which only tests may",
    "mapper/m.ts:1: mapper imports from session (session/s.ts)",
    "session/s.ts:3: src uses Deno, and must run on Node and Bun too",
    "extra/e.ts:1: the folder extra has no place in the order",
    "errors.ts:1: cycle errors.ts -> util/a.ts -> errors.ts",
    "pool/pool.ts:1: cycle pool/pool.ts -> sql/select.ts -> pool/pool.ts",
    "dialect/x/mod.ts:1: cycle dialect/x/mod.ts -> engine/e.ts -> dialect/x/mod.ts",
  ]);
});

Deno.test("the layer check accepts what the order allows", () => {
  const files: Record<string, string> = {
    "errors.ts": "/** Like `Deno.errors`. */\nexport class E {}",
    "util/a.ts": `import { E } from "../errors.ts";`,
    "schema/t.ts": `import type { X } from "../sql/x.ts";\nconst s = \`import "../server/x.ts"\`;`,
    "sql/x.ts": `import "npm:postgres";\nimport { y } from "./y.ts";`,
    "sql/y.ts": `import { createHash } from "node:crypto";`,
  };
  const sources = Object.entries(files).map(([path, text]) => ({ path, text }));
  assertEquals(findOffences(sources), []);
});
