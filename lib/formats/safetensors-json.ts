import { quote, type Fail } from './format-error';

/** A JSON value of a header. Objects are Maps, so that no key is special. */
export type HeaderValue = null | boolean | number | string | HeaderValue[] | Map<string, HeaderValue>;

/** The format itself nests three deep. */
const MAX_DEPTH = 32;
const WHITESPACE = /[ \t\n\r]*/y;
const SCALAR = /[-+.\w]*/y;
const PLAIN_INTEGER = /^(?:0|[1-9]\d*)$/;
const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * Reads the JSON (RFC 8259) of a header. Unlike JSON.parse it refuses duplicate keys and lone surrogates, and a number that
 * is not written as a plain integer becomes NaN, since the format has no place for one.
 */
export class HeaderParser {
  readonly #text: string;
  readonly #fail: Fail;
  #at = 0;

  constructor(text: string, fail: Fail) {
    this.#text = text;
    this.#fail = fail;
  }

  parse(): HeaderValue {
    const value = this.#value(0);
    this.#skipWhitespace();
    if (this.#at !== this.#text.length) throw this.#invalid('trailing characters');
    return value;
  }

  #invalid(what: string): Error {
    return this.#fail(`the header is not valid JSON: ${what} at character ${this.#at}`);
  }

  #skipWhitespace(): void {
    WHITESPACE.lastIndex = this.#at;
    WHITESPACE.test(this.#text);
    this.#at = WHITESPACE.lastIndex;
  }

  /** Consumes `token` if it comes next. */
  #take(token: string): boolean {
    this.#skipWhitespace();
    if (this.#text[this.#at] !== token) return false;
    this.#at += 1;
    return true;
  }

  #expect(token: string): void {
    if (!this.#take(token)) throw this.#invalid(`expected '${token}'`);
  }

  #value(depth: number): HeaderValue {
    if (depth > MAX_DEPTH) throw this.#invalid('nested too deeply');
    if (this.#take('{')) return this.#object(depth);
    if (this.#take('[')) return this.#array(depth);
    return this.#text[this.#at] === '"' ? this.#string() : this.#scalar();
  }

  #object(depth: number): Map<string, HeaderValue> {
    const object = new Map<string, HeaderValue>();
    if (this.#take('}')) return object;
    do {
      this.#skipWhitespace();
      if (this.#text[this.#at] !== '"') throw this.#invalid('expected a key');
      const key = this.#string();
      if (object.has(key)) throw this.#fail(`the header has the key ${quote(key)} twice`);
      this.#expect(':');
      object.set(key, this.#value(depth + 1));
    } while (this.#take(','));
    this.#expect('}');
    return object;
  }

  #array(depth: number): HeaderValue[] {
    const array: HeaderValue[] = [];
    if (this.#take(']')) return array;
    do array.push(this.#value(depth + 1));
    while (this.#take(','));
    this.#expect(']');
    return array;
  }

  /** The text from here to the next `"` that no backslash escapes, as one JSON string. */
  #string(): string {
    let end = this.#at;
    let escaped = true;
    while (escaped) {
      end = this.#text.indexOf('"', end + 1);
      if (end < 0) throw this.#invalid('unterminated string');
      let backslashes = 0;
      while (this.#text[end - 1 - backslashes] === '\\') backslashes += 1;
      escaped = backslashes % 2 === 1;
    }
    const value = this.#parseSlice(end + 1) as string;
    if (LONE_SURROGATE.test(value)) throw this.#invalid('a string with a lone surrogate');
    this.#at = end + 1;
    return value;
  }

  #scalar(): null | boolean | number {
    SCALAR.lastIndex = this.#at;
    SCALAR.test(this.#text);
    const end = SCALAR.lastIndex;
    const value = this.#parseSlice(end) as null | boolean | number;
    const isFraction = typeof value === 'number' && !PLAIN_INTEGER.test(this.#text.slice(this.#at, end));
    this.#at = end;
    return isFraction ? NaN : value;
  }

  #parseSlice(end: number): unknown {
    try {
      return JSON.parse(this.#text.slice(this.#at, end));
    } catch {
      throw this.#invalid(`unexpected ${quote(this.#text.slice(this.#at, Math.max(end, this.#at + 1)))}`);
    }
  }
}
