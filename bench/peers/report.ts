/** The results as Markdown. */

import { type CaseResult, type Measured, median, ratios, type Results } from "./results.ts";

/** Tables of ratios, of times and of memory. */
export function report(results: Results): string {
  const { when, machine, versions, scale, rounds, contenders, cases } = results;
  const failed = cases.flatMap((result) =>
    Object.entries(result.contenders).flatMap(([name, { failed }]) =>
      failed === undefined ? [] : [`- \`${result.name}\`, ${name}: ${failed.split("\n")[0]}`]
    )
  );
  const described = (values: Readonly<Record<string, string>>) =>
    Object.entries(values).map(([name, value]) => `${name} ${value}`).join(", ");
  return [
    "# Sluice and its peers",
    `${when}, ${rounds} rounds at scale ${scale}. ${described(machine)}. ${described(versions)}.`,
    "## Time",
    "Relative to raw npm `postgres` in the same round, median of the rounds; smaller is faster. " +
    "In parentheses the smallest and the largest ratio.",
    table(cases, contenders, "raw ms", ({ ms }, result, name) => {
      if (name === "raw") return median(ms).toFixed(1);
      const all = ratios(result, name).sort((a, b) => a - b);
      if (all.length === 0) return "failed";
      const range = `${all[0]!.toFixed(2)}–${all.at(-1)!.toFixed(2)}`;
      const ratio = median(all).toFixed(2);
      return all.length === 1 ? emphasized(ratio, name) : `${emphasized(ratio, name)} (${range})`;
    }),
    "## CPU time of the client",
    "Relative to raw, medians: what is left of the difference where the clock waits for the server.",
    table(cases, contenders, "raw ms", ({ cpu }, result, name) => {
      if (cpu.length === 0) return "";
      if (name === "raw") return median(cpu).toFixed(1);
      const base = median(result.contenders.raw?.cpu ?? []);
      return emphasized((median(cpu) / base).toFixed(2), name);
    }),
    "## Peak memory",
    "Highest resident size of the process over all its rounds, in MiB.",
    table(
      cases,
      contenders,
      "raw",
      ({ peak }, _, name) => peak === 0 ? "" : emphasized(peak.toFixed(0), name),
    ),
    ...(failed.length === 0 ? [] : ["## Failed", failed.join("\n")]),
  ].join("\n\n") + "\n";
}

function emphasized(cell: string, contender: string): string {
  return contender === "sluice" ? `**${cell}**` : cell;
}

function table(
  cases: readonly CaseResult[],
  contenders: readonly string[],
  base: string,
  cell: (measured: Measured, result: CaseResult, contender: string) => string,
): string {
  const heads = contenders.map((name) => name === "raw" ? base : name);
  const rows = cases.map((result) => [
    `\`${result.name}\`: ${result.title}`,
    ...contenders.map((name) => {
      const measured = result.contenders[name];
      return measured === undefined ? "–" : cell(measured, result, name);
    }),
  ]);
  return [["case", ...heads], ["---", ...heads.map(() => "--:")], ...rows]
    .map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}
