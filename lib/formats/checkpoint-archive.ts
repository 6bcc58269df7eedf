import { pipeline } from 'node:stream/promises';
import { crc32, createInflateRaw } from 'node:zlib';

import type { Entry } from 'yauzl';

import type { ByteSource } from './byte-source';
import { WindowSource } from './checkpoint-window';
import type * as CheckpointZip from './checkpoint-zip';
import { allocateBytes } from './file-io';
import { archiveError, formatErrors, quote, type Fail } from './format-error';
import { Pace } from './pace';

const STORED = 0;
const DEFLATED = 8;
/**
 * Limits the memory that a file may take beyond its own size, through compressed records, strided tensors and wider dtypes: 20
 * times its size and 64 MiB. torch.save does not compress, so a file that expands further is an attack.
 */
const EXPANSION_PER_BYTE = 20;
const FREE_EXPANSION = 2 ** 26;
/** Bytes read, checked and converted at once: a few milliseconds of work, and a multiple of every element size. */
const CHUNK_BYTES = 2 ** 21;

/** Without a prototype, which zlib would read options from. */
const INFLATE_OPTIONS = Object.freeze(
  Object.assign(Object.create(null) as { chunkSize?: number }, { chunkSize: CHUNK_BYTES }),
);

/** Converts a part of a record in place. A part is a whole number of elements, which have up to 16 bytes. */
export type Convert = (part: Uint8Array<ArrayBuffer>) => void;

/** Collects a record's bytes in memory of the declared size, with a running checksum. */
class RecordSink {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #convert: Convert;
  readonly #pace: Pace;
  #written = 0;
  #converted = 0;
  #checksum = 0;

  constructor(bytes: Uint8Array<ArrayBuffer>, convert: Convert, pace: Pace) {
    this.bytes = bytes;
    this.#convert = convert;
    this.#pace = pace;
  }

  get written(): number {
    return this.#written;
  }

  get checksum(): number {
    return this.#checksum;
  }

  /** The memory for the next bytes. */
  next(length: number): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(this.#written, this.#written + length);
  }

  /** Accounts for bytes that were written to {@link next}. */
  async wrote(length: number): Promise<void> {
    this.#checksum = crc32(this.next(length), this.#checksum);
    this.#written += length;
    const isLast = this.#written === this.bytes.byteLength;
    const end = isLast ? this.#written : this.#written - (this.#written % 16);
    this.#convert(this.bytes.subarray(this.#converted, end));
    this.#converted = end;
    await this.#pace.pause();
  }
}

/** The records of torch.save's zip archive. They all lie in one folder. */
export class CheckpointArchive {
  readonly #source: ByteSource;
  readonly #directory: CheckpointZip.ArchiveDirectory;
  readonly #path: string;
  readonly #fail: Fail;
  readonly #pace = new Pace();
  #compressedBytes = 0;
  #expandedBytes = 0;

  private constructor(source: ByteSource, directory: CheckpointZip.ArchiveDirectory, path: string) {
    this.#source = source;
    this.#directory = directory;
    this.#path = path;
    this.#fail = formatErrors(path);
  }

  /**
   * Reads the archive's directory.
   *
   * @param path - names the source in error messages
   * @throws TokenLearnerError ERR_FILE_FORMAT
   */
  static async open(source: ByteSource, path: string): Promise<CheckpointArchive> {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- it loads a package that only checkpoints need
    const { readDirectory } = require('./checkpoint-zip') as typeof CheckpointZip;
    const window = new WindowSource(source);
    return new CheckpointArchive(window, await readDirectory(window, formatErrors(path)), path);
  }

  #find(name: string): Entry | undefined {
    return this.#directory.entries.get(this.#directory.folder + name);
  }

  /** True if the archive has that record. */
  has(name: string): boolean {
    return this.#find(name) !== undefined;
  }

  /** The size of a record in bytes; undefined if there is none. */
  sizeOf(name: string): number | undefined {
    return this.#find(name)?.uncompressedSize;
  }

  /**
   * Counts memory that the file takes beyond its own size.
   *
   * @throws TokenLearnerError ERR_FILE_FORMAT if that is over the limit
   */
  chargeExpansion(bytes: number): void {
    this.#expandedBytes += bytes;
    const limit = FREE_EXPANSION + this.#source.size * EXPANSION_PER_BYTE;
    if (this.#expandedBytes > limit) {
      throw this.#fail(
        `the archive of ${this.#source.size} bytes expands to over ${limit} bytes, the limit for a file of its size`,
      );
    }
  }

  /**
   * Reads a record into new memory, in slices of a few milliseconds, and verifies its checksum.
   *
   * @param convert - converts each part after its bytes are in the checksum
   * @throws TokenLearnerError ERR_FILE_FORMAT, ERR_OUT_OF_MEMORY
   */
  async read(name: string, convert: Convert = () => undefined): Promise<Uint8Array<ArrayBuffer>> {
    const entry = this.#find(name);
    if (entry === undefined) throw this.#fail(`the archive has no record ${quote(name)}`);
    const method = entry.compressionMethod;
    if (entry.isEncrypted()) throw this.#fail(`the record ${quote(name)} is encrypted`);
    if (method !== STORED && method !== DEFLATED) {
      throw this.#fail(`the record ${quote(name)} is compressed by method ${method}, which is not supported`);
    }
    if (method === DEFLATED) this.chargeExpansion(entry.uncompressedSize);
    this.#compressedBytes += entry.compressedSize;
    if (this.#compressedBytes > this.#source.size) throw this.#fail('records of the archive overlap');
    try {
      const { fileDataStart } = await this.#directory.zip.readLocalFileHeaderPromise(entry, {
        minimal: true,
      });
      const sink = new RecordSink(allocateBytes(entry.uncompressedSize, this.#path), convert, this.#pace);
      if (method === STORED) await this.#readStored(fileDataStart, sink);
      else await this.#inflate(entry, fileDataStart, sink, name);
      this.#verify(entry, sink, name);
      return sink.bytes;
    } catch (cause) {
      throw archiveError(cause, this.#fail);
    }
  }

  async #readStored(start: number, sink: RecordSink): Promise<void> {
    while (sink.written < sink.bytes.byteLength) {
      const part = sink.next(CHUNK_BYTES);
      await this.#source.read(part, start + sink.written);
      await sink.wrote(part.byteLength);
    }
  }

  async *#compressedParts(start: number, size: number): AsyncGenerator<Uint8Array> {
    for (let done = 0; done < size; done += CHUNK_BYTES) {
      const part = new Uint8Array(Math.min(CHUNK_BYTES, size - done));
      await this.#source.read(part, start + done);
      yield part;
    }
  }

  async #inflate(entry: Entry, start: number, sink: RecordSink, name: string): Promise<void> {
    const fail = this.#fail;
    await pipeline(
      this.#compressedParts(start, entry.compressedSize),
      createInflateRaw(INFLATE_OPTIONS),
      async (parts: AsyncIterable<Uint8Array>) => {
        for await (const part of parts) {
          const target = sink.next(part.byteLength);
          if (target.byteLength < part.byteLength)
            throw fail(`the record ${quote(name)} is larger than ${entry.uncompressedSize} bytes`);
          target.set(part);
          await sink.wrote(part.byteLength);
        }
      },
    );
  }

  /** PyTorch writes a checksum of 0 if it was told to compute none. */
  #verify(entry: Entry, sink: RecordSink, name: string): void {
    if (sink.written !== entry.uncompressedSize) {
      throw this.#fail(
        `the record ${quote(name)} inflates to ${sink.written} bytes instead of ${entry.uncompressedSize}`,
      );
    }
    if (entry.crc32 === 0 || entry.crc32 === sink.checksum) return;
    throw this.#fail(
      `the record ${quote(name)} is damaged: its checksum is ${sink.checksum.toString(16)} instead of ${entry.crc32.toString(16)}`,
    );
  }
}
