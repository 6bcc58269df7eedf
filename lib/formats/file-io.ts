import { open, type FileHandle } from 'node:fs/promises';
import { types } from 'node:util';

import { TokenLearnerError } from '../errors';
import { messageOf } from './format-error';

/** One call of read(2) moves less than 2 GiB. */
const MAX_TRANSFER = 2 ** 30;

/** @throws TokenLearnerError ERR_INVALID_ARG_TYPE or, when empty, ERR_INVALID_ARG_VALUE. */
export function checkPath(path: unknown): asserts path is string {
  if (typeof path !== 'string') {
    throw new TokenLearnerError(
      'ERR_INVALID_ARG_TYPE',
      `Expected a string for \`path\` but received a value of type ${path === null ? 'null' : typeof path}`,
    );
  }
  if (path === '' || path.includes('\0')) {
    throw new TokenLearnerError(
      'ERR_INVALID_ARG_VALUE',
      `Expected a non-empty path without NUL for \`path\` but received ${JSON.stringify(path)}`,
    );
  }
}

/**
 * Checks a whole file in memory. Shared memory is copied, since another thread could change it after it was validated.
 *
 * @throws TokenLearnerError ERR_INVALID_ARG_TYPE
 */
export function checkBytes(bytes: unknown): Uint8Array<ArrayBuffer> {
  if (!types.isUint8Array(bytes)) {
    throw new TokenLearnerError(
      'ERR_INVALID_ARG_TYPE',
      `Expected a Uint8Array for \`bytes\` but received a value of type ${bytes === null ? 'null' : typeof bytes}`,
    );
  }
  return types.isSharedArrayBuffer(bytes.buffer) ? new Uint8Array(bytes) : (bytes as Uint8Array<ArrayBuffer>);
}

/** Wraps an error of the file system; the original stays as the cause. */
export function ioError(doing: string, path: string, cause: unknown): TokenLearnerError {
  if (cause instanceof TokenLearnerError) return cause;
  return new TokenLearnerError('ERR_FILE_FORMAT', `${path}: cannot be ${doing}: ${messageOf(cause)}`, {
    cause,
  });
}

/** Zeroed memory of its own (never a slice of Node's pool). */
export function allocateBytes(size: number, path: string): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(size);
  } catch (cause) {
    throw new TokenLearnerError('ERR_OUT_OF_MEMORY', `${path}: cannot allocate ${size} bytes`, { cause });
  }
}

/** Fills `target` from `position` on. Throws ERR_FILE_FORMAT when the file ends before, or cannot be read. */
export async function readFully(
  handle: FileHandle,
  target: Uint8Array,
  position: number,
  path: string,
): Promise<void> {
  let done = 0;
  while (done < target.byteLength) {
    const length = Math.min(target.byteLength - done, MAX_TRANSFER);
    let bytesRead: number;
    try {
      ({ bytesRead } = await handle.read(target, done, length, position + done));
    } catch (cause) {
      throw ioError('read', path, cause);
    }
    if (bytesRead === 0) {
      throw new TokenLearnerError('ERR_FILE_FORMAT', `${path}: the file became shorter while it was read`);
    }
    done += bytesRead;
  }
}

async function sizeOf(handle: FileHandle, path: string): Promise<number> {
  const status = await handle.stat();
  if (status.isFile()) return status.size;
  const what = status.isDirectory() ? 'a folder; name a file in it' : 'no file but a device or a pipe';
  throw new TokenLearnerError('ERR_FILE_FORMAT', `${path}: is not a regular file: it is ${what}`);
}

/**
 * Opens a regular file for the time of `use`, whose own errors pass as they are.
 *
 * @throws TokenLearnerError ERR_FILE_FORMAT, with Node's own error as its cause, when it cannot be opened.
 */
export async function withFile<T>(
  path: string,
  use: (handle: FileHandle, size: number) => Promise<T>,
): Promise<T> {
  let handle: FileHandle | undefined;
  try {
    let size: number;
    try {
      handle = await open(path, 'r');
      size = await sizeOf(handle, path);
    } catch (cause) {
      throw ioError('read', path, cause);
    }
    return await use(handle, size);
  } finally {
    await handle?.close();
  }
}
