import { assertEquals, assertThrows } from "@std/assert";
import { engineSettings } from "../../src/engine/options.ts";
import { ConfigError } from "../../src/errors.ts";

Deno.test("engineSettings() fills in the defaults", () => {
  assertEquals(engineSettings({}), engineSettings(undefined));
  const { poolSize, maxOverflow, statementTimeout, poolPrePing } = engineSettings({ poolSize: 3 });
  assertEquals([poolSize, maxOverflow, statementTimeout, poolPrePing], [3, 20, 300_000, "idle"]);
  assertEquals(engineSettings({ poolSize: undefined }).poolSize, 10);
});

Deno.test("engineSettings() names an unknown option and the nearest one", () => {
  const error = assertThrows(
    () => engineSettings({ poolsize: 5 }),
    ConfigError,
    'The engine has no option "poolsize"',
  );
  assertEquals(error.message.includes('Did you mean "poolSize"?'), true);
  assertThrows(() => engineSettings({ entities: [] }), ConfigError);
  engineSettings({ entities: [] }, ["entities"]);
});

Deno.test("engineSettings() refuses values of a wrong type or out of range", () => {
  for (
    const options of [
      { poolSize: "5" },
      { poolSize: 1.5 },
      { maxOverflow: -1 },
      { poolTimeout: NaN },
      { poolPrePing: "always" },
      { pool: "queued" },
      { echo: "yes" },
      { statementTimeout: -5 },
      { connectTimeout: 0 },
      { traceCheckouts: 1 },
      { escape: "never" },
      { transactionWarnAfter: -1 },
      { keepIdempotencyKeys: "7 days" },
      { poolSize: 0, maxOverflow: 0 },
    ]
  ) {
    assertThrows(() => engineSettings(options), ConfigError, Object.keys(options)[0]!);
  }
  assertThrows(() => engineSettings("fast" as unknown as object), ConfigError);
});

Deno.test("engineSettings() takes nothing from a polluted prototype", () => {
  const options = Object.create({ poolSize: "evil" });
  assertEquals(engineSettings(options).poolSize, 10);
});
