/** The demo, run as its users run it, and its check of itself on each database. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { AsyncEngine } from "../../../mod.ts";
import { eachEngine } from "../../support/each_engine.ts";
import { check, isRight } from "./check.ts";
import { City, Country } from "./model.ts";

eachEngine("The atlas loads, serves and recounts every city", async ({ target }) => {
  await using engine = new AsyncEngine(target, { entities: [Country, City] });
  const findings = await check(engine);
  assert(findings.length > 30);
  assertEquals(findings.filter((finding) => !isRight(finding)), []);
}, { sqliteFile: true });

const ROOT = new URL("../../../", import.meta.url);
const TEMPORARY = { TMPDIR: await Deno.makeTempDir({ prefix: "sluice-atlas-test-" }) };

function demo(...args: string[]): Deno.Command {
  return new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "demo", ...args],
    cwd: ROOT,
    env: { ...TEMPORARY, NO_COLOR: "1" },
    stdout: "piped",
    stderr: "piped",
  });
}

async function run(...args: string[]) {
  const { code, stdout, stderr } = await demo(...args).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

Deno.test("deno task demo serves until it is interrupted, and leaves nothing behind", async () => {
  await using child = demo("--port=0").spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream());
  let output = "";
  for await (const text of lines.values({ preventCancel: true })) {
    output += text;
    if (output.includes("Ctrl-C")) break;
  }
  assertMatch(output, /250 countries and 135,233 cities loaded: [\d,]+ statements/);
  const origin = /Open (http:\S+)\//.exec(output)![1]!;
  const page = await (await fetch(`${origin}/`)).text();
  assertMatch(page, /<title>Atlas/);
  const names = (await (await fetch(`${origin}/countries?continent=Antarctic`)).json())
    .map((country: { name: string }) => country.name);
  assert(names.includes("Antarctica"), `${names}`);

  child.kill("SIGTERM");
  let rest = "";
  for await (const text of lines) rest += text;
  assertEquals((await child.status).code, 0);
  assertMatch(rest, /GET \/countries\?continent=Antarctic: 2 statements/);
  assertEquals(await Array.fromAsync(Deno.readDir(TEMPORARY.TMPDIR)), []);
  assertEquals(await new Response(child.stderr).text(), "");
});

Deno.test("deno task demo says what is wrong with its options", async () => {
  for (const args of [["--chek"], ["--port=http"], ["--url"], ["--check=yes"]]) {
    const { code, stdout, stderr } = await run(...args);
    assertEquals([code, stdout], [2, ""]);
    assertMatch(stderr, /^(There is no option|The option --\w+ cannot be read)/);
    assertMatch(stderr, /--url=URL/);
  }
  const help = await run("--help");
  assertEquals([help.code, help.stderr], [0, ""]);
  assertMatch(help.stdout, /--check/);
});

Deno.test("deno task demo says what is wrong with its database", async () => {
  const unknown = await run("--url=mysql://localhost/x");
  assertEquals(unknown.code, 1);
  assertMatch(unknown.stderr, /^INVALID_CONFIG: /);
  const away = await run("--check", "--url=postgres://nobody:secret@127.0.0.1:1/x");
  assertEquals(away.code, 1);
  assertMatch(away.stderr, /^CONNECT_FAILED: /);
  assert(!away.stderr.includes("secret"), away.stderr);
  assertEquals(await Array.fromAsync(Deno.readDir(TEMPORARY.TMPDIR)), []);
  await Deno.remove(TEMPORARY.TMPDIR);
});
