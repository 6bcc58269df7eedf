import { randomBytes } from 'node:crypto';
import { open, realpath, rename, stat, unlink, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { types } from 'node:util';

import { TokenLearnerError } from '../errors';
import { messageOf } from './format-error';

/** One call of read(2) or write(2) moves less than 2 GiB. */
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
function ioError(doing: string, path: string, cause: unknown): TokenLearnerError {
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

/** Fills `target` from `position` on. Throws ERR_FILE_FORMAT when the file ends before. */
export async function readFully(
  handle: FileHandle,
  target: Uint8Array,
  position: number,
  path: string,
): Promise<void> {
  let done = 0;
  while (done < target.byteLength) {
    const length = Math.min(target.byteLength - done, MAX_TRANSFER);
    const { bytesRead } = await handle.read(target, done, length, position + done);
    if (bytesRead === 0) {
      throw new TokenLearnerError('ERR_FILE_FORMAT', `${path}: the file became shorter while it was read`);
    }
    done += bytesRead;
  }
}

/**
 * Opens a regular file for the time of `use`.
 *
 * @throws TokenLearnerError ERR_FILE_FORMAT, with Node's own error as its cause, when it cannot be opened or read.
 */
export async function withFile<T>(
  path: string,
  use: (handle: FileHandle, size: number) => Promise<T>,
): Promise<T> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, 'r');
    const status = await handle.stat();
    if (!status.isFile()) throw new TokenLearnerError('ERR_FILE_FORMAT', `${path}: is not a regular file`);
    return await use(handle, status.size);
  } catch (error) {
    throw ioError('read', path, error);
  } finally {
    await handle?.close();
  }
}

/** Reads a whole file into memory of its own. Errors as {@link withFile}'s, and ERR_OUT_OF_MEMORY. */
export async function readBytes(path: string): Promise<Uint8Array<ArrayBuffer>> {
  return withFile(path, async (handle, size) => {
    const bytes = allocateBytes(size, path);
    await readFully(handle, bytes, 0, path);
    return bytes;
  });
}

async function writeFully(handle: FileHandle, chunks: Iterable<Uint8Array>): Promise<void> {
  for (const chunk of chunks) {
    for (let done = 0; done < chunk.byteLength;) {
      const length = Math.min(chunk.byteLength - done, MAX_TRANSFER);
      done += (await handle.write(chunk, done, length)).bytesWritten;
    }
  }
}

async function replaceFile(
  target: string,
  mode: number | undefined,
  chunks: Iterable<Uint8Array>,
): Promise<void> {
  const temporary = join(dirname(target), `.tokenlearner-${randomBytes(8).toString('hex')}.tmp`);
  const handle = await open(temporary, 'wx');
  try {
    try {
      if (mode !== undefined) await handle.chmod(mode & 0o777);
      await writeFully(handle, chunks);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, target);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
}

async function writeInPlace(target: string, chunks: Iterable<Uint8Array>): Promise<void> {
  const handle = await open(target, 'w');
  try {
    await writeFully(handle, chunks);
  } finally {
    await handle.close();
  }
}

/**
 * Writes a file so that readers see the old content or all of the new, never a part: into a temporary file in the
 * same folder, which then takes the name. A symbolic link is followed and an existing file's mode is kept. What is
 * no regular file (a pipe, a device) is written straight to.
 *
 * @throws TokenLearnerError ERR_FILE_FORMAT, with Node's own error as its cause.
 */
export async function writeFileAtomic(path: string, chunks: Iterable<Uint8Array>): Promise<void> {
  try {
    const target = await realpath(path).catch(() => path);
    const status = await stat(path).catch(() => undefined);
    if (status === undefined || status.isFile()) await replaceFile(target, status?.mode, chunks);
    else await writeInPlace(path, chunks);
  } catch (error) {
    throw ioError('written', path, error);
  }
}
