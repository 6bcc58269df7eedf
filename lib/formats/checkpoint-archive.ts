import { promisify } from 'node:util';
import { inflateRaw } from 'node:zlib';

import { fromRandomAccessReaderPromise, type Entry, type ZipFile } from 'yauzl';

import { TokenLearnerError } from '../errors';
import { SourceReader, type ByteSource } from './byte-source';
import { allocateBytes } from './file-io';
import { formatErrors, messageOf, quote, type Fail } from './format-error';

const inflate = promisify(inflateRaw);

const STORED = 0;
const DEFLATED = 8;
/** A record per storage; no model comes near. */
const MAX_RECORDS = 1_000_000;
/** torch.save compresses nothing, so that whatever expands further than this is no checkpoint but a zip bomb. */
const MAX_EXPANSION = 20;
const MIN_EXPANSION_BYTES = 2 ** 30;

/** The records of torch.save's zip archive, which all lie in one folder of it. */
export class CheckpointArchive {
  readonly #source: ByteSource;
  readonly #zip: ZipFile;
  readonly #records: ReadonlyMap<string, Entry>;
  readonly #path: string;
  readonly #fail: Fail;
  #compressedBytes = 0;
  #expandedBytes = 0;

  private constructor(source: ByteSource, zip: ZipFile, records: ReadonlyMap<string, Entry>, path: string) {
    this.#source = source;
    this.#zip = zip;
    this.#records = records;
    this.#path = path;
    this.#fail = formatErrors(path);
  }

  /**
   * Reads the archive's directory.
   *
   * @param path - what error messages call the source
   * @throws TokenLearnerError ERR_FILE_FORMAT
   */
  static async open(source: ByteSource, path: string): Promise<CheckpointArchive> {
    const fail = formatErrors(path);
    await refuseLegacy(source, fail);
    try {
      const zip = await fromRandomAccessReaderPromise(new SourceReader(source), source.size, {
        autoClose: false,
      });
      const entries = new Map<string, Entry>();
      for await (const entry of zip.eachEntry()) {
        if (entries.has(entry.fileName))
          throw fail(`the archive has the record ${quote(entry.fileName)} twice`);
        entries.set(entry.fileName, entry);
        if (entries.size > MAX_RECORDS) throw fail(`the archive has over ${MAX_RECORDS} records`);
      }
      return new CheckpointArchive(source, zip, inFolder(entries, fail), path);
    } catch (cause) {
      throw archiveError(cause, fail);
    }
  }

  /** Whether there is such a record. */
  has(name: string): boolean {
    return this.#records.has(name);
  }

  /** The size of a record, in bytes; undefined when there is none. */
  sizeOf(name: string): number | undefined {
    return this.#records.get(name)?.uncompressedSize;
  }

  /**
   * Counts memory that the file makes this process take beyond its own size, and refuses when it is too much.
   */
  chargeExpansion(bytes: number): void {
    this.#expandedBytes += bytes;
    const limit = Math.max(MIN_EXPANSION_BYTES, this.#source.size * MAX_EXPANSION);
    if (this.#expandedBytes > limit) {
      throw this.#fail(`the archive of ${this.#source.size} bytes expands to over ${limit} bytes`);
    }
  }

  /**
   * Reads a record into memory of its own.
   *
   * @throws TokenLearnerError ERR_FILE_FORMAT, ERR_OUT_OF_MEMORY
   */
  async read(name: string): Promise<Uint8Array<ArrayBuffer>> {
    const entry = this.#records.get(name);
    if (entry === undefined) throw this.#fail(`the archive has no record ${quote(name)}`);
    const method = entry.compressionMethod;
    if (entry.isEncrypted()) throw this.#fail(`the record ${quote(name)} is encrypted`);
    if (method !== STORED && method !== DEFLATED) {
      throw this.#fail(`the record ${quote(name)} is compressed by method ${method}, which is not supported`);
    }
    if (method === DEFLATED) this.chargeExpansion(entry.uncompressedSize);
    try {
      const bytes = await this.#readRaw(entry);
      return method === STORED ? bytes : await this.#inflate(bytes, entry, name);
    } catch (cause) {
      throw archiveError(cause, this.#fail);
    }
  }

  async #readRaw(entry: Entry): Promise<Uint8Array<ArrayBuffer>> {
    const { fileDataStart } = await this.#zip.readLocalFileHeaderPromise(entry, { minimal: true });
    this.#compressedBytes += entry.compressedSize;
    if (this.#compressedBytes > this.#source.size) throw this.#fail('records of the archive overlap');
    const bytes = allocateBytes(entry.compressedSize, this.#path);
    await this.#source.read(bytes, fileDataStart);
    return bytes;
  }

  async #inflate(bytes: Uint8Array, entry: Entry, name: string): Promise<Uint8Array<ArrayBuffer>> {
    const declared = entry.uncompressedSize;
    const inflated = await inflate(bytes, { maxOutputLength: Math.max(declared, 1) });
    if (inflated.byteLength !== declared) {
      throw this.#fail(
        `the record ${quote(name)} inflates to ${inflated.byteLength} bytes instead of ${declared}`,
      );
    }
    return new Uint8Array(inflated);
  }
}

/** yauzl's and zlib's errors become ERR_FILE_FORMAT with the original as the cause; our own pass. */
function archiveError(error: unknown, fail: Fail): TokenLearnerError {
  if (error instanceof TokenLearnerError) return error;
  return fail(`not a valid zip archive: ${messageOf(error)}`, error);
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

/** The records of the one folder that holds data.pkl, by their names within it. */
function inFolder(entries: ReadonlyMap<string, Entry>, fail: Fail): Map<string, Entry> {
  const pickles = [...entries.keys()].filter((name) => /^[^/]+\/data\.pkl$/.test(name));
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
  const records = new Map<string, Entry>();
  for (const [name, entry] of entries)
    if (name.startsWith(folder)) records.set(name.slice(folder.length), entry);
  return records;
}
