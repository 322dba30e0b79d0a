/** What the programs are checked with: the compiler, the peers, and Sluice as a package. */

import { join } from "node:path";
import type { Contender } from "./contender.ts";

/** The compiler's packages, pinned; Deno's own compiler is of the same version. */
const TOOLS = { typescript: "6.0.3", "@types/node": "22.19.1" };

const root = new URL("../../", import.meta.url).pathname;

/** What Sluice's own sources are checked with, and no more than programs have by default. */
const OPTIONS = {
  target: "esnext",
  module: "preserve",
  lib: ["esnext", "dom", "dom.iterable", "dom.asynciterable"],
  types: ["node"],
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noImplicitOverride: true,
  allowImportingTsExtensions: true,
  skipLibCheck: true,
};

/** The versions of all that was installed. */
export function versions(contenders: readonly Contender[]): Record<string, string> {
  return Object.assign({ ...TOOLS }, ...contenders.map(({ packages }) => packages));
}

/** Installs everything into a folder of its own: nobody but this benchmark downloads it. */
export async function install(folder: string, contenders: readonly Contender[]): Promise<void> {
  await write(
    folder,
    new Map([
      ["package.json", JSON.stringify({ private: true, dependencies: versions(contenders) })],
      ["deno.json", JSON.stringify({ nodeModulesDir: "auto", lock: false })],
    ]),
  );
  await run(["install", "-q"], folder);
  await declareSluice(folder);
}

/**
 * Sluice as programs get it, from JSR by npm: declarations. The peers are declarations too, so nobody's
 * sources are in what is measured.
 */
async function declareSluice(folder: string): Promise<void> {
  const home = join(folder, "node_modules/@sluice/orm");
  const project = join(folder, "declare.json");
  await write(
    folder,
    new Map([
      [
        "declare.json",
        JSON.stringify({
          compilerOptions: {
            ...OPTIONS,
            typeRoots: [join(folder, "node_modules/@types")],
            declaration: true,
            emitDeclarationOnly: true,
            noCheck: true,
            rootDir: root,
            outDir: home,
          },
          files: [join(root, "mod.ts")],
        }),
      ],
      [
        "node_modules/@sluice/orm/package.json",
        JSON.stringify({
          name: "@sluice/orm",
          version: "0.0.0",
          type: "module",
          types: "./mod.d.ts",
        }),
      ],
    ]),
  );
  await compile(folder, project);
}

/** The arguments of a compiler in a process of its own. */
const TSC = [
  "run",
  "-A",
  "-q",
  "--no-config",
  "--unstable-detect-cjs",
  "--v8-flags=--max-old-space-size=6144",
];

/** Runs the compiler, and gives what it printed. */
export function compile(folder: string, project: string, ...options: string[]): Promise<string> {
  const tsc = join(folder, "node_modules/typescript/lib/tsc.js");
  return run([...TSC, tsc, "-p", project, ...options], folder);
}

/** A program that takes longer than so many milliseconds is given up. */
const LIMIT = 420_000;

/** Runs Deno; throws what it printed if it fails. */
export async function run(args: string[], cwd: string): Promise<string> {
  const { success, signal, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd,
    signal: AbortSignal.timeout(LIMIT),
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
  }).output();
  const text = new TextDecoder().decode(stdout);
  if (success) return text;
  if (signal === "SIGTERM") throw new Error(`It took more than ${LIMIT / 60_000} minutes`);
  const printed = (text + new TextDecoder().decode(stderr)).split("\n").slice(0, 40).join("\n");
  throw new Error(`deno ${args.join(" ")} in ${cwd} failed:\n${printed}`);
}

/** Writes a program, with what the compiler and `deno check` want to know. */
export async function writeProgram(folder: string, files: Map<string, string>): Promise<void> {
  const { imports } = JSON.parse(await Deno.readTextFile(join(root, "deno.json"))) as {
    imports: Record<string, string>;
  };
  await write(folder, files);
  await write(
    folder,
    new Map([
      [
        "tsconfig.json",
        JSON.stringify({
          compilerOptions: { ...OPTIONS, noEmit: true },
          include: ["**/*.ts"],
        }),
      ],
      [
        "deno.json",
        JSON.stringify({
          imports: { ...imports, "@sluice/orm": join(root, "mod.ts") },
          lock: false,
          compilerOptions: {
            strict: true,
            exactOptionalPropertyTypes: true,
            noUncheckedIndexedAccess: true,
            noImplicitOverride: true,
          },
        }),
      ],
    ]),
  );
}

async function write(folder: string, files: Map<string, string>): Promise<void> {
  for (const [path, text] of files) {
    const target = join(folder, path);
    await Deno.mkdir(join(target, ".."), { recursive: true });
    await Deno.writeTextFile(target, text);
  }
}
