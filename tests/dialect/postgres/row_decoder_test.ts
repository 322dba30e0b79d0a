import { Buffer } from "node:buffer";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ConfigError, ConnectionLostError } from "../../../src/errors.ts";
import type { WireRow } from "../../../src/dialect/driver.ts";
import { openConnection } from "../../../src/dialect/postgres/open.ts";
import { type FrameListener, Framer } from "../../../src/dialect/postgres/framer.ts";
import { NpmPostgres } from "../../../src/dialect/postgres/npm_postgres.ts";
import { settingsOf } from "../../../src/dialect/postgres/options.ts";
import { OwnProtocol } from "../../../src/dialect/postgres/own_protocol.ts";
import type { Protocol, Sending } from "../../../src/dialect/postgres/protocol.ts";
import { Random } from "../../support/random.ts";
import { configOf, connect, FakeServer, wire } from "./support.ts";

/** A `DataRow` message. */
function dataRow(row: readonly (string | null)[]): Uint8Array {
  const parts: Buffer[] = [int(row.length, 2)];
  for (const cell of row) {
    if (cell === null) parts.push(int(-1, 4));
    else parts.push(int(Buffer.byteLength(cell), 4), Buffer.from(cell));
  }
  return wire.message("D", Buffer.concat(parts));
}

/** A `RowDescription` of so many text columns. */
function described(columns: number): Uint8Array {
  const column = Buffer.concat([Buffer.from("c\0"), int(0, 4), int(0, 2), int(25, 4)]);
  const rest = Buffer.concat([int(-1, 2), int(-1, 4), int(0, 2)]);
  const all = Array.from({ length: columns }, () => Buffer.concat([column, rest]));
  return wire.message("T", Buffer.concat([int(columns, 2), ...all]));
}

function int(value: number, size: 2 | 4): Buffer {
  const bytes = Buffer.alloc(size);
  if (size === 2) bytes.writeInt16BE(value);
  else bytes.writeInt32BE(value);
  return bytes;
}

/** The answer to one new statement. */
function answer(columns: number, rows: readonly WireRow[]): Uint8Array {
  return Buffer.concat([
    wire.message("1"),
    wire.message("t", [0, 0]),
    described(columns),
    wire.message("2"),
    ...rows.map((row) => dataRow(row as (string | null)[])),
    wire.complete(`SELECT ${rows.length}`),
    wire.ready(),
  ]);
}

function randomCell(random: Random): string | null {
  switch (random.int(0, 9)) {
    case 0:
      return null;
    case 1:
      return "";
    case 2:
      return random.text();
    case 3:
      return "é".repeat(random.int(1, 200));
    case 4:
      return "x".repeat(random.int(1, 3_000));
    case 5:
      return "a".repeat(random.int(120, 260)) + random.pick(["", "ÿ", "€", "😀", "\x7f", "\x80"]);
    default:
      return random.digits(random.int(1, 30));
  }
}

/** Feeds both protocols the same packets: ours, and npm `postgres`. */
async function decodedTwice(
  packets: readonly Buffer[],
  statements: number,
): Promise<{ own: WireRow[][]; driver: WireRow[][] }> {
  const both: WireRow[][][] = [];
  for (const ours of [true, false]) {
    const protocol: Protocol<Sending> = ours
      ? new OwnProtocol<Sending>()
      : await NpmPostgres.open<Sending>();
    const sendings: Sending[] = [];
    const answered: Sending[] = [];
    protocol.attach({
      write: () => {},
      answered: (sending, answer) => {
        assertEquals(answer.count, sending.rows.length);
        answered.push(sending);
      },
      refused: () => {},
      broken: (error) => {
        throw error;
      },
      current: () => sendings[answered.length]!,
    });
    for (let i = 0; i < statements; i++) {
      const sending: Sending = {
        text: `select ${i}`,
        params: [],
        mode: "prepared",
        known: false,
        parsed: false,
        rows: [],
      };
      sendings.push(sending);
      protocol.send(sending, true);
    }
    for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
    const nothing = () => {};
    const listener: FrameListener = {
      forward: protocol.receive?.bind(protocol),
      reader: protocol.reader,
      ready: nothing,
      error: () => true,
      copyIn: nothing,
      copyOut: nothing,
      copyData: nothing,
      violation: (what) => {
        throw new Error(what);
      },
    };
    const framer = new Framer(listener);
    framer.expected = statements;
    for (const packet of packets) framer.push(packet);
    assertEquals(answered, sendings);
    both.push(sendings.map(({ rows }) => rows));
  }
  return { own: both[0]!, driver: both[1]! };
}

Deno.test("decodeRows() gives the driver's rows for random rows in random packets", async () => {
  for (let seed = 1; seed <= 25; seed++) {
    const random = new Random(seed);
    const most = random.pick([1, 7, 60, 1_000, 5_000, 65_536]);
    const results = Array.from({ length: random.int(1, 4) }, () => {
      const columns = random.pick(most < 60 ? [0, 1, 2, 7] : [0, 1, 2, 7, 7, 40, 400]);
      const rows = Array.from(
        { length: random.int(0, columns > 7 || most < 60 ? 4 : 60) },
        () => Array.from({ length: columns }, () => randomCell(random)),
      );
      return { columns, rows };
    });
    const bytes = Buffer.concat(results.map(({ columns, rows }) => answer(columns, rows)));
    const packets: Buffer[] = [];
    for (let at = 0; at < bytes.length;) {
      const end = at + random.int(1, most);
      packets.push(Buffer.from(bytes.subarray(at, end)));
      at = end;
    }
    const { own, driver } = await decodedTwice(packets, results.length);
    assertEquals(own, driver, `seed ${seed}`);
    assertEquals(own, results.map(({ rows }) => rows.map(wellFormed)), `seed ${seed}`);
  }
});

function wellFormed(row: readonly (string | null)[]): WireRow {
  return row.map((cell) => cell?.toWellFormed() ?? null);
}

Deno.test("decodeRows() gives the driver's rows for what a real server sends", async () => {
  await using own = await connect({ wire: "own" });
  await using driver = await connect({ wire: "driver" });
  for (
    const text of [
      "select 1 where false",
      "select from generate_series(1, 3)",
      "select n, null, '', 'ä' || n, repeat('x', n * 40), repeat('☃', n) from generate_series(1, 300) n",
      "select repeat('x', 3000000), repeat('é', 1000000)",
      `select ${Array.from({ length: 1_600 }, (_, i) => i).join(", ")}`,
    ]
  ) {
    assertEquals(await own.rows(text), await driver.rows(text));
  }
});

Deno.test("A statement that fails after rows leaves nothing behind, by either protocol", async () => {
  for (const wire of ["own", "driver"] as const) {
    await using server = await connect({ wire });
    await assertRejects(() => server.rows("select 1 / (50 - g) from generate_series(1, 60) g"));
    assertEquals(await server.rows("select 7"), [["7"]]);
  }
});

Deno.test("A row that does not fit its message ends the connection", async () => {
  const malformed = [
    [0, 2, 0, 0, 0, 1, 0x61], // the second column is missing
    [0, 1, 0, 0, 0, 9, 0x61], // longer than the message
    [0, 1, 255, 255, 255, 254], // a negative length that is not null
    [0, 1, 0, 0, 0, 1, 0x61, 0x62], // more than its columns
    [0x7f, 0xff], // columns without end
  ];
  for (const body of malformed) {
    for (const filler of [0, 2_000]) {
      await using server = new FakeServer(async (client) => {
        await client.welcome();
        await client.read();
        const long = Buffer.concat([Buffer.from(body), Buffer.alloc(filler)]);
        await client.send(wire.described(), wire.row("good"), wire.message("D", long));
      });
      const own = settingsOf(server.config({ wire: "own" }));
      const connection = await openConnection(own);
      const run = connection.run({ text: "select 1", params: [] });
      const error = await assertRejects(() => run, ConnectionLostError);
      assert(error.message.includes("does not fit"), error.message);
    }
  }
});

Deno.test("A connection that ends within a row gives no part of the result", async () => {
  const row = Buffer.from(wire.row("second row, which is cut"));
  for (const cut of [1, 4, 5, 9, row.length - 1]) {
    await using server = new FakeServer(async (client) => {
      await client.welcome();
      await client.read();
      await client.send(wire.described(), wire.row("first"), row.subarray(0, cut));
      client.conn.close();
    });
    const connection = await openConnection(settingsOf(server.config()));
    await assertRejects(
      () => connection.run({ text: "select 1", params: [] }),
      ConnectionLostError,
    );
  }
});

Deno.test("settingsOf() refuses a protocol that there is not", () => {
  assertEquals(settingsOf(configOf(undefined, { wire: "driver" })).wire, "driver");
  assertThrows(() => settingsOf(configOf(undefined, { wire: "fast" as "own" })), ConfigError);
});
