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

/** What stands under a prefix. */
export interface PrefixContent {
  /** The families of which a name stands there, in the table's order. */
  readonly families: readonly KeyFamily[];
  /** The names in the state dict by what follows the prefix, of those that a family has. */
  readonly names: ReadonlyMap<string, string>;
}

/** The names of a state dict, found by their dotted form, which has the same length but for TensorFlow's suffix. */
export class NameIndex {
  readonly #names = new Map<string, string>();
  /** The dotted forms in order, once they are needed. Those with one beginning follow each other. */
  #sorted: readonly string[] | undefined;

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

  /** How many names begin with a dotted prefix: '', or one that ends in a dot. */
  countUnder(prefix: string): number {
    const [begin, end] = this.#range(prefix);
    return end - begin;
  }

  /** A name under a dotted prefix that is none of `known` and does not continue one; undefined if there is none. */
  strayUnder(prefix: string, known: ReadonlySet<string>): string | undefined {
    const forms = this.#inOrder();
    const [begin, end] = this.#range(prefix);
    let last: string | undefined;
    for (let at = begin; at < end;) {
      const form = forms[at] ?? '';
      if (known.has(form)) {
        last = form;
        at += 1;
      } else if (last !== undefined && form.startsWith(`${last}.`)) {
        // TensorFlow's optimizers store their values under the parameter's name.
        at = this.#range(`${last}.`)[1];
      } else {
        return this.#names.get(form);
      }
    }
    return undefined;
  }

  #inOrder(): readonly string[] {
    return (this.#sorted ??= [...this.#names.keys()].sort());
  }

  /** The part of the ordered forms that begins with a prefix. */
  #range(prefix: string): [begin: number, end: number] {
    // '/' is the character after '.', and no form has it.
    if (prefix === '') return [0, this.#names.size];
    return [this.#firstFrom(prefix), this.#firstFrom(`${prefix.slice(0, -1)}/`)];
  }

  /** The index of the first form that is not less than `bound`. */
  #firstFrom(bound: string): number {
    const forms = this.#inOrder();
    let [low, high] = [0, forms.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((forms[middle] ?? '') < bound) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The dotted prefixes of names that end like this, at a dot, and the names in the state dict. */
  *#ending(ending: string): Generator<[prefix: string, name: string]> {
    for (const [form, name] of this.#names) {
      if (!form.endsWith(ending)) continue;
      const prefix = form.slice(0, form.length - ending.length);
      if (prefix === '' || prefix.endsWith('.')) yield [prefix, name];
    }
  }

  /** The dotted prefixes of names that end like this, at a dot. */
  *before(ending: string): Generator<string> {
    for (const [prefix] of this.#ending(ending)) yield prefix;
  }

  /** What stands under each dotted prefix, of those before a name of a family. */
  prefixes(families: readonly KeyFamily[]): ReadonlyMap<string, PrefixContent> {
    const endings = new Map<string, KeyFamily[]>();
    for (const family of families)
      for (const [ending] of Object.values(family.keys))
        endings.set(ending, [...(endings.get(ending) ?? []), family]);
    const found = new Map<string, Map<string, string>>();
    for (const ending of endings.keys()) {
      for (const [prefix, name] of this.#ending(ending)) {
        const here = found.get(prefix) ?? new Map<string, string>();
        here.set(ending, name);
        found.set(prefix, here);
      }
    }
    const familiesOf = (names: ReadonlyMap<string, string>): KeyFamily[] => {
      const set = new Set([...names.keys()].flatMap((ending) => endings.get(ending) ?? []));
      return families.filter((family) => set.has(family));
    };
    return new Map([...found].map(([prefix, names]) => [prefix, { families: familiesOf(names), names }]));
  }
}
