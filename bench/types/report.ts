/** The results as Markdown. */

import { type Measured, median, of, perEntity, type Results } from "./results.ts";

/** A page of tables. */
export function report(results: Results): string {
  const { when, machine, versions, queries, contenders } = results;
  const list = (of: Readonly<Record<string, string>>): string =>
    Object.entries(of).map(([name, value]) => `${name} ${value}`).join(", ");
  return `# The cost of types

${when}; ${list(machine)}. ${list(versions)}.

Every entity has nine columns, three relations and ${queries} queries. *Per entity* is what it adds,
with its queries, to a program that imports the library and nothing else. Times are medians over
the rounds, in seconds; the counts are the same in every round.

${comparison(contenders)}
## Is it linear?

Instantiations and time per entity at the largest size, relative to those at the one before it; 1
is linear.

${growth(contenders)}
## \`deno check\`, Sluice alone

Of a folder that was never checked before. The sources of Sluice are checked along with it, the
empty program too.

${denoCheck(contenders)}`;
}

function comparison(contenders: Results["contenders"]): string {
  const lines = [
    "| entities | | instantiations | per entity | types per entity | check s | total s | check ms per entity | MiB |",
    "| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
  ];
  const sizes = new Set(Object.values(contenders).flatMap((all) => all.map((m) => m.entities)));
  for (const size of [...sizes].sort((a, b) => a - b)) {
    for (const [name, [empty, ...sized]] of Object.entries(contenders)) {
      const measured = [empty!, ...sized].find(({ entities }) => entities === size);
      if (measured?.failed !== undefined) lines.push(`| ${size} | ${name} | ${measured.failed} |`);
      if (measured === undefined || measured.rounds.length === 0) continue;
      const each = (key: "instantiations" | "types" | "checkMs", digits: number): string =>
        size === 0 ? "" : count(perEntity(measured, empty!, (m) => of(m, key)), digits);
      lines.push(`| ${
        [
          size,
          name,
          count(of(measured, "instantiations")),
          each("instantiations", 0),
          each("types", 0),
          seconds(of(measured, "checkMs")),
          seconds(of(measured, "totalMs")),
          each("checkMs", 1),
          count(of(measured, "memory")),
        ].join(" | ")
      } |`);
    }
  }
  return lines.join("\n") + "\n";
}

function growth(contenders: Results["contenders"]): string {
  const lines = ["| | sizes | instantiations | check time |", "| --- | --- | ---: | ---: |"];
  for (const [name, all] of Object.entries(contenders)) {
    const [before, last] = all.filter(({ rounds }) => rounds.length > 0).slice(-2);
    if (last === undefined || before!.entities === 0) continue;
    const ratio = (key: "instantiations" | "checkMs"): string => {
      const value = (m: Measured): number => of(m, key);
      return (perEntity(last, all[0]!, value) / perEntity(before!, all[0]!, value)).toFixed(2);
    };
    const sizes = `${last.entities} : ${before!.entities}`;
    lines.push(`| ${[name, sizes, ratio("instantiations"), ratio("checkMs")].join(" | ")} |`);
  }
  return lines.join("\n") + "\n";
}

function denoCheck(contenders: Results["contenders"]): string {
  const lines = ["| entities | s | ms per entity |", "| ---: | ---: | ---: |"];
  for (const all of Object.values(contenders)) {
    const measured = all.filter(({ denoMs }) => denoMs.length > 0);
    const value = ({ denoMs }: Measured): number => median(denoMs);
    for (const each of measured) {
      const added = each.entities === 0 ? "" : count(perEntity(each, measured[0]!, value), 1);
      lines.push(`| ${[each.entities, seconds(value(each)), added].join(" | ")} |`);
    }
  }
  return lines.join("\n") + "\n";
}

function count(value: number, digits = 0): string {
  return value.toLocaleString("en", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}
