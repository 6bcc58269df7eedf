/** What a file of weights holds, without its elements: for the command line, which loads what it needs of it. */
import { dtypeInfo, isDType } from '../dtype';
import type { ByteSource } from '../formats/byte-source';
import { listCheckpoint } from '../formats/checkpoint';
import { readFlaxTree } from '../formats/flax-tree';
import { type Choice, EVERYTHING, type NameFilter, passes } from '../formats/filter';
import { formatErrors, quote } from '../formats/format-error';
import type { Kind } from '../formats/identify';
import { type FileInput, type OpenInput, withInput } from '../formats/input';
import { listNpy } from '../formats/npy';
import { MAX_START_BYTES } from '../formats/npy-header';
import { listNpz } from '../formats/npz';
import { listSafetensors } from '../formats/safetensors';
import { dtypeName } from '../formats/safetensors-dtypes';
import { readIndex } from '../formats/safetensors-index';
import { wideningOf } from '../formats/widening';
import type { StateDict } from '../modules/state-dict';
import { elementCount } from '../shape';
import { checkNoKey, type Loader, loadOpen, unknownFormat, WEIGHTS, weightsKind } from './load';

/** A tensor in a file. */
export interface ListedTensor {
  name: string;
  /** The file's dtype, which tensors need not have. */
  dtype: string;
  shape: number[];
  /** Bytes of the elements in the file; null if the dtype is unknown. */
  bytes: number | null;
}

/** The content of a file. */
export interface Listing {
  /** For people. */
  format: string;
  tensors: ListedTensor[];
  /** The strings of a safetensors file's `__metadata__`, of all shards together; none for other formats. */
  metadata: Record<string, string>;
}

type Content = Omit<Listing, 'format'>;

const FORMATS: Partial<Record<Kind, string>> = {
  safetensors: 'safetensors',
  json: 'an index of shards',
  checkpoint: 'a PyTorch checkpoint',
  npz: 'a NumPy archive (.npz)',
  npy: 'a NumPy array (.npy)',
  msgpack: 'a flax state (.msgpack)',
};
const LISTED: Loader = { ...WEIGHTS, kinds: [...WEIGHTS.kinds, 'npy'] };
/** A shard must not be an index itself. */
const SHARDS: Loader = { ...WEIGHTS, kinds: WEIGHTS.kinds.filter((kind) => kind !== 'json') };

function bytesOf(dtype: string, shape: readonly number[]): number | null {
  const sizedAs = isDType(dtype) ? dtype : wideningOf(dtype)?.sizedAs;
  return sizedAs === undefined ? null : elementCount(shape) * dtypeInfo(sizedAs).itemSize;
}

function withBytes(tensors: readonly Omit<ListedTensor, 'bytes'>[]): ListedTensor[] {
  return tensors.map((tensor) => ({ ...tensor, bytes: bytesOf(tensor.dtype, tensor.shape) }));
}

async function listArray(source: ByteSource, name: string): Promise<ListedTensor[]> {
  const start = new Uint8Array(Math.min(source.size, MAX_START_BYTES));
  await source.read(start, 0);
  return withBytes([{ name: '', ...listNpy(start, source.size, formatErrors(name)) }]);
}

async function listShards({ source, name }: OpenInput, filter: NameFilter | undefined): Promise<Content> {
  const tensors: ListedTensor[] = [];
  const metadata = Object.create(null) as Record<string, string>;
  for (const [shard, names] of await readIndex(source, name)) {
    if (![...names].some((each) => passes(filter, each))) continue;
    const listed = await withInput(shard, (open) => listOpen(open, { key: undefined, filter }, SHARDS));
    const chosen = listed.tensors.filter((tensor) => names.has(tensor.name));
    if (chosen.length < names.size)
      throw formatErrors(name)(`the shard ${quote(shard)} does not hold all of its ${names.size} tensors`);
    tensors.push(...chosen);
    Object.assign(metadata, listed.metadata);
  }
  return { tensors, metadata };
}

async function listFile({ source, name }: OpenInput): Promise<Content> {
  const { tensors, metadata } = await listSafetensors(source, name);
  const listed = tensors.map(({ name: tensor, formatDtype, shape, begin, end }) => ({
    name: tensor,
    dtype: dtypeName(formatDtype),
    shape,
    bytes: end - begin,
  }));
  return { tensors: listed, metadata };
}

async function contentOf(open: OpenInput, kind: Kind, choice: Choice): Promise<Content> {
  if (kind === 'safetensors') return listFile(open);
  if (kind === 'json') return listShards(open, choice.filter);
  return { tensors: await tensorsIn(open, kind, choice), metadata: {} };
}

/** The tensors of a format without metadata. */
async function tensorsIn(open: OpenInput, kind: Kind, { key, filter }: Choice): Promise<ListedTensor[]> {
  const { source, name } = open;
  switch (kind) {
    case 'npz':
      return withBytes(await listNpz(source, name, filter));
    case 'npy':
      return listArray(source, name);
    case 'msgpack':
      return [...(await readFlaxTree(source, formatErrors(name)))].map(
        ([tensor, { dtype, shape, parts }]) => ({
          name: tensor,
          dtype,
          shape,
          bytes: parts.reduce((sum, { byteLength }) => sum + byteLength, 0),
        }),
      );
    default:
      return withBytes(await listCheckpoint(source, name, key));
  }
}

async function listOpen(open: OpenInput, choice: Choice, loader: Loader): Promise<Listing> {
  const kind = await weightsKind(open, loader);
  if (kind === 'unknown') throw unknownFormat(open.name);
  if (kind !== 'checkpoint' && kind !== 'pickle') checkNoKey(choice.key, open.name);
  return { format: FORMATS[kind] ?? kind, ...(await contentOf(open, kind, choice)) };
}

/**
 * Lists the tensors of a file of weights, in the order of the file, and of an `.npy`, whose array has the name ''. Reads no elements.
 *
 * @param key - the entry of a PyTorch checkpoint that holds the state dict
 * @throws TokenLearnerError as loadWeights
 */
export async function listWeights(from: FileInput, key?: string): Promise<Listing> {
  return withInput(from, (open) => listOpen(open, { ...EVERYTHING, key }, LISTED));
}

/** Listed tensors by name. */
export function byName(tensors: readonly ListedTensor[]): Record<string, ListedTensor> {
  const dict = Object.create(null) as Record<string, ListedTensor>;
  for (const tensor of tensors) dict[tensor.name] = tensor;
  return dict;
}

/**
 * Opens a file of weights, lists its tensors, and passes them on with a function that loads those that a filter accepts, or all of them.
 *
 * @param choice - `key`: the entry of a PyTorch checkpoint that holds the state dict; `filter`: files and arrays without a name that it accepts
 * are not opened
 * @throws TokenLearnerError as loadWeights; errors of `use` pass through
 */
export async function withListedWeights<T>(
  from: FileInput,
  choice: Choice,
  use: (
    tensors: Record<string, ListedTensor>,
    load: (filter: NameFilter | undefined) => Promise<StateDict>,
    metadata: Record<string, string>,
  ) => Promise<T>,
): Promise<T> {
  return withInput(from, async (open) => {
    const { tensors, metadata } = await listOpen(open, choice, WEIGHTS);
    return use(byName(tensors), (filter) => loadOpen(open, { key: choice.key, filter }), metadata);
  });
}
