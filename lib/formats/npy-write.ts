/** Writes npy files: the same bytes as `numpy.save`. */
import { unexpected } from '../validate';
import { checkSavedEntry, type ArrayEntry, type SavedEntry } from './array-entry';
import { elementChunks, wholeContent } from './element-chunks';
import { checkPath } from './file-io';
import { writeFileAtomic, type FileContent } from './file-write';
import { npyDescr } from './npy-dtypes';
import { npyHeader } from './npy-header';

/**
 * The content of an npy file.
 *
 * @param name - names the tensor in messages
 */
export function npyContent(entry: SavedEntry, name = 'tensor'): FileContent {
  const { dtype, shape, data } = checkSavedEntry('entry', entry);
  const descr = npyDescr(dtype);
  if (descr === undefined) {
    const expected = 'a dtype that NumPy has (convert to float32 first)';
    throw unexpected('ERR_INVALID_ARG_VALUE', 'entry.dtype', expected, dtype);
  }
  const header = npyHeader(descr, shape);
  const { byteLength } = data;
  return {
    byteLength: header.byteLength + byteLength,
    chunks: function* () {
      yield header;
      yield* elementChunks(data, byteLength, name);
    },
  };
}

/**
 * Makes the bytes of an npy file, the same that `numpy.save` writes for the array in C order: version 1.0, little-endian, with
 * the elements aligned to 64 bytes.
 *
 * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE (bfloat16, which NumPy has no type for),
 * ERR_OUT_OF_RANGE, ERR_DTYPE_MISMATCH, ERR_SHAPE_MISMATCH
 */
export function serializeNpy(entry: ArrayEntry): Uint8Array<ArrayBuffer> {
  return wholeContent(npyContent(entry));
}

/**
 * Writes an npy file atomically: the file is replaced whole or stays as it was. The bytes and the errors are those of
 * {@link serializeNpy}; also ERR_DETACHED if memory was transferred before it was written, and ERR_FILE_IO if the file cannot
 * be written (the system's error is the cause).
 */
export async function writeNpy(path: string, entry: SavedEntry): Promise<void> {
  checkPath(path);
  await writeFileAtomic(path, npyContent(entry));
}
