/**
 * The only names that a pickle may refer to, and what is built for them. This list is the whole of what a checkpoint
 * can ask for: there is no import, no attribute look-up and no call of anything else.
 */
import type { DType } from '../dtype';
import type { Fail } from './format-error';
import {
  isTensor,
  pythonType,
  type Constructor,
  type PickledDict,
  type PickledStorage,
  type PickledTensor,
  type PickleValue,
  type StorageType,
} from './pickle-values';

const MAX_AXES = 64;

const CONSTRUCTORS: ReadonlySet<string> = new Set<Constructor['name']>([
  'collections.OrderedDict',
  'torch.Size',
  'torch._utils._rebuild_tensor_v2',
  'torch._utils._rebuild_parameter',
]);

/** PyTorch's storage classes. Those with undefined are known and harmless, but hold no dtype of ours. */
const STORAGES: ReadonlyMap<string, readonly [name: string, dtype: DType | undefined]> = new Map([
  ['torch.FloatStorage', ['float32', 'float32']],
  ['torch.DoubleStorage', ['float64', 'float64']],
  ['torch.HalfStorage', ['float16', 'float16']],
  ['torch.BFloat16Storage', ['bfloat16', 'bfloat16']],
  ['torch.IntStorage', ['int32', 'int32']],
  ['torch.LongStorage', ['int64', 'int64']],
  ['torch.ByteStorage', ['uint8', 'uint8']],
  ['torch.BoolStorage', ['bool', 'bool']],
  ['torch.CharStorage', ['int8', undefined]],
  ['torch.ShortStorage', ['int16', undefined]],
  ['torch.ComplexFloatStorage', ['complex64', undefined]],
  ['torch.ComplexDoubleStorage', ['complex128', undefined]],
]);

/** The value of a global; undefined when it is not on the list. */
export function resolveGlobal(module: string, name: string): Constructor | StorageType | undefined {
  const path = `${module}.${name}`;
  if (CONSTRUCTORS.has(path)) return { kind: 'constructor', name: path as Constructor['name'] };
  const storage = STORAGES.get(path);
  return storage && { kind: 'storage-type', name: storage[0], dtype: storage[1] };
}

function isSize(value: PickleValue | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function readSizes(value: PickleValue | undefined, what: string, fail: Fail): number[] {
  if (!Array.isArray(value) || value.length > MAX_AXES || !value.every(isSize)) {
    throw fail(`a tensor's ${what} is not a tuple of at most ${MAX_AXES} integers of 0 or more`);
  }
  return value.slice();
}

function isStorage(value: PickleValue | undefined): value is PickledStorage {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'storage';
}

/** `_rebuild_tensor_v2(storage, storage_offset, size, stride, requires_grad, backward_hooks, metadata=None)`. */
function rebuildTensor(args: readonly PickleValue[], fail: Fail): PickledTensor {
  const [storage, offset, size, stride] = args;
  const metadata = args[6] ?? null;
  if (args.length < 6 || args.length > 7 || !isStorage(storage)) {
    throw fail('a tensor is not described by a storage and five or six further values');
  }
  if (!isSize(offset)) throw fail("a tensor's storage offset is not an integer of 0 or more");
  const shape = readSizes(size, 'size', fail);
  const strides = readSizes(stride, 'stride', fail);
  if (shape.length !== strides.length) throw fail("a tensor's size and stride differ in length");
  if (metadata !== null && !(metadata instanceof Map && metadata.size === 0)) {
    throw fail('tensors with conjugate, negative or other metadata are not supported');
  }
  return { kind: 'tensor', storage, offset, shape, strides };
}

/** `OrderedDict()` or `OrderedDict(pairs)`. */
function orderedDict(args: readonly PickleValue[], fail: Fail): PickledDict {
  const pairs = args[0] ?? [];
  if (args.length > 1 || !Array.isArray(pairs)) throw fail('an OrderedDict is not made from a list of pairs');
  const dict: PickledDict = new Map();
  for (const pair of pairs) {
    if (!Array.isArray(pair) || pair.length !== 2)
      throw fail('an OrderedDict is not made from a list of pairs');
    dict.set(pair[0] ?? null, pair[1] ?? null);
  }
  return dict;
}

/** Builds what the call of an allowed constructor stands for. */
export function construct(callee: Constructor, args: readonly PickleValue[], fail: Fail): PickleValue {
  switch (callee.name) {
    case 'collections.OrderedDict':
      return orderedDict(args, fail);
    case 'torch.Size':
      if (args.length !== 1) throw fail('a torch.Size is not made from one tuple');
      return readSizes(args[0], 'torch.Size', fail);
    case 'torch._utils._rebuild_parameter':
      if (args.length !== 3 || !isTensor(args[0])) throw fail('a parameter is not made from a tensor');
      return args[0];
    case 'torch._utils._rebuild_tensor_v2':
      return rebuildTensor(args, fail);
  }
}

/** The storage for torch.save's persistent id: `('storage', type, key, location, numel)`. */
export function persistentStorage(id: PickleValue, fail: Fail): PickledStorage {
  if (!Array.isArray(id) || id.length !== 5 || id[0] !== 'storage') {
    throw fail(`a persistent id is ${pythonType(id)} and not a storage's five values`);
  }
  const [, type = null, key, , size] = id;
  if (typeof type !== 'object' || type === null || !('kind' in type) || type.kind !== 'storage-type') {
    throw fail('a persistent id names no storage type');
  }
  if (typeof key !== 'string' || !isSize(size)) throw fail("a storage's key or size is malformed");
  return { kind: 'storage', key, type, size };
}
