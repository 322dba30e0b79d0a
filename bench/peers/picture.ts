/** The results as one picture: a panel for each case, a bar for each contender. */

import { BASE, type CaseResult, median, ratios, type Results } from "./results.ts";

const COLUMNS = 3;
const PANEL = 400;
const GAP = 28;
const MARGIN = 32;
const HEAD = 96;
/** Where the first bar begins, under the title. */
const TOP = 32;
const BAR = 18;
const STEP = 24;
/** Where bars begin, beside the names. */
const LABEL = 74;
/** The room for bars, and for the number behind the longest. */
const WIDTH = 250;
/** The longest bar: what is slower is cut off, and says so. */
const MOST = 4;

const COLORS: Readonly<Record<string, string>> = {
  raw: "#8a8f98",
  sluice: "#0b6bcb",
  drizzle: "#c3b46a",
  kysely: "#7fa87a",
  mikroorm: "#b98089",
};

/** An SVG. */
export function picture(results: Results): string {
  const { cases, rounds, scale, machine } = results;
  const width = 2 * MARGIN + COLUMNS * PANEL + (COLUMNS - 1) * GAP;
  const panels: string[] = [];
  let y = HEAD;
  for (let at = 0; at < cases.length; at += COLUMNS) {
    const row = cases.slice(at, at + COLUMNS);
    const most = Math.max(...row.map((result) => shownOf(results, result).length));
    const height = TOP + most * STEP + 6;
    row.forEach((result, column) => {
      const x = MARGIN + column * (PANEL + GAP);
      panels.push(
        `<g transform="translate(${x} ${y})">` +
          `<rect x="-12" y="-6" width="${PANEL + 18}" height="${height}" fill="#f6f7f9" rx="6"/>` +
          `${panel(result, shownOf(results, result))}</g>`,
      );
    });
    y += height + GAP - 14;
  }
  const note = `Time relative to raw npm postgres in the same round (the dashed line), median of ` +
    `${rounds} ${rounds === 1 ? "round" : "rounds"} at scale ${scale}: shorter is faster. ` +
    `Thin lines: smallest to largest ratio.`;
  const on = Object.entries(machine).map(([name, value]) => `${name} ${value}`).join(", ");
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${y + 8}" ` +
    `viewBox="0 0 ${width} ${y + 8}" font-family="Helvetica, Arial, sans-serif" font-size="13" ` +
    `fill="#1c1f24">
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="${MARGIN}" y="44" font-size="22" font-weight="bold">Sluice and its peers</text>
<text x="${MARGIN}" y="66" fill="#4a4f57">${escaped(note)}</text>
<text x="${MARGIN}" y="84" fill="#4a4f57" font-size="11">${escaped(on)}</text>
${panels.join("\n")}
</svg>
`;
}

function shownOf({ contenders }: Results, result: CaseResult): string[] {
  return contenders.filter((name) => result.contenders[name] !== undefined);
}

function panel(result: CaseResult, shown: readonly string[]): string {
  const values = shown.map((name) => ratios(result, name));
  const longest = Math.min(MOST, Math.max(1, ...values.map((all) => median(all) || 0)) * 1.05);
  const x = (ratio: number) => LABEL + WIDTH * Math.min(ratio, longest) / longest;
  const bars = shown.map((name, i) => {
    const all = values[i]!;
    const ratio = median(all);
    const y = TOP + i * STEP;
    const middle = y + BAR / 2;
    const weight = name === "sluice" ? ' font-weight="bold"' : "";
    const text = (at: number, words: string, anchor = "start") =>
      `<text x="${at.toFixed(1)}" y="${y + 13}" text-anchor="${anchor}"${weight}>${words}</text>`;
    const label = text(LABEL - 8, escaped(name), "end");
    if (all.length === 0) return label + text(LABEL + 6, "failed");
    const end = x(ratio);
    const cut = ratio > longest;
    const low = x(Math.min(...all));
    const high = x(Math.max(...all));
    const spread = !cut && high > low
      ? `<path d="M${low.toFixed(1)} ${middle}H${high.toFixed(1)}" stroke="#1c1f24" ` +
        `stroke-opacity="0.55"/>`
      : "";
    const behind = Math.max(end, spread === "" ? 0 : high, ratio < 1 ? x(1) : 0) + 6;
    const number = `${ratio.toFixed(2)}${cut ? " »" : ""}` +
      (name === BASE ? ` (${milliseconds(median(result.contenders[name]!.ms))})` : "");
    return `${label}<rect x="${LABEL}" y="${y}" width="${(end - LABEL).toFixed(1)}" ` +
      `height="${BAR}" fill="${COLORS[name] ?? "#999999"}"/>${spread}${text(behind, number)}`;
  });
  return `<text y="16" font-weight="bold">${escaped(fitted(result.title))}</text>` +
    `${bars.join("")}<path d="M${x(1).toFixed(1)} ${TOP - 6}V${TOP + shown.length * STEP}" ` +
    `stroke="#1c1f24" stroke-dasharray="3 3" stroke-opacity="0.5"/>`;
}

/** Titles are as long as the panel is wide. */
function fitted(title: string): string {
  return title.length <= 60 ? title : `${title.slice(0, 59)}…`;
}

function milliseconds(ms: number): string {
  return ms >= 1_000 ? `${(ms / 1_000).toFixed(2)} s` : `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
