import { randomBytes } from 'node:crypto';
import { open, readlink, rename, stat, unlink, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, isAbsolute, sep } from 'node:path';
import { setTimeout } from 'node:timers/promises';

import { TokenLearnerError } from '../errors';
import { WRITE_STREAM } from './file-io';
import { ioError } from './format-error';
import { Pace } from './pace';
import { addStaged, dropStaged } from './staged-files';

/** The content to write. Each call of `chunks` yields it from the beginning, `byteLength` bytes in all, in chunks that stay as they are. */
export interface FileContent {
  readonly byteLength: number;
  chunks: () => Iterable<Uint8Array>;
}

/** One call of write(2) moves less than 2 GiB. */
const MAX_TRANSFER = 2 ** 30;
const COPY_BYTES = 2 ** 20;
/** Milliseconds until the next attempt to write to a pipe that is full. The time doubles with each attempt. */
const [FIRST_WAIT, LAST_WAIT] = [1, 64];
/** Linux follows at most this many links, too. */
const MAX_LINKS = 40;
/** No file can be created in the folder. The target itself may still be writable. */
const NO_NEW_FILE = new Set(['EACCES', 'EPERM', 'EROFS', 'ENAMETOOLONG']);
/** The target cannot be replaced by a rename: a mount point, a file held open, another user's file in a shared folder. */
const NO_RENAME = new Set(['EBUSY', 'EACCES', 'EPERM', 'EROFS', 'EXDEV']);

function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !Object.hasOwn(error, 'code')) return '';
  const { code } = error as { code: unknown };
  return typeof code === 'string' ? code : '';
}

/** Ignores that a file system does not support modes, or cannot sync. */
async function whereSupported(doing: Promise<void>): Promise<void> {
  try {
    await doing;
  } catch (error) {
    if (!['EPERM', 'EINVAL', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP'].includes(codeOf(error))) throw error;
  }
}

/** Writes some bytes. Waits while a pipe that was opened with {@link WRITE_STREAM} is full. */
async function writeSome(handle: FileHandle, chunk: Uint8Array, done: number): Promise<number> {
  const length = Math.min(chunk.byteLength - done, MAX_TRANSFER);
  for (let wait = FIRST_WAIT; ; wait = Math.min(2 * wait, LAST_WAIT)) {
    try {
      return (await handle.write(chunk, done, length)).bytesWritten;
    } catch (error) {
      if (codeOf(error) !== 'EAGAIN') throw error;
    }
    await setTimeout(wait);
  }
}

async function writeAll(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let done = 0; done < chunk.byteLength;) {
    const bytesWritten = await writeSome(handle, chunk, done);
    if (bytesWritten === 0) throw new Error('the system accepts no more bytes');
    done += bytesWritten;
  }
}

/** Writes the content and checks its length. */
async function writeContent(handle: FileHandle, content: FileContent): Promise<void> {
  let written = 0;
  for (const chunk of content.chunks()) {
    await writeAll(handle, chunk);
    written += chunk.byteLength;
  }
  checkWritten(written, content.byteLength);
}

function checkWritten(written: number, wanted: number): void {
  if (written !== wanted) throw new Error(`${written} bytes were written instead of ${wanted}`);
}

/** Copies an open file from its beginning. */
async function copyTo(target: FileHandle, source: FileHandle, byteLength: number): Promise<void> {
  const buffer = new Uint8Array(COPY_BYTES);
  let position = 0;
  for (;;) {
    const { bytesRead } = await source.read(buffer, 0, buffer.byteLength, position);
    if (bytesRead === 0) break;
    await writeAll(target, buffer.subarray(0, bytesRead));
    position += bytesRead;
  }
  checkWritten(position, byteLength);
}

/** Overwrites a regular file, or creates it. */
async function writeInPlace(
  target: string,
  byteLength: number,
  write: (handle: FileHandle) => Promise<void>,
): Promise<void> {
  // Truncate only after everything is written: if that fails, the rest of a longer old content is still there.
  const handle = await open(target, 'r+').catch(async (error: unknown) => {
    if (codeOf(error) !== 'ENOENT') throw error;
    return open(target, 'w');
  });
  try {
    await write(handle);
    await handle.truncate(byteLength);
    await whereSupported(handle.sync());
  } finally {
    await handle.close();
  }
}

/** Writes the content to a new file in a folder and returns its path; undefined if no file can be created there. */
async function stage(
  folder: string,
  mode: number | undefined,
  content: FileContent,
): Promise<string | undefined> {
  const temporary = `${folder}${sep}.tokenlearner-${randomBytes(8).toString('hex')}.tmp`;
  let handle: FileHandle;
  // Before it is there: a signal may come in between.
  addStaged(temporary);
  try {
    handle = await open(temporary, 'wx+', mode);
  } catch (error) {
    dropStaged(temporary);
    if (NO_NEW_FILE.has(codeOf(error))) return undefined;
    throw error;
  }
  try {
    try {
      // The process's umask limits the mode that open sets.
      if (mode !== undefined) await whereSupported(handle.chmod(mode));
      await writeContent(handle, content);
      checkWritten((await handle.stat()).size, content.byteLength);
      await whereSupported(handle.sync());
    } finally {
      await handle.close();
    }
    return temporary;
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    dropStaged(temporary);
    throw error;
  }
}

/** Stages the content in the system's temporary folder. Undefined if that fails; errors of the content itself pass through. */
async function stageElsewhere(content: FileContent): Promise<string | undefined> {
  try {
    return await stage(tmpdir(), 0o600, content);
  } catch (error) {
    if (error instanceof TokenLearnerError) throw error;
    return undefined;
  }
}

/** Collects the content in memory, so that nothing of it can be missing once the target is written to. */
async function inMemory({ byteLength, chunks }: FileContent): Promise<FileContent> {
  const pace = new Pace();
  const parts: Uint8Array[] = [];
  let collected = 0;
  for (const part of chunks()) {
    parts.push(part);
    collected += part.byteLength;
    await pace.pause();
  }
  checkWritten(collected, byteLength);
  return { byteLength, chunks: () => parts };
}

async function replaceFile(target: string, mode: number | undefined, content: FileContent): Promise<void> {
  const beside = await stage(dirname(target), mode === undefined ? undefined : mode & 0o777, content);
  const staged = beside ?? (await stageElsewhere(content));
  if (staged === undefined) {
    const collected = await inMemory(content);
    await writeInPlace(target, content.byteLength, (file) => writeContent(file, collected));
    return;
  }
  try {
    if (staged === beside && (await takesName(staged, target))) return;
    await overwrite(target, staged, content.byteLength);
    await unlink(staged);
  } catch (error) {
    await unlink(staged).catch(() => undefined);
    throw error;
  } finally {
    dropStaged(staged);
  }
}

/** Renames a staged file to the target; returns false if the target cannot be replaced. */
async function takesName(staged: string, target: string): Promise<boolean> {
  try {
    await rename(staged, target);
    return true;
  } catch (error) {
    if (NO_RENAME.has(codeOf(error))) return false;
    throw error;
  }
}

async function overwrite(target: string, staged: string, byteLength: number): Promise<void> {
  const source = await open(staged, 'r');
  try {
    await writeInPlace(target, byteLength, (file) => copyTo(file, source, byteLength));
  } finally {
    await source.close();
  }
}

/** Resolves symbolic links, also if the file that they lead to does not exist yet. */
async function followLinks(path: string): Promise<string> {
  let current = path;
  for (let links = 0; links < MAX_LINKS; links += 1) {
    let link: string;
    try {
      link = await readlink(current);
    } catch {
      // Not a link, or it does not exist.
      return current;
    }
    // Not normalised: folders in between may be links, which the system resolves.
    current = isAbsolute(link) ? link : `${dirname(current)}${sep}${link}`;
  }
  throw new Error(`over ${MAX_LINKS} symbolic links`);
}

/** Opens a pipe or device. Fails if it is a pipe that no process reads. */
async function openStream(path: string): Promise<FileHandle> {
  try {
    return await open(path, WRITE_STREAM);
  } catch (cause) {
    if (codeOf(cause) !== 'ENXIO') throw cause;
    const message = `${path}: cannot be written: no process has this pipe open for reading`;
    throw new TokenLearnerError('ERR_FILE_IO', message, { cause });
  }
}

async function writeStream(path: string, content: FileContent): Promise<void> {
  const handle = await openStream(path);
  try {
    await writeContent(handle, content);
  } finally {
    await handle.close();
  }
}

/**
 * Writes a file so that readers see the old content or all of the new, never a part. The content goes to a temporary file in the
 * same folder, which is then renamed. Symbolic links are followed, and an existing file keeps its mode. If no file can be created
 * in the folder, or the target cannot be replaced (a mounted file), the target itself is overwritten from a complete file in the
 * system's temporary folder; if there can be none either, from memory. A target that is not a regular file (a pipe, a device) is written directly; a named pipe
 * must have a reader.
 *
 * @throws TokenLearnerError ERR_FILE_IO, with the system's error as its cause; and the errors of `content`.
 */
export async function writeFileAtomic(path: string, content: FileContent): Promise<void> {
  try {
    const status = await stat(path).catch(() => undefined);
    if (status === undefined || status.isFile())
      await replaceFile(await followLinks(path), status?.mode, content);
    else await writeStream(path, content);
  } catch (error) {
    throw ioError('written', path, error);
  }
}
