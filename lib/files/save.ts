/** Tensors -> files. lib/files.ts documents the functions. */
import { TokenLearnerError } from '../errors';
import type { SavedEntries, SavedEntry } from '../formats/array-entry';
import { checkFilePath, type FilePath } from '../formats/input';
import { writeCheckpoint } from '../formats/checkpoint-write';
import { writeFlax } from '../formats/flax-write';
import { quote } from '../formats/format-error';
import { writeNpy } from '../formats/npy-write';
import { writeNpz } from '../formats/npz-write';
import { Pace } from '../formats/pace';
import { writeSafetensors } from '../formats/safetensors-write';
import { asRecord, type StateDict } from '../modules/state-dict';
import { formatShape } from '../shape';
import type { AnyTensor } from '../tensor/tensor';
import { checkBoolean, checkOptions, type NoOptions } from '../validate';
import { HeldTensor } from './held-tensor';

/** The cost of what is copied at the call, in bytes. Later changes to those tensors do not reach the file. Takes about 30 ms. */
const COPIED_COST = 2 ** 25;
/** The cost of copying a tensor, beyond its bytes. */
const TENSOR_COST = 2 ** 14;
/** The cost of a byte that must be gathered, or that comes from a GPU. */
const GATHERED_COST = 4;

/** A tensor to save, and its elements: a copy of them, or the tensor itself. */
interface Taken {
  tensor: HeldTensor;
  data: SavedEntry['data'];
}

function savedEntry({ tensor: { dtype, shape }, data }: Taken): SavedEntry {
  return { dtype, shape, data };
}

/**
 * Holds the elements of tensors during a save. Copies tensors up to {@link COPIED_COST}. The others are held, so that disposing them
 * meanwhile is safe; the file gets their content at the time of the write. If their memory was transferred, the save fails.
 */
class Holding {
  readonly #held: HeldTensor[] = [];
  #cost = 0;

  /** Takes a tensor's elements at the call. Does as little as possible: there may be 131,072 tensors. */
  take(name: string, value: unknown): Taken {
    const tensor = new HeldTensor(name, value);
    if (COPIED_COST - this.#cost < TENSOR_COST) return this.#hold(tensor);
    const cost = TENSOR_COST + tensor.byteLength * (tensor.isPlain ? 1 : GATHERED_COST);
    if (this.#cost + cost > COPIED_COST) return this.#hold(tensor);
    this.#cost += cost;
    try {
      return { tensor, data: tensor.copy() };
    } finally {
      tensor.release();
    }
  }

  #hold(tensor: HeldTensor): Taken {
    this.#held.push(tensor);
    return { tensor, data: tensor };
  }

  release(): void {
    for (const tensor of this.#held) tensor.release();
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

/** Takes the tensors of a dict at the call, and calls `write` with them. */
async function saveDict(
  tensors: StateDict | ReadonlyMap<string, AnyTensor>,
  write: (entries: SavedEntries) => Promise<void>,
): Promise<void> {
  const dict = asRecord('tensors', tensors);
  await holding(async (held) => {
    const taken = Object.keys(dict).map((name) => ({ name, taken: held.take(name, dict[name]) }));
    const entries = Object.create(null) as SavedEntries;
    const pace = new Pace();
    for (const { name, taken: each } of taken) {
      entries[name] = savedEntry(each);
      await pace.pause();
    }
    await write(entries);
  });
}

export async function saveSafetensors(
  path: FilePath,
  tensors: StateDict | ReadonlyMap<string, AnyTensor>,
  options?: { metadata?: Record<string, string> | undefined },
): Promise<void> {
  const target = checkFilePath(path);
  const { metadata } = checkOptions('options', options, ['metadata']);
  await saveDict(tensors, (entries) =>
    writeSafetensors(target, entries, metadata as Record<string, string> | undefined),
  );
}

function noBFloat16(what: string): TokenLearnerError {
  return new TokenLearnerError(
    'ERR_DTYPE_MISMATCH',
    `NumPy has no bfloat16; convert the tensor ${what} with to('float32')`,
  );
}

export async function saveNpz(
  path: FilePath,
  tensors: StateDict | ReadonlyMap<string, AnyTensor>,
  options?: { compressed?: boolean | undefined },
): Promise<void> {
  const target = checkFilePath(path);
  const { compressed = false } = checkOptions('options', options, ['compressed']);
  const deflate = checkBoolean('options.compressed', compressed);
  await saveDict(tensors, async (entries) => {
    for (const [name, { dtype }] of Object.entries(entries))
      if (dtype === 'bfloat16') throw noBFloat16(quote(name));
    await writeNpz(target, entries, deflate);
  });
}

/** Saves a flax state, for `tokenlearner convert`. */
export async function saveFlax(path: FilePath, tensors: StateDict): Promise<void> {
  const target = checkFilePath(path);
  await saveDict(tensors, (entries) => writeFlax(target, entries));
}

/** Saves a PyTorch checkpoint, for `tokenlearner convert`. */
export async function saveCheckpoint(path: FilePath, tensors: StateDict): Promise<void> {
  const target = checkFilePath(path);
  await saveDict(tensors, (entries) => writeCheckpoint(target, entries));
}

export async function saveNpy(path: FilePath, tensor: AnyTensor, options?: NoOptions): Promise<void> {
  const target = checkFilePath(path);
  checkOptions('options', options, []);
  await holding(async (held) => {
    const entry = savedEntry(held.take('tensor', tensor));
    if (entry.dtype === 'bfloat16') {
      throw noBFloat16(`of shape ${formatShape(entry.shape)}`);
    }
    await writeNpy(target, entry);
  });
}
