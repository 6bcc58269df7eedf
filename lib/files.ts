/**
 * Files and tensors. The formats themselves are in formats/, which knows no tensors.
 */
import type { DType } from './dtype';
import { TokenLearnerError } from './errors';
import type { ArrayEntry } from './formats/array-entry';
import { type CheckpointOptions, readCheckpoint } from './formats/checkpoint';
import { readNpy, writeNpy } from './formats/npy';
import { readSafetensors, writeSafetensors } from './formats/safetensors';
import { formatShape } from './shape';
import type { StateDict } from './modules/state-dict';
import { type AnyTensor, Tensor, tensorArgument } from './tensor/tensor';
import { checkOptions, isPlainObject, unexpected } from './validate';

function toTensor({ data, shape, dtype }: ArrayEntry): AnyTensor {
  return Tensor.from<DType>(data, shape, { dtype });
}

/** The elements of a tensor, row by row, held until `release` even if the caller disposes the tensor meanwhile. */
function toEntry(name: string, value: unknown): { entry: ArrayEntry; release: () => void } {
  tensorArgument(name, value);
  const tensor = value as AnyTensor;
  const host = tensor.to('cpu').contiguous();
  const held = host === tensor ? tensor.reshape(tensor.shape) : host;
  return {
    entry: { data: held.data, shape: [...held.shape], dtype: held.dtype },
    release: () => {
      held.dispose();
    },
  };
}

function toTensors(entries: Record<string, ArrayEntry>): StateDict {
  const dict = Object.create(null) as StateDict;
  for (const [name, entry] of Object.entries(entries)) dict[name] = toTensor(entry);
  return dict;
}

/**
 * Reads a safetensors file. The tensors stand on the file's bytes, without a copy where the format aligns them.
 *
 * @throws TokenLearnerError ERR_INVALID_ARG_TYPE; ERR_FILE_FORMAT where the file cannot be read or breaks the format.
 */
export async function loadSafetensors(path: string): Promise<StateDict> {
  return toTensors((await readSafetensors(path)).entries);
}

/**
 * Writes tensors (of any device) as a safetensors file, atomically: byte for byte as Python's library does.
 *
 * @param options - `metadata`: strings by name.
 * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_FILE_FORMAT, ERR_DISPOSED.
 */
export async function saveSafetensors(
  path: string,
  tensors: StateDict,
  options?: { metadata?: Record<string, string> },
): Promise<void> {
  if (!isPlainObject(tensors))
    throw unexpected('ERR_INVALID_ARG_TYPE', 'tensors', 'a plain object of tensors', tensors);
  const { metadata } = checkOptions('options', options, ['metadata']);
  const entries = Object.create(null) as Record<string, ArrayEntry>;
  const releases: (() => void)[] = [];
  try {
    for (const [name, tensor] of Object.entries(tensors)) {
      const { entry, release } = toEntry(name, tensor);
      entries[name] = entry;
      releases.push(release);
    }
    await writeSafetensors(path, entries, metadata as Record<string, string> | undefined);
  } finally {
    for (const release of releases) release();
  }
}

/**
 * Reads a NumPy array file.
 *
 * @throws TokenLearnerError ERR_INVALID_ARG_TYPE; ERR_FILE_FORMAT (also for dtypes that tensors do not have).
 */
export async function loadNpy(path: string): Promise<AnyTensor> {
  return toTensor(await readNpy(path));
}

/** Writes a tensor (of any device) as a NumPy array file, atomically. NumPy has no bfloat16: ERR_DTYPE_MISMATCH. */
export async function saveNpy(path: string, tensor: AnyTensor): Promise<void> {
  const { entry, release } = toEntry('tensor', tensor);
  try {
    if (entry.dtype === 'bfloat16') {
      throw new TokenLearnerError(
        'ERR_DTYPE_MISMATCH',
        `NumPy has no bfloat16; convert the tensor of shape ${formatShape(entry.shape)} with to('float32')`,
      );
    }
    await writeNpy(path, entry);
  } finally {
    release();
  }
}

/**
 * Reads the state dict of a PyTorch checkpoint (.pt, .pth) through an unpickler that can build nothing but tensors and plain
 * containers: no code in the file ever runs.
 *
 * @param options - `key`: the entry that holds the state dict, where the checkpoint holds more.
 * @throws TokenLearnerError ERR_UNSAFE_PICKLE; ERR_FILE_FORMAT; ERR_INVALID_ARG_TYPE.
 */
export async function loadCheckpoint(path: string, options?: CheckpointOptions): Promise<StateDict> {
  return toTensors(await readCheckpoint(path, options));
}
