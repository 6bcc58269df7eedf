/**
 * A tensor's state, for the files of this folder. The class keeps it in a private field and connects itself here when it loads.
 */
import { type Device, deviceFromCode } from '../device';
import { type DType, dtypeFromCode, dtypeInfo } from '../dtype';
import { TokenLearnerError } from '../errors';
import type { FlatTensors, NativeTensor, StorageHandle, TensorArg } from '../native-interface';
import { elementCount, type Shape } from '../shape';
import { describe, unexpected } from '../validate';
import { Storage } from './storage';
import { typedArrayName } from './typed-array';
import type { AnyTensor, Tensor } from './tensor';

/** A tensor's view of its memory. */
export interface View {
  storage: Storage;
  dtype: DType;
  device: Device;
  shape: Shape;
  strides: Shape;
  /** The first element's position in the storage, in elements. */
  offset: number;
}

/** What a tensor's private field holds. */
export interface TensorState extends View {
  disposed: boolean;
}

interface TensorClass {
  /** The state of a tensor, also of a disposed one; undefined for anything else. */
  stateOf: (value: unknown) => TensorState | undefined;
  construct: (state: TensorState) => AnyTensor;
}

let { stateOf, construct }: TensorClass = {
  stateOf: () => undefined,
  construct: () => {
    throw new TypeError('The class Tensor is not loaded');
  },
};

/** Called by the class once, when it loads. */
export function connectTensor(part: Partial<TensorClass>): void {
  stateOf = part.stateOf ?? stateOf;
  construct = part.construct ?? construct;
}

/** The state of a tensor, also of a disposed one; undefined for anything else. */
export function tensorState(value: unknown): TensorState | undefined {
  return stateOf(value);
}

/** The state of a method's `this`, also of a disposed tensor. Throws ERR_INVALID_THIS. */
export function checkThis(self: unknown): TensorState {
  const state = stateOf(self);
  if (state !== undefined) return state;
  throw new TokenLearnerError(
    'ERR_INVALID_THIS',
    `Expected \`this\` to be a Tensor but received ${describe(self)}`,
  );
}

/** The state of a method's `this`. Throws ERR_INVALID_THIS, ERR_DISPOSED. */
export function live(self: unknown): TensorState {
  const state = checkThis(self);
  if (!state.disposed) return state;
  throw new TokenLearnerError('ERR_DISPOSED', 'The tensor was disposed');
}

/** The state of an argument. Throws ERR_INVALID_ARG_TYPE, ERR_DISPOSED. */
export function checkTensor(name: string, value: unknown): TensorState {
  const state = stateOf(value);
  if (state === undefined) throw unexpected('ERR_INVALID_ARG_TYPE', name, 'a Tensor', value);
  if (!state.disposed) return state;
  throw new TokenLearnerError('ERR_DISPOSED', `\`${name}\` was disposed`);
}

/** Creates a tensor with a view of its own. */
export function makeTensor<D extends DType>(view: View): Tensor<D> {
  const [shape, strides] = [Object.freeze([...view.shape]), Object.freeze([...view.strides])];
  return viewTensor({ ...view, shape, strides }) as Tensor<D>;
}

/** The same for frozen sizes and strides. */
function viewTensor({ storage, dtype, device, shape, strides, offset }: View): AnyTensor {
  storage.acquire();
  return construct({ storage, dtype, device, shape, strides, offset, disposed: false });
}

/** A view as an argument of native code. Throws ERR_DETACHED. */
export function viewArgument({ storage, dtype, shape, strides, offset }: View): TensorArg {
  return { storage: storage.argument(), dtype: dtypeInfo(dtype).code, shape, strides, offset };
}

/** Converts a tensor to an argument of native code. Throws ERR_INVALID_ARG_TYPE, ERR_DISPOSED, ERR_DETACHED. */
export function tensorArgument(name: string, value: unknown): TensorArg {
  return viewArgument(checkTensor(name, value));
}

/** Writes a tensor as arguments of a forward. */
export function flattened({ storage, dtype, offset, shape, strides }: TensorArg): FlatTensors {
  const memory = typedArrayName(storage) === undefined ? (storage as StorageHandle).id : storage;
  return [memory as ArrayBufferView | number, dtype, offset, shape.length, ...shape, ...strides];
}

/** Creates a tensor from a result of native code. */
export function adoptTensor(native: NativeTensor): AnyTensor {
  const { dtype: code, device, shape, strides, offset } = native;
  const dtype = dtypeFromCode(code);
  const { itemSize } = dtypeInfo(dtype);
  const bytes = elementCount(shape, itemSize) * itemSize;
  return viewTensor({
    storage: Storage.native(native, bytes),
    dtype,
    device: deviceFromCode(device),
    shape,
    strides,
    offset,
  });
}

/**
 * Keeps a tensor's memory alive, even after the tensor is disposed, until the caller calls `storage.release()` on the result.
 * Throws ERR_INVALID_ARG_TYPE, ERR_DISPOSED.
 */
export function holdTensor(name: string, value: unknown): View {
  const view = checkTensor(name, value);
  view.storage.acquire();
  return view;
}
