/** The counterparts of PyTorch's functions that rebuild tensors. None of them reads a storage. */
import { MAX_DIMENSIONS } from '../shape';
import type { Fail } from './format-error';
import type { PickleBudget } from './pickle-budget';
import { isKind, isTensor, PickledDict, type PickledTensor, type PickleValue } from './pickle-values';

/** The context of a constructor's call. */
export interface CallContext {
  fail: Fail;
  budget: PickleBudget;
  /** Lets the event loop run if the time slice is used up. */
  pause(): Promise<void>;
}

/** Returns the value of a call; a promise if it works in slices. */
export type Build = (
  args: readonly PickleValue[],
  context: CallContext,
) => PickleValue | Promise<PickleValue>;

/** True for an exact integer of 0 or more. */
export function isSize(value: PickleValue | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** Copies a tuple of sizes. */
export function readSizes(
  value: PickleValue | undefined,
  what: string,
  { fail, budget }: CallContext,
): number[] {
  if (!Array.isArray(value) || value.length > MAX_DIMENSIONS || !value.every(isSize)) {
    throw fail(`a tensor's ${what} is not a tuple of at most ${MAX_DIMENSIONS} integers of 0 or more`);
  }
  budget.elements(value.length);
  return value.slice();
}

function unreadable(what: string): PickleValue {
  return { kind: 'unreadable-tensor', what };
}

/** Makes the strided tensor of the first four arguments, which all rebuild functions share. */
function strided(
  args: readonly PickleValue[],
  dtype: string | undefined,
  context: CallContext,
): PickledTensor {
  const { fail } = context;
  const [storage, offset, size, stride] = args;
  if (!isKind(storage, 'storage')) throw fail('a tensor is not described by a storage and further values');
  if (!isSize(offset)) throw fail("a tensor's storage offset is not an integer of 0 or more");
  const shape = readSizes(size, 'size', context);
  const strides = readSizes(stride, 'stride', context);
  if (shape.length !== strides.length) throw fail("a tensor's size and stride differ in length");
  const named = dtype ?? storage.type.dtype;
  if (named === undefined) throw fail('a tensor on an untyped storage has no dtype');
  return { kind: 'tensor', dtype: named, storage, offset, shape, strides };
}

/** Metadata are flags, such as those of a conjugate view: the storage does not hold the tensor's values as they are. */
function withMetadata(tensor: PickledTensor, metadata: PickleValue | undefined): PickleValue {
  const plain = metadata === undefined || metadata === null;
  if (plain || (metadata instanceof PickledDict && metadata.size === 0)) return tensor;
  return unreadable('has conjugate, negative or other metadata');
}

function checkCount(args: readonly PickleValue[], least: number, most: number, { fail }: CallContext): void {
  if (args.length < least || args.length > most)
    throw fail(`a tensor is described by ${args.length} values instead of ${least} to ${most}`);
}

/** `_rebuild_tensor(storage, storage_offset, size, stride)`. */
const rebuildTensor: Build = (args, context) => {
  checkCount(args, 4, 4, context);
  return strided(args, undefined, context);
};

/** `_rebuild_tensor_v2(storage, storage_offset, size, stride, requires_grad, backward_hooks, metadata=None)`. */
const rebuildTensorV2: Build = (args, context) => {
  checkCount(args, 6, 7, context);
  return withMetadata(strided(args, undefined, context), args[6]);
};

/** `_rebuild_tensor_v3(storage, storage_offset, size, stride, requires_grad, backward_hooks, dtype, metadata=None)`. */
const rebuildTensorV3: Build = (args, context) => {
  checkCount(args, 7, 8, context);
  const dtype = args[6];
  if (!isKind(dtype, 'dtype')) throw context.fail("a tensor's dtype is not a dtype");
  return withMetadata(strided(args, dtype.name, context), args[7]);
};

/** A parameter is its tensor, the first argument. Gradients and attributes are dropped. */
const parameter: Build = (args, { fail }) => {
  if (!isTensor(args[0])) throw fail('a parameter is not made from a tensor');
  return args[0];
};

/** `_rebuild_device_tensor_from_cpu_tensor(data, dtype, device, requires_grad)`: returns the CPU's tensor. */
const deviceTensor: Build = (args, { fail }) => {
  const [data, dtype] = args;
  if (!isTensor(data)) throw fail('a device tensor is not made from a tensor');
  if (!isKind(data, 'tensor') || !isKind(dtype, 'dtype') || dtype.name === data.dtype) return data;
  return unreadable(`is stored as ${data.dtype} and used as ${dtype.name}`);
};

/** `_rebuild_qtensor(storage, ...)`. */
const quantized: Build = ([storage], { fail }) => {
  if (!isKind(storage, 'storage')) throw fail('a quantized tensor is not described by a storage');
  return unreadable(`is a quantized tensor of dtype ${storage.type.dtype ?? 'unknown'}`);
};

/** PyTorch's functions that rebuild tensors, except _rebuild_from_type_v2, which calls one of them. */
export const REBUILDS: ReadonlyMap<string, Build> = new Map<string, Build>([
  ['torch._utils._rebuild_tensor', rebuildTensor],
  ['torch._utils._rebuild_tensor_v2', rebuildTensorV2],
  ['torch._utils._rebuild_tensor_v3', rebuildTensorV3],
  ['torch._utils._rebuild_parameter', parameter],
  ['torch._utils._rebuild_parameter_with_state', parameter],
  ['torch.nn.parameter.Parameter', parameter],
  ['torch._utils._rebuild_device_tensor_from_cpu_tensor', deviceTensor],
  ['torch._utils._rebuild_device_tensor_from_numpy', () => unreadable('is stored as a NumPy array')],
  ['torch._utils._rebuild_qtensor', quantized],
  ['torch._utils._rebuild_sparse_tensor', () => unreadable('is a sparse tensor')],
  ['torch._utils._rebuild_nested_tensor', () => unreadable('is a nested tensor')],
  [
    'torch._utils._rebuild_meta_tensor_no_storage',
    () => unreadable('is on the meta device, without elements'),
  ],
  ['torch._utils._rebuild_wrapper_subclass', () => unreadable('is of a tensor subclass without elements')],
]);
