import { boolean, entity, integer, text, timestamptz } from "@sluice/orm";

export class User extends entity("users", {
  id: integer().primaryKey().generated(),
  name: text(),
  email: text().unique(),
  active: boolean().default(true),
  lastLogin: timestamptz().nullable(),
}) {}
