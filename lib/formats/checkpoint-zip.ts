/** The directory of torch.save's zip archive. This file imports yauzl, so it is loaded at first use. */
import { types } from 'node:util';
import { fromRandomAccessReaderPromise, type Entry, RandomAccessReader, type ZipFile } from 'yauzl';

import { messageOf } from '../errors';
import type { ByteSource } from './byte-source';
import { archiveError, type Fail, quote } from './format-error';

/** A sanity limit, far above one record for each storage of any model. */
const MAX_RECORDS = 1_000_000;
const END_BYTES = 22;
const END_SIGNATURE = 0x06054b50;
/** The longest comment of an archive, and the most trailing bytes that PyTorch tolerates. */
const MAX_TAIL_BYTES = 2 ** 16 - 1;
/** In archives over 4 GiB this lies right before the end record and has the numbers that do not fit there. */
const LOCATOR_SIGNATURE = 0x07064b50;
const LOCATOR_BYTES = 20;

/**
 * Adapts a source for yauzl. Positions come from the archive, so they may be out of bounds. That is an error here; yauzl's own
 * readers throw inside a callback, where nothing can catch it.
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

/** Refuses old formats: torch.save before 1.6 wrote a bare sequence of pickles, and before 0.1.10 a tar archive. */
async function refuseLegacy(source: ByteSource, fail: Fail): Promise<void> {
  const start = new Uint8Array(Math.min(source.size, 512));
  await source.read(start, 0);
  const text = Buffer.from(start.buffer).toString('latin1');
  if (text.startsWith('PK')) return;
  if (text.startsWith('\x80') || text.slice(257, 262) === 'ustar') {
    throw fail(
      'a checkpoint in the legacy format of PyTorch before 1.6; load it in Python and save it again with ' +
        'torch.save(state_dict, path), which writes the zip format',
    );
  }
  throw fail('not a PyTorch checkpoint: it is not a zip archive');
}

/**
 * Finds the end of the archive. PyTorch allows bytes after it; yauzl would treat them as part of the archive's comment and refuse
 * the file. Without an end record this returns the size of the source, and yauzl reports the problem.
 */
async function archiveEnd(source: ByteSource): Promise<number> {
  const tail = Buffer.alloc(Math.min(source.size, LOCATOR_BYTES + END_BYTES + MAX_TAIL_BYTES));
  const start = source.size - tail.length;
  await source.read(tail, start);
  for (let at = tail.length - END_BYTES; at >= 0; at -= 1) {
    if (tail.readUInt32LE(at) !== END_SIGNATURE) continue;
    const end = at + END_BYTES + tail.readUInt16LE(at + 20);
    const directoryEnd = tail.readUInt32LE(at + 16) + tail.readUInt32LE(at + 12);
    const hasLocator = at >= LOCATOR_BYTES && tail.readUInt32LE(at - LOCATOR_BYTES) === LOCATOR_SIGNATURE;
    if (end <= tail.length && (hasLocator || directoryEnd <= start + at)) return start + end;
  }
  return source.size;
}

/**
 * Decodes the name of a record. Names never become paths on this machine, so the folder may have any name, even one with a colon.
 */
function nameOf(entry: Entry, fail: Fail): string {
  const raw = entry.fileNameRaw.toString('utf8');
  // Some archivers on Windows write only backslashes.
  const name = raw.includes('/') ? raw : raw.replaceAll('\\', '/');
  if (name.split('/').includes('..'))
    throw fail(`not a valid zip archive: the record ${quote(name)} leaves its folder`);
  return name;
}

/** Finds the one folder that holds data.pkl. Its name ends in a slash. */
function folderOf(pickles: readonly string[], entries: ReadonlyMap<string, Entry>, fail: Fail): string {
  const [pickle] = pickles;
  if (pickle === undefined || pickles.length > 1) {
    throw fail(
      `not a PyTorch checkpoint: the zip archive has ${pickles.length} records data.pkl instead of one`,
    );
  }
  const folder = pickle.slice(0, -'data.pkl'.length);
  if (entries.has(`${folder}constants.pkl`)) {
    throw fail('a TorchScript archive; save the state dict instead: torch.save(module.state_dict(), path)');
  }
  return folder;
}

/** The records by their full names, and the folder of the checkpoint. */
export interface ArchiveDirectory {
  zip: ZipFile;
  entries: ReadonlyMap<string, Entry>;
  /** Ends in a slash. */
  folder: string;
}

/**
 * Reads the archive's directory.
 *
 * @throws TokenLearnerError ERR_FILE_FORMAT
 */
export async function readDirectory(source: ByteSource, fail: Fail): Promise<ArchiveDirectory> {
  await refuseLegacy(source, fail);
  try {
    const zip = await fromRandomAccessReaderPromise(new SourceReader(source), await archiveEnd(source), {
      // All of them: yauzl would inherit those that are left out.
      autoClose: false,
      decodeStrings: false,
      validateEntrySizes: true,
      strictFileNames: false,
    });
    const entries = new Map<string, Entry>();
    const pickles: string[] = [];
    for await (const entry of zip.eachEntry()) {
      const name = nameOf(entry, fail);
      if (entries.has(name)) throw fail(`the archive has the record ${quote(name)} twice`);
      entries.set(name, entry);
      if (/^[^/]+\/data\.pkl$/.test(name)) pickles.push(name);
      if (entries.size > MAX_RECORDS) throw fail(`the archive has over ${MAX_RECORDS} records`);
    }
    return { zip, entries, folder: folderOf(pickles, entries, fail) };
  } catch (cause) {
    throw archiveError(cause, fail);
  }
}
