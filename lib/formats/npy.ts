/** NumPy's npy format: one array in a file, behind a header that is a Python dict literal. */
import { dtypeInfo } from '../dtype';
import { TokenLearnerError } from '../errors';
import { checkArrayEntry, type ArrayEntry } from './array-entry';
import { allocateElements, elementCount, elementsFromBytes, littleEndianBytes } from './elements';
import { checkBytes, checkPath, readBytes, writeFileAtomic } from './file-io';
import { formatErrors } from './format-error';
import { MAX_AXES, npyDescr, npyHeader, parseNpyHeader } from './npy-header';
import { contiguousStrides, gatherStrided, isContiguous } from './strided';

/**
 * Parses an npy file (versions 1.0, 2.0 and 3.0) in memory: float16, float32, float64, int32, int64, uint8 and bool,
 * little- or big-endian. Fortran order is brought into C order. The array is a view on `bytes` where order and
 * alignment allow it, a copy elsewhere.
 *
 * @param bytes - the whole file
 * @param source - what error messages call the bytes
 * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_FILE_FORMAT
 */
export function parseNpy(bytes: Uint8Array, source = 'npy data'): ArrayEntry {
  const whole = checkBytes(bytes);
  const fail = formatErrors(source);
  const { dtype, order, fortranOrder, shape, dataStart } = parseNpyHeader(whole, fail);
  const expected = elementCount(shape) * dtypeInfo(dtype).itemSize;
  const found = whole.byteLength - dataStart;
  if (!Number.isSafeInteger(expected)) throw fail(`too large a shape [${shape.join(', ')}]`);
  if (found !== expected) {
    const what = found < expected ? 'truncated' : 'trailing bytes';
    throw fail(
      `${what}: ${dtype} of shape [${shape.join(', ')}] takes ${expected} bytes, the file holds ${found}`,
    );
  }
  const data = elementsFromBytes(whole.subarray(dataStart), dtype, order);
  if (!fortranOrder) return { dtype, shape, data };
  const strides = contiguousStrides([...shape].reverse()).reverse();
  if (isContiguous(shape, strides)) return { dtype, shape, data };
  const ordered = allocateElements(dtype, data.length);
  gatherStrided(ordered, data, shape, strides, 0);
  return { dtype, shape, data: ordered };
}

/**
 * Reads an npy file, as {@link parseNpy} does.
 *
 * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_MEMORY, and ERR_FILE_FORMAT: the
 * file is malformed, or cannot be read (Node's own error is the cause).
 */
export async function readNpy(path: string): Promise<ArrayEntry> {
  checkPath(path);
  return parseNpy(await readBytes(path), path);
}

function fileChunks(entry: ArrayEntry): [Uint8Array, Uint8Array] {
  checkArrayEntry('entry', entry);
  const descr = npyDescr(entry.dtype);
  if (descr === undefined) {
    throw new TokenLearnerError(
      'ERR_INVALID_ARG_VALUE',
      `Expected a dtype that NumPy has for \`entry.dtype\` but received '${entry.dtype}'; convert to float32 first`,
    );
  }
  if (entry.shape.length > MAX_AXES) {
    throw new TokenLearnerError(
      'ERR_OUT_OF_RANGE',
      `Expected at most ${MAX_AXES} axes for \`entry.shape\` but received ${entry.shape.length}`,
    );
  }
  return [npyHeader(descr, entry.shape), littleEndianBytes(entry.data)];
}

/**
 * The bytes of an npy file, the same that `numpy.save` writes for the array in C order: version 1.0, little-endian, elements
 * from a multiple of 64 bytes on.
 *
 * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE (bfloat16, which NumPy has no type for),
 * ERR_OUT_OF_RANGE, ERR_DTYPE_MISMATCH, ERR_SHAPE_MISMATCH
 */
export function serializeNpy(entry: ArrayEntry): Uint8Array<ArrayBuffer> {
  const [header, elements] = fileChunks(entry);
  const bytes = new Uint8Array(header.byteLength + elements.byteLength);
  bytes.set(header);
  bytes.set(elements, header.byteLength);
  return bytes;
}

/**
 * Writes an npy file atomically: the file is replaced whole or stays as it was. The bytes and the errors are those of
 * {@link serializeNpy}, and ERR_FILE_FORMAT when the file cannot be written (Node's own error is the cause).
 */
export async function writeNpy(path: string, entry: ArrayEntry): Promise<void> {
  checkPath(path);
  await writeFileAtomic(path, fileChunks(entry));
}
