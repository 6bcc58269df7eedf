/** The tree of a flax state: maps of maps, with arrays as leaves. Reads everything but the arrays' elements. */
import { dtypeInfo, isDType } from '../dtype';
import { formatShape, MAX_DIMENSIONS } from '../shape';
import type { ByteSource } from './byte-source';
import { bytesOfShape, tensorNamed } from './file-shape';
import { CHUNKED, MAX_DEPTH, MAX_VALUES, maxNameCharacters } from './flax-limits';
import { quote, type Fail } from './format-error';
import { MAX_NAME_BYTES, MAX_NAMES } from './json-strings';
import { MsgpackCursor, type Token } from './msgpack-cursor';
import { Pace } from './pace';
import { wideningOf } from './widening';

/** Values between two checks of the clock, a power of two: a fraction of a millisecond of work. */
const VALUES_PER_STEP = 2 ** 6;
/** flax's extension types. The second, 2, is a complex number. */
const [ARRAY, SCALAR] = [1, 3];

/** A run of elements, in bytes from the beginning of the source. */
export interface FlaxPart {
  position: number;
  byteLength: number;
}

/** An array, or a NumPy scalar, which has no dimensions. */
export interface FlaxArray {
  /** NumPy's name. Our tensors may not have that dtype. */
  dtype: string;
  shape: number[];
  /** In order. All of them together are the array's elements. */
  parts: FlaxPart[];
}

type FlaxMap = ReadonlyMap<string, FlaxValue>;
/** 'other' is what has no elements: None, a bool, a Python number, a text, bytes, a complex number. */
type FlaxValue = FlaxArray | FlaxMap | number | 'other';

const EMPTY: FlaxMap = new Map();

function isArray(value: FlaxValue | undefined): value is FlaxArray {
  return typeof value === 'object' && 'parts' in value;
}

/** The bytes of one element; undefined for an unsupported dtype. */
export function itemSizeOf(dtype: string): number | undefined {
  const sizedAs = isDType(dtype) ? dtype : wideningOf(dtype)?.sizedAs;
  return sizedAs && dtypeInfo(sizedAs).itemSize;
}

/** Fails if an array's parts do not have as many bytes as its shape says. */
function checkBytes({ dtype, shape, parts }: FlaxArray, what: string, fail: Fail): void {
  const expected = bytesOfShape(shape, itemSizeOf(dtype) ?? 1, what, fail);
  if (itemSizeOf(dtype) === undefined) return;
  const found = parts.reduce((sum, { byteLength }) => sum + byteLength, 0);
  if (found === expected) return;
  throw fail(
    `${what}: ${dtype} of shape ${formatShape(shape)} takes ${expected} bytes, the file holds ${found}`,
  );
}

/** Reads the values of a file. */
class TreeReader {
  readonly #cursor: MsgpackCursor;
  readonly #pace = new Pace();
  #values = 0;

  constructor(cursor: MsgpackCursor) {
    this.#cursor = cursor;
  }

  /** Reads one value, and those in it. */
  async value(depth: number): Promise<FlaxValue> {
    this.#values += 1;
    if (this.#values > MAX_VALUES) throw this.#cursor.invalid(`over ${MAX_VALUES} values`);
    if (this.#values % VALUES_PER_STEP === 0) await this.#pace.pause();
    const token = await this.#cursor.next();
    switch (token.type) {
      case 'int':
        return token.value;
      case 'text':
      case 'bytes':
        this.#cursor.skip(token.length);
        return 'other';
      case 'array':
      case 'map':
        return this.#children(token, depth);
      case 'extension':
        return this.#extension(token.code, token.length);
      default:
        return 'other';
    }
  }

  /** Reads a map; or a list, as flax does: a map with the keys "0", "1", ... */
  async #children(
    { type, length }: { type: 'array' | 'map'; length: number },
    depth: number,
  ): Promise<FlaxMap> {
    if (depth === MAX_DEPTH) throw this.#cursor.invalid(`values nest over ${MAX_DEPTH} deep`);
    if (length === 0) return EMPTY;
    const children = new Map<string, FlaxValue>();
    for (let i = 0; i < length; i += 1) {
      const key = type === 'map' ? await this.#key() : String(i);
      if (children.has(key)) throw this.#cursor.invalid(`the key ${quote(key)} comes twice`);
      children.set(key, await this.value(depth + 1));
    }
    return children;
  }

  async #key(): Promise<string> {
    const token = await this.#cursor.next();
    if (token.type === 'text') return this.#cursor.text(token.length);
    if (token.type === 'int' && Number.isSafeInteger(token.value)) return String(token.value);
    throw this.#cursor.invalid('a key is neither a text nor an integer');
  }

  async #extension(code: number, length: number): Promise<FlaxValue> {
    const end = this.#cursor.position + length;
    if (code !== ARRAY && code !== SCALAR) {
      this.#cursor.skip(length);
      return 'other';
    }
    await this.#pace.pause();
    const array = await this.#array(end);
    if (this.#cursor.position !== end) throw this.#cursor.invalid('an array does not fill its extension');
    return array;
  }

  /** Reads [shape, dtype, bytes] up to `end`. */
  async #array(end: number): Promise<FlaxArray> {
    const expect = async (types: readonly Token['type'][], what: string) => {
      const token = await this.#cursor.next();
      if (types.includes(token.type) && 'length' in token) return token.length;
      throw this.#cursor.invalid(`${what} of an array is missing`);
    };
    if ((await expect(['array'], 'the description')) !== 3)
      throw this.#cursor.invalid('the description of an array has not three parts');
    const rank = await expect(['array'], 'the shape');
    if (rank > MAX_DIMENSIONS)
      throw this.#cursor.invalid(`${rank} dimensions are over the limit of ${MAX_DIMENSIONS}`);
    const shape: number[] = [];
    for (let i = 0; i < rank; i += 1) shape.push(this.#size(await this.#cursor.next()));
    const dtype = await this.#cursor.text(await expect(['text'], 'the dtype'));
    // Without msgpack's use_bin_type, bytes were texts.
    const byteLength = await expect(['bytes', 'text'], 'the elements');
    const { position } = this.#cursor;
    if (position + byteLength > end) throw this.#cursor.invalid('elements go beyond their array');
    this.#cursor.skip(byteLength);
    return { dtype, shape, parts: [{ position, byteLength }] };
  }

  #size(token: Token): number {
    if (token.type === 'int' && Number.isSafeInteger(token.value) && token.value >= 0) return token.value;
    throw this.#cursor.invalid('a shape holds something other than integers from 0 to 2^53 - 1');
  }
}

/** The values of a map with the keys "0", "1", ... */
function listed(value: FlaxValue | undefined): FlaxValue[] | undefined {
  if (typeof value !== 'object' || isArray(value)) return undefined;
  const items = Array.from({ length: value.size }, (_, i) => value.get(String(i)));
  return items.includes(undefined) ? undefined : (items as FlaxValue[]);
}

/** Puts together an array that flax has split into flat ones. */
function joined(map: FlaxMap, what: string, fail: Fail): FlaxArray {
  const shape = listed(map.get('shape'));
  const chunks = listed(map.get('chunks'));
  if (shape === undefined || chunks === undefined || chunks.length === 0)
    throw fail(`${what} is split, but has no shape or no chunks`);
  if (shape.length > MAX_DIMENSIONS)
    throw fail(`${what} has ${shape.length} dimensions, over the limit of ${MAX_DIMENSIONS}`);
  const sizes = shape.map((size) => {
    if (typeof size === 'number' && Number.isSafeInteger(size) && size >= 0) return size;
    throw fail(`${what} is split, and its shape holds something other than integers from 0 to 2^53 - 1`);
  });
  const arrays = chunks.map((chunk) => {
    if (isArray(chunk) && chunk.shape.length === 1) return chunk;
    throw fail(`${what} is split into something other than flat arrays`);
  });
  const [{ dtype } = { dtype: '' }] = arrays;
  for (const array of arrays) {
    if (array.dtype !== dtype) throw fail(`${what} is split into arrays of different dtypes`);
    checkBytes(array, what, fail);
  }
  return { dtype, shape: sizes, parts: arrays.flatMap(({ parts }) => parts) };
}

/** Collects a tree's arrays by their names, which are the keys joined by slashes. */
class Flattening {
  readonly arrays = new Map<string, FlaxArray>();
  readonly #fail: Fail;
  readonly #pace = new Pace();
  #characters: number;

  constructor(fileBytes: number, fail: Fail) {
    this.#fail = fail;
    this.#characters = maxNameCharacters(fileBytes);
  }

  async add(value: FlaxValue, path?: string): Promise<void> {
    const name = path ?? '';
    await this.#pace.pause();
    if (typeof value !== 'object') return;
    if (isArray(value)) this.#addArray(value, name);
    else if (value.has(CHUNKED)) this.#addArray(joined(value, tensorNamed(name), this.#fail), name);
    else for (const [key, child] of value) await this.add(child, path === undefined ? key : `${path}/${key}`);
  }

  #addArray(array: FlaxArray, name: string): void {
    const what = tensorNamed(name);
    if (name.length > MAX_NAME_BYTES)
      throw this.#fail(`the name ${what} is over ${MAX_NAME_BYTES} characters`);
    this.#characters -= name.length;
    if (this.#characters < 0) throw this.#fail('the names are too long for a file of its size');
    if (this.arrays.has(name)) throw this.#fail(`two arrays are named ${quote(name)}`);
    if (this.arrays.size === MAX_NAMES) throw this.#fail(`the file has over ${MAX_NAMES} arrays`);
    checkBytes(array, what, this.#fail);
    this.arrays.set(name, array);
  }
}

/**
 * Reads the tree of a flax state, and returns its arrays by name in the order of the file. Nested maps give names with slashes; what is no array is
 * left out.
 *
 * @throws TokenLearnerError ERR_FILE_FORMAT
 */
export async function readFlaxTree(source: ByteSource, fail: Fail): Promise<ReadonlyMap<string, FlaxArray>> {
  const cursor = new MsgpackCursor(source, fail);
  const root = await new TreeReader(cursor).value(0);
  if (cursor.left > 0) throw cursor.invalid(`${cursor.left} trailing bytes`);
  if (typeof root !== 'object' || isArray(root)) throw fail('not a flax state: it is not a map of arrays');
  if (root.has(CHUNKED)) throw fail('not a flax state: it is one array, without a name');
  const flattening = new Flattening(source.size, fail);
  await flattening.add(root);
  return flattening.arrays;
}
