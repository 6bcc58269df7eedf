/**
 * The safetensors format: an 8-byte little-endian length, a JSON header of that length, and the tensors' bytes.
 * Reading validates as strictly as the format's text and its reference implementation together; writing gives the
 * bytes that the reference implementation gives.
 */
import { types } from 'node:util';

import { TokenLearnerError } from '../errors';
import { checkArrayEntry, describe, emptyEntries, type ArrayEntries, type ArrayEntry } from './array-entry';
import { elementsFromBytes, littleEndianBytes } from './elements';
import { checkBytes, checkPath, readBytes, writeFileAtomic } from './file-io';
import { formatErrors } from './format-error';
import { FORMAT_DTYPES, MAX_HEADER_BYTES, METADATA_KEY, parseHeader } from './safetensors-header';

const LENGTH_BYTES = 8;
const LONE_SURROGATE = /\p{Surrogate}/u;

/** What a safetensors file holds. */
export interface SafetensorsContent {
  /** In the order of their bytes in the file. */
  entries: ArrayEntries;
  /** The free-form strings of `__metadata__`. */
  metadata: Record<string, string>;
}

/**
 * Parses a safetensors file in memory. Arrays are views on `bytes` where alignment allows it, copies elsewhere.
 *
 * @param bytes - the whole file
 * @param source - what error messages call the bytes
 * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_FILE_FORMAT
 */
export function parseSafetensors(bytes: Uint8Array, source = 'safetensors data'): SafetensorsContent {
  const whole = checkBytes(bytes);
  const fail = formatErrors(source);
  if (whole.byteLength < LENGTH_BYTES) {
    throw fail(`truncated: ${whole.byteLength} bytes cannot hold the 8 bytes of the header's length`);
  }
  const view = new DataView(whole.buffer, whole.byteOffset, whole.byteLength);
  const headerBytes = view.getBigUint64(0, true);
  if (headerBytes > MAX_HEADER_BYTES) {
    throw fail(`a header of ${headerBytes.toString()} bytes is over the limit of ${MAX_HEADER_BYTES}`);
  }
  const dataStart = LENGTH_BYTES + Number(headerBytes);
  if (dataStart > whole.byteLength) {
    throw fail(`truncated: the header ends at byte ${dataStart} of ${whole.byteLength}`);
  }
  const header = parseHeader(whole.subarray(LENGTH_BYTES, dataStart), whole.byteLength - dataStart, fail);
  const entries = emptyEntries();
  for (const { name, dtype, shape, begin, end } of header.tensors) {
    const data = elementsFromBytes(whole.subarray(dataStart + begin, dataStart + end), dtype, 'little');
    entries[name] = { dtype, shape, data };
  }
  return { entries, metadata: header.metadata };
}

/**
 * Reads a safetensors file. Its arrays share one buffer.
 *
 * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_MEMORY, and ERR_FILE_FORMAT: the
 * file is malformed, or cannot be read (Node's own error is the cause).
 */
export async function readSafetensors(path: string): Promise<SafetensorsContent> {
  checkPath(path);
  return parseSafetensors(await readBytes(path), path);
}

interface NamedEntry {
  name: string;
  nameBytes: Buffer;
  rank: number;
  entry: ArrayEntry;
}

const FORMAT_RANKS: ReadonlyMap<string, number> = new Map(
  FORMAT_DTYPES.map(([, dtype], rank) => [dtype, rank]),
);

function checkName(name: string, what: string): void {
  if (!LONE_SURROGATE.test(name)) return;
  throw new TokenLearnerError(
    'ERR_INVALID_ARG_VALUE',
    `Expected well-formed Unicode for ${what} but received ${JSON.stringify(name)}`,
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
  const named = Object.entries(entries).map(([name, entry]): NamedEntry => {
    checkName(name, 'a name in `entries`');
    if (name === METADATA_KEY) {
      throw new TokenLearnerError(
        'ERR_INVALID_ARG_VALUE',
        `Expected names other than '${METADATA_KEY}' in \`entries\`: the format reserves it for the metadata`,
      );
    }
    checkArrayEntry(`entries[${JSON.stringify(name)}]`, entry);
    return { name, nameBytes: Buffer.from(name), rank: FORMAT_RANKS.get(entry.dtype) ?? 0, entry };
  });
  return named.sort((a, b) => b.rank - a.rank || Buffer.compare(a.nameBytes, b.nameBytes));
}

function metadataMember(metadata: unknown): string[] {
  if (metadata === undefined) return [];
  checkRecord(metadata, 'metadata');
  for (const [key, value] of Object.entries(metadata)) {
    checkName(key, 'a key in `metadata`');
    if (typeof value !== 'string') {
      throw new TokenLearnerError(
        'ERR_INVALID_ARG_TYPE',
        `Expected a string for \`metadata[${JSON.stringify(key)}]\` but received a value of type ${typeof value}`,
      );
    }
    checkName(value, `\`metadata[${JSON.stringify(key)}]\``);
  }
  const members = Object.entries(metadata).map(
    ([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`,
  );
  return [`"${METADATA_KEY}":{${members.join(',')}}`];
}

/** The length and the header, padded with spaces to a multiple of 8 bytes. */
function headerChunk(named: readonly NamedEntry[], metadata: unknown): Buffer {
  const members = metadataMember(metadata);
  let offset = 0;
  for (const { name, rank, entry } of named) {
    const end = offset + entry.data.byteLength;
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

function fileChunks(entries: ArrayEntries, metadata: Record<string, string> | undefined): Uint8Array[] {
  const named = inFileOrder(entries);
  return [headerChunk(named, metadata), ...named.map(({ entry }) => littleEndianBytes(entry.data))];
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
  const chunks = fileChunks(entries, metadata);
  const bytes = new Uint8Array(chunks.reduce((total, chunk) => total + chunk.byteLength, 0));
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return bytes;
}

/**
 * Writes a safetensors file atomically: the file is replaced whole or stays as it was. The bytes and the errors are those of
 * {@link serializeSafetensors}, and ERR_FILE_FORMAT when the file cannot be written (Node's own error is the cause).
 */
export async function writeSafetensors(
  path: string,
  entries: ArrayEntries,
  metadata?: Record<string, string>,
): Promise<void> {
  checkPath(path);
  await writeFileAtomic(path, fileChunks(entries, metadata));
}
