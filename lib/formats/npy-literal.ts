import type { Fail } from './format-error';

/** A Python literal of a header: a string, an integer, True or False, None, a tuple or a list. */
export type Literal = null | boolean | number | string | { kind: 'tuple' | 'list'; items: Literal[] };

/** An array's dtype description nests as deep as its fields do; plain arrays need two. */
const MAX_DEPTH = 16;
const SPACE = /[ \t\n\r]*/y;
/** Python 2 wrote long integers with an L. */
const ATOM = /(?<string>'[^'\\\n]*'|"[^"\\\n]*")|(?<integer>-?\d{1,20})L?|(?<word>True|False|None)/y;
const WORDS = { True: true, False: false, None: null } as const;

/** Reads the dict literal of an npy header, and nothing more of Python. */
export class LiteralParser {
  readonly #text: string;
  readonly #fail: Fail;
  #at = 0;

  constructor(text: string, fail: Fail) {
    this.#text = text;
    this.#fail = fail;
  }

  /** The dict that is the whole text. */
  parseDict(): Map<string, Literal> {
    const dict = new Map<string, Literal>();
    this.#expect('{');
    while (!this.#take('}')) {
      const key = this.#value(0);
      if (typeof key !== 'string') throw this.#invalid('expected a string as key');
      if (dict.has(key)) throw this.#invalid(`the key '${key}' comes twice`);
      this.#expect(':');
      dict.set(key, this.#value(0));
      if (!this.#take(',')) {
        this.#expect('}');
        break;
      }
    }
    this.#skipSpace();
    if (this.#at !== this.#text.length) throw this.#invalid('trailing characters');
    return dict;
  }

  #invalid(what: string): Error {
    return this.#fail(`the header is malformed: ${what} at character ${this.#at}`);
  }

  #skipSpace(): void {
    SPACE.lastIndex = this.#at;
    SPACE.test(this.#text);
    this.#at = SPACE.lastIndex;
  }

  #take(token: string): boolean {
    this.#skipSpace();
    if (this.#text[this.#at] !== token) return false;
    this.#at += 1;
    return true;
  }

  #expect(token: string): void {
    if (!this.#take(token)) throw this.#invalid(`expected '${token}'`);
  }

  #value(depth: number): Literal {
    if (depth > MAX_DEPTH) throw this.#invalid('nested too deeply');
    if (this.#take('(')) return this.#sequence('tuple', ')', depth);
    if (this.#take('[')) return this.#sequence('list', ']', depth);
    return this.#atom();
  }

  #sequence(kind: 'tuple' | 'list', close: string, depth: number): Literal {
    const items: Literal[] = [];
    let comma = false;
    while (!this.#take(close)) {
      items.push(this.#value(depth + 1));
      comma = this.#take(',');
      if (!comma) {
        this.#expect(close);
        break;
      }
    }
    // In Python, (3) is the number 3; only (3,) is a tuple.
    const [only = null] = items;
    return kind === 'tuple' && items.length === 1 && !comma ? only : { kind, items };
  }

  #atom(): Literal {
    ATOM.lastIndex = this.#at;
    const groups = ATOM.exec(this.#text)?.groups;
    if (groups === undefined) throw this.#invalid('expected a literal');
    this.#at = ATOM.lastIndex;
    if (groups.string !== undefined) return groups.string.slice(1, -1);
    if (groups.integer !== undefined) return Number(groups.integer);
    return WORDS[groups.word as keyof typeof WORDS];
  }
}
