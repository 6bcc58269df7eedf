/** Files -> tensors. Memory is native, and filled in place by reads that run off JavaScript's thread. */
import type { DType } from '../dtype';
import { TokenLearnerError } from '../errors';
import type { ArrayEntries } from '../formats/array-entry';
import { type CheckpointOptions, readCheckpointFrom } from '../formats/checkpoint';
import { type NameFilter, passes } from '../formats/filter';
import { formatErrors, quote } from '../formats/format-error';
import { checkKind, identify, type Kind } from '../formats/identify';
import { type FileInput, type OpenInput, withInput } from '../formats/input';
import { readNpyFrom } from '../formats/npy';
import type { Allocate } from '../formats/read-elements';
import { readSafetensorsFrom } from '../formats/safetensors';
import { readIndex } from '../formats/safetensors-index';
import type { StateDict } from '../modules/state-dict';
import { type AnyTensor, Tensor } from '../tensor/tensor';
import { checkOptions, type NoOptions } from '../validate';
import { bitsOf, filterOption, keyOption } from './arguments';

/** Which tensors to load. */
export interface LoadOptions {
  /**
   * Says by name which tensors to load. The others are not read from the file, and may be of dtypes that tensors do not have.
   *
   * @default all
   */
  filter?: (name: string) => boolean;
}

/** What to load of any file of weights. */
export interface LoadWeightsOptions extends LoadOptions {
  /** The entry of a PyTorch checkpoint that holds the state dict, where the checkpoint holds more. */
  key?: string;
}

interface Choice {
  key: string | undefined;
  filter: NameFilter | undefined;
}

/** What a loader takes. */
interface Loader {
  kinds: readonly Kind[];
  /** Whose reader says what is wrong with a file of no known kind. */
  otherwise: Kind;
}

const SAFETENSORS: Loader = { kinds: ['safetensors', 'json'], otherwise: 'safetensors' };
const CHECKPOINTS: Loader = { kinds: ['checkpoint', 'pickle'], otherwise: 'checkpoint' };
const WEIGHTS: Loader = { kinds: [...SAFETENSORS.kinds, ...CHECKPOINTS.kinds], otherwise: 'unknown' };
const ARRAYS: Loader = { kinds: ['npy'], otherwise: 'npy' };

/** Tensors as they are made, by name. */
class Loading {
  readonly dict = Object.create(null) as StateDict;

  readonly allocate: Allocate = (name, dtype, shape) => {
    const tensor = Tensor.empty<DType>(shape, { dtype });
    this.dict[name] = tensor;
    return bitsOf(tensor);
  };

  /** Takes arrays in JavaScript's memory as they are. */
  adopt(entries: ArrayEntries): void {
    for (const [name, { data, shape, dtype }] of Object.entries(entries))
      this.dict[name] = Tensor.from<DType>(data, shape, { dtype });
  }
}

/** The tensors that `fill` makes. Where it fails, they are given back. */
async function loaded(fill: (loading: Loading) => Promise<void>): Promise<StateDict> {
  const loading = new Loading();
  try {
    await fill(loading);
    return loading.dict;
  } catch (error) {
    for (const tensor of Object.values(loading.dict)) tensor.dispose();
    throw error;
  }
}

async function readArchive(
  { source, name }: OpenInput,
  { key, filter }: Choice,
  loading: Loading,
): Promise<void> {
  const options: CheckpointOptions = {
    ...(key === undefined ? {} : { key }),
    ...(filter === undefined ? {} : { filter }),
  };
  loading.adopt(await readCheckpointFrom(source, name, options));
}

/** The shards of an index, one after the other, each for the tensors that the index says it has. */
async function readShards(
  { source, name }: OpenInput,
  { key, filter }: Choice,
  loader: Loader,
  loading: Loading,
): Promise<void> {
  const fail = formatErrors(name);
  for (const [shard, names] of await readIndex(source, name)) {
    const chosen = new Set([...names].filter((tensor) => passes(filter, tensor)));
    if (chosen.size === 0) continue;
    const choice: Choice = { key, filter: (tensor) => chosen.has(tensor) };
    await withInput(shard, (open) => readWeights(open, choice, loader, loading));
    const missing = [...chosen].find((tensor) => !Object.hasOwn(loading.dict, tensor));
    if (missing !== undefined)
      throw fail(`the shard ${quote(shard)} does not hold the tensor ${quote(missing)}`);
  }
}

/** What a source is, by its content. */
async function kindOf({ source, name, path }: OpenInput, { kinds, otherwise }: Loader): Promise<Kind> {
  const identity = await identify(source);
  // An index names files beside it: without a path there are none.
  checkKind(
    identity,
    path === undefined ? kinds.filter((kind) => kind !== 'json') : kinds,
    formatErrors(name),
  );
  return identity.kind === 'unknown' ? otherwise : identity.kind;
}

async function readWeights(open: OpenInput, choice: Choice, loader: Loader, loading: Loading): Promise<void> {
  const { source, name } = open;
  switch (await kindOf(open, loader)) {
    case 'safetensors':
      checkNoKey(choice.key, name);
      await readSafetensorsFrom(source, name, { filter: choice.filter, allocate: loading.allocate });
      return;
    case 'json':
      // Shards are no indexes.
      await readShards(
        open,
        choice,
        { ...loader, kinds: loader.kinds.filter((kind) => kind !== 'json') },
        loading,
      );
      return;
    case 'checkpoint':
    case 'pickle':
      await readArchive(open, choice, loading);
      return;
    default:
      throw formatErrors(name)(
        'this is no format of weights that is known: neither safetensors nor a PyTorch checkpoint',
      );
  }
}

function checkNoKey(key: string | undefined, name: string): void {
  if (key === undefined) return;
  throw new TokenLearnerError(
    'ERR_INVALID_ARG_VALUE',
    `Expected no \`options.key\` for ${name} but received ${quote(key)}: safetensors holds one state dict`,
  );
}

function load(from: FileInput, choice: Choice, loader: Loader): Promise<StateDict> {
  return loaded((loading) => withInput(from, (open) => readWeights(open, choice, loader, loading)));
}

/**
 * Loads weights from any file that holds them: safetensors, PyTorch checkpoints (.pt, .pth, .bin, .ckpt, ...), and the index of
 * a checkpoint in shards (`model.safetensors.index.json`), whose files lie beside it. The content decides, not the name.
 * No code in a file ever runs.
 *
 * @param from - a path, a file URL, a Uint8Array, an ArrayBuffer, a Blob, or an AsyncIterable of Uint8Arrays.
 * @param options - `key`: the entry of a PyTorch checkpoint that holds the state dict; `filter`: which tensors to load, by name.
 * @returns tensors by name, in native memory where the format is safetensors.
 * @throws TokenLearnerError ERR_INVALID_ARG_TYPE; ERR_INVALID_ARG_VALUE (an unknown option, a `key` for safetensors); ERR_FILE_FORMAT where the
 * file cannot be read, breaks its format, or is of another (the message says which, and what to do);
 * ERR_UNSAFE_PICKLE; ERR_OUT_OF_MEMORY.
 */
export async function loadWeights(from: FileInput, options?: LoadWeightsOptions): Promise<StateDict> {
  const { key, filter } = checkOptions('options', options, ['key', 'filter']);
  return load(from, { key: keyOption(key), filter: filterOption(filter) }, WEIGHTS);
}

/**
 * Loads a safetensors file, or all files of an index in JSON. Each tensor is read straight into native memory of its own.
 *
 * @param from - a path, a file URL, a Uint8Array, an ArrayBuffer, a Blob, or an AsyncIterable of Uint8Arrays.
 * @param options - `filter`: which tensors to load, by name.
 * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE; ERR_FILE_FORMAT where the file cannot be read or breaks
 * the format, or where a tensor that was asked for has a dtype that tensors do not have; ERR_OUT_OF_MEMORY.
 */
export async function loadSafetensors(from: FileInput, options?: LoadOptions): Promise<StateDict> {
  const { filter } = checkOptions('options', options, ['filter']);
  return load(from, { key: undefined, filter: filterOption(filter) }, SAFETENSORS);
}

/**
 * Loads the state dict of a PyTorch checkpoint (.pt, .pth) through an unpickler that can build nothing but tensors and plain
 * containers: no code in the file ever runs.
 *
 * @param from - a path, a file URL, a Uint8Array, an ArrayBuffer, a Blob, or an AsyncIterable of Uint8Arrays.
 * @param options - `key`: the entry that holds the state dict, where the checkpoint holds more; `filter`: which tensors to load,
 * by name.
 * @throws TokenLearnerError ERR_UNSAFE_PICKLE; ERR_FILE_FORMAT; ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE; ERR_OUT_OF_MEMORY.
 */
export async function loadCheckpoint(from: FileInput, options?: CheckpointOptions): Promise<StateDict> {
  const { key, filter } = checkOptions('options', options, ['key', 'filter']);
  return load(from, { key: keyOption(key), filter: filterOption(filter) }, CHECKPOINTS);
}

/**
 * Loads a NumPy array file, into native memory.
 *
 * @param from - a path, a file URL, a Uint8Array, an ArrayBuffer, a Blob, or an AsyncIterable of Uint8Arrays.
 * @param options - there are none.
 * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE; ERR_FILE_FORMAT (also for dtypes that tensors do not
 * have); ERR_OUT_OF_MEMORY.
 */
export async function loadNpy(from: FileInput, options?: NoOptions): Promise<AnyTensor> {
  checkOptions('options', options, []);
  const made = await loaded((loading) =>
    withInput(from, async (open) => {
      await kindOf(open, ARRAYS);
      await readNpyFrom(open.source, open.name, (_, dtype, shape) => loading.allocate('array', dtype, shape));
    }),
  );
  return (made as Record<'array', AnyTensor>).array;
}
