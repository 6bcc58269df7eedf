/** Writes zip archives, as Python's zipfile does for NumPy: each local header has 64-bit sizes. */
import { pipeline } from 'node:stream/promises';
import { crc32, createDeflateRaw } from 'node:zlib';

import { TokenLearnerError } from '../errors';
import { expansionLimit } from './expansion';
import type { FileContent } from './file-write';
import { quote } from './format-error';
import { Pace } from './pace';

const [STORED, DEFLATED] = [0, 8];
/** The version of the format that has 64-bit numbers, and the system (Unix) that files are attributed to. */
const [VERSION, UNIX] = [45, 3];
const UTF8_NAME = 0x800;
/** 1 January 1980, midnight: the same content gives the same file. */
const [TIME, DATE] = [0, 0x21];
/** The owner may read and write. */
const ATTRIBUTES = (0o600 << 16) >>> 0;
const WIDE = 0xffffffff;
/** zipfile writes larger numbers of a directory in 64 bits. */
const NARROW_LIMIT = 2 ** 31 - 1;
const NARROW_COUNT = 2 ** 16 - 1;
const MAX_NAME_BYTES = 2 ** 16 - 1;

/** One record of an archive to write. */
export interface RecordToWrite {
  name: string;
  content: FileContent;
}

/** A record whose header is known. */
interface ReadyRecord {
  name: Buffer;
  flags: number;
  method: number;
  checksum: number;
  byteLength: number;
  storedBytes: number;
  chunks: () => Iterable<Uint8Array>;
}

/** Fields of a header: 16, 32 and 64 bits, little-endian. */
class Fields {
  readonly #parts: Buffer[] = [];

  u16(...values: number[]): this {
    const bytes = Buffer.alloc(2 * values.length);
    values.forEach((value, i) => bytes.writeUInt16LE(value, 2 * i));
    this.#parts.push(bytes);
    return this;
  }

  u32(...values: number[]): this {
    const bytes = Buffer.alloc(4 * values.length);
    values.forEach((value, i) => bytes.writeUInt32LE(value, 4 * i));
    this.#parts.push(bytes);
    return this;
  }

  u64(...values: number[]): this {
    const bytes = Buffer.alloc(8 * values.length);
    values.forEach((value, i) => bytes.writeBigUInt64LE(BigInt(value), 8 * i));
    this.#parts.push(bytes);
    return this;
  }

  bytes(...parts: Buffer[]): this {
    this.#parts.push(...parts);
    return this;
  }

  done(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

const signature = (kind: string): Buffer => Buffer.from(`PK${kind}`, 'latin1');

/** Refuses names that readers, ours included, cannot read back. */
function checkName(name: string): Buffer {
  const bytes = Buffer.from(name);
  if (bytes.length > MAX_NAME_BYTES)
    throw new TokenLearnerError(
      'ERR_OUT_OF_RANGE',
      `Expected at most ${MAX_NAME_BYTES} bytes for a name in the archive but received ${bytes.length}`,
    );
  if (!/[\0\\\p{Surrogate}]/u.test(name) && !name.split('/').includes('..')) return bytes;
  throw new TokenLearnerError(
    'ERR_INVALID_ARG_VALUE',
    `Expected names in the archive of well-formed Unicode, without NUL, backslashes and folders named '..', but received ${quote(name)}`,
  );
}

/** Compresses a content, and returns its parts. */
async function deflated(content: FileContent, pace: Pace): Promise<Buffer[]> {
  const parts: Buffer[] = [];
  async function* paced(): AsyncGenerator<Uint8Array> {
    for (const chunk of content.chunks()) {
      yield chunk;
      await pace.pause();
    }
  }
  await pipeline(paced(), createDeflateRaw(), async (compressed: AsyncIterable<Buffer>) => {
    for await (const part of compressed) parts.push(part);
  });
  return parts;
}

/** Reads a content once for its checksum, and compresses it if asked. */
async function ready({ name, content }: RecordToWrite, deflate: boolean, pace: Pace): Promise<ReadyRecord> {
  const bytes = checkName(name);
  let checksum = 0;
  for (const chunk of content.chunks()) {
    checksum = crc32(chunk, checksum);
    await pace.pause();
  }
  const parts = deflate ? await deflated(content, pace) : undefined;
  const { byteLength } = content;
  return {
    name: bytes,
    flags: /^[\0-\x7f]*$/.test(name) ? 0 : UTF8_NAME,
    method: deflate ? DEFLATED : STORED,
    checksum,
    byteLength,
    storedBytes: parts?.reduce((sum, part) => sum + part.length, 0) ?? byteLength,
    chunks: () => parts ?? content.chunks(),
  };
}

/**
 * Stores records that were deflated, until the archive expands no further than our reader allows: those first that lost most bytes. Headers are not
 * counted; they make the archive larger.
 */
function storeExpanding(list: ReadyRecord[], records: readonly RecordToWrite[]): void {
  let expanded = list.reduce((sum, { byteLength }) => sum + byteLength, 0);
  let size = list.reduce((sum, { storedBytes }) => sum + storedBytes, 0);
  const lost = ({ byteLength, storedBytes }: ReadyRecord): number => byteLength - storedBytes;
  const order = [...list.entries()].sort(([, a], [, b]) => lost(b) - lost(a));
  for (const [i, record] of order) {
    if (expanded <= expansionLimit(size)) return;
    const { byteLength } = record;
    list[i] = {
      ...record,
      method: STORED,
      storedBytes: byteLength,
      chunks: () => records[i]?.content.chunks() ?? [],
    };
    expanded -= byteLength;
    size += lost(record);
  }
}

/** The fields that local headers and the directory share. */
function common(record: ReadyRecord): Buffer {
  return new Fields().u16(VERSION, record.flags, record.method, TIME, DATE).u32(record.checksum).done();
}

function localHeader(record: ReadyRecord): Buffer {
  return new Fields()
    .bytes(signature('\x03\x04'), common(record))
    .u32(WIDE, WIDE)
    .u16(record.name.length, 20)
    .bytes(record.name)
    .u16(1, 16)
    .u64(record.byteLength, record.storedBytes)
    .done();
}

function directoryEntry(record: ReadyRecord, offset: number): Buffer {
  const wideSizes = Math.max(record.byteLength, record.storedBytes) > NARROW_LIMIT;
  const wideOffset = offset > NARROW_LIMIT;
  const wide = [
    ...(wideSizes ? [record.byteLength, record.storedBytes] : []),
    ...(wideOffset ? [offset] : []),
  ];
  const extra =
    wide.length === 0
      ? Buffer.alloc(0)
      : new Fields()
          .u16(1, 8 * wide.length)
          .u64(...wide)
          .done();
  return new Fields()
    .bytes(signature('\x01\x02'))
    .u16((UNIX << 8) | VERSION)
    .bytes(common(record))
    .u32(...(wideSizes ? [WIDE, WIDE] : [record.storedBytes, record.byteLength]))
    .u16(record.name.length, extra.length, 0, 0, 0)
    .u32(ATTRIBUTES, wideOffset ? WIDE : offset)
    .bytes(record.name, extra)
    .done();
}

/** The end of an archive whose directory has `count` entries of `size` bytes from `offset` on. */
function archiveEnd(count: number, size: number, offset: number): Buffer {
  const fields = new Fields();
  const isWide = count > NARROW_COUNT || size > NARROW_LIMIT || offset > NARROW_LIMIT;
  if (isWide) {
    fields
      .bytes(signature('\x06\x06'))
      .u64(44)
      .u16(VERSION, VERSION)
      .u32(0, 0)
      .u64(count, count, size, offset)
      .bytes(signature('\x06\x07'))
      .u32(0)
      .u64(offset + size)
      .u32(1);
  }
  const narrow = (value: number): number => (isWide ? Math.min(value, WIDE) : value);
  return fields
    .bytes(signature('\x05\x06'))
    .u16(0, 0, Math.min(count, NARROW_COUNT), Math.min(count, NARROW_COUNT))
    .u32(narrow(size), narrow(offset))
    .u16(0)
    .done();
}

/**
 * Prepares an archive, in slices of a few milliseconds. Contents are read for their checksums now, and again when the archive is written. Compressed ones are
 * kept in memory until then. Where all of them together would expand too far for our reader, some are stored as they are.
 *
 * @throws TokenLearnerError ERR_INVALID_ARG_VALUE and ERR_OUT_OF_RANGE for names; the errors of the contents.
 */
export async function zipContent(records: readonly RecordToWrite[], deflate: boolean): Promise<FileContent> {
  const pace = new Pace();
  const list: ReadyRecord[] = [];
  for (const record of records) list.push(await ready(record, deflate, pace));
  if (deflate) storeExpanding(list, records);
  const headers = list.map(localHeader);
  const entries: Buffer[] = [];
  let offset = 0;
  for (const [i, record] of list.entries()) {
    entries.push(directoryEntry(record, offset));
    offset += (headers[i]?.length ?? 0) + record.storedBytes;
  }
  const directory = Buffer.concat(entries);
  const end = archiveEnd(list.length, directory.length, offset);
  return {
    byteLength: offset + directory.length + end.length,
    chunks: function* () {
      for (const [i, record] of list.entries()) {
        yield headers[i] ?? Buffer.alloc(0);
        yield* record.chunks();
      }
      yield directory;
      yield end;
    },
  };
}
