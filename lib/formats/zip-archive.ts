import { pipeline } from 'node:stream/promises';
import { constants, crc32, createInflateRaw } from 'node:zlib';

import type { Entry } from 'yauzl';

import { type ByteSource, bytesSource } from './byte-source';
import { expansionLimit } from './expansion';
import { allocateBytes } from './file-io';
import { archiveError, formatErrors, quote, type Fail } from './format-error';
import { Pace } from './pace';
import { WindowSource } from './window-source';
import type * as ZipDirectory from './zip-directory';

const STORED = 0;
const DEFLATED = 8;
/** Bytes read, checked and converted at once: a few milliseconds of work, and a multiple of every element size. */
const CHUNK_BYTES = 2 ** 21;

/** Without a prototype, which zlib would read options from. */
const INFLATE_OPTIONS = Object.freeze(
  Object.assign(Object.create(null) as { chunkSize?: number }, { chunkSize: CHUNK_BYTES }),
);

/** As {@link INFLATE_OPTIONS}, for the beginning of a record: it takes what the input gives. */
const HEAD_OPTIONS = Object.freeze(
  Object.assign(Object.create(null) as { finishFlush?: number }, { finishFlush: constants.Z_SYNC_FLUSH }),
);
/** Deflate never makes data longer by more than this, so a head's compressed bytes are at most these more. */
const DEFLATE_MARGIN = 2 ** 10;

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

/** What an archive must be like. */
export interface ArchiveLayout {
  /** True if a checksum of 0 means that there is none: PyTorch writes it where it was told to compute none. */
  zeroChecksums?: boolean;
  check?: (source: ByteSource) => Promise<void>;
  folderOf?: (records: ReadonlyMap<string, unknown>) => string;
}

/** The records of a zip archive. */
export class ZipArchive {
  readonly #source: ByteSource;
  readonly #directory: ZipDirectory.ArchiveDirectory;
  /** All names that are asked for lie in it. Empty, or ends in a slash. */
  readonly #folder: string;
  readonly #zeroChecksums: boolean;
  readonly #path: string;
  readonly #fail: Fail;
  readonly #pace = new Pace();
  /** The records that were asked for. Together they have no more bytes than the archive. */
  readonly #used = new Set<Entry>();
  #compressedBytes = 0;
  #expandedBytes = 0;

  private constructor(
    source: ByteSource,
    directory: ZipDirectory.ArchiveDirectory,
    { folder, zeroChecksums }: { folder: string; zeroChecksums: boolean },
    path: string,
  ) {
    this.#source = source;
    this.#directory = directory;
    this.#folder = folder;
    this.#zeroChecksums = zeroChecksums;
    this.#path = path;
    this.#fail = formatErrors(path);
  }

  /**
   * Reads the archive's directory.
   *
   * @param path - names the source in error messages
   * @param layout - `check` looks at the source first; `folderOf` returns the folder, empty or with a slash at its end, in which all records that
   * are asked for lie; `zeroChecksums` is false if it is left out
   * @throws TokenLearnerError ERR_FILE_FORMAT, and the errors of `layout`
   */
  static async open(source: ByteSource, path: string, layout: ArchiveLayout = {}): Promise<ZipArchive> {
    const {
      check,
      folderOf,
      zeroChecksums = false,
    } = Object.assign(Object.create(null), layout) as ArchiveLayout;
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- it loads a package that only archives need
    const { readDirectory } = require('./zip-directory') as typeof ZipDirectory;
    const window = new WindowSource(source);
    await check?.(window);
    const directory = await readDirectory(window, formatErrors(path));
    const folder = folderOf?.(directory.entries) ?? '';
    return new ZipArchive(window, directory, { folder, zeroChecksums }, path);
  }

  #find(name: string): Entry | undefined {
    return this.#directory.entries.get(this.#folder + name);
  }

  /** The whole names of all records. */
  get names(): Iterable<string> {
    return this.#directory.entries.keys();
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
    const limit = expansionLimit(this.#source.size);
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
    const { entry, method } = this.#checked(name);
    if (method === DEFLATED) this.chargeExpansion(entry.uncompressedSize);
    try {
      const { fileDataStart } = await this.#directory.zip.readLocalFileHeaderPromise(entry, {
        minimal: true,
      });
      const sink = new RecordSink(allocateBytes(entry.uncompressedSize, this.#path), convert, this.#pace);
      if (method === STORED) await this.#readStored(fileDataStart, sink);
      else await this.#inflate(entry, fileDataStart, sink, name);
      this.#verify(entry, sink.written, sink.checksum, name);
      return sink.bytes;
    } catch (cause) {
      throw archiveError(cause, this.#fail);
    }
  }

  /**
   * Passes a record's bytes on, part by part, and verifies its size and checksum at the end: until then the receiver must not use what it got.
   *
   * @throws TokenLearnerError ERR_FILE_FORMAT, and the errors of `take`
   */
  async stream(name: string, take: (part: Uint8Array) => Promise<void>): Promise<void> {
    const { entry, method } = this.#checked(name);
    if (method === DEFLATED) this.chargeExpansion(entry.uncompressedSize);
    let [checksum, size] = [0, 0];
    let refused: { cause: unknown } | undefined;
    const give = (part: Uint8Array) =>
      take(part).catch((cause: unknown) => {
        refused = { cause };
        throw cause;
      });
    try {
      const { fileDataStart } = await this.#directory.zip.readLocalFileHeaderPromise(entry, {
        minimal: true,
      });
      const stored = this.#compressedParts(fileDataStart, entry.compressedSize);
      const pass = async (parts: AsyncIterable<Uint8Array>): Promise<void> => {
        for await (const part of parts) {
          size += part.byteLength;
          if (size > entry.uncompressedSize)
            throw this.#fail(`the record ${quote(name)} is larger than ${entry.uncompressedSize} bytes`);
          checksum = crc32(part, checksum);
          await give(part);
          await this.#pace.pause();
        }
      };
      if (method === STORED) await pass(stored);
      else await pipeline(stored, createInflateRaw(INFLATE_OPTIONS), pass);
    } catch (cause) {
      if (refused !== undefined) throw refused.cause;
      throw archiveError(cause, this.#fail);
    }
    this.#verify(entry, size, checksum, name);
  }

  /**
   * A record as a source of bytes, without a look at its checksum. One that is not compressed is read where it lies.
   *
   * @throws TokenLearnerError ERR_FILE_FORMAT, ERR_OUT_OF_MEMORY
   */
  async source(name: string): Promise<ByteSource> {
    const { entry, method } = this.#checked(name);
    if (method === DEFLATED) return bytesSource(await this.read(name), this.#path);
    try {
      const { fileDataStart } = await this.#directory.zip.readLocalFileHeaderPromise(entry, {
        minimal: true,
      });
      const read = (target: Uint8Array, position: number) =>
        this.#source.read(target, fileDataStart + position);
      return { size: entry.uncompressedSize, read };
    } catch (cause) {
      throw archiveError(cause, this.#fail);
    }
  }

  /**
   * Reads at most `length` bytes from a record's beginning, without a look at its checksum.
   *
   * @throws TokenLearnerError ERR_FILE_FORMAT
   */
  async readHead(name: string, length: number): Promise<Uint8Array> {
    const { entry, method } = this.#checked(name);
    const margin = method === STORED ? 0 : DEFLATE_MARGIN;
    const bytes = new Uint8Array(Math.min(entry.compressedSize, length + margin));
    try {
      const { fileDataStart } = await this.#directory.zip.readLocalFileHeaderPromise(entry, {
        minimal: true,
      });
      await this.#source.read(bytes, fileDataStart);
      return method === STORED ? bytes : await this.#inflateHead(bytes, length);
    } catch (cause) {
      throw archiveError(cause, this.#fail);
    }
  }

  /** Inflates the beginning of a record to at most `length` bytes. */
  async #inflateHead(bytes: Uint8Array, length: number): Promise<Uint8Array> {
    const inflate = createInflateRaw(HEAD_OPTIONS);
    inflate.end(bytes);
    const parts: Uint8Array[] = [];
    let size = 0;
    for await (const part of inflate as AsyncIterable<Uint8Array>) {
      parts.push(part);
      size += part.byteLength;
      // It inflates no more than is taken.
      if (size >= length) break;
    }
    this.chargeExpansion(Math.min(size, length));
    return Buffer.concat(parts).subarray(0, length);
  }

  /** A record that is not encrypted, whose compression is known, and which shares its bytes with no other that was asked for. */
  #checked(name: string): { entry: Entry; method: typeof STORED | typeof DEFLATED } {
    const entry = this.#find(name);
    if (entry === undefined) throw this.#fail(`the archive has no record ${quote(name)}`);
    const method = entry.compressionMethod;
    if (entry.isEncrypted()) throw this.#fail(`the record ${quote(name)} is encrypted`);
    if (method !== STORED && method !== DEFLATED) {
      throw this.#fail(`the record ${quote(name)} is compressed by method ${method}, which is not supported`);
    }
    if (!this.#used.has(entry)) {
      this.#used.add(entry);
      this.#compressedBytes += entry.compressedSize;
    }
    if (this.#compressedBytes > this.#source.size) throw this.#fail('records of the archive overlap');
    return { entry, method };
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

  #verify(entry: Entry, size: number, checksum: number, name: string): void {
    if (size !== entry.uncompressedSize) {
      throw this.#fail(
        `the record ${quote(name)} inflates to ${size} bytes instead of ${entry.uncompressedSize}`,
      );
    }
    if (entry.crc32 === checksum || (this.#zeroChecksums && entry.crc32 === 0)) return;
    throw this.#fail(
      `the record ${quote(name)} is damaged: its checksum is ${checksum.toString(16)} instead of ${entry.crc32.toString(16)}`,
    );
  }
}
