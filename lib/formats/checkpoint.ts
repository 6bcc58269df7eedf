/** PyTorch checkpoints: the zip archives that torch.save has written since PyTorch 1.6, holding a state dict. */
import { dtypeInfo, type DType, type TypedArray } from '../dtype';
import { TokenLearnerError } from '../errors';
import { emptyEntries, type ArrayEntries } from './array-entry';
import { bytesSource, fileSource, type ByteSource } from './byte-source';
import { CheckpointArchive } from './checkpoint-archive';
import { allocateElements, elementCount, elementsFromBytes, type ByteOrder } from './elements';
import { checkBytes, checkPath, withFile } from './file-io';
import { formatErrors, quote, type Fail } from './format-error';
import { unpickle } from './pickle';
import {
  isTensor,
  pythonType,
  type PickledDict,
  type PickledStorage,
  type PickledTensor,
  type PickleValue,
} from './pickle-values';
import { gatherStrided, isContiguous } from './strided';

/** Where training scripts keep the state dict beside the epoch and the optimizer, in the order of the search. */
const STATE_DICT_KEYS = ['state_dict', 'model_state_dict', 'model'] as const;
/** Takes the descriptions of about 100,000 tensors; the numbers themselves are not in the pickle. */
const MAX_PICKLE_BYTES = 2 ** 25;

/** How to read a checkpoint. */
export interface CheckpointOptions {
  /**
   * The key of the checkpoint's dict under which the state dict lies.
   *
   * @default the dict itself when all its values are tensors, else the first of 'state_dict', 'model_state_dict' and 'model'
   * whose value is a dict of tensors
   */
  key?: string;
}

function asStateDict(value: PickleValue | undefined): PickledDict | undefined {
  return value instanceof Map && [...value.values()].every(isTensor) ? value : undefined;
}

function keyList(dict: PickledDict): string {
  const keys = [...dict.keys()].filter((key) => typeof key === 'string');
  return keys.slice(0, 10).map(quote).join(', ') + (keys.length > 10 ? ', ...' : '');
}

function notStateDict(value: PickleValue, where: string, fail: Fail): TokenLearnerError {
  if (!(value instanceof Map)) return fail(`${where} is ${pythonType(value)} and not a state dict`);
  for (const [key, item] of value) {
    if (isTensor(item)) continue;
    const name = typeof key === 'string' ? quote(key) : pythonType(key);
    return fail(
      `${where} is not a state dict: its value for ${name} is ${pythonType(item)} and not a tensor`,
    );
  }
  return fail(`${where} is not a state dict`);
}

function findStateDict(root: PickleValue, key: string | undefined, fail: Fail): PickledDict {
  if (!(root instanceof Map)) throw notStateDict(root, 'the checkpoint', fail);
  if (key !== undefined) {
    const value = root.get(key);
    if (value === undefined) throw fail(`the checkpoint has no key ${quote(key)}; it has ${keyList(root)}`);
    const chosen = asStateDict(value);
    if (chosen === undefined) throw notStateDict(value, `the value of ${quote(key)}`, fail);
    return chosen;
  }
  for (const value of [root, ...STATE_DICT_KEYS.map((candidate) => root.get(candidate))]) {
    const found = asStateDict(value);
    if (found !== undefined) return found;
  }
  throw fail(
    `the checkpoint is not a state dict and holds none under ${STATE_DICT_KEYS.map(quote).join(', ')}; ` +
      `choose one with \`key\`: it has ${keyList(root)}`,
  );
}

/** Reads storages, each once, and makes arrays of the tensors on them. */
class TensorReader {
  readonly #archive: CheckpointArchive;
  readonly #order: ByteOrder;
  readonly #fail: Fail;
  readonly #storages = new Map<string, { dtype: DType; data: TypedArray }>();

  constructor(archive: CheckpointArchive, order: ByteOrder, fail: Fail) {
    this.#archive = archive;
    this.#order = order;
    this.#fail = fail;
  }

  /** The elements in C order: a view on the storage where the tensor is contiguous, a copy elsewhere. */
  async read(name: string, tensor: PickledTensor): Promise<{ dtype: DType; data: TypedArray }> {
    const { storage, shape, strides, offset } = tensor;
    const { dtype, data } = await this.#storage(name, storage);
    const count = elementCount(shape);
    // Sums beyond 2^53 are rounded, but never to less than 2^53, which no storage reaches.
    const last = shape.reduce((index, size, axis) => index + (size - 1) * (strides[axis] ?? 0), offset);
    if (
      !Number.isSafeInteger(count * dtypeInfo(dtype).itemSize) ||
      (count === 0 ? offset : last + 1) > data.length
    ) {
      throw this.#fail(
        `tensor ${quote(name)} of shape [${shape.join(', ')}], stride [${strides.join(', ')}] and offset ${offset} ` +
          `lies outside its storage of ${data.length} elements`,
      );
    }
    if (isContiguous(shape, strides)) return { dtype, data: data.subarray(offset, offset + count) };
    this.#archive.chargeExpansion(count * dtypeInfo(dtype).itemSize);
    const target = allocateElements(dtype, count);
    gatherStrided(target, data, shape, strides, offset);
    return { dtype, data: target };
  }

  async #storage(name: string, storage: PickledStorage): Promise<{ dtype: DType; data: TypedArray }> {
    const { dtype, name: typeName } = storage.type;
    if (dtype === undefined)
      throw this.#fail(`tensor ${quote(name)} has dtype ${typeName}, which is not supported`);
    let known = this.#storages.get(storage.key);
    if (known === undefined) {
      const record = `data/${storage.key}`;
      const expected = storage.size * dtypeInfo(dtype).itemSize;
      const found = this.#archive.sizeOf(record);
      if (found !== undefined && found !== expected) {
        throw this.#fail(
          `the storage of tensor ${quote(name)} has ${storage.size} ${dtype} elements, ${expected} bytes, but its record has ${found}`,
        );
      }
      known = { dtype, data: elementsFromBytes(await this.#archive.read(record), dtype, this.#order) };
      this.#storages.set(storage.key, known);
    }
    if (known.dtype !== dtype || known.data.length !== storage.size) {
      throw this.#fail(`storage ${quote(storage.key)} is described in two ways`);
    }
    return known;
  }
}

/** Files from before PyTorch 2.1 have no such record; they were little-endian but for rare machines. */
async function readByteOrder(archive: CheckpointArchive, fail: Fail): Promise<ByteOrder> {
  if (!archive.has('byteorder')) return 'little';
  if ((archive.sizeOf('byteorder') ?? 0) > 16) throw fail('the record byteorder is malformed');
  const order = Buffer.from(await archive.read('byteorder')).toString('latin1');
  if (order === 'little' || order === 'big') return order;
  throw fail(`the byte order is ${quote(order)} and neither little nor big`);
}

async function readArchive(
  source: ByteSource,
  path: string,
  options: CheckpointOptions,
): Promise<ArrayEntries> {
  const fail = formatErrors(path);
  const archive = await CheckpointArchive.open(source, path);
  const pickleBytes = archive.sizeOf('data.pkl') ?? 0;
  if (pickleBytes > MAX_PICKLE_BYTES) {
    throw fail(`data.pkl has ${pickleBytes} bytes, over the limit of ${MAX_PICKLE_BYTES}`);
  }
  const order = await readByteOrder(archive, fail);
  const stateDict = findStateDict(unpickle(await archive.read('data.pkl'), path), options.key, fail);
  const reader = new TensorReader(archive, order, fail);
  const entries = emptyEntries();
  for (const [name, value] of stateDict) {
    if (typeof name !== 'string')
      throw fail(`the state dict has ${pythonType(name)} as a key and not a string`);
    if (!isTensor(value)) throw notStateDict(stateDict, 'the state dict', fail);
    entries[name] = { ...(await reader.read(name, value)), shape: value.shape };
  }
  return entries;
}

function checkOptions(options: unknown): asserts options is CheckpointOptions {
  if (typeof options !== 'object' || options === null) {
    throw new TokenLearnerError(
      'ERR_INVALID_ARG_TYPE',
      `Expected an object for \`options\` but received a value of type ${options === null ? 'null' : typeof options}`,
    );
  }
  const { key } = options as { key?: unknown };
  if (key === undefined || typeof key === 'string') return;
  throw new TokenLearnerError(
    'ERR_INVALID_ARG_TYPE',
    `Expected a string for \`options.key\` but received a value of type ${typeof key}`,
  );
}

/**
 * Reads the state dict of a checkpoint: a zip archive by torch.save (PyTorch 1.6 and later), of any byte order, holding a
 * dict of tensors or a dict that holds one ({@link CheckpointOptions.key}). Its pickle is read by a machine that builds
 * tensors and plain containers only; no code runs. Tensors on the same storage share memory here too, those that are not contiguous
 * are brought into C order, and attributes of dicts (`_metadata`) are dropped. Only the storages in use are read.
 *
 * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_MEMORY; ERR_UNSAFE_PICKLE: the pickle asks for
 * something else, which the message names; ERR_FILE_FORMAT: the file is malformed, of an older format, holds no state dict, or cannot be
 * read (Node's own error is the cause).
 */
export async function readCheckpoint(path: string, options: CheckpointOptions = {}): Promise<ArrayEntries> {
  checkPath(path);
  checkOptions(options);
  return withFile(path, (handle, size) => readArchive(fileSource(handle, size, path), path, options));
}

/**
 * As {@link readCheckpoint}, from memory.
 *
 * @param bytes - the whole file
 * @param source - what error messages call the bytes
 */
export async function parseCheckpoint(
  bytes: Uint8Array,
  options: CheckpointOptions = {},
  source = 'checkpoint data',
): Promise<ArrayEntries> {
  const whole = checkBytes(bytes);
  checkOptions(options);
  return readArchive(bytesSource(whole), source, options);
}
