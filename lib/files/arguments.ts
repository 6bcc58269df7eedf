/** What loaders and savers take, checked. */
import { dtypeInfo, type TypedArray } from '../dtype';
import type { NameFilter } from '../formats/filter';
import type { AnyTensor } from '../tensor/tensor';
import { checkString, unexpected } from '../validate';

/** A function, or undefined. Throws ERR_INVALID_ARG_TYPE. */
export function filterOption(value: unknown): NameFilter | undefined {
  if (value === undefined || typeof value === 'function') return value as NameFilter | undefined;
  throw unexpected('ERR_INVALID_ARG_TYPE', 'options.filter', 'a function (name) => boolean', value);
}

/** A string, or undefined. Throws ERR_INVALID_ARG_TYPE. */
export function keyOption(value: unknown): string | undefined {
  return value === undefined ? undefined : checkString('options.key', value);
}

/** The elements of a tensor on the CPU as file formats take them: 16-bit floats as their bits. */
export function bitsOf(tensor: AnyTensor): TypedArray {
  const { data, dtype } = tensor;
  const { array, itemSize } = dtypeInfo(dtype);
  return new array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength / itemSize);
}
