/**
 * Checkpoints: where a batched walk stands, as an opaque text that can be stored anywhere.
 *
 * @module
 */

import { InputError } from "../errors.ts";
import type { Mapper } from "../mapper/mapper.ts";
import { describe } from "../sql/expression.ts";
import type { WireRow, WireValue } from "../sql/wire.ts";

/** The text for the last key of a batch. */
export function checkpointOf(mapper: Mapper, key: WireRow): string {
  const parts = key.map((wire) => {
    if (wire instanceof Uint8Array) {
      throw new InputError(`${mapper.name} has a key of bytes, which commitEvery() cannot walk by`);
    }
    // JSON has no bigint.
    return typeof wire === "bigint" ? { int: String(wire) } : wire;
  });
  return encode(JSON.stringify([mapper.definition.tableName, ...parts]));
}

/**
 * The key in a checkpoint.
 *
 * @throws {InputError} when the text is no checkpoint of this entity.
 */
export function keyIn(mapper: Mapper, checkpoint: unknown): WireRow {
  if (typeof checkpoint !== "string") {
    throw new InputError(`resumeAfter takes a checkpoint, found ${describe(checkpoint)}`, {
      hint: "Pass the checkpoint of a BatchError or of onCommit",
    });
  }
  const key = decode(checkpoint, mapper.definition.tableName, mapper.primaryKey.length);
  if (key !== undefined) return key;
  throw new InputError(`resumeAfter was given no checkpoint of ${mapper.name}`, {
    hint: "Pass the checkpoint of a BatchError or of onCommit, of the same entity",
  });
}

function encode(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)))
    .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function decode(checkpoint: string, table: string, length: number): WireRow | undefined {
  let parsed: unknown;
  try {
    const binary = atob(checkpoint.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(binary, (char) => char.charCodeAt(0));
    parsed = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
  if (!Array.isArray(parsed) || parsed.length !== length + 1 || parsed[0] !== table) {
    return undefined;
  }
  const key = parsed.slice(1).map(wireOf);
  return key.includes(undefined) ? undefined : key as WireRow;
}

function wireOf(part: unknown): WireValue | undefined {
  if (typeof part === "string" || typeof part === "number") return part;
  const int = (part as { int?: unknown } | null)?.int;
  try {
    return typeof int === "string" ? BigInt(int) : undefined;
  } catch {
    return undefined;
  }
}
