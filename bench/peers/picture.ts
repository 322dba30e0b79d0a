/** The results as one picture: a panel for each case, a bar for each contender. */

import { BASE, type CaseResult, median, ratios, type Results } from "./results.ts";

const COLUMNS = 3;
const PANEL = 400;
const GAP = 28;
const MARGIN = 32;
const HEAD = 96;
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
  const { cases, contenders, rounds, scale, machine } = results;
  const height = 44 + contenders.length * STEP + 26;
  const rows = Math.ceil(cases.length / COLUMNS);
  const width = 2 * MARGIN + COLUMNS * PANEL + (COLUMNS - 1) * GAP;
  const total = HEAD + rows * (height + GAP) + MARGIN - GAP;
  const panels = cases.map((result, i) => {
    const x = MARGIN + (i % COLUMNS) * (PANEL + GAP);
    const y = HEAD + Math.floor(i / COLUMNS) * (height + GAP);
    return `<g transform="translate(${x} ${y})">${panel(result, contenders, height)}</g>`;
  });
  const note = `Time relative to raw npm postgres in the same round (= 1), median of ${rounds} ` +
    `${rounds === 1 ? "round" : "rounds"} at scale ${scale}; shorter is faster. ` +
    `Thin lines: smallest to largest ratio.`;
  const on = Object.entries(machine).map(([name, value]) => `${name} ${value}`).join(", ");
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${total}" ` +
    `viewBox="0 0 ${width} ${total}" font-family="Helvetica, Arial, sans-serif" font-size="13">
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="${MARGIN}" y="44" font-size="22" font-weight="bold" fill="#1c1f24">Sluice and its peers</text>
<text x="${MARGIN}" y="66" fill="#4a4f57">${escaped(note)}</text>
<text x="${MARGIN}" y="84" fill="#4a4f57" font-size="11">${escaped(on)}</text>
${panels.join("\n")}
</svg>
`;
}

function panel(result: CaseResult, contenders: readonly string[], height: number): string {
  const shown = contenders.filter((name) => result.contenders[name] !== undefined);
  const values = shown.map((name) => ratios(result, name));
  const longest = Math.min(MOST, Math.max(1, ...values.map((all) => median(all) || 0)) * 1.05);
  const x = (ratio: number) => LABEL + WIDTH * Math.min(ratio, longest) / longest;
  const bottom = 40 + shown.length * STEP;
  const bars = shown.map((name, i) => {
    const all = values[i]!;
    const ratio = median(all);
    const y = 40 + i * STEP;
    const weight = name === "sluice" ? ' font-weight="bold"' : "";
    const label = `<text x="${LABEL - 8}" y="${y + 13}" text-anchor="end"${weight} ` +
      `fill="#1c1f24">${escaped(name)}</text>`;
    if (all.length === 0) {
      return `${label}<text x="${LABEL + 6}" y="${y + 13}" fill="#a03030">failed</text>`;
    }
    const end = x(ratio);
    const cut = ratio > longest;
    const low = x(Math.min(...all));
    const high = x(Math.max(...all));
    const spread = all.length > 1 && !cut && name !== BASE
      ? `<path d="M${low.toFixed(1)} ${y + BAR / 2}H${high.toFixed(1)}" stroke="#1c1f24" ` +
        `stroke-opacity="0.55"/>`
      : "";
    const text = `${ratio.toFixed(2)}${cut ? " »" : ""}` +
      (name === BASE ? `  (${milliseconds(median(result.contenders[name]!.ms))})` : "");
    return `${label}<rect x="${LABEL}" y="${y}" width="${(end - LABEL).toFixed(1)}" ` +
      `height="${BAR}" fill="${COLORS[name] ?? "#999999"}"/>${spread}` +
      `<text x="${Math.max(end, spread === "" ? 0 : high) + 6}" y="${y + 13}"${weight} ` +
      `fill="#1c1f24">${text}</text>`;
  });
  return `<rect x="-10" y="-4" width="${PANEL + 12}" height="${height}" fill="#f6f7f9" rx="6"/>` +
    `<text x="0" y="20" font-weight="bold" fill="#1c1f24">${escaped(fitted(result.title))}</text>` +
    bars.join("") +
    `<path d="M${x(1).toFixed(1)} 34V${bottom}" stroke="#1c1f24" stroke-dasharray="3 3" ` +
    `stroke-opacity="0.5"/>`;
}

/** Titles are as long as the panel is wide. */
function fitted(title: string): string {
  return title.length <= 58 ? title : `${title.slice(0, 57)}…`;
}

function milliseconds(ms: number): string {
  return ms >= 1_000 ? `${(ms / 1_000).toFixed(2)} s` : `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
