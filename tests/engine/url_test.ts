import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { CoreEngine } from "../../src/engine/core_engine.ts";
import { driverOf, parseUrl, type UrlTarget } from "../../src/engine/url.ts";
import { ConfigError } from "../../src/errors.ts";

type Parsed<Kind extends UrlTarget["kind"]> = Extract<UrlTarget, { kind: Kind }>["config"];

function postgres(url: string | URL): Parsed<"postgres"> {
  const target = parseUrl(url);
  assert(target.kind === "postgres");
  return target.config;
}

function path(url: string): string | undefined {
  const target = parseUrl(url);
  assert(target.kind !== "postgres");
  return target.kind === "sqlite" ? target.config.path : target.config.directory;
}

Deno.test("parseUrl() reads the parts of a PostgreSQL URL, percent-decoded", () => {
  const config = postgres("postgres://us%40er:p%2Fw%3A%25@db.example.com:6432/my%20db");
  const { host, port, user, password, database } = config;
  assertEquals([host, port, user, password, database], [
    "db.example.com",
    6432,
    "us@er",
    "p/w:%",
    "my db",
  ]);
  assertEquals(postgres(new URL("postgresql://me@[::1]/db")).host, "::1");
  assertEquals(
    postgres("postgres://me@localhost/db?host=/var/run/postgresql").host,
    "/var/run/postgresql",
  );
  const more = postgres(
    "postgres://me@localhost/?search_path=a,b&prepared=false&application_name=x",
  );
  assertEquals([more.searchPath, more.prepared, more.applicationName, more.database], [
    ["a", "b"],
    false,
    "x",
    undefined,
  ]);
});

Deno.test("parseUrl() never lets TLS fall back to plain text", () => {
  const modes: [string, string][] = [
    ["postgres://me@localhost/db", "disable"],
    ["postgres://me@127.0.0.1/db", "disable"],
    ["postgres://me@localhost/db?host=/tmp", "disable"],
    ["postgres://me@db.example.com/db", "verify-full"],
    ["postgres://me@localhost.example.com/db", "verify-full"],
    ["postgres://me@localhost/db?sslrootcert=ca.pem", "verify-full"],
    ["postgres://me@db.example.com/db?sslmode=require", "require"],
    ["postgres://me@db.example.com/db?sslmode=disable", "disable"],
  ];
  for (const [url, mode] of modes) assertEquals<unknown>(postgres(url).tls, mode, url);
  for (const mode of ["prefer", "allow"]) {
    assertThrows(
      () => parseUrl(`postgres://me@h/db?sslmode=${mode}`),
      ConfigError,
      "fall back to plain text",
    );
  }
  const unknown = () => parseUrl("postgres://me@h/db?sslmode=verify_full");
  assertThrows(unknown, ConfigError, 'Did you mean "verify-full"?');
});

Deno.test("parseUrl() reads files and directories, relative, absolute and of Windows", () => {
  const paths: [string, string | undefined][] = [
    ["sqlite::memory:", ":memory:"],
    ["sqlite:./app.db", "./app.db"],
    ["sqlite:app.db", "app.db"],
    ["sqlite:/abs/app.db", "/abs/app.db"],
    ["sqlite:///abs/app.db", "/abs/app.db"],
    ["sqlite:C:\\data\\app.db", "C:\\data\\app.db"],
    ["sqlite:///C:/data/app.db", "C:/data/app.db"],
    ["sqlite:./a%20b.db?mode=ro", "./a b.db"],
    ["pglite:", undefined],
    ["pglite:./data", "./data"],
    ["pglite:///abs/data", "/abs/data"],
  ];
  for (const [url, expected] of paths) assertEquals(path(url), expected, url);
});

Deno.test("parseUrl() refuses what it does not know, and says what it knows", () => {
  const cases: [string, string][] = [
    ["mysql://me@localhost/db", 'cannot start with "mysql:"'],
    ["postgrs://me@localhost/db", 'Did you mean "postgres:"?'],
    ["localhost/db", "starts with its scheme"],
    ["", "starts with its scheme"],
    ["postgres://localhost/db", "names no user"],
    ["postgres://me@a,b/db", "several hosts"],
    ["postgres://me@a/b/c", "more than one path segment"],
    ["postgres://me@a/b?options=-c%20x", 'unknown key "options"'],
    ["postgres://me@a/b?sslmod=require", 'Did you mean "sslmode"?'],
    ["postgres://me@a/b?sslmode=require&sslmode=disable", "twice"],
    ["postgres://me@a/b?host=/tmp", "is for a Unix socket"],
    ["postgres://me@a/b?prepared=no", "true or false"],
    ["postgres://me:a%zz@h/b", "percent-encoding"],
    ["sqlite:", "names no file"],
    ["sqlite://host/app.db", "names a host"],
    ["sqlite:./app.db?cache=shared", 'unknown key "cache"'],
    ["sqlite:./app.db?mode=memory", "mode"],
    ["pglite:./data?x=1", 'unknown key "x"'],
  ];
  for (const [url, message] of cases) {
    assertStringIncludes(
      assertThrows(() => parseUrl(url), ConfigError, undefined, url).message,
      message,
    );
  }
});

Deno.test("A password appears in no message, target or inspection", async () => {
  const secret = "s3cret";
  for (
    const url of [
      `postgres://me:${secret}/x@h/db`,
      `postgres://me:${secret}#x@h/db`,
      `postgres://me:${secret}@h/db?sslmode=${secret}x`,
      `postgres://me:${secret}%zz@h/db`,
      `postgres://:${secret}@h/db`,
      `${secret}`,
      `me:${secret}@h/db`,
    ]
  ) {
    const error = assertThrows(() => parseUrl(url), ConfigError, undefined, url);
    assert(!Deno.inspect(error).includes(secret), url);
  }
  const url = `postgres://me:${secret}@localhost:1/db`;
  await using engine = new CoreEngine(url);
  assertEquals(engine.target, "postgres://me@localhost:1/db");
  for (const shown of [engine, driverOf(url)]) {
    assert(!Deno.inspect(shown, { depth: 10, showHidden: true }).includes(secret));
  }
});
