/** Writing npy files: the bytes that `numpy.save` gives. */
import { TokenLearnerError } from '../errors';
import { checkArrayEntry, type ArrayEntry } from './array-entry';
import { elementChunks, wholeContent } from './element-chunks';
import { checkPath } from './file-io';
import { MAX_AXES } from './file-shape';
import { writeFileAtomic, type FileContent } from './file-write';
import { npyDescr } from './npy-dtypes';
import { npyHeader } from './npy-header';

function fileContent(entry: ArrayEntry): FileContent {
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
  const header = npyHeader(descr, entry.shape);
  const { data } = entry;
  const { byteLength } = data;
  return {
    byteLength: header.byteLength + byteLength,
    chunks: function* () {
      yield header;
      yield* elementChunks(data, byteLength, 'tensor');
    },
  };
}

/**
 * The bytes of an npy file, the same that `numpy.save` writes for the array in C order: version 1.0, little-endian, elements
 * from a multiple of 64 bytes on.
 *
 * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE (bfloat16, which NumPy has no type for),
 * ERR_OUT_OF_RANGE, ERR_DTYPE_MISMATCH, ERR_SHAPE_MISMATCH
 */
export function serializeNpy(entry: ArrayEntry): Uint8Array<ArrayBuffer> {
  return wholeContent(fileContent(entry));
}

/**
 * Writes an npy file atomically: the file is replaced whole or stays as it was. The bytes and the errors are those of
 * {@link serializeNpy}; also ERR_DETACHED where memory was transferred before it was written, and ERR_FILE_FORMAT when the file
 * cannot be written (Node's own error is the cause).
 */
export async function writeNpy(path: string, entry: ArrayEntry): Promise<void> {
  checkPath(path);
  await writeFileAtomic(path, fileContent(entry));
}
