import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { connect } from "node:net";
import { connect as connectTls } from "node:tls";
import { runSql, sharedPostgres, startPostgres, TLS_AUTHORITY } from "./postgres_server.ts";

const shared = await sharedPostgres();

Deno.test("sharedPostgres() gives every caller the same server", async () => {
  assertEquals(await sharedPostgres(), shared);
  assertEquals(await runSql(shared, "select 1 as one"), [{ one: 1 }]);
});

Deno.test("PostgresServer.restart() breaks what is open and keeps data and port", async () => {
  await using server = await startPostgres({ settings: { statement_timeout: "4321" } });
  const url = await server.createDatabase("kept");
  await runSql(url, "create table t as select 7 as n");
  const open = runSql(url, "select pg_sleep(20)");
  open.catch(() => {});
  while (
    (await server.sql("select 1 from pg_stat_activity where query ~ '[p]g_sleep'")).length < 1
  );
  await server.restart("fast");
  await assertRejects(() => open);
  assertEquals(await runSql(url, "select n from t"), [{ n: 7 }]);
  assertEquals(await runSql(url, "show statement_timeout"), [{ statement_timeout: "4321ms" }]);
  await server.restart("immediate");
  assertStringIncludes(await server.log(), "terminating connection due to administrator command");
});

Deno.test("PostgresServer asks the role needs_password for its password", async () => {
  const url = new URL(shared);
  url.username = "needs_password";
  url.password = "secret";
  assertEquals(await runSql(url.href, "select current_user::text as me"), [{
    me: "needs_password",
  }]);
  url.password = "guess";
  await assertRejects(() => runSql(url.href, "select 1"), Error, "password authentication failed");
});

Deno.test("startPostgres({ tls: true }) has a certificate of TLS_AUTHORITY", async () => {
  await using server = await startPostgres({ tls: true });
  const plain = connect(server.port, server.host);
  plain.write(new Uint8Array([0, 0, 0, 8, 4, 210, 22, 47]));
  const answer = await new Promise<Uint8Array>((resolve) => plain.once("data", resolve));
  assertEquals([...answer], ["S".charCodeAt(0)]);
  const socket = connectTls({ socket: plain, ca: TLS_AUTHORITY, servername: "localhost" });
  await new Promise<void>((resolve, reject) => {
    socket.once("secureConnect", resolve);
    socket.once("error", reject);
  });
  assert(socket.authorized);
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.destroy();
  await closed;
});
