import { fstatSync, statSync } from 'node:fs';
import { writeFileAtomic } from '../formats/file-write';
import { ioError } from '../formats/format-error';
import { serializeNpy } from '../formats/npy-write';
import { type AnyTensor, saveNpy } from '../index';
import { isClosedPipe } from './closed-pipe';

const STDOUT = 1;

/** The name of standard input, or of standard output. */
export const STANDARD = '-';

/** True for `-`, and for a path of this process's standard output: /dev/stdout, /dev/fd/1, or the file that it is redirected to. */
export function isStandardOutput(file: string): boolean {
  if (file === STANDARD) return true;
  try {
    const [named, own] = [statSync(file, { bigint: true }), fstatSync(STDOUT, { bigint: true })];
    return named.dev === own.dev && named.ino === own.ino;
  } catch {
    return false;
  }
}

/**
 * Writes a result as .npy. Standard output is appended to, not replaced like other files: replacing would delete its earlier
 * content, and a socket cannot be opened by its name. A reader that closes a pipe early is no failure: the command goes on to its other files.
 *
 * NumPy has no bfloat16: such results are written as float32, which holds every bfloat16 value.
 */
export async function saveOutput(file: string, result: AnyTensor): Promise<void> {
  const tensor = result.dtype === 'bfloat16' ? result.to('float32') : result;
  if (!isStandardOutput(file)) {
    await unlessClosed(saveNpy(file, tensor));
    return;
  }
  const { data, shape, dtype } = tensor.to('cpu').contiguous();
  await writeStandardOutput(serializeNpy({ data, shape: [...shape], dtype }));
}

/** Writes a file, in the same way. */
export async function saveBytes(file: string, bytes: Uint8Array): Promise<void> {
  if (isStandardOutput(file)) await writeStandardOutput(bytes);
  else await unlessClosed(writeFileAtomic(file, { byteLength: bytes.byteLength, chunks: () => [bytes] }));
}

async function unlessClosed(writing: Promise<void>): Promise<void> {
  try {
    await writing;
  } catch (error) {
    if (!isClosedPipe(error)) throw error;
  }
}

async function writeStandardOutput(bytes: Uint8Array): Promise<void> {
  const writing = new Promise<void>((resolve, reject) => {
    process.stdout.write(bytes, (error) => {
      if (error) reject(ioError('written', 'standard output', error));
      else resolve();
    });
  });
  await unlessClosed(writing);
}
