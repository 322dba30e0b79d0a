/**
 * The PGlite half of every test that uses `eachEngine()`, on one PGlite: it takes seconds and
 * hundreds of megabytes to start, and each test file would start its own. `deno task test` names this
 * file first: it takes longest, and the others run beside it, one at a time.
 */

import { pgliteTogether, registerPgliteTests } from "./support/each_engine.ts";

if (pgliteTogether) await registerPgliteTests(await filesWithEachEngine());

async function filesWithEachEngine(): Promise<URL[]> {
  const files: URL[] = [];
  const folders = [new URL(".", import.meta.url)];
  for (const folder of folders) {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      const found = new URL(isDirectory ? `${name}/` : name, folder);
      if (isDirectory) folders.push(found);
      else if (/_test\.tsx?$/.test(name) && found.href !== import.meta.url) {
        // Scenarios come to it by way of their own support.
        if (/each_engine\.ts|\bscenarios\(/.test(await Deno.readTextFile(found))) files.push(found);
      }
    }
  }
  return files.sort((a, b) => a.href < b.href ? -1 : 1);
}
