import { isUtf8 } from 'node:buffer';

import type { ByteSource } from './byte-source';
import type { Fail } from './format-error';

/** Bytes that are kept of the source. */
const WINDOW_BYTES = 2 ** 18;
/** The longest text that is read: a key. */
const MAX_TEXT_BYTES = 2 ** 16;
/** A byte, then a length or a number of 8 bytes, or a length of 4 and a code. */
const MAX_HEAD_BYTES = 9;

/**
 * The next value, or its beginning: a text, bytes and an extension are followed by `length` bytes, an array by `length` values, a map by `length`
 * pairs. An integer beyond 2^53 - 1 is rounded.
 */
export type Token =
  | { type: 'nil' | 'bool' | 'float' }
  | { type: 'int'; value: number }
  | { type: 'text' | 'bytes'; length: number }
  | { type: 'array' | 'map'; length: number }
  | { type: 'extension'; length: number; code: number };

/** Reads the tokens of MessagePack from a source, of which it keeps a window. */
export class MsgpackCursor {
  readonly #source: ByteSource;
  readonly #fail: Fail;
  readonly #window: Buffer;
  #start = 0;
  #end = 0;
  #at = 0;

  constructor(source: ByteSource, fail: Fail) {
    this.#source = source;
    this.#fail = fail;
    this.#window = Buffer.alloc(Math.min(WINDOW_BYTES, source.size));
  }

  /** Bytes from the beginning of the source. */
  get position(): number {
    return this.#at;
  }

  /** Bytes that follow. */
  get left(): number {
    return this.#source.size - this.#at;
  }

  /** Makes the error for malformed content at this position. */
  invalid(problem: string): Error {
    return this.#fail(`not valid MessagePack: ${problem} at byte ${this.#at}`);
  }

  /** Skips bytes. Throws if there are fewer. */
  skip(length: number): void {
    if (length > this.left) throw this.invalid(`${length} bytes are announced and ${this.left} follow`);
    this.#at += length;
  }

  /** Reads the next token. The promise is there only where the source must be read. */
  next(): Token | Promise<Token> {
    if (this.left < 1) throw this.#fail(`truncated: the content ends at byte ${this.#at}`);
    return this.#with(Math.min(this.left, MAX_HEAD_BYTES), (head) => {
      const { token, bytes } = readToken(head, (problem) => this.invalid(problem));
      this.#at += bytes;
      const follow = minimalBytes(token);
      if (follow > this.left) throw this.invalid(`${follow} bytes or more must follow and ${this.left} do`);
      return token;
    });
  }

  /** Reads a text of that length, which {@link next} announced. */
  text(length: number): string | Promise<string> {
    if (length > MAX_TEXT_BYTES)
      throw this.invalid(`a text of ${length} bytes is over the limit of ${MAX_TEXT_BYTES}`);
    return this.#with(length, (bytes) => {
      if (!isUtf8(bytes)) throw this.invalid('a text is not valid UTF-8');
      this.#at += length;
      return bytes.toString('utf8');
    });
  }

  /** Calls `use` with the next bytes, at once if they are in the window. They lie within the source. */
  #with<T>(length: number, use: (bytes: Buffer) => T): T | Promise<T> {
    const offset = this.#at - this.#start;
    if (offset >= 0 && this.#at + length <= this.#end)
      return use(this.#window.subarray(offset, offset + length));
    return this.#move().then(() => use(this.#window.subarray(0, length)));
  }

  /** Reads the part of the source that follows. */
  async #move(): Promise<void> {
    const at = this.#at;
    const bytes = Math.min(this.#window.length, this.#source.size - at);
    [this.#start, this.#end] = [0, 0];
    await this.#source.read(this.#window.subarray(0, bytes), at);
    [this.#start, this.#end] = [at, at + bytes];
  }
}

/** The fewest bytes that must follow a token. */
function minimalBytes(token: Token): number {
  if (!('length' in token)) return 0;
  return token.type === 'map' ? 2 * token.length : token.length;
}

type TokenBytes = Readonly<{ token: Token; bytes: number }>;
type Invalid = (problem: string) => Error;

/** Bytes of the number that follows 0xc4 to 0xc6 and the like: 1, 2, 4 or 8. */
function unsigned(head: Buffer, size: number, invalid: Invalid): number {
  if (head.length < 1 + size) throw invalid('a number is cut off');
  return size === 8 ? Number(head.readBigUInt64BE(1)) : head.readUIntBE(1, size);
}

function signed(head: Buffer, size: number, invalid: Invalid): number {
  if (head.length < 1 + size) throw invalid('a number is cut off');
  return size === 8 ? Number(head.readBigInt64BE(1)) : head.readIntBE(1, size);
}

function skipped(type: 'nil' | 'bool' | 'float', bytes: number, head: Buffer, invalid: Invalid): TokenBytes {
  if (head.length < bytes) throw invalid('a number is cut off');
  return { token: { type }, bytes };
}

/** A token of one byte. */
function readShort(byte: number): TokenBytes | undefined {
  const one = (token: Token): TokenBytes => ({ token, bytes: 1 });
  if (byte < 0x80) return one({ type: 'int', value: byte });
  if (byte < 0x90) return one({ type: 'map', length: byte - 0x80 });
  if (byte < 0xa0) return one({ type: 'array', length: byte - 0x90 });
  if (byte < 0xc0) return one({ type: 'text', length: byte - 0xa0 });
  if (byte >= 0xe0) return one({ type: 'int', value: byte - 0x100 });
  if (byte === 0xc0) return one({ type: 'nil' });
  if (byte === 0xc2 || byte === 0xc3) return one({ type: 'bool' });
  return undefined;
}

/** The types that begin with a length, by their first byte, with the bytes of the length. */
const SIZED: ReadonlyMap<number, readonly ['text' | 'bytes' | 'array' | 'map', number]> = new Map([
  [0xc4, ['bytes', 1]],
  [0xc5, ['bytes', 2]],
  [0xc6, ['bytes', 4]],
  [0xd9, ['text', 1]],
  [0xda, ['text', 2]],
  [0xdb, ['text', 4]],
  [0xdc, ['array', 2]],
  [0xdd, ['array', 4]],
  [0xde, ['map', 2]],
  [0xdf, ['map', 4]],
]);

function readExtension(head: Buffer, byte: number, invalid: Invalid): TokenBytes {
  const fixed = byte >= 0xd4;
  const size = fixed ? 0 : 2 ** (byte - 0xc7);
  if (head.length < 2 + size) throw invalid('an extension is cut off');
  const length = fixed ? 2 ** (byte - 0xd4) : head.readUIntBE(1, size);
  return { token: { type: 'extension', length, code: head.readInt8(1 + size) }, bytes: 2 + size };
}

function readToken(head: Buffer, invalid: Invalid): TokenBytes {
  const byte = head[0] ?? 0;
  const short = readShort(byte);
  if (short !== undefined) return short;
  const [type, size = 0] = SIZED.get(byte) ?? [];
  if (type !== undefined) return { token: { type, length: unsigned(head, size, invalid) }, bytes: 1 + size };
  if ((byte >= 0xc7 && byte <= 0xc9) || (byte >= 0xd4 && byte <= 0xd8))
    return readExtension(head, byte, invalid);
  if (byte === 0xca || byte === 0xcb) return skipped('float', byte === 0xca ? 5 : 9, head, invalid);
  if (byte >= 0xcc && byte <= 0xcf) {
    const width = 2 ** (byte - 0xcc);
    return { token: { type: 'int', value: unsigned(head, width, invalid) }, bytes: 1 + width };
  }
  if (byte >= 0xd0 && byte <= 0xd3) {
    const width = 2 ** (byte - 0xd0);
    return { token: { type: 'int', value: signed(head, width, invalid) }, bytes: 1 + width };
  }
  throw invalid(`the byte 0x${byte.toString(16)} begins no value`);
}
