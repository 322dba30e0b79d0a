import { assert, assertEquals, assertThrows } from "@std/assert";
import { lockDirectory } from "../../../src/dialect/pglite/lock.ts";
import { ConnectError } from "../../../src/errors.ts";

async function inTempFolder(body: (path: string) => Promise<void> | void): Promise<void> {
  const path = await Deno.makeTempDir({ prefix: "sluice-pglite-" });
  try {
    await body(path);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

/** A process that runs `code`. */
function child(code: string): Deno.ChildProcess {
  const config = new URL("../../../deno.json", import.meta.url).pathname;
  return new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-check", "--config", config, code],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
}

const source = new URL("../../../src/dialect/pglite/", import.meta.url).href;

Deno.test("lockDirectory() refuses a directory that this process has open, by any of its names", async () => {
  await inTempFolder(async (path) => {
    const lock = lockDirectory(`${path}/data`);
    const error = assertThrows(() => lockDirectory(`${path}/x/../data`), ConnectError);
    assert(error.message.includes("this process"));
    assertEquals(error.code, "DATABASE_IN_USE");
    lock.unlock();
    lock.unlock();
    await Deno.mkdir(`${path}/data`);
    await Deno.symlink(`${path}/data`, `${path}/link`);
    const again = lockDirectory(`${path}/data`);
    assertThrows(() => lockDirectory(`${path}/link`), ConnectError);
    again.unlock();
    assertEquals([...Deno.readDirSync(path)].map((entry) => entry.name).sort(), ["data", "link"]);
  });
});

Deno.test("lockDirectory() names the process that holds it, and takes over from a dead one", async () => {
  await inTempFolder(async (path) => {
    const process = child(`
      import { lockDirectory } from "${source}lock.ts";
      lockDirectory("${path}/data");
      console.log("locked");
      for await (const _ of Deno.stdin.readable);
    `);
    const reader = process.stdout.getReader();
    await reader.read();
    const error = assertThrows(() => lockDirectory(`${path}/data`), ConnectError);
    assert(error.message.includes(`process ${process.pid}`), error.message);
    process.kill("SIGKILL");
    await process.status;
    await reader.cancel();
    await process.stdin.close().catch(() => {});
    lockDirectory(`${path}/data`).unlock();
  });
});

Deno.test("lockDirectory() takes over from an earlier process of the same number", async () => {
  await inTempFolder(async (path) => {
    const stale = JSON.stringify({ pid: Deno.pid, began: "1" });
    await Deno.writeTextFile(`${path}/data.sluice-lock`, stale);
    lockDirectory(`${path}/data`).unlock();
  });
});

Deno.test("lockDirectory() leaves a lock alone that it cannot read", async () => {
  await inTempFolder(async (path) => {
    await Deno.writeTextFile(`${path}/data.sluice-lock`, "?");
    const error = assertThrows(() => lockDirectory(`${path}/data`), ConnectError);
    assert(error.message.includes("data.sluice-lock"));
  });
});

Deno.test("pgliteDriver() keeps a directory's data, refuses a second driver, and lets the process end", async () => {
  await inTempFolder(async (path) => {
    const process = child(`
      import { pgliteDriver } from "${source}mod.ts";
      const directory = "${path}/data";
      for (const text of ["create table t as select 41 as a", "select a + 1 from t"]) {
        const driver = pgliteDriver({ directory });
        const connection = await driver.connect();
        const { rows } = await connection.run({ text, params: [] });
        const other = await pgliteDriver({ directory }).connect().catch((error) => error.code);
        console.log(JSON.stringify([rows, other]));
        await connection.close();
        await driver.close();
      }
    `);
    await process.stdin.close();
    const { code, stdout } = await process.output();
    const lines = new TextDecoder().decode(stdout).trim().split("\n");
    assertEquals(lines, ['[[],"DATABASE_IN_USE"]', '[[["42"]],"DATABASE_IN_USE"]']);
    assertEquals(code, 0);
    assertEquals([...Deno.readDirSync(path)].map((entry) => entry.name), ["data"]);
  });
});
