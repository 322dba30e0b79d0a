import { Buffer } from "node:buffer";
import { assertEquals } from "@std/assert";
import { type FrameListener, Framer } from "../../../src/dialect/postgres/framer.ts";
import { wire } from "./support.ts";

/** Feeds a framer pieces of `size`; gives what it told, with what it forwarded gathered in between. */
function frames(
  bytes: Uint8Array,
  size: number,
  expected = 1,
): { told: string[]; forwarded: Buffer } {
  const told: string[] = [];
  const forwarded: Buffer[] = [];
  const listener: FrameListener = {
    forward: (part) => void forwarded.push(Buffer.from(part)),
    ready: (status) => void told.push(`ready ${String.fromCharCode(status)}`),
    error: (fields) => {
      told.push(`${fields.severity} ${fields.code} after ${Buffer.concat(forwarded).length}`);
      return fields.severity === "ERROR";
    },
    copyIn: () => void told.push("copyIn"),
    copyOut: () => void told.push("copyOut"),
    copyData: (part) => {
      const text = Buffer.from(part).toString();
      if (told.at(-1)?.startsWith("data ")) told[told.length - 1] += text;
      else told.push(`data ${text}`);
    },
    violation: (what) => void told.push(`violation: ${what}`),
  };
  const framer = new Framer(listener);
  framer.expected = expected;
  for (let at = 0; at < bytes.length; at += size) {
    framer.push(Buffer.from(bytes.subarray(at, at + size)));
  }
  return { told, forwarded: Buffer.concat(forwarded) };
}

const sizes = [1, 2, 3, 4, 5, 6, 7, 11, 64, 100_000];

Deno.test("Framer finds the same messages in pieces of every size, and passes on every byte", () => {
  const notice = wire.message("N", "SNOTICE\0\0");
  const bytes = Buffer.concat([
    notice,
    wire.answer("one", "two", "x".repeat(500)),
    wire.ready("T"),
    wire.message("S", "TimeZone\0UTC\0"),
    wire.error("23505", "duplicate"),
    wire.ready("E"),
    wire.answer(),
    wire.ready("I"),
    wire.message("A", "something"),
  ]);
  const before = notice.length + wire.answer("one", "two", "x".repeat(500)).length + 6 + 18;
  for (const size of sizes) {
    const { told, forwarded } = frames(bytes, size, 3);
    assertEquals(told, ["ready T", `ERROR 23505 after ${before}`, "ready E", "ready I"], `${size}`);
    assertEquals(forwarded, bytes, `pieces of ${size}`);
  }
});

Deno.test("Framer keeps COPY from the driver", () => {
  const end = Buffer.concat([wire.complete("COPY 2"), wire.ready()]);
  const out = [
    wire.message("H", [0, 0, 0]),
    wire.message("d", "1\ta\n"),
    wire.message("d"),
    wire.message("d", "2\tb\n"),
  ];
  const bytes = Buffer.concat([...out, wire.message("c"), end, wire.message("G", [0, 0, 0]), end]);
  for (const size of sizes) {
    const { told, forwarded } = frames(bytes, size, 2);
    assertEquals(told, ["copyOut", "data 1\ta\n2\tb\n", "ready I", "copyIn", "ready I"]);
    assertEquals(forwarded, Buffer.concat([end, end]));
  }
});

Deno.test("Framer passes nothing on from a fatal error onwards", () => {
  const answer = Buffer.concat([wire.answer("one"), wire.ready()]);
  const bytes = Buffer.concat([answer, wire.error("57P01", "bye", "FATAL"), wire.answer("two")]);
  for (const size of sizes) {
    const { told, forwarded } = frames(bytes, size);
    assertEquals(told, ["ready I", `FATAL 57P01 after ${answer.length}`]);
    assertEquals(forwarded, answer);
  }
});

Deno.test("Framer notices when the server breaks the protocol", () => {
  const answer = Buffer.concat([wire.answer("one"), wire.ready()]);
  const broken: [Uint8Array[], string][] = [
    [[answer, wire.ready()], "ReadyForQuery out of turn"],
    [[wire.ready()], "ReadyForQuery out of turn"],
    [[wire.described(), wire.ready()], "ReadyForQuery out of turn"],
    [[answer, wire.row("two")], "an answer to no question"],
    [[answer, wire.complete("SELECT 1")], "an answer to no question"],
    [[wire.answer("one"), wire.row("two")], "more after the end of an answer"],
    [[wire.answer("one"), wire.complete("SELECT 1")], "more after the end of an answer"],
    [[wire.message("?")], "a message of unknown type 0x3f"],
    [[Uint8Array.of(0x54, 0, 0, 0, 3)], "a message with an impossible length of 3"],
    [[Uint8Array.of(0x44, 0xff, 0xff, 0xff, 0xff)], "a message with an impossible length of -1"],
    [[Uint8Array.of(0x45, 0x20, 0, 0, 0)], "an error message of 536870912 bytes"],
  ];
  for (const [messages, what] of broken) {
    for (const size of [1, 100_000]) {
      assertEquals(frames(Buffer.concat(messages), size).told.at(-1), `violation: ${what}`);
    }
  }
});
