/** PyTorch checkpoints: the zip archives with a state dict that torch.save writes since PyTorch 1.6. */
import { emptyEntries, type ArrayEntries, type ArrayEntry } from './array-entry';
import { bytesSource, fileSource, type ByteSource } from './byte-source';
import { openCheckpoint } from './checkpoint-archive';
import { findStateDict } from './checkpoint-state-dict';
import { TensorReader } from './checkpoint-tensors';
import type { ByteOrder } from './elements';
import { checkBytes, checkPath, withFile } from './file-io';
import { checkChoice, EVERYTHING, passes, type Choice, type NameFilter } from './filter';
import { formatErrors, quote, type Fail } from './format-error';
import { Pace } from './pace';
import { unpickle } from './pickle';
import { isTensor, pythonType, type PickledDict, type PickleValue } from './pickle-values';
import type { ZipArchive } from './zip-archive';

/** Enough to describe about 100,000 tensors; their elements are not in the pickle. */
const MAX_PICKLE_BYTES = 2 ** 25;

/** How to read a checkpoint. */
export interface CheckpointOptions {
  /**
   * The key of the state dict in the checkpoint's dict. Dots lead into nested dicts: 'model.state_dict'. A key with exactly that
   * name takes precedence. '' is the checkpoint's dict itself.
   *
   * @default the dict itself if it holds only tensors and modules' `_extra_state`; else the dict of tensors under 'state_dict',
   * 'model_state_dict' or 'model', if it is the only state dict; else the dict itself if it holds tensors beside other values
   */
  key?: string | undefined;
  /**
   * Returns true for the names of the tensors to read. The others are not read from the file and may have any dtype.
   *
   * @default reads all tensors
   */
  filter?: NameFilter | undefined;
}

/** Files from before PyTorch 2.1 have no such record. They are little-endian, except from rare machines. */
async function readByteOrder(archive: ZipArchive, fail: Fail): Promise<ByteOrder> {
  if (!archive.has('byteorder')) return 'little';
  if ((archive.sizeOf('byteorder') ?? 0) > 16) throw fail('the record byteorder is malformed');
  const order = Buffer.from(await archive.read('byteorder')).toString('latin1');
  if (order === 'little' || order === 'big') return order;
  throw fail(`the byte order is ${quote(order)}, which is neither little nor big`);
}

/** Fails if a tensor has no name. */
async function checkKeys({ others }: PickledDict, fail: Fail, pace: Pace): Promise<void> {
  for (const [key, value] of others) {
    await pace.pause();
    if (isTensor(value)) throw fail(`the state dict has ${pythonType(key)} as a key instead of a string`);
  }
}

async function readTensors(
  stateDict: PickledDict,
  reader: TensorReader,
  { filter }: Choice,
  fail: Fail,
  pace: Pace,
): Promise<ArrayEntries> {
  await checkKeys(stateDict, fail, pace);
  const entries = emptyEntries();
  for (const [name, value] of stateDict.entries) {
    await pace.pause();
    if (!isTensor(value) || !passes(filter, name)) continue;
    entries[name] = await reader.read(name, value);
  }
  return entries;
}

/**
 * As {@link readCheckpoint}, from any source.
 *
 * @param name - names the source in error messages
 */
export async function readCheckpointFrom(
  source: ByteSource,
  name: string,
  choice: Choice = EVERYTHING,
): Promise<ArrayEntries> {
  const fail = formatErrors(name);
  const { archive, stateDict, order } = await openStateDict(source, name, choice.key, fail);
  return readTensors(stateDict, new TensorReader(archive, order, fail), choice, fail, new Pace());
}

interface Opened {
  archive: ZipArchive;
  root: PickleValue;
  order: ByteOrder;
}

async function openRoot(source: ByteSource, name: string, fail: Fail): Promise<Opened> {
  const archive = await openCheckpoint(source, name);
  const pickleBytes = archive.sizeOf('data.pkl') ?? 0;
  if (pickleBytes > MAX_PICKLE_BYTES) {
    throw fail(`data.pkl has ${pickleBytes} bytes, over the limit of ${MAX_PICKLE_BYTES}`);
  }
  const order = await readByteOrder(archive, fail);
  return { archive, order, root: await unpickle(await archive.read('data.pkl'), name, source.size) };
}

async function openStateDict(
  source: ByteSource,
  name: string,
  key: string | undefined,
  fail: Fail,
): Promise<{ archive: ZipArchive; stateDict: PickledDict; order: ByteOrder }> {
  const { archive, order, root } = await openRoot(source, name, fail);
  return { archive, order, stateDict: await findStateDict(root, key, fail, new Pace()) };
}

/**
 * Reads what `torch.save(tensor, path)` wrote: one tensor alone.
 *
 * @param name - names the source in error messages
 * @throws TokenLearnerError as {@link readCheckpoint}
 */
export async function readSavedTensor(source: ByteSource, name: string): Promise<ArrayEntry> {
  const fail = formatErrors(name);
  const { archive, order, root } = await openRoot(source, name, fail);
  if (!isTensor(root)) throw fail(`holds ${pythonType(root)} instead of a tensor`);
  return new TensorReader(archive, order, fail).read('', root);
}

/**
 * Reads the names, dtypes (PyTorch's names) and shapes of a state dict's tensors, and no elements. Sparse and other tensors have no shape here.
 *
 * @throws TokenLearnerError as {@link readCheckpoint}, but for tensors of an unsupported dtype or kind
 */
export async function listCheckpoint(
  source: ByteSource,
  name: string,
  key: string | undefined,
): Promise<{ name: string; dtype: string; shape: number[] }[]> {
  const fail = formatErrors(name);
  const pace = new Pace();
  const { archive, stateDict, order } = await openStateDict(source, name, key, fail);
  await checkKeys(stateDict, fail, pace);
  const reader = new TensorReader(archive, order, fail);
  const tensors: { name: string; dtype: string; shape: number[] }[] = [];
  for (const [tensor, value] of stateDict.entries) {
    await pace.pause();
    if (!isTensor(value)) continue;
    reader.check(tensor, value);
    if (value.kind === 'tensor') tensors.push({ name: tensor, dtype: value.dtype, shape: value.shape });
    else tensors.push({ name: tensor, dtype: value.what.replace(/^is /, ''), shape: [] });
  }
  return tensors;
}

/**
 * Reads the state dict of a checkpoint: a zip archive by torch.save (PyTorch 1.6 and later), of any byte order, with a dict of
 * tensors or a dict that contains one ({@link CheckpointOptions.key}). A restricted unpickler reads it. It builds only tensors
 * and plain containers and runs no code. It accepts what PyTorch's own loader accepts with `weights_only`.
 *
 * Drops values of the state dict that are not tensors, and attributes of dicts (`_metadata`). Tensors on the same storage share
 * memory here too. Tensors that are not contiguous are copied into C order. int8, int16 and uint16 become int32, uint32 and
 * uint64 become int64, and 8-bit floats become float32. Reads only the storages in use, and verifies their checksums. Long work
 * is done in slices of a few milliseconds. Memory and time are bounded in proportion to the size of the file.
 *
 * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE (an unknown option), ERR_OUT_OF_MEMORY;
 * ERR_UNSAFE_PICKLE if the pickle asks for something else, which the message names; ERR_FILE_IO if the file cannot be read (the
 * system's error is the cause); ERR_FILE_FORMAT if the file is malformed, damaged, of an older format, over the limits for its
 * size, has no state dict or several, or has a tensor of an unsupported dtype or kind that the filter accepts.
 */
export async function readCheckpoint(path: string, options?: CheckpointOptions): Promise<ArrayEntries> {
  checkPath(path);
  const choice = checkChoice(options, ['key', 'filter']);
  return withFile(path, (handle, size) => readCheckpointFrom(fileSource(handle, size, path), path, choice));
}

/**
 * As {@link readCheckpoint}, from memory.
 *
 * @param bytes - the complete file
 * @param source - names the bytes in error messages
 */
export async function parseCheckpoint(
  bytes: Uint8Array,
  options?: CheckpointOptions,
  source = 'checkpoint data',
): Promise<ArrayEntries> {
  const whole = checkBytes(bytes);
  return readCheckpointFrom(bytesSource(whole), source, checkChoice(options, ['key', 'filter']));
}
