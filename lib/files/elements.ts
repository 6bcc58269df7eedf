import { dtypeInfo, type TypedArray } from '../dtype';
import type { AnyTensor } from '../tensor/tensor';

/** The elements of a tensor on the CPU in the form that file formats use: 16-bit floats as their bits. */
export function bitsOf(tensor: AnyTensor): TypedArray {
  const { data, dtype } = tensor;
  const { array, itemSize } = dtypeInfo(dtype);
  return new array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength / itemSize);
}
