/**
 * A program that walks all tickets under a named checkpoint, for `killed_walk_test.ts` to kill once it
 * has told that a batch is committed.
 */

import { AsyncEngine, type BatchProgress } from "@sluice/orm";
import { Ticket } from "./killed_walk_model.ts";

const [url, form] = Deno.args as [string, string];
await using engine = new AsyncEngine(url, { entities: [Ticket] });
await using session = engine.session();
const tickets = session.query(Ticket).orderBy((t) => t.code.desc());
const options = {
  checkpoint: "tickets",
  onCommit: ({ batches }: BatchProgress) => {
    if (batches === 1) console.log("committed");
  },
} as const;
if (form === "loop") {
  for await (const ticket of tickets.commitEvery(7, options)) ticket.times++;
} else {
  await tickets.eachBatch(7, async (tickets) => {
    for (const ticket of tickets) ticket.times++;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }, { ...options, concurrency: 3 });
}
