import type { TypedArray } from '../dtype';
import { TokenLearnerError } from '../errors';
import { littleEndianBytes } from './elements';
import type { FileContent } from './file-write';
import { quote } from './format-error';

const CHUNK_BYTES = 2 ** 22;

/**
 * Yields the elements as a file holds them (little-endian). Each chunk is a copy, so later writes to the array do not change it.
 *
 * @param byteLength - bytes of the elements at the time of the call to save
 * @throws TokenLearnerError ERR_DETACHED if the memory was transferred since then.
 */
export function* elementChunks(data: TypedArray, byteLength: number, name: string): Generator<Uint8Array> {
  const step = CHUNK_BYTES / data.BYTES_PER_ELEMENT;
  for (let done = 0; done < byteLength; done += CHUNK_BYTES) {
    if (data.byteLength !== byteLength) {
      throw new TokenLearnerError(
        'ERR_DETACHED',
        `The memory of tensor ${quote(name)} was detached (transferred) while it was saved; nothing was saved`,
      );
    }
    const first = done / data.BYTES_PER_ELEMENT;
    yield littleEndianBytes(data.slice(first, first + step));
  }
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
