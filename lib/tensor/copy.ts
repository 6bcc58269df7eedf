/**
 * New memory for tensors, and copies between memories.
 */
import { isMainThread } from 'node:worker_threads';
import { binding } from '../binding';
import { type Device, deviceCode, hasUsableGpu } from '../device';
import { type DType, dtypeInfo } from '../dtype';
import { TokenLearnerError } from '../errors';
import { contiguousStrides, elementCount, formatShape, isContiguous, type Shape } from '../shape';
import { adoptTensor, checkTensor, makeTensor, tensorArgument, type View, viewArgument } from './access';
import { Storage } from './storage';
import type { AnyTensor, Tensor } from './tensor';
import { transferBuffer, typedArrayOf } from './typed-array';

interface AllocateOptions {
  zeroed: boolean;
  pinned: boolean;
}

/** Creates a tensor in new native memory on the CPU. */
export function allocated<D extends DType>(
  shape: Shape,
  dtype: D,
  { zeroed, pinned }: AllocateOptions = { zeroed: false, pinned: false },
): Tensor<D> {
  const { itemSize } = dtypeInfo(dtype);
  const bytes = elementCount(shape, itemSize) * itemSize;
  return makeTensor<D>({
    storage: Storage.native(binding().allocate(bytes, zeroed, pinned && hasUsableGpu()), bytes),
    dtype,
    device: 'cpu',
    shape,
    strides: contiguousStrides(shape),
    offset: 0,
  });
}

/** Returns a contiguous copy with this dtype on this device. */
export function copied(view: View, dtype: DType, device: Device): AnyTensor {
  return adoptTensor(binding().copy(viewArgument(view), dtypeInfo(dtype).code, deviceCode(device)));
}

/** The same on an executor's thread. */
export async function copiedAsync(view: View, dtype: DType, device: Device): Promise<AnyTensor> {
  const arg = viewArgument(view);
  const [copy] = await binding().copyAsync(arg, dtypeInfo(dtype).code, deviceCode(device));
  return adoptTensor(copy);
}

/** Disposes `tensor` after its use. */
export function temporary<R>(tensor: AnyTensor, use: (tensor: AnyTensor) => R): R {
  try {
    return use(tensor);
  } finally {
    tensor.dispose();
  }
}

/** Returns the tensor on `device`. If that is a copy, disposes the tensor. */
export function moved<D extends DType>(tensor: Tensor<D>, device: Device): Tensor<D> {
  const view = checkTensor('tensor', tensor);
  if (device === view.device) return tensor;
  return temporary(tensor, () => copied(view, view.dtype, device)) as Tensor<D>;
}

/** True if the elements lie row by row in host memory. */
export function isPlain({ shape, strides, device }: View): boolean {
  return device === 'cpu' && isContiguous(shape, strides);
}

/** Calls `use` with the tensor if its elements lie row by row in host memory, otherwise with a copy, which it then disposes. */
export function withHosted<R>(tensor: AnyTensor, view: View, use: (tensor: AnyTensor) => R): R {
  return isPlain(view) ? use(tensor) : temporary(copied(view, view.dtype, 'cpu'), use);
}

/** Returns a contiguous CPU tensor's elements in a transferable buffer. Moves the memory if possible, otherwise copies it. */
export function movedOut(tensor: AnyTensor): ArrayBuffer {
  const { storage, dtype, shape, offset } = checkTensor('tensor', tensor);
  const count = elementCount(shape);
  if ((transferBuffer !== undefined || !isMainThread) && offset === 0) {
    const { buffer } = storage.host();
    if (storage.ownsBuffer && buffer.byteLength === count * dtypeInfo(dtype).itemSize) {
      return transferBuffer?.(buffer) ?? structuredClone(buffer, { transfer: [buffer] });
    }
  }
  const copy = typedArrayOf(count, dtype);
  binding().read(tensorArgument('tensor', tensor), copy);
  return copy.buffer as ArrayBuffer;
}

/** Throws ERR_DEVICE_MISMATCH unless the view's memory is on the CPU. */
export function checkCpu({ device }: View, purpose: string): void {
  if (device === 'cpu') return;
  throw new TokenLearnerError(
    'ERR_DEVICE_MISMATCH',
    `The tensor is on ${device}; call to('cpu') to ${purpose}`,
  );
}

/** Throws ERR_DEVICE_MISMATCH or ERR_NOT_CONTIGUOUS unless the view's elements lie row by row in host memory. */
export function checkHost(view: View, purpose: string): void {
  checkCpu(view, purpose);
  const { shape, strides } = view;
  if (isContiguous(shape, strides)) return;
  throw new TokenLearnerError(
    'ERR_NOT_CONTIGUOUS',
    `A tensor of shape ${formatShape(shape)} and strides ${formatShape(strides)} is not contiguous; call contiguous() to ${purpose}`,
  );
}
