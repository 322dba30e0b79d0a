/** Random values from a seed, so that a failure can be repeated: mulberry32 (Tommy Ettinger, 2017). */
export class Random {
  #state: number;

  /** The same seed gives the same values. */
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 up to, but without, 1. */
  float(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number, both ends included. */
  int(low: number, high: number): number {
    return low + Math.floor(this.float() * (high - low + 1));
  }

  /** True or false. */
  bool(): boolean {
    return this.float() < 0.5;
  }

  /** One of the items. */
  pick<T>(items: readonly T[]): T {
    return items[this.int(0, items.length - 1)]!;
  }

  /** So many decimal digits. */
  digits(count: number): string {
    return Array.from({ length: count }, () => this.int(0, 9)).join("");
  }

  /** Text with everything that has ever been misread: quotes, braces, commas, NULL, surrogates. */
  text(): string {
    return Array.from(
      { length: this.int(0, 6) },
      () =>
        this.pick([
          "a",
          " ",
          ",",
          "'",
          '"',
          "\\",
          "{",
          "}",
          "NULL",
          "\n",
          "é",
          "語",
          "😀",
          "%",
          "$1",
        ]),
    ).join("");
  }

  /** A UUID. */
  uuid(): string {
    const hex = Array.from({ length: 32 }, () => this.int(0, 15).toString(16)).join("");
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  }

  /** Up to eight bytes. */
  bytes(): Uint8Array {
    return Uint8Array.from({ length: this.int(0, 8) }, () => this.int(0, 255));
  }
}
