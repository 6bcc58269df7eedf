import { types } from 'node:util';

import { TokenLearnerError } from '../errors';
import { checkInteger, unexpected } from '../validate';
import { allocateBytes, readFully } from './file-io';
import type { FileReader } from './file-reader';
import { formatErrors, ioError } from './format-error';
import { Pace } from './pace';

/** A stream is kept in blocks of this many bytes. */
const BLOCK_BYTES = 2 ** 22;

/** Bytes that can be read from any position: a file, or memory. */
export interface ByteSource {
  /** In bytes. */
  readonly size: number;
  /** Fills `target` from `position` on. The range must lie within `size`. */
  read(target: Uint8Array, position: number): Promise<void>;
}

/** Reads an open file. The caller closes the handle. */
export function fileSource(handle: FileReader, size: number, path: string): ByteSource {
  return { size, read: (target, position) => readFully(handle, target, position, path) };
}

/** Views a buffer as bytes. Throws ERR_DETACHED if its memory was transferred. */
export function bytesOver(buffer: ArrayBufferLike, name: string): Uint8Array {
  try {
    return new Uint8Array(buffer);
  } catch (cause) {
    throw new TokenLearnerError('ERR_DETACHED', `${name}: the memory was detached (transferred)`, { cause });
  }
}

/** Reads memory. Throws ERR_DETACHED if the memory was transferred; reading fails with it if that happens meanwhile. */
export function bytesSource(bytes: Uint8Array, name = 'the given bytes'): ByteSource {
  const size = bytes.byteLength;
  // An array over detached memory has no bytes.
  if (size === 0) bytesOver(bytes.buffer, name);
  return {
    size,
    read(target, position) {
      if (bytes.byteLength !== size) {
        const message = `${name}: the memory was detached (transferred) while it was read`;
        return Promise.reject(new TokenLearnerError('ERR_DETACHED', message));
      }
      target.set(bytes.subarray(position, position + target.byteLength));
      return Promise.resolve();
    },
  };
}

/** The parts of a Blob that a reader uses. A structural type, so that it needs neither Node's nor a browser's types. */
export interface BlobLike {
  /** In bytes. */
  readonly size: number;
  /** A part of it. */
  slice(start?: number, end?: number): BlobLike;
  /** Its bytes. */
  arrayBuffer(): Promise<ArrayBuffer>;
}

/** Reads a Blob or File part by part. Throws ERR_OUT_OF_RANGE if its size is not an integer of 0 or more. */
export function blobSource(blob: BlobLike, name: string): ByteSource {
  const size = checkInteger('path.size', blob.size, { min: 0, max: Number.MAX_SAFE_INTEGER });
  return {
    size,
    async read(target, position) {
      for (let done = 0; done < target.byteLength; done += BLOCK_BYTES) {
        const length = Math.min(target.byteLength - done, BLOCK_BYTES);
        const start = position + done;
        const part = await blobPart(blob, start, start + length, name);
        if (part.byteLength !== length)
          throw formatErrors(name)(`gave ${part.byteLength} bytes at ${start} instead of ${length}`);
        target.set(part, done);
      }
    },
  };
}

async function blobPart(blob: BlobLike, start: number, end: number, name: string): Promise<Uint8Array> {
  try {
    return new Uint8Array(await blob.slice(start, end).arrayBuffer());
  } catch (cause) {
    throw ioError('read', name, cause);
  }
}

/** Collects a stream in blocks: memory grows with the stream, and no single buffer has to hold it all. */
class Blocks implements ByteSource {
  readonly #name: string;
  readonly #blocks: Uint8Array[] = [];
  #size = 0;

  constructor(name: string) {
    this.#name = name;
  }

  get size(): number {
    return this.#size;
  }

  /** Copies a chunk in slices of a few milliseconds. */
  async append(chunk: Uint8Array, pace: Pace): Promise<void> {
    const source = bytesSource(chunk, this.#name);
    for (let done = 0; done < source.size;) {
      const at = this.#size % BLOCK_BYTES;
      const block = at === 0 ? undefined : this.#blocks.at(-1);
      const target = block ?? allocateBytes(BLOCK_BYTES, this.#name);
      if (block === undefined) this.#blocks.push(target);
      const length = Math.min(source.size - done, BLOCK_BYTES - at);
      await source.read(target.subarray(at, at + length), done);
      done += length;
      this.#size += length;
      await pace.pause();
    }
  }

  read(target: Uint8Array, position: number): Promise<void> {
    for (let done = 0; done < target.byteLength;) {
      const at = (position + done) % BLOCK_BYTES;
      const block = this.#blocks[Math.floor((position + done) / BLOCK_BYTES)];
      const part = block?.subarray(at, Math.min(BLOCK_BYTES, at + target.byteLength - done));
      if (part === undefined) return Promise.reject(formatErrors(this.#name)('read beyond its end'));
      target.set(part, done);
      done += part.byteLength;
    }
    return Promise.resolve();
  }
}

/**
 * Reads a stream to its end into memory. Chunks are copied.
 *
 * @throws TokenLearnerError ERR_INVALID_ARG_TYPE for a chunk that is not a Uint8Array; ERR_DETACHED for a chunk whose memory was
 * transferred; ERR_OUT_OF_MEMORY; ERR_FILE_IO with the stream's error as its cause.
 */
export async function streamSource(chunks: AsyncIterable<unknown>, name: string): Promise<ByteSource> {
  const blocks = new Blocks(name);
  const pace = new Pace();
  try {
    for await (const chunk of chunks) {
      if (!types.isUint8Array(chunk))
        throw unexpected('ERR_INVALID_ARG_TYPE', 'chunk', 'a Uint8Array', chunk);
      await blocks.append(chunk, pace);
      await pace.pause();
    }
  } catch (cause) {
    throw ioError('read', name, cause);
  }
  return blocks;
}
