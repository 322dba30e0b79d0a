/** The schema and the queries in Drizzle: `pgTable`, `relations()`, and `db.query` where it nests. */

import { type Contender, entities, importsOf, type Neighbours } from "../contender.ts";

/** See above. */
export const drizzle: Contender = {
  title: "Drizzle",
  packages: { "drizzle-orm": "0.45.4", postgres: "3.4.9" },
  program(n) {
    const files = new Map([["db.ts", DB]]);
    const all = entities(n);
    files.set("schema.ts", all.map(({ own }) => `export * from "./model/e${own}.ts";\n`).join(""));
    if (n === 0) files.set("schema.ts", "export {};\n");
    for (const each of all) {
      files.set(`model/e${each.own}.ts`, model(each));
      files.set(`queries/q${each.own}.ts`, queries(each));
    }
    return files;
  },
};

const DB = `import { drizzle } from "drizzle-orm/postgres-js";
import * as schema from "./schema.ts";

export const db = drizzle("postgres://localhost", { schema });
`;

const model = (each: Neighbours): string => {
  const { own, owner, item, editor } = each;
  return `import { relations } from "drizzle-orm";
import {
  type AnyPgColumn, boolean, integer, jsonb, numeric, pgTable, serial, text, timestamp,
} from "drizzle-orm/pg-core";
${importsOf(each, (i) => `import { e${i} } from "./e${i}.ts";`)}

export const e${own} = pgTable("e${own}", {
  id: serial().primaryKey(),
  name: text().notNull(),
  email: text().unique(),
  price: numeric({ precision: 10, scale: 2 }).notNull(),
  active: boolean().notNull().default(true),
  createdAt: timestamp("created_at", { withTimezone: true }).notNull().defaultNow(),
  meta: jsonb().$type<{ isbn?: string; tags: string[] }>().notNull(),
  ownerId: integer("owner_id").notNull().references((): AnyPgColumn => e${owner}.id),
  editorId: integer("editor_id").references((): AnyPgColumn => e${editor}.id),
});

export const e${own}Relations = relations(e${own}, ({ one, many }) => ({
  owner: one(e${owner}, { relationName: "owner${own}", fields: [e${own}.ownerId], references: [e${owner}.id] }),
  items: many(e${item}, { relationName: "owner${item}" }),
  editor: one(e${editor}, { relationName: "editor${own}", fields: [e${own}.editorId], references: [e${editor}.id] }),
}));
`;
};

const queries = ({ own, owner, item }: Neighbours): string =>
  `import { and, desc, eq, exists, gt } from "drizzle-orm";
import { db } from "../db.ts";
import { e${own} } from "../model/e${own}.ts";
import { e${owner} } from "../model/e${owner}.ts";
import { e${item} } from "../model/e${item}.ts";

export async function found(name: string): Promise<string[]> {
  const all = await db.select().from(e${own})
    .innerJoin(e${owner}, eq(e${own}.ownerId, e${owner}.id))
    .where(and(
      eq(e${owner}.name, name),
      gt(e${own}.price, "1"),
      exists(
        db.select({ id: e${item}.id }).from(e${item})
          .where(and(eq(e${item}.ownerId, e${own}.id), eq(e${item}.active, true))),
      ),
    ))
    .orderBy(desc(e${own}.createdAt)).limit(10);
  return all.map((row) => row.e${own}.price);
}

export async function loaded(): Promise<string[]> {
  const all = await db.query.e${own}.findMany({ with: { items: { with: { owner: true } } } });
  return all.flatMap((e) => e.items.map((i) => i.name + i.owner.name));
}

export async function columns(): Promise<string[]> {
  const rows = await db
    .select({ id: e${own}.id, name: e${own}.name, email: e${own}.email, owner: e${owner}.name })
    .from(e${own}).innerJoin(e${owner}, eq(e${own}.ownerId, e${owner}.id));
  return rows.map((row) => row.id.toFixed() + row.name + (row.email?.length ?? 0) + row.owner);
}
`;
