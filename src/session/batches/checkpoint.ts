/**
 * Checkpoints: what of a walk is still to be done, as an opaque text that can be stored anywhere.
 *
 * @module
 */

import { InputError } from "../../errors.ts";
import type { Mapper } from "../../mapper/mapper.ts";
import { describe } from "../../sql/expression.ts";
import type { WireRow, WireValue } from "../../sql/wire.ts";
import type { KeyOrder } from "./key_order.ts";

/** A stretch of a walk: the rows after one key, up to another one. */
export interface Stretch {
  /** Begins after this row; absent: at the first. */
  readonly after: WireRow | undefined;
  /** Ends with this row; absent: with the last. */
  readonly upTo: WireRow | undefined;
}

/** The text for what is still to be done. */
export function checkpointOf(
  mapper: Mapper,
  order: KeyOrder,
  stretches: readonly Stretch[],
): string {
  const rest = stretches.map(({ after, upTo }) => [keyJson(after), keyJson(upTo)]);
  const json = [mapper.definition.tableName, order.signature, ...rest];
  return encode(JSON.stringify(json));
}

/**
 * What a checkpoint says is still to be done.
 *
 * @throws {InputError} when the text is no checkpoint of this entity and order.
 */
export function stretchesIn(mapper: Mapper, order: KeyOrder, checkpoint: unknown): Stretch[] {
  const hint = "Pass the checkpoint of a BatchError or of onCommit";
  if (typeof checkpoint !== "string") {
    throw new InputError(`resumeAfter takes a checkpoint, found ${describe(checkpoint)}`, { hint });
  }
  const parsed = decode(checkpoint);
  if (!Array.isArray(parsed) || parsed[0] !== mapper.definition.tableName) {
    throw new InputError(`resumeAfter was given no checkpoint of ${mapper.name}`, {
      hint: `${hint}, of the same entity`,
    });
  }
  if (parsed[1] !== order.signature) {
    throw new InputError(`The checkpoint belongs to a walk in another order than this one`, {
      hint: `Walk in the same order; this one is ${order.describe()}`,
    });
  }
  return parsed.slice(2).map((stretch) => {
    const [after, upTo] = (Array.isArray(stretch) ? stretch : []).map((key) =>
      keyOf(key, order.length)
    );
    if (after === null || upTo === null) {
      throw new InputError(`resumeAfter was given no checkpoint of ${mapper.name}`, { hint });
    }
    return { after, upTo };
  });
}

function keyJson(key: WireRow | undefined): unknown {
  return key === undefined ? 0 : key.map((wire) => {
    // JSON has neither bigint nor bytes nor infinity.
    if (typeof wire === "bigint") return { int: String(wire) };
    if (typeof wire === "number" && !Number.isFinite(wire)) return { num: String(wire) };
    return wire instanceof Uint8Array ? { bytes: [...wire] } : wire;
  });
}

/** Undefined for an open end, null for what is no key. */
function keyOf(json: unknown, length: number): WireRow | undefined | null {
  if (json === 0) return undefined;
  if (!Array.isArray(json) || json.length !== length) return null;
  const key = json.map(wireOf);
  return key.includes(undefined) ? null : key as WireRow;
}

function wireOf(part: unknown): WireValue | undefined {
  if (part === null || typeof part === "string" || typeof part === "number") return part;
  const { int, num, bytes } = Object(part) as Record<string, unknown>;
  if (typeof num === "string") return Number(num);
  if (Array.isArray(bytes)) return Uint8Array.from(bytes, Number);
  try {
    return typeof int === "string" ? BigInt(int) : undefined;
  } catch {
    return undefined;
  }
}

function encode(text: string): string {
  let binary = "";
  for (const byte of new TextEncoder().encode(text)) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function decode(checkpoint: string): unknown {
  try {
    const binary = atob(checkpoint.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(binary, (char) => char.charCodeAt(0));
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}
