import { Cursor } from './cursor';
import { quote, type Fail } from './format-error';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** The longest number or word, in bytes. */
const MAX_SCALAR = 400;
const PLAIN_INTEGER = /^(?:0|[1-9]\d*)$/;
const LONE_SURROGATE = /\p{Surrogate}/u;

/** True if a byte can be part of a number or word: JSON's characters, and others that a message should quote. */
function isScalar(byte: number | undefined): boolean {
  if (byte === undefined) return false;
  if (byte >= 0x30 && byte <= 0x39) return true;
  return (byte | 0x20) >= 0x61 ? (byte | 0x20) <= 0x7a : byte === 0x2d || byte === 0x2b || byte === 0x2e;
}

/**
 * Walks through JSON (RFC 8259) in UTF-8. It builds only the strings and integers that its user asks for, so memory is bounded
 * by what the user keeps. Stricter than JSON.parse: it refuses lone surrogates.
 */
export class JsonCursor extends Cursor {
  readonly #buffer: Buffer;
  readonly #what: string;

  /** @param what - names the text in error messages */
  constructor(bytes: Uint8Array, what: string, fail: Fail) {
    super(bytes, `${what} is not valid JSON`, fail);
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#what = what;
  }

  /**
   * Yields the keys of the object that begins here. After each key the user consumes its value.
   *
   * @param limit - of a key, in bytes
   */
  *keys(limit: number): Generator<string> {
    this.expect('{');
    if (this.take('}')) return;
    do {
      if (!this.nextIs('"')) throw this.invalid('expected a key');
      const key = this.string(limit);
      this.expect(':');
      yield key;
    } while (this.take(','));
    this.expect('}');
  }

  /** Yields the indices of the items of the array that begins here. After each index the user consumes the item. */
  *items(): Generator<number> {
    this.expect('[');
    if (this.take(']')) return;
    let index = 0;
    do yield index++;
    while (this.take(','));
    this.expect(']');
  }

  /** Consumes the string that begins here. @param limit - in bytes, as it is written */
  string(limit: number): string {
    const { bytes } = this;
    const start = this.at;
    let plain = true;
    let ascii = true;
    let at = start + 1;
    for (; bytes[at] !== QUOTE; at += 1) {
      const byte = bytes[at];
      if (byte === undefined) throw this.invalid('unterminated string');
      if (at - start - 1 >= limit) throw this.fail(`${this.#what} has a string of over ${limit} bytes`);
      if (byte < 0x20) throw this.invalid('unexpected control character in a string');
      if (byte >= 0x80) ascii = false;
      if (byte !== BACKSLASH) continue;
      plain = false;
      at += 1;
    }
    const text = this.#decode(start, at + 1, ascii);
    const value = plain ? text.slice(1, -1) : (this.#parse(text) as string);
    if (!plain && text.includes('\\u') && LONE_SURROGATE.test(value))
      throw this.invalid('a string with a lone surrogate');
    this.at = at + 1;
    return value;
  }

  /** Consumes the value that begins here. Returns NaN unless it is written as a plain integer. */
  integer(limit: number): number {
    this.skipSpace();
    if (!isScalar(this.bytes[this.at])) {
      this.skip(limit);
      return NaN;
    }
    const text = this.#scalar();
    return PLAIN_INTEGER.test(text) ? Number(text) : NaN;
  }

  /** Skips the value that begins here. @param limit - in bytes */
  skip(limit: number): void {
    this.#skip(this.at + limit, 0);
  }

  /** As {@link Cursor.end}. The text may be padded with any amount of white space; `pause` is awaited now and then. */
  async paddedEnd(pause: () => Promise<void>): Promise<void> {
    while (this.skipSomeSpace()) await pause();
    this.end();
  }

  #skip(end: number, depth: number): void {
    this.checkDepth(depth);
    if (this.at > end) throw this.fail(`${this.#what} has a value that is too long at byte ${end}`);
    const limit = end - this.at;
    if (this.nextIs('"')) this.string(limit);
    else if (this.nextIs('{')) this.#skipEach(this.keys(limit), end, depth + 1);
    else if (this.nextIs('[')) this.#skipEach(this.items(), end, depth + 1);
    else this.#scalar();
  }

  #skipEach(items: Generator, end: number, depth: number): void {
    while (items.next().done !== true) this.#skip(end, depth);
  }

  /** Consumes a number or a word and returns its text. */
  #scalar(): string {
    const start = this.at;
    let end = start;
    while (isScalar(this.bytes[end]) && end - start <= MAX_SCALAR) end += 1;
    const text = this.#buffer.toString('latin1', start, Math.max(end, start + 1));
    if (end - start > MAX_SCALAR) throw this.invalid(`unexpected ${quote(text)}`);
    this.#parse(text);
    this.at = end;
    return text;
  }

  #decode(start: number, end: number, ascii: boolean): string {
    if (ascii) return this.#buffer.toString('latin1', start, end);
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
        this.bytes.subarray(start, end),
      );
    } catch (cause) {
      throw this.fail(`${this.#what} is not valid UTF-8`, cause);
    }
  }

  #parse(text: string): unknown {
    try {
      return JSON.parse(text);
    } catch {
      throw this.invalid(`unexpected ${quote(text)}`);
    }
  }
}
