/** The schema and the queries in Sluice. */

import { type Contender, entities, importsOf, type Neighbours } from "../contender.ts";

/** Its package is made of the sources, see `library.ts`. */
export const sluice: Contender = {
  title: "Sluice",
  packages: {},
  program(n) {
    const files = new Map([["session.ts", SESSION]]);
    for (const each of entities(n)) {
      files.set(`model/e${each.own}.ts`, model(each));
      files.set(`queries/q${each.own}.ts`, queries(each));
    }
    return files;
  },
};

const SESSION = `import type { AsyncSession } from "@sluice/orm";
export declare const session: AsyncSession;
`;

const model = (each: Neighbours): string =>
  `import {
  belongsTo, boolean, entity, hasMany, integer, json, numeric, text, timestamptz,
} from "@sluice/orm";
${importsOf(each, (i) => `import type { E${i} } from "./e${i}.ts";`)}

export class E${each.own} extends entity("e${each.own}", {
  id: integer().primaryKey().generated(),
  name: text(),
  email: text().nullable().unique(),
  price: numeric(10, 2),
  active: boolean().default(true),
  createdAt: timestamptz().defaultSql("now()"),
  meta: json<{ isbn?: string; tags: string[] }>(),
  ownerId: integer().references("e${each.owner}.id"),
  editorId: integer().nullable().references("e${each.editor}.id"),
  owner: belongsTo<E${each.owner}>("ownerId"),
  items: hasMany<E${each.item}>("e${each.item}.ownerId"),
  editor: belongsTo<E${each.editor} | null>("editorId"),
}) {}
`;

const queries = ({ own }: Neighbours): string =>
  `import { E${own} } from "../model/e${own}.ts";
import { session } from "../session.ts";

export async function found(name: string): Promise<string[]> {
  const all = await session.query(E${own})
    .where((e) =>
      e.owner.name.eq(name).and(e.price.gt("1"), e.items.some((i) => i.active.eq(true)))
    )
    .orderBy((e) => e.createdAt.desc()).limit(10).all();
  return all.map((e) => e.price);
}

export async function loaded(): Promise<string[]> {
  const all = await session.query(E${own}).selectin("items.owner").all();
  return all.flatMap((e) => e.items.map((i) => i.name + i.owner.name));
}

export async function columns(): Promise<string[]> {
  const rows = await session.query(E${own})
    .select((e) => ({ id: e.id, name: e.name, email: e.email, owner: e.owner.name })).all();
  return rows.map((row) => row.id.toFixed() + row.name + (row.email?.length ?? 0) + row.owner);
}
`;
