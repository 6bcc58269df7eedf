/** The directory of a zip archive: torch.save's, or NumPy's. This file imports yauzl, so it is loaded at first use. */
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

/** The records by their full names, in the archive's order. */
export interface ArchiveDirectory {
  zip: ZipFile;
  entries: ReadonlyMap<string, Entry>;
}

/**
 * Reads the archive's directory.
 *
 * @throws TokenLearnerError ERR_FILE_FORMAT
 */
export async function readDirectory(source: ByteSource, fail: Fail): Promise<ArchiveDirectory> {
  try {
    const zip = await fromRandomAccessReaderPromise(new SourceReader(source), await archiveEnd(source), {
      // All of them: yauzl would inherit those that are left out.
      autoClose: false,
      decodeStrings: false,
      validateEntrySizes: true,
      strictFileNames: false,
    });
    const entries = new Map<string, Entry>();
    for await (const entry of zip.eachEntry()) {
      const name = nameOf(entry, fail);
      if (entries.has(name)) throw fail(`the archive has the record ${quote(name)} twice`);
      entries.set(name, entry);
      if (entries.size > MAX_RECORDS) throw fail(`the archive has over ${MAX_RECORDS} records`);
    }
    return { zip, entries };
  } catch (cause) {
    throw archiveError(cause, fail);
  }
}
