/** Files -> tensors. Reads on Node's thread pool fill native memory in place. lib/files.ts documents the functions. */
import type { DType } from '../dtype';
import { TokenLearnerError } from '../errors';
import type { ArrayEntries } from '../formats/array-entry';
import { type CheckpointOptions as Options, readCheckpointFrom } from '../formats/checkpoint';
import { checkChoice, type Choice, passes } from '../formats/filter';
import { readFlaxFrom } from '../formats/flax';
import { formatErrors, quote } from '../formats/format-error';
import { checkKind, identify, type Kind } from '../formats/identify';
import { type FileInput, type OpenInput, withInput } from '../formats/input';
import { readNpyFrom } from '../formats/npy';
import { holdsArrays, readNpzFrom } from '../formats/npz';
import { Pace } from '../formats/pace';
import type { Allocate } from '../formats/read-elements';
import { readSafetensorsFrom } from '../formats/safetensors';
import { readIndex } from '../formats/safetensors-index';
import type { StateDict } from '../modules/state-dict';
import { type AnyTensor, Tensor } from '../tensor/tensor';
import { checkOptions, type NoOptions } from '../validate';
import { bitsOf } from './elements';

/** The kinds of files that a loader accepts. */
export interface Loader {
  kinds: readonly Kind[];
  /** The kind whose reader reports the problem of an unknown file. */
  otherwise: Kind;
}

const SAFETENSORS: Loader = { kinds: ['safetensors', 'json'], otherwise: 'safetensors' };
const CHECKPOINTS: Loader = { kinds: ['checkpoint', 'pickle'], otherwise: 'checkpoint' };
// A zip archive of arrays need not begin with one.
const ARCHIVES: Loader = { kinds: ['npz', 'checkpoint'], otherwise: 'npz' };
const FLAX: Loader = { kinds: ['msgpack'], otherwise: 'msgpack' };
export const WEIGHTS: Loader = {
  kinds: [...SAFETENSORS.kinds, ...CHECKPOINTS.kinds, 'npz', 'msgpack'],
  otherwise: 'unknown',
};
const ARRAYS: Loader = { kinds: ['npy'], otherwise: 'npy' };

/** The tensors loaded so far, by name. */
class Loading {
  readonly dict = Object.create(null) as StateDict;

  readonly allocate: Allocate = (name, dtype, shape) => {
    const tensor = Tensor.empty<DType>(shape, { dtype });
    this.dict[name] = tensor;
    return bitsOf(tensor);
  };

  /** Makes tensors over arrays in JavaScript's memory, without a copy. */
  async adopt(entries: ArrayEntries): Promise<void> {
    const pace = new Pace();
    for (const [name, { data, shape, dtype }] of Object.entries(entries)) {
      this.dict[name] = Tensor.from<DType>(data, shape, { dtype });
      await pace.pause();
    }
  }

  async dispose(): Promise<void> {
    const pace = new Pace();
    for (const tensor of Object.values(this.dict)) {
      tensor.dispose();
      await pace.pause();
    }
  }
}

/** Returns the tensors that `fill` makes. If it fails, disposes them. */
async function loaded(fill: (loading: Loading) => Promise<void>): Promise<StateDict> {
  const loading = new Loading();
  try {
    await fill(loading);
    return loading.dict;
  } catch (error) {
    await loading.dispose();
    throw error;
  }
}

async function readArchive({ source, name }: OpenInput, choice: Choice, loading: Loading): Promise<void> {
  await loading.adopt(await readCheckpointFrom(source, name, choice));
}

/** Reads the shards of an index in turn, and from each the tensors that the index assigns to it. */
async function readShards(
  { source, name }: OpenInput,
  { key, filter }: Choice,
  loader: Loader,
  loading: Loading,
): Promise<void> {
  const fail = formatErrors(name);
  const pace = new Pace();
  for (const [shard, names] of await readIndex(source, name)) {
    const chosen = await chosenOf(names, filter, pace);
    if (chosen.size === 0) continue;
    const choice: Choice = { key, filter: (tensor) => chosen.has(tensor) };
    await withInput(shard, (open) => readWeights(open, choice, loader, loading));
    for (const tensor of chosen) {
      if (!Object.hasOwn(loading.dict, tensor))
        throw fail(`the shard ${quote(shard)} does not hold the tensor ${quote(tensor)}`);
      await pace.pause();
    }
  }
}

/** The names that the filter accepts. */
async function chosenOf(
  names: ReadonlySet<string>,
  filter: Choice['filter'],
  pace: Pace,
): Promise<ReadonlySet<string>> {
  const chosen = new Set<string>();
  for (const name of names) {
    if (passes(filter, name)) chosen.add(name);
    await pace.pause();
  }
  return chosen;
}

/** Determines the kind of a source by its content. */
async function kindOf({ source, name, path }: OpenInput, { kinds, otherwise }: Loader): Promise<Kind> {
  const identity = await identify(source);
  // An index names files beside it, so it needs a path.
  checkKind(
    identity,
    path === undefined ? kinds.filter((kind) => kind !== 'json') : kinds,
    formatErrors(name),
  );
  return identity.kind === 'unknown' ? otherwise : identity.kind;
}

/** The kind of a file of weights. A zip archive is NumPy's if it holds arrays only. */
export async function weightsKind(open: OpenInput, loader: Loader): Promise<Kind> {
  const kind = await kindOf(open, loader);
  if (kind !== 'checkpoint' || !loader.kinds.includes('npz')) return kind;
  return loader === ARCHIVES || (await holdsArrays(open.source, open.name)) ? 'npz' : kind;
}

async function readWeights(open: OpenInput, choice: Choice, loader: Loader, loading: Loading): Promise<void> {
  const { source, name } = open;
  const kind = await weightsKind(open, loader);
  if (kind === 'checkpoint' || kind === 'pickle') return readArchive(open, choice, loading);
  if (kind === 'json') {
    // A shard must not be an index itself.
    const kinds = loader.kinds.filter((each) => each !== 'json');
    return readShards(open, choice, { ...loader, kinds }, loading);
  }
  const read = READERS[kind];
  if (read === undefined) throw unknownFormat(name);
  checkNoKey(choice.key, name);
  await read(source, name, { filter: choice.filter, allocate: loading.allocate });
}

/** The readers of files that hold one state dict. */
const READERS: Partial<Record<Kind, typeof readSafetensorsFrom | typeof readNpzFrom>> = {
  safetensors: readSafetensorsFrom,
  npz: readNpzFrom,
  msgpack: readFlaxFrom,
};

export function unknownFormat(name: string): TokenLearnerError {
  return formatErrors(name)(
    'this is not a known format of weights: neither safetensors, a PyTorch checkpoint, a NumPy archive (.npz) nor a flax state (.msgpack)',
  );
}

export function checkNoKey(key: string | undefined, name: string): void {
  if (key === undefined) return;
  throw new TokenLearnerError(
    'ERR_INVALID_ARG_VALUE',
    `Expected no \`options.key\` for ${name} but received ${quote(key)}: only a PyTorch checkpoint can hold several state dicts`,
  );
}

/** Reads weights from what is open already. */
export function loadOpen(open: OpenInput, choice: Choice): Promise<StateDict> {
  return loaded((loading) => readWeights(open, choice, WEIGHTS, loading));
}

function load(from: FileInput, choice: Choice, loader: Loader): Promise<StateDict> {
  return loaded((loading) => withInput(from, (open) => readWeights(open, choice, loader, loading)));
}

export async function loadWeights(from: FileInput, options?: Options): Promise<StateDict> {
  return load(from, checkChoice(options, ['key', 'filter']), WEIGHTS);
}

export async function loadSafetensors(from: FileInput, options?: Options): Promise<StateDict> {
  return load(from, checkChoice(options, ['filter']), SAFETENSORS);
}

export async function loadCheckpoint(from: FileInput, options?: Options): Promise<StateDict> {
  return load(from, checkChoice(options, ['key', 'filter']), CHECKPOINTS);
}

export async function loadNpz(from: FileInput, options?: Options): Promise<StateDict> {
  return load(from, checkChoice(options, ['filter']), ARCHIVES);
}

export async function loadFlaxMsgpack(from: FileInput, options?: Options): Promise<StateDict> {
  return load(from, checkChoice(options, ['filter']), FLAX);
}

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
