/**
 * Puts the files of a compiled model into the cache of this user, by their content, where all processes find them. Nothing in the cache is believed:
 * each use hashes the archive's records and the files again.
 */
import { createHash, randomUUID } from 'node:crypto';
import { lstatSync, type Stats } from 'node:fs';
import { chmod, lstat, mkdir, open, readdir, realpath, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { messageOf, TokenLearnerError } from '../errors';
import { makeFolders } from '../folders';
import type { Fail } from '../formats/format-error';
import type { ZipArchive } from '../formats/zip-archive';
import { cacheFolder, type Host, NO_CACHE } from '../libtorch/cache';
import { fileSha256 } from '../libtorch/file-hash';
import { distrustPath } from '../libtorch/trust';

/** Folders that a process which ended left half written are deleted after this time. */
const STALE_MS = 86_400_000;
const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;
/** Write permission of the group and of everybody. */
const OTHERS_WRITE = 0o022;
const TEMPORARY = /^[\da-f]{64}~[\da-f-]{36}$/;

/** A file of the model: its record, and the sha256 of its content. */
interface Content {
  record: string;
  size: number;
  sha256: string;
}

/** What is extracted. */
export interface Extraction {
  archive: ZipArchive;
  /** File name -> name of the record. */
  files: ReadonlyMap<string, string>;
  host: Host;
  fail: Fail;
}

/** Hashes the records, and verifies their checksums. */
async function contents({ archive, files }: Extraction): Promise<ReadonlyMap<string, Content>> {
  const found = new Map<string, Content>();
  for (const [name, record] of [...files].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const hash = createHash('sha256');
    let size = 0;
    await archive.stream(record, (part) => {
      hash.update(part);
      size += part.byteLength;
      return Promise.resolve();
    });
    found.set(name, { record, size, sha256: hash.digest('hex') });
  }
  return found;
}

function keyOf(content: ReadonlyMap<string, Content>): string {
  const hash = createHash('sha256');
  for (const [name, { size, sha256 }] of content) hash.update(`${name} ${size} ${sha256}\n`);
  return hash.digest('hex');
}

function look(file: string): Stats | null {
  return lstatSync(file, { throwIfNoEntry: false }) ?? null;
}

/** True for what this user made and nobody else can change. */
function isOwn({ uid, mode }: Stats): boolean {
  const own = process.geteuid?.();
  return own === undefined || (uid === own && (mode & OTHERS_WRITE) === 0);
}

/** True if the folder holds exactly these files, all of this user. */
async function isIntact(folder: string, content: ReadonlyMap<string, Content>): Promise<boolean> {
  const found = look(folder);
  if (!found?.isDirectory() || !isOwn(found)) return false;
  if (process.geteuid !== undefined && (found.mode & 0o777) !== FOLDER_MODE) return false;
  const names = await readdir(folder);
  if (names.length !== content.size) return false;
  for (const [name, { size, sha256 }] of content) {
    const file = path.join(folder, name);
    const status = look(file);
    // Another name of the file could be in a folder of somebody else.
    if (!status?.isFile() || !isOwn(status) || status.nlink !== 1 || status.size !== size) return false;
    if ((await fileSha256(file)) !== sha256) return false;
  }
  return true;
}

/** Writes the files into a new folder. Each must have the content that was hashed before. */
async function write(
  folder: string,
  { archive, fail }: Extraction,
  content: ReadonlyMap<string, Content>,
): Promise<void> {
  await mkdir(folder, { mode: FOLDER_MODE });
  await chmod(folder, FOLDER_MODE);
  for (const [name, { record, sha256 }] of content) {
    const hash = createHash('sha256');
    const handle = await open(path.join(folder, name), 'wx', FILE_MODE);
    try {
      await archive.stream(record, async (part) => {
        hash.update(part);
        for (let done = 0; done < part.byteLength;)
          done += (await handle.write(part, done, part.byteLength - done)).bytesWritten;
      });
    } finally {
      await handle.close();
    }
    if (hash.digest('hex') !== sha256) throw fail('the file changed while it was read');
  }
}

/** Deletes what was left half written long ago. */
async function sweep(parent: string): Promise<void> {
  for (const name of await readdir(parent).catch((): string[] => [])) {
    if (!TEMPORARY.test(name)) continue;
    const folder = path.join(parent, name);
    const age = Date.now() - ((await lstat(folder).catch(() => null))?.mtimeMs ?? Date.now());
    if (age > STALE_MS) await rm(folder, { recursive: true, force: true }).catch(() => undefined);
  }
}

/**
 * Moves a complete folder to its place. A sound one that another process has put there stays; anything else makes room. Returns false if the
 * place was taken meanwhile and has to be looked at again.
 */
async function place(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if (!['ENOTEMPTY', 'EEXIST', 'ENOTDIR', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? ''))
      throw error;
    return false;
  }
}

/** Moves what does not belong there out of the way, and deletes it. A link is deleted, not what it leads to. */
async function discard(folder: string): Promise<void> {
  const aside = `${folder}~${randomUUID()}`;
  try {
    await rename(folder, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  await rm(aside, { recursive: true, force: true });
}

/** The folder for compiled models in the cache. Throws if there is none, or others can write to it. */
async function cacheOf(host: Host, fail: Fail): Promise<string> {
  const cache = cacheFolder(host);
  if (cache === null) throw fail(`its library must be extracted to a cache, and there is ${NO_CACHE}`);
  const parent = path.join(cache, 'aoti');
  await makeFolders(cache, 0o755);
  await makeFolders(parent, FOLDER_MODE);
  const reason = distrustPath(cache, parent, 'name a folder of your own in TOKENLEARNER_CACHE');
  if (reason !== null)
    throw new TokenLearnerError(
      'ERR_UNTRUSTED_CODE',
      `The code of a package is not extracted to the cache: ${reason}`,
    );
  return realpath(parent);
}

/**
 * Extracts a model's files, if the cache does not have them. Returns the folder with exactly these files.
 *
 * @throws TokenLearnerError ERR_FILE_FORMAT for a damaged archive; ERR_UNTRUSTED_CODE if others can write to the cache; ERR_FILE_IO
 */
export async function extractModel(extraction: Extraction): Promise<string> {
  const content = await contents(extraction);
  try {
    const parent = await cacheOf(extraction.host, extraction.fail);
    const folder = path.join(parent, keyOf(content));
    if (await isIntact(folder, content)) return folder;
    await sweep(parent);
    const temporary = `${folder}~${randomUUID()}`;
    try {
      await write(temporary, extraction, content);
      // Others may put the same files there at the same time.
      for (let tries = 0; tries < 16; tries += 1) {
        if (await place(temporary, folder)) return folder;
        if (await isIntact(folder, content)) return folder;
        await discard(folder);
      }
      throw extraction.fail(`${folder} cannot be replaced`);
    } finally {
      await rm(temporary, { recursive: true, force: true });
    }
  } catch (cause) {
    if (cause instanceof TokenLearnerError) throw cause;
    throw new TokenLearnerError(
      'ERR_FILE_IO',
      `The code of a package cannot be extracted to the cache: ${messageOf(cause)}. TOKENLEARNER_CACHE can name another folder`,
      { cause },
    );
  }
}
