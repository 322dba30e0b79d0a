/** A progress bar on a terminal, and nothing where there is none. */

const WIDTH = 30;

/** Draws `label ████░░ 45 %` on one line, over and over. */
export class ProgressBar {
  readonly #visible = Deno.stdout.isTerminal();
  #label = "";
  #drawn = "";

  /** Shows how far it is. */
  update(label: string, done: number, total: number): void {
    if (!this.#visible) return;
    if (label !== this.#label && this.#drawn !== "") this.end();
    this.#label = label;
    const filled = Math.round(done / total * WIDTH);
    const bar = "█".repeat(filled) + "░".repeat(WIDTH - filled);
    const line = `  ${label.padEnd(10)} ${bar} ${done.toLocaleString("en")}`;
    if (line !== this.#drawn) write(`\r${line}`);
    this.#drawn = line;
  }

  /** Leaves the line. */
  end(): void {
    if (this.#drawn !== "") write("\n");
    this.#drawn = "";
  }
}

function write(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(text));
}
