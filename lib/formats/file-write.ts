import { randomBytes } from 'node:crypto';
import { open, readlink, rename, stat, unlink, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, isAbsolute, sep } from 'node:path';

import { TokenLearnerError } from '../errors';
import { ioError } from './file-io';

/** What is to be written: `chunks` gives it from its beginning, as often as it is called, in `byteLength` bytes. */
export interface FileContent {
  readonly byteLength: number;
  chunks(): Iterable<Uint8Array>;
}

/** One call of write(2) moves less than 2 GiB. */
const MAX_TRANSFER = 2 ** 30;
const COPY_BYTES = 2 ** 20;
/** As many links as Linux follows. */
const MAX_LINKS = 40;
/** A file may not be made in the folder, which says nothing of the file itself. */
const NO_NEW_FILE = new Set(['EACCES', 'EPERM', 'EROFS', 'ENAMETOOLONG']);
/** The name may not be given to another file: a mount point, a file that others hold open, another's file in a shared folder. */
const NO_RENAME = new Set(['EBUSY', 'EACCES', 'EPERM', 'EROFS', 'EXDEV']);

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : '';
}

/** Some file systems know no modes, or cannot wait for the disk. */
async function whereSupported(doing: Promise<void>): Promise<void> {
  try {
    await doing;
  } catch (error) {
    if (!['EPERM', 'EINVAL', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP'].includes(codeOf(error))) throw error;
  }
}

async function writeAll(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let done = 0; done < chunk.byteLength;) {
    const length = Math.min(chunk.byteLength - done, MAX_TRANSFER);
    const { bytesWritten } = await handle.write(chunk, done, length);
    if (bytesWritten === 0) throw new Error('the system takes no more bytes');
    done += bytesWritten;
  }
}

/** Writes the content, and compares how much was written with how much there is. */
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

/** The content of an open file, from its beginning. */
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

/** Overwrites a regular file, or makes it. */
async function writeInPlace(
  target: string,
  byteLength: number,
  write: (handle: FileHandle) => Promise<void>,
): Promise<void> {
  // Not truncated before all is written: the old content may be longer, and is worth more than nothing.
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

/** Writes the content into a new file in a folder and gives its path; undefined where no file may be made there. */
async function stage(
  folder: string,
  mode: number | undefined,
  content: FileContent,
): Promise<string | undefined> {
  const temporary = `${folder}${sep}.tokenlearner-${randomBytes(8).toString('hex')}.tmp`;
  let handle: FileHandle;
  try {
    handle = await open(temporary, 'wx+', mode);
  } catch (error) {
    if (NO_NEW_FILE.has(codeOf(error))) return undefined;
    throw error;
  }
  try {
    try {
      // The mode that open takes is cut by the process's mask.
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
    throw error;
  }
}

/** Stages the content in the system's folder for such files. Undefined where that fails for any reason but the content's own. */
async function stageElsewhere(content: FileContent): Promise<string | undefined> {
  try {
    return await stage(tmpdir(), 0o600, content);
  } catch (error) {
    if (error instanceof TokenLearnerError) throw error;
    return undefined;
  }
}

async function replaceFile(target: string, mode: number | undefined, content: FileContent): Promise<void> {
  const beside = await stage(dirname(target), mode === undefined ? undefined : mode & 0o777, content);
  const staged = beside ?? (await stageElsewhere(content));
  if (staged === undefined) {
    await writeInPlace(target, content.byteLength, (file) => writeContent(file, content));
    return;
  }
  try {
    if (staged === beside && (await takesName(staged, target))) return;
    await overwrite(target, staged, content.byteLength);
  } catch (error) {
    await unlink(staged).catch(() => undefined);
    throw error;
  }
  await unlink(staged);
}

/** Gives the target's name to a staged file; false where the name may not change. */
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

/** The file that a path stands for, through symbolic links, also where that file is not there yet. */
async function followLinks(path: string): Promise<string> {
  let current = path;
  for (let links = 0; links < MAX_LINKS; links += 1) {
    let link: string;
    try {
      link = await readlink(current);
    } catch {
      // No link, or nothing at all.
      return current;
    }
    // Not normalised: the system resolves what lies between, which may be links too.
    current = isAbsolute(link) ? link : `${dirname(current)}${sep}${link}`;
  }
  throw new Error(`over ${MAX_LINKS} symbolic links`);
}

async function writeStream(path: string, content: FileContent): Promise<void> {
  const handle = await open(path, 'w');
  try {
    await writeContent(handle, content);
  } finally {
    await handle.close();
  }
}

/**
 * Writes a file so that readers see the old content or all of the new, never a part: into a temporary file in the
 * same folder, which takes the name when it is whole. A symbolic link is followed and an existing file's mode is kept. Where no
 * file may be made in the folder, or the name may not change (a mounted file), the file itself is overwritten, from a whole file in
 * the system's temporary folder if it can be. What is no regular file (a pipe, a device) is written straight to.
 *
 * @throws TokenLearnerError ERR_FILE_FORMAT, with Node's own error as its cause; and those that `content` throws.
 */
export async function writeFileAtomic(path: string, content: FileContent): Promise<void> {
  try {
    const status = await stat(path).catch(() => undefined);
    if (status === undefined || status.isFile())
      await replaceFile(await followLinks(path), status?.mode, content);
    else await writeStream(path, content);
  } catch (error) {
    if (error instanceof TokenLearnerError) throw error;
    throw ioError('written', path, error);
  }
}
