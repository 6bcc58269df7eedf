/** The directory of torch.save's zip archive: where its records lie. Loads yauzl, so it is loaded when it is needed. */
import { types } from 'node:util';
import { fromRandomAccessReaderPromise, type Entry, RandomAccessReader, type ZipFile } from 'yauzl';

import type { ByteSource } from './byte-source';
import { archiveError, type Fail, messageOf, quote } from './format-error';

/** A record per storage; no model comes near. */
const MAX_RECORDS = 1_000_000;
const END_BYTES = 22;
const END_SIGNATURE = 0x06054b50;
/** The longest comment of an archive, and the most bytes after one that PyTorch looks past. */
const MAX_TAIL_BYTES = 2 ** 16 - 1;
/** In archives over 4 GiB this lies right before the end, and has the numbers that do not fit there. */
const LOCATOR_SIGNATURE = 0x07064b50;
const LOCATOR_BYTES = 20;

/**
 * A source as yauzl reads it. Positions come from the archive itself: one out of bounds is an error here, whereas yauzl's own
 * readers throw it inside a callback, where nothing can catch it.
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

/** torch.save before 1.6 wrote a bare sequence of pickles, and before 0.1.10 a tar archive. */
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
  throw fail('not a PyTorch checkpoint: it is no zip archive');
}

/**
 * Where the archive ends: bytes may follow it, as PyTorch allows. yauzl takes whatever follows for a part of the archive's comment, and refuses
 * it. Where there is no end it is the size of the source, and yauzl says what is wrong.
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
 * The name of a record. Nothing here becomes a path of this machine, so that the folder may have any name that a checkpoint's file has, such as
 * one with a colon.
 */
function nameOf(entry: Entry, fail: Fail): string {
  const raw = entry.fileNameRaw.toString('utf8');
  // Some archivers on Windows write no other separator.
  const name = raw.includes('/') ? raw : raw.replaceAll('\\', '/');
  if (name.split('/').includes('..'))
    throw fail(`not a valid zip archive: the record ${quote(name)} leaves its folder`);
  return name;
}

/** The one folder that holds data.pkl, with its slash. */
function folderOf(pickles: readonly string[], entries: ReadonlyMap<string, Entry>, fail: Fail): string {
  const [pickle] = pickles;
  if (pickle === undefined || pickles.length > 1) {
    throw fail(
      `not a PyTorch checkpoint: the zip archive has ${pickles.length} records data.pkl instead of one`,
    );
  }
  const folder = pickle.slice(0, -'data.pkl'.length);
  if (entries.has(`${folder}constants.pkl`)) {
    throw fail('a TorchScript archive; save its state dict instead: torch.save(module.state_dict(), path)');
  }
  return folder;
}

/** The records by their whole names, and the folder that a checkpoint keeps them in. */
export interface ArchiveDirectory {
  zip: ZipFile;
  entries: ReadonlyMap<string, Entry>;
  /** With its slash. */
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
      autoClose: false,
      decodeStrings: false,
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
