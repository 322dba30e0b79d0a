/**
 * `engine.copyOut()`: the rows of a query as a stream of bytes. PostgreSQL's own COPY where it can
 * be used; else the rows are read through a cursor and written here, byte for byte the same.
 *
 * @module
 */

import { InputError } from "../../errors.ts";
import type { CallOptions, DriverStatement } from "../../dialect/driver.ts";
import type { Dialect } from "../../dialect/dialect.ts";
import { resolveType } from "../../dialect/type_names.ts";
import type { Connection } from "../../engine/connection.ts";
import { RowDecoder } from "../../engine/result.ts";
import { describe } from "../../sql/expression.ts";
import { type Node, type SelectNode, typeOf } from "../../sql/node.ts";
import type { SqlType, WireRow, WireValue } from "../../sql/wire.ts";
import { writeAnything } from "../json_lines.ts";
import { csvRow, textRow } from "./formats.ts";
import { sqliteText } from "./sqlite_text.ts";
import { withoutPrototype } from "../../util/own.ts";

/** How `copyOut()` writes. */
export interface CopyOutOptions extends CallOptions {
  /**
   * `csv`: RFC 4180 as PostgreSQL writes it. `text`: COPY's own format, which `psql` and COPY read.
   * `ndjson`: an object a line. Default `csv`.
   */
  format?: "csv" | "text" | "ndjson" | undefined;
  /** The first line names the columns. For `csv` and `text`. Default: true for `csv`. */
  header?: boolean | undefined;
}

/** What is written, and how. */
export interface CopyOutOrder {
  /** The statement. */
  readonly statement: DriverStatement;
  /** Its columns' types, as far as they are known. */
  readonly types: readonly (SqlType<unknown> | undefined)[];
  /** The format. */
  readonly format: "csv" | "text" | "ndjson";
  /** The first line names the columns. */
  readonly header: boolean;
  /** Signal and limit of each statement. */
  readonly call: CallOptions;
}

/**
 * Checks what is to be written.
 *
 * @throws {InputError} for an option that is wrong.
 */
export function copyOutOrder(
  node: Node,
  statement: DriverStatement,
  options: CopyOutOptions,
): CopyOutOrder {
  for (const name of Object.keys(options)) {
    if (["format", "header", "signal", "timeout"].includes(name)) continue;
    throw new InputError(`copyOut() has no option "${name}"`, {
      hint: "It takes format, header, signal and timeout",
    });
  }
  const { format = "csv", header = format === "csv", signal, timeout } = withoutPrototype(options);
  if (format !== "csv" && format !== "text" && format !== "ndjson") {
    throw new InputError(`copyOut() writes "csv", "text" or "ndjson"`, {
      hint: `As in { format: "csv" }`,
    });
  }
  if (typeof header !== "boolean") {
    throw new InputError(`The option "header" is true or false, found ${describe(header)}`);
  }
  const types = node.kind === "select" ? typesOf(node) : [];
  return { statement, types, format, header, call: { signal, timeout } };
}

function typesOf(select: SelectNode): (SqlType<unknown> | undefined)[] {
  return select.columns.map((node) => {
    const type = typeOf(node);
    return type && resolveType(type);
  });
}

/** The bytes, in pieces. */
export async function* copyOut(
  order: CopyOutOrder,
  dialect: Dialect,
  connect: () => Promise<Connection>,
): AsyncGenerator<Uint8Array, void, void> {
  await using connection = await connect();
  const { statement, format, header } = order;
  // COPY takes no parameters. Rather than to splice values into its text, the rows are written here.
  const native = dialect.copyRows !== undefined && format !== "ndjson" &&
    statement.params.length === 0;
  if (native) {
    const options = format === "csv" ? `format csv, header ${header}` : "format text";
    const names = format === "text" && header ? await columnNames(connection, order) : undefined;
    if (names !== undefined) yield encoder.encode(textRow(names));
    yield* connection.copyOut(
      // On a line of its own, so that a comment at the end of the statement ends before it.
      `copy (${statement.text}\n) to stdout with (${options})`,
      order.call,
    );
  } else yield* written(connection, order, dialect);
}

const encoder = new TextEncoder();
/** Text is handed on in pieces of about this many characters. */
const PIECE = 32 * 1024;

async function* written(
  connection: Connection,
  order: CopyOutOrder,
  dialect: Dialect,
): AsyncGenerator<Uint8Array, void, void> {
  const { statement, format, header, types } = order;
  let write: ((row: WireRow) => string) | undefined;
  let text = "";
  for await (const { rows, columns } of connection.windows(statement, order.call)) {
    if (write === undefined) {
      if (format === "ndjson") {
        const decoder = new RowDecoder(columns, dialect);
        write = (row) => `${writeAnything(decoder.object(row))}\n`;
      } else {
        const line = format === "csv" ? csvRow : textRow;
        if (header) text += line(columns.map(({ name }) => name));
        write = (row) => line(row.map((wire, i) => textOf(types[i], wire, dialect)));
      }
    }
    for (const row of rows) {
      text += write(row);
      if (text.length < PIECE) continue;
      yield encoder.encode(text);
      text = "";
    }
  }
  if (write === undefined && header && format !== "ndjson") {
    text = (format === "csv" ? csvRow : textRow)(await columnNames(connection, order));
  }
  if (text !== "") yield encoder.encode(text);
}

function textOf(
  type: SqlType<unknown> | undefined,
  wire: WireValue,
  dialect: Dialect,
): string | null {
  return dialect.name === "sqlite" ? sqliteText(type, wire) : wire as string | null;
}

/** The names of a statement's columns, whether it gives rows or not. */
async function columnNames(connection: Connection, order: CopyOutOrder): Promise<string[]> {
  const { text, params } = order.statement;
  const none = { text: `select * from (${text}\n) as rows limit 0`, params };
  const { columns } = await connection.run(none, order.call);
  return columns.map(({ name }) => name);
}

/** A stream of what a generator gives, no faster than it is read; cancelling it ends the generator. */
export function byteStream(
  bytes: AsyncGenerator<Uint8Array, void, void>,
): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await bytes.next();
      if (done === true) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await bytes.return();
    },
  }, { highWaterMark: 0 });
}
