import { Cursor } from './cursor';
import type { Fail } from './format-error';

/** A Python literal of a header: a string, an integer, True or False, None, a tuple or a list. */
export type Literal = null | boolean | number | string | { kind: 'tuple' | 'list'; items: Literal[] };

/** Python 2 wrote long integers with an L. */
const ATOM = /(?<string>'[^'\\\n]*'|"[^"\\\n]*")|(?<integer>-?\d{1,20})L?|(?<word>True|False|None)/y;
const WORDS = { True: true, False: false, None: null } as const;

/** Reads the dict literal of an npy header. It knows no other Python. */
export class LiteralParser extends Cursor {
  /** One character for each byte, so that positions in both are the same. */
  readonly #text: string;
  readonly #encoding: 'latin1' | 'utf-8';

  /** @param bytes - the text, valid in its encoding */
  constructor(bytes: Uint8Array, encoding: 'latin1' | 'utf-8', fail: Fail) {
    super(bytes, 'the header is malformed', fail);
    this.#text = Buffer.from(bytes).toString('latin1');
    this.#encoding = encoding;
  }

  /** Parses the whole text, which is one dict. */
  parseDict(): Map<string, Literal> {
    const dict = new Map<string, Literal>();
    this.expect('{');
    while (!this.take('}')) {
      const key = this.#value(0);
      if (typeof key !== 'string') throw this.invalid('expected a string as key');
      if (dict.has(key)) throw this.invalid(`the key '${key}' comes twice`);
      this.expect(':');
      dict.set(key, this.#value(0));
      if (!this.take(',')) {
        this.expect('}');
        break;
      }
    }
    this.end();
    return dict;
  }

  #value(depth: number): Literal {
    this.checkDepth(depth);
    if (this.take('(')) return this.#sequence('tuple', ')', depth);
    if (this.take('[')) return this.#sequence('list', ']', depth);
    return this.#atom();
  }

  #sequence(kind: 'tuple' | 'list', close: string, depth: number): Literal {
    const items: Literal[] = [];
    let comma = false;
    while (!this.take(close)) {
      items.push(this.#value(depth + 1));
      comma = this.take(',');
      if (!comma) {
        this.expect(close);
        break;
      }
    }
    // In Python, (3) is the number 3; only (3,) is a tuple.
    const [only = null] = items;
    return kind === 'tuple' && items.length === 1 && !comma ? only : { kind, items };
  }

  #atom(): Literal {
    ATOM.lastIndex = this.at;
    const groups = ATOM.exec(this.#text)?.groups;
    if (groups === undefined) throw this.invalid('expected a literal');
    this.at = ATOM.lastIndex;
    if (groups.string !== undefined)
      return Buffer.from(groups.string.slice(1, -1), 'latin1').toString(this.#encoding);
    if (groups.integer !== undefined) return Number(groups.integer);
    return WORDS[groups.word as keyof typeof WORDS];
  }
}
