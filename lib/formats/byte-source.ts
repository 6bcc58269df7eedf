import type { FileHandle } from 'node:fs/promises';
import { types } from 'node:util';

import { TokenLearnerError } from '../errors';
import { unexpected } from '../validate';
import { allocateBytes, readFully } from './file-io';
import { formatErrors, messageOf } from './format-error';
import { Pace } from './pace';

/** Memory of a stream is taken in blocks of so many bytes. */
const BLOCK_BYTES = 2 ** 22;

/** Bytes that can be read from any position: a file, or memory. */
export interface ByteSource {
  /** In bytes. */
  readonly size: number;
  /** Fills `target` from `position` on, all within the size. */
  read(target: Uint8Array, position: number): Promise<void>;
}

/** An open file, whose handle the caller closes. */
export function fileSource(handle: FileHandle, size: number, path: string): ByteSource {
  return { size, read: (target, position) => readFully(handle, target, position, path) };
}

/** Memory. Reading fails with ERR_FILE_FORMAT where it was transferred meanwhile. */
export function bytesSource(bytes: Uint8Array, name = 'the given bytes'): ByteSource {
  const size = bytes.byteLength;
  return {
    size,
    read(target, position) {
      if (bytes.byteLength !== size)
        return Promise.reject(formatErrors(name)('the memory was transferred while it was read'));
      target.set(bytes.subarray(position, position + target.byteLength));
      return Promise.resolve();
    },
  };
}

/** What a Blob is to a reader. Structural, so that it needs no types of Node's or of a browser's. */
export interface BlobLike {
  /** In bytes. */
  readonly size: number;
  /** A part of it. */
  slice(start?: number, end?: number): BlobLike;
  /** Its bytes. */
  arrayBuffer(): Promise<ArrayBuffer>;
}

/** A Blob or File, read part by part. */
export function blobSource(blob: BlobLike, name: string): ByteSource {
  return {
    size: blob.size,
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
    throw formatErrors(name)(`cannot be read: ${messageOf(cause)}`, cause);
  }
}

/** Memory in blocks, for what comes as a stream: it takes as much as came, and no one buffer holds it all. */
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

  append(chunk: Uint8Array): void {
    for (let done = 0; done < chunk.byteLength;) {
      const at = this.#size % BLOCK_BYTES;
      if (at === 0) this.#blocks.push(allocateBytes(BLOCK_BYTES, this.#name));
      const part = chunk.subarray(done, done + BLOCK_BYTES - at);
      this.#blocks.at(-1)?.set(part, at);
      done += part.byteLength;
      this.#size += part.byteLength;
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
 * Takes a stream in, whole. Chunks are copied.
 *
 * @throws TokenLearnerError ERR_INVALID_ARG_TYPE for chunks that are no Uint8Array; ERR_OUT_OF_MEMORY; ERR_FILE_FORMAT, with the
 * stream's own error as its cause.
 */
export async function streamSource(chunks: AsyncIterable<unknown>, name: string): Promise<ByteSource> {
  const blocks = new Blocks(name);
  const pace = new Pace();
  try {
    for await (const chunk of chunks) {
      if (!types.isUint8Array(chunk))
        throw unexpected('ERR_INVALID_ARG_TYPE', 'chunk', 'a Uint8Array', chunk);
      blocks.append(chunk);
      await pace.pause();
    }
  } catch (cause) {
    if (cause instanceof TokenLearnerError) throw cause;
    throw formatErrors(name)(`cannot be read: ${messageOf(cause)}`, cause);
  }
  return blocks;
}
