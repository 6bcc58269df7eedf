/** Writing safetensors files: the bytes that the reference implementation gives. */
import { types } from 'node:util';

import { TokenLearnerError } from '../errors';
import { checkArrayEntry, describe, type ArrayEntries, type ArrayEntry } from './array-entry';
import { elementChunks, wholeContent } from './element-chunks';
import { checkPath } from './file-io';
import { writeFileAtomic, type FileContent } from './file-write';
import { MAX_AXES } from './file-shape';
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
  /** Of the elements, at the time of the call. */
  byteLength: number;
}

const FORMAT_RANKS: ReadonlyMap<string, number> = new Map(
  FORMAT_DTYPES.map(([, dtype], rank) => [dtype, rank]),
);

/** What readers take, ours too. */
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

function checkAxes(name: string, { shape }: ArrayEntry): void {
  if (shape.length <= MAX_AXES) return;
  throw new TokenLearnerError(
    'ERR_OUT_OF_RANGE',
    `Expected at most ${MAX_AXES} axes for \`entries[${JSON.stringify(name)}].shape\` but received ${shape.length}`,
  );
}

function checkRecord(value: unknown, what: string): asserts value is Record<string, unknown> {
  const isList = Array.isArray(value) || types.isMap(value) || types.isTypedArray(value);
  if (typeof value === 'object' && value !== null && !isList) return;
  throw new TokenLearnerError(
    'ERR_INVALID_ARG_TYPE',
    `Expected a plain object for \`${what}\` but received ${describe(value)}`,
  );
}

/** The widest dtypes first, so that every array is aligned; then by the name's bytes in UTF-8. */
function inFileOrder(entries: unknown): NamedEntry[] {
  checkRecord(entries, 'entries');
  const pairs = Object.entries(entries);
  checkCount('entries', pairs.length);
  const named = pairs.map(([name, entry]): NamedEntry => {
    checkName(name, 'a name in `entries`');
    if (name === METADATA_KEY) {
      throw new TokenLearnerError(
        'ERR_INVALID_ARG_VALUE',
        `Expected names other than '${METADATA_KEY}' in \`entries\`: the format reserves it for the metadata`,
      );
    }
    checkArrayEntry(`entries[${JSON.stringify(name)}]`, entry);
    checkAxes(name, entry);
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
  checkRecord(metadata, 'metadata');
  const pairs = Object.entries(metadata);
  checkCount('metadata', pairs.length);
  for (const [key, value] of pairs) {
    checkName(key, 'a key in `metadata`');
    if (typeof value !== 'string') {
      throw new TokenLearnerError(
        'ERR_INVALID_ARG_TYPE',
        `Expected a string for \`metadata[${JSON.stringify(key)}]\` but received a value of type ${typeof value}`,
      );
    }
    checkText(value, `\`metadata[${JSON.stringify(key)}]\``, MAX_STRING_BYTES);
  }
  const members = pairs.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`);
  return [`"${METADATA_KEY}":{${members.join(',')}}`];
}

/** The length and the header, padded with spaces to a multiple of 8 bytes. */
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
      `Expected names and metadata that fit a header of ${MAX_HEADER_BYTES} bytes but they take ${headerBytes}`,
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
 * The bytes of a safetensors file, the same as the reference implementation's for the same content: arrays in descending order
 * of their dtype's alignment and then by name, the header padded to 8 bytes. Metadata keep their own order.
 *
 * @param entries - arrays by name
 * @param metadata - free-form strings for `__metadata__`; left out of the file when undefined
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
 * {@link serializeSafetensors}; also ERR_DETACHED where memory was transferred before it was written, and ERR_FILE_FORMAT when the
 * file cannot be written (Node's own error is the cause).
 */
export async function writeSafetensors(
  path: string,
  entries: ArrayEntries,
  metadata?: Record<string, string>,
): Promise<void> {
  checkPath(path);
  await writeFileAtomic(path, fileContent(entries, metadata));
}
