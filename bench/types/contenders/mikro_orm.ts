/** The schema and the queries in MikroORM: `defineEntity` with a class, the first way of its manual. */

import { type Contender, entities, importsOf, type Neighbours } from "../contender.ts";

/** See above. */
export const mikroOrm: Contender = {
  title: "MikroORM",
  packages: { "@mikro-orm/core": "7.2.1", "@mikro-orm/postgresql": "7.2.1" },
  program(n) {
    const files = new Map([["em.ts", EM]]);
    for (const each of entities(n)) {
      files.set(`model/e${each.own}.ts`, model(each));
      files.set(`queries/q${each.own}.ts`, queries(each));
    }
    return files;
  },
};

const EM = `import type { EntityManager } from "@mikro-orm/postgresql";
export declare const em: EntityManager;
`;

const model = (each: Neighbours): string => {
  const { own, owner, item, editor } = each;
  return `import { defineEntity, p } from "@mikro-orm/core";
${importsOf(each, (i) => `import { E${i} } from "./e${i}.ts";`)}

const E${own}Schema = defineEntity({
  name: "E${own}",
  properties: {
    id: p.integer().primary().autoincrement(),
    name: p.text(),
    email: p.text().nullable().unique(),
    price: p.decimal("string").precision(10).scale(2),
    active: p.boolean().default(true),
    createdAt: p.datetime().defaultRaw("now()"),
    meta: p.json<{ isbn?: string; tags: string[] }>(),
    owner: () => p.manyToOne(E${owner}),
    items: () => p.oneToMany(E${item}).mappedBy("owner"),
    editor: () => p.manyToOne(E${editor}).nullable(),
  },
});

export class E${own} extends E${own}Schema.class {}
E${own}Schema.setClass(E${own});
`;
};

const queries = ({ own }: Neighbours): string =>
  `import { E${own} } from "../model/e${own}.ts";
import { em } from "../em.ts";

export async function found(name: string): Promise<string[]> {
  const all = await em.find(
    E${own},
    { owner: { name }, price: { $gt: "1" }, items: { $some: { active: true } } },
    { orderBy: { createdAt: "desc" }, limit: 10 },
  );
  return all.map((e) => e.price);
}

export async function loaded(): Promise<string[]> {
  const all = await em.find(E${own}, {}, { populate: ["items.owner"] });
  return all.flatMap((e) => e.items.$.map((i) => i.name + i.owner.name));
}

export async function columns(): Promise<string[]> {
  const rows = await em.find(E${own}, {}, { fields: ["id", "name", "email", "owner.name"] });
  return rows.map((row) => row.id.toFixed() + row.name + (row.email?.length ?? 0) + row.owner.name);
}
`;
