/** Writes safetensors files: the same bytes as the reference implementation. */
import { TokenLearnerError } from '../errors';
import { checkString, isPlainObject, unexpected } from '../validate';
import { checkArrayEntry, type ArrayEntries, type ArrayEntry } from './array-entry';
import { elementChunks, wholeContent } from './element-chunks';
import { checkPath } from './file-io';
import { writeFileAtomic, type FileContent } from './file-write';
import { MAX_NAME_BYTES, MAX_NAMES, MAX_STRING_BYTES } from './json-strings';
import { FORMAT_DTYPES } from './safetensors-dtypes';
import { MAX_HEADER_BYTES, METADATA_KEY } from './safetensors-header';

const LENGTH_BYTES = 8;
const LONE_SURROGATE = /\p{Surrogate}/u;

interface NamedEntry {
  name: string;
  nameBytes: Buffer;
  rank: number;
  entry: ArrayEntry;
  /** Bytes of the elements at the time of the call. */
  byteLength: number;
}

const FORMAT_RANKS: ReadonlyMap<string, number> = new Map(
  FORMAT_DTYPES.map(([, dtype], rank) => [dtype, rank]),
);

/** Checks text against the limits of readers, ours included. */
function checkText(text: string, what: string, limit: number): void {
  if (LONE_SURROGATE.test(text)) {
    throw new TokenLearnerError(
      'ERR_INVALID_ARG_VALUE',
      `Expected well-formed Unicode for ${what} but received ${JSON.stringify(text)}`,
    );
  }
  const bytes = Buffer.byteLength(JSON.stringify(text)) - 2;
  if (bytes <= limit) return;
  throw new TokenLearnerError(
    'ERR_OUT_OF_RANGE',
    `Expected at most ${limit} bytes for ${what} but received ${bytes}`,
  );
}

function checkName(name: string, what: string): void {
  checkText(name, what, MAX_NAME_BYTES);
}

function checkCount(what: string, count: number): void {
  if (count <= MAX_NAMES) return;
  throw new TokenLearnerError(
    'ERR_OUT_OF_RANGE',
    `Expected at most ${MAX_NAMES} names in \`${what}\` but received ${count}`,
  );
}

function checkRecord(name: string, value: unknown): [key: string, value: unknown][] {
  if (!isPlainObject(value)) throw unexpected('ERR_INVALID_ARG_TYPE', name, 'a plain object', value);
  const pairs = Object.entries(value);
  checkCount(name, pairs.length);
  return pairs;
}

/** Sorts the widest dtypes first, so that every array is aligned, and then by the name's bytes in UTF-8. */
function inFileOrder(entries: unknown): NamedEntry[] {
  const named = checkRecord('entries', entries).map(([name, value]): NamedEntry => {
    checkName(name, 'a name in `entries`');
    if (name === METADATA_KEY) {
      throw new TokenLearnerError(
        'ERR_INVALID_ARG_VALUE',
        `Expected names other than '${METADATA_KEY}' in \`entries\`: the format reserves it for the metadata`,
      );
    }
    const entry = checkArrayEntry(`entries[${JSON.stringify(name)}]`, value);
    const { byteLength } = entry.data;
    return {
      name,
      nameBytes: Buffer.from(name),
      rank: FORMAT_RANKS.get(entry.dtype) ?? 0,
      entry,
      byteLength,
    };
  });
  return named.sort((a, b) => b.rank - a.rank || Buffer.compare(a.nameBytes, b.nameBytes));
}

function metadataMember(metadata: unknown): string[] {
  if (metadata === undefined) return [];
  const members = checkRecord('metadata', metadata).map(([key, value]) => {
    checkName(key, 'a key in `metadata`');
    const name = `metadata[${JSON.stringify(key)}]`;
    const text = checkString(name, value);
    checkText(text, `\`${name}\``, MAX_STRING_BYTES);
    return `${JSON.stringify(key)}:${JSON.stringify(text)}`;
  });
  return [`"${METADATA_KEY}":{${members.join(',')}}`];
}

/** Makes the length and the header, padded with spaces to a multiple of 8 bytes. */
function headerChunk(named: readonly NamedEntry[], metadata: unknown): Buffer {
  const members = metadataMember(metadata);
  let offset = 0;
  for (const { name, rank, entry, byteLength } of named) {
    const end = offset + byteLength;
    const place = { dtype: FORMAT_DTYPES[rank]?.[0], shape: entry.shape, data_offsets: [offset, end] };
    members.push(`${JSON.stringify(name)}:${JSON.stringify(place)}`);
    offset = end;
  }
  const text = `{${members.join(',')}}`;
  const textBytes = Buffer.byteLength(text);
  const headerBytes = Math.ceil(textBytes / 8) * 8;
  if (headerBytes > MAX_HEADER_BYTES) {
    throw new TokenLearnerError(
      'ERR_OUT_OF_RANGE',
      `Expected names and metadata that fit a header of ${MAX_HEADER_BYTES} bytes but they need ${headerBytes}`,
    );
  }
  const chunk = Buffer.alloc(LENGTH_BYTES + headerBytes, ' ');
  chunk.writeBigUInt64LE(BigInt(headerBytes));
  chunk.write(text, LENGTH_BYTES);
  return chunk;
}

function fileContent(entries: ArrayEntries, metadata: Record<string, string> | undefined): FileContent {
  const named = inFileOrder(entries);
  const header = headerChunk(named, metadata);
  return {
    byteLength: named.reduce((total, { byteLength }) => total + byteLength, header.byteLength),
    chunks: function* () {
      yield header;
      for (const { name, byteLength, entry } of named) yield* elementChunks(entry.data, byteLength, name);
    },
  };
}

/**
 * Makes the bytes of a safetensors file, the same as the reference implementation's: arrays in descending order of their dtype's
 * alignment and then by name, the header padded to 8 bytes. Metadata keep their own order.
 *
 * @param entries - arrays by name
 * @param metadata - free-form strings for `__metadata__`; undefined leaves it out of the file
 * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE (a name), ERR_OUT_OF_RANGE (a shape, or a header over
 * 100 MB), ERR_DTYPE_MISMATCH, ERR_SHAPE_MISMATCH
 */
export function serializeSafetensors(
  entries: ArrayEntries,
  metadata?: Record<string, string>,
): Uint8Array<ArrayBuffer> {
  return wholeContent(fileContent(entries, metadata));
}

/**
 * Writes a safetensors file atomically: the file is replaced whole or stays as it was. The bytes and the errors are those of
 * {@link serializeSafetensors}; also ERR_DETACHED if memory was transferred before it was written, and ERR_FILE_IO if the file
 * cannot be written (the system's error is the cause).
 */
export async function writeSafetensors(
  path: string,
  entries: ArrayEntries,
  metadata?: Record<string, string>,
): Promise<void> {
  checkPath(path);
  await writeFileAtomic(path, fileContent(entries, metadata));
}
