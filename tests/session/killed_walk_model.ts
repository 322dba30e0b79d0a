/** What a walk that is killed counts. */

import { entity, integer, text } from "@sluice/orm";

/** Counts how often it was visited. */
export class Ticket extends entity("tickets", {
  id: integer().primaryKey(),
  code: text().unique(),
  times: integer().default(0),
}) {}
