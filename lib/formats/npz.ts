/** NumPy's npz format: a zip archive of npy files, one for each array. */
import { emptyEntries, type ArrayEntries } from './array-entry';
import { bytesSource, fileSource, type ByteSource } from './byte-source';
import { checkBytes, checkPath, withFile } from './file-io';
import { passes, type NameFilter } from './filter';
import { formatErrors, quote, type Fail } from './format-error';
import { listNpy, readNpyFrom } from './npy';
import { MAX_START_BYTES } from './npy-header';
import { Pace } from './pace';
import { allocateInJavaScript, type Allocate } from './read-elements';
import { ZipArchive } from './zip-archive';

const ENDING = '.npy';
/** The record that a checkpoint has. */
const PICKLE = /^[^/]+\/data\.pkl$/;

/** How to read an archive. */
export interface ReadNpzOptions {
  /** Returns true for the names of the arrays to read. Undefined reads all. */
  filter: NameFilter | undefined;
  /** Allocates the memory for each array. */
  allocate: Allocate;
}

const READ_ALL: ReadNpzOptions = { filter: undefined, allocate: allocateInJavaScript };

/** The names of an archive's arrays, as numpy.load has them, with their records. Folders have no content. */
function* arrayNames(
  archive: ZipArchive,
  filter: NameFilter | undefined,
  fail: Fail,
): Generator<[name: string, record: string]> {
  for (const record of archive.names) {
    if (record.endsWith('/')) continue;
    if (PICKLE.test(record))
      throw fail('this is a PyTorch checkpoint; load it with loadCheckpoint or loadWeights');
    const name = record.endsWith(ENDING) ? record.slice(0, -ENDING.length) : record;
    if (!passes(filter, name)) continue;
    if (name === record)
      throw fail(`the record ${quote(record)} is not an array (.npy); leave it out with \`filter\``);
    yield [name, record];
  }
}

/** True for a zip archive that holds arrays only, or nothing. False for one that cannot be read. */
export async function holdsArrays(source: ByteSource, name: string): Promise<boolean> {
  try {
    const archive = await ZipArchive.open(source, name);
    return [...archive.names].every((record) => record.endsWith('/') || record.endsWith(ENDING));
  } catch {
    return false;
  }
}

/**
 * Reads npz from any source: the arrays that the filter accepts, stored or deflated, each as {@link readNpyFrom} reads it. Checksums are verified.
 *
 * @param name - names the source in error messages
 * @throws TokenLearnerError ERR_FILE_FORMAT (also for an array that the filter accepts, of an unsupported dtype, and for an archive that expands
 * too far for its size); ERR_OUT_OF_MEMORY; ERR_INVALID_ARG_TYPE if the filter returns no boolean.
 */
export async function readNpzFrom(
  source: ByteSource,
  name: string,
  { filter, allocate }: ReadNpzOptions = READ_ALL,
): Promise<ArrayEntries> {
  const archive = await ZipArchive.open(source, name);
  const pace = new Pace();
  const entries = emptyEntries();
  for (const [array, record] of arrayNames(archive, filter, formatErrors(name))) {
    const bytes = bytesSource(await archive.read(record), name);
    entries[array] = await readNpyFrom(bytes, `${name}: ${quote(record)}`, (_, dtype, shape) =>
      allocate(array, dtype, shape),
    );
    await pace.pause();
  }
  return entries;
}

/** Reads the names, dtypes and shapes of the arrays that the filter accepts, also of dtypes that tensors do not have, and no elements. */
export async function listNpz(
  source: ByteSource,
  name: string,
  filter: NameFilter | undefined,
): Promise<{ name: string; dtype: string; shape: number[] }[]> {
  const archive = await ZipArchive.open(source, name);
  const pace = new Pace();
  const arrays: { name: string; dtype: string; shape: number[] }[] = [];
  for (const [array, record] of arrayNames(archive, filter, formatErrors(name))) {
    const head = await archive.readHead(record, MAX_START_BYTES);
    const fail = formatErrors(`${name}: ${quote(record)}`);
    arrays.push({ name: array, ...listNpy(head, archive.sizeOf(record) ?? 0, fail) });
    await pace.pause();
  }
  return arrays;
}

/** As {@link readNpzFrom}, from a file; also ERR_INVALID_ARG_TYPE and ERR_INVALID_ARG_VALUE for the path. */
export async function readNpz(path: string): Promise<ArrayEntries> {
  checkPath(path);
  return withFile(path, (handle, size) => readNpzFrom(fileSource(handle, size, path), path));
}

/** As {@link readNpzFrom}, from memory. */
export async function parseNpz(bytes: Uint8Array, source = 'npz data'): Promise<ArrayEntries> {
  return readNpzFrom(bytesSource(checkBytes(bytes), source), source);
}
