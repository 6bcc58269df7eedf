import { constants } from 'node:fs';
import { access, readdir, rename, rm, rmdir, stat } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { messageOf } from '../errors';
import { libraryNames, readRuntimeRecord, type RuntimeRecord } from './inspect';
import { installError } from './install-error';

const RECORD = 'runtime.json';
const UUID = /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/;

/** A name beside a runtime's folder, for a folder that is being installed or deleted. */
export function temporaryName(root: string): string {
  return `${root}~${randomUUID()}`;
}

/** True if a name beside a runtime's folder comes from {@link temporaryName}. */
export function isTemporaryName(name: string, root: string): boolean {
  const start = `${path.basename(root)}~`;
  return name.startsWith(start) && UUID.test(name.slice(start.length));
}

/**
 * Explains why a folder is not exclusively a libtorch that this package installed: it has no valid record with its files, or it
 * holds a file that the record does not list. Null if everything is ours; files may be missing or damaged.
 *
 * @throws the system's error if the folder cannot be read.
 */
export async function foreignPart(root: string): Promise<string | null> {
  const record = readRuntimeRecord(root);
  if (record === null) return `it has no valid ${RECORD}`;
  const files = Object.keys(record.files ?? {});
  if (!isLibtorch(files, record)) return `its ${RECORD} does not list the files of a libtorch`;
  const known = new Set([RECORD, ...files.map((file) => path.normalize(file))]);
  const folders = new Set([...known].flatMap(ancestors));
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const name = path.relative(root, path.join(entry.parentPath, entry.name));
    const isOurs = entry.isDirectory() ? folders.has(name) : entry.isFile() && known.has(name);
    if (!isOurs) return `it also holds ${name}`;
  }
  return null;
}

function isLibtorch(files: readonly string[], { platform }: RuntimeRecord): boolean {
  const { cpu, c10 } = libraryNames(platform as NodeJS.Platform);
  return [cpu, c10].every((library) => files.some((file) => path.posix.basename(file) === library));
}

function ancestors(file: string): string[] {
  const parent = path.dirname(file);
  return parent === '.' || parent === file ? [] : [parent, ...ancestors(parent)];
}

/**
 * Checks that replacing a folder of the user deletes only our files: it may be missing, empty, or a libtorch that was installed
 * before.
 *
 * @throws TokenLearnerError ERR_LIBTORCH_INSTALL for any other folder.
 */
export async function demandReplaceable(root: string): Promise<void> {
  const names = await readdir(root).catch((error: unknown): string[] => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw installError(`${root} cannot be used: ${messageOf(error)}`, error);
  });
  if (names.length === 0) return;
  const foreign = await foreignPart(root);
  if (foreign === null) return;
  throw installError(
    `${root} is neither empty nor a libtorch that was installed before: ${foreign}. Name another folder.`,
  );
}

/**
 * Checks that a folder of the user can be replaced as a whole, by a rename of one beside it: before anything is downloaded.
 *
 * @throws TokenLearnerError ERR_LIBTORCH_INSTALL if not.
 */
export async function demandPlace(root: string): Promise<void> {
  const inside = `Name a folder inside it, such as ${path.join(root, 'runtime')}.`;
  const parent = path.dirname(root);
  const [own, above] = await Promise.all([root, parent].map((each) => stat(each).catch(() => null)));
  if (own) {
    const from = path.relative(root, process.cwd());
    if (from !== '..' && !from.startsWith(`..${path.sep}`) && !path.isAbsolute(from))
      throw installError(`${root} is the working directory, or above it, and would be replaced. ${inside}`);
    if (own.dev !== above?.dev)
      throw installError(`${root} is a mounted disk, and cannot be replaced as a whole. ${inside}`);
  }
  if (above === null) return;
  await access(parent, constants.W_OK).catch((error: unknown) => {
    throw installError(
      `${parent} cannot be written: ${messageOf(error)}. libtorch is unpacked beside ${root} before it takes its place.${own ? ` ${inside}` : ''}`,
      error,
    );
  });
}

/**
 * Deletes a runtime's folder. It is renamed first, so that it disappears at once, however long deleting takes. A folder that the
 * user named is checked again after the rename, when nobody else can change it, and put back if it is not ours after all.
 *
 * @throws TokenLearnerError ERR_LIBTORCH_INSTALL if it is not ours.
 */
export async function deleteRuntime(root: string, isNamedByUser: boolean): Promise<void> {
  const aside = temporaryName(root);
  try {
    await rename(root, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw installError(`${root} cannot be replaced: ${messageOf(error)}`, error);
  }
  if (isNamedByUser) {
    // An empty folder needs no check.
    if (
      await rmdir(aside).then(
        () => true,
        () => false,
      )
    )
      return;
    try {
      await demandReplaceable(aside);
    } catch (error) {
      await rename(aside, root);
      throw error;
    }
  }
  await rm(aside, { recursive: true, force: true });
}

/** The folders that interrupted installs left beside a runtime's folder. Throws the system's error. */
export async function leftoversBeside(root: string): Promise<string[]> {
  const parent = path.dirname(root);
  const entries = await readdir(parent, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory() && isTemporaryName(entry.name, root))
    .map(({ name }) => path.join(parent, name));
}

/** Deletes what interrupted installs left beside a runtime's folder. The caller must hold its lock. */
export async function deleteLeftovers(root: string): Promise<void> {
  for (const folder of await leftoversBeside(root)) await rm(folder, { recursive: true, force: true });
}
