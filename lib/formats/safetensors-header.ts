/**
 * The header of a safetensors file. Its own size bounds the memory: each tensor costs its name, its dtype and at most 64 sizes.
 * There are at most 2^17 tensors and 2^17 metadata entries. Unknown fields are skipped.
 */
import { formatShape, MAX_DIMENSIONS } from '../shape';
import { bytesOfShape, tensorNamed } from './file-shape';
import { quote, type Fail } from './format-error';
import { JsonCursor } from './json-cursor';
import { MAX_NAME_BYTES, MAX_NAMES, readStrings } from './json-strings';
import type { Pace } from './pace';
import { bitsOf, dtypeName, readAs, type ReadAs } from './safetensors-dtypes';
import { sorted } from './sort';

/** The format's own limit on the header, in bytes. */
export const MAX_HEADER_BYTES = 100_000_000;

/** The key that holds the metadata; no tensor can have this name. */
export const METADATA_KEY = '__metadata__';

/** The longest description of one tensor, in bytes. */
const MAX_DESCRIPTION_BYTES = 2 ** 16;

/** The place of one tensor. `begin` and `end` are in bytes from the first byte after the header. */
export interface TensorPlace {
  name: string;
  /** The format's name. Our tensors may not have that dtype. */
  formatDtype: string;
  shape: number[];
  begin: number;
  end: number;
}

/** The content of a header. `tensors` are in the order of their bytes. */
export interface SafetensorsHeader {
  tensors: TensorPlace[];
  metadata: Record<string, string>;
}

/** Reads an array of at most `limit` integers. */
function readSizes(cursor: JsonCursor, limit: number, problem: string, fail: Fail): number[] {
  if (!cursor.nextIs('[')) throw fail(problem);
  const sizes: number[] = [];
  for (const index of cursor.items()) {
    if (index === limit) throw fail(`${problem}: over ${limit} numbers`);
    const size = cursor.integer(MAX_DESCRIPTION_BYTES);
    if (!Number.isSafeInteger(size)) throw fail(problem);
    sizes.push(size);
  }
  return sizes;
}

/** Reads the object that describes a tensor. */
class PlaceReader {
  readonly #cursor: JsonCursor;
  readonly #what: string;
  readonly #fail: Fail;
  #formatDtype: string | undefined;
  #shape: number[] | undefined;
  #offsets: number[] | undefined;

  constructor(cursor: JsonCursor, name: string, fail: Fail) {
    this.#cursor = cursor;
    this.#what = tensorNamed(name);
    this.#fail = fail;
  }

  read(name: string): TensorPlace {
    const cursor = this.#cursor;
    const what = this.#what;
    if (!cursor.nextIs('{')) throw this.#fail(`${what} is not described by an object`);
    const start = cursor.position;
    for (const key of cursor.keys(MAX_NAME_BYTES)) {
      this.#field(key);
      if (cursor.position - start > MAX_DESCRIPTION_BYTES)
        throw this.#fail(`${what} is described by over ${MAX_DESCRIPTION_BYTES} bytes`);
    }
    if (this.#formatDtype === undefined) throw this.#fail(`${what} has no dtype`);
    if (this.#shape === undefined) throw this.#fail(`${what} has no shape`);
    const [begin, end] = this.#offsets ?? [];
    if (begin === undefined || end === undefined)
      throw this.#fail(`${what} has no data_offsets of two integers`);
    return { name, formatDtype: this.#formatDtype, shape: this.#shape, begin, end };
  }

  #field(key: string): void {
    const cursor = this.#cursor;
    const what = this.#what;
    if (key === 'dtype') {
      this.#once(key, this.#formatDtype);
      if (!cursor.nextIs('"')) throw this.#fail(`${what} has no dtype`);
      this.#formatDtype = cursor.string(MAX_NAME_BYTES);
    } else if (key === 'shape') {
      this.#once(key, this.#shape);
      const problem = `${what} has no shape of at most ${MAX_DIMENSIONS} integers from 0 to 2^53 - 1`;
      this.#shape = readSizes(cursor, MAX_DIMENSIONS, problem, this.#fail);
    } else if (key === 'data_offsets') {
      this.#once(key, this.#offsets);
      this.#offsets = readSizes(cursor, 2, `${what} has no data_offsets of two integers`, this.#fail);
    } else {
      cursor.skip(MAX_DESCRIPTION_BYTES);
    }
  }

  #once(key: string, value: unknown): void {
    if (value !== undefined) throw this.#fail(`${this.#what} has the key ${quote(key)} twice`);
  }
}

function checkSize({ name, formatDtype, shape, begin, end }: TensorPlace, fail: Fail): void {
  const what = tensorNamed(name);
  const bits = bitsOf(formatDtype);
  const wanted = bytesOfShape(shape, (bits ?? 1) / 8, what, fail);
  // Only the place of a tensor of unknown dtype can be checked.
  if (bits === undefined || wanted === end - begin) return;
  throw fail(
    `${what} has data_offsets [${begin}, ${end}]: ${end - begin} bytes, but ${dtypeName(formatDtype)} of shape ${formatShape(shape)} ` +
      `takes ${wanted}`,
  );
}

/** The order of the tensors' bytes. */
function byPlace(a: TensorPlace, b: TensorPlace): number {
  return a.begin - b.begin || a.end - b.end;
}

/** Describes the problem of a place after data that end at `expected`; undefined if there is none. */
function misplaced({ begin, end }: TensorPlace, expected: number, dataBytes: number): string | undefined {
  if (end < begin) return ': it ends before it begins';
  if (end > dataBytes) return `, but the file holds ${dataBytes} bytes of data`;
  if (begin < expected) return `: it overlaps the tensor before it, which ends at ${expected}`;
  return begin > expected ? `: nothing describes the bytes from ${expected} on` : undefined;
}

/** Checks that sizes match the shapes, and that the tensors cover the data without gaps or overlaps. */
async function checkLayout(
  tensors: readonly TensorPlace[],
  dataBytes: number,
  fail: Fail,
  pace: Pace,
): Promise<void> {
  let expected = 0;
  for (const place of tensors) {
    const problem = misplaced(place, expected, dataBytes);
    if (problem !== undefined)
      throw fail(`${tensorNamed(place.name)} has data_offsets [${place.begin}, ${place.end}]${problem}`);
    checkSize(place, fail);
    expected = place.end;
    await pace.pause();
  }
  if (expected !== dataBytes) throw fail(`the tensors end at byte ${expected} of ${dataBytes} bytes of data`);
}

async function toRecord(
  strings: ReadonlyMap<string, string> | undefined,
  pace: Pace,
): Promise<Record<string, string>> {
  const record = Object.create(null) as Record<string, string>;
  for (const [key, value] of strings ?? []) {
    record[key] = value;
    await pace.pause();
  }
  return record;
}

/** Parses and validates a header against the number of bytes that follow it. */
export async function parseHeader(
  bytes: Uint8Array,
  dataBytes: number,
  fail: Fail,
  pace: Pace,
): Promise<SafetensorsHeader> {
  if (bytes[0] !== 0x7b) throw fail("the header does not begin with '{'");
  const cursor = new JsonCursor(bytes, 'the header', fail);
  const places = new Map<string, TensorPlace>();
  let metadata: Map<string, string> | undefined;
  for (const name of cursor.keys(MAX_NAME_BYTES)) {
    if (places.has(name) || (name === METADATA_KEY && metadata !== undefined))
      throw fail(`the header has the key ${quote(name)} twice`);
    if (name === METADATA_KEY) {
      metadata = await readStrings(cursor, METADATA_KEY, fail, pace);
    } else {
      if (places.size === MAX_NAMES) throw fail(`the header describes over ${MAX_NAMES} tensors`);
      places.set(name, new PlaceReader(cursor, name, fail).read(name));
    }
    await pace.pause();
  }
  await cursor.paddedEnd(() => pace.pause());
  const tensors = await sorted([...places.values()], byPlace, pace);
  await checkLayout(tensors, dataBytes, fail, pace);
  return { tensors, metadata: await toRecord(metadata, pace) };
}

/**
 * How to read a tensor that was asked for.
 *
 * @throws TokenLearnerError ERR_FILE_FORMAT for an unsupported dtype.
 */
export function howToRead({ name, formatDtype }: TensorPlace, fail: Fail): ReadAs {
  const how = readAs(formatDtype);
  if (how !== undefined) return how;
  throw fail(
    `${tensorNamed(name)} has dtype ${quote(formatDtype)}, which is not supported; leave it out with \`filter\`, or convert it in Python`,
  );
}
