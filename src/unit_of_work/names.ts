/**
 * Lists of names, of which those of the same names are the same one: most objects of a flush are given
 * the same properties.
 *
 * @module
 */

/** A list of names. */
export class Names {
  /** The names. */
  readonly list: readonly string[];
  readonly #longer = new Map<string, Names>();

  /** Begin with `noNames`. */
  constructor(list: readonly string[]) {
    this.list = list;
  }

  /** The list with one more name. */
  with(name: string): Names {
    let longer = this.#longer.get(name);
    if (longer === undefined) this.#longer.set(name, longer = new Names([...this.list, name]));
    return longer;
  }
}

/** The list of none. */
export const noNames: Names = new Names([]);
