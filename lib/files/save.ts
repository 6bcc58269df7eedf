/** Tensors -> files. */
import { TokenLearnerError } from '../errors';
import type { ArrayEntry } from '../formats/array-entry';
import { checkFilePath, type FilePath } from '../formats/input';
import { writeNpy } from '../formats/npy-write';
import { writeSafetensors } from '../formats/safetensors-write';
import { asRecord, type StateDict } from '../modules/state-dict';
import { formatShape } from '../shape';
import { type AnyTensor, tensorArgument } from '../tensor/tensor';
import { checkOptions, type NoOptions } from '../validate';
import { bitsOf } from './elements';

/** Bytes that are copied at the call, in about 20 ms, so that later changes to the tensors do not reach the file. */
const COPIED_BYTES = 2 ** 25;

/** How to save safetensors. */
export interface SaveSafetensorsOptions {
  /** Strings by name, for `__metadata__`. */
  metadata?: Record<string, string>;
}

/**
 * Holds the elements of tensors during a save. Copies up to 32 MiB. Larger tensors are held, so that disposing them meanwhile is
 * safe; the file gets their content at the time of the write. If their memory was transferred, the save fails.
 */
class Holding {
  readonly #held: AnyTensor[] = [];
  #copied = 0;

  take(name: string, value: unknown): ArrayEntry {
    tensorArgument(name, value);
    const tensor = value as AnyTensor;
    const host = tensor.to('cpu').contiguous();
    const isCopy = host !== tensor;
    const { dtype, shape } = host;
    try {
      const data = bitsOf(host);
      if (isCopy || this.#copied + data.byteLength > COPIED_BYTES) {
        this.#held.push(isCopy ? host : host.reshape(host.shape));
        return { data, dtype, shape: [...shape] };
      }
      this.#copied += data.byteLength;
      return { data: data.slice(), dtype, shape: [...shape] };
    } catch (error) {
      if (isCopy) host.dispose();
      throw error;
    }
  }

  release(): void {
    for (const tensor of this.#held) tensor.dispose();
  }
}

/** Calls `save`, then releases the tensors that it held. */
async function holding(save: (holding: Holding) => Promise<void>): Promise<void> {
  const held = new Holding();
  try {
    await save(held);
  } finally {
    held.release();
  }
}

/**
 * Saves tensors (on any device) as a safetensors file, byte for byte as Python's library does. The file is replaced after
 * everything is written; on any error the old file stays. If the system cannot replace it, it is overwritten: see docs/files.md.
 *
 * Copies up to 32 MiB at the call. Do not write to or transfer the memory of larger tensors before the promise is settled.
 *
 * @param path - a path or a file URL; a symbolic link is followed.
 * @param tensors - tensors by name.
 * @param options - `metadata`: strings by name.
 * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE; ERR_DISPOSED; ERR_DETACHED if memory
 * was transferred before it was written; ERR_FILE_IO if the file cannot be written, with the system's error as `cause`.
 */
export async function saveSafetensors(
  path: FilePath,
  tensors: StateDict | ReadonlyMap<string, AnyTensor>,
  options?: SaveSafetensorsOptions,
): Promise<void> {
  const target = checkFilePath(path);
  const dict = asRecord('tensors', tensors);
  const { metadata } = checkOptions('options', options, ['metadata']);
  await holding(async (held) => {
    const entries = Object.create(null) as Record<string, ArrayEntry>;
    for (const [name, tensor] of Object.entries(dict)) entries[name] = held.take(name, tensor);
    await writeSafetensors(target, entries, metadata as Record<string, string> | undefined);
  });
}

/**
 * Saves a tensor (on any device) as a NumPy array file, in the same way as {@link saveSafetensors}. NumPy has no bfloat16:
 * ERR_DTYPE_MISMATCH.
 *
 * @param path - a path or a file URL; a symbolic link is followed.
 * @param tensor - a tensor of any dtype except bfloat16.
 * @param options - there are none.
 * @throws TokenLearnerError as {@link saveSafetensors}, and ERR_DTYPE_MISMATCH.
 */
export async function saveNpy(path: FilePath, tensor: AnyTensor, options?: NoOptions): Promise<void> {
  const target = checkFilePath(path);
  checkOptions('options', options, []);
  await holding(async (held) => {
    const entry = held.take('tensor', tensor);
    if (entry.dtype === 'bfloat16') {
      throw new TokenLearnerError(
        'ERR_DTYPE_MISMATCH',
        `NumPy has no bfloat16; convert the tensor of shape ${formatShape(entry.shape)} with to('float32')`,
      );
    }
    await writeNpy(target, entry);
  });
}
