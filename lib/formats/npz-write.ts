/** Writes npz files: the same bytes as `numpy.savez`. */
import type { SavedEntries } from './array-entry';
import { packed, wholeContent } from './element-chunks';
import { checkPath } from './file-io';
import { writeFileAtomic, type FileContent } from './file-write';
import { npyContent } from './npy-write';
import { zipContent } from './zip-write';

async function fileContent(entries: SavedEntries, compressed: boolean): Promise<FileContent> {
  const records = Object.entries(entries).map(([name, entry]) => ({
    name: `${name}.npy`,
    content: npyContent(entry, name),
  }));
  const { byteLength, chunks } = await zipContent(records, compressed);
  return { byteLength, chunks: () => packed(chunks()) };
}

/**
 * Makes the bytes of an npz file in memory, the same that `numpy.savez` writes for arrays in C order.
 *
 * @param compressed - deflates each array, as `numpy.savez_compressed` does
 * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE (a name, bfloat16), ERR_OUT_OF_RANGE, ERR_DTYPE_MISMATCH, ERR_SHAPE_MISMATCH
 */
export async function serializeNpz(
  entries: SavedEntries,
  compressed = false,
): Promise<Uint8Array<ArrayBuffer>> {
  return wholeContent(await fileContent(entries, compressed));
}

/**
 * Writes an npz file atomically. The bytes and the errors are those of {@link serializeNpz}; also ERR_DETACHED if memory was transferred before
 * it was written, and ERR_FILE_IO if the file cannot be written (the system's error is the cause).
 */
export async function writeNpz(path: string, entries: SavedEntries, compressed: boolean): Promise<void> {
  checkPath(path);
  await writeFileAtomic(path, await fileContent(entries, compressed));
}
