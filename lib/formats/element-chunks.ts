import type { TypedArray } from '../dtype';
import { TokenLearnerError } from '../errors';
import { ElementParts } from './array-entry';
import { littleEndianBytes } from './elements';
import type { FileContent } from './file-write';
import { quote } from './format-error';

const CHUNK_BYTES = 2 ** 22;
/** Chunks below this size are packed with others, so that each write to the file has many of them. */
const SMALL_BYTES = 2 ** 15;
const PACK_BYTES = 2 ** 18;
/** The most chunks of a pack: a few milliseconds of work. */
const PACKED_CHUNKS = 2 ** 10;

function detached(name: string, cause?: unknown): TokenLearnerError {
  return new TokenLearnerError(
    'ERR_DETACHED',
    `The memory of tensor ${quote(name)} was detached (transferred) while it was saved; no file was changed`,
    cause === undefined ? undefined : { cause },
  );
}

function* arrayChunks(data: TypedArray, byteLength: number, name: string): Generator<Uint8Array> {
  const step = CHUNK_BYTES / data.BYTES_PER_ELEMENT;
  for (let done = 0; done < byteLength; done += CHUNK_BYTES) {
    if (data.byteLength !== byteLength) throw detached(name);
    const first = done / data.BYTES_PER_ELEMENT;
    yield littleEndianBytes(data.slice(first, first + step));
  }
}

function* partChunks(data: ElementParts, name: string): Generator<Uint8Array> {
  try {
    for (const part of data.parts()) yield littleEndianBytes(part);
  } catch (error) {
    if (error instanceof TokenLearnerError && error.code === 'ERR_DETACHED') throw detached(name, error);
    throw error;
  }
}

/**
 * Yields the elements as a file holds them (little-endian). Each chunk is a copy, so later writes to the array do not change it.
 *
 * @param byteLength - bytes of the elements at the time of the call to save
 * @throws TokenLearnerError ERR_DETACHED if the memory was transferred since then.
 */
export function elementChunks(
  data: TypedArray | ElementParts,
  byteLength: number,
  name: string,
): Generator<Uint8Array> {
  return data instanceof ElementParts ? partChunks(data, name) : arrayChunks(data, byteLength, name);
}

/** Yields the same bytes with small chunks put together. */
export function* packed(chunks: Iterable<Uint8Array>): Generator<Uint8Array> {
  let pack: Uint8Array[] = [];
  let bytes = 0;
  for (const chunk of chunks) {
    if (chunk.byteLength < SMALL_BYTES) {
      pack.push(chunk);
      bytes += chunk.byteLength;
      if (pack.length < PACKED_CHUNKS && bytes < PACK_BYTES) continue;
    }
    if (pack.length > 0) yield Buffer.concat(pack);
    [pack, bytes] = [[], 0];
    if (chunk.byteLength >= SMALL_BYTES) yield chunk;
  }
  if (pack.length > 0) yield Buffer.concat(pack);
}

/** Collects a content in memory. */
export function wholeContent(content: FileContent): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(content.byteLength);
  let offset = 0;
  for (const chunk of content.chunks()) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return bytes;
}
