/**
 * The public surface: every name that each entry point of the package exports, types included.
 * When it changes on purpose: `UPDATE_SURFACE=1 deno test -A tests/mod_test.ts`, and review the
 * difference like code.
 */

import { assertEquals } from "@std/assert";

const ROOT = new URL("../", import.meta.url);
const SNAPSHOT = new URL("./public_surface.txt", import.meta.url);

/** The part of `deno doc --json` that we read. */
interface Documentation {
  nodes: Record<string, {
    symbols: { name: string; declarations: { kind: string; declarationKind: string }[] }[];
  }>;
}

async function readSurface(): Promise<string[]> {
  const config = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
  const lines: string[] = [];
  for (const [entry, path] of Object.entries<string>(config.exports)) {
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["doc", "--json", path],
      cwd: ROOT,
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    const { nodes } = JSON.parse(new TextDecoder().decode(stdout)) as Documentation;
    lines.push(`${config.name}${entry.slice(1)}`);
    lines.push(...namesIn(nodes));
  }
  return lines;
}

function namesIn(nodes: Documentation["nodes"]): string[] {
  const names = new Set<string>();
  for (const { symbols } of Object.values(nodes)) {
    for (const { name, declarations } of symbols) {
      for (const { kind, declarationKind } of declarations) {
        if (declarationKind === "export") names.add(`  ${name}: ${kind}`);
      }
    }
  }
  return [...names].sort();
}

Deno.test("every entry point exports exactly the names of public_surface.txt", async () => {
  const surface = await readSurface();
  if (Deno.env.get("UPDATE_SURFACE")) {
    await Deno.writeTextFile(SNAPSHOT, surface.join("\n") + "\n");
    return;
  }
  const expected = (await Deno.readTextFile(SNAPSHOT)).trimEnd().split("\n");
  assertEquals(
    surface,
    expected,
    "if that is on purpose: UPDATE_SURFACE=1 deno test -A tests/mod_test.ts",
  );
});

/** The part of `deno info --json` that we read. */
interface ModuleGraph {
  roots: string[];
  modules: {
    specifier: string;
    dependencies?: { isDynamic?: boolean; code?: { specifier: string } }[];
  }[];
}

/** What is loaded together with the root, dynamic imports left out. */
async function loadedAtOnce(): Promise<string[]> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "mod.ts"],
    cwd: ROOT,
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  const { roots, modules } = JSON.parse(new TextDecoder().decode(stdout)) as ModuleGraph;
  const loaded = new Set(roots);
  for (const specifier of loaded) {
    const found = modules.find((module) => module.specifier === specifier);
    for (const { isDynamic, code } of found?.dependencies ?? []) {
      if (!isDynamic && code !== undefined) loaded.add(code.specifier);
    }
  }
  return [...loaded];
}

Deno.test("importing the root loads no driver, and of node: only what is loaded in no time", async () => {
  // node:fs and node:process take longer to load than all of this package.
  const cheap = ["node:async_hooks", "node:os", "node:timers"];
  const others = (await loadedAtOnce())
    .filter((specifier) => !specifier.startsWith("file:") && !cheap.includes(specifier));
  assertEquals(others, []);
});
