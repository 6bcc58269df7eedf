/** Writes safetensors files: the same bytes as the reference implementation. */
import { TokenLearnerError } from '../errors';
import { checkString, isPlainObject, unexpected } from '../validate';
import { checkSavedEntry, type SavedEntries, type SavedEntry } from './array-entry';
import { elementChunks, packed, wholeContent } from './element-chunks';
import { checkPath } from './file-io';
import { writeFileAtomic, type FileContent } from './file-write';
import { quote } from './format-error';
import { MAX_NAME_BYTES, MAX_NAMES, MAX_STRING_BYTES } from './json-strings';
import { Pace } from './pace';
import { FORMAT_DTYPES } from './safetensors-dtypes';
import { MAX_HEADER_BYTES, METADATA_KEY } from './safetensors-header';
import { sorted } from './sort';

const LENGTH_BYTES = 8;
/** Characters of the header that are encoded at once. */
const ENCODED_AT_ONCE = 2 ** 18;
const LONE_SURROGATE = /\p{Surrogate}/u;

interface NamedEntry {
  name: string;
  nameBytes: Buffer;
  rank: number;
  entry: SavedEntry;
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
      `Expected well-formed Unicode for ${what} but received ${quote(text)}`,
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

function checkEntry([name, value]: [name: string, value: unknown]): NamedEntry {
  checkName(name, 'a name in `entries`');
  if (name === METADATA_KEY) {
    throw new TokenLearnerError(
      'ERR_INVALID_ARG_VALUE',
      `Expected names other than '${METADATA_KEY}' in \`entries\`: the format reserves it for the metadata`,
    );
  }
  const entry = checkSavedEntry(`entries[${JSON.stringify(name)}]`, value);
  const { byteLength } = entry.data;
  return { name, nameBytes: Buffer.from(name), rank: FORMAT_RANKS.get(entry.dtype) ?? 0, entry, byteLength };
}

/** The widest dtypes come first, so that every array is aligned; then the name's bytes in UTF-8 decide. */
function inFile(a: NamedEntry, b: NamedEntry): number {
  return b.rank - a.rank || Buffer.compare(a.nameBytes, b.nameBytes);
}

async function inFileOrder(entries: unknown, pace: Pace): Promise<NamedEntry[]> {
  const named: NamedEntry[] = [];
  for (const pair of checkRecord('entries', entries)) {
    named.push(checkEntry(pair));
    await pace.pause();
  }
  return sorted(named, inFile, pace);
}

/** Collects the text of the header, and encodes it part by part. */
class HeaderText {
  readonly #parts: Buffer[] = [];
  #text = '';
  #bytes = 0;

  append(text: string): void {
    this.#text += text;
    if (this.#text.length >= ENCODED_AT_ONCE) this.#encode();
  }

  #encode(): void {
    const part = Buffer.from(this.#text);
    this.#text = '';
    this.#bytes += part.byteLength;
    this.#parts.push(part);
  }

  /** The length and the header, padded with spaces to a multiple of 8 bytes. Throws ERR_OUT_OF_RANGE. */
  chunks(): Buffer[] {
    this.#encode();
    const headerBytes = Math.ceil(this.#bytes / 8) * 8;
    if (headerBytes > MAX_HEADER_BYTES) {
      throw new TokenLearnerError(
        'ERR_OUT_OF_RANGE',
        `Expected names and metadata that fit a header of ${MAX_HEADER_BYTES} bytes but they need ${headerBytes}`,
      );
    }
    const length = Buffer.alloc(LENGTH_BYTES);
    length.writeBigUInt64LE(BigInt(headerBytes));
    return [length, ...this.#parts, Buffer.alloc(headerBytes - this.#bytes, ' ')];
  }
}

async function appendMetadata(header: HeaderText, metadata: unknown, pace: Pace): Promise<void> {
  header.append(`"${METADATA_KEY}":{`);
  let separator = '';
  for (const [key, value] of checkRecord('metadata', metadata)) {
    checkName(key, 'a key in `metadata`');
    const name = `metadata[${JSON.stringify(key)}]`;
    const text = checkString(name, value);
    checkText(text, `\`${name}\``, MAX_STRING_BYTES);
    header.append(`${separator}${JSON.stringify(key)}:${JSON.stringify(text)}`);
    separator = ',';
    await pace.pause();
  }
  header.append('}');
}

/** Makes the length and the header. */
async function headerChunks(named: readonly NamedEntry[], metadata: unknown, pace: Pace): Promise<Buffer[]> {
  const header = new HeaderText();
  header.append('{');
  if (metadata !== undefined) await appendMetadata(header, metadata, pace);
  let separator = metadata === undefined ? '' : ',';
  let offset = 0;
  for (const { name, rank, entry, byteLength } of named) {
    const end = offset + byteLength;
    const place = { dtype: FORMAT_DTYPES[rank]?.[0], shape: entry.shape, data_offsets: [offset, end] };
    header.append(`${separator}${JSON.stringify(name)}:${JSON.stringify(place)}`);
    separator = ',';
    offset = end;
    await pace.pause();
  }
  header.append('}');
  return header.chunks();
}

async function fileContent(entries: SavedEntries, metadata: unknown): Promise<FileContent> {
  const pace = new Pace();
  const named = await inFileOrder(entries, pace);
  const header = await headerChunks(named, metadata, pace);
  function* chunks(): Generator<Uint8Array> {
    yield* header;
    for (const { name, byteLength, entry } of named) yield* elementChunks(entry.data, byteLength, name);
  }
  const parts = [...header, ...named];
  return {
    byteLength: parts.reduce((total, { byteLength }) => total + byteLength, 0),
    chunks: () => packed(chunks()),
  };
}

/**
 * Makes the bytes of a safetensors file in memory, the same as the reference implementation's: arrays in descending order of their dtype's
 * alignment and then by name, the header padded to 8 bytes. Metadata keep their own order.
 *
 * @param entries - arrays by name
 * @param metadata - free-form strings for `__metadata__`; undefined leaves it out of the file
 * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE (a name), ERR_OUT_OF_RANGE (a shape, or a header over
 * 100 MB), ERR_DTYPE_MISMATCH, ERR_SHAPE_MISMATCH
 */
export async function serializeSafetensors(
  entries: SavedEntries,
  metadata?: Record<string, string>,
): Promise<Uint8Array<ArrayBuffer>> {
  return wholeContent(await fileContent(entries, metadata));
}

/**
 * Writes a safetensors file atomically, in slices of a few milliseconds: the file is replaced whole or stays as it was. The bytes and the errors are those of
 * {@link serializeSafetensors}; also ERR_DETACHED if memory was transferred before it was written, and ERR_FILE_IO if the file
 * cannot be written (the system's error is the cause).
 */
export async function writeSafetensors(
  path: string,
  entries: SavedEntries,
  metadata?: Record<string, string>,
): Promise<void> {
  checkPath(path);
  await writeFileAtomic(path, await fileContent(entries, metadata));
}
