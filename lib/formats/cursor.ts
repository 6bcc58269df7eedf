import type { Fail } from './format-error';

/** Values may nest this deep. The formats themselves nest three deep; NumPy's structured dtypes nest as deep as their fields. */
const MAX_DEPTH = 32;
/** White space between two tokens, in bytes. */
const MAX_SPACE = 2 ** 16;

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/** A position in the bytes of a text, and the tokens that hand-written parsers share. Bounds white space and nesting. */
export class Cursor {
  protected readonly bytes: Uint8Array;
  /** Makes errors about the text. */
  protected readonly fail: Fail;
  /** Bytes from the beginning. */
  protected at = 0;
  readonly #problem: string;

  /** @param problem - how messages about malformed text begin, such as 'the header is not valid JSON' */
  constructor(bytes: Uint8Array, problem: string, fail: Fail) {
    this.bytes = bytes;
    this.fail = fail;
    this.#problem = problem;
  }

  /** Bytes from the beginning. */
  get position(): number {
    return this.at;
  }

  /** Skips white space. Returns true if that ASCII character follows. */
  nextIs(character: string): boolean {
    this.skipSpace();
    return this.bytes[this.at] === character.charCodeAt(0);
  }

  /** Consumes that character if it comes next. */
  take(character: string): boolean {
    if (!this.nextIs(character)) return false;
    this.at += 1;
    return true;
  }

  /** Consumes that character. Throws if another one comes next. */
  expect(character: string): void {
    if (!this.take(character)) throw this.invalid(`expected '${character}'`);
  }

  /** Throws unless only white space follows. */
  end(): void {
    this.skipSpace();
    if (this.at !== this.bytes.length) throw this.invalid('trailing characters');
  }

  /** Throws if values nest deeper than parsers here allow. */
  protected checkDepth(depth: number): void {
    if (depth > MAX_DEPTH) throw this.invalid('nested too deeply');
  }

  /** Makes the error for malformed text at this position. */
  protected invalid(problem: string): Error {
    return this.fail(`${this.#problem}: ${problem} at byte ${this.at}`);
  }

  protected skipSpace(): void {
    if (this.skipSomeSpace()) throw this.invalid(`over ${MAX_SPACE} bytes of white space`);
  }

  /** Skips at most {@link MAX_SPACE} bytes of white space. Returns true if there is more. */
  protected skipSomeSpace(): boolean {
    const end = this.at + MAX_SPACE;
    while (this.at < end && isSpace(this.bytes[this.at])) this.at += 1;
    return isSpace(this.bytes[this.at]);
  }
}
