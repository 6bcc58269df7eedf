import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { types } from 'node:util';

import { TokenLearnerError } from '../errors';
import { checkString, unexpected } from '../validate';
import type { FileReader } from './file-reader';
import { formatErrors, ioError } from './format-error';

/**
 * Opening a named pipe waits for its other end, in a thread of Node's pool. With O_NONBLOCK it does not wait. The flag has no
 * effect on regular files, and Windows does not have it.
 */
const NONBLOCK = (constants as Partial<typeof constants>).O_NONBLOCK ?? 0;
/** Flags to open a file for reading, without waiting if it is a pipe. */
const READ = constants.O_RDONLY | NONBLOCK;
/** Flags to open a pipe or device for writing, without waiting. */
export const WRITE_STREAM = constants.O_WRONLY | NONBLOCK;
/** One call of read(2) moves less than 2 GiB. */
const MAX_TRANSFER = 2 ** 30;

/** Checks a path. @throws TokenLearnerError ERR_INVALID_ARG_TYPE; ERR_INVALID_ARG_VALUE if it is empty or holds NUL. */
export function checkPath(value: unknown): string {
  const path = checkString('path', value);
  if (path !== '' && !path.includes('\0')) return path;
  throw unexpected('ERR_INVALID_ARG_VALUE', 'path', 'a non-empty path without NUL', path);
}

/**
 * Checks the bytes of a complete file. Copies shared memory, since another thread could change it after validation.
 *
 * @throws TokenLearnerError ERR_INVALID_ARG_TYPE
 */
export function checkBytes(bytes: unknown): Uint8Array<ArrayBuffer> {
  if (!types.isUint8Array(bytes)) throw unexpected('ERR_INVALID_ARG_TYPE', 'bytes', 'a Uint8Array', bytes);
  return types.isSharedArrayBuffer(bytes.buffer) ? new Uint8Array(bytes) : (bytes as Uint8Array<ArrayBuffer>);
}

/** Allocates zeroed memory that is not a slice of Node's pool. */
export function allocateBytes(size: number, path: string): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(size);
  } catch (cause) {
    throw new TokenLearnerError('ERR_OUT_OF_MEMORY', `${path}: cannot allocate ${size} bytes`, { cause });
  }
}

/** Fills `target` from `position` on. Throws ERR_FILE_FORMAT if the file ends early, and ERR_FILE_IO if it cannot be read. */
export async function readFully(
  handle: FileReader,
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
      throw formatErrors(path)('the file became shorter while it was read');
    }
    done += bytesRead;
  }
}

async function sizeOf(handle: FileHandle, path: string): Promise<number> {
  const status = await handle.stat();
  if (status.isFile()) return status.size;
  const what = status.isDirectory() ? 'a folder; name a file in it' : 'a device or a pipe';
  throw new TokenLearnerError('ERR_FILE_IO', `${path}: is not a regular file: it is ${what}`);
}

/**
 * Opens a regular file, calls `use` and closes the file. Errors of `use` pass through.
 *
 * @throws TokenLearnerError ERR_FILE_IO if it cannot be opened, with the system's error as its cause, or is not a regular file.
 */
export async function withFile<T>(
  path: string,
  use: (handle: FileHandle, size: number) => Promise<T>,
): Promise<T> {
  let handle: FileHandle | undefined;
  try {
    let size: number;
    try {
      handle = await open(path, READ);
      size = await sizeOf(handle, path);
    } catch (cause) {
      throw ioError('read', path, cause);
    }
    return await use(handle, size);
  } finally {
    await handle?.close();
  }
}
