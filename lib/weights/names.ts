import type { KeyFamily } from './key-families';

/** What TensorFlow's checkpoints append to each name. */
const TENSORFLOW = '/.ATTRIBUTES/VARIABLE_VALUE';

function withoutSuffix(name: string): string {
  return name.endsWith(TENSORFLOW) ? name.slice(0, -TENSORFLOW.length) : name;
}

/** With dots for slashes. */
function dotted(name: string): string {
  return withoutSuffix(name).replaceAll('/', '.');
}

/** The names of a state dict, found by their dotted form, which has the same length but for TensorFlow's suffix. */
export class NameIndex {
  readonly #names = new Map<string, string>();
  readonly #under = new Map<string, number>();

  constructor(names: readonly string[]) {
    for (const name of names) {
      const form = dotted(name);
      if (!this.#names.has(form)) this.#names.set(form, name);
    }
  }

  /** The name in the state dict. */
  get(form: string): string | undefined {
    return this.#names.get(form);
  }

  /** The part of a name before the part that a key family has. */
  prefixOf(name: string, ending: string): string {
    return withoutSuffix(name).slice(0, -ending.length);
  }

  /** How many names begin with a dotted prefix. */
  countUnder(prefix: string): number {
    let count = this.#under.get(prefix);
    if (count === undefined) {
      count = 0;
      for (const form of this.#names.keys()) if (form.startsWith(prefix)) count += 1;
      this.#under.set(prefix, count);
    }
    return count;
  }

  /** The dotted prefixes of names that end like this, at a dot. */
  *before(ending: string): Generator<string> {
    for (const form of this.#names.keys()) {
      if (!form.endsWith(ending)) continue;
      const prefix = form.slice(0, form.length - ending.length);
      if (prefix === '' || prefix.endsWith('.')) yield prefix;
    }
  }

  /** Under each dotted prefix the families of which a name stands there. */
  prefixes(families: readonly KeyFamily[]): Map<string, KeyFamily[]> {
    const endings = new Map<string, KeyFamily[]>();
    for (const family of families)
      for (const [ending] of Object.values(family.keys))
        endings.set(ending, [...(endings.get(ending) ?? []), family]);
    const found = new Map<string, Set<KeyFamily>>();
    for (const [ending, theirs] of endings) {
      for (const prefix of this.before(ending)) {
        const here = found.get(prefix) ?? new Set();
        for (const family of theirs) here.add(family);
        found.set(prefix, here);
      }
    }
    // In the table's order.
    return new Map([...found].map(([prefix, set]) => [prefix, families.filter((family) => set.has(family))]));
  }
}
