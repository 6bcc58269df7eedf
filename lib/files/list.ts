/** What a file of weights holds, without its elements: for `tokenlearner inspect`. */
import { dtypeInfo, isDType } from '../dtype';
import type { ByteSource } from '../formats/byte-source';
import { listCheckpoint } from '../formats/checkpoint';
import { readFlaxTree } from '../formats/flax-tree';
import { formatErrors, quote } from '../formats/format-error';
import { checkKind, identify, type Kind } from '../formats/identify';
import { type FileInput, type OpenInput, withInput } from '../formats/input';
import { checkSize } from '../formats/npy';
import { MAX_START_BYTES, parseNpyHeader } from '../formats/npy-header';
import { listNpz } from '../formats/npz';
import { listSafetensors } from '../formats/safetensors';
import { dtypeName } from '../formats/safetensors-dtypes';
import { readIndex } from '../formats/safetensors-index';
import { wideningOf } from '../formats/widening';
import { elementCount } from '../shape';
import { checkNoKey, type Loader, WEIGHTS, weightsKind } from './load';

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
}

const FORMATS: Partial<Record<Kind, string>> = {
  safetensors: 'safetensors',
  json: 'an index of shards',
  checkpoint: 'a PyTorch checkpoint',
  npz: 'a NumPy archive (.npz)',
  npy: 'a NumPy array (.npy)',
  msgpack: 'a flax state (.msgpack)',
};
const LISTED: Loader = { ...WEIGHTS, kinds: [...WEIGHTS.kinds, 'npy'] };

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
  const header = parseNpyHeader(start, source.size, formatErrors(name));
  checkSize(header, source.size, formatErrors(name));
  return withBytes([{ name: '', dtype: header.dtype, shape: header.shape }]);
}

async function listShards({ source, name }: OpenInput): Promise<ListedTensor[]> {
  const tensors: ListedTensor[] = [];
  for (const [shard, names] of await readIndex(source, name)) {
    const listed = await withInput(shard, (open) => listOpen(open, undefined, false));
    const chosen = listed.tensors.filter((tensor) => names.has(tensor.name));
    if (chosen.length < names.size)
      throw formatErrors(name)(`the shard ${quote(shard)} does not hold all of its ${names.size} tensors`);
    tensors.push(...chosen);
  }
  return tensors;
}

async function tensorsIn(open: OpenInput, kind: Kind, key: string | undefined): Promise<ListedTensor[]> {
  const { source, name } = open;
  switch (kind) {
    case 'safetensors':
      return (await listSafetensors(source, name)).map(
        ({ name: tensor, formatDtype, shape, begin, end }) => ({
          name: tensor,
          dtype: dtypeName(formatDtype),
          shape,
          bytes: end - begin,
        }),
      );
    case 'npz':
      return withBytes(await listNpz(source, name));
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
    case 'json':
      return listShards(open);
    default:
      return withBytes(await listCheckpoint(source, name, key));
  }
}

async function listOpen(open: OpenInput, key: string | undefined, shards: boolean): Promise<Listing> {
  const kinds = LISTED.kinds.filter((kind) => shards || kind !== 'json');
  const kind = await weightsKind(open, { ...LISTED, kinds });
  if (kind === 'unknown') {
    checkKind(await identify(open.source), kinds, formatErrors(open.name));
    throw formatErrors(open.name)('this is not a known format of weights');
  }
  if (kind !== 'checkpoint' && kind !== 'pickle') checkNoKey(key, open.name);
  return { format: FORMATS[kind] ?? kind, tensors: await tensorsIn(open, kind, key) };
}

/**
 * Lists the tensors of a file of weights, in the order of the file, and of an `.npy`, whose array has the name ''. Reads no elements.
 *
 * @param key - the entry of a PyTorch checkpoint that holds the state dict
 * @throws TokenLearnerError as loadWeights
 */
export async function listWeights(from: FileInput, key?: string): Promise<Listing> {
  return withInput(from, (open) => listOpen(open, key, true));
}
