/** Tensors from the data of JSON, and back. */
import { type AnyTensor, type DType, Tensor } from 'tokenlearner';
import { JsonNumbers, outOfRange, wrongCount, wrongNesting } from './json-numbers';
import { invalid } from './problem';

/** How JSON holds numbers that it has no form for, in requests and in answers. */
const SPECIAL: ReadonlyMap<unknown, number> = new Map([
  ['NaN', NaN],
  ['Infinity', Infinity],
  ['-Infinity', -Infinity],
]);

/** What numbers come from. One of JSON is infinite where it is too large for a double; one of a message can be meant so. */
export type NumberSource = 'json' | 'message';

/** The product of sizes. */
export function count(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/**
 * A new tensor with the numbers of JSON, flat or nested as the shape. Throws a Problem: 400.
 *
 * @param data - arrays, or JsonNumbers.
 */
export function tensorOfJson(
  name: string,
  data: unknown,
  shape: readonly number[],
  dtype: DType,
  source: NumberSource = 'json',
): AnyTensor {
  const values = valuesOf(name, data, shape, dtype);
  const tensor = Tensor.empty(shape, {
    dtype: dtype === 'float16' || dtype === 'bfloat16' ? 'float32' : dtype,
  });
  try {
    if (values instanceof JsonNumbers) values.fill(name, shape, tensor.data as Float32Array | Float64Array);
    else fill(name, values, tensor, source);
  } catch (error) {
    tensor.dispose();
    throw error;
  }
  return dtype === tensor.dtype ? tensor : converted(name, tensor, dtype);
}

/** The elements in their order: JsonNumbers only for a floating dtype. */
function valuesOf(
  name: string,
  data: unknown,
  shape: readonly number[],
  dtype: DType,
): JsonNumbers | ArrayLike<unknown> {
  const length = count(shape);
  if (data instanceof JsonNumbers) {
    if (RANGES[dtype] === undefined) return data;
    const numbers = new Float64Array(length);
    data.fill(name, shape, numbers);
    return numbers;
  }
  if (!Array.isArray(data)) throw invalid(`Expected an array for the data of \`${name}\``);
  const values: unknown[] = Array.isArray(data[0]) ? flattened(name, data, shape) : data;
  if (values.length !== length) throw wrongCount(name, shape, length, values.length);
  return values;
}

/** The bits of infinity in the dtypes of 16 bits, and those of any number without its sign. */
const INFINITY: Readonly<Record<string, number>> = { float16: 0x7c00, bfloat16: 0x7f80 };
const MAGNITUDE = 0x7fff;

/** The tensor in a dtype of 16 bits. Disposes the given one. Throws a Problem: 400. */
function converted(name: string, tensor: AnyTensor, dtype: DType): AnyTensor {
  const result = tensor.to(dtype as 'float16');
  const numbers = tensor.data as Float32Array;
  const infinity = INFINITY[dtype];
  const index = result.data.findIndex(
    (bits, i) => (bits & MAGNITUDE) === infinity && Number.isFinite(numbers[i]),
  );
  const number = numbers[index];
  tensor.dispose();
  if (number === undefined) return result;
  result.dispose();
  throw outOfRange(name, number, index);
}

function fill(name: string, values: ArrayLike<unknown>, tensor: AnyTensor, source: NumberSource): void {
  const { data, dtype } = tensor;
  if (dtype === 'float32' || dtype === 'float64') fillFloats(name, values, data as Float32Array, source);
  else for (let i = 0; i < values.length; i++) data[i] = integer(name, values[i], i, dtype);
}

/** The ranges of integers. A number of JSON is exact up to 2^53. */
const RANGES: Readonly<Record<string, readonly [min: number, max: number]>> = {
  bool: [0, 1],
  uint8: [0, 255],
  int32: [-(2 ** 31), 2 ** 31 - 1],
  int64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
};

/** An element of an integer dtype. Throws a Problem: 400. */
function integer(name: string, value: unknown, i: number, dtype: DType): never {
  const number = typeof value === 'boolean' && dtype === 'bool' ? Number(value) : value;
  const [min = 0, max = 0] = RANGES[dtype] ?? [];
  if (typeof number !== 'number' || !Number.isInteger(number) || number < min || number > max)
    throw invalid(
      `Expected ${dtype === 'bool' ? 'true or false' : `an integer from ${min} to ${max}`} at index ${i} of \`${name}\``,
    );
  return (dtype === 'int64' ? BigInt(number) : number) as never;
}

function fillFloats(
  name: string,
  values: ArrayLike<unknown>,
  target: Float32Array | Float64Array,
  source: NumberSource,
): void {
  for (let i = 0; i < target.length; i++) {
    const value = values[i];
    const number = typeof value === 'number' ? value : SPECIAL.get(value);
    if (number === undefined) throw invalid(`Expected a number at index ${i} of \`${name}\``);
    target[i] = number;
    if (Number.isFinite(target[i]) || typeof value !== 'number') continue;
    if (source === 'json' || Number.isFinite(number)) throw outOfRange(name, number, i);
  }
}

/** The elements of nested arrays that have exactly this shape. */
function flattened(name: string, data: unknown[], shape: readonly number[]): unknown[] {
  let level = data;
  for (const axis of shape.keys()) {
    const expected = count(shape.slice(0, axis + 1));
    if (level.length !== expected) throw wrongNesting(name, shape, axis);
    if (axis === shape.length - 1) break;
    const below = shape[axis + 1] ?? 0;
    if (!level.every((each) => Array.isArray(each) && each.length === below))
      throw wrongNesting(name, shape, axis + 1);
    level = level.flat();
  }
  return level;
}

/** The most characters of an element in JSON, with a comma. */
const LONGEST: Readonly<Partial<Record<DType, number>>> = { bool: 6, uint8: 4, int32: 12, int64: 21 };
const LONGEST_FLOAT = '-2.2250738585072014e-308,'.length;

/** The most bytes that {@link jsonOfTensor} takes for a tensor. */
export function mostJsonBytes({ dtype, numel }: AnyTensor): number {
  return 2 + numel * (LONGEST[dtype] ?? LONGEST_FLOAT);
}

/** The elements as a flat array in JSON. Numbers that JSON has no form for are strings. */
export function jsonOfTensor(tensor: AnyTensor): string {
  if (tensor.dtype === 'bool')
    return `[${Array.from(tensor.data as Uint8Array, (each) => each !== 0).join(',')}]`;
  // BigInts, as digits.
  if (tensor.dtype === 'int64') return `[${tensor.data.join(',')}]`;
  const wide = tensor.to('float64');
  const text = wide.data.join(',');
  const special = /[NI]/.test(text);
  const quoted = special ? Array.from(wide.data, (each) => (Number.isFinite(each) ? each : `"${each}"`)) : [];
  if (wide !== tensor) wide.dispose();
  return `[${special ? quoted.join(',') : text}]`;
}
