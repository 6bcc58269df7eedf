/** PyTorch checkpoints: the zip archives that torch.save has written since PyTorch 1.6, holding a state dict. */
import { checkOptions, checkString, unexpected } from '../validate';
import { emptyEntries, type ArrayEntries } from './array-entry';
import { bytesSource, fileSource, type ByteSource } from './byte-source';
import { CheckpointArchive } from './checkpoint-archive';
import { findStateDict } from './checkpoint-state-dict';
import { TensorReader } from './checkpoint-tensors';
import type { ByteOrder } from './elements';
import { checkBytes, checkPath, withFile } from './file-io';
import { passes, type NameFilter } from './filter';
import { formatErrors, quote, type Fail } from './format-error';
import { unpickle } from './pickle';
import { isTensor, pythonType, type PickledDict } from './pickle-values';

/** Takes the descriptions of about 100,000 tensors; the numbers themselves are not in the pickle. */
const MAX_PICKLE_BYTES = 2 ** 25;

/** How to read a checkpoint. */
export interface CheckpointOptions {
  /**
   * The key of the checkpoint's dict under which the state dict lies. Dots lead into nested dicts: 'model.state_dict'; a key with that very
   * name wins. '' is the checkpoint's dict itself.
   *
   * @default the dict itself when it holds tensors and no other values than modules' `_extra_state`; else what lies under 'state_dict', 'model_state_dict'
   * or 'model' and holds tensors, where it is the only state dict there is; else the dict itself when it holds tensors beside other values
   */
  key?: string;
  /**
   * Whether to read the tensor of that name. The numbers of those that are left out are not read from the file, and their dtypes may be any.
   *
   * @default all tensors are read
   */
  filter?: NameFilter;
}

/** Files from before PyTorch 2.1 have no such record; they were little-endian but for rare machines. */
async function readByteOrder(archive: CheckpointArchive, fail: Fail): Promise<ByteOrder> {
  if (!archive.has('byteorder')) return 'little';
  if ((archive.sizeOf('byteorder') ?? 0) > 16) throw fail('the record byteorder is malformed');
  const order = Buffer.from(await archive.read('byteorder')).toString('latin1');
  if (order === 'little' || order === 'big') return order;
  throw fail(`the byte order is ${quote(order)} and neither little nor big`);
}

async function readTensors(
  stateDict: PickledDict,
  reader: TensorReader,
  { filter }: CheckpointOptions,
  fail: Fail,
): Promise<ArrayEntries> {
  for (const [key, value] of stateDict.others) {
    if (isTensor(value)) throw fail(`the state dict has ${pythonType(key)} as a key and not a string`);
  }
  const entries = emptyEntries();
  for (const [name, value] of stateDict.entries) {
    if (!isTensor(value) || !passes(filter, name)) continue;
    entries[name] = await reader.read(name, value);
  }
  return entries;
}

/**
 * As {@link readCheckpoint}, from any source, with options that are checked already.
 *
 * @param name - what error messages call the source
 */
export async function readCheckpointFrom(
  source: ByteSource,
  name: string,
  options: CheckpointOptions = {},
): Promise<ArrayEntries> {
  const fail = formatErrors(name);
  const archive = await CheckpointArchive.open(source, name);
  const pickleBytes = archive.sizeOf('data.pkl') ?? 0;
  if (pickleBytes > MAX_PICKLE_BYTES) {
    throw fail(`data.pkl has ${pickleBytes} bytes, over the limit of ${MAX_PICKLE_BYTES}`);
  }
  const order = await readByteOrder(archive, fail);
  const root = await unpickle(await archive.read('data.pkl'), name, source.size);
  const stateDict = findStateDict(root, options.key, fail);
  return readTensors(stateDict, new TensorReader(archive, order, fail), options, fail);
}

/** Own properties only, and none but those that there are. */
function readOptions(options: unknown): CheckpointOptions {
  const { key, filter } = checkOptions('options', options, ['key', 'filter']);
  const checked: CheckpointOptions = {};
  if (key !== undefined) checked.key = checkString('options.key', key);
  if (filter === undefined) return checked;
  if (typeof filter !== 'function')
    throw unexpected('ERR_INVALID_ARG_TYPE', 'options.filter', 'a function', filter);
  return { ...checked, filter: filter as NameFilter };
}

/**
 * Reads the state dict of a checkpoint: a zip archive by torch.save (PyTorch 1.6 and later), of any byte order, holding a
 * dict of tensors or a dict that holds one ({@link CheckpointOptions.key}). Its pickle is read by a machine that builds
 * tensors and plain containers only; no code runs. It takes what PyTorch's own loader takes with `weights_only`.
 *
 * Values of the state dict that are no tensors, and attributes of dicts (`_metadata`), are dropped. Tensors on the same storage share memory
 * here too; those that are not contiguous are brought into C order. int8, int16 and uint16 become int32, uint32 and uint64 become int64, and 8-bit floats
 * become float32. Only the storages in use are read, and their checksums verified. Long work is done in slices of some
 * milliseconds, and what a file may cost is in proportion to its size.
 *
 * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE (an unknown option), ERR_OUT_OF_MEMORY; ERR_UNSAFE_PICKLE: the pickle asks
 * for something else, which the message names; ERR_FILE_FORMAT: the file is malformed, damaged, of an older format, costs more than a file of
 * its size may, holds no state dict or several, holds a tensor of an unsupported dtype or kind that the filter lets pass, or cannot be read
 * (Node's own error is the cause).
 */
export async function readCheckpoint(path: string, options?: CheckpointOptions): Promise<ArrayEntries> {
  checkPath(path);
  const checked = readOptions(options);
  return withFile(path, (handle, size) => readCheckpointFrom(fileSource(handle, size, path), path, checked));
}

/**
 * As {@link readCheckpoint}, from memory.
 *
 * @param bytes - the whole file
 * @param source - what error messages call the bytes
 */
export async function parseCheckpoint(
  bytes: Uint8Array,
  options?: CheckpointOptions,
  source = 'checkpoint data',
): Promise<ArrayEntries> {
  const whole = checkBytes(bytes);
  return readCheckpointFrom(bytesSource(whole), source, readOptions(options));
}
