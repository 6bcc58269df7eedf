import type { FileHandle } from 'node:fs/promises';
import { types } from 'node:util';

import { RandomAccessReader } from 'yauzl';

import { readFully } from './file-io';
import { messageOf } from './format-error';

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

/** Memory. */
export function bytesSource(bytes: Uint8Array): ByteSource {
  return {
    size: bytes.byteLength,
    read(target, position) {
      target.set(bytes.subarray(position, position + target.byteLength));
      return Promise.resolve();
    },
  };
}

/**
 * A source as yauzl reads it. Positions come from the archive itself: one out of bounds is an error here, whereas yauzl's own
 * readers throw it inside a callback, where nothing can catch it.
 */
export class SourceReader extends RandomAccessReader {
  readonly #source: ByteSource;

  constructor(source: ByteSource) {
    super();
    this.#source = source;
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null) => void,
  ): void {
    if (!Number.isSafeInteger(position) || position + length > this.#source.size) {
      setImmediate(callback, new Error(`position ${position} is out of bounds`));
      return;
    }
    this.#source.read(buffer.subarray(offset, offset + length), position).then(
      () => setImmediate(callback, null),
      (error: unknown) =>
        setImmediate(callback, types.isNativeError(error) ? error : new Error(messageOf(error))),
    );
  }
}
