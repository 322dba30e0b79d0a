/** What the workloads that write share: the table made empty, rows sent by `unnest`, a look at what is stored. */

import type postgres from "postgres";
import type { ImportRow } from "./import_rows.ts";
import type { Raw } from "./workload.ts";

/** Empties the table, keys beginning at 1 again. */
export async function emptyImports(sql: Raw): Promise<void> {
  await sql`truncate imports restart identity`;
}

/** Sums up what is stored, so that a lost or mangled column shows. */
export async function checksum(sql: Raw): Promise<number> {
  const [row] = await sql`
    select sum(id + author_id + pages + length(title) + price
      + (published - date '2000-01-01') + coalesce(length(meta ->> 'isbn'), 0))::float8 as sum
    from imports`;
  return row!.sum;
}

/** What `checksum` gives when `rows` are stored. */
export function checksumOf(rows: readonly ImportRow[]): number {
  let sum = 0;
  let cents = 0;
  rows.forEach((row, i) => {
    cents += Math.round(Number(row.price) * 100);
    const days = (Date.parse(row.published) - Date.UTC(2000, 0, 1)) / 86_400_000;
    sum += i + 1 + row.authorId + row.pages + row.title.length + days +
      (row.meta?.isbn.length ?? 0);
  });
  return sum + cents / 100;
}

/** `insert … select from unnest … returning id` as one writes it by hand: an array for each column. */
export function insertByUnnest(
  sql: Raw | postgres.TransactionSql,
  rows: readonly ImportRow[],
  returning: postgres.PendingQuery<postgres.Row[]> = sql``,
): postgres.PendingQuery<{ id: number }[]> {
  return sql<{ id: number }[]>`
    insert into imports (author_id, title, price, pages, published, meta)
    select * from unnest(
      ${rows.map((row) => row.authorId)}::int[],
      ${rows.map((row) => row.title)}::text[],
      ${rows.map((row) => row.price)}::numeric[],
      ${rows.map((row) => row.pages)}::int[],
      ${rows.map((row) => row.published)}::date[],
      ${rows.map((row) => row.meta) as unknown as string[]}::jsonb[]
    ) ${returning}`;
}
