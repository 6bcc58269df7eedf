import { quote, type Fail } from './format-error';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** Values that the format does not know may nest so deep; the formats themselves nest three deep. */
const MAX_DEPTH = 32;
/** White space between two tokens, in bytes. */
const MAX_SPACE = 2 ** 16;
/** The longest number or word, in bytes. */
const MAX_SCALAR = 400;
const PLAIN_INTEGER = /^(?:0|[1-9]\d*)$/;
const LONE_SURROGATE = /\p{Surrogate}/u;

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/** Whether a byte can be in a number or a word: what JSON allows there and what is near enough to be named. */
function isScalar(byte: number | undefined): boolean {
  if (byte === undefined) return false;
  if (byte >= 0x30 && byte <= 0x39) return true;
  return (byte | 0x20) >= 0x61 ? (byte | 0x20) <= 0x7a : byte === 0x2d || byte === 0x2b || byte === 0x2e;
}

/**
 * Walks through JSON (RFC 8259) in UTF-8 and builds nothing but the strings and integers that its user asks for, so that the
 * memory it takes is what its user keeps. Stricter than JSON.parse: lone surrogates are refused.
 */
export class JsonCursor {
  readonly #bytes: Uint8Array;
  readonly #buffer: Buffer;
  readonly #what: string;
  readonly #fail: Fail;
  #at = 0;

  /** @param what - what error messages call the text */
  constructor(bytes: Uint8Array, what: string, fail: Fail) {
    this.#bytes = bytes;
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#what = what;
    this.#fail = fail;
  }

  /** Bytes from the beginning. */
  get position(): number {
    return this.#at;
  }

  /**
   * The keys of the object that begins here, one by one; after each, the user consumes its value.
   *
   * @param limit - of a key, in bytes
   */
  *keys(limit: number): Generator<string> {
    this.#expect('{');
    if (this.take('}')) return;
    do {
      if (!this.nextIs('"')) throw this.#invalid('expected a key');
      const key = this.string(limit);
      this.#expect(':');
      yield key;
    } while (this.take(','));
    this.#expect('}');
  }

  /** The places of the items of the array that begins here; after each, the user consumes the item. */
  *items(): Generator<number> {
    this.#expect('[');
    if (this.take(']')) return;
    let index = 0;
    do yield index++;
    while (this.take(','));
    this.#expect(']');
  }

  /** Whether that character comes next, after white space. */
  nextIs(character: string): boolean {
    this.#skipSpace();
    return this.#bytes[this.#at] === character.charCodeAt(0);
  }

  /** Consumes that character if it comes next. */
  take(character: string): boolean {
    if (!this.nextIs(character)) return false;
    this.#at += 1;
    return true;
  }

  /** The string that begins here. @param limit - in bytes, as it is written */
  string(limit: number): string {
    const bytes = this.#bytes;
    const start = this.#at;
    let plain = true;
    let ascii = true;
    let at = start + 1;
    for (; bytes[at] !== QUOTE; at += 1) {
      const byte = bytes[at];
      if (byte === undefined) throw this.#invalid('unterminated string');
      if (at - start - 1 >= limit) throw this.#fail(`${this.#what} has a string of over ${limit} bytes`);
      if (byte < 0x20) throw this.#invalid('unexpected control character in a string');
      if (byte >= 0x80) ascii = false;
      if (byte !== BACKSLASH) continue;
      plain = false;
      at += 1;
    }
    const text = this.#decode(start, at + 1, ascii);
    const value = plain ? text.slice(1, -1) : (this.#parse(text) as string);
    if (!plain && text.includes('\\u') && LONE_SURROGATE.test(value))
      throw this.#invalid('a string with a lone surrogate');
    this.#at = at + 1;
    return value;
  }

  /** The value that begins here where it is written as a plain integer; NaN for any other, which is skipped. */
  integer(limit: number): number {
    this.#skipSpace();
    if (!isScalar(this.#bytes[this.#at])) {
      this.skip(limit);
      return NaN;
    }
    const text = this.#scalar();
    return PLAIN_INTEGER.test(text) ? Number(text) : NaN;
  }

  /** Passes over the value that begins here. @param limit - in bytes */
  skip(limit: number): void {
    this.#skip(this.#at + limit, 0);
  }

  /** The error of a text that goes on. White space may come, in which `pause` is awaited now and then. */
  async end(pause: () => Promise<void>): Promise<void> {
    while (isSpace(this.#bytes[this.#at])) {
      this.#at += 1;
      if (this.#at % MAX_SPACE === 0) await pause();
    }
    if (this.#at !== this.#bytes.length) throw this.#invalid('trailing characters');
  }

  #skip(end: number, depth: number): void {
    if (depth > MAX_DEPTH) throw this.#invalid('nested too deeply');
    if (this.#at > end) throw this.#fail(`${this.#what} has a value that is too long at byte ${end}`);
    const limit = end - this.#at;
    if (this.nextIs('"')) this.string(limit);
    else if (this.nextIs('{')) this.#skipEach(this.keys(limit), end, depth + 1);
    else if (this.nextIs('[')) this.#skipEach(this.items(), end, depth + 1);
    else this.#scalar();
  }

  #skipEach(items: Generator, end: number, depth: number): void {
    while (items.next().done !== true) this.#skip(end, depth);
  }

  #invalid(problem: string): Error {
    return this.#fail(`${this.#what} is not valid JSON: ${problem} at byte ${this.#at}`);
  }

  #expect(character: string): void {
    if (!this.take(character)) throw this.#invalid(`expected '${character}'`);
  }

  #skipSpace(): void {
    const start = this.#at;
    while (isSpace(this.#bytes[this.#at])) {
      this.#at += 1;
      if (this.#at - start > MAX_SPACE) throw this.#invalid(`over ${MAX_SPACE} bytes of white space`);
    }
  }

  /** A number or a word, as it is written. */
  #scalar(): string {
    const start = this.#at;
    let end = start;
    while (isScalar(this.#bytes[end]) && end - start <= MAX_SCALAR) end += 1;
    const text = this.#buffer.toString('latin1', start, Math.max(end, start + 1));
    if (end - start > MAX_SCALAR) throw this.#invalid(`unexpected ${quote(text)}`);
    this.#parse(text);
    this.#at = end;
    return text;
  }

  #decode(start: number, end: number, ascii: boolean): string {
    if (ascii) return this.#buffer.toString('latin1', start, end);
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
        this.#bytes.subarray(start, end),
      );
    } catch (cause) {
      throw this.#fail(`${this.#what} is not valid UTF-8`, cause);
    }
  }

  #parse(text: string): unknown {
    try {
      return JSON.parse(text);
    } catch {
      throw this.#invalid(`unexpected ${quote(text)}`);
    }
  }
}
