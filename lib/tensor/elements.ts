/**
 * Elements as JavaScript's values: reads views of any strides, and creates tensors from numbers. It needs no libtorch on the CPU.
 */
import { binding } from '../binding';
import { type DType, dtypeInfo, type TypedArray } from '../dtype';
import { toBFloat16, toFloat16 } from '../formats/small-floats';
import type { TensorArg } from '../native-interface';
import { elementCount, type Shape } from '../shape';
import { tensorArgument, type View, viewArgument } from './access';
import { allocated, copied, isPlain, temporary } from './copy';
import { elementValue } from './numbers';
import type { Tensor } from './tensor';
import { typedArrayOf } from './typed-array';

/** The type of an element as a JavaScript value. */
export type ItemFor<D extends DType> = D extends 'int64' ? bigint : D extends 'bool' ? boolean : number;

/** Numbers, or bigints of int64. */
export type Values = Float64Array | BigInt64Array;

/**
 * A copy of a view's elements, row by row, as its memory holds them: the bits of 16-bit floats. Throws ERR_DETACHED,
 * ERR_OUT_OF_MEMORY.
 */
export function rawElements(view: View): TypedArray {
  const { dtype, shape } = view;
  const elements = typedArrayOf(elementCount(shape), dtype);
  const read = (source: TensorArg): TypedArray => {
    binding().read(source, elements);
    return elements;
  };
  if (isPlain(view)) return read(viewArgument(view));
  return temporary(copied(view, dtype, 'cpu'), (host) => read(tensorArgument('tensor', host)));
}

/** A copy of a view's elements, row by row, as numbers, or as bigints for int64. Throws ERR_DETACHED, ERR_OUT_OF_MEMORY. */
export function valuesOf(view: View): Values {
  const { dtype } = view;
  const raw = rawElements(view);
  if (raw instanceof BigInt64Array || raw instanceof Float64Array) return raw;
  const values = new Float64Array(raw.length);
  for (let i = 0; i < values.length; i++) values[i] = Number(elementValue(dtype, raw[i] ?? 0));
  return values;
}

/**
 * Rounds a number to `dtype` and returns the element as memory holds it. 16-bit floats are rounded to float32 first, as PyTorch
 * does. Integers must be in range.
 */
export function encoded(value: number | bigint, dtype: DType): number | bigint {
  if (dtype === 'int64') return BigInt(value);
  if (dtype === 'float16') return toFloat16(Math.fround(Number(value)));
  return dtype === 'bfloat16' ? toBFloat16(Math.fround(Number(value))) : Number(value);
}

/** Creates a CPU tensor of numbers, each rounded to `dtype`. Throws ERR_OUT_OF_MEMORY, ERR_OUT_OF_RANGE. */
export function tensorOf<D extends DType>(
  values: ArrayLike<number | bigint>,
  dtype: D,
  shape: Shape,
): Tensor<D> {
  const elements = typedArrayOf(values.length, dtype);
  for (let i = 0; i < elements.length; i++) elements[i] = encoded(values[i] ?? 0, dtype);
  return tensorOfRaw(elements, dtype, shape);
}

/** Creates a CPU tensor of elements as memory holds them. */
export function tensorOfRaw<D extends DType>(elements: TypedArray, dtype: D, shape: Shape): Tensor<D> {
  const made = allocated(shape, dtype);
  binding().write(tensorArgument('tensor', made), elements);
  return made;
}

/** Reads one element at a time, counted from the view's first, without showing the memory to JavaScript. Throws ERR_DETACHED. */
export function elementReader(view: View): (offset: number) => number | bigint {
  const memory = view.storage.argument();
  const one = typedArrayOf(1, view.dtype);
  const { code } = dtypeInfo(view.dtype);
  return (at) => {
    const source = { storage: memory, dtype: code, shape: [], strides: [], offset: view.offset + at };
    binding().read(source, one);
    return one[0] ?? 0;
  };
}
