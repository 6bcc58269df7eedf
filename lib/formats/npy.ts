/** NumPy's npy format: one array in a file, behind a header that is a Python dict literal. */
import { dtypeInfo, isDType } from '../dtype';
import { formatShape } from '../shape';
import type { ArrayEntry } from './array-entry';
import { bytesSource, fileSource, type ByteSource } from './byte-source';
import { checkBytes, checkPath, withFile } from './file-io';
import { bytesOfShape } from './file-shape';
import { formatErrors, type Fail } from './format-error';
import { describeNpyHeader, MAX_START_BYTES, parseNpyHeader, type NpyHeader } from './npy-header';
import { Pace } from './pace';
import { allocateInJavaScript, readElements, readFortranElements, type Allocate } from './read-elements';

function checkSize({ dtype, shape, dataStart }: NpyHeader, fileSize: number, fail: Fail): void {
  const expected = bytesOfShape(shape, dtypeInfo(dtype).itemSize, 'the array', fail);
  const found = fileSize - dataStart;
  if (found === expected) return;
  const what = found < expected ? 'truncated' : 'trailing bytes';
  throw fail(
    `${what}: ${dtype} of shape ${formatShape(shape)} takes ${expected} bytes, the file holds ${found}`,
  );
}

/**
 * The dtype and the shape of an array, by the first {@link MAX_START_BYTES} of its file. Checked as {@link readNpyFrom} does; an array of a dtype that
 * tensors do not have is not checked further.
 *
 * @throws TokenLearnerError ERR_FILE_FORMAT
 */
export function listNpy(start: Uint8Array, fileSize: number, fail: Fail): { dtype: string; shape: number[] } {
  const described = describeNpyHeader(start, fileSize, fail);
  if (isDType(described.dtype)) checkSize(parseNpyHeader(start, fileSize, fail), fileSize, fail);
  return described;
}

/**
 * Reads npy (versions 1.0, 2.0 and 3.0) from any source: float16, float32, float64, int32, int64, uint8 and bool, of either byte
 * order and in C or Fortran order. The array is in C order.
 *
 * @param name - names the source in error messages
 * @param allocate - allocates the memory, which is filled in place
 * @throws TokenLearnerError ERR_FILE_FORMAT, ERR_OUT_OF_MEMORY
 */
export async function readNpyFrom(
  source: ByteSource,
  name: string,
  allocate: Allocate = allocateInJavaScript,
): Promise<ArrayEntry> {
  const fail = formatErrors(name);
  const start = new Uint8Array(Math.min(source.size, MAX_START_BYTES));
  await source.read(start, 0);
  const header = parseNpyHeader(start, source.size, fail);
  checkSize(header, source.size, fail);
  const { dtype, order, shape, dataStart } = header;
  const data = allocate('array', dtype, shape);
  const place = { dtype, order, position: dataStart };
  // With at most one dimension longer than 1, both orders are the same.
  const isPlain = !header.fortranOrder || shape.filter((size) => size !== 1).length <= 1;
  if (isPlain) await readElements(source, data, place, new Pace());
  else await readFortranElements(source, data, shape, place, new Pace());
  return { dtype, shape, data };
}

/** As {@link readNpyFrom}, from a file; also ERR_INVALID_ARG_TYPE and ERR_INVALID_ARG_VALUE for the path. */
export async function readNpy(path: string): Promise<ArrayEntry> {
  checkPath(path);
  return withFile(path, (handle, size) => readNpyFrom(fileSource(handle, size, path), path));
}

/** As {@link readNpyFrom}, from memory. */
export async function parseNpy(bytes: Uint8Array, source = 'npy data'): Promise<ArrayEntry> {
  return readNpyFrom(bytesSource(checkBytes(bytes), source), source);
}
