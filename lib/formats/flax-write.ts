/** Writes flax states: the same bytes as `flax.serialization.to_bytes`. */
import { TokenLearnerError } from '../errors';
import { dtypeInfo } from '../dtype';
import type { SavedEntries, SavedEntry } from './array-entry';
import { elementChunks, packed, wholeContent } from './element-chunks';
import { checkPath } from './file-io';
import { writeFileAtomic, type FileContent } from './file-write';
import { CHUNKED, MAX_DEPTH, MAX_VALUES, maxNameCharacters } from './flax-limits';
import { quote } from './format-error';
import { MAX_NAME_BYTES, MAX_NAMES } from './json-strings';

const ARRAY = 1;
/** flax splits larger arrays, whose bytes MessagePack could not count. */
const MAX_ARRAY_BYTES = 2 ** 30;

/** Maps of maps of arrays. */
type Tree = Map<string, Tree | NamedEntry>;
interface NamedEntry extends SavedEntry {
  name: string;
}

function sized(first: number, size: 1 | 2 | 4, value: number): Buffer {
  const bytes = Buffer.alloc(1 + size);
  bytes.writeUInt8(first, 0);
  bytes.writeUIntBE(value, 1, size);
  return bytes;
}

/** The shortest head of a length: within `limit` it is a part of the first byte; else it has the size of one of `codes`. */
function head(
  value: number,
  short: number,
  limit: number,
  codes: readonly (readonly [1 | 2 | 4, number])[],
): Buffer {
  if (value < limit) return Buffer.from([short + value]);
  const [size = 4, code = 0] = codes.find(([bytes]) => value < 2 ** (8 * bytes)) ?? [];
  return sized(code, size, value);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  const start = head(bytes.length, 0xa0, 32, [
    [1, 0xd9],
    [2, 0xda],
    [4, 0xdb],
  ]);
  return Buffer.concat([start, bytes]);
}

const mapHead = (count: number): Buffer =>
  head(count, 0x80, 16, [
    [2, 0xde],
    [4, 0xdf],
  ]);
const listHead = (count: number): Buffer =>
  head(count, 0x90, 16, [
    [2, 0xdc],
    [4, 0xdd],
  ]);
const bytesHead = (length: number): Buffer =>
  head(length, 0, 0, [
    [1, 0xc4],
    [2, 0xc5],
    [4, 0xc6],
  ]);

function integer(value: number): Buffer {
  if (value < 2 ** 32)
    return head(value, 0, 128, [
      [1, 0xcc],
      [2, 0xcd],
      [4, 0xce],
    ]);
  const bytes = Buffer.alloc(9);
  bytes.writeUInt8(0xcf, 0);
  bytes.writeBigUInt64BE(BigInt(value), 1);
  return bytes;
}

function extensionHead(length: number): Buffer {
  const fixed = [1, 2, 4, 8, 16].indexOf(length);
  const start =
    fixed >= 0
      ? Buffer.from([0xd4 + fixed])
      : head(length, 0, 0, [
          [1, 0xc7],
          [2, 0xc8],
          [4, 0xc9],
        ]);
  return Buffer.concat([start, Buffer.from([ARRAY])]);
}

/** What stands before the elements of an array. */
function arrayHead(dtype: string, shape: readonly number[], byteLength: number): Buffer {
  const description = Buffer.concat([
    listHead(3),
    listHead(shape.length),
    ...shape.map(integer),
    text(dtype),
    bytesHead(byteLength),
  ]);
  return Buffer.concat([extensionHead(description.length + byteLength), description]);
}

/** A piece of a file: bytes, or the elements of an array, a part at a time. */
type Piece = Buffer | { entry: NamedEntry; byteLength: number; heads: Buffer[]; step: number };

function arrayPiece(entry: NamedEntry): Piece[] {
  const { dtype, shape } = entry;
  const { byteLength } = entry.data;
  if (byteLength <= MAX_ARRAY_BYTES)
    return [{ entry, byteLength, heads: [arrayHead(dtype, shape, byteLength)], step: byteLength }];
  const { itemSize } = dtypeInfo(dtype);
  const count = Math.ceil(byteLength / MAX_ARRAY_BYTES);
  const heads = Array.from({ length: count }, (_, i) => {
    const bytes = Math.min(MAX_ARRAY_BYTES, byteLength - i * MAX_ARRAY_BYTES);
    return Buffer.concat([text(String(i)), arrayHead(dtype, [bytes / itemSize], bytes)]);
  });
  const start = Buffer.concat([
    mapHead(3),
    text(CHUNKED),
    Buffer.from([0xc3]),
    text('shape'),
    mapHead(shape.length),
    ...shape.flatMap((size, i) => [text(String(i)), integer(size)]),
    text('chunks'),
    mapHead(count),
  ]);
  return [start, { entry, byteLength, heads, step: MAX_ARRAY_BYTES }];
}

/** Yields chunks, with `heads` before each `step` bytes of them. */
function* withHeads(
  chunks: Iterable<Uint8Array>,
  heads: readonly Buffer[],
  step: number,
): Generator<Uint8Array> {
  let [written, given] = [0, 0];
  for (const chunk of chunks) {
    for (let done = 0; done < chunk.byteLength;) {
      if (written === given * step) yield heads[given++] ?? Buffer.alloc(0);
      const length = Math.min(chunk.byteLength - done, given * step - written);
      yield chunk.subarray(done, done + length);
      done += length;
      written += length;
    }
  }
  if (given === 0) yield* heads;
}

/** The maps that a split array adds to the depth, and the values that it adds beside its sizes and chunks. */
const [SPLIT_DEPTH, SPLIT_VALUES] = [2, 3];

function tooMuch(what: string): TokenLearnerError {
  return new TokenLearnerError('ERR_OUT_OF_RANGE', `Expected ${what}, which readers of flax states take`);
}

/** The parts of a name. Throws for one that our reader would refuse, or read as another. */
function partsOf(name: string, isSplit: boolean): string[] {
  const bytes = Buffer.byteLength(name);
  if (bytes > MAX_NAME_BYTES)
    throw tooMuch(`at most ${MAX_NAME_BYTES} bytes for a name but received ${bytes}`);
  const parts = name.split('/');
  const most = MAX_DEPTH - (isSplit ? SPLIT_DEPTH : 0);
  const problem = (expected: string): TokenLearnerError =>
    new TokenLearnerError('ERR_INVALID_ARG_VALUE', `Expected ${expected} but received ${quote(name)}`);
  if (parts.length > most) throw problem(`names of at most ${most} parts between slashes`);
  if (parts.includes(CHUNKED)) throw problem(`names without the part ${CHUNKED}, which marks split arrays,`);
  if (/\p{Surrogate}/u.test(name)) throw problem('names of well-formed Unicode');
  return parts;
}

/** The values that the reader counts for an array. */
function valuesOf({ shape, data }: SavedEntry): number {
  const chunks = Math.ceil(data.byteLength / MAX_ARRAY_BYTES);
  return chunks > 1 ? 1 + SPLIT_VALUES + shape.length + chunks : 1;
}

function treeOf(entries: SavedEntries): Tree {
  const root: Tree = new Map();
  const all = Object.entries(entries);
  if (all.length > MAX_NAMES) throw tooMuch(`at most ${MAX_NAMES} tensors but received ${all.length}`);
  let values = 1;
  const conflict = (name: string): TokenLearnerError =>
    new TokenLearnerError(
      'ERR_INVALID_ARG_VALUE',
      `Expected names that make a tree but received ${quote(name)} beside a name that begins or continues it`,
    );
  for (const [name, entry] of all) {
    const path = partsOf(name, entry.data.byteLength > MAX_ARRAY_BYTES);
    const last = path.pop() ?? '';
    let map = root;
    for (const key of path) {
      const known = map.get(key);
      if (known !== undefined && !(known instanceof Map)) throw conflict(name);
      const next: Tree = known ?? new Map<string, Tree | NamedEntry>();
      if (known === undefined) values += 1;
      map.set(key, next);
      map = next;
    }
    if (map.has(last)) throw conflict(name);
    map.set(last, { ...entry, name });
    values += valuesOf(entry);
  }
  if (values > MAX_VALUES) throw tooMuch(`at most ${MAX_VALUES} maps and tensors but received ${values}`);
  return root;
}

function* piecesOf(tree: Tree): Generator<Piece> {
  yield mapHead(tree.size);
  for (const [key, value] of tree) {
    yield text(key);
    if (value instanceof Map) yield* piecesOf(value);
    else yield* arrayPiece(value);
  }
}

function fileContent(entries: SavedEntries): FileContent {
  const pieces = [...piecesOf(treeOf(entries))];
  const bytesOf = (piece: Piece): number =>
    Buffer.isBuffer(piece)
      ? piece.length
      : piece.byteLength + piece.heads.reduce((sum, part) => sum + part.length, 0);
  function* chunks(): Generator<Uint8Array> {
    for (const piece of pieces) {
      if (Buffer.isBuffer(piece)) yield piece;
      else {
        const { entry, byteLength, heads, step } = piece;
        yield* withHeads(elementChunks(entry.data, byteLength, entry.name), heads, step);
      }
    }
  }
  const byteLength = pieces.reduce((sum, piece) => sum + bytesOf(piece), 0);
  const characters = Object.keys(entries).reduce((sum, { length }) => sum + length, 0);
  const most = maxNameCharacters(byteLength);
  if (characters > most)
    throw tooMuch(`names of at most ${most} characters together but received ${characters}`);
  return { byteLength, chunks: () => packed(chunks()) };
}

/**
 * Makes the bytes of a flax state. Names with slashes become nested maps.
 *
 * @throws TokenLearnerError ERR_INVALID_ARG_VALUE where one name begins another, and for names that readers would refuse or read as something else;
 * ERR_OUT_OF_RANGE for too long or too many names
 */
export function serializeFlax(entries: SavedEntries): Uint8Array<ArrayBuffer> {
  return wholeContent(fileContent(entries));
}

/** Writes a flax state atomically. Throws as {@link serializeFlax}, ERR_DETACHED and ERR_FILE_IO. */
export async function writeFlax(path: string, entries: SavedEntries): Promise<void> {
  checkPath(path);
  await writeFileAtomic(path, fileContent(entries));
}
